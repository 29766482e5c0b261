"""The Python API with the spelling of the `gradiend` package: `TextPredictionTrainer`.

Translates between that spelling and the engine; holds no formula and no loop of its own. Results of an experiment
folder are kept block by block in its store, under a fingerprint of weights, data and targets, so a stale number is
never reused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadData, BadGrid, BadName, NotFound
from gradiend_ui.engine.eval_data import EvalData, Table, read_neutral, read_rows, read_table
from gradiend_ui.engine.export import Rewrite, save_rewritten
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.plan import PreparedSweep, class_order, prepare
from gradiend_ui.engine.selection import LMSThresholdPolicy, Question, SelectionPolicy, select
from gradiend_ui.engine.store import Store
from gradiend_ui.engine.sweep import run
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, Cell, CellScore, SweepSpec
from gradiend_ui.trainer.arguments import TrainingArguments

STORE_FILE = "gradiend_ui.sqlite"
Names = str | Sequence[str] | None


@dataclass(frozen=True)
class TextPredictionTrainer:
    """A trained GRADIEND with its evaluation data.

    model: checkpoint folder (or run folder) of the `gradiend` package; base_model: another base than it names
    data: rows as a frame, records or a file; eval_neutral_data: neutral texts as a list, frame or file (None: the
        evaluation rows stand in, target tokens left out)
    target_classes: class order (None: the +1 class first); decoder_eval_targets: {class: tokens}, "label" or None
    masked_col, split_col: names of these columns in `data`; columns: further ones, {our name: name in the table}
    """

    model: str | Path
    data: Table
    eval_neutral_data: Table | Sequence[str] | None = None
    target_classes: Sequence[str] | None = None
    masked_col: str = "masked"
    split_col: str = "split"
    columns: Mapping[str, str] = field(default_factory=dict)
    decoder_eval_targets: Mapping[str, Sequence[str]] | str | None = None
    token_boundary: str = "reference"
    base_model: Any = None
    args: TrainingArguments = field(default_factory=TrainingArguments)

    def get_model(self) -> ModelWithGradiend:
        """The loaded `ModelWithGradiend`; the same object on every call."""
        return self._model

    @cached_property
    def _model(self) -> ModelWithGradiend:
        return ModelWithGradiend.from_pretrained(self.model, self.base_model)

    @cached_property
    def _rows(self) -> EvalData:
        table = read_table(self.data)
        columns = dict(self.columns)
        if self.masked_col != "masked":
            columns["masked"] = self.masked_col
        if self.split_col != "split" or "split" in table.columns:
            columns["split"] = self.split_col
        return read_rows(table, columns)

    @cached_property
    def _neutral(self) -> tuple[str, ...] | None:
        return None if self.eval_neutral_data is None else read_neutral(self.eval_neutral_data)

    @cached_property
    def _store(self) -> Store:
        if self.args.experiment_dir is None:
            return Store(":memory:")
        folder = Path(self.args.experiment_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return Store(folder / STORE_FILE)

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        return tuple(self.target_classes) if self.target_classes else class_order(self._model, self._rows)

    def evaluate_decoder(
        self,
        lrs: Iterable[float] | None = None,
        feature_factors: Iterable[float] | None = None,
        target_class: Names = None,
        increase_target_probabilities: bool = True,
        selector: SelectionPolicy | None = None,
        use_cache: bool | None = None,
        *,
        part: str = "decoder",
        split: str = "test",
        max_size_training_like: int | None = None,
        max_size_neutral: int | None = None,
    ) -> dict[str, Any]:
        """Sweep the grid and choose the best cell per class.

        target_class: one class, several, or None for all; only the rows these classes need are scored.
        increase_target_probabilities: True strengthens (keys `<class>`), False weakens (keys `<class>_weaken`).
        selector: a selection policy (default `LMSThresholdPolicy(ratio=0.99)`); use_cache: None as in the arguments.

        Returns {key: {"value", "feature_factor", "learning_rate", "id", "strengthen", "lms", "base_lms", "fallback",
        "why"}, ..., "grid": {"base" or (feature_factor, learning_rate): {"probs", "probs_factual",
        "probs_by_dataset", "lms", "id"}}}. Raises GradiendUIError in a sentence.
        """
        asked = self._asked(target_class)
        goal = "strengthen" if increase_target_probabilities else "weaken"
        request = {
            "goal": goal,
            "target_classes": list(asked),
            "feature_factors": None if feature_factors is None else list(feature_factors),
            "learning_rates": list(DEFAULT_LEARNING_RATES if lrs is None else lrs),
            "part": part,
            "split": split,
            "max_rows": max_size_training_like or self.args.decoder_eval_max_size_training_like,
            "max_neutral": max_size_neutral or self.args.decoder_eval_max_size_neutral,
        }
        reuse = self.args.use_cache is not False if use_cache is None else use_cache
        plan = self._prepared(request)
        info = {"fingerprint": plan.fingerprint, "goal": goal, "asked": list(asked)}
        run_id = self._store.create_run(str(self.model), request, info, plan.grid.cells)
        self._store.set_state(run_id, "running", only_from=("queued",))
        for _ in run(plan, self._model.workspace(), self._store, run_id, reuse=reuse):
            pass
        self._store.set_state(run_id, "finished", only_from=("running",))
        return self._results(plan, self._store.cells(run_id)[1], asked, goal, selector)

    def rewrite_base_model(
        self,
        decoder_results: Mapping[str, Any] | None = None,
        target_class: Names = None,
        increase_target_probabilities: bool = True,
        output_dir: str | Path | None = None,
    ) -> Any:
        """The base model rewritten with the cell that `evaluate_decoder` chose for each class.

        decoder_results: its return value; None takes the newest finished evaluation of this experiment that covers
        the class. output_dir: save there (one class; several go to `experiment_dir/<key>`) with tokenizer and card.
        Returns a model, or its folder when saved; a list of them when target_class is a list of several.
        Raises NotFound when there is nothing to take the cell from, BadName for an unusable folder.
        """
        names = [target_class] if isinstance(target_class, str) else list(target_class or ())
        if not names:
            raise BadGrid(f"target_class is needed: one of {', '.join(self._classes)}, or a list of them.")
        if output_dir is not None and not str(output_dir).strip():
            raise BadName("output_dir is empty: give a folder, or leave it out to get the model in memory.")
        goal = "strengthen" if increase_target_probabilities else "weaken"
        results = decoder_results if decoder_results is not None else self._cached_results(names, goal)
        keys = [name if increase_target_probabilities else f"{name}_weaken" for name in names]
        done = [self._rewrite(results, key, output_dir, several=len(keys) > 1) for key in keys]
        return done[0] if len(done) == 1 else done

    def _asked(self, target_class: Names) -> tuple[str, ...]:
        names = (target_class,) if isinstance(target_class, str) else tuple(target_class or self._classes)
        unknown = [name for name in names if name not in self._classes]
        if unknown:
            raise BadData(f"target_class {unknown[0]!r} must be one of {', '.join(self._classes)}.")
        return names

    def _prepared(self, request: Mapping[str, Any]) -> PreparedSweep:
        asked = request["target_classes"]
        spec = SweepSpec(
            **{name: value for name, value in request.items() if value is not None},
            targets=self.decoder_eval_targets,  # type: ignore[arg-type]
            token_boundary=self.token_boundary,  # type: ignore[arg-type]
        )
        if request["goal"] == "weaken":
            datasets = set(asked)
        else:
            datasets = {other for name in asked for other in self._classes if other != name}
        return prepare(
            self._model,
            spec,
            self._rows,
            self._neutral,
            datasets=sorted(datasets),
            classes=self._classes,
            seed=self.args.seed or 0,
        )

    def _results(
        self,
        plan: PreparedSweep,
        scores: Sequence[CellScore],
        asked: Sequence[str],
        goal: str,
        selector: SelectionPolicy | None,
    ) -> dict[str, Any]:
        base, cells = scores[0], scores[1:]
        results: dict[str, Any] = {}
        for name in asked:
            question = Question(
                target_class=name,
                classes=self._classes,
                strengthening=self._model.strengthening_feature_factor,
                goal=goal,
                policy=selector or LMSThresholdPolicy(),
            )
            chosen = select(question, base, cells)
            results[question.metric_name] = {
                "value": chosen.value,
                "feature_factor": chosen.feature_factor,
                "learning_rate": chosen.learning_rate,
                "id": {"feature_factor": chosen.feature_factor, "learning_rate": chosen.learning_rate},
                "strengthen": goal == "strengthen",
                "lms": chosen.lms,
                "base_lms": chosen.base_lms,
                "fallback": chosen.fallback,
                "why": chosen.why,
            }
        grid: dict[Any, Any] = {"base": grid_entry(base, self._classes)}
        for score in cells:
            assert score.cell is not None  # only the base has none, and it comes first
            grid[(score.cell.feature_factor, score.cell.learning_rate)] = grid_entry(score, self._classes)
        return {**results, "grid": grid}

    def _cached_results(self, names: Sequence[str], goal: str) -> dict[str, Any]:
        """The newest finished evaluation that covers `names`, checked against today's weights and data."""
        covering = [
            record
            for record in self._store.runs()
            if record.state == "finished" and record.info["goal"] == goal and set(names) <= set(record.info["asked"])
        ]
        if not covering:
            raise NotFound(
                f"No finished evaluation to {goal} {', '.join(names)} is stored for this experiment: "
                "run evaluate_decoder() first, or pass decoder_results."
            )
        record = covering[0]
        plan = self._prepared(record.request)
        if plan.fingerprint != record.info["fingerprint"]:
            raise BadData(
                "The stored evaluation belongs to other weights or data than this trainer has: "
                "run evaluate_decoder() again, or pass decoder_results."
            )
        return self._results(plan, self._store.cells(record.id)[1], record.info["asked"], goal, None)

    def _rewrite(self, results: Mapping[str, Any], key: str, output_dir: str | Path | None, *, several: bool) -> Any:
        chosen = results.get(key) or dict(results.get("summary") or {}).get(key)
        if not isinstance(chosen, Mapping) or not {"feature_factor", "learning_rate"} <= set(chosen):
            known = ", ".join(str(name) for name in results if name != "grid")
            raise NotFound(f"decoder_results holds no choice for {key!r}; it has: {known}.")
        cell = Cell(chosen["feature_factor"], chosen["learning_rate"])
        rewritten = self._model.rewrite_base_model(cell.learning_rate, cell.feature_factor)
        if output_dir is None:
            return rewritten
        if several and self.args.experiment_dir is None:
            raise BadName("Several models are saved under experiment_dir: set it in TrainingArguments.")
        folder = Path(self.args.experiment_dir or ".") / key if several else Path(output_dir)
        facts = {"scores": _score_rows(results, cell), "data": "rows given to TextPredictionTrainer"}
        return str(save_rewritten(self._model, rewritten, Rewrite(cell, "decoder", facts), folder))


def grid_entry(score: CellScore, classes: Sequence[str]) -> dict[str, Any]:
    """One cell in the reference's shape."""
    counterfactual = {name: score.strengthen_metric(name, classes) for name in classes}
    factual = {name: score.own_probability(name) for name in classes}
    cell = score.cell
    return {
        "probs": {name: p for name, p in counterfactual.items() if p is not None},
        "probs_factual": {name: p for name, p in factual.items() if p is not None},
        "probs_by_dataset": {dataset: dict(row) for dataset, row in score.probs_by_dataset.items()},
        "lms": dict(score.lms),
        "id": "base" if cell is None else {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate},
    }


def _score_rows(results: Mapping[str, Any], cell: Cell) -> list[list[Any]]:
    grid = results.get("grid") or {}
    base, found = grid.get("base"), grid.get((cell.feature_factor, cell.learning_rate))
    if not base or not found:
        return []
    rows = [
        [f"P({name}) on {dataset} rows", before, found["probs_by_dataset"][dataset][name]]
        for dataset, by_class in base["probs_by_dataset"].items()
        for name, before in by_class.items()
    ]
    return [*rows, ["LMS", base["lms"]["lms"], found["lms"]["lms"]]]
