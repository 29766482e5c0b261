"""Tables of replaced characters as SentencePiece writes them: a Darts-clone trie made here, of `unicodedata`'s NFKC.

What `real_charsmap` gives has the form and the size of the table that T5, XLM-RoBERTa, ALBERT and most others carry.
"""

from __future__ import annotations

import base64
import struct
import sys
import unicodedata
from collections.abc import Mapping
from functools import cache

LEAF, VALUE, BLOCK = 1 << 8, 1 << 31, 256


@cache
def real_charsmap() -> str:
    """Every character that NFKC changes, and what it puts together of two or three, in base64."""
    changes = {"\u200b": " ", "\u00ad": ""}
    for number in range(1, sys.maxunicode + 1):
        character = chr(number)
        if 0xD800 <= number < 0xE000:
            continue
        if (made := unicodedata.normalize("NFKC", character)) != character:
            changes[character] = made
        if (parts := unicodedata.normalize("NFD", character)) != character and made == character:
            changes[parts] = character
    return charsmap(changes)


def charsmap(changes: Mapping[str, str]) -> str:
    """The table of {text: its replacement} in base64."""
    places, replacements = dict[str, int](), b""
    for value in sorted(set(changes.values())):
        places[value] = len(replacements)
        replacements += value.encode() + b"\x00"
    units = trie({key.encode(): places[value] for key, value in changes.items()})
    packed = struct.pack(f"<{len(units)}I", *units)
    return base64.b64encode(struct.pack("<I", len(packed)) + packed + replacements).decode()


def trie(values: Mapping[bytes, int]) -> list[int]:
    """A double array: see `gradiend_ui.engine.uploads.tokenizer_steps` for its units."""
    units, used = [0] * BLOCK, bytearray(BLOCK)
    used[0] = 1
    free, bases = 1, set[int]()
    waiting: list[tuple[int, bytes]] = [(0, b"")]
    following: dict[bytes, list[int]] = {}
    for key in values:
        for end in range(len(key)):
            following.setdefault(key[:end], []).append(key[end])
    while waiting:
        at, prefix = waiting.pop()
        labels = sorted(set(following.get(prefix, ())))
        wanted = [0, *labels] if prefix in values else labels
        while free < len(used) and used[free]:
            free += 1
        free = max(free, len(units) - 2 * BLOCK)  # what is still free far behind seldom fits
        base = _room(wanted, used, free, bases)
        bases.add(base)
        while base | (BLOCK - 1) >= len(units):
            units += [0] * BLOCK
            used += bytearray(BLOCK)
        units[at] |= (at ^ base) << 10 | (LEAF if prefix in values else 0)
        assert at ^ base < 1 << 21
        for label in wanted:
            used[base ^ label] = 1
            units[base ^ label] = label if label else VALUE | values[prefix]
        waiting += [(base ^ label, prefix + bytes([label])) for label in labels]
    return units


def _room(wanted: list[int], used: bytearray, free: int, bases: set[int]) -> int:
    """The first place whose followers `wanted` are all free, and that no other follows from."""
    place = free
    while True:
        base = place ^ wanted[0]
        if base not in bases and all(base ^ label >= len(used) or not used[base ^ label] for label in wanted):
            return base
        place += 1
