"""A worker without a model, for tests of its client: it answers in the order in which it is told to.

Runs in a process of its own (started by `multiprocessing`), so it lies in a module that can be imported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gradiend_ui.engine.worker.requests import Request


@dataclass(frozen=True)
class Echo(Request[int]):
    text: str = ""


@dataclass(frozen=True)
class Hold(Request[int]):
    """Waits until the file that it names is there."""

    until: str


@dataclass(frozen=True)
class Aside(Request[str]):
    """Says first that others may come, and is answered by the next `Release`."""


@dataclass(frozen=True)
class Release(Request[int]):
    """Answers those that are aside."""


@dataclass(frozen=True)
class Die(Request[int]):
    """Ends the worker."""


def serve(connection: Connection, folder: Path, *_rest: Any) -> None:
    """Answer every request with its number in the order of arrival, as the request's class says."""
    came, aside = 0, []
    while True:
        number, request = connection.recv()
        if request is None:
            return
        came += 1
        if isinstance(request, Aside):
            aside.append(number)
            connection.send((number, "aside", None))
            continue
        if isinstance(request, Die):
            raise SystemExit(3)
        while isinstance(request, Hold) and not (folder / request.until).exists():
            time.sleep(0.005)
        if isinstance(request, Release):
            for waiting in aside:
                connection.send((waiting, "ok", "released"))
            aside.clear()
        connection.send((number, "ok", came))


def serve_late(connection: Connection, folder: Path, *_rest: Any) -> None:
    """A worker that has not said yet that it is ready: told to stop, it ends by itself."""
    (folder / "began").touch()
    while connection.recv()[1] is not None:
        pass


def serve_ready(connection: Connection, folder: Path, *rest: Any) -> None:
    """The same once it has said so."""
    connection.send((0, "ready", 0))
    serve_late(connection, folder, *rest)
