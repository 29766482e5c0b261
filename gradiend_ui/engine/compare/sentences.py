"""Own sentences as a model reads them: token ids, and the points where it is asked what comes there.

Masked models, and encoder-decoder models read at their encoder, are asked at every `[MASK]`; causal ones behind the
text (left of the first `[MASK]`, if any); decoders for what they say first. Knows tokens; runs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import SEQ2SEQ
from gradiend_ui.engine.data.rows import MASK, MAX_TEXT
from gradiend_ui.engine.errors import BadData, TooLarge
from gradiend_ui.engine.scoring.objectives.candidates import gap_mark, gap_mark_id, plain_ids
from gradiend_ui.engine.scoring.objectives.seq2seq_decoder import between_sentinels, decoder_start, encoder_text
from gradiend_ui.engine.scoring.readout import Batch, padded
from gradiend_ui.engine.scoring.targets import TargetVocabulary
from gradiend_ui.engine.scoring.token_boundary import begins_word, left_text
from gradiend_ui.engine.scoring.token_types import token_types, typed
from gradiend_ui.engine.values import NATURAL


@dataclass(frozen=True)
class Sentence:
    """ids: what the (encoder of the) model reads. points: the positions that are read, at least one.

    decoder_ids: what a decoder has been given before it answers; () for all other models. whole_words: of each point,
    whether the word there is read as one of its own, with the space before it.
    """

    text: str
    ids: tuple[int, ...]
    points: tuple[int, ...]
    whole_words: tuple[bool, ...]
    decoder_ids: tuple[int, ...] = ()


def read_sentence(base: BaseModel, text: str, number: int, token_boundary: str) -> Sentence:
    """Sentence `number` (from 1) of what was asked.

    A causal model reads the text left of `[MASK]` by the token boundary of the sweep. A text without a mask that ends
    in a word has no space to keep: its next word is read with the natural boundary.
    Raises BadData for a text with nothing to predict, TooLarge for one that is too long.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadData(f"Sentence {number} is empty.")
    if len(text) > MAX_TEXT:
        raise TooLarge(f"Sentence {number} is longer than {MAX_TEXT:,} characters.")
    if base.facts.asked_at == "left":
        return _left_to_right(base, text, number, token_boundary)
    if MASK not in text:
        raise BadData(f"Sentence {number} has no {MASK}: put {MASK} where the model should predict.")
    if base.facts.asked_at == "mask":
        return _masked(base, text, number, token_boundary)
    return _decoded(base, text)


def _left_to_right(base: BaseModel, text: str, number: int, token_boundary: str) -> Sentence:
    left, mask, _ = text.partition(MASK)
    if not left.strip():
        raise BadData(f"Sentence {number} has no text left of {MASK}: a causal model has nothing to continue.")
    natural = token_boundary == NATURAL or (not mask and left == left.rstrip())
    if base.facts.bare:
        ids = plain_ids(base.tokenizer, left.rstrip())
    else:
        (ids,) = base.encode([left_text(left, NATURAL if natural else token_boundary)])
    kept = tuple(ids[-base.max_length :])
    return Sentence(text, kept, (len(kept) - 1,), (natural and begins_word(base, left if mask else f"{left} "),))


def _masked(base: BaseModel, text: str, number: int, token_boundary: str) -> Sentence:
    limit = base.max_length
    (ids,) = base.encode([text.replace(MASK, gap_mark(base.tokenizer))], limit)
    mark = gap_mark_id(base.tokenizer)
    points = tuple(position for position, token in enumerate(ids) if token == mark)
    if not points:
        raise BadData(f"In sentence {number} the mask lies behind the model's limit of {limit} tokens.")
    parts = text.split(MASK)
    befores = [MASK.join(parts[: place + 1]) for place in range(len(points))]
    natural, vocabulary = token_boundary == NATURAL, TargetVocabulary(base.tokenizer)
    whole_words = tuple(natural and vocabulary.whole_word_at(before) for before in befores)
    return Sentence(text, tuple(ids), points, whole_words)


def _decoded(base: BaseModel, text: str) -> Sentence:
    """The decoder's first answer: behind its start token, or behind the sentinel that opens its answer."""
    (ids,) = base.encode([encoder_text(base, text)], base.max_length)
    begun = (decoder_start(base), *between_sentinels(base, [])[:1])
    return Sentence(text, tuple(ids), (len(begun) - 1,), (False,), begun)


def batch_of(base: BaseModel, sentences: Sequence[Sentence]) -> Batch:
    """The sentences as one padded batch; its points are those of the sentences, in order."""
    rows = [row for row, sentence in enumerate(sentences) for _ in sentence.points]
    positions = [position for sentence in sentences for position in sentence.points]
    decoder = [sentence.decoder_ids for sentence in sentences]
    batch = Batch(
        *padded([list(sentence.ids) for sentence in sentences], base.pad_id),
        torch.tensor(rows),
        torch.tensor(positions),
        torch.tensor(decoder) if decoder[0] else None,
    )
    return typed(batch, token_types(base))


def continued_ids(base: BaseModel, text: str) -> tuple[int, ...]:
    """What a continuation begins with: the text left of `[MASK]` without its trailing space for causal models, what
    the encoder reads for encoder-decoder models."""
    if base.kind == SEQ2SEQ:
        (ids,) = base.encode([encoder_text(base, text)], base.max_length)
        return tuple(ids)
    left = text.split(MASK)[0].rstrip()
    ids = plain_ids(base.tokenizer, left) if base.facts.bare else base.encode([left])[0]
    return tuple(ids[-base.max_length :])
