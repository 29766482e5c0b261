"""Payload of the row chart: one feature factor's row, every measure against the learning rate.

Knows nothing of how it is drawn and no words. `kind` says what a line is: `target` (the class on the rows that
decide), `other` (on its own rows, or on the other class's where its own decide), `further` (on the rows of more
classes) or `kept` (LMS relative to the base).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gradiend_ui.figures.maps import Measure
from gradiend_ui.figures.numbers import finite_row

MOST_LINES = 4

LineKind = Literal["target", "other", "further", "kept"]


def build_row_chart(
    picture: Mapping[str, Any],
    lines: Sequence[tuple[LineKind, Measure]],
    cell: Mapping[str, Any] | None,
    ratio: float | None,
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
        "lines": [_line(kind, measure, row) for kind, measure in lines],
        "status": picture["status"][row],
        "threshold": ratio,
    }


def _line(kind: LineKind, measure: Measure, row: int) -> dict[str, Any]:
    return {
        "name": measure.title,
        "kind": kind,
        "tip": measure.tip,
        "values": finite_row(measure.values[row]),
        "base": measure.base,
    }
