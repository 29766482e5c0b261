"""Where a GRADIEND's encoder puts the texts of each class: a violin with every value beside it.

Drawn from the frame that `evaluate_encoder(return_df=True)` returns or an encoded_values csv holds; which rows stand
together is told in `encoder_groups`. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.encoder_groups import NEUTRAL, Labels, arranged, encoded_groups, panels_of
from gradiend_ui.figures.lettering import Lettering, checked_colors, colormap
from gradiend_ui.figures.numbers import three_digits
from gradiend_ui.figures.palette import FONT, Look, Palette, class_looks, palette_named
from gradiend_ui.figures.panels import PIXELS_PER_INCH, axis_name, checked_size, escaped, explained

HEIGHT = 420
BETWEEN = 0.03  # of the width, between two splits
FACETS = ("facet", "dodge", "overlay")
"""How several splits are shown: side by side. The reference takes the last two for the first."""


@dataclass(frozen=True)
class Drawing:
    """How the violins look. colors: {label or name: colour}; cmap: matplotlib's or plotly's colour map, else each class
    has its own colour; split_mode: one of `FACETS`; include_neutral: neutral rows also beside several splits, in
    neutral_split; title: True writes one, a text is used, False leaves it out; figsize: (width, height) in inches of
    96 pixels; theme: "light" or "dark". Raises BadData."""

    colors: Mapping[str, str] = field(default_factory=dict)
    cmap: str | None = None
    split_mode: str = "facet"
    include_neutral: bool = False
    neutral_split: str = "test"
    title: str | bool = True
    figsize: tuple[float, float] | None = None
    theme: str = "light"

    def __post_init__(self) -> None:
        checked_colors(self.colors)
        checked_size(self.figsize)
        if self.split_mode not in FACETS:
            raise BadData(f"split_plot_mode must be one of {', '.join(FACETS)}, not {self.split_mode!r}.")


def encoder_distributions(
    encoder_frame: pd.DataFrame,
    *,
    classes: Sequence[str] = (),
    target_and_neutral_only: bool = True,
    labels: Labels = Labels(),  # noqa: B008
    drawing: Drawing = Drawing(),
    lettering: Lettering = Lettering(),  # noqa: B008
) -> go.Figure:
    """One violin per class, and one per kind of neutral row, with the mean and the number of texts below its name.

    encoder_frame: columns encoded and source_id (or feature_class, label_class), type where there are neutral rows,
    and data_split where the splits are to stand side by side; classes: in class order, which decides colours
    target_and_neutral_only: leave out rows of classes that are not in `classes`. Raises BadData.
    """
    palette = palette_named(drawing.theme)
    kept = classes if target_and_neutral_only else ()
    panels = {
        split: arranged(encoded_groups(rows, kept, by_transition=labels.by_transition), classes, labels)
        for split, rows in panels_of(
            encoder_frame, include_neutral=drawing.include_neutral, neutral_split=drawing.neutral_split
        ).items()
    }
    names = list(dict.fromkeys(name for groups in panels.values() for name in groups))
    colors = _colors(names, labels, drawing)
    looks = _looks(names, classes, palette)
    figure = go.Figure()
    named: set[str] = set()
    for place, groups in enumerate(panels.values()):
        for at, name in enumerate(groups):
            look = looks[name] if colors[name] is None else Look(str(colors[name]), looks[name].symbol)
            half = "both" if not labels.pairs else "positive" if at % 2 else "negative"
            partner = list(groups)[at - at % 2 : at - at % 2 + 2] if labels.pairs else [name]
            _add_violin(figure, place, name, {one: groups[one] for one in partner}, look, half, labels, named)
    title = "Encoded values" if drawing.title is True else drawing.title or ""
    _lay_out(figure, palette, title, drawing.figsize)
    _set_panels(figure, {split: len(groups) for split, groups in panels.items()}, palette)
    lettering.apply(figure)
    return figure


def encoder_distribution_table(
    encoder_frame: pd.DataFrame,
    classes: Sequence[str] = (),
    labels: Labels = Labels(),  # noqa: B008
) -> pd.DataFrame:
    """Count, mean, deviation, least, quartiles and largest of every group. Columns: group, n, mean, std, min, ..."""
    groups = encoded_groups(encoder_frame, classes, by_transition=labels.by_transition)
    rows = [
        {"group": labels.name_of(name), "n": len(values)}
        | {"mean": values.mean(), "std": values.std(ddof=0), "min": values.min()}
        | {f"q{k}": values.quantile(k / 4) for k in (1, 2, 3)}
        | {"max": values.max()}
        for name, values in arranged(groups, classes, labels).items()
    ]
    return pd.DataFrame(rows)


def _colors(names: Sequence[str], labels: Labels, drawing: Drawing) -> dict[str, str | None]:
    """{label: the colour that was asked for, None where none was}."""
    mapped: Sequence[str | None] = [None] * len(names)
    if drawing.cmap is not None:
        mapped = colormap(drawing.cmap, len(names))
    spelled = labels.spelled_as(names)
    given = {spelled.get(label, label): color for label, color in drawing.colors.items()}
    by_name = {labels.name_of(name): name for name in names}
    given |= {by_name[label]: color for label, color in drawing.colors.items() if label in by_name}
    return {name: given.get(name, color) for name, color in zip(names, mapped, strict=True)}


def _looks(names: Sequence[str], classes: Sequence[str], palette: Palette) -> dict[str, Look]:
    drawn = [name for name in names if not name.startswith(NEUTRAL)]
    own = class_looks(list(dict.fromkeys([*classes, *drawn])), palette)
    return {name: own.get(name) or Look(palette.base, "circle") for name in names}


def _add_violin(
    figure: go.Figure,
    place: int,
    name: str,
    together: Mapping[str, pd.Series],
    look: Look,
    half: str,
    labels: Labels,
    named: set[str],
) -> None:
    """A violin of the panel at `place`: whole with its points, or a half of the two that stand `together`."""
    values = together[name]
    at = "<br>".join(
        f"<b>{escaped(labels.name_of(one))}</b><br>mean {three_digits(float(own.mean()))}, n {len(own)}"
        for one, own in together.items()
    )
    whole = half == "both"
    figure.add_violin(
        y=values.tolist(),
        x=[at] * len(values),
        xaxis=axis_name("x", place),
        name=escaped(labels.name_of(name)),
        legendgroup=name,
        showlegend=name not in named,
        points="all" if whole else False,
        pointpos=-0.5,
        jitter=0.5,
        side="positive" if whole else half,
        spanmode="hard",
        width=0.9,
        meanline={"visible": True},
        line={"color": look.color, "width": 1.6},
        marker={"color": look.color, "symbol": look.symbol, "size": 4, "opacity": 0.55},
        hoveron="points" if whole else "violins",
        hovertemplate="encoded %{y:.6f}<extra></extra>" if whole else None,
    )
    named.add(name)


def _set_panels(figure: go.Figure, sizes: Mapping[str, int], palette: Palette) -> None:
    """An x axis per split, as wide as its violins need; the splits' names stand above."""
    look = {"showgrid": False, "tickfont": {"size": 12, "color": palette.ink}, "type": "category"}
    free = 1 - BETWEEN * (len(sizes) - 1)
    left = 0.0
    for place, (split, size) in enumerate(sizes.items()):
        right = left + free * size / sum(sizes.values())
        name = "xaxis" + axis_name("x", place)[1:]
        figure.layout[name] = {**look, "domain": [left, min(1.0, right)], "anchor": "y"}
        if split:
            words = {"font": {"size": 13, "color": palette.ink}, "showarrow": False, "xref": "paper", "yref": "paper"}
            at = {"x": (left + right) / 2, "xanchor": "center", "y": 1, "yanchor": "top", "yshift": -2}
            figure.add_annotation(text=f"<b>{escaped(split)}</b>", **words, **at)
        left = right + BETWEEN


def _lay_out(figure: go.Figure, palette: Palette, title: str, figsize: tuple[float, float] | None) -> None:
    explanation, _ = explained("left of each name every text, right of it their distribution with the mean as a line")
    figure.update_layout(
        template="none",
        height=HEIGHT if figsize is None else round(figsize[1] * PIXELS_PER_INCH),
        width=None if figsize is None else round(figsize[0] * PIXELS_PER_INCH),
        margin={"l": 58, "r": 22, "t": 70 if title else 40, "b": 56},
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
        showlegend=False,
        hoverlabel={"bgcolor": palette.surface, "bordercolor": palette.line, "font": {"color": palette.ink}},
        yaxis={"title": {"text": "encoded value"}, "gridcolor": palette.hair, "zerolinecolor": palette.line},
    )
    look = {"font": {"size": 12, "color": palette.soft}, "align": "left", "showarrow": False}
    figure.add_annotation(
        text=explanation, x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=6, **look
    )
