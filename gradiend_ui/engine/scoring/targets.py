"""The tokens of each class and the vocabulary ids they stand for.

Knows a tokenizer and rows; runs no model. A token stands for every vocabulary entry that equals it after dropping
white space on the left and lower-casing (rule of the reference). With the natural boundary it also stands for the
word-initial pieces ("Ġhe", "▁he") that a causal model really predicts after a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gradiend_ui.engine.data.columns import words_by_class
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData, listed, shown
from gradiend_ui.engine.uploads.request_limits import encoded

Tokenizer = Any  # a transformers tokenizer; the library gives its classes no common typed interface
Ids = tuple[int, ...]
WORD_START_MARKS = ("Ġ", "▁")


@dataclass(frozen=True)
class ClassTargets:
    """The words of each class, in class order; None: row-wise scoring, each row's own two tokens."""

    words: Mapping[str, tuple[str, ...]] | None
    classes: tuple[str, ...]

    @property
    def row_wise(self) -> bool:
        return self.words is None


def resolve_targets(
    rows: Sequence[EvalRow], classes: Sequence[str], given: Mapping[str, Sequence[str]] | str | None
) -> ClassTargets:
    """Targets as given, or inferred from *all* rows of the data (not only the scored split).

    A class's words are the labels of its rows and the alternatives that name it. Two classes that share a word
    switch to row-wise scoring. Raises BadData when a class has no word or a given class is unknown.
    """
    names = tuple(classes)
    if given == "label":
        return ClassTargets(None, names)
    if isinstance(given, Mapping):
        known = set(names) | {row.label_class for row in rows} | {row.alternative_class for row in rows}
        unknown = sorted(set(given) - known)
        if unknown:
            raise BadData(f"targets names the class {shown(unknown[0])}; the data has {listed(sorted(known))}.")
        missing = [name for name in names if name not in given]
        if missing:
            raise BadData(f"targets gives no tokens for class {shown(missing[0])}.")
        for name in names:
            if isinstance(given[name], str):
                raise BadData(f"The targets of {shown(name)} are the text {shown(given[name])}; give a list of tokens.")
        return ClassTargets({name: tuple(given[name]) for name in names}, names)
    held = words_by_class(rows)
    words = {name: held.get(name, ()) for name in names}
    for name, found in words.items():
        if not found:
            raise BadData(f"The rows hold no token of class {shown(name)}: give targets for it.")
    every = [word for found in words.values() for word in found]
    return ClassTargets(None if len(set(every)) < len(every) else words, names)


class TargetVocabulary:
    """Looks up the vocabulary ids of words in one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._entries: dict[str, list[str]] = {}
        self._known: dict[str, tuple[Ids, ...]] = {}
        for entry in sorted(tokenizer.get_vocab()):
            self._entries.setdefault(_normal(entry), []).append(entry)

    def pieces(self, word: str) -> tuple[Ids, ...]:
        """Every distinct way to write `word`, each as its ids: the vocabulary entries that equal it, or, when there
        is none, the word itself cut into pieces. Sorted; raises BadData when the tokenizer yields nothing."""
        known = self._known.get(word)
        if known is not None:
            return known
        variants = self._entries.get(_normal(word), [word.lstrip()])
        found = {tuple(self._ids(variant)) for variant in variants} - {()}
        if not found:
            raise BadData(f"The tokenizer has no token for the target {shown(word)}.")
        self._known[word] = tuple(sorted(found))
        return self._known[word]

    def first_pieces(self, word: str) -> tuple[int, ...]:
        """The single ids a causal model may say for `word`: one-piece variants, plus the first piece of the first
        longer variant."""
        ways = self.pieces(word)
        single = {way[0] for way in ways if len(way) == 1}
        longer = next((way[0] for way in ways if len(way) > 1), None)
        return tuple(sorted(single if longer is None else single | {longer}))

    def word_initial_pieces(self, word: str) -> tuple[int, ...]:
        """The ids that begin `word` after a space: entries such as "Ġhe" / "▁he" of any casing, else the first piece
        of " word"."""
        marked = [entry for mark in WORD_START_MARKS for entry in self._entries.get(mark.lower() + _normal(word), [])]
        if marked:
            return tuple(sorted({int(self._tokenizer.convert_tokens_to_ids(entry)) for entry in marked}))
        spaced = encoded(lambda: self._tokenizer(" " + word.strip(), add_special_tokens=False)["input_ids"])
        if not spaced:
            raise BadData(f"The tokenizer has no token for the target {shown(word)}.")
        return (int(spaced[0]),)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = encoded(lambda: self._tokenizer.convert_tokens_to_ids(self._tokenizer.tokenize(text)))
        return ids


def _normal(text: str) -> str:
    return text.lstrip().lower()


def ignored_ids(tokenizer: Tokenizer, words: Sequence[str]) -> frozenset[int]:
    """Every piece of every word, as the LMS leaves them out when it is measured on the evaluation rows."""
    return frozenset(
        int(i) for word in words for i in encoded(partial(tokenizer.encode, word, add_special_tokens=False))
    )
