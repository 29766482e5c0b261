"""Checkpoints of our own making: a random GRADIEND on four parameters of the tiny BERT, or on any base."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.model import ModelWithGradiend

BuildCheckpoint = Callable[..., Path]
MAPPED = (
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.1.output.dense.weight",
    "bert.encoder.layer.1.output.dense.bias",
)
SHARES = {"all": (1.0, 1.0, 1.0, 1.0), "indices": (0.05,) * 4, "mask": (0.5,) * 4, "mixed": (0.05, 1.0, 0.5, 1.0)}


def save_random_gradiend(
    folder: Path,
    mapping: str = "mixed",
    *,
    base_model: Path,
    latent_dim: int = 1,
    use_safetensors: bool = True,
    context: dict[str, object] | None = None,
    training: dict[str, object] | None = None,
    base: str | None = None,
) -> Path:
    """Write it below `folder`. mapping: one of SHARES, which share of each parameter it maps. base: name it states."""
    generator = torch.Generator().manual_seed(5)
    parameters = dict(AutoModelForMaskedLM.from_pretrained(base_model).named_parameters())
    shapes = {name: tuple(parameters[name].shape) for name in MAPPED}
    positions: dict[str, torch.Tensor] = {}
    for name, share in zip(MAPPED, SHARES[mapping], strict=True):
        if share < 1.0:
            numel = parameters[name].numel()
            order = torch.randperm(numel, generator=generator)[: max(1, int(share * numel))]
            positions[name] = order.sort().values
    n = sum(positions[name].numel() if name in positions else parameters[name].numel() for name in MAPPED)
    weights = {
        ENCODER_WEIGHT: torch.randn(latent_dim, n, generator=generator) * 0.1,
        ENCODER_BIAS: torch.randn(latent_dim, generator=generator),
        DECODER_WEIGHT: torch.randn(n, latent_dim, generator=generator) * 0.1,
        DECODER_BIAS: torch.randn(n, generator=generator) * 0.01,
    }
    save_checkpoint(
        folder,
        architecture=Architecture(input_dim=n, latent_dim=latent_dim),
        weights=weights,
        shapes=shapes,
        positions=positions,
        metadata={"base_model": base or str(base_model), "prediction_objective": "auto"},
        context=context
        if context is not None
        else {
            "source": "alternative",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },
        training=training,
        use_safetensors=use_safetensors,
    )
    return folder


def gradiend_on(folder: Path, base: BaseModel, **metadata: object) -> ModelWithGradiend:
    """A random GRADIEND on the word embeddings of any loaded base, saved below `folder`; strong enough to change what
    it says."""
    embedding = base.model.get_input_embeddings().weight
    name = next(name for name, parameter in base.model.named_parameters() if parameter is embedding)
    random_gradiend(folder, name, tuple(embedding.shape), **{"base_model": base.name, **metadata})
    return ModelWithGradiend.from_pretrained(folder, base_model=base.model, tokenizer=base.tokenizer)


def random_gradiend(folder: Path, name: str, shape: tuple[int, ...], **metadata: object) -> None:
    """A random GRADIEND of one parameter, saved in `folder`."""
    n, generator = math.prod(shape), torch.Generator().manual_seed(7)
    save_checkpoint(
        folder,
        architecture=Architecture(input_dim=n, latent_dim=1),
        weights={
            ENCODER_WEIGHT: torch.randn(1, n, generator=generator) * 0.1,
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: torch.randn(n, 1, generator=generator) * 0.4,
            DECODER_BIAS: torch.zeros(n),
        },
        shapes={name: shape},
        positions={},
        metadata={"prediction_objective": "auto", **metadata},
        context={
            "source": "alternative",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },
    )
