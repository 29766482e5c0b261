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
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed, GradiendUIError, error_from
from gradiend_ui.engine.files.fence import put_up
from gradiend_ui.engine.files.logs import Seldom, kind_of
from gradiend_ui.engine.registry import import_from_outside, modules_from_outside
from gradiend_ui.engine.uploads.trust import LOCAL, Trust, fence_around
from gradiend_ui.engine.worker.requests import Answer, Request
from gradiend_ui.engine.worker.turns import ASIDE, Places, Turns, who_asks

log = logging.getLogger(__name__)
ANSWER_SECONDS = 900.0
SHORT_LIFE, LONGEST_PAUSE = 10.0, 30
PATIENCE_SECONDS = 5.0
"""A worker that lived for fewer seconds is followed by a pause, at most so long."""
RUN_GOES_ON, ASK_AGAIN = "resume to go on", "try again"
"""What helps after a worker's end: who followed a run goes on with it, who asked for anything else asks again."""
SHUTTING_DOWN = "The server is shutting down."
BUS_ERROR = -getattr(signal, "SIGBUS", 10)
"""The exit code of a worker whose mapped file was cut short."""
WORKER_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # idle threads sleep instead of spinning: the server shares these cores
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class WorkerEnded(Failed):
    """The process that was to answer has gone; a new one is being started."""


def _child(
    connection: Connection,
    store_path: Path,
    data_dir: Path,
    demo_folder: Path,
    trust: Trust,
    server: int | None,
    extensions: tuple[str, ...],
) -> None:
    if trust.public:
        put_up(fence_around(data_dir, demo_folder, trust.owned))  # first of all: it binds this thread and later ones
        os.environ["TMPDIR"] = os.environ.get("GRADIO_TEMP_DIR", str(data_dir))  # cleared with the server
    from gradiend_ui.engine.worker.process import serve  # here, not above: it imports torch

    import_from_outside(extensions)
    serve(connection, store_path, data_dir, demo_folder, trust, server)


@dataclass(eq=False)
class Pending:
    """A request until it is answered. to: where it was sent. aside: the worker works at it beside others'."""

    number: int
    visitor: str
    content: Any
    answer: Future[Any] = field(default_factory=Future)
    to: Connection | None = None
    aside: bool = False


class WorkerClient:
    """Owns one worker process. `on_death` is told why, once per death, before the next worker
    starts.

    The worker is given few requests at a time, in turns of the visitors who wait (see `asking`).
    """

    def __init__(
        self,
        store_path: Path,
        data_dir: Path,
        demo_folder: Path,
        on_death: Callable[[str], None],
        trust: Trust = LOCAL,
        server: int | None = None,
        places: Places | None = None,
    ) -> None:
        """server: the number under which the worker may write to the store. places: how many requests may wait."""
        self._paths = (store_path, data_dir, demo_folder, trust, server)
        self._on_death = on_death
        self._trust, self._is_news = trust, Seldom()
        self._numbers = itertools.count(1)
        self._turns: Turns[Pending] = Turns(places or Places())
        self._sent: dict[int, Pending] = {}
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._pipe, self._reaping = threading.Lock(), threading.Lock()
        self._sender: threading.Thread | None = None
        self._closing, self._ready = False, False
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

    def ask(self, asked: Request[Answer]) -> Answer:
        """Send one request in its visitor's turn and wait for its answer.

        Raises the worker's refusal, Busy when too many wait, or Failed when the worker died.
        """
        number = next(self._numbers)
        request = Pending(number, who_asks(), ForkingPickler.dumps((number, asked)))
        with self._news:
            self._ensure_alive()
            self._turns.add(request.visitor, request)
            self._news.notify()
        try:
            answer: Answer = request.answer.result(timeout=ANSWER_SECONDS)
            return answer
        except TimeoutError:
            with self._lock:
                self._turns.give_up(request.visitor, request)
            told = Failed(f"No answer within {ANSWER_SECONDS:.0f} s: the worker is busy with a large model.")
            raise told.known_as("page.no_answer", most=f"{ANSWER_SECONDS:.0f}") from None

    def _send(self) -> None:
        """The sending thread: a large request waits here for a busy worker to read it, and nobody waits with it."""
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closing or self._is_alive())
                request = None if self._closing else self._turns.next()
                if request is None:
                    if self._closing:
                        return
                    self._news.wait()
                    continue
                request.to = connection = self._connection
                self._sent[request.number] = request
            try:
                with self._pipe:
                    assert connection is not None
                    connection.send_bytes(request.content)
            except (BrokenPipeError, OSError):
                with self._lock:
                    lost = self._sent.pop(request.number, None)
                    if lost is not None:
                        self._turns.answered(request.visitor)
                if lost is not None:
                    told = Failed("The worker process is restarting: try again in a moment.")
                    request.answer.set_exception(told.known_as("page.worker_restarts"))

    def _is_alive(self) -> bool:
        return self._process is not None and self._connection is not None and not self._has_ended(self._process)

    def _has_ended(self, process: SpawnProcess, seconds: float = 0.0) -> bool:
        """Whether the process ends within so many seconds; its exit code is known then.

        One thread at a time: of two that ask the system, one would hear that there is no such process any more.
        """
        gone = wait([process.sentinel], seconds)
        with self._reaping:
            if gone:
                process.join(timeout=1)
            return process.exitcode is not None

    def close(self) -> None:
        """End the worker and wait for it; one that still loads its libraries hears nothing, and is ended at once."""
        with self._news:
            self._closing = True
            self._news.notify_all()
            process, connection, listens = self._process, self._connection, self._ready
        if process is not None and not listens:
            process.kill()
        elif connection is not None and self._pipe.acquire(timeout=PATIENCE_SECONDS):
            with contextlib.suppress(OSError):  # a worker that has gone already needs no telling
                connection.send((0, None))
            self._pipe.release()
        if process is not None and not self._has_ended(process, 10):
            process.kill()
            self._has_ended(process, 5)

    def _ensure_alive(self) -> None:
        if self._closing:
            raise Failed(SHUTTING_DOWN).known_as("page.shutting_down")
        if self._is_alive():
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, *self._paths, modules_from_outside())
        process = context.Process(target=_child, args=arguments, daemon=True, name="gradiend-ui-worker")
        previous = {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}
        os.environ.update({name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()})
        try:
            process.start()
        finally:
            for name, value in previous.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()
        self._process, self._connection, self._began, self._ready = process, ours, time.monotonic(), False
        threading.Thread(target=self._read, args=(ours, process), daemon=True, name="worker-answers").start()
        if self._sender is None:
            self._sender = threading.Thread(target=self._send, daemon=True, name="worker-requests")
            self._sender.start()
        self._news.notify()

    def _read(self, connection: Connection, process: SpawnProcess) -> None:
        while True:
            try:
                number, outcome, value = connection.recv()
            except (EOFError, OSError):
                break
            with self._news:
                self._ready = self._ready or connection is self._connection
                request = self._taken(number, outcome)
                self._news.notify()
            if request is None:
                continue
            if outcome == "ok":
                request.answer.set_result(value)
            else:
                request.answer.set_exception(self._refusal(*value))
        self._after_death(connection, process)

    def _refusal(self, code: str, sentence: str, text: tuple[str, dict[str, Any]] | None = None) -> GradiendUIError:
        """The worker's refusal as who asked may read it; what is not told stands in the log, seldom (see `Seldom`)."""
        told = self._trust.told(sentence)
        if told != sentence:
            level = logging.WARNING if self._is_news(kind_of(sentence)) else logging.DEBUG
            log.log(level, "a visitor was told less than this: %s", sentence)
        return error_from(code, told, text if told == sentence else None)

    def _taken(self, number: int, outcome: str) -> Pending | None:
        """The request that a message of the worker answers; None where it only makes way for others, or is unknown."""
        request = self._sent.get(number)
        if request is None:
            return None
        if outcome == ASIDE:
            if not request.aside:
                self._turns.aside()
            request.aside = True
            return None
        del self._sent[number]
        self._turns.answered(request.visitor, aside=request.aside)
        return request

    def _after_death(self, connection: Connection, process: SpawnProcess) -> None:
        self._has_ended(process, 10)
        with self._lock:
            closing = self._closing
            orphans = [request for request in self._sent.values() if request.to is connection]
            for orphan in orphans:
                del self._sent[orphan.number]
                self._turns.answered(orphan.visitor, aside=orphan.aside)
            orphans += self._turns.drain() if closing else []
        for orphan in orphans:
            orphan.answer.set_exception(_ended(process.exitcode, closing))
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
                self._ensure_alive()  # who waited and was not sent goes to this one


def _ended(exit_code: int | None, closing: bool) -> WorkerEnded:
    """What is told to who waited for an answer."""
    if closing:
        return WorkerEnded(SHUTTING_DOWN).known_as("page.shutting_down")
    told = WorkerEnded(why_it_ended(exit_code, ASK_AGAIN))
    if exit_code == BUS_ERROR:
        return told.known_as("page.model_cut_short")
    return told.known_as("page.worker_ended", code=str(exit_code))


def why_it_ended(exit_code: int | None, then: str) -> str:
    """A sentence for the end of a worker that nobody asked to end. then: what to do, `RUN_GOES_ON` or `ASK_AGAIN`."""
    if exit_code == BUS_ERROR:
        return (
            "The worker process ended, because a file of the model was cut short or became unreadable while it was in "
            f"use: put the file back, then {then}."
        )
    return f"The worker process ended unexpectedly (exit code {exit_code}), it may be out of memory: {then}."
