"""One SQLite file: a few connections that threads borrow, and writing as one transaction. Knows no table.

A connection keeps up to two megabytes of pages, and a server's threads come and go: a connection per thread would pile
up. WAL with synchronous = NORMAL: what was committed outlives the process whatever ends it; a power cut may take the
last commits back, whole ones only, and never damages the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed

MOST_IDLE = 8
"""Connections that are kept open while nobody uses them."""


class Database:
    """The file at `path`, created when absent; ":memory:" keeps it in this process (one thread only)."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._writer = threading.local()
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def close(self) -> None:
        """Close every connection; the database is not used afterwards."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30.0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; an old one stays as it is
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        """The connection that this thread is writing through, else an idle one, else a new one."""
        own: sqlite3.Connection | None = getattr(self._writer, "connection", None)
        if own is not None:
            yield own
            return
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._open()
            yield connection
        except sqlite3.Error as error:
            raise Failed(what_failed(error)) from error
        finally:
            with self._lock:
                keeps = connection is not None and not self._closed and len(self._idle) < MOST_IDLE
                if connection is not None and keeps:
                    self._idle.append(connection)
            if connection is not None and not keeps:
                connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: an exception inside takes everything back. Reads of this thread see what it has written."""
        with self._borrowed() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._writer.connection = connection
            try:
                self._check_right_to_write(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # SQLite itself takes back what a full disk cut off
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._writer.connection = None

    def _check_right_to_write(self, connection: sqlite3.Connection) -> None:
        """For one who may lose it: raise what it is refused with. Called within each transaction."""

    def _give_back_space(self) -> None:
        """Shrink the file by what was deleted."""
        with self._borrowed() as connection:
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` would stop after the first page

    def _one(self, query: str, values: Sequence[Any]) -> Any:
        with self._borrowed() as connection:
            return connection.execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._borrowed() as connection:
            return connection.execute(query, values).fetchall()


def what_failed(error: sqlite3.Error) -> str:
    """A sentence for what SQLite says: what is wrong with the disk or the file, and what helps."""
    name = str(getattr(error, "sqlite_errorname", "") or "")
    sentence = next((text for start, text in _SENTENCES.items() if name.startswith(start)), None)
    return sentence or f"The store of sweeps could not be used ({error})."


_SENTENCES = {
    "SQLITE_FULL": "The disk is full, so nothing more can be kept: free space, then try again. What was kept is safe.",
    "SQLITE_IOERR": "The disk could not be read or written: check it and its free space, then try again.",
    "SQLITE_READONLY": "The data folder cannot be written to: give this program the right to, or choose another one.",
    "SQLITE_CANTOPEN": "The store of sweeps cannot be opened: check the data folder's rights and its disk.",
    "SQLITE_BUSY": "The store of sweeps is in use by another program: close it and try again.",
    "SQLITE_LOCKED": "The store of sweeps is in use by another program: close it and try again.",
    "SQLITE_CORRUPT": "The store of sweeps is damaged: start the server again, it sets the file aside and begins anew.",
    "SQLITE_NOTADB": "The store of sweeps is damaged: start the server again, it sets the file aside and begins anew.",
    "SQLITE_TOOBIG": "The data is too large to be kept: take fewer rows or cells.",
}
