"""`seq2seq_encoder_mlm`: P(class) at the mask of an encoder-decoder model, read at its encoder.

The mark at the gap is the mask of the tokenizer (BART), or its first sentinel (T5). The output layer is put on the
encoder's hidden state there; the decoder does not run. A target counts with its one-piece spellings and the first
piece of a longer one, under the "natural" token boundary (see `token_boundary`) as a word of its own where it stands
behind a space. Rows whose mark is cut off by the length limit count as probability 0, as in the reference.
Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import cut, parts_of, reference_chunks, spread_blocks
from gradiend_ui.engine.scoring.objectives.candidates import gap_mark, gap_mark_id, target_ids, text_before
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock, TargetReads, score_block
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Batch, EncoderReadout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.scoring.token_boundary import boundary_report
from gradiend_ui.engine.values import DEFAULT_LIMITS, NATURAL, REFERENCE, BatchLimits
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any


class Seq2SeqEncoderMlm:
    """Rows prepared for masked scoring at the encoder."""

    after_padding = 0

    def __init__(
        self,
        base: BaseModel,
        rows: Sequence[EvalRow],
        targets: ClassTargets,
        token_boundary: str = REFERENCE,
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        self.classes = targets.classes
        self.token_boundary = token_boundary
        self._base = base
        self._rows = tuple(rows)
        self._targets = targets
        self._vocabulary = TargetVocabulary(base.tokenizer)
        self._first = functools.cache(self._vocabulary.first_pieces)
        self._word_initial = functools.cache(self._vocabulary.word_initial_pieces)
        mark, mark_id = gap_mark(base.tokenizer), gap_mark_id(base.tokenizer)
        encoded = base.encode([row.masked.replace(MASK, mark) for row in rows], base.max_length)
        found = [[place for place, token in enumerate(ids) if token == mark_id] for ids in encoded]
        marks = [own[row.asked] if len(own) > row.asked else None for row, own in zip(rows, found, strict=True)]
        self.cut_off = frozenset(place for place, mark in enumerate(marks) if mark is None)
        if len(self.cut_off) == len(rows):
            raise BadData("In every row the mask lies behind the model's length limit: shorten the texts.")
        self.readout = EncoderReadout()
        side, classes = base.tokenizer.padding_side, [row.label_class for row in rows]
        lengths = [len(ids) for ids in encoded]
        chunks: list[tuple[Sequence[int], int | None]]
        if padding_moves(shaken_copy(base.model), lengths, side, whole_rows(encoded, base.pad_id), self.readout):
            own = [(chunk, max(lengths[i] for i in chunk)) for chunk in reference_chunks(len(rows))]
            chunks = [(part, width) for chunk, width in own for part in parts_of(chunk, limits)]
            self.first_look = spread_blocks([[classes[i] for i in part] for part, _ in chunks])
        else:
            blocks = cut(lengths, classes, limits)
            self.first_look = blocks.first_look
            chunks = [(chunk, None) for chunk in blocks.chunks]
        self.blocks = tuple(
            self._block(chunk, [encoded[i] for i in chunk], [marks[i] for i in chunk], width) for chunk, width in chunks
        )

    @torch.inference_mode()
    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        out = score_block(self.readout, model, block, len(self.classes))
        out[[i for i, place in enumerate(block.rows) if place in self.cut_off]] = 0.0
        return out

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        found: list[str] = []
        if self.cut_off:
            found.append(remark("zero_behind_limit", count=len(self.cut_off), rows=len(self._rows)))
        if self.token_boundary == REFERENCE and self._base.two_boundaries:
            scorable = [row for place, row in enumerate(self._rows) if place not in self.cut_off]
            report = boundary_report(
                self._base, scorable, lambda rows, name: Seq2SeqEncoderMlm(self._base, rows, self._targets, name)
            )
            found += [report.warning] if report.warning else []
        return tuple(found)

    def _block(
        self, places: Sequence[int], encoded: list[list[int]], marks: Sequence[int | None], width: int | None
    ) -> RowBlock:
        """width: what the reference pads to; None for as little as possible, on the right."""
        entries = [
            (row, column, (token,))
            for row, place in enumerate(places)
            if marks[row] is not None
            for column, token in self._row_entries(self._rows[place])
        ]
        if not entries:
            return RowBlock(tuple(places), ())
        side = "right" if width is None else self._base.tokenizer.padding_side
        input_ids, attention_mask = padded(encoded, self._base.pad_id, side, width or 0)
        shifts = [input_ids.shape[1] - len(ids) if side == "left" else 0 for ids in encoded]
        points = [shift + (mark or 0) for shift, mark in zip(shifts, marks, strict=True)]
        batch = Batch(input_ids, attention_mask, torch.arange(len(places)), torch.tensor(points))
        return RowBlock(tuple(places), ((batch, TargetReads.build(entries)),))

    def _row_entries(self, row: EvalRow) -> list[tuple[int, int]]:
        """(class column, token id) of every target of one row."""
        natural = self.token_boundary == NATURAL and self._vocabulary.whole_word_at(text_before(row))
        return target_ids(row, self._targets, self._word_initial if natural else self._first)
