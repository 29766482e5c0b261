"""How much one visitor, and all of them together, may ask of this server; and counting what is under way.

Knows no engine and no page. A visitor is a short name that `visitors` gives; "" is the one person of a local server.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gradiend_ui.engine.errors import Busy
from gradiend_ui.engine.files.logs import HOUR
from gradiend_ui.engine.values import MEGABYTE
from gradiend_ui.engine.worker.turns import Places


@dataclass(frozen=True)
class Quotas:
    """The limits of one server. `_each`: of one visitor; the same without it: of all together.

    runs: sweeps queued or going on. cells, rows, texts, characters: of one sweep; texts are neutral ones, characters of
    both. exports: being written. uploads: being taken in. kept_bytes: of all uploads, unpacked. table_bytes: of one
    table. streams: open connections. pages_each: opened within an hour; loads_each: models read in another way or
    brought, within an hour. kept_loads: loaded models that no sweep uses, of which the oldest go. waiting: requests for
    the worker that were not answered yet; sent: those of them that it has already.
    body_bytes: one request. upload_bytes: one file.
    """

    runs: int
    runs_each: int
    cells: int
    rows: int
    texts: int
    characters: int
    exports: int
    exports_each: int
    uploads: int
    uploads_each: int
    streams: int
    streams_each: int
    pages_each: int
    loads_each: int
    kept_loads: int
    waiting: int
    waiting_each: int
    sent: int
    sent_each: int
    kept_bytes: int
    table_bytes: int
    body_bytes: int
    upload_bytes: int

    @property
    def sweep_size(self) -> dict[str, int]:
        """How large one sweep may be."""
        return {"cells": self.cells, "rows": self.rows, "texts": self.texts, "characters": self.characters}

    @property
    def turns(self) -> dict[str, int]:
        """How many sweeps may be queued or going on."""
        return {"runs": self.runs, "runs_each": self.runs_each}


LOCAL = Quotas(
    runs=100,
    runs_each=100,
    cells=10_000,
    rows=200_000,
    texts=200_000,
    characters=2**31,
    exports=4,
    exports_each=4,
    uploads=8,
    uploads_each=8,
    streams=1000,
    streams_each=1000,
    pages_each=100_000,
    loads_each=100_000,
    kept_loads=100_000,
    waiting=64,
    waiting_each=64,
    sent=64,
    sent_each=64,
    kept_bytes=1024**4,
    table_bytes=256 * MEGABYTE,
    body_bytes=256 * MEGABYTE,
    upload_bytes=16 * 1024 * MEGABYTE,
)
"""One person on their own machine: only what would be a mistake is refused."""
PUBLIC = Quotas(
    runs=40,
    runs_each=8,
    cells=1000,
    rows=2000,
    texts=2000,
    characters=1_000_000,
    exports=3,
    exports_each=2,
    uploads=4,
    uploads_each=2,
    streams=2000,
    streams_each=500,
    pages_each=300,
    loads_each=120,
    kept_loads=500,
    waiting=64,
    waiting_each=12,
    sent=4,
    sent_each=1,
    kept_bytes=20 * 1024 * MEGABYTE,
    table_bytes=32 * MEGABYTE,
    body_bytes=8 * MEGABYTE,
    upload_bytes=2 * 1024 * MEGABYTE,
)
"""Strangers, known by their address: a whole class may sit behind one."""


def places_of(quotas: Quotas) -> Places:
    """How many requests for the worker may wait and be sent."""
    return Places(quotas.waiting, quotas.waiting_each, quotas.sent, quotas.sent_each)


class Hourly:
    """So many times of something within an hour for each visitor. Safe to use from several threads."""

    def __init__(self, what: str, most_each: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._most_each, self._clock = what, most_each, clock
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def count(self, visitor: str) -> None:
        """One more time. Raises Busy when it was as often as may be within the last hour."""
        with self._lock:
            since = self._clock() - HOUR
            for name in [name for name, times in self._times.items() if times[-1] <= since]:
                del self._times[name]
            own = self._times.get(visitor, deque())
            while own and own[0] <= since:
                own.popleft()
            if len(own) >= self._most_each:
                raise Busy(
                    f"{len(own)} of your {self._what} came within an hour, and at most {self._most_each} may: go on "
                    "with a model that is open, or wait."
                ).known_as("load.hourly", own=len(own), most=self._most_each)
            own.append(self._clock())
            self._times[visitor] = own


class Slots:
    """Places for work that is under way: so many of one visitor, so many of all. Safe to use from several threads."""

    def __init__(self, what: str, most: int, most_each: int) -> None:
        self._what, self._most, self._most_each = what, most, most_each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, visitor: str) -> Iterator[None]:
        """Hold a place while the block runs. Raises Busy when none is free."""
        self.take(visitor)
        try:
            yield
        finally:
            self.give_back(visitor)

    def take(self, visitor: str) -> None:
        """Raises Busy when no place is free."""
        with self._lock:
            if self._taken[visitor] >= self._most_each:
                raise Busy(
                    f"{self._taken[visitor]} of your {self._what} are under way, and at most {self._most_each} may be "
                    "at once: wait until one is done."
                ).known_as(f"page.own_{self._what}", own=self._taken[visitor], most=self._most_each)
            if self._taken.total() >= self._most:
                told = Busy(f"{self._taken.total()} {self._what} are under way, as many as this server does at once.")
                raise told.known_as(f"page.all_{self._what}", count=self._taken.total())
            self._taken[visitor] += 1

    def give_back(self, visitor: str) -> None:
        with self._lock:
            self._taken[visitor] -= 1
            if self._taken[visitor] <= 0:
                del self._taken[visitor]
