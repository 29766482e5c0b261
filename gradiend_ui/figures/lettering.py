"""Font sizes, legends and colours that a script asks a figure for, by matplotlib's names and in its units.

Sizes are points, of which 72 make an inch; figures are drawn in pixels, of which 96 do. Knows no figure's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.colors
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData, nearest
from gradiend_ui.figures.panels import PIXELS_PER_INCH

POINTS_PER_INCH = 72
LARGEST = 1e6
"""Of a size or place that a figure can have."""
PLACES: Mapping[str, tuple[float, float, str, str]] = {
    "best": (1.0, 1.0, "right", "top"),
    "upper right": (1.0, 1.0, "right", "top"),
    "upper left": (0.0, 1.0, "left", "top"),
    "lower left": (0.0, 0.0, "left", "bottom"),
    "lower right": (1.0, 0.0, "right", "bottom"),
    "right": (1.0, 0.5, "right", "middle"),
    "center left": (0.0, 0.5, "left", "middle"),
    "center right": (1.0, 0.5, "right", "middle"),
    "lower center": (0.5, 0.0, "center", "bottom"),
    "upper center": (0.5, 1.0, "center", "top"),
    "center": (0.5, 0.5, "center", "middle"),
}
"""Where a legend lies, by matplotlib's name: x and y in the plot area, and which of the legend's corners lies there."""
QUALITATIVE: Mapping[str, tuple[str, ...]] = {
    "tab10": tuple(plotly.colors.qualitative.D3),
    "tab20": (
        *("#1f77b4", "#aec7e8", "#ff7f0e", "#ffbb78", "#2ca02c", "#98df8a", "#d62728", "#ff9896", "#9467bd", "#c5b0d5"),
        *("#8c564b", "#c49c94", "#e377c2", "#f7b6d2", "#7f7f7f", "#c7c7c7", "#bcbd22", "#dbdb8d", "#17becf", "#9edae5"),
    ),
}
"""Lists of colours that plotly has under another name or not at all; those that it has come by their own names."""


@dataclass(frozen=True)
class Lettering:
    """Sizes in points, None for the figure's own; legend_*: where the legend lies, in how many columns.

    A legend is drawn where any of its settings is given: the lines and violins carry their names anyway.
    Raises BadData for a size that is not above 0, an unknown place, or a number of columns below 1.
    """

    title: float | None = None
    ticks: float | None = None
    axes: float | None = None
    legend: float | None = None
    legend_loc: str | None = None
    legend_ncol: int | None = None
    legend_bbox_to_anchor: Sequence[float] | None = None

    def __post_init__(self) -> None:
        sizes = {"title_fontsize": self.title, "label_fontsize": self.ticks}
        for name, size in {**sizes, "axis_label_fontsize": self.axes, "legend_fontsize": self.legend}.items():
            if size is not None and not (_number(size) or 0) > 0:
                raise BadData(f"{name} must be a number of points above 0, such as 10, not {size!r}.")
        if self.legend_loc is not None and self.legend_loc not in list(PLACES):
            raise BadData(f"legend_loc must be one of {', '.join(PLACES)}, not {self.legend_loc!r}.")
        columns = self.legend_ncol
        if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
            raise BadData(f"legend_ncol must be a whole number from 1, not {columns!r}.")
        anchor = self.legend_bbox_to_anchor
        if anchor is not None and (not isinstance(anchor, Sequence) or len(anchor) < 2 or None in map(_number, anchor)):
            raise BadData(f"legend_bbox_to_anchor must be (x, y), such as (1.02, 0.5), not {anchor!r}.")

    @property
    def has_legend(self) -> bool:
        given = (self.legend, self.legend_loc, self.legend_ncol, self.legend_bbox_to_anchor)
        return any(value is not None for value in given)

    def apply(self, figure: go.Figure) -> None:
        """Set the sizes and the legend in the figure's layout."""
        if self.title is not None:
            figure.update_layout(title={"font": {"size": _pixels(self.title)}})
        if self.ticks is not None:
            figure.update_xaxes(tickfont={"size": _pixels(self.ticks)})
            figure.update_yaxes(tickfont={"size": _pixels(self.ticks)})
        if self.axes is not None:
            figure.update_xaxes(title={"font": {"size": _pixels(self.axes)}})
            figure.update_yaxes(title={"font": {"size": _pixels(self.axes)}})
        if self.has_legend:
            figure.update_layout(showlegend=True, legend=self._legend())

    def _legend(self) -> dict[str, Any]:
        x, y, corner, edge = PLACES[self.legend_loc or "best"]
        if self.legend_bbox_to_anchor is not None:
            x, y = self.legend_bbox_to_anchor[:2]
        legend: dict[str, Any] = {"x": x, "y": y, "xanchor": corner, "yanchor": edge}
        if self.legend is not None:
            legend["font"] = {"size": _pixels(self.legend)}
        if self.legend_ncol is not None and self.legend_ncol > 1:
            legend |= {"orientation": "h", "entrywidthmode": "fraction", "entrywidth": 1 / self.legend_ncol}
        return legend


def colormap(name: str, count: int) -> list[str]:
    """`count` colours of matplotlib's or plotly's map of that name, as "#rrggbb". Raises BadData for an unknown one."""
    listed = QUALITATIVE.get(name) or _own_list(name)
    if listed is not None:
        return [_hex(listed[place % len(listed)]) for place in range(count)]
    if not isinstance(name, str) or name.lower() not in plotly.colors.named_colorscales():
        known = [*QUALITATIVE, *plotly.colors.named_colorscales()]
        raise BadData(f"cmap must be the name of a colour map, not {name!r}. {nearest(name, known)}")
    points = [place / max(1, count - 1) for place in range(count)]
    return [_hex(color) for color in plotly.colors.sample_colorscale(name, points)]


def checked_colors(colors: Mapping[str, str]) -> Mapping[str, str]:
    """The same {label: colour}. Raises BadData for a colour that no figure can be drawn in."""
    if not isinstance(colors, Mapping):
        raise BadData(f"colors must map labels to colours, such as {{'F': '#1d5fc4'}}, not {colors!r}.")
    for label, color in colors.items():
        try:
            go.Scatter(line={"color": color})
        except ValueError:
            raise BadData(
                f"The colour of {label!r} is {color!r}; give one as '#1d5fc4' or by its name in CSS, such as 'teal'."
            ) from None
    return colors


def _own_list(name: str) -> Sequence[str] | None:
    lists = {key: value for key, value in vars(plotly.colors.qualitative).items() if isinstance(value, list)}
    return lists.get(name)


def _hex(color: str) -> str:
    if color.startswith("#"):
        return color.lower()
    red, green, blue = (round(part) for part in plotly.colors.unlabel_rgb(color))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _pixels(points: float) -> float:
    return points * PIXELS_PER_INCH / POINTS_PER_INCH


def _number(value: Any) -> float | None:
    """A finite number of Python's or numpy's; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return None
    return float(value) if -LARGEST < value < LARGEST else None
