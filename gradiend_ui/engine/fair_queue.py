"""Whose sweep comes next: visitors take turns, and everybody's own sweeps keep their order. Knows no store, no page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


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
