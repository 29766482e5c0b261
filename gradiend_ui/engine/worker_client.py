"""The server's end of a worker process: send requests, receive answers, notice a death and start again.

Never imports torch: the worker's own module is imported only inside the child.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Busy, Failed, GradiendUIError, error_from
from gradiend_ui.engine.fence import put_up
from gradiend_ui.engine.owned_places import fence_around
from gradiend_ui.engine.trust import LOCAL, Trust

log = logging.getLogger(__name__)
ANSWER_SECONDS = 900.0
SHORT_LIFE, LONGEST_PAUSE = 10.0, 30
"""A worker that lived for fewer seconds is followed by a pause, at most so long."""
RUN_GOES_ON, ASK_AGAIN = "resume to go on", "try again"
"""What helps after a worker's end: who followed a run goes on with it, who asked for anything else asks again."""
MOST_WAITING = 64
"""Requests that wait for the worker; one more is refused at once instead of piling up."""
WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # idle threads sleep instead of spinning: the server shares these cores
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class WorkerEnded(Failed):
    """The process that was to answer has gone; a new one is being started."""


def _child(
    connection: Connection, store_path: Path, data_dir: Path, demo_folder: Path, trust: Trust, server: int | None
) -> None:
    if trust.public:
        put_up(fence_around(data_dir, demo_folder, trust.owned))  # first of all: it binds this thread and later ones
        os.environ["TMPDIR"] = str(data_dir)
    from gradiend_ui.engine.worker import serve  # here, not above: it imports torch

    serve(connection, store_path, data_dir, demo_folder, trust, server)


class WorkerClient:
    """Owns one worker process. `on_death` is told why, once per death, before the next worker
    starts."""

    def __init__(
        self,
        store_path: Path,
        data_dir: Path,
        demo_folder: Path,
        on_death: Callable[[str], None],
        trust: Trust = LOCAL,
        server: int | None = None,
    ) -> None:
        """server: the number under which the worker may write to the store."""
        self._paths = (store_path, data_dir, demo_folder, trust, server)
        self._on_death = on_death
        self._trust, self._said = trust, ""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._began, self._short_lives = 0.0, 0
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the worker unless one is alive; returns at once, the worker loads its libraries by itself."""
        with self._lock:
            self._ensure_alive()

    @property
    def pid(self) -> int | None:
        """The worker's process id, None before the start."""
        return None if self._process is None else self._process.pid

    def ask(self, kind: str, **body: Any) -> Any:
        """Send one request and wait for its answer. Raises the worker's refusal, Busy, or Failed when it died."""
        future: Future[Any] = Future()
        with self._lock:
            connection = self._ensure_alive()
            if len(self._waiting) >= MOST_WAITING:
                raise Busy(f"{MOST_WAITING} requests are waiting for the model: try again in a moment.")
            number = next(self._numbers)
            self._waiting[number] = future
            try:
                connection.send((number, kind, body))
            except (BrokenPipeError, OSError):
                self._waiting.pop(number, None)
                raise WorkerEnded("The worker process is restarting: try again in a moment.") from None
        try:
            return future.result(timeout=ANSWER_SECONDS)
        except TimeoutError:
            raise Failed(f"No answer within {ANSWER_SECONDS:.0f} s: the worker is busy with a large model.") from None

    def close(self) -> None:
        """End the worker and wait for it."""
        with self._lock:
            self._closing = True
            if self._connection is not None:
                with contextlib.suppress(OSError):  # a worker that has gone already needs no telling
                    self._connection.send((0, "stop", {}))
            process = self._process
        if process is not None:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()
                process.join(timeout=5)

    def _ensure_alive(self) -> Connection:
        if self._closing:
            raise Failed("The server is shutting down.")
        if self._process is not None and self._connection is not None and self._process.is_alive():
            return self._connection
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_child, args=(theirs, *self._paths), daemon=True, name="gradiend-ui-worker")
        previous = {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}
        os.environ.update({name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()})
        try:
            process.start()
        finally:
            for name, value in previous.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()
        self._process, self._connection, self._began = process, ours, time.monotonic()
        threading.Thread(target=self._read, args=(ours, process), daemon=True, name="worker-answers").start()
        return ours

    def _read(self, connection: Connection, process: SpawnProcess) -> None:
        while True:
            try:
                number, outcome, value = connection.recv()
            except (EOFError, OSError):
                break
            future = self._waiting.pop(number, None)
            if future is None:
                continue
            if outcome == "ok":
                future.set_result(value)
            else:
                future.set_exception(self._refusal(*value))
        self._after_death(process)

    def _refusal(self, code: str, sentence: str) -> GradiendUIError:
        """The worker's refusal as who asked may read it; what is not told stands in the log, once."""
        told = self._trust.told(sentence)
        if told != sentence and sentence != self._said:
            self._said = sentence
            log.warning("a visitor was told less than this: %s", sentence)
        return error_from(code, told)

    def _after_death(self, process: SpawnProcess) -> None:
        process.join(timeout=10)
        with self._lock:
            orphans = list(self._waiting.values())
            self._waiting.clear()
            closing = self._closing
        for future in orphans:
            told = "The server is shutting down." if closing else why_it_ended(process.exitcode, ASK_AGAIN)
            future.set_exception(WorkerEnded(told))
        if closing:
            return
        try:
            self._on_death(why_it_ended(process.exitcode, RUN_GOES_ON))
        except GradiendUIError as error:  # a full disk, say: the next worker says it again
            log.warning("the worker's death could not be noted: %s", error)
        lived = time.monotonic() - self._began
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
        time.sleep(min(LONGEST_PAUSE, self._short_lives))  # one that cannot live is not started over and over
        with self._lock:
            if not self._closing:
                self._ensure_alive()


def why_it_ended(exit_code: int | None, then: str) -> str:
    """A sentence for the end of a worker that nobody asked to end. then: what to do, `RUN_GOES_ON` or `ASK_AGAIN`."""
    if exit_code == -getattr(signal, "SIGBUS", 10):
        return (
            "The worker process ended, because a file of the model was cut short or became unreadable while it was in "
            f"use: put the file back, then {then}."
        )
    return f"The worker process ended unexpectedly (exit code {exit_code}), it may be out of memory: {then}."
