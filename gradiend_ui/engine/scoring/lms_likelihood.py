"""The LMS of causal and encoder-decoder models: 1 / (1 + mean NLL per token) of neutral texts.

Texts are tokenized once, on construction; an encoder-decoder model is asked to repeat them. Source: semantics of
`gradiend` 0.2.3.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.batches import Blocks, cut, cut_within_chunks, widths_of_chunks
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
MAX_NATS = 700.0
NO_LIMIT = 1_000_000
NO_LABEL = -100  # what transformers calls a position that is not asked for
MOST_COUNTED = 2
"""How many tokens of a block are counted in each of its texts: those that are said most often."""
Wanted: TypeAlias = tuple[Batch, torch.Tensor]


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
            raise BadData(NO_TOKENS)
        self._readout = Readout.trying(base.model, sample, tried)

    @property
    def tokens(self) -> int:
        """Predicted tokens that count."""
        return sum(len(wanted) for wanted in self._wanted)

    @torch.inference_mode()
    def score(self, model: Model, block: int) -> NDArray[np.float64]:
        """Per text of the block, float64 (texts, 6): summed negative log-likelihood in nats, token count, and for each
        of the two ids that are said most often where the block's tokens are asked for the id and how often it is said
        in the text."""
        batch, wanted = self._batches[block], self._wanted[block]
        result = torch.zeros((self.block_texts[block], 2 + 2 * MOST_COUNTED), dtype=torch.float64)
        if len(wanted):
            logits = self._readout.logits(model, batch)
            nll = functional.cross_entropy(logits, wanted.to(logits.device), reduction="none").double().cpu()
            result[:, 0].index_add_(0, batch.point_rows, nll)
            result[:, 1].index_add_(0, batch.point_rows, torch.ones_like(nll))
            said = logits.argmax(dim=-1).cpu()
            counts = torch.bincount(said)
            ids = counts.nonzero().flatten()
            most = ids[counts[ids].argsort(descending=True, stable=True)[:MOST_COUNTED]]
            for place, token in enumerate(most.tolist()):
                result[:, 2 + 2 * place] = token
                result[:, 3 + 2 * place].index_add_(0, batch.point_rows, (said == token).double())
        return result.numpy()

    def most_said(self, results: Results) -> MostSaid | None:
        """See `LmsMeasurement`; a token counts in the blocks where at most one is said more often."""
        said: Counter[int] = Counter()
        for result in results.values():
            for ids, counts in zip(result[:, 2::2].T, result[:, 3::2].T, strict=True):
                said[int(ids[0])] += int(counts.sum())
        right = Counter(token for block in results for token in self._wanted[block].tolist())
        return most_said_of(self._tokenizer, said, right)

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
        now = np.concatenate([results[block][:, :2] for block in sorted(results)])
        tokens = now[:, 1].sum()
        if not tokens or not np.isfinite(now).all():
            return None
        mean = now[:, 0].sum() / tokens
        if base is None:
            changes = now[:, 0] - mean * now[:, 1]
        else:
            changes = now[:, 0] - np.concatenate([base[block][:, 0] for block in sorted(results)])
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


def causal_batch(base: BaseModel, sequences: list[list[int]], ignored: frozenset[int], width: int = 0) -> Wanted:
    """Inputs of one block, padded as the tokenizer pads, to `width` tokens at least, with every (position, next token)
    pair that counts."""
    sequences = or_padding(base, sequences)
    input_ids, attention_mask = padded(sequences, base.pad_id, base.tokenizer.padding_side, width)
    counted = (attention_mask[:, :-1] != 0) & (attention_mask[:, 1:] != 0)
    if ignored:
        counted &= ~torch.isin(input_ids[:, 1:], torch.tensor(sorted(ignored)))
    rows, positions = counted.nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions), input_ids[rows, positions + 1]


def seq2seq_batch(
    base: BaseModel, sequences: list[list[int]], ignored: frozenset[int], side: str = "right", width: int = 0
) -> Wanted:
    """Inputs of one chunk, and the tokens that the decoder is asked for, each at its own position."""
    input_ids, attention_mask = padded(sequences, base.pad_id, side, width)
    left_out = (attention_mask == 0) | (input_ids == base.pad_id)
    if ignored:
        left_out |= torch.isin(input_ids, torch.tensor(sorted(ignored)))
    labels = input_ids.masked_fill(left_out, NO_LABEL)
    decoder_input_ids = _shifted(base.model, labels, base.pad_id)
    rows, positions = (labels != NO_LABEL).nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions, decoder_input_ids), labels[rows, positions]


def _shifted(model: Model, labels: torch.Tensor, pad_id: int) -> torch.Tensor:
    """What the decoder reads when it is asked for `labels`, int64 (rows, length): the model's own rule where it has one
    (mBART puts the end in front), else its first token and all but the last label."""
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        own: torch.Tensor = model.prepare_decoder_input_ids_from_labels(labels=labels.to(model.device))
        return own.cpu()
    start = model.config.decoder_start_token_id
    first = labels.new_full((len(labels), 1), pad_id if start is None else int(start))
    shifted = torch.cat([first, labels[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == NO_LABEL, pad_id)
