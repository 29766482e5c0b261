"""Payload of the heatmaps: one table of values per map over (feature factor, learning rate); and of the row chart.

Rows are feature factors, columns learning rates, both ascending. A table is sent once, however many maps and details
read it; not at all where the page already holds the *ground*, the tables of this run at this revision. Here is where
the colours of a map begin and end; the colours themselves are in the style sheet (`ramp` names one). The row chart
shows one feature factor's row, every measure against the learning rate. Knows nothing of how the values came about, of
the words on the page or how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gradiend_ui.figures.numbers import finite_row, finite_table

MOST_LINES = 4
TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
KEPT_STOPS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
LOW_QUANTILE, HIGH_QUANTILE = 0.02, 0.98
OF_CELLS = ("status", "reason", "rows_done", "rows_total")
"""What a picture tells of its cells whatever is asked."""
Table = list[list[Any]]
Kind = Literal["probability", "change", "kept", "number"]
LineKind = Literal["target", "other", "further", "kept"]
"""What a line is: the class on the rows that decide; the class on its own rows, or on the other class's where its own
decide; the class on the rows of further classes; the LMS relative to the base."""


@dataclass(frozen=True)
class Measure:
    """One number of every cell. key: its table's name; kind "number" is a detail that no map draws.

    base: the base model's value, None where it is not known; tip: meaning, range and direction in a sentence; name:
    the map's own, where several maps may show one table.
    """

    key: str
    title: str
    kind: Kind
    values: Table
    base: float | None
    tip: str = ""
    name: str = ""


@dataclass(frozen=True)
class Marks:
    """What is drawn over the cells. pinned: (feature factor, learning rate) with the letters A, B, C, D.

    cannot: why a row that cannot win cannot, in a few words. chosen: the selected cell, None: the best one.
    """

    pinned: Sequence[tuple[float, float]] = ()
    cannot: str = ""
    chosen: tuple[float, float] | None = None


def build_maps(
    picture: Mapping[str, Any],
    run: str,
    measures: Sequence[Measure],
    details: Sequence[Measure] = (),
    *,
    marks: Marks | None = None,
    matrix: int = 0,
    held: str = "",
) -> dict[str, Any]:
    """The payload of a run's newest picture (the keys of `Session.picture`).

    measures: one map each; details: further numbers for tooltips and the table
    matrix: how many maps stand in a row, for small multiples with one scale; 0: one below the other.
    held: the ground that the page has; where it is still this one, what no question changes is left out.
    """
    marks = marks or Marks()
    ground = f"{run}:{picture['rev']}" if run else ""
    is_held = bool(ground) and held == ground
    known = {item.key for item in (*details, *(m for m in measures if m.kind == "kept"))} if is_held else set()
    shared = shared_top([item.values for item in measures if item.kind == "probability"]) if matrix else None
    tables = {item.key: finite_table(item.values) for item in (*measures, *details) if item.key not in known}
    return {
        "run": run,
        "rev": picture["rev"],
        "ground": ground,
        "held": is_held,
        "rows": picture["feature_factors"],
        "columns": picture["learning_rates"],
        "tables": tables,
        "maps": [_map(item, shared) for item in measures],
        "details": [{"label": item.title, "table": item.key, "base": item.base} for item in details],
        "matrix": matrix,
        **({} if is_held else {key: picture[key] for key in OF_CELLS}),
        "errors": _errors(picture),
        "passes": picture["passes"],
        "can_win": picture.get("can_win") or [True] * len(picture["feature_factors"]),
        "cannot": marks.cannot,
        "pinned": [place for cell in marks.pinned if (place := _place(picture, *cell))],
        "chosen": _place(picture, *marks.chosen) if marks.chosen else None,
        "best": place_of(picture, picture["selection"]),
        "fallback": bool(picture["selection"] and picture["selection"]["fallback"]),
    }


def _errors(picture: Mapping[str, Any]) -> dict[str, Table] | None:
    """Standard errors of the deciding number and of the LMS in every cell; None where no value is provisional."""
    tables = {"metric": picture.get("metric_error") or [], "lms": picture.get("lms_error") or []}
    if not any(value is not None for table in tables.values() for row in table for value in row):
        return None
    return {name: finite_table(table) for name, table in tables.items()}


def empty_picture(feature_factors: Sequence[float], learning_rates: Sequence[float]) -> dict[str, Any]:
    """The grid that would be computed, as a picture: every cell pending."""
    rows, columns = sorted(feature_factors), sorted(learning_rates)

    def filled(value: Any) -> Table:
        return [[value] * len(columns) for _ in rows]

    return {
        "rev": 0,
        "feature_factors": rows,
        "learning_rates": columns,
        "metric": filled(None),
        "lms": filled(None),
        "lms_ratio": filled(None),
        "status": filled("pending"),
        "reason": filled(None),
        "passes": filled(None),
        "rows_done": filled(0),
        "rows_total": 0,
        "by_dataset": {},
        "base": None,
        "selection": None,
    }


def place_of(picture: Mapping[str, Any], cell: Mapping[str, Any] | None) -> list[int] | None:
    """[row, column] of a cell in the picture, or None where the grid does not have it."""
    return _place(picture, cell["feature_factor"], cell["learning_rate"]) if cell else None


def difference(values: Table, base: float | None) -> Table:
    """Every value minus the base's; None where either is not known."""
    return [[None if value is None or base is None else value - base for value in row] for row in values]


def probability_top(values: Table) -> tuple[float, bool]:
    """Upper end of the colours and whether a value lies beyond it.

    The next round number above 98 % of the values, so that it moves rarely and one outlier does not decide it.
    """
    return shared_top([values])


def shared_top(tables: Sequence[Table]) -> tuple[float, bool]:
    """As `probability_top`, one end for all tables."""
    known = _known([value for table in tables for row in table for value in row])
    if not known:
        return 1.0, False
    top = next((top for top in TOPS if quantile(known, HIGH_QUANTILE) <= top), 1.0)
    return top, known[-1] > top


def change_limit(values: Table) -> tuple[float, bool]:
    """The change at which the colours end on either side of zero, and whether a value lies beyond it.

    The larger of the 2 % and the 98 % quantile by size, with two significant digits, rounded up.
    """
    known = _known([value for row in values for value in row])
    size = max((abs(quantile(known, share)) for share in (LOW_QUANTILE, HIGH_QUANTILE)), default=0.0) if known else 0.0
    if size == 0:
        size = max((abs(value) for value in known), default=0.0)
    if size == 0:
        return 1.0, False
    step = 10.0 ** (math.floor(math.log10(size)) - 1)
    limit = float(f"{math.ceil(size / step - 1e-9) * step:.12g}")
    return limit, any(abs(value) > limit for value in known)


def quantile(ascending: Sequence[float], share: float) -> float:
    """Linear between the neighbours, as numpy does it."""
    place = share * (len(ascending) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (place - low) * (ascending[high] - ascending[low])


def _known(values: Sequence[float | None]) -> list[float]:
    return sorted(value for value in values if value is not None and math.isfinite(value))


def _map(item: Measure, shared: tuple[float, bool] | None) -> dict[str, Any]:
    stops, clipped = _scale(item, shared)
    return {
        "name": item.name or item.key,
        "title": item.title,
        "tip": item.tip,
        "ramp": item.kind,
        "stops": stops,
        "clipped": clipped,
        "table": item.key,
        "base": item.base,
    }


def _scale(item: Measure, shared: tuple[float, bool] | None) -> tuple[list[float], bool]:
    """Where the colours lie, and whether a value lies beyond their end."""
    if item.kind == "kept":
        return list(KEPT_STOPS), False
    if item.kind == "change":
        limit, clipped = change_limit(item.values)
        return [-limit, 0.0, limit], clipped
    top, clipped = shared or probability_top(item.values)
    return [0.0, top], clipped


def _place(picture: Mapping[str, Any], feature_factor: float, learning_rate: float) -> list[int] | None:
    try:
        return [picture["feature_factors"].index(feature_factor), picture["learning_rates"].index(learning_rate)]
    except ValueError:
        return None


# --- the row chart ---------------------------------------------------------------------------------------------------


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
