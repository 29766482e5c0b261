"""Payload of the row chart: one feature factor's row, every measure against the learning rate.

Knows nothing of how it is drawn. `kind` says what a line is: `target` (the class on the metric's rows), `other`
(the same class on further rows) or `kept` (LMS relative to the base).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.figures.numbers import finite_row

MOST_LINES = 4
KEPT_LABEL = "LMS / base"


def build_row_chart(
    picture: Mapping[str, Any], target_class: str, cell: Mapping[str, Any] | None, ratio: float | None
) -> dict[str, Any]:
    """The row of `cell` (the first row without one); `ratio` draws the LMS threshold, None leaves it out."""
    factors: list[float] = picture["feature_factors"]
    columns: list[float] = picture["learning_rates"]
    row = factors.index(cell["feature_factor"]) if cell and cell["feature_factor"] in factors else 0
    column = columns.index(cell["learning_rate"]) if cell and cell["learning_rate"] in columns else None
    return {
        "rev": picture["rev"],
        "columns": columns,
        "feature_factor": factors[row],
        "row": row,
        "column": column,
        "lines": [*_class_lines(picture, target_class, row), _kept_line(picture, row)],
        "status": picture["status"][row],
        "threshold": ratio,
    }


def _class_lines(picture: Mapping[str, Any], target_class: str, row: int) -> list[dict[str, Any]]:
    base = picture["base"]
    datasets = sorted(picture["by_dataset"], key=lambda name: name == target_class)[:MOST_LINES]
    return [
        {
            "name": f"P({target_class}) on {dataset} rows",
            "kind": "other" if dataset == target_class and len(datasets) > 1 else "target",
            "values": finite_row(picture["by_dataset"][dataset][target_class][row]),
            "base": base and base["probs_by_dataset"][dataset][target_class],
        }
        for dataset in datasets
        if target_class in picture["by_dataset"][dataset]
    ]


def _kept_line(picture: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {
        "name": KEPT_LABEL,
        "kind": "kept",
        "values": finite_row(picture["lms_ratio"][row]),
        "base": 1.0 if picture["base"] else None,
    }
