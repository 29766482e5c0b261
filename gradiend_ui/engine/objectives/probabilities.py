"""What all objectives share: prepared blocks of rows, and class probabilities from logits at the read points.

Knows tensors; no tokenizer, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gradiend_ui.engine.readout import Batch

Model = Any


@dataclass(frozen=True)
class TargetReads:
    """Which probabilities make up which class, for one batch with k read points per row.

    rows, classes: int64 (entries,); ids: int64 (entries, k). One entry is one way to write a target of a class:
    the product of its k tokens' probabilities counts for that class in that row.
    """

    rows: Tensor
    classes: Tensor
    ids: Tensor

    @classmethod
    def build(cls, entries: Sequence[tuple[int, int, tuple[int, ...]]]) -> TargetReads:
        rows, classes, ids = zip(*entries, strict=True)
        return cls(torch.tensor(rows), torch.tensor(classes), torch.tensor(ids))


@dataclass(frozen=True)
class RowBlock:
    """A fixed set of rows that is scored at once.

    rows: their places in the list of rows given to the objective; reads: (inputs, what to read) pairs, one for each
    number of word pieces among the targets.
    """

    rows: tuple[int, ...]
    reads: tuple[tuple[Batch, TargetReads], ...]


class Objective(Protocol):
    """How P(class) is read from a model. Everything about the texts is prepared on construction."""

    @property
    def name(self) -> str: ...

    @property
    def blocks(self) -> tuple[RowBlock, ...]: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """P(class) per row of the block: float64 (rows, classes) on the CPU; NaN where a row has no such class."""
        ...


def class_probabilities(logits: Tensor, reads: TargetReads, out: Tensor) -> None:
    """Add to `out` (rows, classes) the probability of every entry of `reads`, given logits (rows, k, vocabulary).

    Uses log-sum-exp instead of a full softmax: only the ids that are read are ever normalised. `out` may start as
    NaN: a class counts as scored from its first entry on.
    """
    k = reads.ids.shape[1]
    rows, ids = reads.rows.to(logits.device), reads.ids.to(logits.device)
    normaliser = torch.logsumexp(logits, dim=-1)
    log_p = logits[rows.unsqueeze(1), torch.arange(k, device=logits.device), ids] - normaliser[rows]
    p = log_p.double().sum(dim=1).exp().cpu()
    fresh = torch.isnan(out)
    fresh_and_read = torch.zeros_like(fresh)
    fresh_and_read[reads.rows, reads.classes] = True
    out[fresh & fresh_and_read] = 0.0
    out.index_put_((reads.rows, reads.classes), p, accumulate=True)


def length_sorted_chunks(lengths: Sequence[int], max_rows: int, max_tokens: int) -> list[list[int]]:
    """Places 0..n-1 in order of length (stable), cut into chunks of at most max_rows rows and max_tokens padded
    tokens (at least one row each). Little padding, and the same plan for the same lengths."""
    chunks: list[list[int]] = []
    current: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if current and (len(current) == max_rows or (len(current) + 1) * lengths[place] > max_tokens):
            chunks.append(current)
            current = []
        current.append(place)
    return [*chunks, current] if current else chunks
