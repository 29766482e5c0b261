"""The trainer's figures: draw, write, show. Imported on first use: it loads plotly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
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


@dataclass(frozen=True)
class Destination:
    """What becomes of a figure.

    path: file or folder, None writes nothing; formats: beside HTML and CSV; dpi: of a png; show: open it;
    as_figure: hand back the figure instead of the path of the first file written ("" without a place).
    """

    path: Path | None
    formats: Sequence[str] = ()
    dpi: int | None = None
    show: bool = False
    as_figure: bool = False

    def take(self, figure: go.Figure, table: pd.DataFrame, name: str) -> Any:
        """Write the figure and its numbers as files called `name`, and show it where that was asked for."""
        written = (
            [] if self.path is None else save_figure(figure, table, self.path, self.formats, name=name, dpi=self.dpi)
        )
        if self.show:
            figure.show()
        return figure if self.as_figure else next(iter(written), "")


def draw_probability_shifts(
    source: ShiftSource,
    destination: Destination,
    *,
    class_ids: Sequence[str] | None,
    figsize: tuple[float, float] | None,
    title: str | bool,
    feature_factor: float | None,
    policy: SelectionPolicy,
    theme: str,
) -> Any:
    """LMS and probabilities over the learning rates; see `probability_shifts`."""
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
    return destination.take(figure, table, "decoder_probability_shifts")


def draw_training(stats: Mapping[str, Any], options: Mapping[str, Any], destination: Destination) -> Any:
    """Correlation, means and loss over the steps; see `training_convergence` for the options."""
    figure = training_convergence(stats, **options)
    return destination.take(figure, training_convergence_table(stats, options["class_spread"]), "training_convergence")


def draw_encoder(frame: pd.DataFrame, options: Mapping[str, Any], destination: Destination) -> Any:
    """One violin per class; see `encoder_distributions` for the options."""
    figure = encoder_distributions(frame, **options)
    table = encoder_distribution_table(frame, options["classes"])
    return destination.take(figure, table, "encoder_distributions")
