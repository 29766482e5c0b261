"""Runs that stopped going on, and how they go on again: after a restart, a pause, a stop, a worker's death.

What a server's or a worker's end leaves behind is marked as interrupted. A resumed run is queued again; the sweep takes
the blocks that are scored from the store (`engine.sweep.run`). Knows states and turns, not who may ask (`roles`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from gradiend_ui.engine.answers.run import StateAnswer
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.store.queue import check_turn
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import GOING_STATES, RESUMABLE_STATES, Cell
from gradiend_ui.engine.worker.requests import FinishCell, Wake
from gradiend_ui.server.shared import Shared

log = logging.getLogger(__name__)
RESUMABLE = (*RESUMABLE_STATES, "failed")
SERVER_STOPPED = "The server was stopped while this run was going: resume it to go on."


def interrupt(store: Store, why: str = SERVER_STOPPED, states: Sequence[str] = GOING_STATES) -> None:
    """Mark runs as interrupted; where the store cannot be written any more, the next start does it."""
    try:
        store.interrupt_active(why, states)
    except GradiendUIError as error:
        log.warning("sweeps that were going could not be marked as interrupted: %s", error)


class Resuming:
    """Queues runs again, each in its visitor's turn."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._turns = threading.Lock()

    def resume(self, run: str) -> StateAnswer:
        """Queue the run again where it is not going on. Raises NotFound, Busy."""
        with self._turns:
            self._check_turn(run, RESUMABLE)
            state = self._shared.store.set_state(run, "queued", only_from=RESUMABLE)
        self._shared.worker.ask(Wake())
        return {"state": self._shared.store.revision(run)[1] if state == "queued" else state}

    def finish_cell(self, run: str, cell: Cell) -> StateAnswer:
        """Queue a finished search for the winner again for a cell that it skipped. Raises NotFound, BadGrid, Busy."""
        with self._turns:
            self._check_turn(run, ("finished",))
            return self._shared.worker.ask(FinishCell(run, cell))

    def _check_turn(self, run: str, states: Sequence[str]) -> None:
        """Whether the run, if it is in one of `states`, may be queued again. Raises NotFound, Busy."""
        store = self._shared.store
        if store.revision(run)[1] in states:
            check_turn(store.active_runs(store.visitor(run)), store.active_runs(), self._shared.quotas.turns)
