"""`TextPredictionTrainer`: the front door of the Python API, with the spelling of the `gradiend` package.

Holds a base model or a trained GRADIEND, its data and its settings; every method hands on to the module that does the
work. Holds no formula and no loop over cells or steps of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, BadName, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.selection.winner import strengthening_feature_factors
from gradiend_ui.trainer.arguments import check_whole
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation, Evaluated
from gradiend_ui.trainer.decoder_plan import DecoderData, Frames, Request, Split, axes_of, caps_of
from gradiend_ui.trainer.decoder_summary import Extractor, Inquiry, Results, grid_of, results_of
from gradiend_ui.trainer.encoder_evaluation import EncoderEvaluation, check_split
from gradiend_ui.trainer.rewriting import NOT_CHOICES, RewriteRequest, rewrite

log = logging.getLogger(__name__)
Names = str | Sequence[str] | None


class TextPredictionTrainer(EncoderEvaluation):
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
        "why"}, ..., "grid": {"base" or (feature_factor, learning_rate): {"probs", "probs_factual",
        "probs_by_dataset", "lms", "id"}}}, with "plot_paths" and "plot_path" after plot=True. Probabilities and LMS
        are in [0, 1]. Raises a GradiendUIError in a sentence.
        """
        counts = {"max_size": max_size, "max_size_training_like": max_size_training_like}
        counts |= {"max_size_neutral": max_size_neutral, "eval_batch_size": eval_batch_size}
        _check_decoder_call(counts, split, selector, use_cache=use_cache, plot=plot, show=show)
        if device is not None:
            self.get_model().to(device)
        factors, rates = axes_of(self.training_args, feature_factors, lrs)
        most_rows, most_texts = caps_of(
            self.training_args, self.config, max_size, max_size_training_like, max_size_neutral
        )
        request = Request(
            goal=_goal(increase_target_probabilities),
            asked=self._asked(target_class),
            part=part,
            split=split if isinstance(split, str) else tuple(split),
            every_dataset=summary_metrics is not None,
            eval_batch_size=eval_batch_size,
            feature_factors=factors,
            learning_rates=rates,
            max_rows=most_rows,
            max_neutral=most_texts,
        )
        data = self._decoder_data()
        inquiry = self._inquiry(data, request, selector, summary_metrics, summary_extractor)
        frames = None if training_like_df is None and neutral_df is None else Frames(training_like_df, neutral_df)
        wanted = self.training_args.use_cache if use_cache is None else use_cache
        results = self._answered(data, request, inquiry, frames, wanted, every_dataset=plot)
        if not plot:
            return results
        return results | self._plot_every_class(results, request, show, dict(plot_kwargs or {}), inquiry)

    def _answered(
        self,
        data: DecoderData,
        request: Request,
        inquiry: Inquiry,
        frames: Frames | None,
        wanted: Any,
        *,
        every_dataset: bool,
    ) -> Results:
        """Sweep, choose and keep the choices. wanted: see `use_cache`; every_dataset: also score, for the figures
        alone, the datasets that the goal did not need."""
        evaluation = self._evaluation()
        found = evaluation.evaluate(data, request, frames, reuse=wanted is not False, foreign=bool(wanted))
        for sentence in found.warnings:
            log.warning("%s", sentence)
        results = results_of(inquiry, found.scores)
        evaluation.keep_choices(found, {key: choice for key, choice in results.items() if key != "grid"})
        if every_dataset:
            more = evaluation.with_other_datasets(data, found, frames, reuse=wanted is not False)
            results["grid"] = grid_of(more.scores, inquiry)
        return results

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

    def _asked(self, target_class: Names) -> tuple[str, ...]:
        classes = self.target_classes
        names = (target_class,) if isinstance(target_class, str) else _class_names(target_class) or tuple(classes)
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise BadData(f"target_class {unknown[0]!r} must be one of {', '.join(classes)}.")
        return names

    def _evaluation(self) -> DecoderEvaluation:
        folder = None if self.experiment_dir is None else Path(self.experiment_dir)
        if folder not in self._evaluations:
            self._evaluations[folder] = DecoderEvaluation(folder)
        return self._evaluations[folder]

    def _decoder_data(self) -> DecoderData:
        model = self.get_model()
        classes = tuple(self.target_classes)
        strengthening = strengthening_feature_factors(model.encoding_direction, model.source)
        given = self.config.target_classes
        if given and len(classes) == 2 and not any(name in strengthening for name in classes):
            strengthening = strengthening_feature_factors({classes[0]: 1.0, classes[1]: -1.0}, model.source)
        return DecoderData(
            model=model,
            unified=self._unified,
            classes=classes,
            strengthening={name: strengthening[name] for name in classes if name in strengthening},
            config=self.config,
            seed=self.training_args.seed or 0,
            max_rows=self.training_args.train_max_size,
            eval_batch_size=self.training_args.eval_batch_size,
            add_identity=self.training_args.add_identity_for_other_classes,
            token_boundary=self.token_boundary,
        )

    def _inquiry(
        self,
        data: DecoderData,
        request: Request,
        selector: SelectionPolicy | None,
        metrics: Sequence[str] | None = None,
        extractor: Extractor | None = None,
    ) -> Inquiry:
        return Inquiry(
            goal=request.goal,
            asked=request.asked,
            classes=data.targets.classes,
            strengthening=data.strengthening,
            policy=selector or LMSThresholdPolicy(),
            prob_on_other_class=self.config.decoder_eval_prob_on_other_class,
            metrics=None if metrics is None else (metrics,) if isinstance(metrics, str) else tuple(metrics),
            extractor=extractor,
        )

    def _kept_results(self, data: DecoderData, found: Evaluated) -> Results:
        """As they were chosen then; a grid of a file that holds no choices is chosen from by the default policy."""
        inquiry = self._inquiry(data, found.request, None)
        if found.choices is None:
            return results_of(inquiry, found.scores)
        return {**found.choices, "grid": grid_of(found.scores, inquiry)}

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
        names = [target_class] if isinstance(target_class, str) else list(_class_names(target_class))
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
            found = self._evaluation().newest(data, names, _goal(increase_target_probabilities))
            decoder_results = self._kept_results(data, found)
            part = found.request.part
        request = RewriteRequest(
            keys=tuple(name if increase_target_probabilities else f"{name}_weaken" for name in names),
            part=part,
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
        from gradiend_ui.trainer.figures import draw_probability_shifts

        return draw_probability_shifts(
            self._shift_source(decoder_results, target_class, increase_target_probabilities),
            self._destination(output, img_format, dpi, show, return_fig_ax),
            class_ids=[class_ids] if isinstance(class_ids, str) else class_ids,
            figsize=figsize,
            title=title,
            feature_factor=feature_factor,
            policy=selector or LMSThresholdPolicy(),
            theme=theme,
        )

    def _shift_source(self, results: Mapping[str, Any] | None, target_class: str | None, increase: bool) -> Any:
        from gradiend_ui.trainer.figures import ShiftSource

        data, goal = self._decoder_data(), _goal(increase)
        if results is None:
            names = [target_class] if target_class else list(data.classes[:1])
            results = self._kept_results(data, self._evaluation().newest(data, names, goal))
        if not isinstance(results, Mapping):
            raise BadGrid("decoder_results must be what evaluate_decoder returned, a dictionary.")
        if target_class is None:
            own = [name.removesuffix("_weaken") for name in results if name.endswith("_weaken") != increase]
            target_class = next((name for name in own if name in data.classes), data.classes[0])
        key = target_class if increase else f"{target_class}_weaken"
        if key not in results:
            made = ", ".join(str(name) for name in results if name not in NOT_CHOICES) or "none"
            raise NotFound(f"decoder_results holds no choice for {key!r} to draw; it has: {made}.")
        return ShiftSource(results, target_class, goal, data.targets.classes, data.strengthening)

    def _plot_every_class(
        self, results: Results, request: Request, show: bool | None, options: dict[str, Any], inquiry: Inquiry
    ) -> dict[str, Any]:
        """Draw each asked class; the figures go to the experiment folder."""
        increase = request.goal == "strengthen"
        options.setdefault("show", bool(show))
        options.setdefault("selector", inquiry.policy)
        if show is not None:
            options["show"] = show
        place = options.pop("output", None)
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
                    results, target_class=name, increase_target_probabilities=increase, output=output, **options
                )
            )
        return {"plot_paths": paths, "plot_path": paths[0] if len(paths) == 1 else None}


def _check_decoder_call(
    counts: Mapping[str, object], split: object, selector: object, *, use_cache: object, plot: object, show: object
) -> None:
    """Raises BadGrid or BadData for an argument of `evaluate_decoder` that is not of its kind."""
    for name, value in counts.items():
        check_whole(name, value, 1, optional=True)
    check_split(split)
    _yes_or_no("use_cache", False if use_cache is None else use_cache)
    if selector is not None and not callable(getattr(selector, "select", None)):
        raise BadGrid(f"selector must be a policy with a method select, not {selector!r}.")
    _yes_or_no("plot", plot)
    _yes_or_no("show", False if show is None else show)


def _goal(increase: object) -> str:
    return "strengthen" if _yes_or_no("increase_target_probabilities", increase) else "weaken"


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadGrid(f"{name} must be True or False, not {value!r}.")
    return value


def _class_names(given: Any) -> tuple[str, ...]:
    """Several classes as a list, tuple, array or series of names; () for None."""
    if given is None:
        return ()
    names = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(name, str) for name in names):
        raise BadData(f"target_class must be a class name or a list of them, not {given!r}.")
    return names
