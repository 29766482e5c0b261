"""The trainer's figures of single encoded texts: a scatter to look for outliers, strips by split, and by target word.

Chooses rows and columns of the encoder's table; what is drawn is told in `gradiend_ui.figures.encoder_points`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadData, listed, refusing_class
from gradiend_ui.figures.encoder_groups import TRAINING
from gradiend_ui.trainer.arguments import check_whole
from gradiend_ui.trainer.decoder_plan import Split
from gradiend_ui.trainer.encoder_evaluation import EncoderSide, frame_of
from gradiend_ui.trainer.not_here import NOT_IN_POINTS

HOVER = ("masked", "input_text", "text", "source_token", "target_id", "source_id", "label", "data_split", "type")
TARGETS = ("source_token", "factual_token", "target_id", "source_id")
"""Columns that tell of a point, and those of which the first that is there makes the x axis of a scatter."""


@refusing_class(
    dict.fromkeys(("plot_encoder_scatter", "plot_encoder_strip_by_split", "plot_encoder_by_target"), NOT_IN_POINTS)
)
class EncoderPoints(EncoderSide):
    """What a trainer shows of every single text that its encoder has read."""

    def plot_encoder_scatter(
        self,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        *,
        color_by: str = "label",
        x_col: str | None = None,
        label_name_mapping: Mapping[Any, str] | None = None,
        max_points: int | None = None,
        show: bool = False,
        title: str | bool | None = True,
        height: int = 500,
        split: Split = "test",
        highlight_non_convergence: bool | None = None,
        hover_cols: Sequence[str] | None = None,
        stratify_by: str | None = None,
        cmap: str | None = None,
        hover_text_max_chars: int = 180,
        hover_text_line_chars: int = 90,
        output: str | Path | None = None,
        output_path: str | Path | None = None,
        output_dir: str | Path | None = None,
        experiment_dir: str | Path | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        return_fig_ax: bool = False,
        max_size: int | None = None,
        include_other_classes: bool | None = None,
        theme: str = "light",
    ) -> Any:
        """Every encoded text as a point, to look for outliers: it tells its text when the pointer is on it.

        encoder_df: of `evaluate_encoder(return_df=True)`; None encodes now, with split, max_size and
        include_other_classes. x_col: column along the x axis, None for the word whose gradient was encoded; color_by:
        column of the colours; label_name_mapping: {value of it: name to show}, by default the class of
        a label; cmap: colour map of the colours.
        max_points: at most so many, of each value of stratify_by (None: color_by) the same share.
        hover_cols: columns that a point tells; hover_text_max_chars, hover_text_line_chars: of its texts.
        height: in pixels. output (or output_path), output_dir (or experiment_dir), show, title, img_format, dpi,
        highlight_non_convergence, theme and the return value: as for `plot_encoder_distributions`.
        Raises BadData for a column that is not there, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import Points, destination, draw_points, thinned

        check_whole("max_points", max_points, 1, optional=True)
        check_whole("height", height, 1)
        table = self._points_table(encoder_df, split, max_size, include_other_classes)
        places = [name for name in TARGETS if name in table.columns]
        if x_col is None and not places:
            raise BadData(f"x_col is needed: the encoder frame has none of {listed(TARGETS)}.")
        names = label_name_mapping or (_label_names(table) if color_by == "label" else {})
        points = Points(
            x_col or places[0], color_by, hover=HOVER if hover_cols is None else hover_cols,
            names=names, cmap=cmap, longest=hover_text_max_chars, line=hover_text_line_chars,
            mask=self.config.mask_placeholder,
        )  # fmt: skip
        place = destination(
            self.config, self.experiment_dir, output or output_path, img_format, dpi, show, return_fig_ax,
            output_dir or experiment_dir,
        )  # fmt: skip
        look = {"height": height, "theme": theme} | self._titled(title, highlight_non_convergence)
        return draw_points(thinned(table, max_points, stratify_by or color_by), points, look, place, "encoder_scatter")

    def plot_encoder_strip_by_split(
        self,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        *,
        include_neutral: bool = False,
        title: str | bool | None = True,
        output: str | Path | None = None,
        show: bool = False,
        figsize: tuple[float, float] | None = None,
        jitter: float = 0.08,
        dodge: bool = True,
        point_size: float = 5.0,
        highlight_non_convergence: bool | None = None,
        types: Sequence[str] | None = None,
        x_group_col: str = "source_id",
        neutral_type_labels: Mapping[str, str] | None = None,
        hue_col: str = "data_split",
        default_hue: str = "test",
        aggregate_targets: bool = True,
        aggregate_target_col: str = "factual_token",
        seed: int = 42,
        output_dir: str | Path | None = None,
        experiment_dir: str | Path | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        return_fig_ax: bool = False,
        split: Split = "all",
        max_size: int | None = None,
        include_other_classes: bool | None = None,
        theme: str = "light",
    ) -> Any:
        """Encoded values by class, the splits side by side: whether the encoder says the same of words it has not seen.

        x_group_col, hue_col: columns of the groups and of the colours, default_hue where the second is missing.
        aggregate_targets: one point for each word of aggregate_target_col, group and split, at the mean of its values.
        include_neutral: also neutral texts, under names by neutral_type_labels; types: rows of these kinds only.
        jitter: half the width of the strips; dodge: colours side by side; point_size: in pixels; seed: of the jitter.
        split, max_size, include_other_classes: what is encoded without encoder_df. The other arguments and the return
        value: as for `plot_encoder_distributions`. Raises BadData for a column that is not there.
        """
        from gradiend_ui.trainer.figures import Points, averaged, destination, draw_points, own_rows

        check_whole("seed", seed, 0)
        table = self._points_table(encoder_df, split, max_size, include_other_classes)
        rows = own_rows(table, include_neutral=include_neutral, types=types)
        if hue_col not in rows.columns:
            rows = rows.assign(**{hue_col: default_hue})
        if x_group_col not in rows.columns:
            raise BadData(f"x_group_col {x_group_col!r} is no column; the encoder frame has {listed(rows.columns)}.")
        rows = rows.assign(**{x_group_col: _group_names(rows, x_group_col, neutral_type_labels or {})})
        if aggregate_targets:
            rows = averaged(rows, aggregate_target_col, [x_group_col, hue_col])
        points = Points(
            x_group_col, hue_col, family=x_group_col, families=self.target_classes,
            hover=(aggregate_target_col, "texts") if aggregate_targets else HOVER, jitter=jitter, dodge=dodge,
            size=point_size, seed=seed, mask=self.config.mask_placeholder,
        )  # fmt: skip
        place = destination(
            self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax, output_dir or experiment_dir
        )
        look = {"figsize": figsize, "theme": theme} | self._titled(title, highlight_non_convergence)
        return draw_points(rows, points, look, place, "encoder_strip_by_split")

    def plot_encoder_by_target(
        self,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        *,
        plot_style: str = "strip",
        title: str | bool | None = True,
        output: str | Path | None = None,
        show: bool = False,
        figsize: tuple[float, float] | None = None,
        jitter: float = 0.25,
        dodge: bool = True,
        point_size: float = 4.0,
        interactive: bool = False,
        height: int = 520,
        legend_loc: str | None = None,
        highlight_non_convergence: bool | None = None,
        target_col: str = "source_token",
        class_col: str = "source_id",
        hue_col: str = "data_split",
        class_order: Sequence[str] | None = None,
        ignore_case: bool = True,
        output_dir: str | Path | None = None,
        experiment_dir: str | Path | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        return_fig_ax: bool = False,
        split: Split = "all",
        max_size: int | None = None,
        include_other_classes: bool | None = None,
        theme: str = "light",
    ) -> Any:
        """Encoded values by target word, the words of a class beside each other, coloured by split.

        plot_style: "strip" for points, "box" or "violin". target_col, class_col, hue_col: columns of the words, of
        their classes and of the colours; class_order: the classes in their order, None for that of the trainer.
        ignore_case: words that differ in their case only are one. interactive: accepted, figures always are.
        legend_loc: matplotlib's place of that name, None for right of the figure. The other arguments and the return
        value: as for `plot_encoder_strip_by_split`. Raises BadData for a column that is not there.
        """
        from gradiend_ui.trainer.figures import Lettering, Points, destination, draw_points, own_rows

        check_whole("height", height, 1)
        table = self._points_table(encoder_df, split, max_size, include_other_classes)
        rows = own_rows(table, include_neutral=False)
        if ignore_case and target_col in rows.columns:
            rows = rows.assign(**{target_col: rows[target_col].astype(str).str.casefold()})
        points = Points(
            target_col, hue_col, family=class_col, hover=HOVER, style=plot_style,
            families=self.target_classes if class_order is None else class_order,
            jitter=jitter, dodge=dodge, size=point_size, mask=self.config.mask_placeholder,
        )  # fmt: skip
        place = destination(
            self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax, output_dir or experiment_dir
        )
        look = {"figsize": figsize, "height": height, "theme": theme, "lettering": Lettering(legend_loc=legend_loc)}
        look |= self._titled(title, highlight_non_convergence)
        return draw_points(rows, points, look, place, "encoder_by_target")

    def _points_table(
        self, given: pd.DataFrame | Mapping[str, Any] | None, split: Split, max_size: int | None, others: bool | None
    ) -> pd.DataFrame:
        if given is not None:
            return frame_of(given)
        return self.get_encodings(split=split, max_size=max_size, include_other_classes=others)

    def _titled(self, title: str | bool | None, highlight: bool | None) -> dict[str, Any]:
        """The title, with a word on a training that did not converge, and the classes that decide colours."""
        from gradiend_ui.trainer.figures import marked

        told = self.get_training_stats() if self._highlights(highlight) else None
        return {"title": marked(title or False, told, "Encoded values"), "classes": self.target_classes}


def _group_names(rows: pd.DataFrame, column: str, labels: Mapping[str, str]) -> pd.Series:
    """The groups of the data's rows as they are, of neutral ones the kind, by the name it is given."""
    if "type" not in rows.columns:
        return rows[column]
    kinds = rows["type"].astype(str)
    return rows[column].astype(object).where(kinds.eq("training"), kinds.map(lambda kind: labels.get(kind, kind)))


def _label_names(table: pd.DataFrame) -> dict[Any, str]:
    """{label: the class whose texts have it, "neutral" for that of the neutral ones}, as far as the table tells."""
    if not {"label", "source_id", "type"} <= set(table.columns):
        return {}
    own = table[table["type"] == TRAINING].dropna(subset=["label", "source_id"])
    classes = own.groupby("label")["source_id"].agg(lambda names: ", ".join(sorted(set(names.astype(str)))))
    neutral = set(table.loc[table["type"] != TRAINING, "label"].dropna()) - set(classes.index)
    return dict(classes) | dict.fromkeys(neutral, "neutral")
