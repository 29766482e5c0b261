"""`mlm_mask_token`: P(class) at the mask of a masked language model.

A target of k word pieces is scored with k masks in place of the one, as the product over them; the variants of a
class's words are summed. Row-wise, each row's own two tokens are read at its mask by their first piece. Under the
"natural" token boundary (see `token_boundary`) a word that stands behind a space is read as a word of its own. Where
padding moves what a model says, rows are scored in the reference's chunks, padded as it pads them.
Source: semantics of `gradiend` 0.2.3 (static and row-wise decoder evaluation).
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
from gradiend_ui.engine.scoring.objectives.candidates import target_ids, text_before
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock, TargetReads, sample_of, score_block
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Batch, Readout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets, Ids, TargetVocabulary
from gradiend_ui.engine.scoring.token_boundary import boundary_report
from gradiend_ui.engine.scoring.token_types import token_types, typed
from gradiend_ui.engine.values import DEFAULT_LIMITS, NATURAL, REFERENCE, BatchLimits
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any


class MlmMaskToken:
    """Rows prepared for masked scoring. Rows whose mask is cut off by the length limit score nothing."""

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
        self._tokenizer = base.tokenizer
        self._rows = tuple(rows)
        self._targets = targets
        self._entries = self._target_entries(TargetVocabulary(base.tokenizer))
        encoded = self._encode(1)
        self.unscorable = tuple(i for i, ids in enumerate(encoded) if ids.count(self._mask_id) <= rows[i].asked)
        scorable = [i for i in range(len(rows)) if i not in set(self.unscorable)]
        if not scorable:
            raise BadData("In every row the mask lies behind the model's length limit: shorten the texts.")
        by_pieces = {1: encoded} | {k: self._encode(k) for k in self._piece_counts() if k > 1}
        tried, self._types = shaken_copy(base.model), token_types(base)
        side, trial = base.tokenizer.padding_side, whole_rows(encoded, base.pad_id, self._types)
        if padding_moves(tried, [len(ids) for ids in encoded], side, trial):
            self.blocks = tuple(self._reference_blocks(frozenset(scorable), by_pieces, limits))
            self.first_look = spread_blocks([[rows[i].label_class for i in block.rows] for block in self.blocks])
        else:
            blocks = cut([len(encoded[i]) for i in scorable], [rows[i].label_class for i in scorable], limits)
            self.blocks = tuple(self._block([scorable[i] for i in chunk], by_pieces) for chunk in blocks.chunks)
            self.first_look = blocks.first_look
        self.readout = Readout.trying(base.model, sample_of(self.blocks), tried)

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        found: list[str] = []
        if self.unscorable:
            found.append(remark("behind_limit", count=len(self.unscorable), rows=len(self._rows)))
        if self.token_boundary == REFERENCE and self._base.two_boundaries:
            scorable = [row for place, row in enumerate(self._rows) if place not in set(self.unscorable)]
            report = boundary_report(
                self._base, scorable, lambda rows, boundary: MlmMaskToken(self._base, rows, self._targets, boundary)
            )
            found += [report.warning] if report.warning else []
        return tuple(found)

    @property
    def _mask_id(self) -> int:
        return int(self._tokenizer.mask_token_id)

    def _piece_counts(self) -> list[int]:
        return sorted({len(ids) for entries in self._entries for _, ids in entries})

    def _encode(self, masks: int) -> list[list[int]]:
        """The rows with `masks` masks in place of the one that is asked."""
        mask = self._tokenizer.mask_token
        texts = []
        for row in self._rows:
            parts = row.masked.split(MASK)
            left, right = mask.join(parts[: row.asked + 1]), mask.join(parts[row.asked + 1 :])
            texts.append(left + " ".join([mask] * masks) + right)
        return self._base.encode(texts, self._base.max_length)

    def _reference_blocks(
        self, scorable: frozenset[int], by_pieces: dict[int, list[list[int]]], limits: BatchLimits
    ) -> list[RowBlock]:
        """The reference's chunks, each padded as it pads it."""
        blocks = []
        for chunk in reference_chunks(len(self._rows)):
            widths = {k: max(len(encoded[place]) for place in chunk) for k, encoded in by_pieces.items()}
            own = [place for place in chunk if place in scorable]
            blocks += [self._block(list(part), by_pieces, widths) for part in parts_of(own, limits)]
        return blocks

    def _block(
        self, places: list[int], by_pieces: dict[int, list[list[int]]], widths: dict[int, int] | None = None
    ) -> RowBlock:
        """widths: what each number of pieces is padded to, as the reference does; None for as little as possible."""
        found = [
            self._read(places, encoded, k, None if widths is None else widths[k]) for k, encoded in by_pieces.items()
        ]
        return RowBlock(tuple(places), tuple(read for read in found if read is not None))

    def _read(
        self, places: list[int], encoded: list[list[int]], k: int, width: int | None
    ) -> tuple[Batch, TargetReads] | None:
        """Inputs with k masks per row, the points of the masks, and the k-piece targets read there."""
        side = "right" if width is None else self._tokenizer.padding_side
        longest = max(width or 0, *(len(encoded[place]) for place in places))
        entries: list[tuple[int, int, Ids]] = []
        points: list[int] = []
        for row, place in enumerate(places):
            shift = longest - len(encoded[place]) if side == "left" else 0
            masks = [shift + p for p, token in enumerate(encoded[place]) if token == self._mask_id]
            own = masks[self._rows[place].asked :][:k]
            whole = len(own) == k
            points.extend(own if whole else [0] * k)
            if whole:
                entries += [(row, column, ids) for column, ids in self._entries[place] if len(ids) == k]
        if not entries:
            return None
        input_ids, attention_mask = padded([encoded[place] for place in places], self._base.pad_id, side, longest)
        batch = Batch(
            input_ids,
            attention_mask,
            torch.arange(len(places)).repeat_interleave(k),
            torch.tensor(points),
        )
        return typed(batch, self._types), TargetReads.build(entries)

    def _target_entries(self, vocabulary: TargetVocabulary) -> list[list[tuple[int, Ids]]]:
        """Per row: (class column, ids) of every way to write a target. Row-wise the first piece of each."""

        @functools.cache
        def ways(word: str, whole_word: bool) -> tuple[Ids, ...]:
            return vocabulary.whole_word(word) if whole_word else vocabulary.pieces(word)

        @functools.cache
        def shared(whole_word: bool) -> list[tuple[int, Ids]]:
            return [
                (column, ids)
                for column, name in enumerate(self.classes)
                for ids in sorted({way for word in (self._targets.words or {})[name] for way in ways(word, whole_word)})
            ]

        def own(row: EvalRow, whole_word: bool) -> list[tuple[int, Ids]]:
            first = vocabulary.word_initial_pieces if whole_word else vocabulary.first_pieces
            return [(column, (token,)) for column, token in target_ids(row, self._targets, first)]

        entries = []
        for row in self._rows:
            whole_word = self.token_boundary == NATURAL and vocabulary.whole_word_at(text_before(row))
            entries.append(own(row, whole_word) if self._targets.words is None else shared(whole_word))
        return entries
