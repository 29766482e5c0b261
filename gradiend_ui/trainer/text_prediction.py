"""`TextPredictionTrainer`: the front door of the Python API, with the spelling of the `gradiend` package.

Holds a base model or a trained GRADIEND, its data and its settings; every method hands on to the module that does the
work. Holds no formula and no loop over cells or steps of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from gradiend_ui.engine.errors import BadBase, BadGrid, BadName, options_of, refusing_class
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.values import Part, finite
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation, inquiry_of, kept_results
from gradiend_ui.trainer.decoder_plan import (
    DecoderData,
    Frames,
    Request,
    Split,
    check_decoder_call,
    class_names,
    decoder_data,
    decoder_request,
    goal_of,
    tell_unknown_classes,
)
from gradiend_ui.trainer.decoder_summary import Extractor, Results
from gradiend_ui.trainer.encoder_points import EncoderPoints
from gradiend_ui.trainer.not_here import NOT_IN_DECODER, NOT_IN_FIGURES, NOT_IN_REWRITING
from gradiend_ui.trainer.rewriting import RewriteRequest, rewrite

DECIDED = ("decoder_results", "target_class", "increase_target_probabilities")
"""Arguments of a figure that the evaluation gives which draws it."""
Names = str | Sequence[str] | None


@refusing_class(
    {
        "evaluate_decoder": NOT_IN_DECODER,
        "rewrite_base_model": NOT_IN_REWRITING,
        "plot_probability_shifts": NOT_IN_FIGURES,
    }
)
class TextPredictionTrainer(EncoderPoints):
    """Train a GRADIEND, evaluate its encoder and decoder, rewrite its base model.

    Every argument and method is named as in the `gradiend` package; errors are `GradiendUIError`s, one sentence each.
    """

    # --- evaluation --------------------------------------------------------------------------------------------------

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
        "why", "degenerate"}, ..., "grid": {"base" or (feature_factor, learning_rate): {"probs", "probs_factual",
        "probs_by_dataset", "lms", "id"}}}, with "plot_paths" and "plot_path" after plot=True (the Plotly figures
        themselves where there is no experiment_dir to write them to). degenerate: what a broken model says nearly
        everywhere, else None. Probabilities and LMS are in [0, 1].
        Raises a GradiendUIError in a sentence.
        """
        counts = {"max_size": max_size, "max_size_training_like": max_size_training_like}
        counts |= {"max_size_neutral": max_size_neutral, "eval_batch_size": eval_batch_size}
        check_decoder_call(counts, split, selector, use_cache=use_cache, plot=plot, show=show)
        figure_options = options_of("plot_kwargs", plot_kwargs, DECIDED)
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
        options = {"selector": inquiry.policy, **figure_options}
        return results | self._plot_every_class(results, request, show, options)

    def evaluate(
        self,
        *,
        kwargs_encoder: Mapping[str, Any] | None = None,
        kwargs_decoder: Mapping[str, Any] | None = None,
        split: Split | None = None,
        max_size: int | None = None,
        use_cache: bool | None = None,
        device: Any = None,
    ) -> dict[str, Any]:
        """{"encoder": evaluate_encoder(**kwargs_encoder), "decoder": evaluate_decoder(**kwargs_decoder)}.

        split, max_size, use_cache, device: for both. Raises what the two raise.
        """
        both = {"split": split, "max_size": max_size, "use_cache": use_cache, "device": device}
        given = {name: value for name, value in both.items() if value is not None}
        return {
            "encoder": self.evaluate_encoder(**{**options_of("kwargs_encoder", kwargs_encoder), **given}),
            "decoder": self.evaluate_decoder(**{**options_of("kwargs_decoder", kwargs_decoder), **given}),
        }

    def _decoder_data(self) -> DecoderData:
        model, classes = self.get_model(), tuple(self.target_classes)
        tell_unknown_classes(model, self._unified, classes, self._told)
        return decoder_data(
            model, self._unified, classes, self.config, self.training_args, self.token_boundary, self._told
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
        Returns the path of the first file; the Plotly figure itself, and a logged sentence, without any place for it.
        Raises NotFound when no evaluation is kept, BadData when the results do not hold the class or belong to other
        weights or data, BadName for an unusable file, Failed where an image lacks kaleido or a browser (HTML and CSV
        are written by then).
        """
        from gradiend_ui.trainer.figures import destination, draw_probability_shifts, shift_source

        if class_ids is not None and not isinstance(class_ids, Sequence):
            raise BadGrid(f"class_ids must be a list of classes, not {class_ids!r}.")
        if feature_factor is not None:
            feature_factor = finite(feature_factor, "feature_factor")
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

    def _plot_every_class(
        self, results: Results, request: Request, show: bool | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw each asked class; the figures go to the experiment folder. Without one they are handed back."""
        from gradiend_ui.trainer.figures import place_of_class

        increase = request.goal == "strengthen"
        place, shown = options.pop("output", None), options.pop("show", False)
        drawn = []
        for name in request.asked:
            if (name if increase else f"{name}_weaken") not in results:
                continue  # chosen by metrics of the user's own: there is no figure of a class to draw
            output = place_of_class(
                place or self.experiment_dir, name, alone=place is not None and len(request.asked) == 1
            )
            drawn.append(
                self.plot_probability_shifts(
                    results,
                    target_class=name,
                    increase_target_probabilities=increase,
                    output=output,
                    show=shown if show is None else show,
                    **options,
                )
            )
        return {"plot_paths": drawn, "plot_path": drawn[0] if len(drawn) == 1 else None}
