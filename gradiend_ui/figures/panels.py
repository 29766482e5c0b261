"""Panels one below the other in a Plotly figure, and a logarithmic axis of learning rates that has zero.

Room is worked out in pixels: the width is the reader's, every height is fixed, so that titles, axes and labels do not
collide. On the axis positive rates lie at log10(rate), shifted so that the smallest |rate| is at `ROOM`; zero is the
base, at 0; negative rates mirror the positive ones. Knows nothing of what is drawn.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.numbers import plain
from gradiend_ui.figures.palette import FONT, Palette

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


TITLE_ROOM = 24  # above every panel, for its title
GAP = 10  # between one panel and the next one's title
KEY_ROOM = 26
FOOT = 52  # the x axis with its title
NOTE_ROOM = 40  # two lines below it
LABEL_STEP = 15  # one line of a label
PIXELS_PER_INCH = 96
MOST_INCHES = 200
WRAP = 108  # characters of a subtitle's line


@dataclass(frozen=True)
class Panel:
    """One panel. heading and remark are plain text; height and top are of the plot area: pixels, upper end of y."""

    heading: str
    remark: str
    height: int
    top: float = 1.0
    bottom: float = 0.0

    def pixels(self, value: float) -> float:
        """The height of `value` above the panel's lower edge."""
        return (value - self.bottom) / (self.top - self.bottom) * self.height


def escaped(text: object) -> str:
    """Names and sentences for Plotly's pseudo-HTML."""
    return html.escape(str(text), quote=False)


def checked_size(figsize: Sequence[float] | None) -> tuple[float, float] | None:
    """The same (width, height) in inches. Raises BadData unless it is two numbers above 0."""
    if figsize is None:
        return None
    if len(figsize) != 2 or not all(isinstance(size, int | float) and 0 < size < MOST_INCHES for size in figsize):
        raise BadData(f"figsize must be (width, height) in inches, such as (6, 4), not {tuple(figsize)!r}.")
    return float(figsize[0]), float(figsize[1])


def axis_name(letter: str, place: int) -> str:
    """Plotly's reference to the axis of panel 0, 1, 2, ...: "y", "y2", "y3"."""
    return letter if place == 0 else f"{letter}{place + 1}"


def explained(subtitle: str) -> tuple[str, int]:
    """A figure's explanation in Plotly's pseudo-HTML, wrapped, and the number of its lines."""
    lines = textwrap.wrap(subtitle, WRAP)
    return "<br>".join(escaped(line) for line in lines), len(lines)


def fitted(panels: Sequence[Panel], figsize: tuple[float, float] | None, head: int, foot: int) -> list[Panel]:
    """The panels with their heights stretched so that the figure is as high as `figsize` asks, at least 40 each."""
    if figsize is None:
        return list(panels)
    free = figsize[1] * PIXELS_PER_INCH - head - foot - TITLE_ROOM * len(panels) - GAP * (len(panels) - 1)
    share = free / sum(panel.height for panel in panels)
    return [replace(panel, height=max(40, round(panel.height * share))) for panel in panels]


def stacked(
    panels: Sequence[Panel],
    palette: Palette,
    *,
    title: str = "",
    subtitle: str = "",
    key: str = "",
    note: str = "",
    x_title: str,
    x_axis: Mapping[str, Any],
    figsize: tuple[float, float] | None = None,
) -> tuple[go.Figure, list[Panel]]:
    """An empty figure with these panels over one x axis, and the panels as they came out.

    Traces go to `axis_name("y", place)`. title, subtitle, x_title are plain text; key (above) and note (below) are
    Plotly's pseudo-HTML. figsize: (width, height) in inches of 96 pixels; None: the width of the page.
    """
    figsize = checked_size(figsize)
    explanation, lines = explained(subtitle)
    below_title = KEY_ROOM if key else 0
    head = 20 + (26 if title else 0) + 17 * lines + below_title
    foot = FOOT + (NOTE_ROOM if note else 0)
    panels = fitted(panels, figsize, head, foot)
    inner = sum(panel.height + TITLE_ROOM for panel in panels) + GAP * (len(panels) - 1)
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=inner + head + foot,
        margin={"l": 58, "r": 22, "t": head, "b": foot, "autoexpand": False},
        paper_bgcolor=palette.surface,
        plot_bgcolor=palette.surface,
        font={"family": FONT, "size": 12, "color": palette.soft},
        showlegend=False,
        hovermode="closest",
        hoverdistance=24,
        hoverlabel={"bgcolor": palette.surface, "bordercolor": palette.line, "font": {"color": palette.ink}},
        title={"text": f"<b>{escaped(title)}</b>" if title else ""} | _title_place(palette),
    )
    if figsize is not None:
        figure.update_layout(width=round(figsize[0] * PIXELS_PER_INCH))
    above = 0.0
    for place, panel in enumerate(panels):
        upper = 1 - (above + TITLE_ROOM) / inner
        _add_panel(figure, place, panel, (max(0.0, upper - panel.height / inner), upper), palette)
        above += panel.height + TITLE_ROOM + GAP
    _set_x_axis(figure, len(panels) - 1, palette, x_title, x_axis)
    _write(figure, explanation, palette, y=1, yanchor="bottom", yshift=4 + below_title)
    _write(figure, key, palette, y=1, yanchor="bottom", yshift=4)
    _write(figure, note, palette, y=0, yanchor="top", yshift=-FOOT + 2)
    return figure, panels


def _title_place(palette: Palette) -> dict[str, Any]:
    return {
        "font": {"size": 18, "color": palette.ink, "weight": 400},
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "container",
        "yanchor": "top",
        "pad": {"t": 14},
        "automargin": False,
    }


def _write(figure: go.Figure, text: str, palette: Palette, **place: Any) -> None:
    """A line across the whole figure, at its left edge."""
    if text:
        look = {"font": {"size": 12, "color": palette.soft}, "align": "left", "showarrow": False}
        figure.add_annotation(text=text, x=0, xref="paper", xanchor="left", xshift=-1, yref="paper", **look, **place)


def _add_panel(figure: go.Figure, place: int, panel: Panel, domain: tuple[float, float], palette: Palette) -> None:
    name = "yaxis" + axis_name("y", place)[1:]
    figure.layout[name] = {
        "domain": list(domain),
        "range": [panel.bottom, panel.top],
        "anchor": "x",
        "gridcolor": palette.hair,
        "zeroline": False,
        "nticks": 6,
        "tickfont": {"size": 11},
        "ticks": "",
    }
    remark = f"  <span style='font-size:12px;color:{palette.soft}'>{escaped(panel.remark)}</span>"
    figure.add_annotation(
        text=f"<b>{escaped(panel.heading)}</b>" + (remark if panel.remark else ""),
        font={"size": 13, "color": palette.ink},
        x=0,
        xref="paper",
        xanchor="left",
        y=domain[1],
        yref="paper",
        yanchor="bottom",
        yshift=2,
        showarrow=False,
    )


def _set_x_axis(figure: go.Figure, last: int, palette: Palette, title: str, given: Mapping[str, Any]) -> None:
    figure.layout.xaxis = {
        "anchor": axis_name("y", last),
        "domain": [0, 1],
        "gridcolor": palette.hair,
        "showgrid": False,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": palette.line,
        "tickfont": {"size": 11},
        "title": {"text": escaped(title), "standoff": 8, "font": {"size": 12}},
        **given,
    }


def spread(wanted: Sequence[float], lowest: float, highest: float, step: float = LABEL_STEP) -> list[float]:
    """Pixel heights near `wanted` and at least `step` apart, inside [lowest, highest] while there is room."""
    order = sorted(range(len(wanted)), key=lambda k: wanted[k])
    placed = list(wanted)
    floor = lowest
    for k in order:
        placed[k] = max(wanted[k], floor)
        floor = placed[k] + step
    ceiling = highest
    for k in reversed(order):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - step
    return placed
