"""Payload of the linked maps: one table of values per map over (feature factor, learning rate).

Rows are feature factors, columns learning rates, both ascending. Knows nothing of how the values came about
or how they are drawn; the colours themselves are in the style sheet (`ramp` names one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.figures.numbers import finite_table

TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
KEPT_STOPS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
KEPT_TITLE = "LMS / base"

Table = list[list[Any]]


def build_maps(picture: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The payload of a run's newest picture (the keys of `Session.picture`)."""
    base = picture["base"]
    top = _round_top(picture["metric"])
    return {
        "run": run,
        "rev": picture["rev"],
        "rows": picture["feature_factors"],
        "columns": picture["learning_rates"],
        "maps": [
            _map(
                "metric", picture["metric_label"], "probability", [0.0, top], picture["metric"], base and base["metric"]
            ),
            _map("lms", KEPT_TITLE, "kept", list(KEPT_STOPS), picture["lms_ratio"], 1.0 if base else None),
        ],
        "details": [
            {"label": "LMS", "values": finite_table(picture["lms"]), "base": base and base["lms"]},
            *_details(picture),
        ],
        "status": picture["status"],
        "reason": picture["reason"],
        "passes": picture["passes"],
        "rows_done": picture["rows_done"],
        "rows_total": picture["rows_total"],
        "best": place_of(picture, picture["selection"]),
        "fallback": bool(picture["selection"] and picture["selection"]["fallback"]),
    }


def build_empty_maps(
    feature_factors: Sequence[float], learning_rates: Sequence[float], metric_label: str
) -> dict[str, Any]:
    """The grid that would be computed: every cell pending."""
    rows, columns = sorted(feature_factors), sorted(learning_rates)

    def filled(value: Any) -> Table:
        return [[value] * len(columns) for _ in rows]

    return build_maps(
        {
            "rev": 0,
            "feature_factors": rows,
            "learning_rates": columns,
            "metric": filled(None),
            "metric_label": metric_label,
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
        },
        run="",
    )


def place_of(picture: Mapping[str, Any], cell: Mapping[str, Any] | None) -> list[int] | None:
    """[row, column] of a cell in the picture, or None where the grid does not have it."""
    if not cell:
        return None
    try:
        return [
            picture["feature_factors"].index(cell["feature_factor"]),
            picture["learning_rates"].index(cell["learning_rate"]),
        ]
    except ValueError:
        return None


def _map(name: str, title: str, ramp: str, stops: list[float], values: Table, base: float | None) -> dict[str, Any]:
    return {"name": name, "title": title, "ramp": ramp, "stops": stops, "values": finite_table(values), "base": base}


def _details(picture: Mapping[str, Any]) -> list[dict[str, Any]]:
    base = picture["base"]
    return [
        {
            "label": f"P({label}) on {dataset} rows",
            "values": finite_table(values),
            "base": base and base["probs_by_dataset"][dataset][label],
        }
        for dataset, classes in picture["by_dataset"].items()
        for label, values in classes.items()
    ]


def _round_top(values: Table) -> float:
    """Upper end of the colours: the next round number, so that it moves rarely while values arrive."""
    largest = max((value for row in values for value in row if value is not None), default=1.0)
    return next((top for top in TOPS if largest <= top), 1.0)
