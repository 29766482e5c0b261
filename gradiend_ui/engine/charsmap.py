"""The table of replaced characters that SentencePiece's tokenizers carry ("precompiled_charsmap"), read and bounded.

In base64: four bytes with the size of a trie (Darts-clone, units of four bytes, little-endian), the trie, and the
replacements, each ended by a zero byte. The library follows it without looking where it leads. Knows these bytes; no
tokenizer.
"""

from __future__ import annotations

import base64
import binascii
import sys
from array import array
from dataclasses import dataclass

from gradiend_ui.engine.errors import BadBase, TooLarge

MOST_BYTES = 2**20
"""Of one table. That of XLM-RoBERTa, T5 and most others (nmt_nfkc) has 240,007."""
MOST_TEXT = 4 * MOST_BYTES // 3 + 4
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
    if len(text) > MOST_TEXT:
        raise TooLarge(f"{place} holds {len(text):,} characters; at most {MOST_TEXT:,} are read here.")
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
