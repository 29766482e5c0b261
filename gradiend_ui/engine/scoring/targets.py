"""The tokens of each class and the vocabulary ids they stand for.

Knows a tokenizer and rows; runs no model. A token stands for every vocabulary entry that equals it after dropping
white space on the left and lower-casing (rule of the reference). With the natural boundary it stands for the entries
of whole words ("Ġhe", "▁he", "he</w>") that a model whose vocabulary marks words really says there. A word that is
itself written as such an entry stands for that entry alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gradiend_ui.engine.base.base_model import WORD_END_MARK, WORD_START_MARKS, marked_words
from gradiend_ui.engine.data.columns import words_by_class
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.data.spelling import same_class
from gradiend_ui.engine.errors import BadData, listed, shown
from gradiend_ui.engine.uploads.request_limits import encoded

Tokenizer = Any  # a transformers tokenizer; the library gives its classes no common typed interface
Ids = tuple[int, ...]
CONTINUES_MARK = "##"


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
        known = {*names, *(row.label_class for row in rows), *(row.alternative_class for row in rows)}
        given = by_known_class("targets", given, known)
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


def by_known_class(
    setting: str, given: Mapping[str, Sequence[str]], known: Collection[str]
) -> dict[str, Sequence[str]]:
    """The words of each class by the name that `known` has for it. Raises BadData where two names are one class."""
    found: dict[str, Sequence[str]] = {}
    for name, words in given.items():
        own = same_class(str(name), known)
        if own in found:
            raise BadData(f"{setting} names the class {shown(own)} twice, as {listed(given)}: every class once.")
        found[own] = words
    return found


class TargetVocabulary:
    """Looks up the vocabulary ids of words in one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._entries: dict[str, list[str]] = {}
        self._known: dict[str, tuple[Ids, ...]] = {}
        self._marked = marked_words(tokenizer)
        self._ids_by_entry: dict[str, int] = tokenizer.get_vocab()
        for entry in sorted(self._ids_by_entry):
            self._entries.setdefault(_normal(entry), []).append(entry)

    def pieces(self, word: str) -> tuple[Ids, ...]:
        """Every distinct way to write `word`, each as its ids: the vocabulary entries that equal it, or, when there
        is none, the word itself cut into pieces; of an entry with a mark ("Ġhe") its id. Sorted; raises BadData when
        the tokenizer yields nothing."""
        known = self._known.get(word)
        if known is not None:
            return known
        if (entry := self._as_entry(word)) is not None:
            return entry
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

    def whole_word(self, word: str) -> tuple[Ids, ...]:
        """Every way in which a model writes `word` as a word of its own, behind a space: the entries that mark a word
        ("Ġhe", "▁he", "he</w>") of any casing, else the pieces of " word". As `pieces` where the vocabulary marks no
        words. Sorted; raises BadData when the tokenizer yields nothing."""
        if not self._marked:
            return self.pieces(word)
        if (entry := self._as_entry(word)) is not None:
            return entry
        normal = _normal(word)
        spelled = [mark.lower() + normal for mark in WORD_START_MARKS] + [normal + WORD_END_MARK]
        single = {(self._ids_by_entry[entry],) for key in spelled for entry in self._entries.get(key, [])}
        own = word.strip()
        casings = {form for form in (own, own.lower(), own.capitalize(), own.upper()) if _normal(form) == normal}
        ways = {form: self._spaced(form) for form in casings}
        single |= {way for way in ways.values() if len(way) == 1 and way[0] != self._tokenizer.unk_token_id}
        if not single and not ways[own]:
            raise BadData(f"The tokenizer has no token for the target {shown(word)}.")
        return tuple(sorted(single)) or (ways[own],)

    def word_initial_pieces(self, word: str) -> tuple[int, ...]:
        """The ids that begin `word` behind a space: the first pieces of `whole_word`."""
        return tuple(sorted({way[0] for way in self.whole_word(word)}))

    def whole_word_at(self, prefix: str) -> bool:
        """Whether what comes behind the text `prefix` is written as a word of its own: behind white space, and at the
        beginning of a text where the vocabulary marks its first word."""
        if not self._marked:
            return False
        return (
            prefix[-1:].isspace() or self._marked == "everywhere" or (not prefix and self._marked == "from the start")
        )

    def _spaced(self, word: str) -> Ids:
        text = word if self._marked == "from the start" else " " + word
        ids: list[int] = encoded(lambda: self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return tuple(map(int, ids))

    def _as_entry(self, word: str) -> tuple[Ids, ...] | None:
        """The id of a word that is spelled as an entry with a mark of its place in a word; None for any other."""
        own = word.strip()
        if not own.startswith((*WORD_START_MARKS, CONTINUES_MARK)) and not own.endswith(WORD_END_MARK):
            return None
        found = self._ids_by_entry.get(own)
        return None if found is None or len(own) < 2 else ((found,),)

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
