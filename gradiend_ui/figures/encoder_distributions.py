"""Where a GRADIEND's encoder puts the texts of each class: a violin with every value beside it.

Drawn from the frame that `analyze_encoder` returns or an encoded_values csv holds. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.numbers import three_digits
from gradiend_ui.figures.palette import FONT, Look, Palette, class_looks, palette_named
from gradiend_ui.figures.panels import PIXELS_PER_INCH, escaped, explained

HEIGHT = 420
TRAINING, NEUTRAL = "training", "neutral: "
CLASS_COLUMNS = ("source_id", "feature_class", "label_class")


def encoder_distributions(
    encoder_frame: pd.DataFrame,
    *,
    classes: Sequence[str] = (),
    class_label_mapping: Mapping[str, str] | None = None,
    target_and_neutral_only: bool = True,
    title: str | bool = True,
    figsize: tuple[float, float] | None = None,
    theme: str = "light",
) -> go.Figure:
    """One violin per class, and one per kind of neutral row, with the mean and the number of texts below its name.

    encoder_frame: columns encoded and source_id (or feature_class, label_class), and type where there are neutral
    rows; classes: in class order, which decides colours; class_label_mapping: {class: name to show}
    target_and_neutral_only: leave out rows of classes that are not in `classes`. Raises BadData.
    """
    palette = palette_named(theme)
    groups = encoded_groups(encoder_frame, classes if target_and_neutral_only else ())
    ordered = [*(name for name in classes if name in groups), *(name for name in groups if name not in classes)]
    neutral = {name for name in groups if name.startswith(NEUTRAL)}
    looks = class_looks(list(dict.fromkeys([*classes, *(name for name in ordered if name not in neutral)])), palette)
    figure = go.Figure()
    for name in ordered:
        shown = (class_label_mapping or {}).get(name, name)
        _add_violin(figure, shown, groups[name], looks.get(name) or Look(palette.base, "circle"))
    _lay_out(figure, palette, "Encoded values" if title is True else title or "", figsize)
    return figure


def encoder_distribution_table(encoder_frame: pd.DataFrame, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Count, mean, deviation, least, quartiles and largest of every group. Columns: group, n, mean, std, min, ..."""
    rows = [
        {"group": name, "n": len(values)}
        | {"mean": values.mean(), "std": values.std(ddof=0), "min": values.min()}
        | {f"q{k}": values.quantile(k / 4) for k in (1, 2, 3)}
        | {"max": values.max()}
        for name, values in encoded_groups(encoder_frame, classes).items()
    ]
    return pd.DataFrame(rows)


def encoded_groups(encoder_frame: pd.DataFrame, classes: Sequence[str] = ()) -> dict[str, pd.Series]:
    """{class, or "neutral: <type>": its encoded values}; only `classes` among the classes, if any are given."""
    column = next((name for name in CLASS_COLUMNS if name in encoder_frame.columns), None)
    if column is None or "encoded" not in encoder_frame.columns:
        raise BadData(
            f"The encoder frame has the columns {', '.join(map(str, encoder_frame.columns)) or 'none'}; it needs "
            f"encoded and one of {', '.join(CLASS_COLUMNS)}."
        )
    frame = encoder_frame.dropna(subset=["encoded"])
    kinds = frame["type"].astype(str) if "type" in frame.columns else pd.Series(TRAINING, index=frame.index)
    labels = frame[column].astype(str).where(kinds == TRAINING, NEUTRAL + kinds.str.removeprefix("neutral_"))
    groups = {str(name): part["encoded"].astype(float) for name, part in frame.groupby(labels, sort=False)}
    kept = {
        name: values for name, values in groups.items() if not classes or name in classes or name.startswith(NEUTRAL)
    }
    if not kept:
        raise BadData(f"The encoder frame holds no encoded value of {', '.join(classes) or 'any class'}.")
    return kept


def _add_violin(figure: go.Figure, name: str, values: pd.Series, look: Look) -> None:
    place = f"<b>{escaped(name)}</b><br>mean {three_digits(float(values.mean()))}, n {len(values)}"
    figure.add_violin(
        y=values.tolist(),
        x=[place] * len(values),
        name=escaped(name),
        points="all",
        pointpos=-0.5,
        jitter=0.5,
        side="positive",
        spanmode="hard",
        width=0.9,
        meanline={"visible": True},
        line={"color": look.color, "width": 1.6},
        marker={"color": look.color, "symbol": look.symbol, "size": 4, "opacity": 0.55},
        hoveron="points",
        hovertemplate="encoded %{y:.6f}<extra></extra>",
    )


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
        xaxis={"showgrid": False, "tickfont": {"size": 12, "color": palette.ink}, "type": "category"},
    )
    look = {"font": {"size": 12, "color": palette.soft}, "align": "left", "showarrow": False}
    figure.add_annotation(
        text=explanation, x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=6, **look
    )
