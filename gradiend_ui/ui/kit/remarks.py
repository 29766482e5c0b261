"""The engine's warnings in a page's language: sentences that are kept and sent in English, found again by their texts.

A warning may quote another one, a refusal, or a note on a table: these are told in the page's language, too, where they
have a text. Knows texts; no widget, no session.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache
from re import Pattern

from gradiend_ui.engine.answers.remarks import found_in, patterns_of, recognised
from gradiend_ui.ui.kit.words import FIRST_LANGUAGE, Words, texts_of

QUOTED = ("data.", "load.")
"""Sections with the refusals and notes that a warning may quote."""
LEAST_SAID = 20
"""Letters of its own that a quoted sentence has: less may be found in any sentence."""


def told_remark(sentence: str, words: Words) -> str:
    """A warning, or a sentence that one quotes, in the page's language; any other sentence itself."""
    warning = recognised(sentence)
    if warning is not None:
        code, values = warning
        return words(f"warnings.{code}", **{name: told_remark(value, words) for name, value in values.items()})
    quoted = found_in(sentence, _sentences())
    return sentence if quoted is None else words(quoted[0], **quoted[1])


@cache
def _sentences() -> Mapping[str, Pattern[str]]:
    """{key: what finds it} of the English texts that are whole sentences."""
    texts = {key: text for key, text in texts_of(FIRST_LANGUAGE).items() if key.startswith(QUOTED)}
    return patterns_of({key: text for key, text in texts.items() if text.endswith(".") and _said(text) > LEAST_SAID})


def _said(text: str) -> int:
    return sum(len(part) for part, *_ in string.Formatter().parse(text))
