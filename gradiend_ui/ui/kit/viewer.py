"""What each open page looks at: the options that move the winner, the chosen cell, which follower may speak, and
whether the page has shown that it may control its run.

Plain ids and values in a bounded table, keyed by Gradio's session hash. A page's newest follower silences the older
ones, so that one page never has two. Knows nothing of grids or widgets.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gradiend_ui.engine.answers.run import SelectOptions
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.server.door.roles import CONTROLLING

MOST_VIEWERS = 5000
FEW = 2
"""So many followers are served at full speed; more share it."""


@dataclass(frozen=True)
class View:
    """`chosen` is (feature factor, learning rate), None means: follow the best cell.

    `version` grows with each change of the others, `opened` whenever a model or run is opened: of two answers to a page
    the one to the newer view holds, whatever way they come. `shows` is what the maps show ("": what the goal decides
    by); `compared` is what the sentences on the page answer, `comparing` what they were asked last; `pinned` are the
    cells A to D that stay beside the base: they belong to the run and go with it. `nth` orders the page's selections:
    they travel side by side and may overtake each other. `role` is what the page is to its run (see `door.roles`), ""
    while nobody has asked; `owner` whether it is open on the machine of a local server. Both say what is shown, not
    what is allowed.
    """

    version: int = 0
    opened: int = 0
    run: str = ""
    options: SelectOptions = field(default_factory=SelectOptions)
    chosen: tuple[float, float] | None = None
    shows: str = ""
    follower: int = 0
    compared: tuple[object, bool] | None = None
    comparing: tuple[object, bool] | None = None
    pinned: tuple[tuple[float, float], ...] = ()
    nth: float = 0.0
    role: str = ""
    owner: bool = False

    @property
    def controls(self) -> bool:
        """Whether the page's buttons for its run are of use."""
        return self.owner or self.role in CONTROLLING


class Viewers:
    """The pages of this server; safe to use from several threads.

    open_pages: those that are open now; None where nobody knows, and every page counts as open.
    """

    def __init__(self, open_pages: Container[object] | None = None) -> None:
        self._open = open_pages
        self._views: Memory[View] = Memory(MOST_VIEWERS)
        self._followed: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._last = 0

    def get(self, page: str) -> View:
        with self._lock:
            return self._views.get(page) or View()

    def known(self, page: str) -> View:
        """As `get`; a page that was forgotten, or has opened nothing yet, has a version from now on."""
        with self._lock:
            return self._views.get(page) or self._kept(page, self._of(page))

    def change(self, page: str, **changes: Any) -> View:
        with self._lock:
            old = self._of(page)
            if changes.get("run", old.run) != old.run:
                changes = {"pinned": (), "role": "", **changes}
            return self._kept(page, old, **changes)

    def open(self, page: str, run: str, options: SelectOptions) -> View:
        """Another model or run, or the same one anew: nothing that was asked before it is shown any more."""
        with self._lock:
            opened = self._number()
        return self.change(page, run=run, options=options, chosen=None, compared=None, opened=opened)

    def choose(self, page: str, nth: float, chosen: tuple[float, float] | None) -> View | None:
        """Take over the page's `nth` selection; None, and nothing taken over, where a newer one was here first."""
        with self._lock:
            old = self._of(page)
            if nth < old.nth:
                return None
            return self._kept(page, old, chosen=chosen, nth=nth)

    def begin_to_follow(self, page: str, run: str) -> int:
        """A number that stays the page's current one until the next call."""
        with self._lock:
            old = self._of(page)
            role = old.role if old.run == run else ""
            return self._kept(page, old, run=run, role=role, follower=old.follower + 1).follower

    def _of(self, page: str) -> View:
        return self._views.get(page) or View(opened=self._number())

    def _kept(self, page: str, old: View, **changes: Any) -> View:
        view = replace(old, **changes)
        if view != old or not view.version:
            view = replace(view, version=self._number())
        self._views.keep(page, view)
        return view

    def _number(self) -> int:
        """Larger than any before, of whatever page; a time, so that it is after the server has begun anew, too."""
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        return self._last

    def may_follow(self, page: str, follower: int) -> bool:
        with self._lock:
            view = self._views.look(page)
            return view is not None and view.follower == follower

    @contextmanager
    def following(self, page: str, run: str) -> Iterator[None]:
        """Count the page among those that follow the run while the block runs."""
        with self._lock:
            self._followed[page, run] += 1
        try:
            yield
        finally:
            with self._lock:
                self._followed[page, run] -= 1
                if not self._followed[page, run]:
                    del self._followed[page, run]

    def watching_beside(self, page: str, run: str) -> int:
        """How many other open pages follow the run; for the owner of a local server their own others do not count.

        A follower may outlive its page: one that closes between asking for the run and listening is not noticed by
        Gradio before the run's end.
        """
        with self._lock:
            others = {other for other, followed in self._followed if followed == run and other != page}
            others = {other for other in others if self.is_open(other)}
            if not self._owns(page):
                return len(others)
            return sum(not self._owns(other) for other in others)

    def _owns(self, page: str) -> bool:
        view = self._views.look(page)
        return view is not None and view.owner

    def is_open(self, page: str) -> bool:
        return self._open is None or page in self._open

    @property
    def crowd(self) -> float:
        """How much longer each follower waits between two looks, so that all together cost no more than a few: >= 1."""
        return max(1.0, self._followed.total() / FEW)

    def forget(self, page: str) -> None:
        with self._lock:
            self._views.drop(page)
