"""Where a Chromium lies, how the tests and programs start it, and browsers that tests borrow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--no-zygote",
    "--js-flags=--single-threaded-gc",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No other machine is found by its name. Without a zygote, and with one thread that collects garbage, a page costs a
quarter less of two cores."""
MISSING = "No Chromium was found: install one, or name it in the environment variable CHROMIUM."


def chromium(installed: str | None = None) -> str | None:
    """The one named by CHROMIUM, else on the path, else `installed` (Playwright's own); None where there is none."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), installed)
    return path if path and Path(path).exists() else None


class Browsers:
    """Browsers of people, of which none knows what another one keeps. They are lent to one test after the other and
    emptied in between; what they have compiled they keep: a page costs two thirds of what it costs in a new one.

    start: a new one, which has one page.
    """

    def __init__(self, start: Callable[[], BrowserContext]) -> None:
        self._start = start
        self._free: list[BrowserContext] = []
        self._all: list[BrowserContext] = []

    @contextmanager
    def lent(self, timeout: float) -> Iterator[BrowserContext]:
        """timeout: milliseconds that its pages wait for anything."""
        if not self._free:
            self._free.append(self._start())
            self._all.extend(self._free)
        context = self._free.pop()
        context.set_default_timeout(timeout)
        visited: set[str] = set()

        def watch(page: Page) -> None:
            page.on("framenavigated", lambda frame: visited.add("{0.scheme}://{0.netloc}".format(urlsplit(frame.url))))

        context.on("page", watch)
        try:
            yield context
        finally:
            context.remove_listener("page", watch)
            self._empty(context, visited)
            self._free.append(context)

    def _empty(self, context: BrowserContext, visited: set[str]) -> None:
        first, *others = context.pages
        for page in others:
            page.close()
        context.clear_cookies()
        context.clear_permissions()
        session = context.new_cdp_session(first)
        for origin in visited:
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        session.detach()

    def close(self) -> None:
        for context in self._all:
            context.close()
