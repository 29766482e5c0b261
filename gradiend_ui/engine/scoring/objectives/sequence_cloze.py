"""`clm_sequence_cloze`: P(class) as the share of its words among all candidates for the gap of a causal model.

Each candidate is put into the gap and the model scores it together with the text on its right:
log P(candidate + right context | left context). The softmax over a row's candidates is their probability. The right
context counts whole, or its first `rhs_window` tokens. Texts are never wrapped in a chat prompt and begin without
special tokens. Where padding moves what a model says, each candidate is read by itself, as in the reference.
Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.scoring.objectives.candidates import (
    added_ids,
    block_cost,
    plain_ids,
    right_context,
    row_candidates,
)
from gradiend_ui.engine.scoring.objectives.probabilities import CandidateReads, RowBlock, sample_of, score_block
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Apart, Batch, Readout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any
Candidate = tuple[int, list[int], list[int]]  # class column, ids of the left context, ids that must follow


class SequenceCloze:
    """Rows prepared for cloze scoring. Rows without tokens on their left, or too long for the model, score nothing."""

    def __init__(
        self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, limits: BatchLimits = DEFAULT_LIMITS
    ) -> None:
        self.classes = targets.classes
        self._base = base
        self._rows = len(rows)
        candidates = [self._candidates(row, targets) for row in rows]
        self.unscorable = tuple(place for place, own in enumerate(candidates) if not self._fits(own))
        scorable = [place for place in range(len(rows)) if place not in set(self.unscorable)]
        if not scorable:
            raise BadData(f"No row has text left of {MASK} that fits the model: there is nothing to continue.")
        costs = [_cost(candidates[place], limits) for place in scorable]
        blocks = cut(costs, [rows[place].label_class for place in scorable], limits)
        self.first_look = blocks.first_look
        places = [[scorable[i] for i in chunk] for chunk in blocks.chunks]
        tried = shaken_copy(base.model)
        apart = self._moved_by_padding(tried, candidates)
        self.blocks = tuple(self._block(chunk, [candidates[place] for place in chunk], apart) for chunk in places)
        self.readout = Readout.trying(base.model, sample_of(self.blocks), tried)

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        if not self.unscorable:
            return ()
        return (remark("cloze_left", count=len(self.unscorable), rows=self._rows),)

    def _moved_by_padding(self, tried: Model, candidates: Sequence[Sequence[Candidate]]) -> bool:
        out = set(self.unscorable)
        whole = [before + added for place, own in enumerate(candidates) if place not in out for _, before, added in own]
        return padding_moves(tried, [len(ids) for ids in whole], "right", whole_rows(whole, self._base.pad_id))

    def _candidates(self, row: EvalRow, targets: ClassTargets) -> list[Candidate]:
        tokenizer = self._base.tokenizer
        left, right = row.masked.split(MASK, 1)
        seen = right_context(tokenizer, right, self._base.rhs_window)
        before = plain_ids(tokenizer, left)
        own = row_candidates(row, targets)
        added = added_ids(tokenizer, left, [word + seen for _, word in own])
        return [(column, before, ids) for (column, _), ids in zip(own, added, strict=True)]

    def _fits(self, candidates: Sequence[Candidate]) -> bool:
        limit = self._base.positions
        return all(
            before and added and (limit is None or len(before) + len(added) <= limit) for _, before, added in candidates
        )

    def _block(self, places: list[int], candidates: Sequence[Sequence[Candidate]], apart: bool) -> RowBlock:
        flat = [candidate for own in candidates for candidate in own]
        batch = Apart(tuple(self._batch([one]) for one in flat)) if apart else self._batch(flat)
        asked = [(row, column, ids) for row, own in enumerate(candidates) for column, _, ids in own]
        return RowBlock(tuple(places), ((batch, CandidateReads.build(asked)),))

    def _batch(self, candidates: Sequence[Candidate]) -> Batch:
        """Candidates with their left context, read where each of their tokens is to be said."""
        input_ids, attention_mask = padded([before + added for _, before, added in candidates], self._base.pad_id)
        points = [
            (number, len(before) - 1 + step)
            for number, (_, before, added) in enumerate(candidates)
            for step in range(len(added))
        ]
        return Batch(
            input_ids,
            attention_mask,
            torch.tensor([number for number, _ in points]),
            torch.tensor([position for _, position in points]),
        )


def _cost(candidates: Sequence[Candidate], limits: BatchLimits) -> int:
    lengths = [len(before) + len(added) for _, before, added in candidates]
    return block_cost(lengths, sum(len(added) for _, _, added in candidates), limits)
