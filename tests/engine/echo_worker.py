"""A worker without a model, for tests of its client: it answers in the order in which it is told to.

Runs in a process of its own (started by `multiprocessing`), so it lies in a module that can be imported.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def serve(connection: Connection, folder: Path, *_rest: Any) -> None:
    """Answer every request with its number in the order of arrival; "hold" waits until the file it names is there.

    "aside" says first that others may come, and is answered by the next "release".
    """
    came, aside = 0, []
    while True:
        number, kind, body = connection.recv()
        if kind == "stop":
            return
        came += 1
        if kind == "aside":
            aside.append(number)
            connection.send((number, "aside", None))
            continue
        if kind == "die":
            raise SystemExit(3)
        while kind == "hold" and not (folder / body["until"]).exists():
            time.sleep(0.005)
        if kind == "release":
            for waiting in aside:
                connection.send((waiting, "ok", "released"))
            aside.clear()
        connection.send((number, "ok", came))


def serve_late(connection: Connection, folder: Path, *_rest: Any) -> None:
    """A worker that has not said yet that it is ready: told to stop, it ends by itself."""
    (folder / "began").touch()
    while connection.recv()[1] != "stop":
        pass


def serve_ready(connection: Connection, folder: Path, *rest: Any) -> None:
    """The same once it has said so."""
    connection.send((0, "ready", 0))
    serve_late(connection, folder, *rest)
