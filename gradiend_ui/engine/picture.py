"""Everything a page draws of one run, as plain tables: rows are feature factors, columns learning rates, ascending.

A pure function of scores and a question; knows no tensors, no disk, no colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.scored_grid import ScoredGrid, Table
from gradiend_ui.engine.selection import LMSThresholdPolicy, Question, select, winning_feature_factors
from gradiend_ui.engine.values import CellScore, Grid, finite_or_none
from gradiend_ui.engine.winners import winners_of


def picture_of(question: Question, grid: Grid, base: CellScore, scores: Sequence[CellScore]) -> dict[str, Any]:
    """The grid's metric, LMS, LMS / base, pass or fail, status and all probabilities, with the selection.

    Values that are not known or not finite are None; "passes" is None where there is no LMS yet or the policy has
    no threshold; "selection" is None until a candidate is finished.
    """
    return picture_on(question, ScoredGrid(grid, base, scores))


def picture_on(question: Question, scored: ScoredGrid) -> dict[str, Any]:
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
        }
        if base.rows_done
        else None,
        "precision_error": base.rounding,
        "skipped": sum(score.status == "skipped" for score in scored.scores),
        "selection": _selection(question, scored),
        "can_win": list(winning_feature_factors(question, grid.feature_factors)),
        "winners": winners_of(question, base, scored.scores, scored.candidates),
    }


def _passes(question: Question, scored: ScoredGrid) -> Table:
    policy, base_lms = question.policy, scored.comparable_lms
    if not isinstance(policy, LMSThresholdPolicy) or base_lms is None:
        return [[None] * len(row) for row in scored.lms]
    return [
        [policy.passes(lms, base_lms) if lms is not None and may else None for lms, may in zip(*rows, strict=True)]
        for rows in zip(scored.lms, scored.comparable, strict=True)
    ]


def _selection(question: Question, scored: ScoredGrid) -> dict[str, Any] | None:
    try:
        return select(question, scored.base, scored.scores, scored.candidates(question)).to_json()
    except NotFound:
        return None


def other_dataset(question: Question, by_dataset: Mapping[str, Mapping[str, Table]]) -> str | None:
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
