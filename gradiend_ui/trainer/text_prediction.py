"""`TextPredictionTrainer`: the front door of the Python API, with the spelling of the `gradiend` package.

Holds a base model or a trained GRADIEND, its data and its settings; every method hands on to the module that does the
work. Holds no formula and no loop over cells or steps of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, BadName, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.engine.selection.winner import strengthening_feature_factors
from gradiend_ui.trainer.arguments import check_whole
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation, Evaluated
from gradiend_ui.trainer.decoder_plan import DecoderData, Frames, Request, Split
from gradiend_ui.trainer.decoder_summary import Extractor, Inquiry, Results, grid_of, results_of
from gradiend_ui.trainer.encoder_evaluation import evaluate_encoder_of
from gradiend_ui.trainer.model_and_data import ModelAndData
from gradiend_ui.trainer.rewriting import NOT_CHOICES, RewriteRequest, rewrite

log = logging.getLogger(__name__)
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
        _check_split(split)
        if not isinstance(model_with_gradiend, (ModelWithGradiend, type(None))):
            raise BadBase("model_with_gradiend must be a ModelWithGradiend; a folder is opened by load_model().")
        model = model_with_gradiend or self.get_model()
        if device is not None:
            model.to(device)
        result = evaluate_encoder_of(
            model,
            self._unified,
            self.training_args,
            self.config,
            split=split,
            source=source,
            max_size=max_size,
            neutral=neutral_data_df,
            include_other_classes=include_other_classes,
            table=encoder_df,
        )
        table = result.pop("encoder_df")
        if plot:
            self.plot_encoder_distributions(table, **dict(plot_kwargs or {}))
        return {**result, "encoder_df": table} if return_df else result

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
        for name, value in counts.items():
            check_whole(name, value, 1, optional=True)
        _check_split(split)
        _yes_or_no("use_cache", False if use_cache is None else use_cache)
        if selector is not None and not callable(getattr(selector, "select", None)):
            raise BadGrid(f"selector must be a policy with a method select, not {selector!r}.")
        _yes_or_no("plot", plot)
        _yes_or_no("show", False if show is None else show)
        if device is not None:
            self.get_model().to(device)
        args = self.training_args
        rows_cap = _first_given(
            max_size_training_like, max_size, args.decoder_eval_max_size_training_like,
            self.config.decoder_eval_lms_max_samples,
        )  # fmt: skip
        texts_cap = _first_given(
            max_size_neutral, max_size, args.decoder_eval_max_size_neutral, self.config.decoder_eval_lms_max_samples
        )
        request = Request(
            goal=_goal(increase_target_probabilities),
            asked=self._asked(target_class),
            feature_factors=_axis("feature_factors", _first_given(feature_factors, args.decoder_eval_feature_factors)),
            learning_rates=_axis("lrs", _first_given(lrs, args.decoder_eval_lrs)),
            part=part,
            split=split if isinstance(split, str) else tuple(split),
            max_rows=rows_cap,
            max_neutral=texts_cap,
            every_dataset=summary_metrics is not None,
            eval_batch_size=eval_batch_size,
        )
        frames = None if training_like_df is None and neutral_df is None else Frames(training_like_df, neutral_df)
        wanted = args.use_cache if use_cache is None else use_cache
        data, evaluation = self._decoder_data(), self._evaluation()
        found = evaluation.evaluate(data, request, frames, reuse=wanted is not False, foreign=bool(wanted))
        for sentence in found.warnings:
            log.warning("%s", sentence)
        inquiry = self._inquiry(data, request, selector, summary_metrics, summary_extractor)
        results = results_of(inquiry, found.scores)
        evaluation.keep_choices(found, {key: choice for key, choice in results.items() if key != "grid"})
        if not plot:
            return results
        more = evaluation.with_other_datasets(data, found, frames, reuse=wanted is not False)
        results["grid"] = grid_of(more.scores, inquiry)
        return results | self._plot_every_class(results, request, show, dict(plot_kwargs or {}), inquiry)

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
        from gradiend_ui.trainer.figures import draw_training

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
        return draw_training(stats, options, self._destination(output, img_format, dpi, show, return_fig_ax))

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
        from gradiend_ui.trainer.figures import draw_encoder

        table = self.evaluate_encoder(return_df=True)["encoder_df"] if encoder_df is None else encoder_df
        options: dict[str, Any] = {
            "classes": self.target_classes,
            "target_and_neutral_only": target_and_neutral_only,
            "title": title,
            "figsize": figsize,
            "theme": theme,
        }
        return draw_encoder(table, options, self._destination(output, img_format, dpi, show, return_fig_ax))

    def _destination(
        self, output: str | Path | None, img_format: str | None, dpi: int | None, show: bool, as_figure: bool
    ) -> Any:
        """Where a figure goes: `output`, else the experiment folder; images beside HTML and CSV where they are asked
        for, in the call or by a configured format that is not the default."""
        from gradiend_ui.trainer.figures import Destination

        if output is None and self.experiment_dir is not None:
            Path(self.experiment_dir).mkdir(parents=True, exist_ok=True)  # so that it counts as a folder
        path = output or self.experiment_dir
        image = img_format or (None if self.config.img_format == "png" else self.config.img_format)
        return Destination(
            path=None if path is None else Path(path),
            formats=() if image is None else (image,),
            dpi=dpi or self.config.img_dpi,
            show=show,
            as_figure=as_figure,
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


def _goal(increase: object) -> str:
    return "strengthen" if _yes_or_no("increase_target_probabilities", increase) else "weaken"


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadGrid(f"{name} must be True or False, not {value!r}.")
    return value


def _check_split(split: object) -> None:
    if not isinstance(split, str) and not (isinstance(split, Sequence) and all(isinstance(s, str) for s in split)):
        raise BadData(f"split must be the name of a split, several, or 'all', not {split!r}.")


def _class_names(given: Any) -> tuple[str, ...]:
    """Several classes as a list, tuple, array or series of names; () for None."""
    if given is None:
        return ()
    names = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(name, str) for name in names):
        raise BadData(f"target_class must be a class name or a list of them, not {given!r}.")
    return names


def _first_given(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _axis(name: str, values: Any) -> tuple[float, ...] | None:
    """The values as given, arrays as plain numbers, None for a default. Their range is checked with the grid."""
    if values is None:
        return None
    plain = values.tolist() if isinstance(values, (np.ndarray, torch.Tensor)) else values
    if isinstance(plain, str) or not isinstance(plain, Iterable):
        raise BadGrid(f"{name} must be a list of numbers, not {values!r}.")
    found = tuple(value.item() if isinstance(value, np.generic) else value for value in plain)
    if not found:
        raise BadGrid(f"{name} is empty: give at least one number, or leave it out for the default.")
    return found
