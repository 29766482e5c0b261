"""One SQLite file: a connection per thread, writing as one transaction, and every trouble of it as one sentence.

What it guarantees: the write-ahead log with `synchronous = NORMAL` keeps every finished transaction through the death of
any process (kill -9 included), and the file is never half a transaction. A power cut may take the last transactions back,
whole ones from the end: what was scored then is scored again. Knows no table.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed

WAITS_SECONDS = 30.0
KEPT_LOG_BYTES = 16 * 1024**2
"""The write-ahead log is cut to this after it was taken over; a large transaction makes it longer for a while."""
_BASE_CODE = 0xFF
_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk is full: free space, then resume.",
    sqlite3.SQLITE_IOERR: "The disk reported an error with the sweeps' file {name}: check the disk, then resume.",
    sqlite3.SQLITE_READONLY: "The sweeps' file {name} cannot be written: check the permissions of the data folder.",
    sqlite3.SQLITE_PERM: "The sweeps' file {name} cannot be used: check the permissions of the data folder.",
    sqlite3.SQLITE_CANTOPEN: "The sweeps' file {name} cannot be opened: check that the data folder is there.",
    sqlite3.SQLITE_BUSY: "The sweeps' file {name} is in use by another program: close it and try again.",
    sqlite3.SQLITE_CORRUPT: "The sweeps' file {name} is damaged: restart the server, which puts it aside.",
    sqlite3.SQLITE_NOTADB: "The sweeps' file {name} is damaged: restart the server, which puts it aside.",
}
_DISK_SAYS_FULL = (sqlite3.SQLITE_IOERR_WRITE,)
_ANYTHING = "The sweeps' file {name} cannot be used ({reason}): restart the server."


def sentence_about(error: sqlite3.Error, path: str) -> str:
    """What a person is told: which file, what is wrong with it, what to do."""
    code = int(getattr(error, "sqlite_errorcode", 0) or 0)
    if code in _DISK_SAYS_FULL:  # a limit on file sizes and some full disks look like this
        return "The disk takes no more data (it is full or broken): free space, then resume."
    name = repr(Path(path).name)
    return _SENTENCES.get(code & _BASE_CODE, _ANYTHING).format(name=name, reason=str(error).rstrip(".")[:200])


class _Lent:
    """One thread's connection, closed when the thread ends."""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, timeout=WAITS_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; says nothing to an old one
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")
            self.connection.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        except sqlite3.Error:
            self.connection.close()
            raise

    def close(self) -> None:
        self.connection.close()

    def __del__(self) -> None:
        if "connection" in self.__dict__:
            self.connection.close()


class Database:
    """The file at `path`, created when absent; ":memory:" keeps it in this process (one thread only).

    Every method raises Failed with a sentence where SQLite or the disk refuses.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._local = threading.local()
        self._lent: weakref.WeakSet[_Lent] = weakref.WeakSet()

    def close(self) -> None:
        """Close every thread's connection; the database is not used afterwards."""
        for lent in list(self._lent):
            lent.close()
        self._lent.clear()
        self._local = threading.local()

    def shrink(self) -> None:
        """Give the disk back what deleted rows took. Takes milliseconds a megabyte; waits for nobody."""
        with self._told():
            connection = self._connection()
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _connection(self) -> sqlite3.Connection:
        lent: _Lent | None = getattr(self._local, "lent", None)
        if lent is None:
            lent = _Lent(self._path)
            self._local.lent = lent
            self._lent.add(lent)
        return lent.connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The one place where an error of SQLite becomes one of ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise Failed(sentence_about(error, self._path)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: an exception inside, or a disk that refuses the commit, takes everything back."""
        with self._told():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # SQLite takes some transactions back by itself
                    connection.execute("ROLLBACK")

    def _one(self, query: str, values: Sequence[Any]) -> Any:
        with self._told():
            return self._connection().execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._told():
            return self._connection().execute(query, values).fetchall()
