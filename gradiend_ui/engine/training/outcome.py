"""A trained GRADIEND on its way to the disk: its weights, its map and what is written beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint import load_tensors, read_checkpoint
from gradiend_ui.engine.checkpoint_config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_WEIGHT, Architecture
from gradiend_ui.engine.checkpoint_writer import save_checkpoint
from gradiend_ui.engine.importance import kept_mask, weight_importance
from gradiend_ui.engine.training.initial import ParameterMap
from gradiend_ui.engine.training.settings import PostPruneConfig


@dataclass(frozen=True)
class GradiendFiles:
    """What a checkpoint folder will hold."""

    architecture: Architecture
    weights: Mapping[str, Tensor]
    map: ParameterMap
    metadata: Mapping[str, Any]
    context: Mapping[str, Any]
    training: Mapping[str, Any] | None = None

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        save_checkpoint(
            folder,
            architecture=self.architecture,
            weights=self.weights,
            shapes=self.map.shapes,
            positions=self.map.positions,
            metadata=self.metadata,
            context=self.context,
            training=self.training,
        )

    def with_weights_of(self, folder: Path) -> GradiendFiles:
        """The same with the weights of a checkpoint that was saved on the way."""
        weights, _ = load_tensors(read_checkpoint(folder))
        return replace(self, weights=weights)


def post_pruned(files: GradiendFiles, config: PostPruneConfig) -> GradiendFiles:
    """Only the weights that `config` keeps. Raises BadGrid when none would be left."""
    gradiend = Autoencoder(files.architecture, files.weights)
    kept = kept_mask(
        files.architecture.input_dim,
        importance=weight_importance(gradiend, config.part),
        topk=None if isinstance(config.topk, float) and config.topk >= 1.0 and config.mask is not None else config.topk,
        threshold=config.threshold,
        mask=None if config.mask is None else torch.as_tensor(config.mask, dtype=torch.bool),
    )
    chosen = kept.nonzero().flatten()
    weights = {name: tensor.detach().cpu() for name, tensor in files.weights.items()}
    weights[ENCODER_WEIGHT] = weights[ENCODER_WEIGHT][:, chosen]
    weights[DECODER_WEIGHT] = weights[DECODER_WEIGHT][chosen]
    if DECODER_BIAS in weights:
        weights[DECODER_BIAS] = weights[DECODER_BIAS][chosen]
    architecture = replace(files.architecture, input_dim=chosen.numel())
    return replace(files, architecture=architecture, weights=weights, map=files.map.keeping(kept))
