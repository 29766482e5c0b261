"""Clearing up the data folder of a server: at its start, then every hour in a thread of its own.

What goes is decided in `server.leftovers`. Also gives the server its folder for files on their way to and from
browsers: a new one each time, so that all in it is this server's. Knows no page.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe

from gradiend_ui.engine.errors import Failed, GradiendUIError
from gradiend_ui.engine.files.whole_or_absent import reason_of
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.store import Store
from gradiend_ui.server.leftovers import CACHE, UPLOAD_SECONDS, Tidied, drop, drop_old_runs, tidy, used_uploads

log = logging.getLogger(__name__)
SECONDS_BETWEEN = 3600.0
PATIENCE_SECONDS = 5.0


class Housekeeping:
    """public: on a server of strangers, runs that rested for long go too, and uploads that only opened a model."""

    def __init__(self, store: Store, data_dir: Path, public: bool) -> None:
        self._store, self._data_dir, self._public = store, data_dir, public
        self._made = Inventory(store, data_dir)
        self._cache: Path | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Clear up now, while nobody works in the folder, and hourly from then on."""
        self._clear_up(at_start=True)
        self._thread.start()

    @property
    def cache(self) -> Path:
        """The folder of this server for what passes through, made when it is first asked for. Raises Failed."""
        if self._cache is None:
            self._cache = self._made_cache()
        return self._cache

    def _made_cache(self) -> Path:
        try:
            return self._made.folder(self._made.home / CACHE / token_urlsafe(12), "cache")
        except OSError as error:
            raise Failed(
                f"The folder for downloads could not be made in the data folder: {reason_of(error)}. Move what is "
                "in the way, or choose another --data-dir."
            ) from error

    def close(self) -> None:
        """Begin no more clearing up, wait a little for one that is going on, and empty what passed through."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)
        if self._cache is not None:
            with suppress(GradiendUIError):  # the next start does it
                drop(self._made, self._cache)

    def tidy(self, now: float, *, at_start: bool = False) -> Tidied:
        """One round. Raises Failed when the store cannot be read: nothing of the uploads is removed then."""
        if self._public:
            drop_old_runs(self._store, now)
        since = now - UPLOAD_SECONDS if self._public else 0.0
        used = used_uploads(self._store, self._data_dir, since)
        return tidy(self._made, now, used, at_start=at_start, cache=self._cache)

    def _go_on(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN):
            self._clear_up(at_start=False)

    def _clear_up(self, *, at_start: bool) -> None:
        try:
            done = self.tidy(time.time(), at_start=at_start)
        except (GradiendUIError, OSError) as error:
            log.warning("the data folder could not be cleared up: %s", error)
            return
        if done.removed or done.restored:
            log.info("cleared away %d things (%d bytes), restored %s", len(done.removed), done.bytes, done.restored)
