"""The process that owns a device: reads requests from a pipe and, in between, scores the next block.

Started by `worker_client`; everything it does is in `Lane`. It ends when its pipe closes, so a server that dies takes
its worker along.
"""

from __future__ import annotations

import logging
import os
import signal
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers

from gradiend_ui.engine.cores import usable_cores
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.lane import Lane
from gradiend_ui.engine.store import Store

IDLE_SECONDS = 0.5
STOP = "stop"
log = logging.getLogger(__name__)


def serve(connection: Connection, store_path: Path, data_dir: Path, demo_folder: Path) -> None:
    """Serve until told to stop or the other end closes. Requests (number, kind, body) go before sweep blocks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", module="transformers")
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    store = Store(store_path)
    lane = Lane(store, data_dir, demo_folder)
    busy = True
    try:
        connection.send((0, "ready", os.getpid()))
        while True:
            while connection.poll(0 if busy else IDLE_SECONDS):
                number, kind, body = connection.recv()
                if kind == STOP:
                    return
                connection.send(_answer(lane, number, kind, body))
                busy = True
            busy = lane.step()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        log.info("the server has gone: worker ends")
    finally:
        store.close()


def _answer(lane: Lane, number: int, kind: str, body: dict[str, Any]) -> tuple[int, str, Any]:
    """(number, "ok", value) or (number, "error", (code, sentence)): nothing but plain values crosses the pipe."""
    try:
        return number, "ok", lane.handle(kind, body)
    except GradiendUIError as error:
        return number, "error", (error.code, str(error))
    except Exception as error:
        log.exception("request %s failed", kind)
        return number, "error", ("failed", f"Something unexpected went wrong ({type(error).__name__}): see the log.")
