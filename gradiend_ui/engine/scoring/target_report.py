"""What the words of each class are to a model: vocabulary ids and pieces, several pieces and overlaps marked.

As the objective reads them: whole words at a mask, the first piece where only one position is read. Knows a base model
and resolved targets; scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradiend_ui.engine.answers.data import WordAnswer
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import WordReading
from gradiend_ui.engine.errors import BadData, shown
from gradiend_ui.engine.scoring.known_words import check_known_ids
from gradiend_ui.engine.scoring.objectives.candidates import plain_ids
from gradiend_ui.engine.scoring.targets import Ids, TargetVocabulary, Tokenizer

MOST_WORDS = 60
"""Words per class that are looked up; the others are counted."""


@dataclass(frozen=True)
class WordReport:
    """One word of a class; spellings: every one of the class's words that the model takes for the same.

    ways: every way to write it, as ids; pieces: the same as vocabulary entries; read: the ids that are read for it,
    one tuple per way; natural: ways and entries read with the natural token boundary, None where it makes no
    difference to the model.
    shared: other classes whose words are read at the same ids. problem: why the tokenizer has nothing for it.
    """

    spellings: tuple[str, ...]
    ways: tuple[Ids, ...]
    pieces: tuple[tuple[str, ...], ...]
    read: tuple[Ids, ...]
    natural: tuple[tuple[Ids, tuple[str, ...]], ...] | None
    unknown: bool
    shared: tuple[str, ...] = ()
    problem: str | None = None

    def to_json(self) -> WordAnswer:
        return {
            "word": max(self.spellings),
            "spellings": list(self.spellings),
            "ways": [
                {"ids": list(ids), "pieces": list(names)} for ids, names in zip(self.ways, self.pieces, strict=True)
            ],
            "natural": None
            if self.natural is None
            else [{"ids": list(ids), "pieces": list(names)} for ids, names in self.natural],
            "several_pieces": bool(self.ways) and min(map(len, self.ways)) > 1,
            "first_piece_only": any(len(ids) > 1 for ids in self.ways) and self.ways != self.read,
            "unknown": self.unknown,
            "shared": list(self.shared),
            "problem": self.problem,
        }


def report_words(base: BaseModel, words: Mapping[str, Sequence[str]]) -> dict[str, list[WordReport]]:
    """{class: its first words, looked up}, in class order."""
    vocabulary = TargetVocabulary(base.tokenizer)
    found = {
        name: _grouped(_look_up(base, vocabulary, word) for word in own[:MOST_WORDS]) for name, own in words.items()
    }
    read = {name: {ids for word in own for ids in word.read} for name, own in found.items()}
    return {
        name: [
            replace(word, shared=tuple(other for other in read if other != name and read[other] & set(word.read)))
            for word in own
        ]
        for name, own in found.items()
    }


def _grouped(words: Iterable[WordReport]) -> list[WordReport]:
    """Words that are the same to the model as one: "he" and "He" stand for the same vocabulary entries."""
    groups: dict[object, WordReport] = {}
    for word in words:
        key = word.ways or word.spellings
        known = groups.get(key)
        groups[key] = word if known is None else replace(known, spellings=(*known.spellings, *word.spellings))
    return list(groups.values())


def _look_up(base: BaseModel, vocabulary: TargetVocabulary, word: str) -> WordReport:
    tokenizer, facts = base.tokenizer, base.facts
    try:
        ways = _as_written(tokenizer, word) if facts.words_read == "as written" else vocabulary.pieces(word)
        read = ways
        check_known_ids(base, word, ways)
        if facts.words_read == "first piece":
            read = tuple((token,) for token in vocabulary.first_pieces(word))
        natural = _naturally(vocabulary, word, facts.words_read) if base.two_boundaries else None
    except BadData as error:
        return WordReport((word,), (), (), (), None, True, problem=str(error))
    unknown = any(tokenizer.unk_token_id in ids for ids in ways) and tokenizer.unk_token_id is not None
    named = None if natural is None else tuple((ids, _names(tokenizer, ids)) for ids in natural)
    return WordReport((word,), ways, tuple(_names(tokenizer, ids) for ids in ways), read, named, unknown)


def _naturally(vocabulary: TargetVocabulary, word: str, words_read: WordReading) -> tuple[Ids, ...]:
    if words_read == "first piece":
        return tuple((token,) for token in vocabulary.word_initial_pieces(word))
    return vocabulary.whole_word(word)


def _names(tokenizer: Tokenizer, ids: Ids) -> tuple[str, ...]:
    """The vocabulary entries of some ids."""
    return tuple(map(str, tokenizer.convert_ids_to_tokens(list(ids))))


def _as_written(tokenizer: Any, word: str) -> tuple[Ids, ...]:
    """The pieces of the word as it stands in a text, behind a space."""
    ids = tuple(plain_ids(tokenizer, " " + word.strip()))
    if not ids:
        raise BadData(f"The tokenizer has no token for the target {shown(word)}.")
    return (ids,)
