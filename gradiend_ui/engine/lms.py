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

from gradiend_ui.engine.base_model import CAUSAL, MASKED, BaseModel
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.objectives.probabilities import length_sorted_chunks
from gradiend_ui.engine.readout import Batch, Readout, padded

Model = Any
MASKED_SHARE = 0.15
MASK_SEED = 42
TEXTS_PER_BLOCK = 32
TOKENS_PER_BLOCK = 4096
LIKELIHOOD_POINTS_PER_BLOCK = 1024
MAX_NATS = 700.0
NO_LIMIT = 1_000_000
NO_LABEL = -100  # what transformers calls a position that is not asked for
_Wanted: TypeAlias = tuple[Batch, torch.Tensor]


class LmsMeasurement(Protocol):
    """Neutral texts prepared for one model; `block_texts[i]` is how many texts block i holds."""

    @property
    def block_texts(self) -> tuple[int, ...]: ...

    @property
    def tokens(self) -> int: ...

    def score(self, model: Model, block: int) -> NDArray[Any]:
        """The raw result of one block; `summarise` knows how to read it."""
        ...

    def summarise(self, results: Mapping[int, NDArray[Any]]) -> dict[str, float]:
        """The LMS and its companions over the blocks present, {} for none."""
        ...


class MaskedLms:
    """Masked positions drawn as the reference draws them, from a private generator.

    ignored: vocabulary ids whose positions are masked but not counted.
    """

    def __init__(self, base: BaseModel, texts: Sequence[str], ignored: frozenset[int] = frozenset()) -> None:
        tokenizer = base.tokenizer
        encoded = base.encode(texts, base.max_length)
        draw = random.Random(MASK_SEED)
        drawn = [draw.sample(range(len(ids)), max(1, int(MASKED_SHARE * len(ids)))) for ids in encoded]
        self._tokenizer = tokenizer
        self._spelling: dict[int, str] = {}
        chunks = length_sorted_chunks([len(ids) for ids in encoded], TEXTS_PER_BLOCK, TOKENS_PER_BLOCK)
        self._batches: list[Batch] = []
        self._truth: list[list[int]] = []
        for chunk in chunks:
            masked, points, truth = [], [], []
            for row, place in enumerate(chunk):
                ids = list(encoded[place])
                for position in drawn[place]:
                    if encoded[place][position] not in ignored:
                        points.append((row, position))
                        truth.append(encoded[place][position])
                    ids[position] = tokenizer.mask_token_id
                masked.append(ids)
            self._batches.append(Batch(*padded(masked, base.pad_id), *_points(points)))
            self._truth.append(truth)
        self.block_texts = tuple(len(chunk) for chunk in chunks)
        if not self.tokens:
            raise BadData("Every masked token of the neutral texts is a target token: give other neutral texts.")
        sample = next(batch for batch, truth in zip(self._batches, self._truth, strict=True) if truth)
        self._readout = Readout.trying(base.model, sample)

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

    def summarise(self, results: Mapping[int, NDArray[Any]]) -> dict[str, float]:
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

    def _spelled(self, token: int) -> str:
        if token not in self._spelling:
            self._spelling[token] = self._tokenizer.decode([token], skip_special_tokens=True).lower()
        return self._spelling[token]


class NoLms:
    """Stands where no text is to be scored: no block, no LMS."""

    block_texts: tuple[int, ...] = ()
    tokens = 0

    def __init__(self, base: BaseModel, texts: Sequence[str], ignored: frozenset[int] = frozenset()) -> None:
        if texts:
            raise BadData("NoLms scores no texts.")

    def score(self, model: Model, block: int) -> NDArray[Any]:
        raise IndexError(f"There is no block {block}: no text is scored.")

    def summarise(self, results: Mapping[int, NDArray[Any]]) -> dict[str, float]:
        return {}


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

    def __init__(self, base: BaseModel, chunks: Sequence[Sequence[int]], batches: Sequence[_Wanted]) -> None:
        self._batches = [batch for batch, _ in batches]
        self._wanted = [wanted for _, wanted in batches]
        self.block_texts = tuple(len(chunk) for chunk in chunks)
        sample = next((b for b, wanted in batches if len(wanted)), None)
        if sample is None:
            raise BadData("The neutral texts hold no token to predict: give longer texts.")
        self._readout = Readout.trying(base.model, sample)

    @property
    def tokens(self) -> int:
        """Predicted tokens that count."""
        return sum(len(wanted) for wanted in self._wanted)

    @torch.inference_mode()
    def score(self, model: Model, block: int) -> NDArray[np.float64]:
        """Per text of the block: summed negative log-likelihood in nats and token count, float64 (texts, 2)."""
        batch, wanted = self._batches[block], self._wanted[block]
        result = torch.zeros((self.block_texts[block], 2), dtype=torch.float64)
        if len(wanted):
            logits = self._readout.logits(model, batch)
            nll = functional.cross_entropy(logits, wanted.to(logits.device), reduction="none").double().cpu()
            result[:, 0].index_add_(0, batch.point_rows, nll)
            result[:, 1].index_add_(0, batch.point_rows, torch.ones_like(nll))
        return result.numpy()

    def summarise(self, results: Mapping[int, NDArray[Any]]) -> dict[str, float]:
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


class CausalLms(_TokenLikelihood):
    """Next-token log-likelihood of neutral texts; positions of `ignored` ids and padding do not count.

    With a left-padding tokenizer the texts stay in the reference's chunks (`texts_per_chunk` of them, in order), since
    padding then shifts positions; otherwise they are sorted by length, which changes nothing but the speed.
    """

    def __init__(
        self,
        base: BaseModel,
        texts: Sequence[str],
        ignored: frozenset[int] = frozenset(),
        texts_per_chunk: int = TEXTS_PER_BLOCK,
    ) -> None:
        limit = min(int(min(base.tokenizer.model_max_length, NO_LIMIT)), base.positions or NO_LIMIT)
        encoded = base.encode(texts, limit)
        if base.tokenizer.padding_side == "left":
            starts = range(0, len(texts), texts_per_chunk)
            chunks = [list(range(i, min(i + texts_per_chunk, len(texts)))) for i in starts]
        else:
            chunks = length_sorted_chunks([len(ids) for ids in encoded], TEXTS_PER_BLOCK, LIKELIHOOD_POINTS_PER_BLOCK)
        super().__init__(base, chunks, [_causal_batch(base, [encoded[i] for i in chunk], ignored) for chunk in chunks])


class Seq2SeqLms(_TokenLikelihood):
    """How well an encoder-decoder model repeats neutral texts: its encoder reads a text, its decoder is asked for it.

    Padding and `ignored` ids do not count; where the decoder would read an ignored id it reads padding, as models do
    with labels that are left out.
    """

    def __init__(self, base: BaseModel, texts: Sequence[str], ignored: frozenset[int] = frozenset()) -> None:
        encoded = base.encode(texts, base.max_length)
        chunks = length_sorted_chunks([len(ids) for ids in encoded], TEXTS_PER_BLOCK, LIKELIHOOD_POINTS_PER_BLOCK)
        super().__init__(base, chunks, [_seq2seq_batch(base, [encoded[i] for i in chunk], ignored) for chunk in chunks])


def build_lms(
    base: BaseModel,
    texts: Sequence[str],
    ignored: frozenset[int] = frozenset(),
    texts_per_chunk: int = TEXTS_PER_BLOCK,
) -> LmsMeasurement:
    """The measurement that fits the kind of the base model; without texts one that measures nothing.

    texts_per_chunk: how many texts the reference pads together; it matters for left-padding causal models only.
    """
    if not texts:
        return NoLms(base, texts, ignored)
    if base.kind == MASKED:
        return MaskedLms(base, texts, ignored)
    if base.kind == CAUSAL:
        return CausalLms(base, texts, ignored, texts_per_chunk)
    return Seq2SeqLms(base, texts, ignored)


def _points(points: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.tensor([row for row, _ in points], dtype=torch.int64)
    return rows, torch.tensor([position for _, position in points], dtype=torch.int64)


def _causal_batch(base: BaseModel, sequences: list[list[int]], ignored: frozenset[int]) -> _Wanted:
    """Inputs of one chunk, padded as the tokenizer pads, with every (position, next token) pair that counts."""
    sequences = [ids or [base.pad_id] for ids in sequences]
    input_ids, attention_mask = padded(sequences, base.pad_id, base.tokenizer.padding_side)
    counted = (attention_mask[:, :-1] != 0) & (attention_mask[:, 1:] != 0)
    if ignored:
        counted &= ~torch.isin(input_ids[:, 1:], torch.tensor(sorted(ignored)))
    rows, positions = counted.nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions), input_ids[rows, positions + 1]


def _seq2seq_batch(base: BaseModel, sequences: list[list[int]], ignored: frozenset[int]) -> _Wanted:
    """Inputs of one chunk, and the tokens that the decoder is asked for, each at its own position."""
    input_ids, attention_mask = padded([ids or [base.pad_id] for ids in sequences], base.pad_id)
    left_out = (attention_mask == 0) | (input_ids == base.pad_id)
    if ignored:
        left_out |= torch.isin(input_ids, torch.tensor(sorted(ignored)))
    labels = input_ids.masked_fill(left_out, NO_LABEL)
    decoder_input_ids = base.model.prepare_decoder_input_ids_from_labels(labels=labels.to(base.model.device)).cpu()
    rows, positions = (labels != NO_LABEL).nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions, decoder_input_ids), labels[rows, positions]
