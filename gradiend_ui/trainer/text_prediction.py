"""`TextPredictionTrainer`: the front door of the Python API, with the spelling of the `gradiend` package.

Holds a base model or a trained GRADIEND, its data and its settings; every method hands on to the module that does the
work. Holds no formula and no loop over cells or steps of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from gradiend_ui.engine.errors import BadBase, BadGrid, BadName, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.values import Part
from gradiend_ui.trainer.arguments import check_whole
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation, inquiry_of, kept_results
from gradiend_ui.trainer.decoder_plan import (
    DecoderData,
    Frames,
    Request,
    Split,
    check_decoder_call,
    check_split,
    class_names,
    decoder_data,
    decoder_request,
    goal_of,
)
from gradiend_ui.trainer.decoder_summary import Extractor, Results
from gradiend_ui.trainer.encoder_evaluation import encode_rows, measure_table
from gradiend_ui.trainer.model_and_data import ModelAndData
from gradiend_ui.trainer.rewriting import RewriteRequest, rewrite

Names = str | Sequence[str] | None


class TextPredictionTrainer(ModelAndData):
    """Train a GRADIEND, evaluate its encoder and decoder, rewrite its base model.

    Every argument and method is named as in the `gradiend` package; errors are `GradiendUIError`s, one sentence each.
    """

    # --- evaluation --------------------------------------------------------------------------------------------------

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
        device: Any = None,
    ) -> dict[str, Any]:
        """How well the encoder tells the classes apart, in the reference's shape.

        Returns {"correlation" in [-1, 1] between encoded values and labels (+1 and -1 for the pair), "mean_by_class"
        {label: mean encoded value, with tanh in [-1, 1]}, "mean_by_feature_class" {class: mean}, "all_data",
        "training_only" and "target_classes_only" {"correlation", "accuracy" in [0, 1]}, "n_samples", spreads, ...},
        with "encoder_df" after return_df=True: a row per text, its value in the column `encoded`.

        encoder_df: a table of an earlier call (`return_df=True`), measured without encoding again.
        split: one, several or "all"; source: gradients that are encoded, None as in the training.
        max_size: at most so many rows per class; neutral_data_df: texts encoded as neutral, None the configured ones.
        use_cache: accepted for scripts of the reference; nothing is taken from files here.
        include_other_classes: also rows of classes outside the pair, with label 0. plot: draw
        `plot_encoder_distributions` too, with plot_kwargs. device: where to encode.
        Raises BadData when the rows do not define a correlation or a split has none, NotFound before any training.
        """
        check_whole("max_size", max_size, 1, optional=True)
        check_split(split)
        if not isinstance(model_with_gradiend, (ModelWithGradiend, type(None))):
            raise BadBase("model_with_gradiend must be a ModelWithGradiend; a folder is opened by load_model().")
        model = model_with_gradiend or self.get_model()
        if device is not None:
            model.to(device)
        if encoder_df is not None:
            result = measure_table(self._unified, encoder_df)
        else:
            result = encode_rows(
                model, self._unified, self.training_args, self.config, split=split, source=source, max_size=max_size,
                neutral=neutral_data_df, include_other_classes=include_other_classes,
            )  # fmt: skip
        if plot:
            self.plot_encoder_distributions(result["encoder_df"], **dict(plot_kwargs or {}))
        return {name: value for name, value in result.items() if return_df or name != "encoder_df"}

    def evaluate_decoder(
        self,
        lrs: Sequence[float] | None = None,
        feature_factors: Sequence[float] | None = None,
        use_cache: bool | None = None,
        split: Split = "test",
        max_size: int | None = None,
        max_size_training_like: int | None = None,
        max_size_neutral: int | None = None,
        eval_batch_size: int | None = None,
        training_like_df: pd.DataFrame | None = None,
        neutral_df: pd.DataFrame | Sequence[str] | None = None,
        selector: SelectionPolicy | None = None,
        summary_extractor: Extractor | None = None,
        summary_metrics: Sequence[str] | None = None,
        target_class: Names = None,
        increase_target_probabilities: bool = True,
        plot: bool = False,
        show: bool | None = None,
        plot_kwargs: Mapping[str, Any] | None = None,
        decoder_lms_mode: str | None = None,
        device: Any = None,
        *,
        part: str = "decoder",
    ) -> Results:
        """Sweep the grid of feature factors and learning rates and choose the best cell per class.

        lrs, feature_factors: the axes; None: 1, 2, 5 x 10^e from 0.001 to 100, and what the classes' directions need.
        use_cache: False computes everything anew; None and True take numbers of equal weights, data and targets from
            the experiment's store; True also takes over a grid the reference finished, after scoring a few cells again.
        split: rows of one split, several or "all". max_size_training_like: at most so many rows per transition;
            max_size_neutral: texts; max_size: both. eval_batch_size: texts padded together (it moves the numbers of
            left-padding causal models only).
        training_like_df, neutral_df: rows and texts of this call's own.
        selector: a policy (default `LMSThresholdPolicy(ratio=0.99)`); summary_extractor: from the grid to candidates
            with own metrics; summary_metrics: the metrics to choose by.
        target_class: one class, several, or None for all; only the rows that these need are scored.
        increase_target_probabilities: True strengthens (keys `<class>`), False weakens (keys `<class>_weaken`).
        plot: also score the datasets that the goal did not need, and draw `plot_probability_shifts` per class; show:
            open the figures; plot_kwargs: for them. device: where to score. part: see `ModelWithGradiend`.
        decoder_lms_mode: accepted for scripts of the reference, which has it for classifiers only.

        Returns {key: {"value", "feature_factor", "learning_rate", "id", "strengthen", "lms", "base_lms", "fallback",
        "why"}, ..., "grid": {"base" or (feature_factor, learning_rate): {"probs", "probs_factual",
        "probs_by_dataset", "lms", "id"}}}, with "plot_paths" and "plot_path" after plot=True. Probabilities and LMS
        are in [0, 1]. Raises a GradiendUIError in a sentence.
        """
        counts = {"max_size": max_size, "max_size_training_like": max_size_training_like}
        counts |= {"max_size_neutral": max_size_neutral, "eval_batch_size": eval_batch_size}
        check_decoder_call(counts, split, selector, use_cache=use_cache, plot=plot, show=show)
        if device is not None:
            self.get_model().to(device)
        request = decoder_request(
            self.training_args, self.config, self.target_classes, counts, increase=increase_target_probabilities,
            target_class=target_class, feature_factors=feature_factors, learning_rates=lrs, split=split, part=part,
            every_dataset=summary_metrics is not None,
        )  # fmt: skip
        data = self._decoder_data()
        inquiry = inquiry_of(data, request, selector, summary_metrics, summary_extractor)
        frames = None if training_like_df is None and neutral_df is None else Frames(training_like_df, neutral_df)
        wanted = self.training_args.use_cache if use_cache is None else use_cache
        results = self._evaluation().answered(data, request, inquiry, frames, wanted, every_dataset=plot)
        if not plot:
            return results
        options = {"selector": inquiry.policy, **dict(plot_kwargs or {})}
        return results | self._plot_every_class(results, request, show, options)

    def evaluate(
        self, *, kwargs_encoder: Mapping[str, Any] | None = None, kwargs_decoder: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """{"encoder": evaluate_encoder(**kwargs_encoder), "decoder": evaluate_decoder(**kwargs_decoder)}.

        Raises what the two raise.
        """
        return {
            "encoder": self.evaluate_encoder(**dict(kwargs_encoder or {})),
            "decoder": self.evaluate_decoder(**dict(kwargs_decoder or {})),
        }

    def _decoder_data(self) -> DecoderData:
        classes = tuple(self.target_classes)
        return decoder_data(
            self.get_model(), self._unified, classes, self.config, self.training_args, self.token_boundary
        )

    def _evaluation(self) -> DecoderEvaluation:
        folder = None if self.experiment_dir is None else Path(self.experiment_dir)
        if folder not in self._evaluations:
            self._evaluations[folder] = DecoderEvaluation(folder)
        return self._evaluations[folder]

    # --- rewriting ---------------------------------------------------------------------------------------------------

    def rewrite_base_model(
        self,
        decoder_results: Mapping[str, Any] | None = None,
        target_class: Names = None,
        increase_target_probabilities: bool = True,
        output_dir: str | Path | None = None,
        base_model: ModelWithGradiend | None = None,
        *,
        part: str = "decoder",
    ) -> Any:
        """The base model rewritten with the cell that `evaluate_decoder` chose for each class.

        decoder_results: its return value; None takes this experiment's newest finished evaluation of the class (also
            one that the reference left), checked against today's weights and data.
        target_class: a class (or a metric of decoder_results), or a list of them for several models.
        increase_target_probabilities: False takes the cells chosen by `evaluate_decoder(...=False)`.
        output_dir: save there, with tokenizer, generation config and card; several classes go to
            experiment_dir/<key> each. base_model: another `ModelWithGradiend` to rewrite. part: as it was evaluated.
        Returns a model, or its folder when saved; a list of them for several classes.
        Raises NotFound when there is nothing to take the cell from, BadData when it belongs to other weights or data,
        BadName for an unusable folder.
        """
        names = [target_class] if isinstance(target_class, str) else list(class_names(target_class))
        if not names:
            raise BadGrid("target_class is needed: a class of decoder_results, or a list of them.")
        if output_dir is not None and not str(output_dir).strip():
            raise BadName("output_dir is empty: give a folder, or leave it out to get the model in memory.")
        if not isinstance(decoder_results, (Mapping, type(None))):
            raise BadGrid("decoder_results must be what evaluate_decoder returned, a dictionary.")
        if not isinstance(base_model, (ModelWithGradiend, type(None))):
            raise BadBase("base_model must be a ModelWithGradiend; another base is given to its from_pretrained().")
        if decoder_results is None:
            data = self._decoder_data()
            found = self._evaluation().newest(data, names, goal_of(increase_target_probabilities))
            decoder_results = kept_results(data, found)
            part = found.request.part
        request = RewriteRequest(
            keys=tuple(name if increase_target_probabilities else f"{name}_weaken" for name in names),
            part=cast(Part, part),  # another one is refused when it is used
            output_dir=None if output_dir is None else Path(output_dir),
            experiment_dir=None if self.experiment_dir is None else Path(self.experiment_dir),
        )
        done = rewrite(base_model or self.get_model(), decoder_results, request)
        return done[0] if len(done) == 1 else done

    # --- figures -----------------------------------------------------------------------------------------------------

    def plot_probability_shifts(
        self,
        decoder_results: Mapping[str, Any] | None = None,
        class_ids: Sequence[str] | None = None,
        target_class: str | None = None,
        increase_target_probabilities: bool = True,
        use_cache: bool | None = None,
        *,
        output: str | Path | None = None,
        show: bool = False,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        title: str | bool = True,
        feature_factor: float | None = None,
        selector: SelectionPolicy | None = None,
        theme: str = "light",
    ) -> Any:
        """How LMS and probabilities move with the learning rate: an interactive figure of the sweep's own numbers.

        decoder_results: of `evaluate_decoder`; None takes the newest kept evaluation. class_ids: lines to draw.
        target_class: whose figure, None for the first of decoder_results. use_cache and highlight_non_convergence are
            accepted for scripts of the reference.
        output: file or folder (default experiment_dir); an HTML page and a CSV are always written there, img_format
            (png, svg, pdf: needs the extra `images`) beside them. show: open it. selector: the policy that chose,
            whose threshold is drawn. return_fig_ax: return the Plotly figure instead of the path.
        figsize: (width, height) in inches of 96 pixels; dpi: pixels per inch of a png (None: 150); title: True writes
            one, a text is used, False leaves it out; feature_factor: another row of the grid than the chosen cell's;
            theme: "light" or "dark".
        Returns the path of the first file, "" without any place to write to.
        Raises NotFound when no evaluation is kept, BadData when the results do not hold the class or belong to other
        weights or data, BadName for an unusable file, Failed where an image lacks kaleido or a browser (HTML and CSV
        are written by then).
        """
        from gradiend_ui.trainer.figures import destination, draw_probability_shifts, shift_source

        data, goal = self._decoder_data(), goal_of(increase_target_probabilities)
        if decoder_results is None:
            names = [target_class] if target_class else data.classes[:1]
            decoder_results = kept_results(data, self._evaluation().newest(data, names, goal))
        place = destination(self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax)
        return draw_probability_shifts(
            shift_source(data, decoder_results, target_class, increase_target_probabilities), place,
            class_ids=[class_ids] if isinstance(class_ids, str) else class_ids, figsize=figsize, title=title,
            feature_factor=feature_factor, policy=selector or LMSThresholdPolicy(), theme=theme,
        )  # fmt: skip

    def plot_training_convergence(
        self,
        *,
        plot_mean_by_class: bool = True,
        plot_mean_by_feature_class: bool | None = None,
        plot_correlation: bool = True,
        class_spread: str | None = None,
        output: str | Path | None = None,
        show: bool = False,
        title: str | bool = True,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        theme: str = "light",
    ) -> Any:
        """Correlation, class means (both in [-1, 1]) and loss over the steps of the training, from training.json.

        plot_mean_by_class, plot_correlation: which lines; plot_mean_by_feature_class: means per class of the
        data, None where they add to the means per label. class_spread: "minmax", "iqr" or "ci95" shades their spread.
        title: True writes one, a text is used, False leaves it out. figsize: (width, height) in inches of 96 pixels;
        dpi: pixels per inch of a png; theme: "light" or "dark". output, show, img_format, return_fig_ax,
        highlight_non_convergence and the return value: as for `plot_probability_shifts`.
        Raises NotFound without training.json, BadData for another spread, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import destination, draw_training

        stats = self.get_training_stats()
        if stats is None:
            raise NotFound("This GRADIEND has no training.json: its training cannot be drawn.")
        options: dict[str, Any] = {
            "plot_mean_by_class": plot_mean_by_class,
            "plot_mean_by_feature_class": plot_mean_by_feature_class,
            "plot_correlation": plot_correlation,
            "class_spread": class_spread,
            "title": title,
            "figsize": figsize,
            "theme": theme,
        }
        place = destination(self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax)
        return draw_training(stats, options, place)

    def plot_encoder_distributions(
        self,
        encoder_df: pd.DataFrame | None = None,
        *,
        output: str | Path | None = None,
        show: bool = False,
        title: str | bool = True,
        target_and_neutral_only: bool = True,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        theme: str = "light",
    ) -> Any:
        """Where the encoder puts the texts of each class: a violin per class over its values, in [-1, 1] with tanh.

        encoder_df: of `evaluate_encoder(return_df=True)`; None encodes the test split now.
        target_and_neutral_only: leave out rows of classes that are no targets. The other arguments and the return
        value: as for `plot_training_convergence`.
        Raises BadData for a table without encoded values, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import destination, draw_encoder

        table = self.evaluate_encoder(return_df=True)["encoder_df"] if encoder_df is None else encoder_df
        options: dict[str, Any] = {
            "classes": self.target_classes,
            "target_and_neutral_only": target_and_neutral_only,
            "title": title,
            "figsize": figsize,
            "theme": theme,
        }
        place = destination(self.config, self.experiment_dir, output, img_format, dpi, show, return_fig_ax)
        return draw_encoder(table, options, place)

    def _plot_every_class(
        self, results: Results, request: Request, show: bool | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw each asked class; the figures go to the experiment folder."""
        increase = request.goal == "strengthen"
        place, shown = options.pop("output", None), options.pop("show", False)
        paths = []
        for name in request.asked:
            if (name if increase else f"{name}_weaken") not in results:
                continue  # chosen by metrics of the user's own: there is no figure of a class to draw
            output = place
            if place is None and self.experiment_dir is not None:
                safe = "".join("_" if character in "/\\:" else character for character in name)
                output = Path(self.experiment_dir) / f"decoder_probability_shifts_{safe}.html"
            paths.append(
                self.plot_probability_shifts(
                    results,
                    target_class=name,
                    increase_target_probabilities=increase,
                    output=output,
                    show=shown if show is None else show,
                    **options,
                )
            )
        return {"plot_paths": paths, "plot_path": paths[0] if len(paths) == 1 else None}
