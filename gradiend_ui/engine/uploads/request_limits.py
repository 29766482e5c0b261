"""How much data one request may have planned, so that it keeps nobody waiting: a number of items and of characters, and
the time that a tokenizer spends on them.

Knows sequences; not what they hold, and no tokenizer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gradiend_ui.engine.errors import TooLarge

Item = TypeVar("Item")
SIZE_WORDS = {
    "cells": "cells", "rows": "evaluation rows", "texts": "neutral texts",
    "characters": "characters in its rows and texts",
}  # fmt: skip


@dataclass(frozen=True)
class Extent:
    """items: rows, or texts. characters: of all of them."""

    items: int
    characters: int

    def part_of(self, items: Sequence[Item], length: Callable[[Item], int]) -> tuple[Item, ...]:
        """At most so many of the items, at equal distances, and of those at most so many characters; one at least."""
        count = min(self.items, len(items))
        chosen = [items[int((place + 0.5) * len(items) / count)] for place in range(count)]
        taken: list[Item] = []
        left = self.characters
        for item in chosen:
            left -= length(item)
            if left < 0 and taken:
                break
            taken.append(item)
        return tuple(taken)


PLANNED = Extent(1000, 200_000)
"""Of a stranger's rows and of their texts, before a sweep."""


ENCODING_SECONDS, ENCODED_AT_ONCE = 5.0, 20_000
"""Seconds of the processor for all texts of a request: a million characters take a published tokenizer about one. After
so many characters it is looked at; one text of a stranger has at most as many."""


@dataclass
class _Encoding:
    """left: seconds that the tokenizer still has in this request."""

    left: float


_encoding: ContextVar[_Encoding | None] = ContextVar("encoding", default=None)


@contextmanager
def encoding_limited() -> Iterator[None]:
    """What is done inside may spend `ENCODING_SECONDS` on turning texts into tokens, all of them together."""
    token = _encoding.set(_Encoding(ENCODING_SECONDS))
    try:
        yield
    finally:
        _encoding.reset(token)


def encoded(encode: Callable[[], Item]) -> Item:
    """What `encode`, which turns a text into tokens, gives. Raises TooLarge where the time for that is used up."""
    limit = _encoding.get()
    if limit is None:
        return encode()
    began = time.process_time()
    found = encode()
    limit.left -= time.process_time() - began
    if limit.left < 0:
        raise TooLarge(
            "Turning the rows, texts and words of this request into tokens takes too long here: it may take a few "
            "seconds. Take fewer or shorter rows and texts, fewer words for each class, the tokenizer of a published "
            "model, or run the app on your own machine."
        )
    return found


def encoded_in_turn(texts: Sequence[str], encode: Callable[[Sequence[str]], list[list[int]]]) -> list[list[int]]:
    """Every text's token ids: of all at once, or where the time is limited of a few at a time. Raises TooLarge."""
    if _encoding.get() is None:
        return encode(texts)
    return [ids for part in _parts(texts) for ids in encoded(partial(encode, part))]


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """One after the other, each of one text or of at most `ENCODED_AT_ONCE` characters."""
    start = characters = 0
    for place, text in enumerate(texts):
        if place > start and characters + len(text) > ENCODED_AT_ONCE:
            yield texts[start:place]
            start, characters = place, 0
        characters += len(text)
    yield texts[start:]


def check_size(most: Mapping[str, Any], **counts: int) -> None:
    """Whether a sweep is of a size that this server takes; a kind without a limit may be any. Raises TooLarge."""
    for kind, count in counts.items():
        if count > most.get(kind, count):
            raise TooLarge(
                f"The sweep has {count:,} {SIZE_WORDS[kind]}, and this server takes at most {most[kind]:,}: take "
                "fewer, or run the app on your own machine."
            )
