"""Rewrites of both implementations as tensors by name, and which of them are not bit-identical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.parity.comparison import MEASURED
from tests.parity.reference import Reference

PARTS = ("decoder", "decoder-weight", "decoder-bias", "decoder-sum", "encoder-weight")
CELLS: list[dict[str, Any]] = [
    *({"learning_rate": 0.3, "feature_factor": -1.0, "part": part} for part in PARTS),
    {"learning_rate": 0.05, "feature_factor": 0.7},
    {"learning_rate": -2, "feature_factor": 1},
    {"learning_rate": 0.0, "feature_factor": 1.0},
]
Tensors = Mapping[str, torch.Tensor]


def named_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of every parameter under its name, tied ones once."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def different(ours: Tensors, theirs: Tensors) -> list[str]:
    """The names whose tensors are not bit-identical; raises when the names differ."""
    assert list(ours) == list(theirs), "other parameters"
    found = [name for name, tensor in theirs.items() if not torch.equal(ours[name], tensor)]
    MEASURED.note("bit-identical tensor", 0.0, len(theirs) - len(found))
    return found


def rewrite_theirs(
    reference: Reference, checkpoint: Path, cells: Sequence[Mapping[str, Any]], out: Path
) -> list[Tensors]:
    """The reference's base and one rewrite per cell, as dictionaries of tensors."""
    reference.ask("rewrite", checkpoint=str(checkpoint), cells=[dict(cell) for cell in cells], out=str(out))
    names = ["base", *map(str, range(len(cells)))]
    return [torch.load(out / f"{name}.pt", weights_only=True) for name in names]
