"""Reading JSON that strangers wrote: bounded before it is parsed, plain after.

What comes out has bounded depth and size, no name twice in one object, no text that cannot be written as UTF-8, and no
whole number beyond 64 bits (larger ones become floats, infinite ones where they have to). NaN stays NaN: records of a
training hold it. Knows files and values; not what they mean.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import is_broken, shown
from gradiend_ui.engine.files.file_names import regular_bytes

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_VALUES = 600_000
"""As many values take at most some 100 MB of memory and a second."""
BUDGET_BYTES = 8 * 1024 * 1024
"""Of one file, where all files together are bounded."""
MAX_LEVELS = 64
MAX_TEXT = 100_000
_DIGITS = 18


class _Budget:
    """left: values that may still be read; read: what was read already, by its whole content."""

    def __init__(self, values: int) -> None:
        self.left = values
        self.read: dict[bytes, Any] = {}


_BUDGET: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def reading_at_most(values: int) -> Iterator[None]:
    """While the block runs, all files that `read_json` reads hold at most so many values together; the same content is
    read once. One within another changes nothing."""
    token = _BUDGET.set(_BUDGET.get() or _Budget(values))
    try:
        yield
    finally:
        _BUDGET.reset(token)


def read_json(
    path: Path, *, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_VALUES, max_text: int = MAX_TEXT
) -> Any:
    """The content of a JSON file; not to be changed. Raises OSError, or ValueError with a reason in a few words."""
    budget = _BUDGET.get()
    if budget is None:
        return parse_json(regular_bytes(path, max_bytes), max_values=max_values, max_text=max_text)
    content = regular_bytes(path, min(max_bytes, BUDGET_BYTES))
    key = hashlib.blake2b(content, salt=max_text.to_bytes(8, "little")).digest()
    if key not in budget.read:
        if _count(content) > budget.left:
            raise ValueError(
                f"its {_count(content):,} values are more than are read of all files of an upload together"
            )
        budget.left -= _count(content)
        budget.read[key] = parse_json(content, max_values=max_values, max_text=max_text)
    return budget.read[key]


def object_at(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one for anything else, and where there is none."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def parse_json(content: bytes, *, max_values: int = MAX_VALUES, max_text: int = MAX_TEXT) -> Any:
    """The value that the bytes (UTF-8, with or without a mark) stand for; max_text: characters of one text in it.
    Raises ValueError with a reason."""
    if _count(content) > max_values:
        raise ValueError(f"it holds more than {max_values:,} values")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start:,} is no UTF-8 text") from error
    try:
        value = json.loads(text, object_pairs_hook=_named_once, parse_int=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it breaks off or is wrong at line {error.lineno:,}, character {error.colno:,}") from error
    _check_plain(value, max_text)
    return value


def _count(content: bytes) -> int:
    """At least as many as the values in it, roughly."""
    return sum(map(content.count, (b",", b"[", b"{")))


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {shown(twice)} occurs twice in one object")
    return result


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _check_plain(value: object, max_text: int) -> None:
    """Raises ValueError for what is nested too deep and for texts that are too long or cannot be written."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        item, level = waiting.pop()
        if isinstance(item, str):
            check_text(item, max_text)
        elif isinstance(item, (dict, list)):
            if level >= MAX_LEVELS:
                raise ValueError(f"it is nested deeper than {MAX_LEVELS} levels")
            if isinstance(item, dict):
                waiting.extend((name, level) for name in item)
            waiting.extend((inside, level + 1) for inside in (item.values() if isinstance(item, dict) else item))


def check_text(text: str, most: int = MAX_TEXT) -> None:
    """Raises ValueError for a text that is too long, holds a zero byte, or half of a character."""
    if len(text) > most:
        raise ValueError(f"it holds a text of {len(text):,} characters, at most {most:,} are read")
    if "\x00" in text:
        raise ValueError("it holds a text with a zero byte")
    if is_broken(text):
        raise ValueError("it holds a text with half a character (a lone surrogate)")
