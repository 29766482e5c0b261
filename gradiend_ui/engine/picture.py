"""Everything a page draws of one run, as plain tables: rows are feature factors, columns learning rates, ascending.

A pure function of scores and a question; knows no tensors, no disk, no colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.selection import LMSThresholdPolicy, Question, select, winning_feature_factors
from gradiend_ui.engine.values import CellScore, Grid, finite_or_none
from gradiend_ui.engine.winners import winners_of

Table = list[list[Any]]


def picture_of(question: Question, grid: Grid, base: CellScore, scores: Sequence[CellScore]) -> dict[str, Any]:
    """The grid's metric, LMS, LMS / base, pass or fail, status and all probabilities, with the selection.

    Values that are not known or not finite are None; "passes" is None where there is no LMS yet or the policy has
    no threshold; "selection" is None until a candidate is finished.
    """
    by_cell = {score.cell: score for score in scores}
    ordered = [by_cell.get(cell) or CellScore(cell) for cell in grid.cells]
    width = len(grid.learning_rates)

    def table(value: Callable[[CellScore], Any]) -> Table:
        values = [value(score) for score in ordered]
        return [values[start : start + width] for start in range(0, len(values), width)]

    base_lms = finite_or_none(base.lms_value)
    known = base_lms is not None and base.is_final

    def ratio(score: CellScore) -> float | None:
        lms = finite_or_none(score.lms_value)
        return lms / base_lms if known and base_lms and lms is not None else None

    def passes(score: CellScore) -> bool | None:
        lms = finite_or_none(score.lms_value)
        if not isinstance(question.policy, LMSThresholdPolicy) or not known or base_lms is None or lms is None:
            return None
        return question.policy.passes(lms, base_lms)

    datasets = sorted({(d, c) for score in (base, *scores) for d, row in score.probs_by_dataset.items() for c in row})
    by_dataset: dict[str, dict[str, Table]] = {}
    for dataset, name in datasets:
        by_dataset.setdefault(dataset, {})[name] = table(
            lambda score, d=dataset, c=name: finite_or_none(score.probs_by_dataset.get(d, {}).get(c))  # type: ignore[misc]
        )
    try:
        selection: dict[str, Any] | None = select(question, base, scores).to_json()
    except NotFound:
        selection = None
    return {
        "feature_factors": list(grid.feature_factors),
        "learning_rates": list(grid.learning_rates),
        "metric": table(lambda score: finite_or_none(question.metric(score))),
        "metric_label": metric_label(question),
        "classes": list(question.classes),
        "other": other_dataset(question, by_dataset),
        "lms": table(lambda score: finite_or_none(score.lms_value)),
        "lms_ratio": table(ratio),
        "status": table(lambda score: score.status),
        "reason": table(lambda score: score.reason),
        "passes": table(passes),
        "rows_done": table(lambda score: score.rows_done),
        "rows_total": max((score.rows_total for score in (base, *scores)), default=0),
        "by_dataset": by_dataset,
        "base": {
            "metric": finite_or_none(question.metric(base)),
            "lms": base_lms,
            "probs_by_dataset": base.to_json()["probs_by_dataset"],
            "status": base.status,
        }
        if base.rows_done
        else None,
        "selection": selection,
        "can_win": list(winning_feature_factors(question, grid.feature_factors)),
        "winners": winners_of(question, base, scores),
    }


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
