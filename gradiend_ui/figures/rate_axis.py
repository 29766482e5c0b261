"""Learning rates on a logarithmic axis that also has zero, the base, and negative rates.

Positive rates lie at log10(rate), shifted so that the smallest |rate| is at `ROOM`; zero is the base, at 0; negative
rates mirror the positive ones. Knows no figure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from gradiend_ui.figures.numbers import plain

ROOM = 0.5  # decades between the base and the smallest rate
NEAR, FAR = 1 / 22, 1 / 12  # of the axis: the least distance of two tick labels that matter, and of the others


def rate_positions(rates: Sequence[float]) -> list[float]:
    """Where each rate lies; the base lies at 0."""
    sizes = [abs(rate) for rate in rates if rate != 0]
    smallest = min(sizes, default=1.0)
    return [math.copysign(math.log10(abs(rate) / smallest) + ROOM, rate) if rate else 0.0 for rate in rates]


def rate_axis(rates: Sequence[float], marked: int | None, *, label_room: float) -> dict[str, Any]:
    """Ticks and range for Plotly. marked: place of a rate whose tick is kept; label_room: part left free, on the left.

    Every rate has a tick; labels stand at the base, the marked rate, powers of ten, then wherever there is room.
    """
    places = dict(zip(rate_positions(rates), rates, strict=True)) | {0.0: 0.0}
    low, high = min(places), max(places)
    span = (high - low) or 1.0
    important = [0.0] if marked is None else [rate_positions(rates)[marked], 0.0]
    decades = [place for place, rate in places.items() if rate and _is_decade(rate)]
    labelled = _with_room(places, FAR * span, _with_room([*important, *decades], NEAR * span, set()))
    order = sorted(places)
    return {
        "tickvals": order,
        "ticktext": [_label(places[place]) if place in labelled else "" for place in order],
        "range": [low - label_room * span, high + 0.02 * span],
    }


def _is_decade(rate: float) -> bool:
    power = math.log10(abs(rate))
    return abs(power - round(power)) < 1e-6


def _with_room(candidates: Iterable[float], distance: float, taken: set[float]) -> set[float]:
    """`taken` and those candidates, in order, that are at least `distance` from all before."""
    for place in candidates:
        if all(abs(place - other) >= distance for other in taken):
            taken = taken | {place}
    return taken


def _label(rate: float) -> str:
    return plain(rate) if rate else "base"
