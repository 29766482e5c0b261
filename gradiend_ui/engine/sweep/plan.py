"""The plan of a sweep: everything that is fixed before the first cell.

Rows are chosen, targets resolved, texts tokenized and masked once, cut into fixed blocks, and all ingredients of a
number hashed into a fingerprint. Knows how to score one block under given weights; runs no loop.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.chat_prompt import CHAT_WARNING
from gradiend_ui.engine.base.objectives import CAUSAL
from gradiend_ui.engine.data.columns import of_known_classes_only, ordered_classes
from gradiend_ui.engine.data.neutral_texts import capped_neutral, texts_from_rows
from gradiend_ui.engine.data.rows import EvalData, EvalRow
from gradiend_ui.engine.data.spelling import same_class
from gradiend_ui.engine.errors import BadData, listed, shown
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.lms import build_lms
from gradiend_ui.engine.scoring.lms_measure import TEXTS_PER_CHUNK, LmsMeasurement
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.scoring.readout import Apart
from gradiend_ui.engine.scoring.targets import ClassTargets, ignored_ids, resolve_targets
from gradiend_ui.engine.scoring.token_types import token_types
from gradiend_ui.engine.selection.winner import goal_feature_factors
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import (
    DEFAULT_LIMITS,
    DEFAULT_PRECISION,
    PRECISIONS,
    REFERENCE,
    SCORER_VERSION,
    BatchLimits,
    Cell,
    CellScore,
    Grid,
)


@dataclass(frozen=True)
class PreparedSweep:
    """Everything that is fixed before the first cell. Blocks are numbered: rows first, then neutral texts.

    ingredients: everything that makes a number (rows, texts, targets, part, plan, ...) but the precision, and but what
    the model's fingerprint stands for (weights, mapping), as JSON-like values.
    """

    model: ModelWithGradiend
    spec: SweepSpec
    grid: Grid
    rows: tuple[EvalRow, ...]
    targets: ClassTargets
    objective: Objective
    lms: LmsMeasurement
    ingredients: Mapping[str, Any]
    warnings: tuple[str, ...]
    limits: BatchLimits = DEFAULT_LIMITS

    @property
    def fingerprint(self) -> str:
        """Under which name the results of this sweep are kept: in its precision."""
        return self.fingerprint_in(self.spec.precision)

    def fingerprint_in(self, precision: str) -> str:
        """The same for another precision: results of two precisions never meet."""
        return _in_precision(self._shared, precision)

    @cached_property
    def former_names(self) -> dict[str, str]:
        """{as versions before this one spelled it: the fingerprint} for every precision."""
        return {_in_precision(self._former, one): self.fingerprint_in(one) for one in PRECISIONS}

    def is_called(self, fingerprint: object) -> bool:
        """Whether results of this name are this plan's, by today's spelling or the former one."""
        return fingerprint == self.fingerprint or fingerprint == _in_precision(self._former, self.spec.precision)

    def is_of_earlier_scorer(self, fingerprint: object) -> bool:
        """Whether results of this name are of the same weights, rows and settings, scored by a version before this one:
        what they belong to is unchanged, their numbers stay apart."""
        return fingerprint in self._earlier_names

    @cached_property
    def _earlier_names(self) -> frozenset[str]:
        prints = {self.model.fingerprint, self.model.former_fingerprint}
        earlier = [
            {**self.ingredients, "scorer": scorer, "model": own}
            for scorer in range(1, SCORER_VERSION)
            for own in prints
        ]
        return frozenset(_in_precision(_digest(made), self.spec.precision) for made in earlier)

    @cached_property
    def _shared(self) -> str:
        return _digest({**self.ingredients, "model": self.model.fingerprint})

    @cached_property
    def _former(self) -> str:
        return _digest({**self.ingredients, "model": self.model.former_fingerprint})

    @cached_property
    def rows_by_dataset(self) -> Counter[str]:
        """How many rows of each dataset are scored."""
        return Counter(self.rows[place].label_class for block in self.objective.blocks for place in block.rows)

    @cached_property
    def cells(self) -> tuple[Cell | None, ...]:
        """The base (None) first, then the grid in ascending order: a cell's place in a run."""
        return (None, *self.grid.cells)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Rows or texts in each block."""
        return (*(len(block.rows) for block in self.objective.blocks), *self.lms.block_texts)

    def score_block(self, weights: Any, block: int) -> NDArray[Any]:
        """The raw result of one block under `weights` (a transformers model)."""
        row_blocks = self.objective.blocks
        if block < len(row_blocks):
            return self.objective.score(weights, row_blocks[block]).numpy()
        return self.lms.score(weights, block - len(row_blocks))

    def summarise(self, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> CellScore:
        """The score of a cell from the blocks present; "provisional" until all are, "failed" for broken numbers."""
        first_text = len(self.objective.blocks)
        means = self._means({b: r for b, r in results.items() if b < first_text})
        of_texts = {b - first_text: r for b, r in results.items() if b >= first_text}
        sizes = self.block_sizes
        score = CellScore(
            cell=cell,
            status="final" if len(results) == len(sizes) else "provisional" if results else "pending",
            probs_by_dataset=means,
            lms=self.lms.summarise(of_texts),
            most_said=self.lms.most_said(of_texts),
            rows_done=sum(sizes[block] for block in results),
            rows_total=sum(sizes),
        )
        if all(np.isfinite(p) for row in means.values() for p in row.values()):
            return score
        return score.with_status("failed", "The rewritten model's output is not a finite number.")

    def row_scores(self, results: Mapping[int, NDArray[Any]]) -> list[tuple[EvalRow, dict[str, float]]]:
        """Each scored row with {class: P(class)}, in row order; results of texts are passed over."""
        scored: list[tuple[EvalRow, dict[str, float]]] = []
        for place, values in sorted(
            (place, values)
            for block, result in results.items()
            if block < len(self.objective.blocks)
            for place, values in zip(self.objective.blocks[block].rows, result.tolist(), strict=True)
        ):
            row = self.rows[place]
            present = self.present_classes(row)
            scored.append((row, {c: p for c, p in zip(self.objective.classes, values, strict=True) if c in present}))
        return scored

    def present_classes(self, row: EvalRow) -> frozenset[str]:
        """The classes whose probabilities are read in the row."""
        if self.targets.row_wise:
            return frozenset((row.label_class, row.alternative_class))
        return frozenset(self.objective.classes)

    def _means(self, results: Mapping[int, NDArray[Any]]) -> dict[str, dict[str, float]]:
        collected: dict[str, dict[str, list[float]]] = {}
        for row, by_class in self.row_scores(results):
            for name, p in by_class.items():
                collected.setdefault(row.label_class, {}).setdefault(name, []).append(p)
        return {
            dataset: {name: float(np.mean(values)) for name, values in sorted(by_class.items())}
            for dataset, by_class in sorted(collected.items())
        }


def default_feature_factors(
    model: ModelWithGradiend, classes: Sequence[str], goal: str, asked: Sequence[str]
) -> tuple[float, ...]:
    """The feature factors the goal needs for the `asked` classes; both signs where a direction is not known."""
    factors = model.strengthening_feature_factor
    own = {name: factors[name] for name in classes if name in factors}
    return goal_feature_factors(own, goal, asked)


def prepare(
    model: ModelWithGradiend,
    spec: SweepSpec,
    data: EvalData,
    neutral: Sequence[str] | None,
    *,
    datasets: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    grid: Grid | None = None,
    splits: Sequence[str] | None = None,
    limits: BatchLimits = DEFAULT_LIMITS,
) -> PreparedSweep:
    """Plan a sweep: choose rows, resolve targets, tokenize and mask everything once.

    neutral: texts for the LMS; None uses the evaluation rows and leaves the target tokens out of the LMS.
    datasets: only rows of these label classes are scored (None: all). classes: class order (None: the model's).
    splits: several splits in place of the spec's one. limits: the most that is scored at once.
    Raises BadData or BadGrid in a sentence.
    """
    names = tuple(classes or class_order(model, data))
    asked = tuple(same_class(name, names) for name in spec.target_classes or names)
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise BadData(f"There is no class {shown(unknown[0])}; the classes are {listed(names)}.")
    grid = grid or spec.grid(spec.feature_factors or default_feature_factors(model, names, spec.goal, asked))
    all_rows = data.chosen(splits or spec.split, names, spec.max_rows, seed)
    targets = resolve_targets(data.rows, names, spec.targets)
    wanted = None if datasets is None else {same_class(name, names) for name in datasets}
    rows = tuple(row for row in all_rows if wanted is None or row.label_class in wanted) or all_rows
    texts, ignored = _lms_texts(model, spec, neutral, rows, all_rows, targets, seed)
    return plan_sweep(model, spec, grid, rows, targets, texts, ignored, texts_are_rows=neutral is None, limits=limits)


def plan_sweep(
    model: ModelWithGradiend,
    spec: SweepSpec,
    grid: Grid,
    rows: Sequence[EvalRow],
    targets: ClassTargets,
    texts: Sequence[str],
    ignored: frozenset[int] = frozenset(),
    *,
    texts_are_rows: bool = False,
    texts_per_chunk: int = TEXTS_PER_CHUNK,
    limits: BatchLimits = DEFAULT_LIMITS,
) -> PreparedSweep:
    """Plan a sweep of `grid` over chosen rows and texts; `prepare` chooses them for a page, the trainer by itself.

    texts: for the LMS; empty plans probabilities only. ignored: vocabulary ids that the LMS leaves out.
    texts_are_rows: the texts stand in for missing neutral ones, which is said in the warnings. texts_per_chunk: how
    many texts the reference pads together, which moves the numbers of left-padding causal models only. limits: the most
    that is scored at once.
    """
    objective = build_objective(model.base, rows, targets, spec.token_boundary, limits)
    lms = build_lms(model.base, texts, ignored, texts_per_chunk, limits)
    return PreparedSweep(
        model=model,
        spec=spec,
        grid=grid,
        rows=tuple(rows),
        targets=targets,
        objective=objective,
        lms=lms,
        ingredients=_ingredients(model, spec, rows, targets, texts, ignored, objective, lms),
        warnings=_warnings(model, targets, objective, texts_are_rows),
        limits=limits,
    )


def class_order(model: ModelWithGradiend, data: EvalData) -> tuple[str, ...]:
    """The +1 class first, then -1, then the undirected ones that the rows hold; none that it does not know."""
    known = model.checkpoint.known_classes
    return ordered_classes(known, of_known_classes_only(known, data))


def _lms_texts(
    model: ModelWithGradiend,
    spec: SweepSpec,
    neutral: Sequence[str] | None,
    rows: Sequence[EvalRow],
    all_rows: Sequence[EvalRow],
    targets: ClassTargets,
    seed: int,
) -> tuple[tuple[str, ...], frozenset[int]]:
    if neutral is not None:
        return capped_neutral(neutral, spec.max_neutral, seed), frozenset()
    texts = texts_from_rows(all_rows, model.tokenizer.mask_token)
    own = {word for row in rows for word in (row.label, row.alternative)}
    words = own if targets.words is None else {word for group in targets.words.values() for word in group}
    return texts[: spec.max_neutral], ignored_ids(model.tokenizer, sorted(words))


def _digest(ingredients: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def _in_precision(shared: str, precision: str) -> str:
    return shared if precision == DEFAULT_PRECISION else hashlib.sha256(f"{shared} in {precision}".encode()).hexdigest()


def _ingredients(
    model: ModelWithGradiend,
    spec: SweepSpec,
    rows: Sequence[EvalRow],
    targets: ClassTargets,
    texts: Sequence[str],
    ignored: frozenset[int],
    objective: Objective,
    lms: LmsMeasurement,
) -> dict[str, Any]:
    ingredients: dict[str, Any] = {
        "scorer": SCORER_VERSION,
        "dtype": str(model.base_model.dtype),
        "objective": model.base.objective,
        "part": spec.part,
        "token_boundary": _told_boundary(model, spec),
        "rows": [[row.masked, row.label, row.label_class, row.alternative, row.alternative_class] for row in rows],
        "targets": None if targets.words is None else {name: list(words) for name, words in targets.words.items()},
        "classes": targets.classes,
        "texts": list(texts),
        "ignored": sorted(ignored),
        "plan": [[block.rows for block in objective.blocks], lms.block_texts],
        "readout": asdict(objective.readout),
    }
    types = token_types(model.base)
    if types is not None:
        ingredients["token_types"] = asdict(types)
    if any(isinstance(batch, Apart) for block in objective.blocks for batch, _ in block.reads):
        ingredients["each_candidate_by_itself"] = True
    if model.base.facts.windowed:
        ingredients["rhs_window"] = model.base.rhs_window
    return ingredients


def _told_boundary(model: ModelWithGradiend, spec: SweepSpec) -> str | None:
    """The token boundary where it makes a difference. At a mask the reference's goes unnamed, as it did before there
    were two."""
    if not model.base.two_boundaries or (model.base.kind != CAUSAL and spec.token_boundary == REFERENCE):
        return None
    return spec.token_boundary


def _warnings(
    model: ModelWithGradiend,
    targets: ClassTargets,
    objective: Objective,
    texts_are_rows: bool,
) -> tuple[str, ...]:
    found = [CHAT_WARNING] if model.base.chat_prompt else []
    if texts_are_rows:
        found.append(remark("no_neutral"))
    if targets.row_wise:
        found.append(remark("row_wise"))
    note = model.checkpoint.direction_note
    if note is not None and note.is_open:
        found.append(note.sentence)
    return (*found, *objective.warnings())
