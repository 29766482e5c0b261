"""Payload of the heatmaps: one table of values per map over (feature factor, learning rate); and of the row chart.

Rows are feature factors, columns learning rates, both ascending. A table is sent once, however many maps and details
read it; not at all where the page already holds the tables of this run at this revision. Here is where
the colours of a map begin and end; the colours themselves are in the style sheet (`ramp` names one). The row chart
shows one feature factor's row, every measure against the learning rate. Knows nothing of how the values came about, of
the words on the page or how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, TypeVar

from gradiend_ui.engine.answers.checkpoint import Number
from gradiend_ui.engine.answers.run import Degenerate, Flags, Numbers, Picture
from gradiend_ui.engine.values import DEFAULT_PRECISION, CellPlace
from gradiend_ui.figures.numbers import finite_row, finite_table

MOST_LINES = 4

Value = TypeVar("Value")
TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
KEPT_STOPS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
LOW_QUANTILE, HIGH_QUANTILE = 0.02, 0.98

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
    values: Numbers
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


class MapPayload(TypedDict):
    """One map. ramp: names its colours; stops: where they lie, ascending; clipped: a value lies beyond their end.

    table: the key of its values; base: the base model's value.
    """

    name: str
    title: str
    tip: str
    ramp: Kind
    stops: list[float]
    clipped: bool
    table: str
    base: Number


class DetailPayload(TypedDict):
    """A further number of every cell, for tooltips and the table."""

    label: str
    table: str
    base: Number


class CellsPayload(TypedDict, total=False):
    """What is told of the cells whatever is asked; left out where the page holds it. degenerate: None for no cell."""

    status: list[list[str]]
    reason: list[list[str | None]]
    rows_done: list[list[int]]
    rows_total: int
    degenerate: list[list[Degenerate | None]] | None


class MapsPayload(CellsPayload):
    """What heatmap.js draws.

    tables_version: names what no question changes; held: the page has it, so it is left out. tables: values by key;
    matrix: maps in a row, 0 for one below the other; errors: standard errors, None where no value is provisional;
    can_win: per row, cannot: why not. Places are [row, column]; best: the winner's, fallback: it did not pass.
    """

    run: str
    rev: int
    tables_version: str
    held: bool
    feature_factors: list[float]
    learning_rates: list[float]
    tables: dict[str, Numbers]
    maps: list[MapPayload]
    details: list[DetailPayload]
    matrix: int
    errors: dict[str, Numbers] | None
    passes: Flags
    can_win: list[bool]
    cannot: str
    pinned: list[list[int]]
    chosen: list[int] | None
    best: list[int] | None
    fallback: bool


def build_maps(
    picture: Picture,
    run: str,
    measures: Sequence[Measure],
    details: Sequence[Measure] = (),
    *,
    marks: Marks | None = None,
    matrix: int = 0,
    held: str = "",
) -> MapsPayload:
    """The payload of a run's newest picture (the keys of `Session.picture`).

    measures: one map each; details: further numbers for tooltips and the table
    matrix: how many maps stand in a row, for small multiples with one scale; 0: one below the other.
    held: the version that the page has; where it is still this one, what no question changes is left out.
    """
    marks = marks or Marks()
    version = f"{run}:{picture['rev']}" if run else ""
    is_held = bool(version) and held == version
    known = {item.key for item in (*details, *(m for m in measures if m.kind == "kept"))} if is_held else set()
    cells: CellsPayload = {} if is_held else _of_cells(picture)
    shared = shared_top([item.values for item in measures if item.kind == "probability"]) if matrix else None
    tables = {item.key: finite_table(item.values) for item in (*measures, *details) if item.key not in known}
    return {
        "run": run,
        "rev": picture["rev"],
        "tables_version": version,
        "held": is_held,
        "feature_factors": picture["feature_factors"],
        "learning_rates": picture["learning_rates"],
        "tables": tables,
        "maps": [_map(item, shared) for item in measures],
        "details": [{"label": item.title, "table": item.key, "base": item.base} for item in details],
        "matrix": matrix,
        **cells,
        "errors": _errors(picture),
        "passes": picture["passes"],
        "can_win": picture["can_win"],
        "cannot": marks.cannot,
        "pinned": [place for cell in marks.pinned if (place := _place(picture, *cell))],
        "chosen": _place(picture, *marks.chosen) if marks.chosen else None,
        "best": place_of(picture, picture["selection"]),
        "fallback": bool(picture["selection"] and picture["selection"]["fallback"]),
    }


def _of_cells(picture: Picture) -> CellsPayload:
    """What a picture tells of its cells whatever is asked."""
    return {
        "status": picture["status"],
        "reason": picture["reason"],
        "rows_done": picture["rows_done"],
        "rows_total": picture["rows_total"],
        "degenerate": picture["degenerate"] if any(map(any, picture["degenerate"])) else None,
    }


def _errors(picture: Picture) -> dict[str, Numbers] | None:
    """Standard errors of the deciding number and of the LMS in every cell; None where no value is provisional."""
    tables = {"metric": picture["metric_error"], "lms": picture["lms_error"]}
    if not any(value is not None for table in tables.values() for row in table for value in row):
        return None
    return {name: finite_table(table) for name, table in tables.items()}


def empty_picture(feature_factors: Sequence[float], learning_rates: Sequence[float]) -> Picture:
    """The grid that would be computed, as a picture: every cell pending."""

    def filled(value: Value) -> list[list[Value]]:
        return [[value] * len(learning_rates) for _ in feature_factors]

    return {
        "rev": 0,
        "state": "",
        "done": 0,
        "total": len(feature_factors) * len(learning_rates),
        "eta_seconds": None,
        "position": 0,
        "error": None,
        "imported": None,
        "earlier_scorer": False,
        "neutral_set": None,
        "precision": DEFAULT_PRECISION,
        "search": None,
        "feature_factors": sorted(feature_factors),
        "learning_rates": sorted(learning_rates),
        "metric": filled(None),
        "metric_error": filled(None),
        "metric_label": "",
        "classes": [],
        "other": None,
        "lms": filled(None),
        "lms_error": filled(None),
        "lms_ratio": filled(None),
        "status": filled("pending"),
        "reason": filled(None),
        "passes": filled(None),
        "rows_done": filled(0),
        "rows_total": 0,
        "precisions": filled(DEFAULT_PRECISION),
        "precision_error": None,
        "skipped": 0,
        "by_dataset": {},
        "degenerate": filled(None),
        "base": None,
        "selection": None,
        "can_win": [True] * len(feature_factors),
        "winners": [],
    }


def place_of(picture: Picture, cell: CellPlace | None) -> list[int] | None:
    """[row, column] of a cell in the picture, or None where the grid does not have it."""
    return _place(picture, cell["feature_factor"], cell["learning_rate"]) if cell else None


def difference(values: Numbers, base: float | None) -> Numbers:
    """Every value minus the base's; None where either is not known."""
    return [[None if value is None or base is None else value - base for value in row] for row in values]


def probability_top(values: Numbers) -> tuple[float, bool]:
    """Upper end of the colours and whether a value lies beyond it.

    The next round number above 98 % of the values, so that it moves rarely and one outlier does not decide it.
    """
    return shared_top([values])


def shared_top(tables: Sequence[Numbers]) -> tuple[float, bool]:
    """As `probability_top`, one end for all tables."""
    known = _known([value for table in tables for row in table for value in row])
    if not known:
        return 1.0, False
    top = next((top for top in TOPS if quantile(known, HIGH_QUANTILE) <= top), 1.0)
    return top, known[-1] > top


def change_limit(values: Numbers) -> tuple[float, bool]:
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


def _map(item: Measure, shared: tuple[float, bool] | None) -> MapPayload:
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


def _place(picture: Picture, feature_factor: float, learning_rate: float) -> list[int] | None:
    try:
        return [picture["feature_factors"].index(feature_factor), picture["learning_rates"].index(learning_rate)]
    except ValueError:
        return None


# --- the row chart ---------------------------------------------------------------------------------------------------


class LinePayload(TypedDict):
    """One line of the row chart. base: the base model's value; tip: what the number means."""

    name: str
    kind: LineKind
    tip: str
    values: list[Number]
    base: Number


class RowPayload(TypedDict):
    """What row_chart.js draws: a row of the grid. column: of the selected cell, None where it is not in the grid.

    status: of each cell; threshold: the share of the base's LMS that must stay.
    """

    rev: int
    learning_rates: list[float]
    feature_factor: float
    row: int
    column: int | None
    lines: list[LinePayload]
    status: list[str]
    threshold: float | None


def build_row_chart(
    picture: Picture,
    lines: Sequence[tuple[LineKind, Measure]],
    cell: CellPlace | None,
    ratio: float | None,
) -> RowPayload:
    """The row of `cell` (the first row without one); `ratio` draws the LMS threshold, None leaves it out."""
    feature_factors, learning_rates = picture["feature_factors"], picture["learning_rates"]
    row, column = 0, None
    if cell and cell["feature_factor"] in feature_factors:
        row = feature_factors.index(cell["feature_factor"])
    if cell and cell["learning_rate"] in learning_rates:
        column = learning_rates.index(cell["learning_rate"])
    return {
        "rev": picture["rev"],
        "learning_rates": learning_rates,
        "feature_factor": feature_factors[row],
        "row": row,
        "column": column,
        "lines": [_line(kind, measure, row) for kind, measure in lines],
        "status": picture["status"][row],
        "threshold": ratio,
    }


def _line(kind: LineKind, measure: Measure, row: int) -> LinePayload:
    return {
        "name": measure.title,
        "kind": kind,
        "tip": measure.tip,
        "values": finite_row(measure.values[row]),
        "base": measure.base,
    }
