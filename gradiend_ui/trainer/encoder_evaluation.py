"""The encoder's side of a trainer: which rows and neutral texts are encoded, and the figures of encoder and training.

Encodes nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.data.forms.choice import chosen_pair, training_rows
from gradiend_ui.engine.data.forms.sources import neutral_with_notes
from gradiend_ui.engine.data.forms.unified import UnifiedData
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, NotFound, options_of, refusing_class
from gradiend_ui.engine.files.model_files import CONFIG
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.own_tables import tell_notes
from gradiend_ui.engine.training.encoder_evaluation import Encoder, NeutralTexts, evaluate_encoder
from gradiend_ui.engine.training.encoder_metrics import encoder_metrics
from gradiend_ui.engine.training.record import load_training_stats
from gradiend_ui.trainer.arguments import TrainingArguments, check_whole
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.decoder_plan import Split, check_split
from gradiend_ui.trainer.model_and_data import ModelAndData
from gradiend_ui.trainer.not_here import NOT_IN_EVALUATION, NOT_IN_FIGURES
from gradiend_ui.trainer.training import BALANCE_OF

TEST = "test"


def encode_rows(
    model: ModelWithGradiend,
    data: UnifiedData,
    args: TrainingArguments,
    config: TextPredictionConfig,
    *,
    split: Split = "test",
    source: str | None = None,
    max_size: int | None = None,
    neutral: pd.DataFrame | Sequence[str] | None = None,
    include_other_classes: bool | None = None,
    told: set[str] | None = None,
) -> dict[str, Any]:
    """The encoder's measures in the reference's shape, with the table of all encoded rows as "encoder_df".

    None: as it is configured. told: sentences that were logged before. Texts of the test split are encoded with another
    word masked, too, where that split is among those asked for, as the reference does. Raises BadData when a
    correlation is not defined.
    """
    pair = chosen_pair(data, "all", None)
    kind = source or model.source
    if kind not in BALANCE_OF:
        raise BadData(f"source must be one of {', '.join(BALANCE_OF)}, not {source!r}.")
    size = args.encoder_eval_max_size if max_size is None else max_size

    def chosen(wanted: Split) -> tuple[EvalRow, ...]:
        return training_rows(
            data,
            wanted,
            pair=pair,
            max_size=size,
            balance=BALANCE_OF[kind] if args.encoder_eval_balance else None,
            seed=args.seed,
            add_identity=args.add_identity_for_other_classes,
            include_other_classes=_first_given(include_other_classes, args.include_other_classes),
        )

    rows = chosen(split)
    masked_anew = chosen(TEST) if TEST in {row.split for row in rows} else ()
    return evaluate_encoder(
        Encoder(model.base, model.mapped, model.gradiend, kind),
        rows,
        pair,
        source=source,
        balance=args.encoder_eval_balance,
        seed=args.seed or 0,
        neutral=NeutralTexts(masked_anew, _neutral_texts(config, neutral, told), _excluded_words(data, config), size),
        return_df=True,
    )


def _first_given(given: bool | None, configured: bool) -> bool:
    return configured if given is None else given


def _neutral_texts(
    config: TextPredictionConfig, given: pd.DataFrame | Sequence[str] | None, told: set[str] | None
) -> tuple[str, ...]:
    given = config.eval_neutral_data if given is None else given
    if given is None:
        return ()
    if isinstance(given, str):
        found = neutral_with_notes(given, max_rows=config.eval_neutral_max_rows)
    else:
        found = check_neutral(given, keep_empty=True)
    tell_notes("The neutral texts", found.notes, told)
    return found.texts


def _excluded_words(data: UnifiedData, config: TextPredictionConfig) -> list[str]:
    """What makes a text not neutral: every word of the rows, and those that are configured."""
    words = {word for row in data.rows for word in (row.label, row.alternative)}
    return sorted(words | set(config.eval_neutral_additional_excluded_words or ()))


def frame_of(table: object) -> pd.DataFrame:
    """The table of encoded rows, given as it is or in its result. Raises BadData for anything else."""
    frame = table.get("encoder_df") if isinstance(table, Mapping) else table
    if not isinstance(frame, pd.DataFrame):
        raise BadData("encoder_df must be the frame, or the result, of evaluate_encoder(return_df=True).")
    return frame


@refusing_class(
    {
        **dict.fromkeys(("evaluate_encoder", "get_encodings", "get_encoder_metrics"), NOT_IN_EVALUATION),
        **dict.fromkeys(("plot_encoder_distributions", "plot_training_convergence"), NOT_IN_FIGURES),
    }
)
class EncoderSide(ModelAndData):
    """What a trainer tells of its encoder and of its training."""

    def evaluate_encoder(
        self,
        model_with_gradiend: ModelWithGradiend | None = None,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        split: Split = "test",
        source: str | None = None,
        max_size: int | None = None,
        neutral_data_df: pd.DataFrame | Sequence[str] | None = None,
        use_cache: bool | None = None,
        return_df: bool = False,
        plot: bool = False,
        plot_kwargs: Mapping[str, Any] | None = None,
        include_other_classes: bool | None = None,
        use_all_transitions: bool = False,
        device: Any = None,
    ) -> dict[str, Any]:
        """How well the encoder tells the classes apart, in the reference's shape.

        Returns {"correlation" in [-1, 1] between encoded values and labels (+1 and -1 for the pair), "mean_by_class"
        {label: mean encoded value, with tanh in [-1, 1]}, "mean_by_feature_class" {class: mean}, "all_data",
        "training_only" and "target_classes_only" {"correlation", "accuracy" in [0, 1]}, "n_samples", spreads, ...},
        with "encoder_df" after return_df=True: a row per text, its value in the column `encoded`; after plot=True
        without an experiment_dir also "figure", the Plotly figure.

        encoder_df: a table of an earlier call (`return_df=True`), measured without encoding again.
        split: one, several or "all"; source: gradients that are encoded, None as in the training.
        max_size: at most so many rows per class; neutral_data_df: texts encoded as neutral, None the configured ones.
        use_cache: accepted for scripts of the reference; nothing is taken from files here.
        include_other_classes, or use_all_transitions: also rows of classes outside the pair, with label 0. plot: draw
        `plot_encoder_distributions` too, with plot_kwargs. device: where to encode.
        Raises BadData when the rows do not define a correlation or a split has none, NotFound before any training.
        """
        check_whole("max_size", max_size, 1, optional=True)
        check_split(split)
        if not isinstance(model_with_gradiend, (ModelWithGradiend, type(None))):
            raise BadBase("model_with_gradiend must be a ModelWithGradiend; a folder is opened by load_model().")
        figure_options = options_of("plot_kwargs", plot_kwargs, ("encoder_df",))
        model = model_with_gradiend or self.get_model()
        if device is not None:
            model.to(device)
        if encoder_df is not None:
            frame = frame_of(encoder_df)
            result = {**encoder_metrics(frame, chosen_pair(self._unified, "all", None)), "encoder_df": frame}
        else:
            result = encode_rows(
                model, self._unified, self.training_args, self.config, split=split, source=source, max_size=max_size,
                neutral=neutral_data_df, include_other_classes=use_all_transitions or include_other_classes,
                told=self._told,
            )  # fmt: skip
        if plot:
            drawn = self.plot_encoder_distributions(result["encoder_df"], **figure_options)
            if not isinstance(drawn, str):
                result["figure"] = drawn
        return {name: value for name, value in result.items() if return_df or name != "encoder_df"}

    def get_encodings(
        self,
        model_path: str | Path | None = None,
        split: Split = "test",
        max_size: int | None = None,
        include_other_classes: bool | None = None,
    ) -> pd.DataFrame:
        """The table of encoded rows of `evaluate_encoder`, computed now: nothing is read from a file.

        model_path: another checkpoint than this trainer's. Raises what `evaluate_encoder` raises.
        """
        model = None if model_path is None else self.load_model(model_path)
        result = self.evaluate_encoder(
            model, split=split, max_size=max_size, include_other_classes=include_other_classes, return_df=True
        )
        table: pd.DataFrame = result["encoder_df"]
        return table

    def get_encoder_metrics(
        self,
        model_path: str | Path | None = None,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        split: Split = "test",
        max_size: int | None = None,
        use_cache: bool | None = None,
    ) -> dict[str, Any] | None:
        """The measures of a table of `evaluate_encoder`, or of the rows of a split, encoded now.

        None for an empty table. The arguments are those of `get_encodings` and `evaluate_encoder`, whose errors it
        raises.
        """
        if isinstance(encoder_df, pd.DataFrame) and encoder_df.empty:
            return None
        model = None if model_path is None else self.load_model(model_path)
        return self.evaluate_encoder(model, encoder_df, split=split, max_size=max_size, use_cache=use_cache)

    def _highlights(self, given: bool | None) -> bool:
        return _first_given(given, self.training_args.highlight_non_convergence)

    def get_training_stats(self, model_path: str | Path | None = None) -> dict[str, Any] | None:
        """What training.json of the model says; None when the folder holds none.

        "training_stats": per evaluated step the encoder's measures; "best_score_checkpoint": correlation in [-1, 1],
        global_step, epoch; "losses": mean squared error per step; "training_args", "convergence_info", "time" in
        seconds, ... model_path: another folder than this trainer's. Raises BadCheckpoint for a damaged file.
        """
        return load_training_stats(Path(model_path or self.model_path))

    def get_seed_report_path(self) -> str | None:
        """seeds/seed_report.json of this experiment, None when there is none."""
        folder = self.training_args.seed_runs_dir or (self.experiment_dir and Path(self.experiment_dir) / "seeds")
        path = Path(folder) / "seed_report.json" if folder else None
        return str(path) if path is not None and path.is_file() else None

    def get_seed_report(self) -> dict[str, Any] | None:
        """The seed report's content, None when there is none."""
        path = self.get_seed_report_path()
        return None if path is None else dict(pd.read_json(path, typ="series"))

    def get_saved_seed_run_paths(self, selection: str = "all_convergent") -> list[str]:
        """The folders of the seeds that were kept: "best", "all_convergent" or "all_tried".

        The model's own where there was one seed only. Raises BadGrid for another selection.
        """
        if selection not in ("best", "all_convergent", "all_tried"):
            raise BadGrid(f"selection must be 'best', 'all_convergent' or 'all_tried', not {selection!r}.")
        report = self.get_seed_report()
        if selection == "best" or report is None:
            return [self.model_path]
        runs = [run for run in report.get("runs", ()) if selection == "all_tried" or run.get("converged")]
        return [str(run["output_dir"]) for run in runs if Path(run.get("output_dir") or "").joinpath(CONFIG).is_file()]

    def get_best_seed_run_path(self) -> str | None:
        """The folder of the best seed as far as it was kept, else the model's."""
        if self.get_seed_report_path() is None or self.experiment_dir is None:
            return self.model_path
        best = read_run_folder(Path(self.experiment_dir)).best_seed
        return self.model_path if best is None or best.folder is None else str(best.folder)

    def plot_training_convergence(
        self,
        *,
        plot_mean_by_class: bool = True,
        plot_mean_by_feature_class: bool | None = None,
        plot_correlation: bool = True,
        class_spread: str | None = None,
        best_step: bool = True,
        label_name_mapping: Mapping[str, str] | None = None,
        output: str | Path | None = None,
        experiment_dir: str | Path | None = None,
        show: bool = False,
        title: str | bool = True,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        legend_ncol: int | None = None,
        legend_bbox_to_anchor: Sequence[float] | None = None,
        legend_loc: str | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        model_path: str | Path | None = None,
        training_stats: Mapping[str, Any] | None = None,
        theme: str = "light",
    ) -> Any:
        """Correlation, class means (both in [-1, 1]) and loss over the steps of the training, from training.json.

        plot_mean_by_class, plot_correlation: which lines; plot_mean_by_feature_class: means per class of the
        data, None where they add to the means per label. class_spread: "minmax", "iqr" or "ci95" shades their spread.
        best_step: mark the step that was kept. label_name_mapping: {class, or its label: name to show}.
        title: True writes one, a text is used, False leaves it out. figsize: (width, height) in inches of 96 pixels;
        dpi: pixels per inch of a png; theme: "light" or "dark". legend_loc, legend_ncol, legend_bbox_to_anchor: draw a
        legend beside the names at the lines, at matplotlib's place of that name, in so many columns.
        model_path, training_stats: draw another folder's training.json, or what one holds; experiment_dir: where to
        write without output. highlight_non_convergence: say of a training that it did not converge, None as in
        `TrainingArguments`. output, show, img_format, return_fig_ax and what is returned: `plot_probability_shifts`.
        Raises NotFound without training.json, BadData for another spread, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import Lettering, destination, draw_training

        stats = training_stats
        if stats is None:
            stats = self.get_training_stats() if model_path is None else load_training_stats(model_path)
        if stats is None:
            raise NotFound("This GRADIEND has no training.json: its training cannot be drawn.")
        options: dict[str, Any] = {
            "plot_mean_by_class": plot_mean_by_class,
            "plot_mean_by_feature_class": plot_mean_by_feature_class,
            "plot_correlation": plot_correlation,
            "class_spread": class_spread,
            "best_step": best_step,
            "label_name_mapping": label_name_mapping,
            "title": title,
            "highlight": self._highlights(highlight_non_convergence),
            "figsize": figsize,
            "lettering": Lettering(
                legend_loc=legend_loc, legend_ncol=legend_ncol, legend_bbox_to_anchor=legend_bbox_to_anchor
            ),
            "theme": theme,
        }
        place = destination(
            self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax, experiment_dir
        )
        return draw_training(stats, options, place)

    def plot_encoder_distributions(
        self,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        *,
        output: str | Path | None = None,
        output_dir: str | Path | None = None,
        show: bool = False,
        title: str | bool = True,
        target_and_neutral_only: bool = True,
        split_plot_mode: str = "facet",
        include_neutral: bool = False,
        neutral_data_split: str = "test",
        violin_order: Sequence[str] | None = None,
        paired_legend_labels: Sequence[str] | None = None,
        class_label_mapping: Mapping[Any, str] | None = None,
        legend_name_mapping: Mapping[str, str] | None = None,
        legend_group_mapping: Mapping[str, Sequence[str]] | None = None,
        ignore_missing_legend_group_labels: bool = False,
        title_fontsize: float | None = None,
        label_fontsize: float | None = None,
        axis_label_fontsize: float | None = None,
        legend_fontsize: float | None = None,
        colors: Mapping[str, str] | None = None,
        legend_loc: str | None = None,
        legend_ncol: int | None = None,
        legend_bbox_to_anchor: Sequence[float] | None = None,
        cmap: str | None = None,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        split: Split = "test",
        max_size: int | None = None,
        include_other_classes: bool | None = None,
        theme: str = "light",
    ) -> Any:
        """Where the encoder puts the texts of each class: a violin per class over its values, in [-1, 1] with tanh.

        encoder_df: of `evaluate_encoder(return_df=True)`; None encodes now, with split, max_size and
        include_other_classes. target_and_neutral_only: leave out rows of classes that are no targets.
        Rows of several splits stand side by side (split_plot_mode "facet"), and neutral rows among them, as
        neutral_data_split, only with include_neutral.
        A label is a class, a transition "A -> B" or a kind of neutral rows, such as "neutral: dataset".
        violin_order: labels that come first; paired_legend_labels: only these, two and two in one violin;
        class_label_mapping: {class: name to show}; legend_name_mapping: {label: name to show};
        legend_group_mapping: {new label: labels put together, so many rows of each}, of which those that are not there
        are refused unless ignore_missing_legend_group_labels. colors: {label: colour}; cmap: matplotlib's or plotly's
        colour map. title_fontsize, label_fontsize (at the ticks), axis_label_fontsize, legend_fontsize: points.
        output_dir: folder to write to without output. The other arguments, the legend and the return value: as for
        `plot_training_convergence`.
        Raises BadData for a table without encoded values or an option that fits nothing, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import Drawing, Labels, Lettering, destination, draw_encoder, marked

        if encoder_df is None:
            table = self.get_encodings(split=split, max_size=max_size, include_other_classes=include_other_classes)
        else:
            table = frame_of(encoder_df)
        told = self.get_training_stats() if self._highlights(highlight_non_convergence) else None
        options: dict[str, Any] = {
            "classes": self.target_classes,
            "target_and_neutral_only": target_and_neutral_only,
            "labels": Labels(
                () if violin_order is None else violin_order,
                () if paired_legend_labels is None else paired_legend_labels,
                class_label_mapping or {}, legend_name_mapping or {}, legend_group_mapping or {},
                ignore_missing_legend_group_labels,
            ),
            "drawing": Drawing(
                colors or {}, cmap, split_plot_mode, include_neutral, neutral_data_split,
                marked(title, told, "Encoded values"), figsize, theme,
            ),
            "lettering": Lettering(
                title_fontsize, label_fontsize, axis_label_fontsize, legend_fontsize, legend_loc, legend_ncol,
                legend_bbox_to_anchor,
            ),
        }  # fmt: skip
        place = destination(self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax, output_dir)
        return draw_encoder(table, options, place)
