"""The trainer's figures: draw, write, show. Imported on first use: it loads plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.selection import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.figures.encoder_distributions import encoder_distribution_table, encoder_distributions
from gradiend_ui.figures.probability_shifts import probability_shift_table, probability_shifts
from gradiend_ui.figures.training_convergence import training_convergence, training_convergence_table
from gradiend_ui.trainer.plots import save_figure


@dataclass(frozen=True)
class ShiftSource:
    """Whose figure is drawn of which results; see `probability_shifts`."""

    results: Mapping[str, Any]
    target_class: str
    goal: str
    classes: Sequence[str]
    strengthening: Mapping[str, float]


def draw_probability_shifts(
    source: ShiftSource,
    *,
    class_ids: Sequence[str] | None,
    output: Path | None,
    show: bool,
    figsize: tuple[float, float] | None,
    formats: Sequence[str],
    dpi: int | None,
    return_figure: bool,
    title: str | bool,
    feature_factor: float | None,
    policy: SelectionPolicy,
    theme: str,
) -> Any:
    """The figure, or the path of the first file written ("" without a place)."""
    common: dict[str, Any] = {
        "target_class": source.target_class,
        "goal": source.goal,
        "classes": source.classes,
        "strengthening": source.strengthening,
        "class_ids": class_ids,
        "feature_factor": feature_factor,
        "ratio": policy.ratio if isinstance(policy, LMSThresholdPolicy) else None,
    }
    figure = probability_shifts(source.results, **common, title=title, figsize=figsize, theme=theme)
    table = probability_shift_table(source.results, **common)
    return _finish(figure, table, output, formats, dpi, "decoder_probability_shifts", show, return_figure)


def draw_training(
    stats: Mapping[str, Any],
    options: Mapping[str, Any],
    output: Path | None,
    formats: Sequence[str],
    dpi: int | None,
    show: bool,
    return_figure: bool,
) -> Any:
    """Correlation, means and loss over the steps; see `training_convergence` for the options."""
    figure = training_convergence(stats, **options)
    table = training_convergence_table(stats, options["class_spread"])
    return _finish(figure, table, output, formats, dpi, "training_convergence", show, return_figure)


def draw_encoder(
    frame: pd.DataFrame,
    options: Mapping[str, Any],
    output: Path | None,
    formats: Sequence[str],
    dpi: int | None,
    show: bool,
    return_figure: bool,
) -> Any:
    """One violin per class; see `encoder_distributions` for the options."""
    figure = encoder_distributions(frame, **options)
    table = encoder_distribution_table(frame, options["classes"])
    return _finish(figure, table, output, formats, dpi, "encoder_distributions", show, return_figure)


def _finish(
    figure: go.Figure,
    table: pd.DataFrame,
    output: Path | None,
    formats: Sequence[str],
    dpi: int | None,
    name: str,
    show: bool,
    return_figure: bool,
) -> Any:
    written = [] if output is None else save_figure(figure, table, output, formats, name=name, dpi=dpi)
    if show:
        figure.show()
    return figure if return_figure else next(iter(written), "")
