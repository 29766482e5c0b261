"""How the likeliest tokens of a comparison are written: as a person reads them, with their mark where it matters.

A vocabulary that marks words ("Ġshe") has entries that look alike without their mark, and only some of them count for
a class at a mask. Knows one tokenizer; no model and no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gradiend_ui.engine.base.base_model import Tokenizer
from gradiend_ui.engine.scoring.lms_measure import spelled
from gradiend_ui.engine.scoring.targets import TargetVocabulary

GOES_ON = "…"
"""In front of an entry without a mark, which continues a word, where a class counts the marked one."""


@dataclass(frozen=True)
class TokenNames:
    """words: of all classes; whole_word: whether the mask's word is read as one of its own."""

    tokenizer: Tokenizer
    words: tuple[str, ...]
    whole_word: bool

    def of(self, token: int) -> str:
        """The token without its mark; with it where it looks like a class's word and does not count as one here."""
        name = spelled(self.tokenizer, token)
        if name.lower() not in self._plain or token in self._counted:
            return name
        entry = str(self.tokenizer.convert_ids_to_tokens(token))
        return entry if entry.lower() != name.lower() else GOES_ON + name

    @cached_property
    def _plain(self) -> frozenset[str]:
        return frozenset(word.strip().lower() for word in self.words)

    @cached_property
    def _counted(self) -> frozenset[int]:
        vocabulary = TargetVocabulary(self.tokenizer)
        first = vocabulary.word_initial_pieces if self.whole_word else vocabulary.first_pieces
        return frozenset(token for word in self.words for token in first(word))
