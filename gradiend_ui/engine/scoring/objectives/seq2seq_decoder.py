"""`seq2seq_decoder` and `seq2seq_decoder_sequence_cloze` (experimental): what an encoder-decoder model's decoder says.

The encoder reads the whole text with a mark at the gap; the decoder is asked for each candidate, and the softmax over
a row's candidates is their probability. The cloze asks a T5 for its natural answer, the candidate between two
sentinels; everything else is asked for the candidate alone. Where padding moves what a model says, each candidate is
read by itself, as in the reference. Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData, shown
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.scoring.objectives.candidates import (
    added_ids,
    block_cost,
    gap_mark,
    plain_ids,
    right_context,
    row_candidates,
    sentinel_id,
)
from gradiend_ui.engine.scoring.objectives.probabilities import CandidateReads, RowBlock, sample_of, score_block
from gradiend_ui.engine.scoring.padding import padding_moves
from gradiend_ui.engine.scoring.readout import Apart, Batch, Readout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any
Candidate = tuple[int, list[int]]  # class column, ids the decoder must say
Asked = tuple[list[int], list[int]]  # ids the encoder reads, ids the decoder must say


class Seq2SeqDecoder:
    """Rows prepared for scoring at the decoder; every row can be scored."""

    def __init__(
        self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, limits: BatchLimits = DEFAULT_LIMITS
    ) -> None:
        self.classes = targets.classes
        self._base = base
        candidates = [self._candidates(row, targets) for row in rows]
        encoded = base.encode([encoder_text(base, row.masked) for row in rows], base.max_length)
        costs = [
            block_cost([len(ids) + len(said) for _, said in own], sum(len(said) for _, said in own), limits)
            for ids, own in zip(encoded, candidates, strict=True)
        ]
        blocks = cut(costs, [row.label_class for row in rows], limits)
        self.first_look = blocks.first_look
        tried = shaken_copy(base.model)
        asked = [[(ids, said) for _, said in own] for ids, own in zip(encoded, candidates, strict=True)]
        self._apart = self._moved_by_padding(tried, [one for own in asked for one in own])
        self.blocks = tuple(
            self._block(chunk, [asked[i] for i in chunk], [candidates[i] for i in chunk]) for chunk in blocks.chunks
        )
        self.readout = Readout.trying(base.model, sample_of(self.blocks), tried)

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        return (remark("experimental", name=self._base.objective),)

    def _moved_by_padding(self, tried: Model, asked: Sequence[Asked]) -> bool:
        def build(places: Sequence[int], _side: str) -> Batch:
            return self._batch([asked[place] for place in places])

        return padding_moves(tried, [len(ids) + len(said) for ids, said in asked], "right", build)

    def _candidates(self, row: EvalRow, targets: ClassTargets) -> list[Candidate]:
        tokenizer = self._base.tokenizer
        left = row.masked.split(MASK, 1)[0]
        own = row_candidates(row, targets)
        found = []
        for (column, word), added in zip(own, added_ids(tokenizer, left, [word for _, word in own]), strict=True):
            said = added or plain_ids(tokenizer, word)
            if not said:
                raise BadData(f"The tokenizer has no token for the target {shown(word)}.")
            found.append((column, between_sentinels(self._base, said)))
        return found

    def _block(
        self, places: Sequence[int], asked: Sequence[Sequence[Asked]], candidates: Sequence[Sequence[Candidate]]
    ) -> RowBlock:
        flat = [one for own in asked for one in own]
        batch = Apart(tuple(self._batch([one]) for one in flat)) if self._apart else self._batch(flat)
        said = [(row, column, ids) for row, own in enumerate(candidates) for column, ids in own]
        return RowBlock(tuple(places), ((batch, CandidateReads.build(said)),))

    def _batch(self, asked: Sequence[Asked]) -> Batch:
        """What the encoder reads, and what the decoder is asked for, read at every step."""
        start = decoder_start(self._base)
        points = [(number, step) for number, (_, said) in enumerate(asked) for step in range(len(said))]
        return Batch(
            *padded([ids for ids, _ in asked], self._base.pad_id),
            torch.tensor([number for number, _ in points]),
            torch.tensor([step for _, step in points]),
            padded([[start, *said[:-1]] for _, said in asked], self._base.pad_id)[0],
        )


def encoder_text(base: BaseModel, masked: str) -> str:
    """What the encoder reads: the text with the tokenizer's own mark at the gap, its right side cut to the window."""
    left, found, right = masked.partition(MASK)
    mark = gap_mark(base.tokenizer) if found else ""
    return left + mark + right_context(base.tokenizer, right, base.rhs_window)


def between_sentinels(base: BaseModel, said: Sequence[int]) -> list[int]:
    """What the decoder is asked for: with a T5, and an objective that says so, `said` between two sentinels."""
    ends = [sentinel_id(base.tokenizer, number) for number in (0, 1)]
    if not base.facts.between_sentinels or base.tokenizer.mask_token_id is not None or None in ends:
        return list(said)
    return [ends[0] or 0, *said, ends[1] or 0]


def decoder_start(base: BaseModel) -> int:
    """The token the decoder begins with."""
    stated = base.model.config.decoder_start_token_id
    return base.pad_id if stated is None else int(stated)
