"""Trying a stranger's tokenizer before the worker meets it: whole, with its own words, quick, and no longer than texts.

Runs in the confined process (see `taken_in`), where time and memory are limited. Knows the library; no model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradiend_ui.engine.checked_json import read_json
from gradiend_ui.engine.clean_model import check_tokenizer
from gradiend_ui.engine.errors import BadBase, TooLarge

MAX_TOKENIZER_BYTES, MAX_TOKENIZER_VALUES = 128 * 1024 * 1024, 6_000_000
PATTERNS, MAX_PATTERN, MOST_PATTERNS, MOST_CHARACTERS = ("Regex", "String", "content", "prepend"), 2000, 200, 400
TRIAL_CHARACTERS, MOST_GROWTH, MOST_REPLACED, SPARE_TOKENS = 400, 16, 64, 64
"""Texts that a tokenizer is tried with, and how many times longer it may make them: a letter is at most a few bytes."""


@contextmanager
def without_torch() -> Iterator[None]:
    """Inside, transformers finds no PyTorch, unless it is here already: tokenizers need none, and it takes 400 MB."""
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch"]


def check_words(path: Path, where: str) -> None:
    """Raises BadBase or TooLarge unless the file is a whole tokenizer that tokenizes odd texts in time."""
    from tokenizers import Tokenizer

    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise TooLarge(f"{where} is larger than {MAX_TOKENIZER_BYTES // 2**20} MB.")
    try:
        content = read_json(path, max_bytes=MAX_TOKENIZER_BYTES, max_values=MAX_TOKENIZER_VALUES)
    except ValueError as error:
        raise BadBase(f"{where} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BadBase(f"{where} must hold a JSON object.")
    check_tokenizer(content, where)
    patterns = _patterns(content, where)
    del content
    try:
        tokenizer = Tokenizer.from_file(str(path))
        for text in _trial_texts(patterns):
            spelled = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
            if max(len(spelled), len(tokenizer.encode(text).ids)) > MOST_GROWTH * len(text) + SPARE_TOKENS:
                raise TooLarge(
                    f"{where} makes {len(spelled):,} characters of {len(text):,}: that is no tokenizer's work."
                )
    except TooLarge:
        raise
    except BaseException as error:  # the library panics where a file contradicts itself
        if isinstance(error, (MemoryError, KeyboardInterrupt, SystemExit)):
            raise
        raise BadBase(f"{where} cannot be read by the tokenizers library: {str(error)[:200]}.") from error


def _patterns(value: object, where: str) -> list[str]:
    """What a tokenizer.json looks for and what it puts in its place. Raises TooLarge where that makes texts longer."""
    waiting, found, growth = [value], dict[str, None](), 1.0
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            texts = [item[name] for name in PATTERNS if isinstance(item.get(name), str) and item[name]]
            found.update(dict.fromkeys(text[:MAX_PATTERN] for text in texts))
            growth *= max(1.0, _growth(item))
            waiting.extend(inside for name, inside in item.items() if name not in ("vocab", "merges", "added_tokens"))
        elif isinstance(item, list):
            waiting.extend(item)
    if len(found) > MOST_PATTERNS or growth > MOST_REPLACED:
        raise TooLarge(f"{where} replaces texts by ever longer ones, or many of them: that is no tokenizer's work.")
    return list(found)


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer a replacing step may make a text."""
    pattern, content = step.get("pattern"), step.get("content")
    if not isinstance(pattern, Mapping) or not isinstance(content, str):
        return 1.0
    sought = pattern.get("String")
    return len(content) / max(1, len(sought)) if isinstance(sought, str) else float(len(content))


def _trial_texts(patterns: Sequence[str]) -> Iterator[str]:
    """Long runs of each pattern and of each character of one, with an end that does not fit: what takes exponential
    time or grows with every step is found here, where time and memory are limited, and not in the worker."""
    characters = dict.fromkeys(character for pattern in patterns for character in pattern if character.isprintable())
    for piece in dict.fromkeys([*" a1.\n", *list(characters)[:MOST_CHARACTERS], *patterns]):
        yield piece * (TRIAL_CHARACTERS // len(piece) + 1) + "\u2603!"
