"""Numbers as people read them: three significant digits, a real minus sign, short durations and counts.

Knows nothing of metrics, widgets or models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

MISSING = "–"
MINUS = "\u2212"


def three_digits(value: float | None) -> str:
    """`0.7123 -> "0.712"`, `12.34 -> "12.3"`, `None -> "–"`; very small numbers in powers of ten."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.0005:
        text = f"{value:.1e}".replace("e-0", "e-")
    elif size < 1:
        text = f"{value:.3f}"
    else:
        text = f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"
    return text.replace("-", MINUS)


def six_digits(value: float | None) -> str:
    """Six decimals, for what a pointer shows: `0.7124565 -> "0.712457"`."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.6f}".replace("-", MINUS)


def probability(value: float | None) -> str:
    """As `three_digits`, but short where it is next to nothing: `0.0001 -> "<0.001"`."""
    return "<0.001" if value is not None and 0 < value < 0.0005 else three_digits(value)


def change(value: float | None) -> str:
    """A signed difference: `0.31 -> "+0.310"`."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", MINUS)


def plain(value: float) -> str:
    """A grid value as it was typed: `0.20 -> "0.2"`, `-1.0 -> "−1"`."""
    return f"{value:g}".replace("-", MINUS)


def signed(value: float) -> str:
    """A feature factor with its direction: `1.0 -> "+1"`."""
    return (f"{value:+g}" if value else "0").replace("-", MINUS)


def cell_name(feature_factor: float, learning_rate: float) -> str:
    return f"({signed(feature_factor)}, {plain(learning_rate)})"


def percent(value: float | None) -> str:
    return MISSING if value is None else f"{three_digits(100 * value)} %"


def big(value: float) -> str:
    """A count of weights: `4732456 -> "4.73 M"`."""
    for limit, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{three_digits(value / limit)} {suffix}"
    return f"{value:g}"


def clock(seconds: float | None) -> str:
    """Seconds as minutes and seconds: `72 -> "1:12"`; hours where needed."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes}:{secs:02d}"


def finite_row(values: Iterable[float | None]) -> list[float | None]:
    """Six significant digits: all that is ever shown, and less to send; None where a number is not finite."""
    return [None if x is None or not math.isfinite(x) else float(f"{x:.6g}") for x in values]


def finite_table(rows: Iterable[Iterable[float | None]]) -> list[list[float | None]]:
    return [finite_row(row) for row in rows]
