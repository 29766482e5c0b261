"""A dense heatmap as a small SVG for the documentation. Knows numbers and colours, no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

CELL_WIDTH, CELL_HEIGHT, LEFT, TOP, BOTTOM = 58, 30, 60, 46, 46
INK, PAPER, MUTED = "#1b1f24", "#ffffff", "#57606a"
LIGHT, DARK = (239, 246, 255), (13, 60, 120)
Table = Sequence[Sequence[float]]


def heatmap_svg(
    title: str,
    values: Table,
    feature_factors: Sequence[float],
    learning_rates: Sequence[float],
    passes: Callable[[int, int], bool],
) -> str:
    """values: (feature factors, learning rates), in [0, 1]; the first row is drawn at the bottom.

    passes: whether a cell keeps the language-modelling score; the others are struck through.
    """
    width = LEFT + CELL_WIDTH * len(learning_rates) + 16
    height = TOP + CELL_HEIGHT * len(feature_factors) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600" fill="{INK}">{escape(title)}</text>',
    ]
    bottom = TOP + CELL_HEIGHT * len(feature_factors)
    for row, factor in enumerate(feature_factors):
        top = bottom - CELL_HEIGHT * (row + 1)
        parts.append(_text(LEFT - 8, top + 19, (f"{factor:+g}" if factor else "0").replace("-", "−"), MUTED, "end"))
        for column in range(len(learning_rates)):
            parts += _cell(LEFT + CELL_WIDTH * column, top, values[row][column], passes(row, column))
    for column, rate in enumerate(learning_rates):
        parts.append(_text(LEFT + CELL_WIDTH * (column + 0.5), bottom + 18, f"{rate:g}", MUTED))
    parts.append(_text(LEFT + CELL_WIDTH * len(learning_rates) / 2, bottom + 38, "learning rate", MUTED))
    middle = TOP + CELL_HEIGHT * len(feature_factors) / 2
    parts.append(
        f'<text x="14" y="{middle:g}" fill="{MUTED}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:g})">feature factor</text>'
    )
    return "\n".join([*parts, "</svg>\n"])


def colour(value: float) -> str:
    """From light to dark blue for a value in [0, 1]."""
    share = min(1.0, max(0.0, value))
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(LIGHT, DARK, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _cell(x: float, y: float, value: float, passes: bool) -> list[str]:
    ink = PAPER if value > 0.5 else INK
    drawn = [f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 1}" height="{CELL_HEIGHT - 1}" fill="{colour(value)}"/>']
    if not passes:
        drawn.append(f'<path d="M{x} {y + CELL_HEIGHT - 1}L{x + CELL_WIDTH - 1} {y}" stroke="#b42318" opacity="0.65"/>')
    return [*drawn, _text(x + CELL_WIDTH / 2, y + 19, f"{value:.2f}", ink)]


def _text(x: float, y: float, text: str, ink: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{ink}" text-anchor="{anchor}">{text}</text>'
