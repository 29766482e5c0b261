"""What a trainer holds: a model, data and settings; loading and training it.

`TextPredictionTrainer` adds evaluation, rewriting and figures.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.forms.choice import split_for_role
from gradiend_ui.engine.data.forms.form import GroupKey, Ratios
from gradiend_ui.engine.data.forms.unified import UnifiedData, unified_frame
from gradiend_ui.engine.data.spelling import same_class
from gradiend_ui.engine.errors import (
    BadBase,
    BadData,
    BadGrid,
    BadName,
    NotAllowed,
    NotFound,
    NotHere,
    check_text,
    items_of,
    refuse_name,
    refusing_class,
    shown,
)
from gradiend_ui.engine.files.file_names import WHY, followed, is_device
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.training.gradients import TextGradients
from gradiend_ui.engine.training.loop import NEVER, TrainingStep
from gradiend_ui.trainer.arguments import TrainingArguments, arguments_with
from gradiend_ui.trainer.config import TextPredictionConfig, config_of, data_of
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation
from gradiend_ui.trainer.model_folder import ModelFolder, find_model
from gradiend_ui.trainer.not_here import NOT_IN_LOADING, NOT_IN_TRAIN, NOT_IN_TRAINER, TRAINER_NAMES
from gradiend_ui.trainer.training import base_to_train_on, device_map_of, run_training, training_plan

_UNSET: Any = object()


@refusing_class({"__init__": NOT_IN_TRAINER, "get_model": NOT_IN_LOADING, "load_model": NOT_IN_LOADING})
class ModelAndData:
    """A base model or a trained GRADIEND with its data and settings: what it is, where it lies, how it is trained."""

    training_args: TrainingArguments

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
        given = locals()
        settings = args if training_args is None else training_args
        _check_kinds(model, config, settings)
        if config is None:
            self.config = config_of({name: value for name, value in given.items() if value is not _UNSET})
        else:
            self.config = config if target_classes is None else replace(config, target_classes=target_classes)
        self.training_args = TrainingArguments() if settings is None else settings
        self.run_id = run_id if run_id is not None else self.config.run_id
        if not isinstance(self.run_id, (str, type(None))):
            raise BadName(f"run_id must be a text, the name of a folder, not {shown(self.run_id)}.")
        check_text("run_id", self.run_id)
        self.token_boundary = token_boundary
        self._given_model = model
        self._given_base = base_model
        self._trained: ModelFolder | None = None
        self._loaded: ModelWithGradiend | None = model if isinstance(model, ModelWithGradiend) else None
        self._base: BaseModel | None = None
        self._trained_on: str | None = None
        self._told: set[str] = set()
        self._evaluations: dict[Path | None, DecoderEvaluation] = {}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raises NotHere, with what to do instead, for what a trainer of the reference has and ours has not."""
            refuse_name(type(self).__name__, name, TRAINER_NAMES, NotHere)
            return object.__getattribute__(self, name)

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
        if any(map(is_device, Path(self.run_id).parts)):
            raise BadName(f"run_id {self.run_id!r} {WHY} a folder: give another one.")
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
            stored = self.get_model().encoding_direction
            direction = {same_class(name, known): sign for name, sign in stored.items()}
            trained = sorted((name for name in known if direction.get(name)), key=lambda name: -direction[name])
            if len(trained) == 2 and all(name in direction for name in known):
                return trained
        return list(known)

    @property
    def non_target_classes(self) -> list[str]:
        """Classes of the data that are no targets."""
        targets = self.target_classes
        return [name for name in self.all_classes if name not in targets]

    def get_target_feature_classes(self) -> list[str]:
        """`target_classes`, by another name of the reference."""
        return self.target_classes

    def get_target_feature_class_ids(self) -> list[str]:
        """The same: a class has no other id than its name here."""
        return self.target_classes

    def resolve_split_for_role(self, role: str) -> str:
        """The split for "train", "eval" (watching a training) or "decoder": the best one that has rows."""
        return split_for_role(self._unified, role)

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two target classes, the one encoded as +1 first; None when there are not exactly two."""
        names = self.target_classes
        return (names[0], names[1]) if len(names) == 2 else None

    @cached_property
    def _unified(self) -> UnifiedData:
        given = self._given_model
        is_trained = isinstance(given, ModelWithGradiend) or ModelFolder.holds_gradiend(given)
        return data_of(self.config, self.training_args, is_trained=is_trained)

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
            if self._trained_on is not None and not found.stands_on(self._trained_on):
                raise NotFound(
                    f"Another training has replaced the model in {found.folder.name!r} by one on another base: train "
                    "again, or give each base model an experiment_dir of its own."
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
            device_map=device_map_of(args),
            prediction_objective=None if args.prediction_objective == "auto" else args.prediction_objective,
        )
        model.gradient_creator = TextGradients(model)
        return model

    def unload_model(self) -> None:
        """Forget the loaded models; the next call that needs one loads it again."""
        if self._model_folder() is not None:
            self._loaded = None
        self._base = None

    def to(self, device: Any) -> Self:
        """Move the model to a device ("cpu", "cuda", "cuda:0", ...); returns the trainer.

        Raises BadBase for a device that is not there, NotFound before any training.
        """
        self.get_model().to(device)
        return self

    def cpu(self) -> Self:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self, device: int | str | None = None) -> Self:
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
    ) -> Self:
        """Train a GRADIEND on the base model and keep it as this trainer's model; returns the trainer.

        output_dir: for the model, else experiment_dir/model, else a temporary folder that goes with this trainer.
        model: another base model than the trainer's. callbacks: called with every `TrainingStep`.
        training_args_overrides: fields of `TrainingArguments` to change for this training.
        Raises BadBase, BadData or BadGrid in a sentence when something cannot be trained on; NotAllowed for what is
        not here.
        """
        asked = () if callbacks is None else items_of(callbacks)
        if asked is None or not all(map(callable, asked)):
            raise BadGrid(f"callbacks must be a list of functions that take a TrainingStep, not {shown(callbacks)}.")
        for step in self.train_steps(output_dir, model, **training_args_overrides):
            for callback in asked:
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
        for name, way in NOT_IN_TRAIN.items():
            if name in training_args_overrides:
                raise NotAllowed(f"train() has no argument {name!r} here: {way}.")
        args = arguments_with(self.training_args, training_args_overrides)
        args = replace(args, experiment_dir=self.experiment_dir, output_dir=output_dir or args.output_dir)
        if args.experiment_dir is None and args.output_dir is None:
            folder = tempfile.mkdtemp(prefix="gradiend_ui_")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            args = replace(args, experiment_dir=folder)
        if self.config.n_features > 1 and args.latent_dim is None:
            args = replace(args, latent_dim=self.config.n_features)
        location = self._base_location(model)
        self._base = base = base_to_train_on(location, args)
        data = self._unified
        plan = training_plan(args, data, location)
        for step in run_training(args, base, plan, data, should_stop=should_stop):
            if step.folder is not None:
                self._trained, self._trained_on = ModelFolder(step.folder), location
                self._loaded = None
            yield step

    def _base_location(self, model: str | Path | None) -> str:
        """The base model to train on, absolute when it is a folder."""
        given = model or self._given_model
        if isinstance(given, ModelWithGradiend) or ModelFolder.holds_gradiend(given):
            raise BadData("train() starts from a base model; this is a trained GRADIEND. Give the base model as model.")
        return str(followed(given)) if Path(given).is_dir() else str(given)

    def resolve_model_path(self, model: str | Path) -> str:
        """The model as it is given: no other head stands in for one here."""
        return str(model)


def _check_kinds(model: object, config: object, args: object) -> None:
    if not isinstance(model, (str, Path, ModelWithGradiend)) or not str(model).strip():
        raise BadBase(f"model must be a folder, a Hub id or a ModelWithGradiend, not {model!r}.")
    if not isinstance(config, (TextPredictionConfig, type(None))):
        raise BadData(f"config must be a TextPredictionConfig, not {config!r}.")
    if not isinstance(args, (TrainingArguments, type(None))):
        raise BadGrid(f"args must be TrainingArguments, not {args!r}: write TrainingArguments(**args).")
