"""Processes beside the one that sweeps: their jobs, their end, and the cores that they may use.

Work on files that takes its time is done in processes of their own while the process that sweeps goes on. Whoever needs
a value that is not there yet meets `NotYet` and comes again when its job is done; nobody waits here. Each job is one
call of `confined.run_confined`.

A process ends with the one that started it, whatever it is doing then: a worker looks at its pipe between two blocks
only, and for so long it would hold a device and its memory after its server was killed. It uses the cores that the
system grants it: a container on a large machine often may use few of its cores, and a thread for each of the others
only gets in the way. Knows jobs and files of the system; no torch, and not what a task does.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.files.confined import run_confined
from gradiend_ui.engine.files.machine_memory import GROUP

log = logging.getLogger(__name__)
AT_ONCE = 2
MOST_DONE = 16
"""Jobs that are done and whose value nobody took; the oldest are forgotten."""
ERROR_SECONDS = 60.0
"""So long a file that could not be read is not tried again."""
Job = tuple[str, str, str]


class NotYet(Exception):
    """What was asked for is being made: ask again once `done` is."""

    def __init__(self, done: Future[Any]) -> None:
        super().__init__("It is being made in a process of its own.")
        self.done = done


class Run(Protocol):
    """What does a job: `run_confined`."""

    def __call__(self, task: str, path: Path, *, reads: Sequence[Path], options: Mapping[str, Any]) -> Any: ...


class Beside:
    """The jobs of one process. To be used by one thread; jobs run in others.

    waits: whether `value` waits for its job instead of raising NotYet, for those who have nothing else to do.
    """

    def __init__(self, *, waits: bool, run: Run = run_confined, clock: Callable[[], float] = time.monotonic) -> None:
        self._waits, self._run, self._clock = waits, run, clock
        self._jobs: OrderedDict[Job, tuple[Future[Any], float]] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    def value(self, task: str, path: Path, *, reads: Sequence[Path] = (), **options: Any) -> Any:
        """What the task makes of the file; it is handed out once, whoever needs it again keeps it.

        reads: what else the task may read. Raises NotYet while it is being made, and whatever the job raised.
        """
        job = (task, str(path), json.dumps(options, sort_keys=True))
        if job not in self._jobs or self._is_stale(job):
            self._jobs[job] = (self._started(task, path, reads, options), self._clock())
        done, _ = self._jobs[job]
        if not done.done() and not self._waits:
            raise NotYet(done)
        try:
            value = done.result()
        except GradiendUIError:
            self._forget_oldest()
            raise
        except BaseException:
            del self._jobs[job]
            raise
        del self._jobs[job]
        return value

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the block runs, `value` waits."""
        before, self._waits = self._waits, True
        try:
            yield
        finally:
            self._waits = before

    def _started(self, task: str, path: Path, reads: Sequence[Path], options: Mapping[str, Any]) -> Future[Any]:
        self._forget_oldest()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="beside")
        return self._pool.submit(self._run, task, path, reads=reads, options=options)

    def _is_stale(self, job: Job) -> bool:
        done, since = self._jobs[job]
        failed = done.done() and done.exception() is not None
        return failed and self._clock() - since > ERROR_SECONDS

    def _forget_oldest(self) -> None:
        done = [job for job, (future, _) in self._jobs.items() if future.done()]
        for job in done[:-MOST_DONE]:
            del self._jobs[job]


EXIT_CODE = 1


def end_with_parent() -> None:
    """Watch the process that started this one from a thread; ends this one at once when that one has gone.

    Does nothing in a process that multiprocessing did not start. Like a kill: nothing is cleaned up, so whatever is
    written must be whole at any moment.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_outlive_nothing, args=(parent,), daemon=True, name="ends with its parent").start()


def _outlive_nothing(parent: BaseProcess) -> None:
    parent.join()
    os._exit(EXIT_CODE)


NAMES = ("quota", "period")


def usable_cores(group: Path = GROUP) -> int:
    """The cores of this process's affinity, or fewer where its container has a quota; at least 1."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(group)
    return max(1, own if quota is None else min(own, math.ceil(quota)))


def _quota(group: Path) -> float | None:
    """Cores' worth of time that the control group grants, version 2 or 1; None without a limit."""
    try:
        words = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            words = [(group / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii").strip() for name in NAMES]
        except (OSError, ValueError):
            return None
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])
