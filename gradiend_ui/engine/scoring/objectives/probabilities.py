"""What all objectives share: prepared blocks of rows, and class probabilities from logits at the read points.

Knows tensors; no tokenizer, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.readout import Apart, Batch, EncoderReadout, Readout

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
        """From (row, class, ids) entries, at least one."""
        rows, classes, ids = zip(*entries, strict=True)
        return cls(torch.tensor(rows), torch.tensor(classes), torch.tensor(ids))

    def add_to(self, out: Tensor, logits: Tensor) -> None:
        """Add to `out` (rows, classes) the probability of every entry, given logits (points, vocabulary).

        Uses log-sum-exp instead of a full softmax: only the ids that are read are ever normalised.
        """
        k = self.ids.shape[1]
        logits = logits.view(-1, k, logits.shape[-1])
        rows, ids = self.rows.to(logits.device), self.ids.to(logits.device)
        normaliser = torch.logsumexp(logits, dim=-1)
        log_p = logits[rows.unsqueeze(1), torch.arange(k, device=logits.device), ids] - normaliser[rows]
        _add_entries(out, self.rows, self.classes, log_p.double().sum(dim=1).exp().cpu())


@dataclass(frozen=True)
class CandidateReads:
    """Candidates that compete within their row: a softmax over the log-probabilities of their whole texts.

    rows, classes: int64 (candidates,); point_candidates, ids: int64 (points,): which candidate each read point
    belongs to, and the token it must say there.
    """

    rows: Tensor
    classes: Tensor
    point_candidates: Tensor
    ids: Tensor

    @classmethod
    def build(cls, candidates: Sequence[tuple[int, int, Sequence[int]]]) -> CandidateReads:
        """From (row, class, ids) candidates, at least one; each id takes one read point, in this order."""
        return cls(
            torch.tensor([row for row, _, _ in candidates]),
            torch.tensor([column for _, column, _ in candidates]),
            torch.tensor([number for number, (_, _, ids) in enumerate(candidates) for _ in ids]),
            torch.tensor([token for _, _, ids in candidates for token in ids]),
        )

    def add_to(self, out: Tensor, logits: Tensor) -> None:
        """Add to `out` (rows, classes) each candidate's share of its row, given logits (points, vocabulary).

        Sums in float64, then rounds each sum to float32 before the softmax, as the reference does.
        """
        picked = logits.gather(1, self.ids.to(logits.device).unsqueeze(1)).squeeze(1)
        log_p = (picked - torch.logsumexp(logits, dim=-1)).double().cpu()
        sums = torch.zeros(len(self.rows), dtype=torch.float64).index_add_(0, self.point_candidates, log_p).float()
        of_row = self.rows.unsqueeze(0) == torch.arange(out.shape[0]).unsqueeze(1)
        shares = torch.softmax(sums.masked_fill(~of_row, -torch.inf), dim=1)
        _add_entries(out, self.rows, self.classes, shares[self.rows, torch.arange(len(self.rows))].double())


def _add_entries(out: Tensor, rows: Tensor, classes: Tensor, p: Tensor) -> None:
    """Add `p` (entries,) to `out`, which may start as NaN: a class counts as scored from its first entry on."""
    fresh = torch.isnan(out)
    fresh_and_read = torch.zeros_like(fresh)
    fresh_and_read[rows, classes] = True
    out[fresh & fresh_and_read] = 0.0
    out.index_put_((rows, classes), p, accumulate=True)


@dataclass(frozen=True)
class RowBlock:
    """A fixed set of rows that is scored at once.

    rows: their places in the list of rows given to the objective; reads: (inputs, what to read) pairs, one for each
    number of word pieces among the targets.
    """

    rows: tuple[int, ...]
    reads: tuple[tuple[Batch | Apart, TargetReads | CandidateReads], ...]

    @property
    def sample(self) -> Batch | None:
        """Its first batch; None where nothing is read."""
        if not self.reads:
            return None
        first = self.reads[0][0]
        return first if isinstance(first, Batch) else first.batches[0]


def sample_of(blocks: Sequence[RowBlock]) -> Batch:
    """The first batch of all: what a model's readout is tried on. Raises BadData where nothing is read."""
    for block in blocks:
        if block.sample is not None:
            return block.sample
    raise BadData("No row has a mask for any target: give shorter texts, or targets of fewer word pieces.")


class Objective(Protocol):
    """How P(class) is read from a model. Everything about the texts is prepared on construction."""

    @property
    def blocks(self) -> tuple[RowBlock, ...]: ...

    @property
    def first_look(self) -> tuple[int, ...]:
        """The numbers of the blocks that a first look at a cell takes: a small part with rows of every dataset."""
        ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def readout(self) -> Readout | EncoderReadout: ...

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """P(class) per row of the block: float64 (rows, classes) on the CPU; NaN where a row has no such class."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What a person should know about the rows before the first cell, in sentences; may run the base model."""
        ...


@torch.inference_mode()
def score_block(readout: Readout | EncoderReadout, model: Model, block: RowBlock, classes: int) -> Tensor:
    """See `Objective.score`."""
    out = torch.full((len(block.rows), classes), torch.nan, dtype=torch.float64)
    for batch, reads in block.reads:
        reads.add_to(out, _logits(readout, model, batch))
    return out


def _logits(readout: Readout | EncoderReadout, model: Model, batch: Batch | Apart) -> Tensor:
    if isinstance(batch, Batch):
        return readout.logits(model, batch)
    return torch.cat([readout.logits(model, own) for own in batch.batches])
