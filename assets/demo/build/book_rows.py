"""Sentences of books with one word masked: what a row of any feature is made of. Knows documents, no feature."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from assets.demo.build.corpus import Document
from assets.demo.build.words import words_of

MASK = "[MASK]"
MOST_SENTENCES = 3
SHORTEST, LONGEST = 8, 44


@dataclass(frozen=True)
class Window:
    """Consecutive sentences of one document, lower case, their words, and which sentences of all they are."""

    source: str
    text: str
    words: tuple[str, ...]
    sentences: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Masked:
    """A text with one word masked. label: that word; kind: what `balanced` draws equally many of."""

    source: str
    text: str
    label: str
    kind: str


def windows(documents: Iterable[Document], rng: random.Random) -> list[Window]:
    """Every one to three sentences in a row with 8 to 44 words, without quotation marks, shuffled."""
    found: list[Window] = []
    for number, document in enumerate(documents):
        for first in range(len(document.sentences)):
            for count in range(1, MOST_SENTENCES + 1):
                if first + count > len(document.sentences):
                    break
                text = " ".join(document.sentences[first : first + count]).lower()
                words = tuple(words_of(text))
                if SHORTEST <= len(words) <= LONGEST and '"' not in text:
                    places = frozenset((number, place) for place in range(first, first + count))
                    found.append(Window(document.source, re.sub(r"\s+([,;.!?])", r"\1", text), words, places))
    rng.shuffle(found)
    return found


def masked_windows(
    found: Iterable[Window], place_of: Callable[[Sequence[str]], tuple[int, str] | None]
) -> Iterator[Masked]:
    """Each window whose `place_of` (word index, kind) is not None, masked there; no two share a sentence."""
    used: set[tuple[int, int]] = set()
    for window in found:
        place = place_of(window.words)
        if place is None:
            continue
        index, kind = place
        label = window.words[index]
        occurrence = window.words[:index].count(label)
        text = mask_word(window.text, label, occurrence)
        if text is None or window.sentences & used:
            continue
        used |= window.sentences
        yield Masked(window.source, text, label, kind)


def mask_word(text: str, word: str, occurrence: int) -> str | None:
    """The text with the given occurrence (from 0) of a whole word masked; None where an apostrophe follows it."""
    for number, match in enumerate(re.finditer(rf"(?<![a-z']){re.escape(word)}(?![a-z])", text)):
        if number == occurrence:
            after = text[match.end() : match.end() + 1]
            return None if after == "'" else text[: match.start()] + MASK + text[match.end() :]
    return None


def balanced(rows: Iterable[Masked], wanted: Mapping[str, int]) -> dict[str, list[Masked]]:
    """The first rows of each kind, as many as `wanted` says. Raises ValueError where there are fewer."""
    chosen: dict[str, list[Masked]] = {kind: [] for kind in wanted}
    for row in rows:
        if len(chosen.get(row.kind, ())) < wanted.get(row.kind, 0):
            chosen[row.kind].append(row)
    for kind, found in chosen.items():
        if len(found) < wanted[kind]:
            raise ValueError(f"The text gives {len(found)} rows of {kind!r} only, {wanted[kind]} are needed.")
    return chosen
