"""Where a GRADIEND's encoder puts every single text: points over categories, coloured by another column.

Drawn from the frame that `evaluate_encoder(return_df=True)` returns. A point tells its text when the pointer is on it.
Knows no model; which columns a figure shows is told by whoever draws it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData, items_of, listed, shown
from gradiend_ui.engine.values import SPLITS
from gradiend_ui.figures.encoder_groups import TRAINING
from gradiend_ui.figures.lettering import Lettering, colormap
from gradiend_ui.figures.palette import FONT, Look, Palette, class_looks, palette_named
from gradiend_ui.figures.panels import PIXELS_PER_INCH, checked_size, escaped

STYLES = ("strip", "box", "violin")
HEIGHT = 500
MOST_NAMES = 40  # of categories along the x axis; of more, every second or third is named, and each point tells its own
SPREAD = 0.72  # of a category's width: what its colours share when they stand side by side


@dataclass(frozen=True)
class Points:
    """Which points are drawn, and how.

    place, color: columns of the categories along the x axis and of the colours; family: a column that orders the
    categories, those of a class beside each other; hover: columns told of a point, of texts at most `longest`
    characters around `mask`, in lines of about `line`; names: {value of `color`: name to show}; styles: `STYLES`.
    jitter: half the width over which points are strewn, by `seed`; dodge: colours side by side; size: of a point, in
    pixels. Raises BadData for another style and for numbers that cannot be drawn.
    """

    place: str
    color: str
    family: str | None = None
    families: Sequence[str] = ()
    hover: Sequence[str] = ()
    names: Mapping[Any, str] = field(default_factory=dict)
    style: str = "strip"
    jitter: float = 0.08
    dodge: bool = False
    size: float = 6.0
    seed: int = 42
    longest: int = 180
    line: int = 90
    cmap: str | None = None
    mask: str = ""

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise BadData(f"plot_style must be one of {', '.join(STYLES)}, not {self.style!r}.")
        for name, listing in (("hover_cols", self.hover), ("class_order", self.families)):
            if not all(isinstance(one, str) for one in _items(name, listing)):
                raise BadData(f"{name} must be a list of texts, not {shown(listing)}.")
        for name, value, most in (("jitter", self.jitter, 0.5), ("point_size", self.size, 100)):
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= most:
                raise BadData(f"{name} must be a number from 0 to {most:g}, not {value!r}.")
        for name, count in (("hover_text_max_chars", self.longest), ("hover_text_line_chars", self.line)):
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
                raise BadData(f"{name} must be a whole number from 1, not {count!r}.")


def encoder_points(
    frame: pd.DataFrame,
    points: Points,
    *,
    classes: Sequence[str] = (),
    title: str | bool = True,
    figsize: tuple[float, float] | None = None,
    height: int | None = None,
    lettering: Lettering = Lettering(),  # noqa: B008
    theme: str = "light",
) -> go.Figure:
    """The figure. frame: columns encoded and those of `points`; classes: in class order, which decides their colours;
    title, figsize, theme: as for `encoder_distributions`; height: in pixels. Raises BadData."""
    palette, size = palette_named(theme), checked_size(figsize)
    rows = _checked(frame, points)
    places, colors = _places(rows, points), _in_order(rows[points.color], classes)
    looks = _looks(colors, classes, points, palette)
    figure = go.Figure()
    drawn = np.random.default_rng(points.seed)
    for number, value in enumerate(colors):
        part = rows[rows[points.color].astype(str) == value]
        side = SPREAD * ((number + 0.5) / len(colors) - 0.5) if points.dodge else 0.0
        at = np.array([places.index(one) for one in part[points.place].astype(str)], dtype=float) + side
        name = escaped(_named(points.names, value))
        if points.style == "strip":
            room = min(points.jitter, 0.4 * SPREAD / len(colors)) if points.dodge else points.jitter
            _add_strip(figure, at + drawn.uniform(-1, 1, len(at)) * room, part, name, looks[value], points)
        else:
            width = 0.9 * SPREAD / (len(colors) if points.dodge else 1)
            _add_shape(figure, at, part, name, looks[value], points.style, width)
    _lay_out(figure, places, points, palette, "Encoded values" if title is True else title or "")
    wide, tall = (None, height or HEIGHT) if size is None else (round(one * PIXELS_PER_INCH) for one in size)
    figure.update_layout(width=wide, height=tall)
    lettering.apply(figure)
    return figure


def encoder_points_table(frame: pd.DataFrame, points: Points) -> pd.DataFrame:
    """What the figure shows, a row per point: the columns of `points` and encoded."""
    rows = _checked(frame, points)
    columns = dict.fromkeys([points.place, points.color, "encoded", *points.hover])
    return rows[[name for name in columns if name in rows.columns]].reset_index(drop=True)


def thinned(frame: pd.DataFrame, most: int | None, by: str) -> pd.DataFrame:
    """At most about `most` rows, of each value of the column `by` the same share, drawn by a fixed seed."""
    if most is None or len(frame) <= most:
        return frame
    if by not in frame.columns:
        raise BadData(f"There is no column {by!r} to draw points by; there are {listed(frame.columns)}.")
    share = most / len(frame)
    parts = [part.sample(max(1, round(share * len(part))), random_state=42) for _, part in frame.groupby(by)]
    return pd.concat(parts).sort_index()


def averaged(frame: pd.DataFrame, target: str, by: Sequence[str]) -> pd.DataFrame:
    """One row for each word in the column `target` and each combination of `by`: the mean of its encoded values."""
    missing = [name for name in (target, *by) if name not in frame.columns]
    if missing:
        raise BadData(
            f"There is no column {missing[0]!r} to put points together by; there are {listed(frame.columns)}."
        )
    keys = list(dict.fromkeys([*by, target]))
    groups = frame.groupby(keys, sort=False, dropna=False)
    return groups["encoded"].agg(["mean", "size"]).reset_index().rename(columns={"mean": "encoded", "size": "texts"})


def _items(name: str, values: object) -> tuple[Any, ...]:
    items = items_of(values)
    if items is None:
        raise BadData(f"{name} must be a list of texts, not {shown(values)}.")
    return items


def _checked(frame: pd.DataFrame, points: Points) -> pd.DataFrame:
    for name in ("encoded", points.place, points.color, *([] if points.family is None else [points.family])):
        if name not in frame.columns:
            raise BadData(f"The encoder frame has no column {name!r}; it has {listed(frame.columns) or 'none'}.")
    rows = frame.dropna(subset=["encoded", points.place])
    if rows.empty:
        raise BadData("The encoder frame holds no encoded value to draw.")
    return rows.assign(encoded=rows["encoded"].astype(float))


def _places(rows: pd.DataFrame, points: Points) -> list[str]:
    """The categories in the order of the axis: by family where there is one, else as they come."""
    if points.family is None:
        return _in_order(rows[points.place])
    families = _in_order(rows[points.family], points.families)
    ordered: list[str] = []
    for family in families:
        own = rows.loc[rows[points.family].astype(str) == family, points.place].astype(str)
        ordered += sorted(set(own) - set(ordered))
    return ordered


def _in_order(values: pd.Series, leading: Sequence[str] = ()) -> list[str]:
    """The distinct values as texts: `leading` and the splits first, then as they come."""
    present = list(dict.fromkeys(values.astype(str)))
    first = [name for name in (*leading, *SPLITS) if name in present]
    return list(dict.fromkeys([*first, *present]))


def _looks(colors: Sequence[str], classes: Sequence[str], points: Points, palette: Palette) -> dict[str, Look]:
    own = class_looks(list(dict.fromkeys([*classes, *colors])) if set(colors) & set(classes) else colors, palette)
    if points.cmap is None:
        return own
    mapped = colormap(points.cmap, len(colors))
    return {name: Look(color, own[name].symbol) for name, color in zip(colors, mapped, strict=True)}


def _named(names: Mapping[Any, str], value: str) -> str:
    return next((str(name) for key, name in names.items() if str(key) == value), value)


def _add_strip(
    figure: go.Figure, at: np.ndarray[Any, Any], rows: pd.DataFrame, name: str, look: Look, points: Points
) -> None:
    figure.add_scatter(
        x=at.tolist(),
        y=rows["encoded"].tolist(),
        mode="markers",
        name=name,
        marker={"color": look.color, "symbol": look.symbol, "size": float(points.size), "opacity": 0.7},
        hovertext=[_told(row, points) for row in rows.to_dict("records")],
        hoverinfo="text",
    )


def _add_shape(
    figure: go.Figure, at: np.ndarray[Any, Any], rows: pd.DataFrame, name: str, look: Look, style: str, width: float
) -> None:
    common = {"x": at.tolist(), "y": rows["encoded"].tolist(), "name": name, "line": {"color": look.color}}
    if style == "box":
        figure.add_box(**common, width=width, marker={"color": look.color, "symbol": look.symbol})
    else:
        figure.add_violin(**common, width=width, spanmode="hard", meanline={"visible": True}, points=False)


def _told(row: Mapping[Any, Any], points: Points) -> str:
    """What a point says: its value, then the columns of `hover`, texts cut around the mask and broken into lines."""
    lines = [f"<b>encoded {row['encoded']:.6f}</b>"]
    for column in dict.fromkeys((points.place, points.color, *points.hover)):
        if column != "encoded" and column in row and not pd.isna(row[column]):
            text = _cut(str(row[column]), points)
            broken = textwrap.wrap(f"{column}: {text}", points.line) or [f"{column}:"]
            lines += [escaped(line) for line in broken]
    return "<br>".join(lines)


def _cut(text: str, points: Points) -> str:
    longest = int(points.longest)
    if len(text) <= longest:
        return text
    start = max(0, min(text.find(points.mask) - longest // 2, len(text) - longest))
    return ("…" if start else "") + text[start : start + longest] + ("…" if start + longest < len(text) else "")


def _lay_out(figure: go.Figure, places: Sequence[str], points: Points, palette: Palette, title: str) -> None:
    every = -(-len(places) // MOST_NAMES)
    figure.update_layout(
        template="none",
        margin={"l": 58, "r": 22, "t": 62 if title else 30, "b": 70},
        paper_bgcolor=palette.surface,
        plot_bgcolor=palette.surface,
        font={"family": FONT, "size": 12, "color": palette.soft},
        title={
            "text": f"<b>{escaped(title)}</b>" if title else "",
            "font": {"size": 18, "color": palette.ink, "weight": 400},
            "x": 0,
            "xref": "paper",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14},
        },
        showlegend=True,
        legend={"title": {"text": escaped(points.color)}},
        hoverlabel={"bgcolor": palette.surface, "bordercolor": palette.line, "font": {"color": palette.ink}},
        xaxis={
            "tickvals": list(range(0, len(places), every)),
            "ticktext": [escaped(place) for place in places[::every]],
            "range": [-0.6, len(places) - 0.4],
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "title": {"text": escaped(points.place), "standoff": 14},
        },
        yaxis={"title": {"text": "encoded value"}, "gridcolor": palette.hair, "zerolinecolor": palette.line},
    )


def own_rows(frame: pd.DataFrame, *, include_neutral: bool, types: Sequence[str] | None = None) -> pd.DataFrame:
    """Rows of the data, and neutral ones where they are asked for; `types`: of these kinds only. Raises BadData."""
    if "type" not in frame.columns:
        return frame
    kinds = frame["type"].astype(str)
    if types is not None:
        missing = [name for name in _items("types", types) if name not in set(kinds)]
        if missing:
            raise BadData(f"types names {missing[0]!r}; the encoder frame has {listed(dict.fromkeys(kinds))}.")
        return frame[kinds.isin(list(types))]
    return frame if include_neutral else frame[kinds == TRAINING]
