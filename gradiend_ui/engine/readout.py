"""Logits at chosen positions only.

A vocabulary head at every position is most of a small model's work, and a sweep reads few positions. `Readout`
lets the backbone run as usual and hands its head only the hidden states that are read. Whether a model's head can
be narrowed so is tried once against the plain path; models that differ are read the plain way. Knows no tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Model = Any


@dataclass(frozen=True)
class Batch:
    """Padded inputs and the points to read.

    input_ids, attention_mask: int64 (rows, length); point_rows, point_positions: int64 (points,)
    """

    input_ids: Tensor
    attention_mask: Tensor
    point_rows: Tensor
    point_positions: Tensor


def padded(sequences: list[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Right-padded input_ids and attention_mask, int64 (rows, longest), of token-id lists."""
    longest = max(len(ids) for ids in sequences)
    input_ids = torch.full((len(sequences), longest), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(sequences):
        input_ids[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        attention_mask[row, : len(ids)] = 1
    return input_ids, attention_mask


@dataclass(frozen=True)
class Readout:
    """Reads logits of any weights of one architecture; `narrow` tells whether the head sees only the points."""

    narrow: bool

    @classmethod
    def trying(cls, model: Model, batch: Batch) -> Readout:
        """The narrow way when it gives this model's logits on `batch` (within 1e-4 absolute), else the plain one."""
        if _backbone(model) is None:
            return cls(narrow=False)
        plain = cls(narrow=False).logits(model, batch)
        try:
            narrow = cls(narrow=True).logits(model, batch)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            return cls(narrow=False)
        return cls(narrow=narrow.shape == plain.shape and torch.allclose(narrow, plain, rtol=1e-4, atol=1e-4))

    @torch.inference_mode()
    def logits(self, model: Model, batch: Batch) -> Tensor:
        """float32 logits (points, vocabulary) at the batch's points."""
        device = model.device
        inputs = {"input_ids": batch.input_ids.to(device), "attention_mask": batch.attention_mask.to(device)}
        rows, positions = batch.point_rows.to(device), batch.point_positions.to(device)
        if not self.narrow:
            plain: Tensor = model(**inputs).logits[rows, positions].float()
            return plain
        backbone = _backbone(model)
        assert backbone is not None  # narrow is only ever chosen for a model with a backbone

        def keep_points(_module: nn.Module, _args: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state[rows, positions].unsqueeze(0)
            return output

        handle = backbone.register_forward_hook(keep_points)
        try:
            logits: Tensor = model(**inputs).logits[0].float()
        finally:
            handle.remove()
        return logits


def _backbone(model: Model) -> nn.Module | None:
    """The part of a transformers model before its head, None when the model is its own backbone."""
    backbone = model.base_model
    return backbone if isinstance(backbone, nn.Module) and backbone is not model else None
