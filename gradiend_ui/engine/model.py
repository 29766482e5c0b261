"""`ModelWithGradiend`: a base model together with the GRADIEND that was trained on it.

Turns (part, feature_factor, learning_rate) into a rewritten model; scores nothing. Names are those of `gradiend`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel, DeviceMap, Model, Tokenizer
from gradiend_ui.engine.base.finding import Scoring, check_given, load_base, stated_location, unwrapped
from gradiend_ui.engine.base.loading import check_is_model, checked_device, move_model
from gradiend_ui.engine.checkpoint import importance as ranking
from gradiend_ui.engine.checkpoint import loaded
from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder, GradientCreator, gradients_of_text, plain_number
from gradiend_ui.engine.checkpoint.context import FeatureDefinition, labels_of
from gradiend_ui.engine.checkpoint.loaded import Trained
from gradiend_ui.engine.checkpoint.other_names import NOT_IN_LOADING, NOT_IN_MAKING, NOT_IN_SAVING, UnlikeTheReference
from gradiend_ui.engine.checkpoint.reading import Checkpoint
from gradiend_ui.engine.errors import BadData, BadGrid, refusing_class, shown, stated_path
from gradiend_ui.engine.files.model_files import TRAINING
from gradiend_ui.engine.selection.winner import strengthening_feature_factors, told_apart
from gradiend_ui.engine.values import Part, finite
from gradiend_ui.engine.weights.parameter_map import MappedParameter, joined_fingerprint, match_parameters
from gradiend_ui.engine.weights.precision import check_finite
from gradiend_ui.engine.weights.workspace import Workspace, rewritten_copy


@dataclass(frozen=True, eq=False)
class _State:
    """Everything a rewrite depends on, in one value that is replaced as a whole: never half changed."""

    trained: Trained
    base: BaseModel
    location: str

    @cached_property
    def mapped(self) -> tuple[MappedParameter, ...]:
        return match_parameters(self.base.model, self.trained.entries, self.trained.positions)

    @cached_property
    def fingerprint(self) -> str:
        return joined_fingerprint(self.base.fingerprints()[0], self.trained, self.mapped)

    @cached_property
    def former_fingerprint(self) -> str:
        return joined_fingerprint(self.base.fingerprints()[1], self.trained, self.mapped)


@refusing_class({"__init__": NOT_IN_MAKING, "from_pretrained": NOT_IN_LOADING, "save_pretrained": NOT_IN_SAVING})
class ModelWithGradiend(UnlikeTheReference):
    """A checkpoint, its autoencoder and its base model.

    No method ever changes a weight of the base model, except `to`, which moves or converts it. `invert_encoding`,
    `prune_gradiend` and setting the directions change this object; `copy.copy(model)` keeps what it was.
    """

    gradient_creator: GradientCreator | None = None

    def __init__(self, trained: Trained, base: BaseModel, location: str) -> None:
        """Join a trained GRADIEND with a loaded base model.

        location: where the base model can be found again, an absolute path or Hub id; saved as metadata.base_model.
        Raises BadBase with the first mapped parameter that the base model does not have in that shape.
        """
        self._set(_State(trained, base, location))

    @classmethod
    def from_pretrained(
        cls,
        load_directory: str | Path,
        base_model: str | Path | Model | None = None,
        *,
        torch_dtype: torch.dtype = torch.float32,
        device: str | torch.device | None = None,
        device_base_model: str | torch.device | None = None,
        device_encoder: str | torch.device | None = None,
        device_decoder: str | torch.device | None = None,
        device_map: DeviceMap | None = None,
        base_model_device_map: DeviceMap | None = None,
        tokenizer: str | Tokenizer | None = None,
        prediction_objective: str | None = None,
        decoder_sequence_cloze_rhs_window: int | None = None,
        chat_prompt: bool | None = None,
        feature_definition: FeatureDefinition | None = None,
        gradient_creator: GradientCreator | None = None,
        require_gradiend_model: bool = True,
    ) -> ModelWithGradiend:
        """Load a trained GRADIEND with its base model.

        load_directory: a checkpoint folder, or a run folder (its model/, else the best seed of its seed report).
        base_model: another folder or Hub id, or a loaded model, used as it is but for wrappers of parallel training and
        compilation; None takes the checkpoint's `metadata.base_model`. torch_dtype: of one that is loaded here; the
        GRADIEND keeps the dtype it was saved in.
        device: for everything, unless one of the three after it says otherwise; None is the CPU, or where a given
        model already is. device_map, or base_model_device_map: spreads the base model, as in transformers.
        tokenizer: a folder, a Hub id or a loaded tokenizer; None takes the base model's.
        prediction_objective, decoder_sequence_cloze_rhs_window: how the base model is scored; None as it was trained.
        chat_prompt: whether texts are scored inside a chat prompt; None when the base's path or name has "instruct".
        feature_definition: a trainer, or another object with a pair of classes, the first at +1: names the directions
        where no file of the checkpoint tells them.
        gradient_creator: lets `encode` take texts. require_gradiend_model: always so here.
        Raises BadCheckpoint or BadBase with the file and field that do not fit.
        """
        check_given(base_model, tokenizer, torch_dtype)
        trained = loaded.read_trained(load_directory)
        device_map = base_model_device_map if device_map is None else device_map
        on = None if device_map is not None else device_base_model or device
        scoring = Scoring(prediction_objective, decoder_sequence_cloze_rhs_window, chat_prompt)
        base, location = load_base(trained.checkpoint, base_model, tokenizer, torch_dtype, on, device_map, scoring)
        places = (device_encoder or device, device_decoder or device)
        encoder, decoder = (None if place is None else checked_device(place) for place in places)
        model = cls(loaded.converted(trained, encoder, None, decoder), base, location)
        model.gradient_creator = gradient_creator
        if not model.encoding_direction:
            model.set_feature_class_encoding_direction(labels_of(feature_definition))
        return model

    def _set(self, state: _State) -> None:
        _ = state.mapped  # raises before anything is changed
        self._state = state

    @property
    def checkpoint(self) -> Checkpoint:
        """What the checkpoint's files said, kept up to date with inversions, prunings and directions."""
        return self._state.trained.checkpoint

    @property
    def gradiend(self) -> Autoencoder:
        """Encoder and decoder: `gradiend.encoder[0].weight` (latent_dim, input_dim), `gradiend.decoder`, ..."""
        return self._state.trained.gradiend

    @property
    def base(self) -> BaseModel:
        """Base model, tokenizer and objective."""
        return self._state.base

    @property
    def mapped(self) -> tuple[MappedParameter, ...]:
        """The mapped parameters by the base model's own names, in map order."""
        return self._state.mapped

    @property
    def positions(self) -> Mapping[str, Tensor]:
        """{parameter name in the checkpoint: flat int64 positions}; parameters mapped whole have none."""
        return self._state.trained.positions

    @property
    def base_model(self) -> Model:
        """The transformers model as loaded, never rewritten."""
        return self.base.model

    @property
    def tokenizer(self) -> Any:
        """The base model's tokenizer, or the one that was given."""
        return self.base.tokenizer

    @property
    def name(self) -> str:
        """The name of the checkpoint's folder."""
        return self.checkpoint.folder.name

    @property
    def name_or_path(self) -> str:
        """The checkpoint's folder."""
        return str(self.checkpoint.folder)

    @property
    def source(self) -> str:
        """Which gradients the encoder was trained on: "factual", "alternative" or "diff"."""
        return self.checkpoint.source

    @property
    def target(self) -> str:
        """Which gradients the decoder was trained to give: "factual", "alternative" or "diff"."""
        return self.checkpoint.target

    @property
    def encoding_direction(self) -> dict[str, float]:
        """{class: +1, -1 or 0}: the sign of the encoder's output; empty when no file tells."""
        return dict(self.checkpoint.encoding_direction)

    @property
    def feature_class_encoding_direction(self) -> dict[str, float] | None:
        """`encoding_direction` by the reference's name, None when no file tells. Assigning it replaces it."""
        return self.encoding_direction or None

    @feature_class_encoding_direction.setter
    def feature_class_encoding_direction(self, direction: Mapping[str, float] | None) -> None:
        if not isinstance(direction, (Mapping, type(None))):
            raise BadGrid(f"The directions must be a dictionary, such as {{'F': 1, 'M': -1}}, not {shown(direction)}.")
        self._set(replace(self._state, trained=loaded.directed(self._state.trained, direction or {})))

    def set_feature_class_encoding_direction(self, class_labels: Mapping[str, float]) -> None:
        """Say the direction of each class (positive +1, negative -1, 0 neutral) where no one has said it yet:
        directions that were only read off the statistics in training.json give way, others stay."""
        if class_labels and (not self.encoding_direction or self.checkpoint.direction_from == TRAINING):
            self.feature_class_encoding_direction = dict(class_labels)

    @property
    def strengthening_feature_factor(self) -> dict[str, float]:
        """{class: the feature factor that strengthens it}, for the classes that have a direction.

        Empty where no file tells it, or tells the same sign for every class: `checkpoint.direction_note` says why.
        """
        return told_apart(strengthening_feature_factors(self.encoding_direction, self.source))

    def __len__(self) -> int:
        """How many weights of the base model are mapped."""
        return self.gradiend.input_dim

    def pruned_length(self) -> int:
        """How many weights are mapped now."""
        return len(self)

    def unpruned_length(self) -> int:
        """How many weights the mapped parameters have in all."""
        return sum(entry.numel for entry in self.checkpoint.entries)

    def __repr__(self) -> str:
        return (
            f"ModelWithGradiend({self.name!r}, base={self.base.name!r}, source={self.source!r}, "
            f"mapped={len(self):,}, latent_dim={self.gradiend.latent_dim})"
        )

    def to(
        self, device: str | torch.device | None = None, *, torch_dtype: torch.dtype | None = None
    ) -> ModelWithGradiend:
        """Move base model and GRADIEND to `device` and convert both to `torch_dtype`; None leaves that as it is.

        A base model that is spread over several devices stays where it is. Workspaces made before stay behind: make
        a new one. Returns this object. Raises BadBase for a device that is not there.
        """
        device = None if device is None else checked_device(device)
        if not isinstance(torch_dtype, (torch.dtype, type(None))):
            raise BadGrid(f"torch_dtype must be a dtype of PyTorch, such as torch.bfloat16, not {shown(torch_dtype)}.")
        trained = loaded.converted(self._state.trained, device, torch_dtype)
        move_model(self.base_model, device, torch_dtype)
        self._set(replace(self._state, trained=trained))
        return self

    def cpu(self) -> ModelWithGradiend:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self, device: int | str | torch.device | None = None) -> ModelWithGradiend:
        """`to` the current CUDA device, or that of the given number or name."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else "cuda" if device in (None, "") else device)

    def encode(self, input: Tensor | str, label: str | None = None, return_float: bool = False) -> Tensor | float:
        """The encoder's output for a flat gradient (..., mapped weights): (..., latent_dim), with tanh in [-1, 1].

        input: a gradient in map order, or a masked text whose gradient for `label` the `gradient_creator` makes.
        return_float: a float instead; needs a single value.
        Raises BadData for a text without label or gradient creator, for another length, and for several values.
        """
        if not isinstance(input, (Tensor, str)):
            raise BadData(f"encode takes a masked text or a gradient (a tensor), not {shown(input)}.")
        if not isinstance(input, Tensor):
            input = gradients_of_text(self.gradient_creator, input, label)
        with torch.no_grad():
            encoded = self.gradiend.encode(input)
        if not return_float:
            return encoded
        if encoded.numel() != 1:
            raise BadData(f"return_float needs a single value; this encoding has {encoded.numel()}.")
        return float(encoded)

    def update_vector(self, part: Part = "decoder", feature_factor: float | Sequence[float] = 1.0) -> Tensor:
        """The update u(part, feature_factor), (mapped weights,), on the base model's device."""
        return self.gradiend.update_vector(part, feature_factor).to(self.base_model.device)

    def workspace(self) -> Workspace:
        """A scratch copy of the touched parameters, to visit many cells quickly."""
        return Workspace(self.base_model, self.mapped)

    def rewrite_base_model(
        self, learning_rate: float, feature_factor: float | Sequence[float], part: Part = "decoder"
    ) -> Model:
        """A new model with the weights `base + learning_rate * u(part, feature_factor)`.

        learning_rate: any finite number, 0 gives the base back, never negated. feature_factor: any finite number, or
        latent_dim of them (list, tuple, array); `strengthening_feature_factor` tells which sign strengthens a class.
        part: see `Autoencoder.update_vector`; all but "decoder" ignore the feature factor. The base model is untouched,
        the new one is on its device and in its dtype.
        Raises BadGrid for values that are not finite, a list of the wrong length or an unknown part, and where they
        are so large that a weight of the result is not finite.
        """
        step = finite(plain_number(learning_rate), "learning_rate")
        point = self.gradiend.point_for(part, feature_factor)
        model = rewritten_copy(self.base_model, self.mapped, self.update_vector(part, point), step)
        check_finite(model, point, step)
        return model

    def get_weight_importance(self, part: str = "decoder-weight") -> Tensor:
        """Importance of each mapped weight, (mapped weights,), on the CPU: see `importance.weight_importance`."""
        return ranking.weight_importance(self.gradiend, part)

    def get_topk_weights(self, part: str = "decoder-weight", topk: int | float = 1000) -> list[int]:
        """Global indices of the `topk` most important weights, most important first.

        A global index counts through all mapped parameters whole, in map order: it does not depend on pruning.
        topk: a whole number, or a share in (0, 1] as a float. Raises BadGrid for another part or topk.
        """
        return ranking.top_global_indices(self.gradiend, self.checkpoint.entries, self.positions, part, topk)

    def get_topk_feature_metadata(self, part: str = "decoder-weight", topk: int | float = 1000) -> list[dict[str, Any]]:
        """The same weights as rows: rank, importance, local and global index, parameter, shape and place in it."""
        return ranking.feature_rows(self.gradiend, self.checkpoint.entries, self.positions, part, topk)

    def export_topk_features(
        self, output_path: str | Path, *, part: str = "decoder-weight", topk: int | float = 1000
    ) -> list[dict[str, Any]]:
        """Write those rows to a .json or .csv file and return them. Raises BadName for another suffix."""
        rows = self.get_topk_feature_metadata(part, topk)
        ranking.write_feature_rows(rows, stated_path(output_path, "output_path"))
        return rows

    def get_enhancer_mask(self, topk: int | float, part: str = "decoder-weight") -> Tensor:
        """Which of the mapped weights are among the top k, bool (mapped weights,), on the GRADIEND's device.

        topk: above 1 a number of weights, up to 1 a share of them, rounded down; 0 gives an empty mask. The mask is in
        local order: it fits gradients and update vectors also of a pruned GRADIEND."""
        return ranking.enhancer_mask(self.get_weight_importance(part), topk).to(self.gradiend.device)

    def prune_gradiend(
        self,
        *,
        topk: int | float | None = None,
        threshold: float | None = None,
        mask: Tensor | None = None,
        part: str = "decoder-weight",
        importance: Tensor | None = None,
        keep_idx: Tensor | None = None,
        keep_idx_sorted_unique: bool = False,
        inplace: bool = True,
        return_mask: bool = False,
    ) -> ModelWithGradiend | tuple[ModelWithGradiend, Tensor]:
        """Keep only some of the mapped weights: those of `mask`, then importance >= `threshold`, then the top k.

        topk: a whole number, or a share in (0, 1] as a float of what the other two left. mask: bool
        (mapped weights,). importance: (mapped weights,), used instead of that of `part`. keep_idx: local indices to
        keep, instead of all these; keep_idx_sorted_unique changes nothing. inplace: change this object; else it stays
        and a new one shares its base model.
        Returns the pruned model, with return_mask also the bool mask (mapped weights before,).
        Raises BadGrid when nothing is asked, a value is out of range, or nothing would stay."""
        kept = ranking.Pruning(topk, threshold, mask, part, importance, keep_idx).kept(self.gradiend)
        model = self if inplace else copy.copy(self)
        model._set(replace(self._state, trained=loaded.pruned(self._state.trained, kept)))
        return (model, kept) if return_mask else model

    def invert_encoding(self, *, update_direction: bool = True) -> None:
        """Turn encoder and decoder around: weights and biases get the opposite sign, this object changes.

        Every update becomes its negative, so a cell rewrites as the negated learning rate did before.
        update_direction: negate the direction of each class with it, so that `strengthening_feature_factor` follows."""
        self._set(replace(self._state, trained=loaded.inverted(self._state.trained, update_direction=update_direction)))

    def with_original_base_model(self, new_base: Model) -> ModelWithGradiend:
        """The same GRADIEND on another loaded model, for example the one below a head that only training needed.

        This object stays as it is. Raises BadBase when `new_base` lacks a mapped parameter."""
        model = unwrapped(new_base)
        check_is_model(model, "new_base")
        other, base = copy.copy(self), replace(self.base, model=model)
        other._set(replace(self._state, base=base))
        return other

    @property
    def param_map_hash(self) -> str:
        """A key for the parameter map, equal to the reference's for the same map."""
        return loaded.param_map_hash(self._state.trained)

    def save_pretrained(self, save_directory: str | Path, *, use_safetensors: bool | None = None) -> None:
        """Write the GRADIEND (not the base model) in the format of the `gradiend` package, whole or absent.

        save_directory: a new folder, or one that exists: its checkpoint files are replaced, other files stay.
        use_safetensors: False writes pytorch_model.bin. metadata.base_model becomes the Hub id or absolute path of
        the base model in use, so the folder can be moved. Raises BadName for a file's name, Failed when the disk
        refuses.
        """
        loaded.save_trained(
            self._state.trained,
            stated_path(save_directory, "save_directory"),
            base_model=self._state.location,
            keep_tokenizer=self._state.location == stated_location(self.checkpoint),
            use_safetensors=use_safetensors is not False,
        )

    @property
    def fingerprint(self) -> str:
        """sha256 over base model, tokenizer, autoencoder and mapping: equal only for equal rewrites."""
        return self._state.fingerprint

    @property
    def former_fingerprint(self) -> str:
        """As versions before this one spelled it: it covers the place that the base model was loaded from."""
        return self._state.former_fingerprint

    def is_called(self, fingerprint: object) -> bool:
        """Whether it is this model's, by today's spelling or the former one."""
        return fingerprint == self.fingerprint or fingerprint == self.former_fingerprint
