"""`ModelWithGradiend`: a base model together with the GRADIEND that was trained on it.

Knows how to turn (part, feature_factor, learning_rate) into a rewritten model; scores nothing.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.autoencoder import Autoencoder
from gradiend_ui.engine.base_model import BaseModel, Model, base_model_location, load_base_model, objective_of
from gradiend_ui.engine.checkpoint import Checkpoint, load_tensors, read_checkpoint
from gradiend_ui.engine.checkpoint_writer import save_checkpoint
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.param_map import MappedParameter, match_parameters
from gradiend_ui.engine.selection import strengthening_feature_factors
from gradiend_ui.engine.values import finite
from gradiend_ui.engine.workspace import Workspace, mapped_values, write_update

Part = str


@dataclass(frozen=True)
class ModelWithGradiend:
    """A checkpoint, its autoencoder and its base model. Nothing here changes after loading."""

    checkpoint: Checkpoint
    gradiend: Autoencoder
    base: BaseModel
    mapped: tuple[MappedParameter, ...]
    positions: dict[str, Tensor]

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        base_model: str | Path | Model | None = None,
        *,
        torch_dtype: torch.dtype = torch.float32,
    ) -> ModelWithGradiend:
        """Load the checkpoint folder `path` with its base model.

        base_model: another folder or Hub id, or a loaded transformers model (its tokenizer is then loaded from where
        the checkpoint says); None takes the checkpoint's `metadata.base_model`.
        Raises BadCheckpoint or BadBase with the file and field that do not fit.
        """
        checkpoint = read_checkpoint(path)
        weights, positions = load_tensors(checkpoint)
        base = _load_base(checkpoint, base_model, torch_dtype)
        mapped = match_parameters(base.model, checkpoint.entries, positions)
        return cls(checkpoint, Autoencoder(checkpoint.architecture, weights), base, mapped, positions)

    @property
    def base_model(self) -> Model:
        """The transformers model as loaded, never rewritten."""
        return self.base.model

    @property
    def tokenizer(self) -> Any:
        return self.base.tokenizer

    @property
    def source(self) -> str:
        """Which gradients the encoder was trained on: "factual", "alternative" or "diff"."""
        return self.checkpoint.source

    @property
    def encoding_direction(self) -> dict[str, float]:
        """{class: +1, -1 or 0}: the sign of the encoder's output; empty when no file tells."""
        return dict(self.checkpoint.encoding_direction)

    @property
    def strengthening_feature_factor(self) -> dict[str, float]:
        """{class: the feature factor that strengthens it}, for the classes that have a direction."""
        directed = {name: sign for name, sign in self.encoding_direction.items() if sign}
        return strengthening_feature_factors(directed, self.source)

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

        feature_factor: a number, or latent_dim numbers. The learning rate is never negated: which sign of the
        feature factor strengthens a class is told by `strengthening_feature_factor`. The base model is untouched.
        Raises BadGrid for values that are not finite or an unknown part.
        """
        step = finite(learning_rate, "learning_rate")
        factors = [feature_factor] if isinstance(feature_factor, (int, float)) else list(feature_factor)
        update = self.update_vector(part, [finite(factor, "feature_factor") for factor in factors])
        model = copy.deepcopy(self.base_model)
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for part_of_map in self.mapped:
                parameters[part_of_map.name].add_(0.0)  # -0.0 becomes 0.0, as in the reference and in a sweep
        write_update(parameters, mapped_values(parameters, self.mapped), self.mapped, update, step)
        return model

    def save_pretrained(self, folder: str | Path, *, use_safetensors: bool = True) -> None:
        """Write the GRADIEND (not the base model) in the format of the `gradiend` package."""
        save_checkpoint(
            Path(folder),
            architecture=self.checkpoint.architecture,
            weights=self.gradiend.weights,
            shapes={entry.name: entry.shape for entry in self.checkpoint.entries},
            positions=self.positions,
            metadata=self.checkpoint.metadata,
            context={
                "source": self.source,
                "target": self.checkpoint.target,
                "feature_class_encoding_direction": self.encoding_direction,
            },
            training=self.checkpoint.training,
            use_safetensors=use_safetensors,
        )

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over base model, tokenizer, autoencoder and mapping: equal only for equal rewrites."""
        digest = hashlib.sha256(self.base.fingerprint().encode())
        digest.update(repr(self.checkpoint.architecture).encode())
        for name, tensor in sorted(self.gradiend.weights.items()):
            digest.update(name.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        for part in self.mapped:
            digest.update(f"{part.name}:{part.start}:{part.stop}".encode())
            if part.positions is not None:
                digest.update(part.positions.numpy().tobytes())
        return digest.hexdigest()


def _load_base(checkpoint: Checkpoint, given: str | Path | Model | None, torch_dtype: torch.dtype) -> BaseModel:
    stated = checkpoint.metadata.get("prediction_objective") or "auto"
    if not isinstance(stated, str):
        raise BadBase("config.json: metadata.prediction_objective must be text.")
    tokenizer = checkpoint.metadata.get("tokenizer")
    named_tokenizer = tokenizer if isinstance(tokenizer, str) and given is None else None
    if given is None or isinstance(given, (str, Path)):
        location = base_model_location(checkpoint, None if given is None else str(given))
        return load_base_model(location, tokenizer=named_tokenizer, torch_dtype=torch_dtype, objective=stated)
    from_files = load_base_model(
        base_model_location(checkpoint, given.name_or_path or None), torch_dtype=torch_dtype, objective=stated
    )
    objective = objective_of(given.config, given.name_or_path) if stated == "auto" else stated
    return BaseModel(given.eval(), from_files.tokenizer, objective, from_files.name)
