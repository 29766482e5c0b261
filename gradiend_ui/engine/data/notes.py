"""What was noticed while a table was read, as sentences that scripts read and pages tell in their languages.

Knows nothing of tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradiend_ui.engine.errors import Text


@dataclass(frozen=True)
class Note:
    """sentence: in English, as scripts read it. text: the same in a page's languages."""

    sentence: str
    text: Text

    def __str__(self) -> str:
        return self.sentence

    def to_json(self) -> list[Any]:
        return [self.sentence, *json.loads(json.dumps(self.text))]


def notes_from(plain: Iterable[Sequence[Any]]) -> tuple[Note, ...]:
    """What `Note.to_json` made of them, in a process of its own."""
    return tuple(Note(str(sentence), (str(key), dict(values))) for sentence, key, values in plain)
