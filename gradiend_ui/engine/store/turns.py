"""Whose turn it is: among sweeps that wait, and among requests that wait for the worker.

Whose sweep comes next: visitors take turns, and everybody's own sweeps keep their order. Knows no store, no page.

Who asks, and whose turn it is among those who wait for the worker.

The visitor's name travels with the thread or task that works for them: it is set at the edge, where the request is
known, and read where a request is sent to the worker. Knows no request of Gradio and no process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, TypeVar

from gradiend_ui.engine.errors import Busy


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued run. visitor: whose it is, "" on a server for one person; since: when it was queued, in seconds."""

    run: str
    visitor: str
    since: float


def fair_order(waiting: Iterable[Waiting], served: Mapping[str, float]) -> list[str]:
    """The runs in the order in which they will be swept.

    Every visitor's first run comes before anybody's second. Between visitors, the one who was served longest ago (or
    never) comes first, then the one who waits longest. served: {visitor: when a sweep of theirs last had the worker}.
    """
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, float, float, str]] = []
    for item in sorted(waiting, key=lambda one: (one.since, one.run)):
        ranked.append((seen[item.visitor], served.get(item.visitor, 0.0), item.since, item.run))
        seen[item.visitor] += 1
    return [run for *_, run in sorted(ranked)]


def check_turn(own: int, together: int, most: Mapping[str, int]) -> None:
    """Whether one more sweep may be queued, beside `own` of this visitor and all `together`. Raises Busy.

    most: {"runs_each", "runs"}; one that is missing is no limit.
    """
    if own >= most.get("runs_each", own + 1):
        raise Busy(
            f"{own} of your sweeps are waiting or going on, and at most {most['runs_each']} may: let one finish, or "
            "stop one."
        ).known_as("sweep.turns_own", own=own, most=most["runs_each"])
    if together >= most.get("runs", together + 1):
        told = Busy(f"{together} sweeps are waiting, as many as this server takes: try again in a while.")
        raise told.known_as("sweep.turns_all", count=together)


Item = TypeVar("Item")
ASIDE = "aside"
"""What a worker answers first where it works at a request beside others: the next one may come."""
_VISITOR: ContextVar[str] = ContextVar("visitor", default="")


@contextmanager
def asked_by(visitor: str) -> Iterator[None]:
    """While the block runs, what is asked for is asked for by this visitor; "" is the one person of a local server."""
    token = _VISITOR.set(visitor)
    try:
        yield
    finally:
        _VISITOR.reset(token)


def who_asks() -> str:
    """The visitor that the code which runs now works for."""
    return _VISITOR.get()


@dataclass(frozen=True)
class Places:
    """waiting: requests for the worker that were not answered yet; sent: those of them that the worker has already.

    `_each`: of one visitor; the same without it: of all together.
    """

    waiting: int = 64
    waiting_each: int = 64
    sent: int = 64
    sent_each: int = 64


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Item]):
    """round: in which round of turns it is due; each visitor has one request in each."""

    round: int
    visitor: str
    item: Item


class Turns(Generic[Item]):
    """Requests that wait, in rounds: each visitor who waits has one turn in each, who comes anew is due in this one.

    So many requests of one visitor never stand in front of another's single one. Not for several threads at once.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._waiting: list[_Waiting[Item]] = []
        self._round = 0
        self._last: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._busy = 0
        self._kept: dict[str, int] = {}

    def __len__(self) -> int:
        """How many are not answered yet: waiting, sent, or set aside."""
        return sum(self._kept.values())

    def add(self, visitor: str, item: Item) -> None:
        """Let `item` wait. Raises Busy when this visitor, or all together, have no place left."""
        own = self._kept.get(visitor, 0)
        if own >= self._places.waiting_each:
            raise Busy(
                f"{own} of your requests are waiting for the model, and at most {self._places.waiting_each} may: wait "
                "until one is answered."
            ).known_as("page.waiting_own", own=own, most=self._places.waiting_each)
        if len(self) >= self._places.waiting:
            told = Busy(f"{len(self)} requests are waiting for the model: try again in a moment.")
            raise told.known_as("page.waiting_all", count=len(self))
        self._kept[visitor] = own + 1
        self._last = {name: number for name, number in self._last.items() if number >= self._round}
        due = max(self._round, self._last.get(visitor, -1) + 1)
        self._last[visitor] = due
        self._waiting.append(_Waiting(due, visitor, item))

    def next(self) -> Item | None:
        """The request to send now, None when nobody waits or may send; it counts as sent."""
        may = [one for one in self._waiting if self._sent.get(one.visitor, 0) < self._places.sent_each]
        if self._busy >= self._places.sent or not may:
            return None
        chosen = min(may, key=lambda one: one.round)
        self._waiting.remove(chosen)
        self._round = max(self._round, chosen.round)
        self._sent[chosen.visitor] = self._sent.get(chosen.visitor, 0) + 1
        self._busy += 1
        return chosen.item

    def aside(self) -> None:
        """A sent request no longer keeps the worker from others'; for its own visitor it still counts as sent."""
        self._busy -= 1

    def answered(self, visitor: str, *, aside: bool = False) -> None:
        """A sent request of this visitor is done with; aside: it was set aside before."""
        _less(self._kept, visitor)
        _less(self._sent, visitor)
        self._busy -= 0 if aside else 1

    def give_up(self, visitor: str, item: Item) -> bool:
        """Let `item` wait no longer; False where it was sent already."""
        found = next((one for one in self._waiting if one.item is item), None)
        if found is None:
            return False
        self._waiting.remove(found)
        _less(self._kept, visitor)
        return True

    def drain(self) -> list[Item]:
        """Everything that waits and was not sent, which then waits no longer."""
        left, self._waiting = self._waiting, []
        for one in left:
            _less(self._kept, one.visitor)
        return [one.item for one in left]


def _less(counts: dict[str, int], visitor: str) -> None:
    counts[visitor] = counts.get(visitor, 0) - 1
    if counts[visitor] <= 0:
        del counts[visitor]
