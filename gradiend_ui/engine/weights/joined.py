"""A trained GRADIEND joined with its base model: what both are, and the fingerprint that is equal for equal rewrites.

Knows which weights are mapped; writes none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel, Model
from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint.loaded import Trained, param_map_hash
from gradiend_ui.engine.checkpoint.reading import Checkpoint
from gradiend_ui.engine.weights.parameter_map import MappedParameter, match_parameters


@dataclass(frozen=True, eq=False)
class Joined:
    """A GRADIEND on a base model: everything a rewrite depends on, in one value that is replaced as a whole.

    location: where the base model can be found again. Raises BadBase, once `mapped` is asked for, with the first mapped
    parameter that the base model does not have in that shape.
    """

    trained: Trained
    base: BaseModel
    location: str

    @cached_property
    def mapped(self) -> tuple[MappedParameter, ...]:
        return match_parameters(self.base.model, self.trained.entries, self.trained.positions)

    @cached_property
    def fingerprint(self) -> str:
        return self._fingerprint(self.base.fingerprints()[0])

    @cached_property
    def former_fingerprint(self) -> str:
        return self._fingerprint(self.base.fingerprints()[1])

    def _fingerprint(self, of_base: str) -> str:
        digest = hashlib.sha256(of_base.encode())
        digest.update(repr(self.trained.gradiend.architecture).encode())
        for name, tensor in sorted(self.trained.gradiend.weights.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        for part in self.mapped:
            digest.update(f"{part.name}:{part.start}:{part.stop}".encode())
            if part.positions is not None:
                digest.update(part.positions.contiguous().numpy().data)
        return digest.hexdigest()


class JoinedModel:
    """What can be read of a GRADIEND on its base model. `_state` is replaced as a whole by whoever changes it."""

    _state: Joined

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

    def __len__(self) -> int:
        """How many weights of the base model are mapped."""
        return self.gradiend.input_dim

    def pruned_length(self) -> int:
        """How many weights are mapped now."""
        return len(self)

    def unpruned_length(self) -> int:
        """How many weights the mapped parameters have in all."""
        return sum(entry.numel for entry in self.checkpoint.entries)

    @property
    def param_map_hash(self) -> str:
        """A key for the parameter map, equal to the reference's for the same map."""
        return param_map_hash(self._state.trained)

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
