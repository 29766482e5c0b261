"""What a confined process hands back, in pieces: so that whoever asked needs little more memory than for the values.

The first line is the answer with its long lists left empty, each further one a part of such a list: where it belongs,
and some of its items. Whoever asked reads one line after another and keeps each text once. Plain JSON in UTF-8; knows
values, not what they mean.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

PART = 100
"""Items of a line."""
OF_A_TEXT = 100
"""Bytes of the entry that finds an equal text again."""
OF_A_NUMBER = 32


class TooLong(Exception):
    """The answer needs more memory than it may."""


def told(answer: Any, most: int) -> list[bytes]:
    """The lines of an answer, an object. most: bytes of memory that reading it may take: what comes in, twice while it
    comes, the values, and the longest text once more as bytes and as a line. Raises TooLong."""
    weight = _Weight(most)
    lines: list[bytes] = []
    for piece in _pieces(answer):
        weight.add(piece)
        lines.append(json.dumps(piece, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        weight.add_bytes(2 * len(lines[-1]))
    return lines


def heard(content: bytes) -> Any:
    """The answer that the lines stand for; equal texts of its lists are one. Raises ValueError for anything else."""
    lines = io.BytesIO(content)
    answer = _parsed(lines.readline())
    known: dict[str, str] = {}
    for line in lines:
        place, items = _parsed(line)
        target = answer
        for step in place:
            target = target[step]
        target.extend(_shared(item, known) for item in items)
    return answer


def _parsed(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


def _pieces(answer: Any) -> Iterator[Any]:
    cut: list[tuple[list[str | int], list[Any]]] = []
    yield _without_long_lists(answer, [], cut)
    for place, items in cut:
        for begin in range(0, len(items), PART):
            yield [place, items[begin : begin + PART]]


def _without_long_lists(value: Any, place: list[str | int], cut: list[tuple[list[str | int], list[Any]]]) -> Any:
    """The value with `[]` for each list of more than PART items, which goes to `cut` with its place."""
    if isinstance(value, dict):
        return {name: _without_long_lists(item, [*place, str(name)], cut) for name, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) > PART and place:
        cut.append((place, list(value)))
        return []
    return [_without_long_lists(item, [*place, number], cut) for number, item in enumerate(value)]


def _shared(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return known.setdefault(value, value)
    return [_shared(item, known) for item in value] if isinstance(value, list) else value


class _Weight:
    """Adds up what reading an answer takes."""

    def __init__(self, most: int) -> None:
        self._most, self._sum, self._longest = most, 0, 0
        self._seen: set[str] = set()

    def add(self, value: Any) -> None:
        """A value with all in it."""
        if isinstance(value, str):
            if value not in self._seen:
                self._seen.add(value)
                size = sys.getsizeof(value)
                self._longest = max(self._longest, size)
                self.add_bytes(size + OF_A_TEXT)
        elif isinstance(value, dict):
            self.add_bytes(sys.getsizeof(value))
            self._add_all([*value, *value.values()])
        elif isinstance(value, (list, tuple)):
            self.add_bytes(sys.getsizeof(value))
            self._add_all(value)
        elif value is not None and not isinstance(value, bool):
            self.add_bytes(OF_A_NUMBER)

    def _add_all(self, values: Sequence[Any]) -> None:
        for value in values:
            self.add(value)

    def add_bytes(self, count: int) -> None:
        self._sum += count
        if self._sum + 2 * self._longest > self._most:
            raise TooLong
