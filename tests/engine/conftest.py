"""A small checkpoint of our own making on the tiny BERT, and a prepared sweep over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForMaskedLM

from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.values import SweepSpec

BuildCheckpoint = Callable[..., Path]
MAPPED = (
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.1.output.dense.weight",
    "bert.encoder.layer.1.output.dense.bias",
)
SHARES = {"all": (1.0, 1.0, 1.0, 1.0), "indices": (0.05,) * 4, "mask": (0.5,) * 4, "mixed": (0.05, 1.0, 0.5, 1.0)}


@pytest.fixture(scope="session")
def build_checkpoint(tiny_bert: Path) -> BuildCheckpoint:
    """build_checkpoint(folder, mapping="mixed", ...) writes a random GRADIEND for the tiny BERT."""

    def build(
        folder: Path,
        mapping: str = "mixed",
        *,
        latent_dim: int = 1,
        use_safetensors: bool = True,
        context: dict[str, object] | None = None,
        training: dict[str, object] | None = None,
        base: str | None = None,
    ) -> Path:
        generator = torch.Generator().manual_seed(5)
        parameters = dict(AutoModelForMaskedLM.from_pretrained(tiny_bert).named_parameters())
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
            metadata={"base_model": base or str(tiny_bert), "prediction_objective": "auto"},
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

    return build


@pytest.fixture(scope="session")
def checkpoint_folder(build_checkpoint: BuildCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint(tmp_path_factory.mktemp("checkpoint") / "gradiend")


@pytest.fixture(scope="session")
def model(checkpoint_folder: Path) -> ModelWithGradiend:
    return ModelWithGradiend.from_pretrained(checkpoint_folder)


@pytest.fixture(scope="session")
def plan(model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str]) -> PreparedSweep:
    """2 x 3 cells on the tiny BERT."""
    spec = SweepSpec(learning_rates=(0.01, 0.1, 1.0), feature_factors=(-1.0, 1.0))
    return prepare(model, spec, read_rows(rows), read_neutral(neutral_texts[:60]))
