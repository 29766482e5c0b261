"""A run's scores in the grid's order, with what the questions read of them: built once, however many are asked.

What the threshold does not move (tables, a question's candidates and metric) is kept here; what it moves is
`engine.picture`'s. Knows no tensors, no disk, no colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from gradiend_ui.engine.policies import Candidate, LMSThresholdPolicy
from gradiend_ui.engine.selection import Question, candidates_of
from gradiend_ui.engine.values import BASE_LMS, LMS_ERROR, CellScore, Grid, finite_or_none

Table = list[list[Any]]
Answer = TypeVar("Answer")
ANY_POLICY = LMSThresholdPolicy()


@dataclass(frozen=True)
class Reading:
    """What one question reads, whatever its policy: tables of its metric and of the metric's standard error."""

    metric: Table
    metric_error: Table


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

    def table(self, value: Callable[[CellScore], Any]) -> Table:
        """`value` of every cell."""
        values, width = [value(score) for score in self._ordered], len(self.grid.learning_rates)
        return [values[start : start + width] for start in range(0, len(values), width)]

    def candidates(self, question: Question) -> list[Candidate]:
        """As `engine.selection.candidates_of`."""
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
    def lms(self) -> Table:
        return self.table(lambda score: finite_or_none(score.lms_value))

    @cached_property
    def lms_ratio(self) -> Table:
        """LMS / base LMS, of a provisional score on the same texts; None for a base of 0."""
        whole = self.comparable_lms

        def ratio(score: CellScore) -> float | None:
            value, base = finite_or_none(score.lms_value), score.lms.get(BASE_LMS, whole)
            return value / base if base and value is not None else None

        return self.table(ratio)

    @cached_property
    def comparable(self) -> Table:
        """Whether a cell's LMS may be held against the threshold: not that of other texts than the base's."""
        return self.table(lambda score: BASE_LMS not in score.lms)

    @cached_property
    def by_dataset(self) -> dict[str, dict[str, Table]]:
        """{dataset: {class: P(class) on its rows}}, both in alphabetical order."""
        shapes = {
            tuple((dataset, *row) for dataset, row in score.probs_by_dataset.items())
            for score in (self.base, *self.scores)
        }
        pairs = sorted({(dataset, name) for shape in shapes for dataset, *row in shape for name in row})
        tables: dict[str, dict[str, Table]] = {}
        for dataset, name in pairs:
            tables.setdefault(dataset, {})[name] = self.table(
                lambda score, d=dataset, c=name: finite_or_none(score.probs_by_dataset.get(d, {}).get(c))  # type: ignore[misc]
            )
        return tables

    @cached_property
    def of_cells(self) -> dict[str, Any]:
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
