"""The queue of sweeps: visitors take turns, and everybody's own sweeps keep their order.

Knows no page and no worker; whoever sweeps asks for the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gradiend_ui.engine.errors import Busy
from gradiend_ui.engine.store.runs import Runs

_WITH_VISITOR = "LEFT JOIN run_visitors ON run_visitors.run = runs.id"


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


class Queue(Runs):
    """The runs that wait, and their order."""

    def position(self, run: str) -> int:
        """How many runs are in front of a queued run; 0 for any other."""
        order = self._queue()
        return order.index(run) + self._count("running") if run in order else 0

    def next_queued(self) -> str | None:
        """The run whose turn it is, None when nobody waits."""
        return next(iter(self._queue()), None)

    def active_runs(self, visitor: str | None = None) -> int:
        """How many runs are queued or running: those of one visitor, None counts all."""
        query = f"SELECT COUNT(*) FROM runs {_WITH_VISITOR} WHERE state IN ('queued', 'running')"
        if visitor is None:
            return int(self._one(query, ())[0])
        return int(self._one(f"{query} AND COALESCE(visitor, '') = ?", (visitor,))[0])

    def _queue(self) -> list[str]:
        """The queued runs, next one first (see `fair_order`)."""
        waiting = self._all(
            f"SELECT id, COALESCE(visitor, ''), queued FROM runs {_WITH_VISITOR} WHERE state = 'queued'"
        )
        if len(waiting) < 2:
            return [row[0] for row in waiting]
        served = self._all(
            f"SELECT COALESCE(visitor, ''), MAX(queued) FROM runs {_WITH_VISITOR} WHERE state != 'queued' GROUP BY 1"
        )
        return fair_order([Waiting(*row) for row in waiting], dict(served))

    def _count(self, state: str) -> int:
        return int(self._one("SELECT COUNT(*) FROM runs WHERE state = ?", (state,))[0])
