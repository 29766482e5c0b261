"""The process that owns a device: reads requests from a pipe and, in between, scores the next block.

Started by `worker_client`; everything it does is in `Lane`. It ends with its server, in the middle of
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
from gradiend_ui.engine.worker.lane import Lane
from gradiend_ui.engine.worker.turns import ASIDE

IDLE_SECONDS, SOON_SECONDS = 0.5, 0.02
"""Between two looks for work: while nothing is awaited, and while something is made elsewhere."""
TURN_SECONDS = 0.2
"""So long requests go before a sweep; then it scores a block."""
REST_VARIABLE, REST_SECONDS = "GRADIEND_UI_IDLE_SECONDS", 900.0
"""After so long without a request or a sweep, models are unloaded. The first click after that reads them again."""
STOP = "stop"
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
    """Serve until told to stop or the other end closes. Requests (number, kind, body) go before sweep blocks.

    server: the number under which it may write; once there is a later server, it writes no more.
    """
    end_with_parent()
    keep_log_short()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module="transformers")
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    store = Store(store_path, server)
    with contextlib.suppress(GradiendUIError):  # whatever a worker before this one was at; its server may have said so
        store.interrupt_active(ENDED, states=("running",))
    lane = Lane(store, data_dir, demo_folder, trust, waits=False)
    aside: list[Aside] = []
    rest_after = float(os.environ.get(REST_VARIABLE, REST_SECONDS))
    busy, used, rested = True, time.monotonic(), False
    try:
        connection.send((0, "ready", os.getpid()))
        while True:
            asked, until = False, time.monotonic() + TURN_SECONDS
            aside, again = _sorted_out(aside)
            for request in again:
                connection.send(_answer(lane, request, aside))
                asked = busy = True
            soon = SOON_SECONDS if aside or lane.waits else IDLE_SECONDS
            while connection.poll(0 if busy else soon):
                number, kind, body = connection.recv()
                if kind == STOP:
                    return
                connection.send(_answer(lane, Aside(number, kind, body), aside))
                asked = busy = True
                if time.monotonic() > until:
                    break  # a sweep goes on, however many requests there are
            busy = lane.step()
            if busy or asked:
                used, rested = time.monotonic(), False
            elif not rested and time.monotonic() - used > rest_after:
                lane.rest()
                rested = True
    except (EOFError, BrokenPipeError, ConnectionResetError):
        log.info("the server has gone: worker ends")
    finally:
        store.close()


@dataclass(frozen=True)
class Aside:
    """A request that waits for what is made in a process of its own; wanted: what that is."""

    number: int
    kind: str
    body: dict[str, Any]
    wanted: NotYet | None = None


def _sorted_out(aside: list[Aside]) -> tuple[list[Aside], list[Aside]]:
    """(those that have to wait on, those to be asked again)."""
    ready = [request for request in aside if request.wanted is None or request.wanted.done.done()]
    return [request for request in aside if request not in ready], ready


def _answer(lane: Lane, request: Aside, aside: list[Aside]) -> tuple[int, str, Any]:
    """(number, "ok", value), (number, "error", (code, sentence, text)), or (number, "aside", None) for a request that
    waits in `aside` while others come: nothing but plain values crosses the pipe."""
    number, kind = request.number, request.kind
    try:
        return number, "ok", lane.handle(kind, request.body)
    except NotYet as wanted:
        aside.append(replace(request, wanted=wanted))
        return number, ASIDE, None
    except GradiendUIError as error:
        return number, "error", (error.code, str(error), error.text)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        if IS_NEWS(f"{kind} {type(error).__name__} {where.filename} {where.lineno}"):
            log.exception("request %s failed", kind)
        else:
            log.debug("request %s failed", kind, exc_info=error)
        return number, "error", ("failed", f"Something unexpected went wrong ({type(error).__name__}): see the log.")
