"""One spelling of names and words: what a person cannot see, or never means, makes no other class, column or word.

Class names are trimmed, in Unicode's form NFC, without invisible characters and the marks of a quotation around them;
words keep their form, and the joiners that some scripts write with. Knows text; no table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

JOINERS = frozenset("\u200c\u200d")
"""Written within words of Persian, Hindi and others, and within emoji."""


SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Say how the character before them looks, such as an emoji."""
UNSEEN = SELECTORS | set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Fillers and selectors that are letters, marks or symbols by their category, and seen by nobody."""
QUOTATIONS = frozenset(('""', "''", "“”", "„“", "‚‘", "‘’", "’’", "””", "«»", "»«", "‹›", "「」", "『』", "``"))
"""Marks that open and close what somebody quoted."""
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


def is_invisible(character: str) -> bool:
    """Whether it is a mark that is not seen: zero width, soft hyphen, direction, byte order, control, filler."""
    is_mark = unicodedata.category(character) in ("Cf", "Cc") or character in UNSEEN
    return is_mark and not character.isspace()


def without_invisible(text: str) -> str:
    """The same without marks that are not seen; a joiner between characters beyond ASCII stays, as does a
    selector behind a symbol."""
    if text.isascii() and text.isprintable():
        return text
    kept = []
    for place, character in enumerate(text):
        around = text[place - 1 : place] + text[place + 1 : place + 2]
        joins = character in JOINERS and len(around) == 2 and not any(map(str.isascii, around))
        joins = joins or (
            place > 0 and character in SELECTORS and unicodedata.category(text[place - 1]).startswith("S")
        )
        if joins or not is_invisible(character):
            kept.append(character)
    return "".join(kept)


def class_name(text: str) -> str:
    """A class as it is compared and shown: `"\\ufeffM\\u00a0" -> "M"`; white space within it is one space, and a number
    that a program took for a fraction is whole, `"1.0" -> "1"`."""
    plain = unicodedata.normalize("NFC", " ".join(_unquoted(without_invisible(text).strip()).split()))
    whole = _WHOLE.fullmatch(plain)
    return plain if whole is None else whole[1]


def same_class(name: str, known: Iterable[str]) -> str:
    """How `known` spells the class: exactly so, else as the only one that is the same class; `name` where none is."""
    names = list(known)
    alike = [] if name in names else [one for one in names if class_name(one) == class_name(name)]
    return alike[0] if len(alike) == 1 else name


def word(text: str) -> str:
    """A word without what is not seen, and without white space and the marks of a quotation around it."""
    return _unquoted(without_invisible(text).strip())


def _unquoted(text: str) -> str:
    """What stands between the marks of a quotation, or in Excel's `="..."`; any other text as it is."""
    inner = text[1:] if text.startswith('="') else text
    while len(inner) > 2 and inner[0] + inner[-1] in QUOTATIONS and not {inner[0], inner[-1]} & set(inner[1:-1]):
        inner = inner[1:-1].strip()
    return inner if inner and inner != text[1:] else text


def column_key(name: str) -> str:
    """What two spellings of a column have in common: `" Label_Class " -> "label_class"`, "labelClass" too, in letters
    of full width and as Turkish programs change the case of an i."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", without_invisible(name)))
    plain = parts.casefold().replace("i\u0307", "i").replace("ı", "i")
    return re.sub(r"[\W_]+", "_", plain).strip("_")


def is_same_column(name: str, other: str) -> bool:
    """Whether two names mean the same column, which is also "labelclass" for "label_class"."""
    keys = [column_key(one).replace("_", "") for one in (name, other)]
    return bool(keys[0]) and keys[0] == keys[1]


def same_column(wanted: str, names: Sequence[str]) -> str | None:
    """The column called `wanted`: exactly so, else the only one that differs in case, spaces or what is not seen."""
    if wanted in names:
        return wanted
    alike = [name for name in names if is_same_column(name, wanted)]
    return alike[0] if len(alike) == 1 else None


def suggested_class(name: str, known: Sequence[str], words: Mapping[str, Collection[str]]) -> str | None:
    """The known class that `name` most likely means: the same but for case, the only one that begins as it does or
    that it begins as, or the only one that has it as a word; None where that is not clear."""
    key = _without_case(name)
    for alike in (
        [one for one in known if _without_case(one) == key],
        [one for one in known if _begins(key, _without_case(one))],
        [one for one in known if key in {own.casefold() for own in words.get(one, ())}],
    ):
        if len(alike) == 1:
            return alike[0]
    return None


def _without_case(name: str) -> str:
    return unicodedata.normalize("NFKC", class_name(name)).casefold()


def _begins(key: str, other: str) -> bool:
    return bool(key and other) and not key.isdigit() and (key.startswith(other) or other.startswith(key))


def cased_like(word: str, pattern: str) -> str:
    """`word` in the casing of `pattern`: all lower, ALL UPPER or Title; any other casing leaves it alone."""
    if pattern.islower():
        return word.lower()
    if pattern.isupper():
        return word.upper()
    if pattern[:1].isupper() and pattern[1:].islower():
        return word.title()
    return word
