"""All that a page draws of one run, as plain tables: rows are feature factors, columns learning rates, ascending.

`ScoredGrid` holds a run's scores in the grid's order with what its questions read of them, built once however many are
asked; `picture_of` is a pure function of scores and a question; `Pictures` keeps the newest picture of the runs that
are looked at and reads only what changed since, so that a click costs no reading. Thread-safe; what it gives is shared
and nobody changes it. Knows no tensors, no disk, no colours and no page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from gradiend_ui.engine.answers.run import CellTables, Flags, GridPicture, Numbers, SelectionAnswer
from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.selection.policies import Candidate, LMSThresholdPolicy
from gradiend_ui.engine.selection.winner import (
    Question,
    base_degenerate,
    candidates_of,
    degenerate,
    select,
    winners_of,
    winning_feature_factors,
)
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import BASE_LMS, LMS_ERROR, Cell, CellScore, Grid, finite_or_none, lms_ratio

Answer = TypeVar("Answer")
Value = TypeVar("Value")
ANY_POLICY = LMSThresholdPolicy()


@dataclass(frozen=True)
class Reading:
    """What one question reads, whatever its policy: tables of its metric and of the metric's standard error."""

    metric: Numbers
    metric_error: Numbers


class ScoredGrid:
    """Base and cells of one grid at one moment; nothing of it changes, and what it gives is shared: nobody changes it.

    Every table has the feature factors as rows and the learning rates as columns, ascending; a value that is not known
    or not finite is None. Not safe to use from several threads at once.
    """

    def __init__(self, grid: Grid, base: CellScore, scores: Sequence[CellScore]) -> None:
        self.grid, self.base, self.scores = grid, base, tuple(scores)
        by_cell = {score.cell: score for score in scores}
        self._ordered = [by_cell.get(cell) or CellScore(cell) for cell in grid.cells]
        self._candidates: list[tuple[Question, list[Candidate]]] = []
        self._readings: list[tuple[Question, Reading]] = []

    def table(self, value: Callable[[CellScore], Value]) -> list[list[Value]]:
        """`value` of every cell."""
        values, width = [value(score) for score in self._ordered], len(self.grid.learning_rates)
        return [values[start : start + width] for start in range(0, len(values), width)]

    def candidates(self, question: Question) -> list[Candidate]:
        """As `engine.selection.winner.candidates_of`."""
        return _kept(self._candidates, question, lambda asked: candidates_of(asked, self.scores))

    def reading(self, question: Question) -> Reading:
        return _kept(self._readings, question, self._read)

    def _read(self, question: Question) -> Reading:
        return Reading(
            self.table(lambda score: finite_or_none(question.metric(score))),
            self.table(lambda score: finite_or_none(question.error(score))),
        )

    @property
    def comparable_lms(self) -> float | None:
        """The base's LMS in [0, 1] once the base is finished; until then no cell is compared with it."""
        return finite_or_none(self.base.lms_value) if self.base.is_final else None

    @cached_property
    def lms(self) -> Numbers:
        return self.table(lambda score: finite_or_none(score.lms_value))

    @cached_property
    def lms_ratio(self) -> Numbers:
        """LMS / base LMS, of a provisional score on the same texts; None for a base of 0."""
        whole = self.comparable_lms

        def ratio(score: CellScore) -> float | None:
            return lms_ratio(finite_or_none(score.lms_value), score.lms.get(BASE_LMS, whole))

        return self.table(ratio)

    @cached_property
    def comparable(self) -> list[list[bool]]:
        """Whether a cell's LMS may be held against the threshold: not that of other texts than the base's."""
        return self.table(lambda score: BASE_LMS not in score.lms)

    @cached_property
    def by_dataset(self) -> dict[str, dict[str, Numbers]]:
        """{dataset: {class: P(class) on its rows}}, both in alphabetical order."""
        shapes = {
            tuple((dataset, *row) for dataset, row in score.probs_by_dataset.items())
            for score in (self.base, *self.scores)
        }
        pairs = sorted({(dataset, name) for shape in shapes for dataset, *row in shape for name in row})
        tables: dict[str, dict[str, Numbers]] = {}
        for dataset, name in pairs:
            tables.setdefault(dataset, {})[name] = self.table(
                lambda score, d=dataset, c=name: finite_or_none(score.probs_by_dataset.get(d, {}).get(c))  # type: ignore[misc]
            )
        return tables

    @cached_property
    def of_cells(self) -> CellTables:
        """What is told of every cell whatever is asked, by the picture's keys."""
        return {
            "lms": self.lms,
            "lms_ratio": self.lms_ratio,
            "status": self.table(lambda score: score.status),
            "reason": self.table(lambda score: score.reason),
            "lms_error": self.table(lambda score: finite_or_none(score.errors.get(LMS_ERROR))),
            "rows_done": self.table(lambda score: score.rows_done),
            "precisions": self.table(lambda score: score.precision),
            "rows_total": max((score.rows_total for score in (self.base, *self.scores)), default=0),
            "by_dataset": self.by_dataset,
            "degenerate": self.table(lambda score: degenerate(score, self.base)),
        }


def _kept(known: list[tuple[Question, Answer]], question: Question, make: Callable[[Question], Answer]) -> Answer:
    """The answer for `question` without its policy, made once."""
    asked = replace(question, policy=ANY_POLICY)
    for other, answer in known:
        if other == asked:
            return answer
    answer = make(asked)
    known.append((asked, answer))
    return answer


def picture_of(question: Question, grid: Grid, base: CellScore, scores: Sequence[CellScore]) -> GridPicture:
    """The grid's metric, LMS, LMS / base, pass or fail, status and all probabilities, with the selection.

    Values that are not known or not finite are None; "passes" is None where there is no LMS yet or the policy has
    no threshold; "selection" is None until a candidate is finished.
    """
    return picture_on(question, ScoredGrid(grid, base, scores))


def picture_on(question: Question, scored: ScoredGrid) -> GridPicture:
    """As `picture_of`; what the policy does not move comes from `scored` and is shared with its other pictures."""
    grid, base, reading = scored.grid, scored.base, scored.reading(question)
    return {
        "feature_factors": list(grid.feature_factors),
        "learning_rates": list(grid.learning_rates),
        "metric": reading.metric,
        "metric_label": metric_label(question),
        "classes": list(question.classes),
        "other": other_dataset(question, scored.by_dataset),
        **scored.of_cells,
        "passes": _passes(question, scored),
        "metric_error": reading.metric_error,
        "base": {
            "metric": finite_or_none(question.metric(base)),
            "lms": finite_or_none(base.lms_value),
            "probs_by_dataset": base.to_json()["probs_by_dataset"],
            "status": base.status,
            "precision": base.precision,
            "degenerate": base_degenerate(base),
        }
        if base.rows_done
        else None,
        "precision_error": base.rounding,
        "skipped": sum(score.status == "skipped" for score in scored.scores),
        "selection": _selection(question, scored),
        "can_win": list(winning_feature_factors(question, grid.feature_factors)),
        "winners": winners_of(question, base, scored.scores, scored.candidates),
    }


def _passes(question: Question, scored: ScoredGrid) -> Flags:
    policy, base_lms = question.policy, scored.comparable_lms
    if not isinstance(policy, LMSThresholdPolicy) or base_lms is None:
        return [[None] * len(row) for row in scored.lms]
    return [
        [policy.passes(lms, base_lms) if lms is not None and may else None for lms, may in zip(*rows, strict=True)]
        for rows in zip(scored.lms, scored.comparable, strict=True)
    ]


def _selection(question: Question, scored: ScoredGrid) -> SelectionAnswer | None:
    try:
        return select(question, scored.base, scored.scores, scored.candidates(question)).to_json()
    except NotFound:
        return None


def other_dataset(question: Question, by_dataset: Mapping[str, Mapping[str, Numbers]]) -> str | None:
    """The rows that *strengthen* reads: the first other class, in class order, that has some; None without any."""
    others = [name for name in question.classes if name != question.target_class]
    scored = [name for name in others if question.target_class in by_dataset.get(name, {})]
    return next(iter([*scored, *others]), None)


def metric_label(question: Question) -> str:
    """Which number the heatmap shows, such as "P(F) on M rows"."""
    own = question.target_class
    if question.goal == "weaken":
        return f"1 - P({own}) on {own} rows"
    other = next((name for name in question.classes if name != own), own)
    return f"P({own}) on {other} rows"


MOST_RUNS, MOST_QUESTIONS = 6, 8


@dataclass
class _Kept:
    """One run: its scores by cell (None is the base) up to `rev`, the same on the grid, and the answers to the latest
    questions."""

    rev: int = 0
    scores: dict[Cell | None, CellScore] = field(default_factory=dict)
    scored: ScoredGrid | None = None
    answers: list[tuple[Question, GridPicture]] = field(default_factory=list)


class Pictures:
    """Pictures of a store's runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: Memory[_Kept] = Memory(MOST_RUNS)
        self._lock = threading.Lock()

    def of(self, run: str, grid: Grid, question: Question) -> tuple[int, GridPicture]:
        """(rev, `picture_of` the run's scores at that revision). Raises NotFound."""
        with self._lock:
            kept = self._newest(run)
            known = next((picture for asked, picture in kept.answers if asked == question), None)
            if known is None:
                if kept.scored is None or kept.scored.grid != grid:
                    kept.scored = ScoredGrid(grid, kept.scores[None], list(kept.scores.values())[1:])
                known = picture_on(question, kept.scored)
                kept.answers = [(question, known), *kept.answers[: MOST_QUESTIONS - 1]]
            return kept.rev, known

    def _newest(self, run: str) -> _Kept:
        kept = self._kept.get(run) or _Kept()
        rev, changed = self._store.cells(run, kept.rev)
        if changed:
            kept.scores.update((score.cell, score) for score in changed)
            kept.scored, kept.answers = None, []
        kept.rev = rev
        self._kept.keep(run, kept)
        return kept
