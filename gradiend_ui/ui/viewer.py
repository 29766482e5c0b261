"""What each open page looks at: the options that move the winner, the chosen cell, and which follower may speak.

Plain ids and values in a bounded table, keyed by Gradio's session hash. A page's newest follower silences the older
ones, so that one page never has two. Knows nothing of grids or widgets.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

MOST_VIEWERS = 5000
FEW = 2
"""So many followers are served at full speed; more share it."""


@dataclass(frozen=True)
class View:
    """`chosen` is (feature factor, learning rate), None means: follow the best cell.

    `shows` is what the maps show ("": what the goal decides by); `compared` is what the sentences on the page answer;
    `pinned` are the cells A to D that stay beside the base: they belong to the run and go with it. `nth` orders the
    page's selections: they travel side by side and may overtake each other.
    """

    run: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    chosen: tuple[float, float] | None = None
    shows: str = ""
    follower: int = 0
    compared: tuple[Any, ...] | None = None
    pinned: tuple[tuple[float, float], ...] = ()
    nth: float = 0.0


class Viewers:
    """The open pages of this server; safe to use from several threads."""

    def __init__(self) -> None:
        self._views: OrderedDict[str, View] = OrderedDict()
        self._following = 0
        self._lock = threading.Lock()

    def get(self, page: str) -> View:
        with self._lock:
            return self._views.get(page, View())

    def change(self, page: str, **changes: Any) -> View:
        with self._lock:
            old = self._views.get(page, View())
            if changes.get("run", old.run) != old.run:
                changes = {"pinned": (), **changes}
            view = replace(old, **changes)
            self._views[page] = view
            self._views.move_to_end(page)
            while len(self._views) > MOST_VIEWERS:
                self._views.popitem(last=False)
            return view

    def choose(self, page: str, nth: float, chosen: tuple[float, float] | None) -> View | None:
        """Take over the page's `nth` selection; None, and nothing taken over, where a newer one was here first."""
        with self._lock:
            old = self._views.get(page, View())
            if nth < old.nth:
                return None
            self._views[page] = view = replace(old, chosen=chosen, nth=nth)
            self._views.move_to_end(page)
            return view

    def begin_to_follow(self, page: str, run: str) -> int:
        """A number that stays the page's current one until the next call."""
        with self._lock:
            old = self._views.get(page, View())
            self._views[page] = replace(old, run=run, follower=old.follower + 1)
            return old.follower + 1

    def may_follow(self, page: str, follower: int) -> bool:
        with self._lock:
            return page in self._views and self._views[page].follower == follower

    @contextmanager
    def following(self) -> Iterator[None]:
        """Count a follower while the block runs."""
        with self._lock:
            self._following += 1
        try:
            yield
        finally:
            with self._lock:
                self._following -= 1

    @property
    def crowd(self) -> float:
        """How much longer each follower waits between two looks, so that all together cost no more than a few: >= 1."""
        return max(1.0, self._following / FEW)

    def forget(self, page: str) -> None:
        with self._lock:
            self._views.pop(page, None)
