"""The steps of a stranger's tokenizer.json: how much longer, how slowly they make a text, how much they put around it.

A tokenizer changes a text (normalizer), cuts it (pre_tokenizer), finds its tokens (model) and puts others around it
(post_processor, padding). All that these say is bounded here before the library has it.

One of them carries a table of replaced characters (SentencePiece's "precompiled_charsmap"). In base64: four bytes with
the size of a trie (Darts-clone, units of four bytes, little-endian), the trie, and the replacements, each ended by a
zero byte. The library follows it without looking where it leads. Knows the JSON and these bytes; no library, no words.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradiend_ui.engine.errors import BadBase, TooLarge, shown
from gradiend_ui.engine.uploads.tokenizer_patterns import read_pattern

MOST_BYTES = 2**20
"""Of one table. That of XLM-RoBERTa, T5 and most others (nmt_nfkc) has 240,007."""
MOST_TABLE_TEXT = 4 * MOST_BYTES // 3 + 4
"""Characters of one in base64."""
MOST_REPLACEMENT = 64
"""Bytes of one replacement. The longest of nmt_nfkc has 33."""
MOST_KEY = 256
LEAF, OFFSET_IN_BLOCKS, VALUE = 1 << 8, 1 << 9, 1 << 31
SIZE, UNIT, BLOCK = 4, 4, 256


@dataclass(frozen=True, slots=True)
class Charsmap:
    """entries: how many texts it replaces; growth: characters of its longest replacement; longest: what that replaces,
    "" where nothing does."""

    entries: int
    growth: int
    longest: str


def read_charsmap(text: object, place: str) -> Charsmap:
    """Raises BadBase for a table that is not whole or leads out of itself, TooLarge for one beyond those of models."""
    if not isinstance(text, str):
        raise BadBase(f"{place} must be a text in base64: save the tokenizer again.")
    if len(text) > MOST_TABLE_TEXT:
        raise TooLarge(f"{place} holds {len(text):,} characters; at most {MOST_TABLE_TEXT:,} are read here.")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadBase(f"{place} is no base64 ({error}): save the tokenizer again.") from error
    size = int.from_bytes(content[:SIZE], "little")
    if len(content) <= SIZE + size or size % (UNIT * BLOCK) or not size:
        raise _damaged(place, f"its trie should have {size:,} bytes")
    units = array("I", content[SIZE : SIZE + size])
    if sys.byteorder == "big":
        units.byteswap()
    return _walked(units, _replacements(content[SIZE + size :], place), place)


def _damaged(place: str, reason: str) -> BadBase:
    return BadBase(f"{place} is no whole table of characters ({reason}): save the tokenizer again.")


def _replacements(content: bytes, place: str) -> dict[int, str]:
    """{where it begins: replacement}."""
    if not content.endswith(b"\x00"):
        raise _damaged(place, "its last replacement has no end")
    found, at = dict[int, str](), 0
    for piece in content[:-1].split(b"\x00"):
        if len(piece) > MOST_REPLACEMENT:
            raise TooLarge(
                f"{place} replaces a character by {len(piece):,} bytes; at most {MOST_REPLACEMENT} are read here: take "
                "the tokenizer of a published model."
            )
        try:
            found[at] = piece.decode()
        except UnicodeDecodeError as error:
            raise _damaged(place, "a replacement is no UTF-8 text") from error
        at += len(piece) + 1
    return found


def _walked(units: array[int], replacements: dict[int, str], place: str) -> Charsmap:
    """Follows every way through the trie once, as the library does for a text.

    A unit holds the byte it stands for, whether a key ends there, and how far away (xor) its followers lie; the unit at
    that place itself holds the key's value, the others lie at it xor their byte.
    """
    followers: dict[int, list[int]] = {}
    for at, unit in enumerate(units):
        if unit < VALUE and unit & 0xFF:
            followers.setdefault(at ^ (unit & 0xFF), []).append(at)
    waiting, seen = [(0, b"")], set[int]()
    entries, growth, longest = 0, 1, b""
    while waiting:
        at, key = waiting.pop()
        unit = units[at]
        base = at ^ ((unit >> 10) << (8 if unit & OFFSET_IN_BLOCKS else 0))
        if base >= len(units) or len(key) > MOST_KEY:  # units lie in blocks, so that all followers are inside, too
            raise _damaged(place, "its trie leads out of itself")
        if unit & LEAF:
            value = replacements.get(units[base] & (VALUE - 1))
            if value is None:
                raise _damaged(place, "it names a replacement that is not there")
            entries += 1
            if len(value) > growth:
                growth, longest = len(value), key
        if base not in seen:
            seen.add(base)
            waiting.extend((follower, key + bytes([units[follower] & 0xFF])) for follower in followers.get(base, ()))
    return Charsmap(entries, growth, longest.decode(errors="ignore"))


MOST_STEPS, MOST_GROWTH, MOST_SCANS = 200, 64, 8
"""Steps of one kind; how many times longer they may make a text together; expressions whose work grows with the square
of a text, which none of the known tokenizers has more than five of."""
MOST_GROWTH_SCANNED = 2
"""How many times longer a text may be where there are such expressions."""
AGAIN = {"NFKC": 18, "NFKD": 18, "ByteLevel": 4, "Metaspace": 2}
"""What a step makes of one character at most. Once is what a letter takes; it counts where it comes again, or where an
earlier step makes texts longer."""
NUMBERS: Mapping[str, tuple[float, float]] = {
    "max_input_chars_per_word": (1, 1000), "dropout": (0, 0), "max_length": (1, 2**31), "stride": (0, 2**31),
    "pad_to_multiple_of": (1, 1024), "Fixed": (1, 32_768), "length": (1, 2**31), "start": (0, 64), "stop": (0, 64),
    "nbest_size": (0, 64), "alpha": (0, 1), "cache_capacity": (0, 100_000),
}  # fmt: skip
"""{name: (least, most)} of the numbers in a tokenizer.json beside its words; the other ones are numbers of tokens. With
a dropout, a text would have other tokens each time, and a long one would take minutes."""
OTHER_NUMBERS = (0, 2**31)
MOST_TEXT, MOST_MARK, MOST_AROUND = 10_000, 64, 64
"""Characters of a text in a step and of one in the model; tokens put around a text."""
WORDS = ("vocab", "merges")


@dataclass
class Steps:
    """What is found out on the way through the steps: growth of a text so far, kinds of steps that came already,
    expressions whose work grows with the square of a text, and samples: texts that these are to be tried with."""

    growth: float = 1.0
    scans: int = 0
    kinds: set[str] = field(default_factory=set)
    samples: dict[str, None] = field(default_factory=dict)


def check_steps(content: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Raises BadBase or TooLarge for a tokenizer.json whose steps could cost more than those of models; gives texts,
    one to eight characters long, that long runs of are worth trying."""
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"):
        _check_plain(content.get(name), f"{where}: {name}")
    model = content.get("model") or {}
    _check_plain({name: one for name, one in model.items() if name not in WORDS}, f"{where}: model", MOST_MARK)
    before = Steps()
    for name in ("normalizer", "pre_tokenizer"):
        _follow(content.get(name), before, f"{where}: {name}")
    _check_growth(before, where)
    after = Steps()
    _follow(content.get("decoder"), after, f"{where}: decoder")
    _check_growth(after, f"{where}: decoder")
    _check_around(content.get("post_processor"), f"{where}: post_processor")
    _check_stride(content.get("truncation"), f"{where}: truncation")
    return tuple(before.samples)


def _check_growth(steps: Steps, where: str) -> None:
    if steps.growth > MOST_GROWTH:
        raise TooLarge(
            f"{where} replaces texts by ever longer ones, up to {steps.growth:,.0f} times as long; at most "
            f"{MOST_GROWTH} times are read here: that is no tokenizer's work."
        )
    if steps.scans > MOST_SCANS or (steps.scans and steps.growth > MOST_GROWTH_SCANNED):
        raise TooLarge(
            f"{where} holds {steps.scans:,} ways of its regular expressions that may read a text again from each "
            f"place, after making it {steps.growth:,.0f} times as long; at most {MOST_SCANS} are read here, and "
            f"{MOST_GROWTH_SCANNED} times: take the tokenizer of a published model."
        )


def _steps(value: object) -> Iterator[Mapping[str, Any]]:
    """The steps within, in the order in which they are applied."""
    if isinstance(value, Mapping):
        yield value
        value = [inside for name, inside in value.items() if name != "pattern"]
    for item in value if isinstance(value, list) else ():
        yield from _steps(item)


def _follow(part: object, steps: Steps, place: str) -> None:
    """Adds what the steps of a part do."""
    every = list(_steps(part))
    if len(every) > MOST_STEPS:
        raise TooLarge(f"{place} has {len(every):,} steps, or replaces many texts; at most {MOST_STEPS} are read here.")
    for step in every:
        kind = step.get("type")
        if not isinstance(kind, str):
            raise BadBase(f"{place} holds {shown(step)} without its type: save the tokenizer again.")
        if kind in AGAIN:
            steps.growth *= AGAIN[kind] if kind in steps.kinds or steps.growth > MOST_GROWTH_SCANNED else 1
        if "precompiled_charsmap" in step:
            steps.growth *= read_charsmap(step["precompiled_charsmap"], f"{place}.precompiled_charsmap").growth
        if isinstance(step.get("prepend"), str):
            steps.growth *= 1 + len(step["prepend"])
        if "pattern" in step:
            _follow_pattern(step, steps, place)
        steps.kinds.add(kind)


def _follow_pattern(step: Mapping[str, Any], steps: Steps, place: str) -> None:
    pattern = step["pattern"]
    content = step["content"] if isinstance(step.get("content"), str) else ""
    sought = pattern.get("String") if isinstance(pattern, Mapping) else pattern
    expression = pattern.get("Regex") if isinstance(pattern, Mapping) else None
    if isinstance(expression, str):
        known = read_pattern(expression, place)
        steps.scans += known.scans
        steps.samples.update(dict.fromkeys(known.samples))
        steps.growth *= max(1, len(content) + known.matches_nothing * bool(content))
    elif isinstance(sought, str):
        steps.growth *= max(1.0, len(content) / max(1, len(sought)))


def _check_plain(value: object, place: str, most_text: int = MOST_TEXT) -> None:
    """Raises for numbers and texts beyond those of tokenizers, and for a step that does not say what it is."""
    waiting: list[tuple[object, str]] = [(value, "")]
    while waiting:
        item, name = waiting.pop()
        if isinstance(item, Mapping):
            waiting.extend((inside, key) for key, inside in item.items())
        elif isinstance(item, list):
            waiting.extend((inside, name) for inside in item)
        elif isinstance(item, str) and name != "precompiled_charsmap" and len(item) > most_text:
            raise TooLarge(f"{place}.{name} holds {len(item):,} characters; at most {most_text:,} are read here.")
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            least, most = NUMBERS.get(name, OTHER_NUMBERS)
            if not (math.isfinite(item) and least <= item <= most):
                limit = f"a number from {least:,} to {most:,}" if least < most else f"{least:,}"
                raise BadBase(f"{place}: {name} must be {limit}, not {shown(item)}: save the tokenizer with it.")


def _check_around(part: object, place: str) -> None:
    """Raises where more tokens than those of models are put around a text, or the text comes twice."""
    count = 0
    for step in _steps(part):
        tokens = step.get("special_tokens")
        tokens = tokens if isinstance(tokens, Mapping) else {}
        for pieces in (step.get("single"), step.get("pair")):
            if isinstance(pieces, str):
                raise BadBase(f"{place} must list its pieces, not say {shown(pieces)}: save the tokenizer again.")
            pieces = [piece for piece in _list(pieces) if isinstance(piece, Mapping)]
            texts = [piece["Sequence"] for piece in pieces if isinstance(piece.get("Sequence"), Mapping)]
            named = [piece["SpecialToken"] for piece in pieces if isinstance(piece.get("SpecialToken"), Mapping)]
            known = [tokens.get(name["id"]) for name in named if isinstance(name.get("id"), str)]
            count += sum(len(_list(one.get("ids"))) for one in known if isinstance(one, Mapping))
            if len({str(text.get("id")) for text in texts}) < len(texts):
                raise BadBase(f"{place} repeats the text itself: that is no tokenizer's work.")
    if count > MOST_AROUND:
        raise TooLarge(f"{place} puts {count:,} tokens around a text; at most {MOST_AROUND} are read here.")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_stride(truncation: object, place: str) -> None:
    """Raises where the parts of a long text overlap so much that they are many times as long together."""
    if isinstance(truncation, Mapping):
        length, stride = truncation.get("max_length"), truncation.get("stride")
        if isinstance(length, int) and isinstance(stride, int) and stride and stride > length * 3 // 4:
            raise BadBase(f"{place}: stride must be at most 3/4 of max_length ({length:,}), not {stride:,}.")
