"""What a base model is asked to say in a row, per objective, and the loss whose gradient a GRADIEND sees.

Each objective turns (row, word) into one `TrainingInput`: token ids, and points where a certain token must stand. The
loss is the mean cross entropy over all points of a batch. Equal to the reference's, but padded to the longest row of
the batch, and with logits at the points only. Knows tokenizers and one forward pass; no GRADIEND.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import objective_named, objective_names
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.registry import found_at
from gradiend_ui.engine.scoring.known_words import check_known_ids
from gradiend_ui.engine.scoring.objectives.candidates import (
    added_ids,
    gap_mark,
    gap_mark_id,
    plain_ids,
    right_context,
    sentinel_id,
)
from gradiend_ui.engine.scoring.readout import Batch, EncoderReadout, Readout, padded

TRAINING_LENGTH = 256
"""The longest input in tokens when training a decoder-only or masked model; the reference's number."""


@dataclass(frozen=True, slots=True)
class TrainingInput:
    """One row with one word.

    input_ids: tokens of the text. points: (position, token that must stand there), positions counted from the first
    real token, of the decoder where there is one. decoder_ids: what the decoder reads. least_length: the row is
    padded to at least so many tokens.
    """

    input_ids: tuple[int, ...]
    points: tuple[tuple[int, int], ...]
    decoder_ids: tuple[int, ...] | None = None
    least_length: int = 0

    @property
    def places(self) -> tuple[object, ...]:
        """All but the tokens that are asked for: inputs with equal places share one forward pass."""
        return self.input_ids, tuple(place for place, _ in self.points), self.decoder_ids, self.least_length


Prepare = Callable[[BaseModel, EvalRow, str], TrainingInput]


def masked_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`mlm_mask_token`: as many masks as the word has pieces. A mask behind the length limit gets a window of text."""
    tokenizer = base.tokenizer
    pieces = plain_ids(tokenizer, word)
    text = row.masked.replace(MASK, " ".join([tokenizer.mask_token] * len(pieces)), 1)
    limit = _training_length(base)
    ids = base.encode([text], limit)[0]
    if pieces and tokenizer.mask_token_id not in ids:
        ids = base.encode([_window(base, text, limit)], limit)[0]
    marks = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]
    if not marks or not pieces:
        raise BadData(f"Row {row.number + 1}: the mask cannot be found after tokenizing, or {word!r} has no token.")
    points = tuple((place, pieces[min(order, len(pieces) - 1)]) for order, place in enumerate(marks))
    return TrainingInput(tuple(ids), points)


def next_token_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`clm_next_token`: the word's first piece in the place of the last token left of the mask (the reference's rule).

    A row without text on its left is all padding and is asked at the end of it, as in the reference; a row with one
    token has no point: nothing stands before it.
    """
    vocabulary = base.tokenizer.get_vocab()
    token = vocabulary[word] if word in vocabulary else plain_ids(base.tokenizer, word)[0]
    limit = _training_length(base)
    ids = base.encode([row.masked.split(MASK)[0]], limit)[0]
    if not ids:
        return TrainingInput((), ((limit - 2, token),), least_length=limit)
    last = len(ids) - 1
    return TrainingInput(tuple(ids), ((last - 1, token),) if last else ())


def cloze_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`clm_sequence_cloze`: the word and what follows it (its first `rhs_window` tokens), after the text before."""
    left = row.masked.split(MASK, 1)[0]
    ids = base.encode([row.masked.replace(MASK, word, 1)], _training_length(base))[0]
    start = min(len(plain_ids(base.tokenizer, left)), len(ids))
    end = len(ids)
    if base.rhs_window >= 0:
        end = min(end, start + len(added_ids(base.tokenizer, left, [word])[0]) + base.rhs_window)
    return TrainingInput(tuple(ids), tuple((place - 1, ids[place]) for place in range(max(1, start), end)))


def encoder_mask_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`seq2seq_encoder_mlm`: masks, or sentinels in a row for a T5, read at the encoder."""
    tokenizer = base.tokenizer
    pieces = _label_ids(base, word)
    if tokenizer.mask_token is not None:
        marks = [gap_mark(tokenizer)] * len(pieces)
    else:
        marks = [f"<extra_id_{number}>" for number in range(len(pieces))]
    ids = base.encode([row.masked.replace(MASK, " ".join(marks), 1)], base.max_length)[0]
    wanted = tokenizer.convert_tokens_to_ids(marks)
    if tokenizer.mask_token is not None:
        places = [place for place, token in enumerate(ids) if token == gap_mark_id(tokenizer)]
        points = tuple((place, pieces[min(order, len(pieces) - 1)]) for order, place in enumerate(places))
    else:
        found = ((mark, piece) for mark, piece in zip(wanted, pieces, strict=True) if mark in ids)
        points = tuple((ids.index(mark), piece) for mark, piece in found)
    if not points:
        raise BadData(f"Row {row.number + 1}: its mask lies behind the length limit of {base.max_length} tokens.")
    return TrainingInput(tuple(ids), points)


def decoder_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`seq2seq_decoder`: the text up to the mask at the encoder, one token at the decoder."""
    made = _decoder_input(base, row, word, 0, with_sentinels=False)
    if len(made.points) != 1:
        raise BadData(
            f"seq2seq_decoder needs words of one token; {word!r} has {len(made.points)}: "
            "choose seq2seq_decoder_sequence_cloze or seq2seq_encoder_mlm."
        )
    return made


def decoder_cloze_input(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
    """`seq2seq_decoder_sequence_cloze`: the whole text at the encoder; the word (between sentinels) at the decoder."""
    return _decoder_input(base, row, word, base.rhs_window, with_sentinels=True)


def _decoder_input(base: BaseModel, row: EvalRow, word: str, window: int, *, with_sentinels: bool) -> TrainingInput:
    tokenizer = base.tokenizer
    left, right = row.masked.split(MASK, 1)
    text = f"{left}{gap_mark(tokenizer)}{right_context(tokenizer, right, window)}"
    said = added_ids(tokenizer, left, [word])[0] or _label_ids(base, word)
    first, second = sentinel_id(tokenizer, 0), sentinel_id(tokenizer, 1)
    if with_sentinels and tokenizer.mask_token_id is None and first is not None and second is not None:
        said = [first, *said, second]
    start = base.model.config.decoder_start_token_id
    ids = base.encode([text], base.max_length)[0]
    return TrainingInput(tuple(ids), tuple(enumerate(said)), (base.pad_id if start is None else start, *said[:-1]))


def prepare_for(base: BaseModel) -> Prepare:
    """How rows are prepared for the objective of `base`; raises BadBase when it cannot be trained on. What is made
    raises BadData for a word that the model does not know."""
    if base.facts.trained_by is None:
        trained = [name for name in objective_names() if objective_named(name).trained_by is not None]
        raise BadBase(f"Training with {base.objective!r} is not supported; choose one of {', '.join(trained)}.")
    prepare: Prepare = found_at(base.facts.trained_by)

    def checked(base: BaseModel, row: EvalRow, word: str) -> TrainingInput:
        made = prepare(base, row, word)
        check_known_ids(base, word, [tuple(token for _, token in made.points), made.decoder_ids or ()])
        return made

    return checked if base.knows_too_much else prepare


def batch_of(base: BaseModel, inputs: Sequence[TrainingInput]) -> Batch:
    """The padded batch of `inputs`, with all their points. Raises BadData when none has a point."""
    if not any(one.points for one in inputs):
        raise BadData(f"A batch asks for nothing: its texts have less than two tokens left of {MASK}.")
    side = base.tokenizer.padding_side
    length = max(max(len(one.input_ids), one.least_length) for one in inputs)
    ids, attention = (
        padded([list(one.input_ids) for one in inputs], base.pad_id, side)
        if any(one.input_ids for one in inputs)
        else (torch.empty(len(inputs), 0, dtype=torch.int64), torch.empty(len(inputs), 0, dtype=torch.int64))
    )
    missing = length - ids.shape[1]
    widths = (missing, 0) if side == "left" else (0, missing)
    decoder = [list(one.decoder_ids) for one in inputs if one.decoder_ids is not None]
    shifts = [0 if decoder or not one.input_ids or side != "left" else length - len(one.input_ids) for one in inputs]
    return Batch(
        functional.pad(ids, widths, value=base.pad_id),
        functional.pad(attention, widths, value=0),
        torch.tensor([row for row, one in enumerate(inputs) for _ in one.points]),
        torch.tensor([place + shift for one, shift in zip(inputs, shifts, strict=True) for place, _ in one.points]),
        padded(decoder, base.pad_id)[0] if decoder else None,
    )


def tokens_of(inputs: Sequence[TrainingInput]) -> Tensor:
    """The tokens asked for at the points of `batch_of(inputs)`, int64 (points,)."""
    return torch.tensor([token for one in inputs for _, token in one.points])


def readout_for(base: BaseModel, probe: TrainingInput) -> Readout | EncoderReadout:
    """How logits at points are read from this model, tried on one input."""
    if base.facts.at_encoder:
        return EncoderReadout()
    return Readout.trying(base.model, batch_of(base, [probe]))


def loss_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean cross entropy (nats) of `tokens` (points,) under `logits` (points, vocabulary)."""
    return functional.cross_entropy(logits, tokens.to(logits.device))


def _training_length(base: BaseModel) -> int:
    return min(TRAINING_LENGTH, base.max_length)


def _label_ids(base: BaseModel, word: str) -> list[int]:
    """A word's tokens; where it is more than one, with a space in front, if that makes it one."""
    ids = plain_ids(base.tokenizer, word)
    if len(ids) == 1:
        return ids
    spaced = plain_ids(base.tokenizer, " " + word.strip())
    return spaced if len(spaced) == 1 else ids


def _window(base: BaseModel, text: str, limit: int) -> str:
    """The part of `text` around its masks that fits `limit` tokens, cut at whole tokens."""
    tokenizer = base.tokenizer
    encoded: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    places = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]
    room = limit - tokenizer.num_special_tokens_to_add(pair=False)
    if not places or len(ids) <= room:
        return text
    first, last = places[0], places[-1] + 1
    spare = max(0, room - (last - first))
    start, end = max(0, first - spare // 2), min(len(ids), last + (spare - spare // 2))
    if start == 0:
        end = min(len(ids), room)
    elif end == len(ids):
        start = max(0, len(ids) - room)
    return text[offsets[start][0] : offsets[end - 1][1]]
