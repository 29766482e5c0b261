"""What a trainer holds: a base model or a trained GRADIEND, where it lies, its data and its settings.

Read and loaded when they are first needed. Trains and evaluates nothing: that is told in `training`,
`encoder_evaluation` and `text_prediction`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.checkpoint.config import describes_gradiend
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.data.forms.form import HELDOUT, GroupKey, Ratios
from gradiend_ui.engine.data.forms.sources import read_tables
from gradiend_ui.engine.data.forms.unified import UnifiedData, unified_frame, unify
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadData, BadGrid, BadName, NotFound
from gradiend_ui.engine.files.file_names import WHY, followed, is_device
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.plan import class_order
from gradiend_ui.engine.training.gradients import TextGradients
from gradiend_ui.trainer.arguments import TrainingArguments
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.decoder_evaluation import DecoderEvaluation

log = logging.getLogger(__name__)
_UNSET: Any = object()
DEFAULT_SPLIT_COLUMN = "split"


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds a trained GRADIEND: a checkpoint, or a run folder with one."""

    folder: Path

    @staticmethod
    def holds_gradiend(given: object) -> bool:
        """Whether `given` is a checkpoint folder or a run folder (and not a base model or a Hub id)."""
        if not isinstance(given, (str, Path)) or not Path(given).is_dir():
            return False
        if (Path(given) / "config.json").is_file():
            return _is_gradiend(Path(given))
        inside = read_run_folder(Path(given)).checkpoint
        return inside is not None and _is_gradiend(inside)

    def stands_on(self, base_model: str) -> bool:
        """Whether the GRADIEND in the folder was trained on this base model (folder or Hub id)."""
        return bool(_base_name(self.folder) == _place(base_model))


def _is_gradiend(folder: Path) -> bool:
    """Whether config.json describes a GRADIEND; that of a base model has no mapping."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return describes_gradiend(config)


def find_model(
    given: str | Path | ModelWithGradiend, experiment_dir: str | None, output_dir: str | Path | None
) -> ModelFolder | None:
    """The trained GRADIEND of a trainer: the one given, else the one that this experiment trained on the given base.

    An experiment folder that holds a GRADIEND of another base model is no answer: training there would replace it.
    """
    if isinstance(given, ModelWithGradiend):
        return ModelFolder(Path(given.name_or_path))
    if ModelFolder.holds_gradiend(given):
        return ModelFolder(Path(given))
    trained = Path(output_dir) if output_dir is not None else Path(experiment_dir or "") / "model"
    if (output_dir is None and experiment_dir is None) or not ModelFolder.holds_gradiend(trained):
        return None
    return ModelFolder(trained) if _base_name(trained) == _place(given) else None


def _base_name(folder: Path) -> Any:
    try:
        stated = read_checkpoint(folder).metadata.get("base_model")
    except BadCheckpoint:
        return None
    return _place(stated) if isinstance(stated, str) else None


def _place(name: str | Path) -> str:
    return str(followed(name)) if Path(name).is_dir() else str(name)


class ModelAndData:
    """A base model or a trained GRADIEND with its data and settings: what it is and where it lies."""

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
        _check_kinds(model, config, training_args or args)
        self.config = _config_of(config, given)
        self.training_args = training_args or args or TrainingArguments()
        self.run_id = run_id if run_id is not None else self.config.run_id
        self.token_boundary = token_boundary
        self._given_model = model
        self._given_base = base_model
        self._trained: ModelFolder | None = None
        self._loaded: ModelWithGradiend | None = model if isinstance(model, ModelWithGradiend) else None
        self._base: BaseModel | None = None
        self._trained_on: str | None = None
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


def _check_kinds(model: object, config: object, args: object) -> None:
    if not isinstance(model, (str, Path, ModelWithGradiend)) or not str(model).strip():
        raise BadBase(f"model must be a folder, a Hub id or a ModelWithGradiend, not {model!r}.")
    if not isinstance(config, (TextPredictionConfig, type(None))):
        raise BadData(f"config must be a TextPredictionConfig, not {config!r}.")
    if not isinstance(args, (TrainingArguments, type(None))):
        raise BadGrid(f"args must be TrainingArguments, not {args!r}: write TrainingArguments(**args).")


def _config_of(config: TextPredictionConfig | None, given: Mapping[str, Any]) -> TextPredictionConfig:
    """The configuration that was given, else one of the arguments of that name; of them only target_classes counts
    beside a given one."""
    if config is not None:
        classes = given["target_classes"]
        return config if classes is None else replace(config, target_classes=classes)
    own = {name: value for name, value in given.items() if name in TextPredictionConfig.__dataclass_fields__}
    if own["split_col"] is _UNSET:
        del own["split_col"]
    return TextPredictionConfig(
        **{name: value for name, value in own.items() if value is not None or name == "split_col"}
    )


def device_map_of(args: TrainingArguments) -> Any:
    return args.base_model_device_map or None
