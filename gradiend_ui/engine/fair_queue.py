"""Whose sweep comes next: visitors take turns, and everybody's own sweeps keep their order. Knows no store, no page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    never) comes first, then the one who waits longest. served: {visitor: when a sweep of theirs last had the lane}.
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
