"""The language-modelling score (LMS) of one set of weights, in [0, 1], higher is better.

Masked models: accuracy at 15 % masked positions of each neutral text. Causal and encoder-decoder models:
1 / (1 + mean NLL per token).
Texts are tokenized and masked once, on construction. Source: semantics of `gradiend` 0.2.3.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import CAUSAL, MASKED
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import Blocks, cut, cut_within_chunks, widths_of_chunks
from gradiend_ui.engine.scoring.lms_batches import Wanted, causal_batch, or_padding, points_of, seq2seq_batch
from gradiend_ui.engine.scoring.padding import padding_moves, whole_rows
from gradiend_ui.engine.scoring.readout import Batch, Readout, padded
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits, MostSaid
from gradiend_ui.engine.weights.trial import shaken_copy

Model = Any
MASKED_SHARE = 0.15
MASK_SEED = 42
TEXTS_PER_CHUNK = 32
MAX_NATS = 700.0
NO_LIMIT = 1_000_000
Results: TypeAlias = Mapping[int, NDArray[Any]]


class LmsMeasurement(Protocol):
    """Neutral texts prepared for one model; `block_texts[i]` is how many texts block i holds, and `first_look` are the
    numbers of the blocks that a first look at a cell takes."""

    @property
    def block_texts(self) -> tuple[int, ...]: ...

    @property
    def first_look(self) -> tuple[int, ...]: ...

    @property
    def tokens(self) -> int: ...

    def score(self, model: Model, block: int) -> NDArray[Any]:
        """The raw result of one block; `summarise` knows how to read it."""
        ...

    def summarise(self, results: Results) -> dict[str, float]:
        """The LMS and its companions over the blocks present, {} for none."""
        ...

    def most_said(self, results: Results) -> MostSaid | None:
        """The token that is said most often at the places of the blocks present; None for no place."""
        ...

    def error(self, results: Results, base: Results | None = None) -> float | None:
        """Standard error of the LMS of a part of the blocks as an estimate of the LMS of all of them; with `base`,
        results of the base model for the same part, of the difference between the two. None where the part is too
        small to tell."""
        ...

    def bounds(self, results: Results) -> tuple[float, float]:
        """(least, most) that the LMS of all blocks can be when these blocks are known; equal when all are."""
        ...


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
        encoded = base.encode(texts, base.max_length)
        draw = random.Random(MASK_SEED)
        drawn = [draw.sample(range(len(ids)), max(1, int(MASKED_SHARE * len(ids)))) for ids in encoded]
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
        """See `LmsMeasurement`."""
        said = Counter(token for block in sorted(results) for token in results[block].tolist())
        if not said:
            return None
        ((token, count),) = said.most_common(1)
        return MostSaid(spelled(self._tokenizer, int(token)), count / said.total())

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


class NoLms:
    """Stands where no text is to be scored: no block, no LMS."""

    block_texts: tuple[int, ...] = ()
    first_look: tuple[int, ...] = ()
    tokens = 0

    def __init__(self, base: BaseModel, texts: Sequence[str], ignored: frozenset[int] = frozenset()) -> None:
        if texts:
            raise BadData("NoLms scores no texts.")

    def score(self, model: Model, block: int) -> NDArray[Any]:
        raise IndexError(f"There is no block {block}: no text is scored.")

    def summarise(self, results: Results) -> dict[str, float]:
        return {}

    def most_said(self, results: Results) -> MostSaid | None:
        return None

    def error(self, results: Results, base: Results | None = None) -> float | None:
        return None

    def bounds(self, results: Results) -> tuple[float, float]:
        return 0.0, 1.0


def spelled(tokenizer: Any, token: int) -> str:
    """A token as a person reads it; the bare vocabulary entry when decoding leaves nothing."""
    return str(tokenizer.decode([token])).strip() or str(tokenizer.convert_ids_to_tokens(token))


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


class _TokenLikelihood:
    """Log-likelihood of prepared batches, each with the token that is wanted at each of its points."""

    def __init__(self, base: BaseModel, blocks: Blocks, batches: Sequence[Wanted], tried: Model) -> None:
        """tried: the model with shaken numbers."""
        self._tokenizer = base.tokenizer
        self._batches = [batch for batch, _ in batches]
        self._wanted = [wanted for _, wanted in batches]
        self.block_texts = tuple(len(chunk) for chunk in blocks.chunks)
        self.first_look = blocks.first_look
        sample = next((b for b, wanted in batches if len(wanted)), None)
        if sample is None:
            raise BadData("The neutral texts hold no token to predict: give longer texts.")
        self._readout = Readout.trying(base.model, sample, tried)

    @property
    def tokens(self) -> int:
        """Predicted tokens that count."""
        return sum(len(wanted) for wanted in self._wanted)

    @torch.inference_mode()
    def score(self, model: Model, block: int) -> NDArray[np.float64]:
        """Per text of the block, float64 (texts, 4): summed negative log-likelihood in nats, token count, the id that
        is said most often where the block's tokens are asked for, and how often it is said in the text."""
        batch, wanted = self._batches[block], self._wanted[block]
        result = torch.zeros((self.block_texts[block], 4), dtype=torch.float64)
        if len(wanted):
            logits = self._readout.logits(model, batch)
            nll = functional.cross_entropy(logits, wanted.to(logits.device), reduction="none").double().cpu()
            result[:, 0].index_add_(0, batch.point_rows, nll)
            result[:, 1].index_add_(0, batch.point_rows, torch.ones_like(nll))
            said = logits.argmax(dim=-1).cpu()
            result[:, 2] = most = said.mode().values
            result[:, 3].index_add_(0, batch.point_rows, (said == most).double())
        return result.numpy()

    def most_said(self, results: Results) -> MostSaid | None:
        """See `LmsMeasurement`; a token counts in the blocks where none is said more often."""
        said: Counter[int] = Counter()
        places = 0.0
        for result in results.values():
            places += float(result[:, 1].sum())
            for token, count in result[:, 2:].tolist():
                said[int(token)] += int(count)
        if not places:
            return None
        ((token, count),) = said.most_common(1)
        return MostSaid(spelled(self._tokenizer, token), count / places)

    def summarise(self, results: Results) -> dict[str, float]:
        """{"lms", "perplexity", "total_log_likelihood" (the summed NLL in nats), "total_tokens"}.

        A mean NLL that is not finite or above 700 nats gives lms 0 and perplexity infinity.
        """
        if not results:
            return {}
        nll = math.fsum(float(results[block][:, 0].sum()) for block in sorted(results))
        tokens = math.fsum(float(results[block][:, 1].sum()) for block in sorted(results))
        mean = nll / tokens if tokens else math.inf
        sane = math.isfinite(mean) and 0.0 <= mean <= MAX_NATS
        return {
            "lms": 1.0 / (1.0 + mean) if sane else 0.0,
            "perplexity": math.exp(mean) if sane else math.inf,
            "total_log_likelihood": nll,
            "total_tokens": tokens,
        }

    def error(self, results: Results, base: Results | None = None) -> float | None:
        """See `LmsMeasurement`: from the texts' NLL around their mean, or its changes, through the slope of
        1 / (1 + mean NLL)."""
        if not results:
            return None
        now = np.concatenate([results[block] for block in sorted(results)])
        tokens = now[:, 1].sum()
        if not tokens or not np.isfinite(now).all():
            return None
        mean = now[:, 0].sum() / tokens
        if base is None:
            changes = now[:, 0] - mean * now[:, 1]
        else:
            changes = now[:, 0] - np.concatenate([base[block] for block in sorted(results)])[:, 0]
        error = standard_error(changes * len(now) / tokens, sum(self.block_texts))
        return None if error is None else float(error / (1.0 + mean) ** 2)

    def bounds(self, results: Results) -> tuple[float, float]:
        """See `LmsMeasurement`: a token's NLL is never negative, so the mean cannot fall below what is known."""
        if len(results) == len(self.block_texts):
            lms = self.summarise(results)["lms"]
            return lms, lms
        nll = math.fsum(float(result[:, 0].sum()) for result in results.values())
        return 0.0, 1.0 / (1.0 + nll / self.tokens) if math.isfinite(nll) else 0.0


class CausalLms(_TokenLikelihood):
    """Next-token log-likelihood of neutral texts; positions of `ignored` ids and padding do not count.

    With a left-padding tokenizer the texts stay in the reference's chunks (`texts_per_chunk` of them, in order), since
    padding then shifts positions, and with a model whose numbers padding moves; otherwise they are sorted by length,
    which changes nothing but the speed.
    """

    def __init__(
        self,
        base: BaseModel,
        texts: Sequence[str],
        ignored: frozenset[int] = frozenset(),
        texts_per_chunk: int = TEXTS_PER_CHUNK,
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        limit = min(int(min(base.tokenizer.model_max_length, NO_LIMIT)), base.positions or NO_LIMIT)
        encoded = base.encode(texts, limit)
        tried = shaken_copy(base.model)
        side, places = base.tokenizer.padding_side, or_padding(base, encoded)
        lengths = [len(ids) for ids in places]
        if side == "left" or padding_moves(tried, lengths, side, whole_rows(places, base.pad_id)):
            blocks = cut_within_chunks(len(texts), texts_per_chunk, limits)
            widths = widths_of_chunks(encoded, texts_per_chunk)
        else:
            blocks = cut([len(ids) for ids in encoded], [None] * len(encoded), limits, limits.points)
            widths = [0] * len(encoded)
        batches = [
            causal_batch(base, [encoded[i] for i in chunk], ignored, widths[chunk[0]]) for chunk in blocks.chunks
        ]
        super().__init__(base, blocks, batches, tried)


class Seq2SeqLms(_TokenLikelihood):
    """How well an encoder-decoder model repeats neutral texts: its encoder reads a text, its decoder is asked for it.

    Padding and `ignored` ids do not count; where the decoder would read an ignored id it reads padding, as models do
    with labels that are left out.
    """

    def __init__(
        self,
        base: BaseModel,
        texts: Sequence[str],
        ignored: frozenset[int] = frozenset(),
        texts_per_chunk: int = TEXTS_PER_CHUNK,
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        encoded = or_padding(base, base.encode(texts, base.max_length))
        tried, lengths = shaken_copy(base.model), [len(ids) for ids in encoded]

        def build(places: Sequence[int], side: str) -> Batch:
            return seq2seq_batch(base, [encoded[place] for place in places], frozenset(), side)[0]

        side = base.tokenizer.padding_side
        if padding_moves(tried, lengths, side, build):
            blocks = cut_within_chunks(len(texts), texts_per_chunk, limits)
            widths = widths_of_chunks(encoded, texts_per_chunk)
        else:
            blocks = cut(lengths, [None] * len(encoded), limits, limits.points)
            side, widths = "right", [0] * len(encoded)
        batches = [
            seq2seq_batch(base, [encoded[i] for i in chunk], ignored, side, widths[chunk[0]]) for chunk in blocks.chunks
        ]
        super().__init__(base, blocks, batches, tried)


def build_lms(
    base: BaseModel,
    texts: Sequence[str],
    ignored: frozenset[int] = frozenset(),
    texts_per_chunk: int = TEXTS_PER_CHUNK,
    limits: BatchLimits = DEFAULT_LIMITS,
) -> LmsMeasurement:
    """The measurement that fits the kind of the base model; without texts one that measures nothing.

    texts_per_chunk: how many texts the reference pads together; it matters where padding moves a model's numbers.
    """
    if not texts:
        return NoLms(base, texts, ignored)
    if base.kind == MASKED:
        return MaskedLms(base, texts, ignored, texts_per_chunk, limits)
    if base.kind == CAUSAL:
        return CausalLms(base, texts, ignored, texts_per_chunk, limits)
    return Seq2SeqLms(base, texts, ignored, texts_per_chunk, limits)


def standard_error(values: NDArray[np.float64], total: int) -> float | None:
    """Of the mean over `total` of which these are known; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(values.std(ddof=1) / math.sqrt(len(values)) * math.sqrt(max(0.0, 1 - len(values) / total)))
