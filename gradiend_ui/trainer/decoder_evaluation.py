"""`evaluate_decoder`: plan, sweep, keep, choose.

Numbers are kept twice: block by block in our store under a fingerprint of everything that makes them, and as a
finished grid in the reference's `decoder_grid_cache.json`. A finished grid of the reference is taken over after a few
of its cells were scored again. Knows no figure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.checkpoint.finished_grid import (
    GRID_CACHE_FILE,
    GridCache,
    read_grid_cache,
    split_key,
    write_grid_cache,
)
from gradiend_ui.engine.errors import BadData, BadGrid, BadName, Failed, NotFound, TooLarge, items_of
from gradiend_ui.engine.files.csv_text import csv_text
from gradiend_ui.engine.files.whole_or_absent import write_whole
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.store.run_info import KeptInfo
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.finished_check import difference_to_today
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, NO_CELL, Cell, CellScore
from gradiend_ui.trainer.decoder_plan import DecoderData, Frames, Request
from gradiend_ui.trainer.decoder_summary import Extractor, Inquiry, Results, grid_of, results_of

log = logging.getLogger(__name__)
PACE = 10.0
"""Seconds between two looks at an unfinished cell, which nobody watches."""
ROW_WISE_FILE = "decoder_row_wise_scores.csv"


@dataclass(frozen=True)
class Evaluated:
    """A finished grid.

    scores: the base first, then ascending; origin: "swept", "stored" or the file it came from; run: its id in our
    store, None for a file's; choices: {key: choice} as they were made then, None where they were not kept.
    """

    request: Request
    scores: tuple[CellScore, ...]
    origin: str
    run: str | None = None
    warnings: tuple[str, ...] = ()
    choices: Mapping[str, Any] | None = None


class DecoderEvaluation:
    """The decoder evaluations of one experiment folder (None: kept in memory only)."""

    def __init__(self, experiment_dir: Path | None) -> None:
        self._folder = experiment_dir
        if experiment_dir is not None:
            _make(experiment_dir)
        self._store = Store(":memory:" if experiment_dir is None else experiment_dir / "gradiend_ui.sqlite")
        self._frames: dict[str, Frames] = {}

    def evaluate(
        self, data: DecoderData, request: Request, frames: Frames | None = None, *, reuse: bool, foreign: bool
    ) -> Evaluated:
        """Answer the request, computing what is not kept yet.

        reuse: take blocks of equal fingerprint from the store; foreign: take over a grid of the reference that
        answers the same request. Writes decoder_grid_cache.json when there is an experiment folder.
        """
        plan = data.plan(request, frames)
        if foreign and frames is None:
            taken = self._taken_over(data, request, plan)
            if taken is not None:
                return taken
        run_id, scores = self._swept(data, request, plan, frames, reuse=reuse)
        if self._folder is not None:
            cache = _cache_of(data, request, plan, scores)
            try:
                write_grid_cache(self._folder / GRID_CACHE_FILE, cache, data.targets.classes)
            except Failed as error:
                log.warning("%s The results are returned all the same.", error)
            if data.targets.row_wise and data.config.decoder_eval_export_row_wise_csv:
                self._write_rows(plan, self._folder / ROW_WISE_FILE, reuse=reuse)
        return Evaluated(request, tuple(scores), "swept", run_id, plan.warnings)

    def answered(
        self,
        data: DecoderData,
        request: Request,
        inquiry: Inquiry,
        frames: Frames | None,
        wanted: Any,
        *,
        every_dataset: bool,
    ) -> Results:
        """Sweep, choose and keep the choices. wanted: see `use_cache`; every_dataset: also score, for the figures
        alone, the datasets that the goal did not need."""
        found = self.evaluate(data, request, frames, reuse=wanted is not False, foreign=bool(wanted))
        for sentence in found.warnings:
            log.warning("%s", sentence)
        results = results_of(inquiry, found.scores)
        self.keep_choices(found, {key: choice for key, choice in results.items() if key != "grid"})
        if every_dataset:
            more = self.with_other_datasets(data, found, frames, reuse=wanted is not False)
            results["grid"] = grid_of(more.scores, inquiry)
        return results

    def keep_choices(self, evaluated: Evaluated, choices: Mapping[str, Any]) -> None:
        """Note what was chosen: a policy or metric of the user's own can be asked only once."""
        if evaluated.run is not None:
            info: KeptInfo = {**self._store.run(evaluated.run).info, "choices": dict(choices)}
            self._store.set_info(evaluated.run, info)

    def with_other_datasets(
        self, data: DecoderData, evaluated: Evaluated, frames: Frames | None, *, reuse: bool
    ) -> Evaluated:
        """The same grid with the probabilities of the datasets that the goal did not need; no number changes."""
        plan = data.plan_of_other_datasets(evaluated.request, frames)
        if plan is None:
            return evaluated
        _, found = self._swept(data, evaluated.request, plan, frames, reuse=reuse)
        more = {score.cell: score for score in found}
        scores = tuple(
            replace(score, probs_by_dataset={**score.probs_by_dataset, **more[score.cell].probs_by_dataset})
            for score in evaluated.scores
        )
        return replace(evaluated, scores=scores)

    def newest(self, data: DecoderData, names: Sequence[str], goal: str) -> Evaluated:
        """The newest finished grid with a choice for all of `names`, checked against today's weights and data.

        Raises NotFound when there is none, BadData when it belongs to other ones.
        """
        keys = {name if goal == "strengthen" else f"{name}_weaken" for name in names}
        for record in self._store.runs():
            if record.info["goal"] == goal and keys <= set(record.info.get("choices", ())):
                return self._stored(data, record)
        path = None if self._folder is None else self._folder / GRID_CACHE_FILE
        if path is not None and path.is_file():
            return self._from_file(data, path, names, goal)
        raise NotFound(
            f"No finished evaluation to {goal} {', '.join(names)} is kept for this experiment: "
            "run evaluate_decoder() first, or pass decoder_results."
        )

    # --- the store -----------------------------------------------------------------------------------------------

    def _swept(
        self, data: DecoderData, request: Request, plan: PreparedSweep, frames: Frames | None, *, reuse: bool
    ) -> tuple[str, list[CellScore]]:
        self._store.take_over_results(plan)
        info = _info(request, plan, frames)
        run_id = self._store.create_run(str(data.model.name_or_path), request.to_json(), info, plan.grid.cells)
        if frames is not None:
            self._frames[run_id] = frames
        self._store.set_state(run_id, "running", only_from=("queued",))
        try:
            for _ in run(plan, data.model.workspace(), self._store, run_id, reuse=reuse, pace=PACE):
                pass
        except BaseException:
            self._store.set_state(run_id, "interrupted", only_from=("running",))
            raise
        self._store.set_state(run_id, "finished", only_from=("running",))
        return run_id, self._store.cells(run_id)[1]

    def _stored(self, data: DecoderData, record: Run) -> Evaluated:
        request = Request.from_json(record.request)
        frames = self._frames.get(record.id)
        if record.info["own_frames"] and frames is None:
            raise NotFound(
                "The newest evaluation was made with training_like_df or neutral_df of its own, which are not kept: "
                "pass decoder_results."
            )
        plan, name = data.plan(request, frames), record.info["fingerprint"]
        scores, choices = tuple(self._store.cells(record.id)[1]), record.info["choices"]
        earlier = plan.is_of_earlier_scorer(name)
        if not plan.is_called(name) and not earlier:
            raise BadData(
                "The kept evaluation belongs to other weights or data than this trainer has: run evaluate_decoder() "
                "again, or pass decoder_results."
            )
        differs = earlier and difference_to_today(
            _cache_of(data, request, plan, scores), plan, data.model, data.model.workspace()
        )
        if differs:
            raise BadData(
                f"The kept evaluation was made by a version before this one, which scored differently ({differs}): run "
                "evaluate_decoder() again, or pass decoder_results."
            )
        return Evaluated(request, scores, "stored", record.id, choices=choices)

    # --- decoder_grid_cache.json -----------------------------------------------------------------------------------

    def _taken_over(self, data: DecoderData, request: Request, plan: PreparedSweep) -> Evaluated | None:
        """The grid of the file when it answers this request and still holds; None to sweep anew."""
        path = None if self._folder is None else self._folder / GRID_CACHE_FILE
        if path is None or not path.is_file():
            return None
        try:
            cache = read_grid_cache(path)
        except (BadData, TooLarge) as error:
            log.warning("%s It is replaced.", error)
            return None
        if cache.answers(_cache_of(data, request, plan, ())) is not None or len(cache.scores) != len(plan.cells):
            return None
        if cache.fingerprint is not None:
            return None  # ours: its blocks are in the store, under the same fingerprint or none
        if difference_to_today(cache, plan, data.model, data.model.workspace()) is not None:
            return None
        name = str(data.model.name_or_path)
        run_id = self._store.create_finished_run(name, request.to_json(), _info(request, plan, None), cache.scores)
        return Evaluated(request, cache.scores, path.name, run_id)

    def _from_file(self, data: DecoderData, path: Path, names: Sequence[str], goal: str) -> Evaluated:
        cache = read_grid_cache(path)
        if cache.goal not in (None, goal) or not set(names) <= set(cache.asked or names):
            raise NotFound(
                f"{path.name} was made to {cache.goal} {', '.join(cache.asked or ())}, not to {goal} "
                f"{', '.join(names)}: run evaluate_decoder() for that."
            )
        request = Request(
            goal=goal,
            asked=tuple(cache.asked or names),
            feature_factors=cache.feature_factors,
            learning_rates=cache.learning_rates,
            part=cache.part,
            split=tuple(cache.split.split("_")) if "_" in cache.split else cache.split,
            max_rows=cache.max_rows,
            max_neutral=cache.max_neutral,
        )
        plan = data.plan(request)
        name = cache.fingerprint
        stale = name is not None and not plan.is_called(name) and not plan.is_of_earlier_scorer(name)
        difference = (
            "weights, data or targets changed"
            if stale
            else difference_to_today(cache, plan, data.model, data.model.workspace())
        )
        if difference is not None:
            raise BadData(
                f"{path.name} belongs to other weights or data than this trainer has ({difference}): "
                "run evaluate_decoder() again, or pass decoder_results."
            )
        return Evaluated(request, cache.scores, path.name)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _write_rows(self, plan: PreparedSweep, path: Path, *, reuse: bool) -> None:
        """Every row's two probabilities under the base (empty cell columns) and every cell."""
        fingerprint = plan.fingerprint if reuse else f"{plan.fingerprint}/{self._store.runs()[0].id}"
        records = [
            record for cell in plan.cells for record in row_records(plan, cell, self._store.results(fingerprint, cell))
        ]
        table = pd.DataFrame(records)
        write_whole(path, csv_text([table.columns, *table.itertuples(index=False)]))


def inquiry_of(
    data: DecoderData,
    request: Request,
    selector: SelectionPolicy | None,
    metrics: Sequence[str] | None = None,
    extractor: Extractor | None = None,
) -> Inquiry:
    """What the request asks of its finished grid; selector: None takes the default policy. Raises BadGrid for metrics
    or an extractor that can be none."""
    if extractor is not None and not callable(extractor):
        raise BadGrid(f"summary_extractor must be a function from the grid to candidates, not {extractor!r}.")
    told = (metrics,) if isinstance(metrics, str) else items_of(metrics)
    if metrics is not None and told is None:
        raise BadGrid(f"summary_metrics must be a list of names, not {metrics!r}.")
    return Inquiry(
        goal=request.goal,
        asked=request.asked,
        classes=data.targets.classes,
        strengthening=data.strengthening,
        policy=selector or LMSThresholdPolicy(),
        prob_on_other_class=data.config.decoder_eval_prob_on_other_class,
        metrics=told,
        extractor=extractor,
    )


def kept_results(data: DecoderData, found: Evaluated) -> Results:
    """As they were chosen then; a grid of a file that holds no choices is chosen from by the default policy."""
    inquiry = inquiry_of(data, found.request, None)
    if found.choices is None:
        return results_of(inquiry, found.scores)
    return {**found.choices, "grid": grid_of(found.scores, inquiry)}


def row_records(plan: PreparedSweep, cell: Cell | None, results: Any) -> Iterator[dict[str, Any]]:
    """One record per scored row, columns as in the reference's row-wise csv, the cell in front."""
    for row, by_class in plan.row_scores(results):
        yield {
            **(NO_CELL if cell is None else cell.as_json()),
            "masked": row.masked,
            "factual": row.label,
            "alternative": row.alternative,
            "factual_id": row.label_class,
            "alternative_id": row.alternative_class,
            "dataset_class": row.label_class,
            "other_class": row.alternative_class,
            "P_factual": by_class.get(row.label_class),
            "P_alternative": by_class.get(row.alternative_class),
        }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadName(f"The experiment_dir {folder.name[:80]!r} cannot be made: {error.strerror or error}.") from error


def _info(request: Request, plan: PreparedSweep, frames: Frames | None) -> KeptInfo:
    return {
        "fingerprint": plan.fingerprint,
        "goal": request.goal if plan.lms.block_texts else "more datasets",
        "asked": list(request.asked),
        "own_frames": frames is not None,
    }


def _cache_of(data: DecoderData, request: Request, plan: PreparedSweep, scores: Sequence[CellScore]) -> GridCache:
    return GridCache(
        part=request.part,
        split=split_key(request.split),
        max_rows=request.max_rows,
        max_neutral=request.max_neutral,
        feature_factors=request.feature_factors or data.default_feature_factors(request),
        learning_rates=request.learning_rates or tuple(reversed(DEFAULT_LEARNING_RATES)),
        scores=tuple(scores),
        goal=request.goal,
        asked=request.asked,
        prob_on_other_class=data.config.decoder_eval_prob_on_other_class,
        fingerprint=plan.fingerprint,
    )
