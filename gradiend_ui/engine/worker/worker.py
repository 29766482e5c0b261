"""One device's work: the sweep in progress, and requests in between.

A plain object without processes or pipes: `answer` answers one request, `step` scores one block. The worker process
alternates the two, so that a click is answered during a sweep; tests and scripts may drive it directly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from gradiend_ui.engine.base.shared import while_unchanged
from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.engine.files.processes import NotYet
from gradiend_ui.engine.files.whole_or_absent import noting
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.run import Progress, run
from gradiend_ui.engine.uploads.request_limits import encoding_limited
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.worker import requests
from gradiend_ui.engine.worker.handlers import comparing, data, exporting, loading, sweeping
from gradiend_ui.engine.worker.handlers.sweeping import order_of, plan_by_todays_scorer, plan_smaller
from gradiend_ui.engine.worker.requests import Answer, Request
from gradiend_ui.engine.worker.resources import Resources

log = logging.getLogger(__name__)
PACE = 0.5
"""Seconds between two looks at an unfinished cell: a person sees no more, and each one costs."""
NO_MEMORY = "can't allocate memory"
"""What PyTorch says when the CPU's memory is used up."""

Handler = Callable[[Resources, Any], Any]
HANDLERS: Mapping[type[Request[Any]], Handler] = {
    requests.Load: loading.load,
    requests.Reload: loading.reload,
    requests.OpenFinished: loading.open_finished,
    requests.StartSweep: sweeping.start,
    requests.FinishCell: sweeping.finish_cell,
    requests.DeleteRun: sweeping.delete_run,
    requests.Compare: comparing.compare,
    requests.CompareAhead: comparing.compare_ahead,
    requests.CompareBase: comparing.compare_base,
    requests.Export: exporting.export,
    requests.DescribeExport: exporting.describe,
    requests.Pack: exporting.pack,
    requests.DescribeRows: data.describe_rows,
    requests.RejectedRows: data.rejected_rows,
    requests.ResolveTargets: data.resolve_targets,
    requests.DescribeNeutral: data.describe_neutral,
    requests.Wake: sweeping.wake,
}
"""What answers each request."""


class Worker:
    """Serves one device. `demo_folder` holds the bundled demo; exports go under `data_dir`."""

    def __init__(
        self, store: Store, data_dir: Path, demo_folder: Path, trust: Trust = LOCAL, *, waits: bool = True
    ) -> None:
        """waits: whether what takes a process of its own is waited for; else `answer` raises `processes.NotYet`."""
        self._resources = Resources(store, data_dir, demo_folder, trust, waits=waits)
        self._store, self._made = store, Inventory(store, data_dir)
        self._current: tuple[str, Iterator[Progress]] | None = None
        self._unsaid: dict[str, str] = {}
        self._begins: tuple[str, NotYet] | None = None

    def answer(self, request: Request[Answer]) -> Answer:
        """Answer one request by its handler; what it writes is noted.

        Raises GradiendUIError, and NotYet for one to be asked again.
        """
        handler: Callable[[Resources, Request[Answer]], Answer] = HANDLERS[type(request)]
        with noting(self._made), self._bounds():
            return handler(self._resources, request)

    def _bounds(self) -> AbstractContextManager[None]:
        """What limits one request, or a step of a sweep: how long a stranger's tokenizer may take."""
        return encoding_limited() if self._resources.trust.public else nullcontext()

    @property
    def waits(self) -> bool:
        """Whether a sweep begins as soon as its data is there."""
        return self._begins is not None

    def rest(self) -> None:
        """Nothing has been asked for a while: give back the memory of models, plans and tables; they are read again."""
        if self._current is None and self._begins is None:
            self._resources.forget()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def step(self) -> bool:
        """Score one block of the running or next queued run; False when nothing waits."""
        if self._unsaid:
            self._say_what_failed()
            if self._unsaid:
                return False
        if self._begins is not None:
            run_id, wanted = self._begins
            if not wanted.done.done() and self._store.is_running(run_id):
                return False
            self._begins = None
            if self._store.is_running(run_id):
                self._guarded(run_id, lambda: self._begin(run_id))
            return True
        if self._current is None:
            queued = self._store.next_queued()
            if queued is None or self._store.set_state(queued, "running", only_from=("queued",)) != "running":
                return False
            self._guarded(queued, lambda: self._begin(queued))
            return True
        run_id, progress = self._current
        if not self._store.is_running(run_id):
            self._current = None  # paused, stopped, interrupted: what is scored is kept; or deleted
            return True
        self._guarded(run_id, lambda: self._advance(run_id, progress))
        return True

    def _guarded(self, run_id: str, action: Any) -> None:
        """The one place that may catch everything: a failing run must not take the worker with it."""
        try:
            with self._bounds():
                action()
        except NotYet as wanted:
            self._begins = (run_id, wanted)
        except (MemoryError, torch.OutOfMemoryError) as error:
            self._out_of_memory(run_id, error)
        except GradiendUIError as error:
            self._fail(run_id, str(error))
        except Exception as error:
            if isinstance(error, RuntimeError) and NO_MEMORY in str(error):
                self._out_of_memory(run_id, error)
                return
            log.exception("run %s failed", run_id)
            self._fail(run_id, f"The sweep met an unexpected error ({type(error).__name__}): see the server's log.")

    def _out_of_memory(self, run_id: str, error: BaseException) -> None:
        """Begin anew with smaller blocks; where they cannot be smaller, the run has failed."""
        log.warning("run %s: out of memory: %s", run_id, error)
        self._current = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            with self._resources.beside.waiting(), self._bounds():
                planned = plan_smaller(self._resources, run_id)
        except GradiendUIError as refusal:
            self._fail(run_id, str(refusal))
            return
        except (MemoryError, RuntimeError) as again:  # not even the planning fits
            log.warning("run %s: planning again failed: %s", run_id, again)
            planned = False
        if not planned:
            self._fail(run_id, "The memory does not hold a single row beside this model: use a machine with more.")

    def _fail(self, run_id: str, sentence: str) -> None:
        self._current = None
        self._unsaid[run_id] = self._resources.trust.told(sentence)
        self._say_what_failed()

    def _say_what_failed(self) -> None:
        """Note why runs failed; what cannot be noted now, on a full disk for example, is noted later."""
        for run_id, sentence in list(self._unsaid.items()):
            try:
                self._store.set_state(run_id, "failed", only_from=("running",), error=sentence)
            except NotFound:
                pass  # deleted meanwhile
            except GradiendUIError as error:
                log.warning("run %s failed (%s), which could not be noted: %s", run_id, sentence, error)
                return
            del self._unsaid[run_id]

    def _begin(self, run_id: str) -> None:
        loaded = self._resources.checkpoint(self._store.run(run_id).checkpoint)
        plan = self._resources.plan(run_id)
        if plan_by_todays_scorer(self._resources, run_id, plan):
            return
        order = order_of(self._resources, run_id, plan)
        progress = run(plan, loaded.workspace, self._store, run_id, reuse=not plan.spec.again, order=order, pace=PACE)
        self._current = (run_id, while_unchanged(loaded.model.base, progress))

    def _advance(self, run_id: str, progress: Iterator[Progress]) -> None:
        if next(progress, None) is None:
            self._current = None
            self._store.set_state(run_id, "finished", only_from=("running",))
