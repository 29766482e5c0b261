"""The process that owns a device: reads requests from a pipe and, in between, scores the next block.

Started by `client`; everything it does is in `worker.Worker`. It ends with its server, in the middle of
a block if need be.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
import traceback
import warnings
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.files.logs import Seldom, keep_log_short
from gradiend_ui.engine.files.processes import NotYet, end_with_parent, usable_cores
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.worker.requests import Request
from gradiend_ui.engine.worker.turns import ASIDE
from gradiend_ui.engine.worker.worker import Worker

IDLE_SECONDS, SOON_SECONDS = 0.5, 0.02
"""Between two looks for work: while nothing is awaited, and while something is made elsewhere."""
TURN_SECONDS = 0.2
"""So long requests go before a sweep; then it scores a block."""
REST_VARIABLE, REST_SECONDS = "GRADIEND_UI_IDLE_SECONDS", 900.0
"""After so long without a request or a sweep, models are unloaded. The first click after that reads them again."""
ENDED = "The worker process ended unexpectedly, it may be out of memory: resume to go on."
IS_NEWS = Seldom()
log = logging.getLogger(__name__)


def serve(
    connection: Connection,
    store_path: Path,
    data_dir: Path,
    demo_folder: Path,
    trust: Trust = LOCAL,
    server: int | None = None,
) -> None:
    """Serve until told to stop or the other end closes. Requests (number, request) go before sweep blocks.

    server: the number under which it may write; once there is a later server, it writes no more.
    """
    _made_ready()
    store = Store(store_path, server)
    with contextlib.suppress(GradiendUIError):  # whatever a worker before this one was at; its server may have said so
        store.interrupt_active(ENDED, states=("running",))
    worker = Worker(store, data_dir, demo_folder, trust, waits=False)
    try:
        connection.send((0, "ready", os.getpid()))
        _alternate(connection, worker)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        log.info("the server has gone: worker ends")
    finally:
        store.close()


def _made_ready() -> None:
    """Set up the process: its end, its log, its libraries' warnings and threads."""
    end_with_parent()
    keep_log_short()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module="transformers")
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))


def _alternate(connection: Connection, worker: Worker) -> None:
    """Answer what comes and score blocks in between, until told to stop."""
    aside: list[Aside] = []
    rest_after = float(os.environ.get(REST_VARIABLE, REST_SECONDS))
    busy, used, rested = True, time.monotonic(), False
    while True:
        asked, until = False, time.monotonic() + TURN_SECONDS
        aside, again = _sorted_out(aside)
        for waiting in again:
            connection.send(_answer(worker, waiting, aside))
            asked = busy = True
        soon = SOON_SECONDS if aside or worker.waits else IDLE_SECONDS
        while connection.poll(0 if busy else soon):
            number, request = connection.recv()
            if request is None:
                return
            connection.send(_answer(worker, Aside(number, request), aside))
            asked = busy = True
            if time.monotonic() > until:
                break  # a sweep goes on, however many requests there are
        busy = worker.step()
        if busy or asked:
            used, rested = time.monotonic(), False
        elif not rested and time.monotonic() - used > rest_after:
            worker.rest()
            rested = True


@dataclass(frozen=True)
class Aside:
    """A request that waits for what is made in a process of its own; wanted: what that is."""

    number: int
    request: Request[Any]
    wanted: NotYet | None = None


def _sorted_out(aside: list[Aside]) -> tuple[list[Aside], list[Aside]]:
    """(those that have to wait on, those to be asked again)."""
    ready = [waiting for waiting in aside if waiting.wanted is None or waiting.wanted.done.done()]
    return [waiting for waiting in aside if waiting not in ready], ready


def _answer(worker: Worker, waiting: Aside, aside: list[Aside]) -> tuple[int, str, Any]:
    """(number, "ok", value), (number, "error", (code, sentence, text)), or (number, "aside", None) for a request that
    waits in `aside` while others come: nothing but plain values crosses the pipe."""
    number, name = waiting.number, type(waiting.request).__name__
    try:
        return number, "ok", worker.answer(waiting.request)
    except NotYet as wanted:
        aside.append(replace(waiting, wanted=wanted))
        return number, ASIDE, None
    except GradiendUIError as error:
        return number, "error", (error.code, str(error), error.text)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        if IS_NEWS(f"{name} {type(error).__name__} {where.filename} {where.lineno}"):
            log.exception("request %s failed", name)
        else:
            log.debug("request %s failed", name, exc_info=error)
        return number, "error", ("failed", f"Something unexpected went wrong ({type(error).__name__}): see the log.")
