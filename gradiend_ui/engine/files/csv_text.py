"""The one writer of comma-separated files: a text cell never begins a formula, a number stays a number.

A spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula, some also after spaces, quotes or
invisible characters, or in full-width letters. Such a text gets an apostrophe in front, which spreadsheets read as
"this is text". Knows nothing of what the cells say.
"""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterable
from typing import Any

Value = str | float | int | bool | None
SIGNS = frozenset("=+-@\u2212")
LEADING_CONTROLS = ("\t", "\r", "\n")
QUOTES = frozenset('"`\u00b4\u2018\u2019\u201c\u201d\u00ab\u00bb')


def csv_text(lines: Iterable[Iterable[Any]], line_end: str = "\n") -> str:
    """The lines as one csv; cells as in `cell`."""
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end).writerows([cell(value) for value in line] for line in lines)
    return out.getvalue()


def cell(value: Any) -> Value:
    """A number as it is, "" for what is not known (None, not finite), and any other value as a harmless text."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value if isinstance(value, int | float) else harmless(str(value))


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet could take it for a formula."""
    return f"'{text}" if text.startswith(LEADING_CONTROLS) or _begins_formula(text) else text


def _begins_formula(text: str) -> bool:
    """Whether the first character that is seen and is no quotation mark is a formula's, whatever its width."""
    for character in text:
        plain = unicodedata.normalize("NFKC", character)
        if not plain.isspace() and plain.isprintable() and plain not in QUOTES:
            return plain[0] in SIGNS
    return False
