"""Side by side: what the base and chosen cells predict in one's own sentences.

Per sentence and mask the top tokens of every column, the probability of each of them in all columns, and the class
probabilities of the objective; on request how causal and encoder-decoder models go on. What was computed for a cell is
taken from a `Memory` where one is given. Knows models and tokens; no grid, no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.answers.model import (
    ColumnReading,
    ComparedMask,
    ComparedText,
    Continuations,
    Said,
    SaidToken,
    TokenLine,
    TopToken,
    Where,
)
from gradiend_ui.engine.base.base_model import Model
from gradiend_ui.engine.base.objectives import MASKED, SEQ2SEQ
from gradiend_ui.engine.compare.continuation import Continuation, changed_tokens, continue_texts, spelled_pieces
from gradiend_ui.engine.compare.names import TokenNames
from gradiend_ui.engine.compare.sentences import Sentence, batch_of, continued_ids, read_sentence
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge, shown
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.known_words import check_known_words
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.padding import is_padding_read
from gradiend_ui.engine.scoring.readout import Batch, EncoderReadout, Readout
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.values import (
    MOST_COMPARED_CELLS,
    MOST_COMPARED_TEXTS,
    NATURAL,
    REFERENCE,
    Cell,
    Part,
    finite_or_none,
)
from gradiend_ui.engine.weights.workspace import Workspace

ClassProbabilities = dict[str, float | None]
MAX_TOP_K, MAX_CONTINUATION = 50, 40
SMALL = 1024
"""Bytes that a kept value without tensors counts as."""


@dataclass(frozen=True)
class Reading:
    """What one set of weights says in one sentence. probs: float32 (masks, vocabulary); classes: one per mask."""

    probs: Tensor
    classes: tuple[ClassProbabilities, ...]


@dataclass(frozen=True)
class Column:
    """What the base (cell None) or one cell says, by text."""

    cell: Cell | None
    readings: Mapping[str, Reading]
    continuations: Mapping[str, Continuation]


@dataclass(frozen=True)
class Comparison:
    """What all columns have in common. owner: what the numbers belong to, beside the cell and the text."""

    model: ModelWithGradiend
    workspace: Workspace
    targets: ClassTargets
    token_boundary: str = "reference"
    part: Part = "decoder"
    memory: Memory[Any] = field(default_factory=Memory)
    owner: str = ""

    def column(self, cell: Cell | None, sentences: Sequence[Sentence], continuation: int) -> Column:
        """Readings and continuations of one set of weights; only what the memory lacks is computed."""
        weights = _Weights(self, cell)
        asked = {sentence.text: sentence for sentence in sentences}
        readings = self._remembered((cell, "reading"), asked, lambda new: self._read(weights.model, new))
        if not continuation:
            return Column(cell, readings, {})
        kind = (cell, "continuation", continuation)
        said = self._remembered(kind, asked, lambda new: self._continue(weights.model, new, continuation))
        return Column(cell, readings, said)

    def names(self, whole_word: bool) -> TokenNames:
        """How tokens are written at a mask; whole_word: whether its word is read as one of its own."""
        words = [word for own in (self.targets.words or {}).values() for word in own]
        return TokenNames(self.model.tokenizer, tuple(words), whole_word)

    def _remembered(
        self, kind: tuple[Any, ...], asked: Mapping[str, Sentence], compute: Callable[[list[Sentence]], list[Any]]
    ) -> dict[str, Any]:
        known = {text: self.memory.get((self.owner, *kind, text)) for text in asked}
        missing = [asked[text] for text, value in known.items() if value is None]
        for sentence, value in zip(missing, compute(missing) if missing else [], strict=True):
            known[sentence.text] = value
            self.memory.keep((self.owner, *kind, sentence.text), value, _size(value))
        return known

    def _read(self, weights: Model, sentences: list[Sentence]) -> list[Reading]:
        if len(sentences) > 1 and self._is_padding_read():
            return [reading for sentence in sentences for reading in self._read(weights, [sentence])]
        batch = batch_of(self.model.base, sentences)
        probs = torch.softmax(self._readout(batch).logits(weights, batch), dim=-1).cpu()
        reader = _class_reader(self.model, sentences, self.targets, self.token_boundary)
        classes = reader(weights, probs)
        readings, start = [], 0
        for sentence in sentences:
            stop = start + len(sentence.points)
            readings.append(Reading(probs[start:stop].clone(), tuple(classes[start:stop])))
            start = stop
        return readings

    def _is_padding_read(self) -> bool:
        """Whether sentences must be read one by one; tried once."""
        found: bool | None = self.memory.get((self.owner, "padding"))
        if found is None:
            found = is_padding_read(self.model.base)
            self.memory.keep((self.owner, "padding"), found, SMALL)
        return found

    def _readout(self, batch: Batch) -> Readout | EncoderReadout:
        """How this model is read; tried once, with the first sentences."""
        if self.model.base.facts.at_encoder:
            return EncoderReadout()
        found: Readout | None = self.memory.get((self.owner, "readout"))
        if found is None:
            found = Readout.trying(self.model.base_model, batch)
            self.memory.keep((self.owner, "readout"), found, SMALL)
        return found

    def _continue(self, weights: Model, sentences: list[Sentence], length: int) -> list[Continuation]:
        prompts = [continued_ids(self.model.base, sentence.text) for sentence in sentences]
        return continue_texts(self.model.base, weights, prompts, length)


@dataclass(frozen=True, eq=False)
class _Weights:
    """The weights of a column, written when they are first needed."""

    comparison: Comparison
    cell: Cell | None

    @cached_property
    def model(self) -> Model:
        asked = self.comparison
        if self.cell is None:
            return asked.model.base_model
        update = asked.model.update_vector(asked.part, self.cell.feature_factor)
        return asked.workspace.rewritten(update, self.cell.learning_rate)


def _size(value: Reading | Continuation) -> int:
    return SMALL + (value.probs.numel() * value.probs.element_size() if isinstance(value, Reading) else 0)


def compare(
    model: ModelWithGradiend,
    workspace: Workspace,
    cells: Sequence[Cell],
    texts: Sequence[str],
    *,
    targets: ClassTargets,
    token_boundary: str = "reference",
    part: Part = "decoder",
    top_k: int = 5,
) -> list[ComparedText]:
    """As `side_by_side`, without continuations and with every sentence required to be readable."""
    return side_by_side(Comparison(model, workspace, targets, token_boundary, part), cells, texts, top_k=top_k)


def side_by_side(
    asked: Comparison,
    cells: Sequence[Cell],
    texts: Sequence[str],
    *,
    top_k: int = 5,
    continuation: int = 0,
    skip_bad: bool = False,
) -> list[ComparedText]:
    """Per text: `masks`, and `continuation` where asked for; `error` instead where a text is left out.

    Per mask: the `top_k` tokens and {class: P} of the base and of each cell, `change` is p - base p; `tokens` is the
    union of these tokens with the probability in every column, the largest first. Class probabilities are those of a
    sweep that has the sentence as its only row.
    continuation: how many tokens causal and encoder-decoder models add. skip_bad: answer the other sentences.
    Raises BadData for a text that cannot be read, unless skip_bad, and TooLarge over 20 texts or 4 cells.
    """
    _check(asked.model, cells, texts, top_k, continuation)
    sentences, errors = _read_sentences(asked, texts, skip_bad)
    columns = (
        [asked.column(cell, list(sentences.values()), continuation) for cell in (None, *cells)] if sentences else []
    )
    return [
        {"text": text, "masks": [], "error": errors[place]}
        if place in errors
        else _answer(asked, columns, sentences[place], top_k)
        for place, text in enumerate(texts)
    ]


def read_ahead(asked: Comparison, cell: Cell | None, texts: Sequence[str], *, continuation: int = 0) -> None:
    """Compute what one column says in some of the texts, so that a `side_by_side` of the same memory finds it there.

    Texts that cannot be read are passed over: the comparison says why.
    """
    _check(asked.model, [] if cell is None else [cell], texts, 1, continuation)
    sentences, _ = _read_sentences(asked, texts, skip_bad=True)
    if sentences:
        asked.column(cell, list(sentences.values()), continuation)


def _check(
    model: ModelWithGradiend, cells: Sequence[Cell], texts: Sequence[str], top_k: int, continuation: int
) -> None:
    if not texts:
        raise BadData("Give at least one sentence.")
    if len(texts) > MOST_COMPARED_TEXTS or len(cells) > MOST_COMPARED_CELLS:
        raise TooLarge(f"At most {MOST_COMPARED_TEXTS} sentences and {MOST_COMPARED_CELLS} cells are compared at once.")
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
        raise BadGrid(f"top_k must be a whole number from 1 to {MAX_TOP_K}, not {shown(top_k)}.")
    if isinstance(continuation, bool) or not isinstance(continuation, int) or not 0 <= continuation <= MAX_CONTINUATION:
        raise BadGrid(f"continuation must be a whole number from 0 to {MAX_CONTINUATION}, not {shown(continuation)}.")
    if continuation and model.base.kind == MASKED:
        raise BadGrid("A masked model does not continue texts: leave continuation out.")


def _read_sentences(
    asked: Comparison, texts: Sequence[str], skip_bad: bool
) -> tuple[dict[int, Sentence], dict[int, str]]:
    """(sentence by place, why it cannot be read by place). Raises BadData and TooLarge unless skip_bad."""
    sentences: dict[int, Sentence] = {}
    errors: dict[int, str] = {}
    for place, text in enumerate(texts):
        try:
            sentences[place] = read_sentence(asked.model.base, text, place + 1, asked.token_boundary)
        except (BadData, TooLarge) as error:
            if not skip_bad:
                raise
            errors[place] = str(error)
    return sentences, errors


def _class_reader(
    model: ModelWithGradiend, sentences: Sequence[Sentence], targets: ClassTargets, token_boundary: str
) -> Callable[[Model, Tensor], list[ClassProbabilities]]:
    """From weights and the probabilities (points, vocabulary) they gave to {class: P} of each point.

    The same numbers as a sweep's of the sentence as its only row: words of one piece are read where they are said, all
    others by the objective itself.
    """
    whole_words = [whole_word for sentence in sentences for whole_word in sentence.whole_words]
    if not targets.words:
        return lambda _weights, _probs: [{} for _ in whole_words]
    read = _ids_said_there(model, targets.words, set(whole_words)) if model.base.facts.said_there else None
    if read is None:
        return _by_objective(model, sentences, targets, token_boundary)
    return lambda _weights, probs: [
        {name: finite_or_none(float(p[own].sum())) for name, own in read[whole_word].items()}
        for p, whole_word in zip(probs, whole_words, strict=True)
    ]


def _ids_said_there(
    model: ModelWithGradiend, words: Mapping[str, tuple[str, ...]], readings: set[bool]
) -> dict[bool, dict[str, Tensor]] | None:
    """{whether words are read as ones of their own: {class: vocabulary ids of its words}}; None where some word takes
    several pieces and all of them count."""
    for own in words.values():
        for whole_word in readings:
            check_known_words(model.base, own, NATURAL if whole_word else REFERENCE)
    vocabulary = TargetVocabulary(model.tokenizer)
    found: dict[bool, dict[str, Tensor]] = {}
    for whole_word in readings:
        ways = vocabulary.whole_word if whole_word else vocabulary.pieces
        first = vocabulary.word_initial_pieces if whole_word else vocabulary.first_pieces
        several = (len(way) > 1 for own in words.values() for word in own for way in ways(word))
        if model.base.facts.words_read == "whole" and any(several):
            return None
        ids = {name: {token for word in own for token in first(word)} for name, own in words.items()}
        found[whole_word] = {name: torch.tensor(sorted(own)) for name, own in ids.items()}
    return found


def _by_objective(
    model: ModelWithGradiend, sentences: Sequence[Sentence], targets: ClassTargets, token_boundary: str
) -> Callable[[Model, Tensor], list[ClassProbabilities]]:
    asked = [(sentence.text, mask) for sentence in sentences for mask in range(len(sentence.points))]
    rows = [
        EvalRow(number, text if MASK in text else text + MASK, "", "", "", "", "", mask)
        for number, (text, mask) in enumerate(asked)
    ]
    objective = build_objective(model.base, rows, targets, token_boundary)

    def read(weights: Model, _probs: Tensor) -> list[ClassProbabilities]:
        found: dict[int, ClassProbabilities] = {}
        for block in objective.blocks:
            for place, values in zip(block.rows, objective.score(weights, block).tolist(), strict=True):
                found[place] = dict(zip(objective.classes, map(finite_or_none, values), strict=True))
        return [found.get(place, {}) for place in range(len(rows))]

    return read


# --- the answer ------------------------------------------------------------------------------------------------------


def _answer(asked: Comparison, columns: Sequence[Column], sentence: Sentence, top_k: int) -> ComparedText:
    text, model = sentence.text, asked.model
    names = [asked.names(whole_word) for whole_word in sentence.whole_words]
    read = [column.readings[text] for column in columns]
    answer: ComparedText = {
        "text": text,
        "masks": [_mask(names[mask], columns, read, mask, top_k) for mask in range(len(sentence.points))],
    }
    if columns[0].continuations:
        answer["continuation"] = _continuation(model, columns, text)
    return answer


def _mask(names: TokenNames, columns: Sequence[Column], read: Sequence[Reading], mask: int, top_k: int) -> ComparedMask:
    probs = [reading.probs[mask] for reading in read]
    tops = [_top_ids(p, top_k) for p in probs]
    described: list[ColumnReading] = [
        {
            **_where(column.cell),
            "top": [_entry(names, token, p, probs[0]) for token in top],
            "classes": reading.classes[mask],
        }
        for column, reading, p, top in zip(columns, read, probs, tops, strict=True)
    ]
    tokens = _union(names, probs, tops)
    return {"position": mask, "base": described[0], "cells": described[1:], "tokens": tokens}


def _top_ids(probs: Tensor, top_k: int) -> list[int]:
    found: list[int] = torch.topk(torch.nan_to_num(probs, nan=-1.0), min(top_k, probs.shape[0])).indices.tolist()
    return found


def _union(names: TokenNames, probs: Sequence[Tensor], tops: Sequence[list[int]]) -> list[TokenLine]:
    """Every token that some column lists, with its probability in all of them; the largest anywhere comes first."""
    ids = list(dict.fromkeys(token for top in tops for token in top))
    table = [[finite_or_none(float(p[token])) for p in probs] for token in ids]
    rows = sorted(zip(ids, table, strict=True), key=lambda row: max(p or 0.0 for p in row[1]), reverse=True)
    return [{"token": names.of(token), "id": token, "base": values[0], "cells": values[1:]} for token, values in rows]


def _entry(names: TokenNames, token: int, probs: Tensor, base: Tensor) -> TopToken:
    return {
        "token": names.of(token),
        "id": token,
        "p": finite_or_none(float(probs[token])),
        "change": finite_or_none(float(probs[token] - base[token])),
    }


def _continuation(model: ModelWithGradiend, columns: Sequence[Column], text: str) -> Continuations:
    prompt = () if model.base.kind == SEQ2SEQ else continued_ids(model.base, text)
    said = [column.continuations[text] for column in columns]
    described: list[Said] = [
        {**_where(column.cell), **_described(model, prompt, one, said[0])}
        for column, one in zip(columns, said, strict=True)
    ]
    return {"base": described[0], "cells": described[1:]}


def _described(model: ModelWithGradiend, prompt: Sequence[int], one: Continuation, base: Continuation) -> Said:
    """tokens: {text, id, changed}, whose texts make up `text`; ended: it said its end token."""
    pieces = spelled_pieces(model.tokenizer, prompt, one.ids)
    marks = changed_tokens(base.ids, one.ids)
    tokens: list[SaidToken] = [
        {"text": piece, "id": token, "changed": changed}
        for piece, token, changed in zip(pieces, one.ids, marks, strict=True)
    ]
    said: Said = {"text": "".join(pieces), "tokens": tokens, "ended": one.ended}
    if one.broken:
        said["reason"] = "The rewritten model's numbers are not finite here: it says nothing more."
    return said


def _where(cell: Cell | None) -> Where:
    return {} if cell is None else {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}
