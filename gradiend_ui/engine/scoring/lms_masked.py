"""The LMS of masked models: accuracy at 15 % masked positions of each neutral text.

Texts are tokenized and masked once, on construction. Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import cut, cut_within_chunks, widths_of_chunks
from gradiend_ui.engine.scoring.lms_measure import (
    NO_TOKENS,
    TEXTS_PER_CHUNK,
    Results,
    most_said_of,
    or_padding,
    standard_error,
)
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Batch, Readout, padded
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits, MostSaid
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any
MASKED_SHARE = 0.15
MASK_SEED = 42


class MaskedLms:
    """Masked positions drawn as the reference draws them, from a private generator.

    ignored: vocabulary ids whose positions are masked but not counted.
    """

    def __init__(
        self,
        base: BaseModel,
        texts: Sequence[str],
        ignored: frozenset[int] = frozenset(),
        texts_per_chunk: int = TEXTS_PER_CHUNK,
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        tokenizer = base.tokenizer
        found = base.encode(texts, base.max_length)
        if not any(found):
            raise BadData(NO_TOKENS)
        encoded = or_padding(base, found)
        draw = random.Random(MASK_SEED)
        drawn = [draw.sample(range(len(ids)), max(1, int(MASKED_SHARE * len(ids)))) if ids else [] for ids in found]
        self._tokenizer = tokenizer
        self._spelling: dict[int, str] = {}
        tried = shaken_copy(base.model)
        lengths, side = [len(ids) for ids in encoded], tokenizer.padding_side
        moved = padding_moves(tried, lengths, side, whole_rows(encoded, base.pad_id))
        if moved:
            blocks = cut_within_chunks(len(texts), texts_per_chunk, limits)
            widths = widths_of_chunks(encoded, texts_per_chunk)
        else:
            blocks, side = cut(lengths, [None] * len(encoded), limits), "right"
        self.first_look = blocks.first_look
        self._batches: list[Batch] = []
        self._truth: list[list[int]] = []
        for chunk in blocks.chunks:
            masked, points, truth = [], [], []
            width = widths[chunk[0]] if moved else max(lengths[place] for place in chunk)
            for row, place in enumerate(chunk):
                ids = list(encoded[place])
                shift = width - len(ids) if side == "left" else 0
                for position in drawn[place]:
                    if encoded[place][position] not in ignored:
                        points.append((row, shift + position))
                        truth.append(encoded[place][position])
                    ids[position] = tokenizer.mask_token_id
                masked.append(ids)
            self._batches.append(Batch(*padded(masked, base.pad_id, side, width), *points_of(points)))
            self._truth.append(truth)
        self.block_texts = tuple(len(chunk) for chunk in blocks.chunks)
        if not self.tokens:
            raise BadData("Every masked token of the neutral texts is a target token: give other neutral texts.")
        sample = next(batch for batch, truth in zip(self._batches, self._truth, strict=True) if truth)
        self._readout = Readout.trying(base.model, sample, tried)

    @property
    def tokens(self) -> int:
        """Masked positions that count."""
        return sum(len(truth) for truth in self._truth)

    @torch.inference_mode()
    def score(self, model: Model, block: int) -> NDArray[np.int32]:
        """The predicted vocabulary id at each counted position of the block."""
        if not self._truth[block]:
            return np.empty(0, dtype=np.int32)
        predicted = self._readout.logits(model, self._batches[block]).argmax(dim=-1)
        return predicted.to(torch.int32).cpu().numpy()

    def summarise(self, results: Results) -> dict[str, float]:
        """{"lms", "accuracy", "precision", "recall", "f1", "hits", "total"}; the middle three are support-weighted.

        Prediction and truth are compared as decoded, lower-cased text; any special token equals any other.
        """
        truth = [self._spelled(i) for block in sorted(results) for i in self._truth[block]]
        predicted = [self._spelled(int(i)) for block in sorted(results) for i in results[block]]
        if not truth:
            return {}
        hits = sum(t == p for t, p in zip(truth, predicted, strict=True))
        accuracy = hits / len(truth)
        precision, recall, f1 = weighted_scores(truth, predicted)
        return {
            "lms": accuracy,
            "accuracy": accuracy,
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "hits": float(hits),
            "total": float(len(truth)),
        }

    def most_said(self, results: Results) -> MostSaid | None:
        """See `LmsMeasurement`. Tokens that the LMS takes for the same count together: special ones, all casings."""
        said = self._together(Counter(token for block in results for token in results[block].tolist()))
        right = self._together(Counter(token for block in results for token in self._truth[block]))
        return most_said_of(self._tokenizer, said, right)

    def _together(self, counts: Counter[int]) -> Counter[int]:
        """The same counts, those of tokens with one spelling at the most frequent of them."""
        found: Counter[int] = Counter()
        names: dict[str, int] = {}
        for token, count in counts.most_common():
            found[names.setdefault(self._spelled(token), token)] += count
        return found

    def error(self, results: Results, base: Results | None = None) -> float | None:
        """See `LmsMeasurement`: from the positions that are right, or at which only one of the two is right.

        Two made-up positions of either kind keep a few tokens without a change from looking like certainty.
        """
        if base is None:
            return standard_error(np.append(self._right(results), [1.0, 0.0]), self.tokens)
        changes = self._right(results) - self._right({block: base[block] for block in results})
        return standard_error(np.append(changes, [1.0, -1.0]), self.tokens)

    def bounds(self, results: Results) -> tuple[float, float]:
        """See `LmsMeasurement`: no position that is left is right, or every one."""
        right = self._right(results)
        hits, left = int(right.sum()), self.tokens - len(right)
        return hits / self.tokens, (hits + left) / self.tokens

    def _right(self, results: Results) -> NDArray[np.float64]:
        """1 for each counted position of these blocks that is predicted rightly, else 0; (positions,)."""
        pairs = ((self._truth[block], results[block].tolist()) for block in sorted(results))
        right = [
            self._spelled(t) == self._spelled(p) for wanted, said in pairs for t, p in zip(wanted, said, strict=True)
        ]
        return np.array(right, dtype=np.float64)

    def _spelled(self, token: int) -> str:
        if token not in self._spelling:
            self._spelling[token] = self._tokenizer.decode([token], skip_special_tokens=True).lower()
        return self._spelling[token]


def weighted_scores(truth: Sequence[str], predicted: Sequence[str]) -> tuple[float, float, float]:
    """Precision, recall and F1 over labels, weighted by how often each label is true; 0 where undefined."""
    support, claimed = Counter(truth), Counter(predicted)
    right = Counter(t for t, p in zip(truth, predicted, strict=True) if t == p)
    precision = recall = f1 = 0.0
    for label, count in support.items():
        p = right[label] / claimed[label] if claimed[label] else 0.0
        r = right[label] / count
        precision += p * count
        recall += r * count
        f1 += (2 * p * r / (p + r) if p + r else 0.0) * count
    return precision / len(truth), recall / len(truth), f1 / len(truth)


def points_of(points: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.tensor([row for row, _ in points], dtype=torch.int64)
    return rows, torch.tensor([position for _, position in points], dtype=torch.int64)
