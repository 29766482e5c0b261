"""Which of many equal lines of a log are worth writing: a stranger can bring about as many as they like.

One of each kind within an hour, of so many kinds. Knows no logger.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

HOUR, MOST_KINDS = 3600.0, 100
CHANGING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+")
"""What differs between two sentences of one kind: quoted values, and numbers."""


def kind_of(sentence: str) -> str:
    """What is the same in all sentences that differ in their values only."""
    return CHANGING.sub("…", sentence)


class Seldom:
    """Asked before each line. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, kind: str) -> bool:
        """Whether to write one of this kind: none was written within the hour, nor lines of `MOST_KINDS` others."""
        with self._lock:
            now = self._clock()
            while self._said and now - next(iter(self._said.values())) >= HOUR:
                self._said.popitem(last=False)
            if kind in self._said or len(self._said) >= MOST_KINDS:
                return False
            self._said[kind] = now
            return True
