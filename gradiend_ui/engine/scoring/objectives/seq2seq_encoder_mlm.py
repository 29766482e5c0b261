"""`seq2seq_encoder_mlm`: P(class) at the mask of an encoder-decoder model, read at its encoder.

The mark at the gap is the mask of the tokenizer (BART), or its first sentinel (T5). The output layer is put on the
encoder's hidden state there; the decoder does not run. A target counts with its one-piece spellings and the first
piece of a longer one. Rows whose mark is cut off by the length limit count as probability 0, as in the reference.
Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.scoring.objectives.candidates import gap_mark, gap_mark_id, target_ids
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock, TargetReads, score_block
from gradiend_ui.engine.scoring.readout import Batch, EncoderReadout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits

Model = Any


class Seq2SeqEncoderMlm:
    """Rows prepared for masked scoring at the encoder."""

    def __init__(
        self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, limits: BatchLimits = DEFAULT_LIMITS
    ) -> None:
        self.classes = targets.classes
        self._base = base
        self._rows = tuple(rows)
        self._targets = targets
        self._lookup = functools.cache(TargetVocabulary(base.tokenizer).first_pieces)
        mark, mark_id = gap_mark(base.tokenizer), gap_mark_id(base.tokenizer)
        encoded = base.encode([row.masked.replace(MASK, mark) for row in rows], base.max_length)
        marks = [ids.index(mark_id) if mark_id in ids else None for ids in encoded]
        self.cut_off = frozenset(place for place, mark in enumerate(marks) if mark is None)
        if len(self.cut_off) == len(rows):
            raise BadData("In every row the mask lies behind the model's length limit: shorten the texts.")
        blocks = cut([len(ids) for ids in encoded], [row.label_class for row in rows], limits)
        self.first_look = blocks.first_look
        self.blocks = tuple(
            self._block(chunk, [encoded[i] for i in chunk], [marks[i] for i in chunk]) for chunk in blocks.chunks
        )
        self.readout = EncoderReadout()

    @torch.inference_mode()
    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        out = score_block(self.readout, model, block, len(self.classes))
        out[[i for i, place in enumerate(block.rows) if place in self.cut_off]] = 0.0
        return out

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        if not self.cut_off:
            return ()
        return (
            f"{len(self.cut_off)} of {len(self._rows)} rows count as probability 0: "
            "their mask lies behind the length limit.",
        )

    def _block(self, places: Sequence[int], encoded: list[list[int]], marks: Sequence[int | None]) -> RowBlock:
        entries = [
            (row, column, (token,))
            for row, place in enumerate(places)
            if marks[row] is not None
            for column, token in target_ids(self._rows[place], self._targets, self._lookup)
        ]
        if not entries:
            return RowBlock(tuple(places), ())
        batch = Batch(
            *padded(encoded, self._base.pad_id),
            torch.arange(len(places)),
            torch.tensor([mark or 0 for mark in marks]),
        )
        return RowBlock(tuple(places), ((batch, TargetReads.build(entries)),))
