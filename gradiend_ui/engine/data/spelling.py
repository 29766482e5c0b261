"""One spelling of names and words: what a person cannot see, or never means, makes no other class, column or word.

Class names are trimmed, in Unicode's form NFC and without invisible characters; words keep their form, and the joiners
that some scripts write with. Knows text; no table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

JOINERS = frozenset("\u200c\u200d")
"""Written within words of Persian, Hindi and others, and within emoji."""


def is_invisible(character: str) -> bool:
    """Whether it is a mark that is not seen: zero width, soft hyphen, direction, byte order, control."""
    return unicodedata.category(character) in ("Cf", "Cc") and not character.isspace()


def without_invisible(text: str) -> str:
    """The same without marks that are not seen; a joiner between characters beyond ASCII stays."""
    if text.isascii() and text.isprintable():
        return text
    kept = []
    for place, character in enumerate(text):
        around = text[place - 1 : place] + text[place + 1 : place + 2]
        joins = character in JOINERS and len(around) == 2 and not any(map(str.isascii, around))
        if joins or not is_invisible(character):
            kept.append(character)
    return "".join(kept)


def class_name(text: str) -> str:
    """A class as it is compared and shown: `"\\ufeffM\\u00a0" -> "M"`; white space within it is one space."""
    return unicodedata.normalize("NFC", " ".join(without_invisible(text).split()))


def word(text: str) -> str:
    """A word without what is not seen and without white space around it."""
    return without_invisible(text).strip()


def column_key(name: str) -> str:
    """What two spellings of a column have in common: `" Label_Class " -> "label_class"`."""
    plain = unicodedata.normalize("NFC", without_invisible(name)).casefold()
    return re.sub(r"[^\w]+", "_", plain).strip("_")


def same_column(wanted: str, names: Sequence[str]) -> str | None:
    """The column called `wanted`: exactly so, else the only one that differs in case, spaces or what is not seen."""
    if wanted in names:
        return wanted
    alike = [name for name in names if column_key(name) == column_key(wanted)] if column_key(wanted) else []
    return alike[0] if len(alike) == 1 else None


def suggested_class(name: str, known: Sequence[str], words: Mapping[str, Collection[str]]) -> str | None:
    """The known class that `name` most likely means: the same but for case, the only one that begins as it does or
    that it begins as, or the only one that has it as a word; None where that is not clear."""
    key = class_name(name).casefold()
    for alike in (
        [one for one in known if class_name(one).casefold() == key],
        [one for one in known if _begins(key, class_name(one).casefold())],
        [one for one in known if key in {own.casefold() for own in words.get(one, ())}],
    ):
        if len(alike) == 1:
            return alike[0]
    return None


def _begins(key: str, other: str) -> bool:
    return bool(key and other) and (key.startswith(other) or other.startswith(key))
