"""`mlm_mask_token`: P(class) at the mask of a masked language model.

A target of k word pieces is scored with k masks in place of the one, as the product over them; the variants of a
class's words are summed. Row-wise, each row's own two tokens are read at its mask by their first piece.
Source: semantics of `gradiend` 0.2.3 (static and row-wise decoder evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock, TargetReads, score_block
from gradiend_ui.engine.scoring.readout import Batch, Readout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets, Ids, TargetVocabulary
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits

Model = Any


class MlmMaskToken:
    """Rows prepared for masked scoring. Rows whose mask is cut off by the length limit score nothing."""

    def __init__(
        self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, limits: BatchLimits = DEFAULT_LIMITS
    ) -> None:
        self.classes = targets.classes
        self._base = base
        self._tokenizer = base.tokenizer
        self._entries = _target_entries(TargetVocabulary(base.tokenizer), rows, targets)
        self._rows = tuple(rows)
        encoded = self._encode(1)
        self.unscorable = tuple(i for i, ids in enumerate(encoded) if self._mask_id not in ids)
        scorable = [i for i in range(len(rows)) if i not in set(self.unscorable)]
        if not scorable:
            raise BadData("In every row the mask lies behind the model's length limit: shorten the texts.")
        blocks = cut([len(encoded[i]) for i in scorable], [rows[i].label_class for i in scorable], limits)
        by_pieces = {1: encoded} | {k: self._encode(k) for k in self._piece_counts() if k > 1}
        self.blocks = tuple(self._block([scorable[i] for i in chunk], by_pieces) for chunk in blocks.chunks)
        self.first_look = blocks.first_look
        self.readout = Readout.trying(base.model, self.blocks[0].reads[0][0])

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        if not self.unscorable:
            return ()
        return (
            f"{len(self.unscorable)} of {len(self._rows)} rows score nothing: their mask lies behind the length limit.",
        )

    @property
    def _mask_id(self) -> int:
        return int(self._tokenizer.mask_token_id)

    def _piece_counts(self) -> list[int]:
        return sorted({len(ids) for entries in self._entries for _, ids in entries})

    def _encode(self, masks: int) -> list[list[int]]:
        stand_in = " ".join([self._tokenizer.mask_token] * masks)
        texts = [row.masked.replace(MASK, stand_in) for row in self._rows]
        return self._base.encode(texts, self._base.max_length)

    def _block(self, places: list[int], by_pieces: dict[int, list[list[int]]]) -> RowBlock:
        reads = [read for k, encoded in by_pieces.items() if (read := self._read(places, encoded, k)) is not None]
        return RowBlock(tuple(places), tuple(reads))

    def _read(self, places: list[int], encoded: list[list[int]], k: int) -> tuple[Batch, TargetReads] | None:
        """Inputs with k masks per row, the points of the masks, and the k-piece targets read there."""
        entries: list[tuple[int, int, Ids]] = []
        points: list[int] = []
        for row, place in enumerate(places):
            masks = [p for p, token in enumerate(encoded[place]) if token == self._mask_id]
            whole = len(masks) >= k
            points.extend(masks[:k] if whole else [0] * k)
            if whole:
                entries += [(row, column, ids) for column, ids in self._entries[place] if len(ids) == k]
        if not entries:
            return None
        input_ids, attention_mask = padded([encoded[place] for place in places], self._base.pad_id)
        batch = Batch(
            input_ids,
            attention_mask,
            torch.arange(len(places)).repeat_interleave(k),
            torch.tensor(points),
        )
        return batch, TargetReads.build(entries)


def _target_entries(
    vocabulary: TargetVocabulary, rows: Sequence[EvalRow], targets: ClassTargets
) -> list[list[tuple[int, Ids]]]:
    """Per row: (class column, ids) of every way to write a target. Shared by all rows unless row-wise."""
    column = {name: i for i, name in enumerate(targets.classes)}
    if targets.words is not None:
        shared = [
            (column[name], ids)
            for name, words in targets.words.items()
            for ids in sorted({way for word in words for way in vocabulary.pieces(word)})
        ]
        return [shared] * len(rows)
    own: list[list[tuple[int, Ids]]] = []
    for row in rows:
        words = ((row.label_class, row.label), (row.alternative_class, row.alternative))
        own.append([(column[name], (token,)) for name, word in words for token in vocabulary.first_pieces(word)])
    return own
