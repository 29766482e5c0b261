"""Logs of a server that anybody can write to: of many equal lines one of a kind within an hour, of so many kinds.

A stranger can bring about as many lines as they like. A line's kind is the place in the program that wrote it, and the
error in it, whatever a visitor put into its text. Our own modules ask `Seldom` themselves; for the libraries a filter
does. Knows Python's logging; not what is served.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import traceback
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


OWN = __name__.partition(".")[0]
OF_THE_SERVER = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
"""Loggers that write by handlers of their own and not by the root's."""


class OneOfAKind(logging.Filter):
    """Lets through what a person shall read: of the libraries' warnings and errors each kind seldom."""

    def __init__(self, is_news: Seldom) -> None:
        super().__init__()
        self._is_news = is_news

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or record.name.partition(".")[0] == OWN:
            return True
        return self._is_news(kind_of_record(record))


def kind_of_record(record: logging.LogRecord) -> str:
    """Where the line was written, and which error it tells from where."""
    kind = f"{record.name} {record.pathname}:{record.lineno}"
    if not record.exc_info or record.exc_info[0] is None:
        return kind
    frames = traceback.extract_tb(record.exc_info[2])
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    return f"{kind} {record.exc_info[0].__name__} {where}"


def keep_log_short(is_news: Seldom | None = None) -> OneOfAKind:
    """Have this process write of each kind of line one an hour; to be called once its server's handlers are there.

    A root logger without handlers gets one, so that no library brings its own.
    """
    short = OneOfAKind(is_news or Seldom())
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.addFilter(short)
        root.addHandler(handler)
    for name in OF_THE_SERVER:
        for writes in logging.getLogger(name).handlers:
            writes.addFilter(short)
    return short
