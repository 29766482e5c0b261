"""Clearing up the data folder of a server: at its start, then every hour in a thread of its own.

What goes is decided in `engine.leftovers`. Knows no page.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.leftovers import UPLOAD_SECONDS, Tidied, drop_old_runs, tidy, used_uploads
from gradiend_ui.engine.store import Store

log = logging.getLogger(__name__)
SECONDS_BETWEEN = 3600.0
PATIENCE_SECONDS = 5.0


class Housekeeping:
    """public: on a server of strangers, runs that rested for long go too, and uploads that only opened a model."""

    def __init__(self, store: Store, data_dir: Path, public: bool) -> None:
        self._store, self._data_dir, self._public = store, data_dir, public
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Clear up now, while nobody works in the folder, and hourly from then on."""
        self._clear_up(at_start=True)
        self._thread.start()

    def close(self) -> None:
        """Begin no more clearing up, and wait a little for one that is going on."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)

    def tidy(self, now: float, *, at_start: bool = False) -> Tidied:
        """One round. Raises Failed when the store cannot be read: nothing of the uploads is removed then."""
        if self._public:
            drop_old_runs(self._store, now)
        since = now - UPLOAD_SECONDS if self._public else 0.0
        used = used_uploads(self._store, self._data_dir, since)
        return tidy(self._data_dir, now, used, at_start=at_start)

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
