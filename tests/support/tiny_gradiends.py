"""A small random GRADIEND on any base: it maps one matrix, or the parameters that are named, whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint

OUTSIDE = ("embed", "head", "predictions", "lm_", "pred_layer", "pooler", "wte", "wpe", "shared", "bias", "cls.")
"""Pieces of names of what lies outside of the layers, or reads no hidden state."""


def gradiend_on(base: Path, folder: Path, names: Sequence[str] = ()) -> Path:
    """Write it to `folder`; without `names` the last matrix of the layers is mapped."""
    parameters = dict(load_base_model(str(base)).model.named_parameters())
    inside = [
        name
        for name, parameter in parameters.items()
        if parameter.dim() == 2 and not any(piece in name for piece in OUTSIDE)
    ]
    shapes = {name: tuple(parameters[name].shape) for name in names or inside[-1:]}
    count = sum(parameters[name].numel() for name in shapes)
    generator = torch.Generator().manual_seed(7)
    save_checkpoint(
        folder,
        architecture=Architecture(input_dim=count, latent_dim=1),
        weights={
            ENCODER_WEIGHT: torch.randn(1, count, generator=generator),
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: torch.randn(count, 1, generator=generator) * 0.3,
            DECODER_BIAS: torch.zeros(count),
        },
        shapes=shapes,
        positions={},
        metadata={"base_model": str(base)},
        context={
            "source": "alternative",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },
    )
    return folder
