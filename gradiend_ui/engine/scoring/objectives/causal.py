"""`clm_next_token`: P(class) as the next token after the text left of `[MASK]`.

Under the "reference" token boundary (see `token_boundary`) rows are scored in the reference's chunks of 16 in table
order, padded as the tokenizer pads, and read at the last position of the padded chunk: with right padding that position
follows padding tokens for every row but the longest. Kept as it is, for equal numbers; padding that nothing depends on
is not computed. Under the "natural" one each row is read at its own last token, alone where padding moves a model's
numbers: they do not depend on other rows.
The two are compared on the base model, and it is said when the reference's rule sees almost nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import REFERENCE_CHUNK, cut, spread_blocks
from gradiend_ui.engine.scoring.objectives.candidates import target_ids
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock, TargetReads, sample_of, score_block
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Batch, Placed, Readout, padded, placed, says_the_same
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.scoring.token_boundary import begins_word, boundary_report, left_text
from gradiend_ui.engine.scoring.token_types import TokenTypes, token_types, typed
from gradiend_ui.engine.values import DEFAULT_LIMITS, NATURAL, REFERENCE, BatchLimits
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any
FEW = 3  # rows that are tried beside those of another chunk


class ClmNextToken:
    """Rows prepared for next-token scoring. Rows with nothing left of the mask score nothing."""

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
        self._types = token_types(base)
        self._targets = targets
        vocabulary = TargetVocabulary(base.tokenizer)
        self._first = functools.cache(vocabulary.first_pieces)
        self._word_initial = functools.cache(vocabulary.word_initial_pieces)
        self._rows = tuple(rows)
        prefixes = [row.masked.split(MASK)[0] for row in rows]
        self.unscorable = tuple(i for i, prefix in enumerate(prefixes) if not prefix.strip())
        if len(self.unscorable) == len(rows):
            raise BadData(f"No row has text left of {MASK}: a causal model has nothing to continue.")
        self.after_padding = 0
        self.first_look: tuple[int, ...] = ()
        self._tried = shaken_copy(base.model)
        build = self._reference_blocks if token_boundary == REFERENCE else self._natural_blocks
        self.blocks = tuple(build(prefixes, limits))
        self.readout = Readout.trying(base.model, sample_of(self.blocks), self._tried)
        del self._tried  # as large as the model

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        found: list[str] = []
        if self.unscorable:
            found.append(remark("nothing_left", count=len(self.unscorable), rows=len(self._rows)))
        if self.token_boundary == REFERENCE:
            scorable = [row for place, row in enumerate(self._rows) if place not in set(self.unscorable)]
            report = boundary_report(
                self._base, scorable, lambda rows, boundary: ClmNextToken(self._base, rows, self._targets, boundary)
            )
            found += [report.warning] if report.warning else []
        return tuple(found)

    def _reference_blocks(self, prefixes: list[str], limits: BatchLimits) -> list[RowBlock]:
        """The reference's chunks, without the padding that nothing depends on where the model allows it."""
        scorable = [place for place in range(len(prefixes)) if place not in set(self.unscorable)]
        chunks = [self._chunk(own, prefixes) for _, own in groupby(scorable, lambda place: place // REFERENCE_CHUNK)]
        self.after_padding = sum(chunk.after_padding for chunk in chunks)
        if self._padding_is_idle(chunks):
            return self._blocks_without_padding(chunks, prefixes, limits)
        blocks = []
        for chunk in chunks:
            for first in range(0, len(chunk.places), limits.rows):
                piece = slice(first, first + limits.rows)
                batch = chunk.padded(self._base, piece)
                blocks.append(self._block(chunk.places[piece], batch, prefixes))
        self.first_look = spread_blocks([[self._rows[place].label_class for place in block.rows] for block in blocks])
        return blocks

    def _chunk(self, places: Iterable[int], prefixes: list[str]) -> _Chunk:
        own = list(places)
        encoded = self._base.encode([prefixes[place] for place in own], self._base.max_length)
        return _Chunk(own, encoded, self._types)

    def _padding_is_idle(self, chunks: Sequence[_Chunk]) -> bool:
        """Whether this model says the same without the padding: on the chunk with most padded rows, the one with most
        padding in a row, and the widest one (a window that slides leaves the text behind there); and whether rows of
        the narrowest chunk say the same beside the widest one's, as they may meet in a block."""
        by = (lambda c: c.after_padding, lambda c: c.width - min(map(len, c.encoded)), lambda c: c.width)
        tried = {id(chunk): chunk for chunk in (max(chunks, key=key) for key in by)}
        everything = slice(0, REFERENCE_CHUNK)
        return all(
            says_the_same(
                self._tried, chunk.padded(self._base, everything), self._placed_batch(chunk.placed(self._base))
            )
            for chunk in tried.values()
        ) and self._rows_are_apart(min(chunks, key=lambda c: c.width), max(chunks, key=lambda c: c.width))

    def _rows_are_apart(self, narrow: _Chunk, wide: _Chunk) -> bool:
        """Whether the first rows of one chunk say the same with and without the first of another beside them."""
        if narrow is wide:
            return True
        few, other = narrow.placed(self._base)[:FEW], wide.placed(self._base)
        beside = self._placed_batch([*few, max(other, key=lambda row: row.positions[-1])])
        asked = torch.arange(len(few))
        own = replace(beside, point_rows=asked, point_positions=beside.point_positions[asked])
        return says_the_same(self._tried, narrow.padded(self._base, slice(0, FEW)), own)

    def _blocks_without_padding(
        self, chunks: Sequence[_Chunk], prefixes: list[str], limits: BatchLimits
    ) -> list[RowBlock]:
        places = [place for chunk in chunks for place in chunk.places]
        rows = [row for chunk in chunks for row in chunk.placed(self._base)]
        cuts = cut([len(row.ids) for row in rows], [self._rows[place].label_class for place in places], limits)
        self.first_look = cuts.first_look
        return [
            self._block([places[i] for i in chunk], self._placed_batch([rows[i] for i in chunk]), prefixes)
            for chunk in cuts.chunks
        ]

    def _natural_blocks(self, prefixes: list[str], limits: BatchLimits) -> list[RowBlock]:
        places = [i for i in range(len(prefixes)) if i not in self.unscorable]
        encoded = self._base.encode([left_text(prefixes[i], NATURAL) for i in places])
        kept = [ids[-self._base.max_length :] for ids in encoded]
        lengths = [len(ids) for ids in kept]
        if padding_moves(self._tried, lengths, "right", whole_rows(kept, self._base.pad_id, self._types)):
            limits = BatchLimits(1, limits.tokens, limits.points)
        cuts = cut(lengths, [self._rows[i].label_class for i in places], limits)
        self.first_look = cuts.first_look
        blocks = []
        for chunk in cuts.chunks:
            input_ids, attention_mask = padded([kept[i] for i in chunk], self._base.pad_id)
            batch = Batch(input_ids, attention_mask, torch.arange(len(chunk)), attention_mask.sum(dim=1) - 1)
            blocks.append(self._block([places[i] for i in chunk], typed(batch, self._types), prefixes))
        return blocks

    def _placed_batch(self, rows: list[Placed]) -> Batch:
        """Rows at their positions, each read at its last token."""
        input_ids, attention_mask, positions = placed(rows, self._base.pad_id)
        lasts = torch.tensor([len(row.ids) - 1 for row in rows])
        batch = Batch(input_ids, attention_mask, torch.arange(len(rows)), lasts, position_ids=positions)
        return typed(batch, self._types)

    def _block(self, places: Sequence[int], batch: Batch, prefixes: list[str]) -> RowBlock:
        entries = [
            (row, column, (token,))
            for row, place in enumerate(places)
            for column, token in self._row_entries(self._rows[place], prefixes[place])
        ]
        return RowBlock(tuple(places), ((batch, TargetReads.build(entries)),))

    def _row_entries(self, row: EvalRow, prefix: str) -> list[tuple[int, int]]:
        """(class column, token id) of every target of one row, each id once per class."""
        word_initial = self.token_boundary == NATURAL and begins_word(self._base, prefix)
        return target_ids(row, self._targets, self._word_initial if word_initial else self._first)


@dataclass(frozen=True)
class _Chunk:
    """Rows that the reference pads together: their places and token ids."""

    places: list[int]
    encoded: list[list[int]]
    types: TokenTypes | None

    @property
    def width(self) -> int:
        return max(len(ids) for ids in self.encoded)

    @property
    def after_padding(self) -> int:
        """Rows that are shorter than the longest."""
        return sum(len(ids) < self.width for ids in self.encoded)

    def padded(self, base: BaseModel, piece: slice) -> Batch:
        """Some of the rows as the reference pads them, read at the last position."""
        input_ids, attention_mask = padded(self.encoded[piece], base.pad_id, base.tokenizer.padding_side, self.width)
        rows = len(input_ids)
        batch = Batch(input_ids, attention_mask, torch.arange(rows), torch.full((rows,), self.width - 1))
        return typed(batch, self.types)

    def placed(self, base: BaseModel) -> list[Placed]:
        side = base.tokenizer.padding_side
        return [Placed.without_padding(ids, self.width, base.pad_id, side) for ids in self.encoded]
