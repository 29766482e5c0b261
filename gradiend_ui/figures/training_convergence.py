"""How a training went: mean encoded values per class, correlation and loss over the steps, from a training.json.

Knows no model and no folder: it is given what the file holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.lettering import Lettering
from gradiend_ui.figures.numbers import MINUS, six_digits, three_digits
from gradiend_ui.figures.palette import Look, Palette, class_looks, palette_named
from gradiend_ui.figures.panels import Panel, axis_name, escaped, spread, stacked

Points = Sequence[tuple[int, float]]
SPREADS = {"minmax": ("min", "max"), "iqr": ("q1", "q3")}
NORMAL_95 = 1.96  # standard errors on either side of a mean
HEIGHTS = {"means": 190, "correlation": 130, "loss": 130}
UNCONVERGED = "NOT converged"
SMOOTHED = 0.04  # of all steps: half the width of the loss's moving mean


@dataclass(frozen=True)
class Line:
    """One curve. kind: "class", "feature class", "correlation" or "loss"; band: {step: (low, high)} or empty."""

    kind: str
    name: str
    points: Points
    band: Mapping[int, tuple[float, float]]


def training_convergence(
    run_info: Mapping[str, Any],
    *,
    classes: Sequence[str] = (),
    plot_mean_by_class: bool = True,
    plot_mean_by_feature_class: bool | None = None,
    plot_correlation: bool = True,
    plot_loss: bool = True,
    class_spread: str | None = None,
    best_step: bool = True,
    label_name_mapping: Mapping[str, str] | None = None,
    title: str | bool = True,
    highlight: bool = True,
    figsize: tuple[float, float] | None = None,
    lettering: Lettering = Lettering(),  # noqa: B008
    theme: str = "light",
) -> go.Figure:
    """The figure of one run.

    run_info: a training.json, or its "training_stats" alone; classes: in class order, which decides colours (default:
    as the file has them); plot_mean_by_feature_class: None draws it only where it adds to the means by class
    class_spread: "minmax", "iqr" or "ci95" shades each class's spread, where the run recorded it; best_step marks the
    kept checkpoint; label_name_mapping: {class, or its label such as "1.0": name to
    show}; highlight: say of a training that it did not converge. Raises BadData where there is nothing to draw.
    """
    palette = palette_named(theme)
    lines = read_lines(run_info, class_spread=class_spread)
    wanted = {"class": plot_mean_by_class, "correlation": plot_correlation, "loss": plot_loss}
    wanted["feature class"] = _adds(lines) if plot_mean_by_feature_class is None else plot_mean_by_feature_class
    lines = [line for line in lines if wanted[line.kind]]
    if not lines:
        raise BadData("The training statistics hold nothing to draw: no class means, no correlation and no loss.")
    kinds = list(dict.fromkeys(line.kind for line in lines))
    best = (run_info.get("best_score_checkpoint") or {}).get("global_step") if best_step else None
    steps = [step for line in lines for step, _ in line.points]
    shown = _shown_names(run_info, label_name_mapping or {})
    figure, panels = stacked(
        [_panel(kind, [line for line in lines if line.kind == kind], class_spread) for kind in kinds],
        palette,
        title="Training" if title is True else str(marked(title, run_info if highlight else None) or ""),
        subtitle=_verdict(run_info, highlight) if title is True else "",
        key="" if best is None else f"┊  best step, kept as the checkpoint: {best}",
        x_title="step",
        x_axis=_step_axis(min(steps), max(steps)),
        figsize=figsize,
    )
    names = [line.name for line in lines if "class" in line.kind]
    looks = class_looks(list(dict.fromkeys([*classes, *names])), palette)
    for place, (kind, panel) in enumerate(zip(kinds, panels, strict=True)):
        drawn = [line for line in lines if line.kind == kind]
        _draw_panel(figure, drawn, place, panel, looks, palette, shown)
        if best is not None:
            _mark_step(figure, place, int(best), palette)
    lettering.apply(figure)
    return figure


def training_convergence_table(run_info: Mapping[str, Any], class_spread: str | None = None) -> pd.DataFrame:
    """Every number the figure can show. Columns: kind, name, step, value, low, high (the spread, or empty)."""
    rows = [
        {"kind": line.kind, "name": line.name, "step": step, "value": value}
        | dict(zip(("low", "high"), line.band.get(step, (None, None)), strict=True))
        for line in read_lines(run_info, class_spread=class_spread)
        for step, value in line.points
    ]
    return pd.DataFrame(rows, columns=["kind", "name", "step", "value", "low", "high"])


def read_lines(run_info: Mapping[str, Any], *, class_spread: str | None = None) -> list[Line]:
    """The curves of a training.json (or of its "training_stats"): by class, by feature class, correlation, loss."""
    if class_spread not in (None, "ci95", *SPREADS):
        raise BadData(f"class_spread must be minmax, iqr, ci95 or None, not {class_spread!r}.")
    stats: Mapping[str, Any] = run_info.get("training_stats") or run_info
    names = {str(label): str(name) for label, name in (stats.get("label_value_to_class_name") or {}).items()}
    lines = []
    for kind, key in (("class", "by_class"), ("feature class", "by_feature_class")):
        bands = _bands(stats, key, class_spread)
        for label, points in _series(stats.get(f"mean_{key}") or {}).items():
            lines.append(Line(kind, names.get(label, label), points, bands.get(label, {})))
    correlation = _by_step(stats.get("scores") or {})
    losses = run_info.get("losses") or stats.get("losses") or []
    return [
        *lines,
        *([Line("correlation", "correlation", sorted(correlation.items()), {})] if correlation else []),
        *([Line("loss", "loss", list(enumerate(map(float, losses), start=1)), {})] if losses else []),
    ]


def _shown_names(run_info: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """{class: what it is called}, whether the class or its label was named."""
    stats: Mapping[str, Any] = run_info.get("training_stats") or run_info
    classes = {str(label): str(name) for label, name in (stats.get("label_value_to_class_name") or {}).items()}
    plain = {str(label): name for label, name in given.items()}
    return {classes.get(label, label): name for label, name in plain.items()} | plain


def _by_step(values: Mapping[Any, Any]) -> dict[int, float]:
    """{step: number}; JSON has the steps as text. Values that are no finite numbers are left out."""
    return {
        int(step): float(value)
        for step, value in values.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _series(by_step: Mapping[Any, Mapping[Any, Any]]) -> dict[str, list[tuple[int, float]]]:
    """{label: [(step, value), ...]} from {step: {label: value}}."""
    labels = dict.fromkeys(str(label) for values in by_step.values() for label in values)
    return {
        label: sorted(_by_step({step: _labelled(values).get(label) for step, values in by_step.items()}).items())
        for label in labels
    }


def _labelled(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(label): value for label, value in values.items()}


def _bands(stats: Mapping[str, Any], key: str, spread_kind: str | None) -> dict[str, dict[int, tuple[float, float]]]:
    """{label: {step: (low, high)}}, for the labels and steps that the run recorded it for."""
    if spread_kind is None:
        return {}
    if spread_kind == "ci95":
        mean, deviation, count = (
            {label: dict(points) for label, points in _series(stats.get(f"{what}_{key}") or {}).items()}
            for what in ("mean", "std", "n")
        )
        return {
            label: {
                step: (value - half, value + half)
                for step, value in points.items()
                if (half := _half(deviation.get(label, {}).get(step), count.get(label, {}).get(step))) is not None
            }
            for label, points in mean.items()
        }
    low, high = (dict(_series(stats.get(f"{what}_{key}") or {})) for what in SPREADS[spread_kind])
    return {
        label: {step: (value, dict(high[label])[step]) for step, value in points if step in dict(high.get(label, []))}
        for label, points in low.items()
    }


def _half(deviation: float | None, count: float | None) -> float | None:
    """Half the width of a mean's 95 % interval; none is known without the deviation and the count."""
    if deviation is None or not count:
        return None
    return 0.0 if count <= 1 else NORMAL_95 * deviation / math.sqrt(count)


def _adds(lines: Sequence[Line]) -> bool:
    """Whether the means by feature class are others than those by class."""
    found = {kind: {line.name for line in lines if line.kind == kind} for kind in ("class", "feature class")}
    return found["class"] != found["feature class"]


def marked(title: str | bool, run_info: Mapping[str, Any] | None, default: str = "") -> str | bool:
    """The title with a word on a training that did not converge, where its training.json says so; False as it is."""
    info = (run_info or {}).get("convergence_info") or {}
    if not title or info.get("converged") is not False:
        return title
    return f"{default if title is True else title} ({UNCONVERGED})"


def _verdict(run_info: Mapping[str, Any], highlight: bool = True) -> str:
    """What the file says of the outcome: best correlation, its step, converged or not."""
    best, info = run_info.get("best_score_checkpoint") or {}, run_info.get("convergence_info") or {}
    parts = []
    if isinstance(best.get("correlation"), (int, float)):
        parts.append(f"best correlation {three_digits(best['correlation'])} at step {best.get('global_step')}")
    if "converged" in info and (info["converged"] or highlight):
        parts.append("converged" if info["converged"] else UNCONVERGED)
    return "; ".join(parts)


def _step_axis(first: int, last: int) -> dict[str, Any]:
    """Round steps as ticks, up to the last one; room for the curves' names on the right."""
    rough = max(1, last - first) / 8
    power = 10 ** math.floor(math.log10(rough))
    stride = max(1, round(next(k * power for k in (1, 2, 5, 10) if k * power >= rough)))
    span = max(1, last - first)
    ticks = list(range(-(-first // stride) * stride, last + 1, stride))
    return {"tickvals": ticks, "ticktext": list(map(str, ticks)), "range": [first - 0.02 * span, last + 0.14 * span]}


def _panel(kind: str, lines: Sequence[Line], class_spread: str | None) -> Panel:
    ends = [value for line in lines for _, value in line.points]
    ends += [end for line in lines for pair in line.band.values() for end in pair]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.08 * ((high - low) or 1.0)
    bounds = (high + room, low - room)
    if kind == "loss":
        return Panel("Loss", "every step, and its moving mean", HEIGHTS["loss"], *bounds)
    if kind == "correlation":
        return Panel("Correlation", "of encoded value and label; 1 or −1 is perfect", HEIGHTS["correlation"], *bounds)
    banded = any(line.band for line in lines)
    shaded = {"minmax": "; shaded: least to largest", "iqr": "; shaded: quartiles", "ci95": "; shaded: 95 % interval"}
    remark = "mean encoded value" + (shaded[class_spread] if class_spread and banded else "")
    return Panel("By class" if kind == "class" else "By feature class", remark, HEIGHTS["means"], *bounds)


def _draw_panel(
    figure: go.Figure,
    lines: Sequence[Line],
    place: int,
    panel: Panel,
    looks: Mapping[str, Look],
    palette: Palette,
    shown: Mapping[str, str],
) -> None:
    wanted = [panel.pixels(line.points[-1][1]) for line in lines]
    heights = spread(wanted, 6, panel.height - 6)
    for line, height in zip(lines, heights, strict=True):
        look = looks.get(line.name) or Look(palette.kept if line.kind == "correlation" else palette.soft, "circle")
        name = shown.get(line.name, line.name)
        curve = _moving_mean(line.points) if line.kind == "loss" else line.points
        axis = axis_name("y", place)
        _draw_band(figure, line, axis, look)
        if line.kind == "loss":
            _draw_curve(figure, line.points, axis, look, f"{name} of the step", width=1, opacity=0.35, markers=False)
        _draw_curve(figure, curve, axis, look, name, width=2.2, markers=line.kind != "loss")
        figure.add_annotation(
            text=(f"{escaped(name)} " if "class" in line.kind else "") + f"{curve[-1][1]:.3g}".replace("-", MINUS),
            font={"size": 12, "color": look.color},
            x=curve[-1][0],
            xref="x",
            xanchor="left",
            xshift=9,
            y=panel.bottom + (panel.top - panel.bottom) * height / panel.height,
            yref=axis,
            yanchor="middle",
            showarrow=False,
        )


def _draw_curve(
    figure: go.Figure,
    points: Points,
    axis: str,
    look: Look,
    name: str,
    *,
    width: float,
    opacity: float = 1.0,
    markers: bool,
) -> None:
    figure.add_scatter(
        x=[step for step, _ in points],
        y=[value for _, value in points],
        mode="lines+markers" if markers else "lines",
        line={"color": look.color, "width": width},
        marker={"color": look.color, "size": 6, "symbol": look.symbol},
        opacity=opacity,
        yaxis=axis,
        name=name,
        hovertext=[f"<b>{escaped(name)} {six_digits(value)}</b><br>step {step}" for step, value in points],
        hoverinfo="text",
    )


def _draw_band(figure: go.Figure, line: Line, axis: str, look: Look) -> None:
    steps = [step for step, _ in line.points if step in line.band]
    if steps:
        low, high = ([line.band[step][end] for step in steps] for end in (0, 1))
        figure.add_scatter(
            x=[*steps, *reversed(steps)],
            y=[*high, *reversed(low)],
            mode="lines",
            fill="toself",
            fillcolor=look.color,
            line={"width": 0},
            opacity=0.15,
            yaxis=axis,
            hoverinfo="skip",
            showlegend=False,
        )


def _moving_mean(points: Points) -> list[tuple[int, float]]:
    half = max(1, round(SMOOTHED * len(points)))
    values = [value for _, value in points]
    return [
        (step, sum(near) / len(near))
        for k, (step, _) in enumerate(points)
        if (near := values[max(0, k - half) : k + half + 1])
    ]


def _mark_step(figure: go.Figure, place: int, step: int, palette: Palette) -> None:
    line = {"color": palette.soft, "width": 1.2, "dash": "1px,3px"}
    across = f"{axis_name('y', place)} domain"
    figure.add_shape(type="line", xref="x", x0=step, x1=step, yref=across, y0=0, y1=1, line=line, layer="below")
