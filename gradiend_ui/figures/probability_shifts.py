"""How a class's probabilities and the language-modelling score move with the learning rate: one interactive figure.

The first panel is the language-modelling score (LMS), then one panel per dataset, all over the same learning rates of
one feature factor. Numbers and words are those of `shift_content`; knows no model and no trainer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.values import DEFAULT_RATIO, WinnerGoal
from gradiend_ui.figures.numbers import change, probability, signed, six_digits
from gradiend_ui.figures.palette import Look, Palette, class_looks, palette_named
from gradiend_ui.figures.panels import Panel, axis_name, escaped, rate_axis, rate_positions, spread, stacked
from gradiend_ui.figures.shift_content import (
    Shifts,
    Values,
    cell_hover,
    dataset_remark,
    key_words,
    line_name,
    lms_hover,
    lms_remark,
    read_shifts,
    share_of_base,
    shift_table,
    title_of,
    unscored_note,
)

TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
LETTER, NARROW = 7.5, 690  # pixels: one letter of a line's name; the plot area on a narrow page
FADED = 0.38
LMS_HEIGHT, DATASET_HEIGHT = 130, 210


def probability_shifts(
    results: Mapping[Any, Any],
    *,
    target_class: str,
    goal: WinnerGoal,
    classes: Sequence[str],
    strengthening: Mapping[str, float],
    class_ids: Sequence[str] | None = None,
    feature_factor: float | None = None,
    ratio: float | None = DEFAULT_RATIO,
    title: str | bool = True,
    figsize: tuple[float, float] | None = None,
    theme: str = "light",
) -> go.Figure:
    """The figure of one class. The numbers are those of `probability_shift_table` with the same arguments.

    results: what `evaluate_decoder` returned; classes: in class order, which decides colours and marker symbols
    strengthening: {class: feature factor that strengthens it}; class_ids: only these classes' lines
    feature_factor: another row of the grid than the chosen cell's; ratio: the policy's LMS threshold, None without one
    title: True writes one, False leaves it out; figsize: (width, height) in inches of 96 pixels
    theme: "light" or "dark". Raises BadData, BadGrid.
    """
    palette = palette_named(theme)
    shifts = read_shifts(
        results,
        target_class=target_class,
        goal=goal,
        classes=classes,
        strengthening=strengthening,
        class_ids=class_ids,
        feature_factor=feature_factor,
        ratio=ratio,
    )
    return draw_shifts(shifts, classes, palette, title=title, figsize=figsize)


def probability_shift_table(
    results: Mapping[Any, Any],
    *,
    target_class: str,
    goal: WinnerGoal,
    classes: Sequence[str],
    strengthening: Mapping[str, float],
    class_ids: Sequence[str] | None = None,
    feature_factor: float | None = None,
    ratio: float | None = DEFAULT_RATIO,
) -> pd.DataFrame:
    """Every number of the figure, one row per learning rate, dataset and class: see `shift_content.shift_table`."""
    shifts = read_shifts(
        results,
        target_class=target_class,
        goal=goal,
        classes=classes,
        strengthening=strengthening,
        class_ids=class_ids,
        feature_factor=feature_factor,
        ratio=ratio,
    )
    return shift_table(shifts)


def draw_shifts(
    shifts: Shifts,
    classes: Sequence[str],
    palette: Palette,
    *,
    title: str | bool = True,
    figsize: tuple[float, float] | None = None,
) -> go.Figure:
    """The figure of numbers that were read before."""
    figure, panels = stacked(
        _panels(shifts),
        palette,
        title=title_of(shifts) if title is True else title or "",
        subtitle=shifts.why if title is True else "",
        key=key_words(shifts, palette),
        note=unscored_note(shifts, palette),
        x_title=f"learning rate, at feature factor {signed(shifts.feature_factor)}",
        x_axis=rate_axis(shifts.rates, shifts.selected, label_room=_label_room(shifts)),
        figsize=figsize,
    )
    looks = class_looks(list(dict.fromkeys([*classes, *_drawn_classes(shifts)])), palette)
    for place in range(len(panels)):
        _mark_failing(figure, shifts, place, palette)
        _mark_selected(figure, shifts, place, palette)
    _draw_lms(figure, shifts, panels[0], palette)
    for place, dataset in enumerate(shifts.probabilities, start=1):
        _draw_dataset(figure, shifts, dataset, place, panels[place], looks, palette)
    return figure


def _drawn_classes(shifts: Shifts) -> list[str]:
    return [name for by_class in shifts.probabilities.values() for name in by_class]


def _label_room(shifts: Shifts) -> float:
    """Room left of the first point for the longest line's name, as a part of the axis right of it."""
    longest = max((len(line_name(name)) for name in _drawn_classes(shifts)), default=3)
    part = (LETTER * (longest + len(" <0.001")) + 18) / NARROW
    return part / (1 - part)


def _panels(shifts: Shifts) -> list[Panel]:
    """LMS and one per scored dataset, all of these to the same height of y."""
    highest = max((value for _, _, value in _all_probabilities(shifts)), default=1.0)
    top = 1.1 * next((round_top for round_top in TOPS if highest <= round_top), 1.0)
    highest_lms = max([shifts.base_lms, *(value for value in shifts.lms if value is not None)]) or 1.0
    upper = max(1.25 * highest_lms, 1.1 * (shifts.ratio or 0.0) * shifts.base_lms)
    return [
        Panel("LMS", lms_remark(shifts), LMS_HEIGHT, upper, -0.06 * upper),
        *(
            Panel(f"{d} rows", dataset_remark(shifts, d), DATASET_HEIGHT, top, -0.04 * top)
            for d in shifts.probabilities
        ),
    ]


def _all_probabilities(shifts: Shifts) -> list[tuple[str, str, float]]:
    return [
        (dataset, name, value)
        for dataset, by_class in shifts.probabilities.items()
        for name, values in by_class.items()
        for value in (*values, shifts.base_probabilities[dataset][name])
        if value is not None
    ]


def _draw_lms(figure: go.Figure, shifts: Shifts, panel: Panel, palette: Palette) -> None:
    look = Look(palette.kept, "circle")
    hover = [lms_hover(shifts, place) for place in range(len(shifts.rates))]
    _draw_line(figure, shifts, 0, shifts.lms, shifts.base_lms, look, palette, hover, f"Base: LMS {shifts.base_lms:.6f}")
    _label_lines(figure, shifts, 0, panel, [("LMS", shifts.lms, shifts.base_lms, look, False)])
    _draw_threshold(figure, shifts, palette)
    if shifts.selected is not None:
        kept = share_of_base(shifts, shifts.selected)
        _draw_star(figure, shifts, 0, shifts.lms, f"{kept} of base", palette)


def _draw_threshold(figure: go.Figure, shifts: Shifts, palette: Palette) -> None:
    if shifts.ratio is None:
        return
    places, at = [0.0, *rate_positions(shifts.rates)], shifts.ratio * shifts.base_lms
    line = {"color": palette.kept, "width": 1.4, "dash": "2px,3px"}
    figure.add_shape(
        type="line", xref="x", x0=min(places), x1=max(places), yref="y", y0=at, y1=at, line=line, layer="below"
    )


def _draw_dataset(
    figure: go.Figure,
    shifts: Shifts,
    dataset: str,
    place: int,
    panel: Panel,
    looks: Mapping[str, Look],
    palette: Palette,
) -> None:
    labels = []
    for name, values in shifts.probabilities[dataset].items():
        base, decides = shifts.base_probabilities[dataset][name], shifts.decides(dataset, name)
        hover = [cell_hover(shifts, dataset, name, k) for k in range(len(shifts.rates))]
        first = f"Base: P({escaped(name)}) {six_digits(base)} on {escaped(dataset)} rows"
        _draw_line(figure, shifts, place, values, base, looks[name], palette, hover, first, name=name, strong=decides)
        labels.append((line_name(name), values, base, looks[name], decides))
    _label_lines(figure, shifts, place, panel, labels)
    if (
        shifts.selected is not None
        and dataset == shifts.deciding
        and shifts.target_class in shifts.probabilities[dataset]
    ):
        values = shifts.probabilities[dataset][shifts.target_class]
        base = shifts.base_probabilities[dataset][shifts.target_class]
        value = values[shifts.selected]
        moved = "" if value is None or base is None else f" ({change(value - base)})"
        _draw_star(figure, shifts, place, values, f"{probability(value)}{moved}", palette)


def _draw_line(
    figure: go.Figure,
    shifts: Shifts,
    place: int,
    values: Values,
    base: float | None,
    look: Look,
    palette: Palette,
    hover: Sequence[str],
    base_hover: str,
    *,
    name: str = "LMS",
    strong: bool = False,
) -> None:
    """The base dashed across, the whole line faded, the passing stretches over it, every cell as a marker."""
    x, passes = rate_positions(shifts.rates), shifts.passes
    with_base = sorted([(0.0, base, True), *zip(x, values, passes, strict=True)], key=lambda point: point[0])
    places = [point[0] for point in with_base]
    width = 3.4 if strong else 2.0
    group = {"yaxis": axis_name("y", place), "name": name}
    line = {"color": look.color, "width": width}
    if base is not None:
        ends = [min(places), max(places)]
        dashed = {"color": look.color, "width": 1.2, "dash": "7px,4px"}
        figure.add_scatter(x=ends, y=[base] * 2, mode="lines", line=dashed, opacity=0.6, hoverinfo="skip", **group)
    figure.add_scatter(
        x=places, y=[p[1] for p in with_base], mode="lines", line=line, opacity=FADED, hoverinfo="skip", **group
    )
    kept = [p[1] if p[2] else None for p in with_base]
    figure.add_scatter(x=places, y=kept, mode="lines", line=line, hoverinfo="skip", connectgaps=False, **group)
    marks = {"color": look.color, "size": 9 if strong else 7, "line": {"width": 1.6, "color": look.color}}
    figure.add_scatter(
        x=[*x, 0.0],
        y=[*values, base],
        mode="markers",
        marker={
            **marks,
            "symbol": [look.symbol if passed else f"{look.symbol}-open" for passed in (*passes, True)],
            "opacity": [1.0 if passed else 0.55 for passed in (*passes, True)],
        },
        hovertext=[*hover, base_hover],
        hoverinfo="text",
        **group,
    )


Label = tuple[str, Values, float | None, Look, bool]


def _label_lines(figure: go.Figure, shifts: Shifts, place: int, panel: Panel, labels: Sequence[Label]) -> None:
    """Each line's name, with its value there, left of its first point."""
    x = rate_positions(shifts.rates)
    start = min([0.0, *x])
    firsts = [base if start == 0.0 else values[x.index(start)] for _, values, base, _, _ in labels]
    wanted = [panel.pixels(first or 0.0) for first in firsts]
    heights = spread(wanted, 6, panel.height - 6)
    for (name, _, _, look, strong), first, height in zip(labels, firsts, heights, strict=True):
        text = f"{escaped(name)} {probability(first)}"
        figure.add_annotation(
            text=f"<b>{text}</b>" if strong else text,
            font={"size": 12, "color": look.color},
            x=start,
            xref="x",
            xanchor="right",
            xshift=-9,
            y=panel.bottom + (panel.top - panel.bottom) * height / panel.height,
            yref=axis_name("y", place),
            yanchor="middle",
            showarrow=False,
        )


def _draw_star(figure: go.Figure, shifts: Shifts, place: int, values: Values, text: str, palette: Palette) -> None:
    """The chosen cell: a star with its number, hollow and named where it is only a fallback."""
    assert shifts.selected is not None
    x, value = rate_positions(shifts.rates)[shifts.selected], values[shifts.selected]
    if value is None:
        return
    before = values[shifts.selected - 1] if shifts.selected else None
    rising = before is None or value >= before
    figure.add_scatter(
        x=[x],
        y=[value],
        mode="markers",
        marker={
            "symbol": "star-open" if shifts.fallback else "star",
            "size": 17,
            "color": palette.star if not shifts.fallback else palette.ink,
            "line": {"width": 1.4, "color": palette.ink},
        },
        yaxis=axis_name("y", place),
        name="selected",
        hoverinfo="skip",
    )
    far_left = x < 0.3 * max(rate_positions(shifts.rates))
    left = rising and not far_left
    figure.add_annotation(
        text=("fallback: " if shifts.fallback else "") + f"<b>{text}</b>",
        font={"size": 12.5, "color": palette.ink, "shadow": ", ".join([f"0 0 2px {palette.surface}"] * 4)},
        x=x,
        xref="x",
        xanchor="right" if left else "left",
        xshift=-8 if left else 8,
        y=value,
        yref=axis_name("y", place),
        yanchor="bottom",
        yshift=6,
        showarrow=False,
    )


def _mark_failing(figure: go.Figure, shifts: Shifts, place: int, palette: Palette) -> None:
    """A band behind every run of neighbouring cells that lose too much of the LMS."""
    x, passes = rate_positions(shifts.rates), shifts.passes
    middles = [(left + right) / 2 for left, right in zip(x, x[1:], strict=False)]
    edges = [x[0] - 0.15, *middles, x[-1] + 0.15]
    start: int | None = None
    for k, passed in enumerate((*passes, True)):
        if not passed and start is None:
            start = k
        if passed and start is not None:
            figure.add_shape(
                type="rect",
                x0=edges[start],
                x1=edges[k],
                xref="x",
                y0=0,
                y1=1,
                yref=f"{axis_name('y', place)} domain",
                fillcolor=palette.hair,
                opacity=0.45,
                line={"width": 0},
                layer="below",
            )
            start = None


def _mark_selected(figure: go.Figure, shifts: Shifts, place: int, palette: Palette) -> None:
    """A dotted line down every panel at the chosen learning rate."""
    if shifts.selected is None:
        return
    x = rate_positions(shifts.rates)[shifts.selected]
    line = {"color": palette.soft, "width": 1, "dash": "1px,3px"}
    across = f"{axis_name('y', place)} domain"
    figure.add_shape(type="line", xref="x", x0=x, x1=x, yref=across, y0=0, y1=1, line=line, layer="below")
