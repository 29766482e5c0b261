"""`TextPredictionTrainer`: the front door of the Python API, with the spelling of the `gradiend` package.

Holds a base model or a trained GRADIEND, its data and its settings; every method hands on to the module that does the
work. Holds no formula and no loop over cells or steps of its own.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gradiend_ui.engine.base_model import BaseModel, load_base_model
from gradiend_ui.engine.data_forms.form import HELDOUT, GroupKey, Ratios
from gradiend_ui.engine.data_forms.sources import read_tables
from gradiend_ui.engine.data_forms.unified import UnifiedData, unified_frame, unify
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, BadName, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.plan import class_order
from gradiend_ui.engine.run_folder import read_run_folder
from gradiend_ui.engine.selection import LMSThresholdPolicy, SelectionPolicy, strengthening_feature_factors
from gradiend_ui.engine.training.loop import NEVER, TrainingStep
from gradiend_ui.engine.training.record import load_training_stats
from gradiend_ui.engine.training.text_gradients import TextGradients
from gradiend_ui.trainer.arguments import TrainingArguments, arguments_with, check_whole
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation, Evaluated
from gradiend_ui.trainer.decoder_plan import DecoderData, Frames, Request, Split
from gradiend_ui.trainer.decoder_summary import Extractor, Inquiry, Results, grid_of, results_of
from gradiend_ui.trainer.encoder_evaluation import evaluate_encoder_of
from gradiend_ui.trainer.model_folder import ModelFolder, find_model
from gradiend_ui.trainer.rewriting import RewriteRequest, rewrite
from gradiend_ui.trainer.training import run_training, training_plan

log = logging.getLogger(__name__)
Names = str | Sequence[str] | None
_UNSET: Any = object()
DEFAULT_SPLIT_COLUMN = "split"


class TextPredictionTrainer:
    """Train a GRADIEND, evaluate its encoder and decoder, rewrite its base model.

    Every argument and method is named as in the `gradiend` package; errors are `GradiendUIError`s, one sentence each.
    """

    def __init__(
        self,
        model: str | Path | ModelWithGradiend,
        run_id: str | None = None,
        data: Any = None,
        correlation_mapping: Mapping[str, float] | None = None,
        config: TextPredictionConfig | None = None,
        target_classes: Sequence[str] | None = None,
        *,
        args: TrainingArguments | None = None,
        training_args: TrainingArguments | None = None,
        hf_dataset: str | None = None,
        hf_subset: str | list[str] | None = None,
        hf_splits: list[str] | None = None,
        dataset_trust_remote_code: bool | None = None,
        all_classes: Sequence[str] | None = None,
        masked_col: str | None = None,
        label_col: str | None = None,
        label_class_col: str | None = None,
        split_col: str | None = _UNSET,
        alternative_col: str | None = None,
        alternative_class_col: str | None = None,
        use_class_names_as_columns: bool | None = None,
        max_counterfactuals_per_sentence: int | None = None,
        random_state: int | None = None,
        n_features: int | None = None,
        decoder_eval_targets: Mapping[str, Sequence[str]] | str | None = None,
        decoder_eval_restrict_to_target_classes: bool | None = None,
        decoder_eval_prob_on_other_class: bool | None = None,
        decoder_eval_export_row_wise_csv: bool | None = None,
        decoder_eval_ignore_tokens: Sequence[str] | None = None,
        decoder_eval_lms_max_samples: int | None = None,
        eval_neutral_data: Any = None,
        eval_neutral_additional_excluded_words: Sequence[str] | None = None,
        eval_neutral_max_rows: int | None = None,
        img_format: str | None = None,
        img_dpi: int | None = None,
        class_merge_map: Mapping[str, Sequence[str]] | None = None,
        class_merge_transition_groups: Sequence[Sequence[str]] | None = None,
        split_group_col: str | None = None,
        split_group_key: GroupKey = None,
        split_ratios: Ratios = None,
        split_train_ratio: float | None = None,
        split_val_ratio: float | None = None,
        split_test_ratio: float | None = None,
        token_boundary: str = "reference",
        base_model: Any = None,
    ) -> None:
        """Everything is read lazily: making a trainer touches no file.

        model: a base model (folder or Hub id) to train on, a trained GRADIEND (checkpoint or run folder), or a loaded
            `ModelWithGradiend`; data and every name after `config`: see `TextPredictionConfig`, which they make
            unless `config` is given (then only target_classes counts beside it)
        correlation_mapping: accepted for scripts of the reference, in which nothing reads it either
        args (or training_args): `TrainingArguments`
        token_boundary: "reference" or "natural", how next tokens are asked for; base_model: another base model than
            a trained GRADIEND names (folder, Hub id or loaded model)
        """
        given = {name: value for name, value in locals().items() if name in TextPredictionConfig.__dataclass_fields__}
        if given["split_col"] is _UNSET:
            del given["split_col"]
        given = {name: value for name, value in given.items() if value is not None or name == "split_col"}
        _check_kinds(model, config, training_args or args)
        if config is None:
            self.config = TextPredictionConfig(**given)
        else:
            self.config = config if target_classes is None else replace(config, target_classes=target_classes)
        self.training_args = training_args or args or TrainingArguments()
        self.run_id = run_id if run_id is not None else self.config.run_id
        self.token_boundary = token_boundary
        self._given_model = model
        self._given_base = base_model
        self._trained: ModelFolder | None = None
        self._loaded: ModelWithGradiend | None = model if isinstance(model, ModelWithGradiend) else None
        self._base: BaseModel | None = None
        self._evaluations: dict[Path | None, DecoderEvaluation] = {}

    # --- what it holds -----------------------------------------------------------------------------------------------

    @property
    def args(self) -> TrainingArguments:
        """The training arguments."""
        return self.training_args

    @property
    def experiment_dir(self) -> str | None:
        """`TrainingArguments.experiment_dir`, with the run id below it unless it is its last name already."""
        folder = self.training_args.experiment_dir
        if folder is None or not str(folder).strip():
            return None
        if not self.run_id or Path(folder).name == self.run_id:
            return str(folder)
        if Path(self.run_id).is_absolute() or ".." in Path(self.run_id).parts:
            raise BadName(f"run_id {self.run_id!r} leads out of experiment_dir: give a plain name.")
        return str(Path(folder) / self.run_id)

    @property
    def base_model_path(self) -> str:
        """The model as it was given: a folder or Hub id."""
        given = self._given_model
        return str(given.name_or_path if isinstance(given, ModelWithGradiend) else given)

    @property
    def model_path(self) -> str:
        """Where the trained GRADIEND lies; before any training the model as it was given."""
        found = self._model_folder()
        return str(found.folder) if found is not None else self.base_model_path

    @property
    def data(self) -> UnifiedData:
        """All rows of all transitions, read once."""
        return self._unified

    @property
    def combined_data(self) -> pd.DataFrame:
        """The rows as a frame: masked, split, factual_class, alternative_class, factual, alternative, transition."""
        return unified_frame(self._unified)

    @property
    def all_classes(self) -> list[str]:
        """Every class of the data."""
        return list(self._unified.all_classes)

    @property
    def target_classes(self) -> list[str]:
        """The classes in question, in class order: as given, or those the data or the GRADIEND tells.

        Of more than two, the two that the GRADIEND was trained on, once there is one.
        """
        known = self._unified.target_classes
        if not known:
            return list(class_order(self.get_model(), self._unified.data))
        if len(known) > 2 and (self._loaded is not None or self._model_folder() is not None):
            direction = self.get_model().encoding_direction
            trained = sorted((name for name in known if direction.get(name)), key=lambda name: -direction[name])
            if len(trained) == 2 and all(name in direction for name in known):
                return trained
        return list(known)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two target classes, the one encoded as +1 first; None when there are not exactly two."""
        names = self.target_classes
        return (names[0], names[1]) if len(names) == 2 else None

    @cached_property
    def _unified(self) -> UnifiedData:
        """The data with its splits; without a split column they are drawn, or, where a trained GRADIEND was given to
        be evaluated, every row is of the split "test"."""
        form = self.config.form(self.training_args.seed or 0, self.training_args.mask_placeholder)
        if form.split_col in (None, HELDOUT) or self._has_column(form.split_col):
            return unify(self.config.data, form)
        if form.split_col != DEFAULT_SPLIT_COLUMN:
            raise BadData(
                f"There is no column {form.split_col!r} for the splits: name one that the data has, or give "
                "split_col=None to have splits drawn."
            )
        given = self._given_model
        if isinstance(given, ModelWithGradiend) or ModelFolder.holds_gradiend(given):
            log.warning("The data has no split column: every row counts as 'test', also those trained on.")
            found = unify(self.config.data, form)
            return replace(found, rows=tuple(replace(row, split="test") for row in found.rows))
        log.warning("The data has no split column: the rows are split into train, validation and test by the seed.")
        return unify(self.config.data, replace(form, split_col=None))

    def _has_column(self, column: str | None) -> bool:
        form = self.config.form(self.training_args.seed or 0, self.training_args.mask_placeholder)
        tables = read_tables(self.config.data, form)
        frames = tables.values() if isinstance(tables, dict) else (tables,)
        return any(column in frame.columns for frame in frames)

    # --- models ------------------------------------------------------------------------------------------------------

    def get_model(
        self, use_cache: bool | None = None, *, load_directory: str | Path | None = None
    ) -> ModelWithGradiend:
        """The trained `ModelWithGradiend`: the same object on every call, until a training makes another.

        load_directory: another checkpoint, kept from then on. use_cache: accepted for scripts of the reference.
        Raises NotFound before any training.
        """
        if load_directory is not None:
            self._loaded = self.load_model(load_directory)
        if self._loaded is None:
            found = self._model_folder()
            if found is None:
                raise NotFound(
                    f"There is no trained GRADIEND yet for {self.base_model_path!r}: call train() first, or give a "
                    "checkpoint folder as model."
                )
            self._loaded = self._load(found.folder, self._base_in_memory())
        return self._loaded

    def load_model(self, load_directory: str | Path) -> ModelWithGradiend:
        """Another checkpoint with this trainer's settings, without keeping it."""
        return self._load(load_directory, self._given_base)

    def _base_in_memory(self) -> Any:
        """The base model as given, else the one a training has loaded, else None: then it is loaded."""
        if self._given_base is not None:
            return self._given_base
        return None if self._base is None else self._base.model

    def _load(self, folder: str | Path, base_model: Any) -> ModelWithGradiend:
        args = self.training_args
        model = ModelWithGradiend.from_pretrained(
            folder,
            base_model,
            torch_dtype=getattr(torch, args.dtype_name),
            device_map=_device_map(args),
            prediction_objective=None if args.prediction_objective == "auto" else args.prediction_objective,
        )
        model.gradient_creator = TextGradients(model)
        return model

    def unload_model(self) -> None:
        """Forget the loaded models; the next call that needs one loads it again."""
        if self._model_folder() is not None:
            self._loaded = None
        self._base = None

    def to(self, device: Any) -> TextPredictionTrainer:
        """Move the model to a device ("cpu", "cuda", "cuda:0", ...); returns the trainer.

        Raises BadBase for a device that is not there, NotFound before any training.
        """
        self.get_model().to(device)
        return self

    def cpu(self) -> TextPredictionTrainer:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self, device: int | str | None = None) -> TextPredictionTrainer:
        """Move the model to the current CUDA device, or that of the given number or name; see `to`."""
        self.get_model().cuda(device)
        return self

    def _model_folder(self) -> ModelFolder | None:
        if self._trained is None:
            self._trained = find_model(self._given_model, self.experiment_dir, self.training_args.output_dir)
        return self._trained

    # --- training ----------------------------------------------------------------------------------------------------

    def train(
        self,
        output_dir: str | Path | None = None,
        model: str | Path | None = None,
        callbacks: Sequence[Callable[[TrainingStep], None]] | None = None,
        **training_args_overrides: Any,
    ) -> TextPredictionTrainer:
        """Train a GRADIEND on the base model and keep it as this trainer's model; returns the trainer.

        output_dir: for the model, else experiment_dir/model, else a temporary folder that goes with this trainer.
        model: another base model than the trainer's. callbacks: called with every `TrainingStep`.
        training_args_overrides: fields of `TrainingArguments` to change for this training.
        Raises BadBase, BadData or BadGrid in a sentence when something cannot be trained on; NotAllowed for what is
        not here.
        """
        for step in self.train_steps(output_dir, model, **training_args_overrides):
            for callback in callbacks or ():
                callback(step)
        return self

    def train_steps(
        self,
        output_dir: str | Path | None = None,
        model: str | Path | None = None,
        *,
        should_stop: Callable[[], bool] = NEVER,
        **training_args_overrides: Any,
    ) -> Iterator[TrainingStep]:
        """The same as a generator of steps: loss, evaluations, and a last step with the model's folder.

        should_stop is asked after every step; a stopped training goes on from there when it is called again.
        """
        args = arguments_with(self.training_args, training_args_overrides)
        args = replace(args, experiment_dir=self.experiment_dir, output_dir=output_dir or args.output_dir)
        if args.experiment_dir is None and args.output_dir is None:
            folder = tempfile.mkdtemp(prefix="gradiend_ui_")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            args = replace(args, experiment_dir=folder)
        if self.config.n_features > 1 and args.latent_dim is None:
            args = replace(args, latent_dim=self.config.n_features)
        location = self._base_location(model)
        base = self._base_for_training(location, args)
        data = self._unified
        plan = training_plan(args, data, location)
        for step in run_training(args, base, plan, data, should_stop=should_stop):
            if step.folder is not None:
                self._trained = ModelFolder(step.folder)
                self._loaded = None
            yield step

    def _base_location(self, model: str | Path | None) -> str:
        """The base model to train on, absolute when it is a folder."""
        given = model or self._given_model
        if isinstance(given, ModelWithGradiend) or ModelFolder.holds_gradiend(given):
            raise BadData("train() starts from a base model; this is a trained GRADIEND. Give the base model as model.")
        return str(Path(given).resolve()) if Path(given).is_dir() else str(given)

    def _base_for_training(self, location: str, args: TrainingArguments) -> BaseModel:
        if args.prediction_objective == "clm_mlm_head":
            raise BadData(
                "Training with the auxiliary head 'clm_mlm_head' is not here: train with 'clm_next_token' or "
                "'clm_sequence_cloze'. GRADIENDs trained with it are loaded and scored."
            )
        self._base = load_base_model(
            location,
            torch_dtype=getattr(torch, args.dtype_name),
            objective=args.prediction_objective,
            rhs_window=args.decoder_sequence_cloze_rhs_window,
            device_map=_device_map(args),
        )
        return self._base

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

    def get_best_seed_run_path(self) -> str | None:
        """The folder of the best seed as far as it was kept, else the model's."""
        if self.get_seed_report_path() is None or self.experiment_dir is None:
            return self.model_path
        best = read_run_folder(Path(self.experiment_dir)).best_seed
        return self.model_path if best is None or best.folder is None else str(best.folder)

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
        if not isinstance(split, str) and not (isinstance(split, Sequence) and all(isinstance(s, str) for s in split)):
            raise BadData(f"split must be the name of a split, several, or 'all', not {split!r}.")
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
        results["grid"] = results_of(replace(inquiry, metrics=None, extractor=None), more.scores)["grid"]
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
            metrics=None if metrics is None else tuple(metrics),
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
            class_ids=class_ids,
            output=self._figure_path(output),
            show=show,
            figsize=figsize,
            formats=self._formats(img_format),
            dpi=dpi or self.config.img_dpi,
            return_figure=return_fig_ax,
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
        formats, path = self._formats(img_format), self._figure_path(output)
        return draw_training(stats, options, path, formats, dpi or self.config.img_dpi, show, return_fig_ax)

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
        formats, path = self._formats(img_format), self._figure_path(output)
        return draw_encoder(table, options, path, formats, dpi or self.config.img_dpi, show, return_fig_ax)

    def _figure_path(self, output: str | Path | None) -> Path | None:
        if output is None and self.experiment_dir is not None:
            Path(self.experiment_dir).mkdir(parents=True, exist_ok=True)  # so that it counts as a folder
        given = output or self.experiment_dir
        return None if given is None else Path(given)

    def _formats(self, img_format: str | None) -> tuple[str, ...]:
        """Images beside HTML and CSV: the one asked for, else the configured one unless that is the default."""
        asked = img_format or (None if self.config.img_format == "png" else self.config.img_format)
        return () if asked is None else (asked,)

    def _shift_source(self, results: Mapping[str, Any] | None, target_class: str | None, increase: bool) -> Any:
        from gradiend_ui.trainer.figures import ShiftSource

        data, goal = self._decoder_data(), _goal(increase)
        if results is None:
            names = [target_class] if target_class else list(data.classes[:1])
            results = self._kept_results(data, self._evaluation().newest(data, names, goal))
        if target_class is None:
            own = [name.removesuffix("_weaken") for name in results if name.endswith("_weaken") != increase]
            target_class = next((name for name in own if name in data.classes), data.classes[0])
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


def _check_kinds(model: object, config: object, args: object) -> None:
    if not isinstance(model, (str, Path, ModelWithGradiend)) or not str(model).strip():
        raise BadBase(f"model must be a folder, a Hub id or a ModelWithGradiend, not {model!r}.")
    if not isinstance(config, (TextPredictionConfig, type(None))):
        raise BadData(f"config must be a TextPredictionConfig, not {config!r}.")
    if not isinstance(args, (TrainingArguments, type(None))):
        raise BadGrid(f"args must be TrainingArguments, not {args!r}: write TrainingArguments(**args).")


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


def _device_map(args: TrainingArguments) -> Any:
    return args.base_model_device_map or None
