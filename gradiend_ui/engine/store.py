"""Runs and numbers in one SQLite file: what was asked, how far it is, and every scored block.

The unit is (fingerprint, cell, block): raw results of a fixed block of rows or texts under one set of weights. Equal
requests share these numbers; a run itself belongs to whoever has its id. A run's `state` is its only control: the
worker goes on while it reads "running". Knows no torch; safe to use from several threads and processes at once.
"""

from __future__ import annotations

import io
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.values import Cell, CellScore

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS checkpoints (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, options TEXT NOT NULL, card TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, request TEXT NOT NULL, info TEXT NOT NULL, state TEXT NOT NULL,
    rev INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, eta REAL, error TEXT,
    created REAL NOT NULL, queued REAL NOT NULL);
CREATE TABLE IF NOT EXISTS run_cells (
    run TEXT NOT NULL, place INTEGER NOT NULL, rev INTEGER NOT NULL, score TEXT NOT NULL,
    PRIMARY KEY (run, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    fingerprint TEXT NOT NULL, cell TEXT NOT NULL, block INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (fingerprint, cell, block)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table of runs. `done` and `total` count cells without the base."""

    id: str
    checkpoint: str
    request: Mapping[str, Any]
    info: Mapping[str, Any]
    state: str
    rev: int
    done: int
    total: int
    eta_seconds: float | None
    error: str | None
    created: float


def cell_key(cell: Cell | None) -> str:
    """The spelling of a cell in the store: exact, and the same in every process."""
    return "base" if cell is None else f"{cell.feature_factor!r},{cell.learning_rate!r}"


class Store:
    """The database at `path`, created when absent; ":memory:" keeps it in this process (one thread only)."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        with self._writing() as db:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close every thread's connection; the store is not used afterwards."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._local = threading.local()

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def save_checkpoint(self, handle: str, source: str, options: Mapping[str, Any], card: Mapping[str, Any]) -> None:
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                (handle, source, json.dumps(options, sort_keys=True), json.dumps(card), time.time()),
            )

    def checkpoint(self, handle: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """(source, options, card) of a loaded checkpoint. Raises NotFound."""
        _check_id(handle)
        row = self._one("SELECT source, options, card FROM checkpoints WHERE id = ?", (handle,))
        if row is None:
            raise NotFound("There is no such checkpoint: load it first.")
        return row[0], json.loads(row[1]), json.loads(row[2])

    # --- runs ----------------------------------------------------------------------------------------------------

    def create_run(
        self, checkpoint: str, request: Mapping[str, Any], info: Mapping[str, Any], cells: Sequence[Cell]
    ) -> str:
        """Queue a run over `cells` (ascending) and the base; returns its unguessable id."""
        scores = [CellScore(None), *(CellScore(cell) for cell in cells)]
        return self._insert(checkpoint, request, info, scores, "queued")

    def create_finished_run(
        self, checkpoint: str, request: Mapping[str, Any], info: Mapping[str, Any], scores: Sequence[CellScore]
    ) -> str:
        """Keep a run that was scored elsewhere: the base first, then its cells ascending; returns its id."""
        return self._insert(checkpoint, request, info, scores, "finished")

    def _insert(
        self,
        checkpoint: str,
        request: Mapping[str, Any],
        info: Mapping[str, Any],
        scores: Sequence[CellScore],
        state: str,
    ) -> str:
        run, now, total = secrets.token_urlsafe(12), time.time(), len(scores) - 1
        done = total if state == "finished" else 0
        with self._writing() as db:
            db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, 1, ?, ?, NULL, NULL, ?, ?)",
                (run, checkpoint, json.dumps(request), json.dumps(info), state, done, total, now, now),
            )
            db.executemany(
                "INSERT INTO run_cells VALUES (?, ?, 1, ?)",
                [(run, place, json.dumps(score.to_json())) for place, score in enumerate(scores)],
            )
        return run

    def run(self, run: str) -> Run:
        """The run with this id. Raises NotFound."""
        _check_id(run)
        row = self._one(
            "SELECT id, checkpoint, request, info, state, rev, done, total, eta, error, created FROM runs WHERE id = ?",
            (run,),
        )
        if row is None:
            raise NotFound("There is no such run: it may have been deleted, or the link is incomplete.")
        return Run(row[0], row[1], json.loads(row[2]), json.loads(row[3]), *row[4:])

    def runs(self) -> list[Run]:
        """All runs, newest first."""
        return [self.run(row[0]) for row in self._all("SELECT id FROM runs ORDER BY created DESC, id")]

    def revision(self, run: str) -> tuple[int, str]:
        """(rev, state), cheap enough to poll. Raises NotFound."""
        _check_id(run)
        row = self._one("SELECT rev, state FROM runs WHERE id = ?", (run,))
        if row is None:
            raise NotFound("There is no such run: it may have been deleted, or the link is incomplete.")
        return int(row[0]), str(row[1])

    def position(self, run: str) -> int:
        """How many runs are in front of a queued run; 0 for any other."""
        row = self._one(
            "SELECT COUNT(*) FROM runs AS other, runs AS own WHERE own.id = ? AND own.state = 'queued' AND "
            "(other.state = 'running' OR other.state = 'queued' AND other.queued < own.queued)",
            (run,),
        )
        return 0 if row is None else int(row[0])

    def set_info(self, run: str, info: Mapping[str, Any]) -> None:
        """Replace what is noted about the run."""
        _check_id(run)
        with self._writing() as db:
            db.execute("UPDATE runs SET info = ? WHERE id = ?", (json.dumps(info, default=float), run))

    def set_state(self, run: str, state: str, *, only_from: Sequence[str], error: str | None = None) -> str:
        """Move the run to `state` when it is in one of `only_from`; returns the state it is in then."""
        _check_id(run)
        marks = ", ".join("?" * len(only_from))
        with self._writing() as db:
            db.execute(
                f"UPDATE runs SET state = ?, error = ?, rev = rev + 1, eta = NULL, queued = ? "
                f"WHERE id = ? AND state IN ({marks})",
                (state, error, time.time(), run, *only_from),
            )
        return self.revision(run)[1]

    def next_queued(self) -> str | None:
        """The run that waits longest, None when nobody waits."""
        row = self._one("SELECT id FROM runs WHERE state = 'queued' ORDER BY queued, id LIMIT 1", ())
        return None if row is None else str(row[0])

    def interrupt_active(self, reason: str, states: Sequence[str] = ("running", "queued")) -> int:
        """Mark runs without a worker as interrupted; returns how many."""
        marks = ", ".join("?" * len(states))
        with self._writing() as db:
            cursor = db.execute(
                f"UPDATE runs SET state = 'interrupted', error = ?, rev = rev + 1, eta = NULL WHERE state IN ({marks})",
                (reason, *states),
            )
            return cursor.rowcount

    # --- cells ---------------------------------------------------------------------------------------------------

    def cells(self, run: str, after_rev: int = 0) -> tuple[int, list[CellScore]]:
        """(rev, scores that changed after `after_rev`), base first, then ascending; read in one snapshot."""
        _check_id(run)
        rows = self._all(
            "SELECT rev, NULL FROM runs WHERE id = ? UNION ALL "
            "SELECT * FROM (SELECT rev, score FROM run_cells WHERE run = ? AND rev > ? ORDER BY place)",
            (run, run, after_rev),
        )
        if not rows:
            raise NotFound("There is no such run: it may have been deleted, or the link is incomplete.")
        return int(rows[0][0]), [CellScore.from_json(json.loads(row[1])) for row in rows[1:]]

    def commit(
        self,
        run: str,
        place: int,
        score: CellScore,
        *,
        fingerprint: str = "",
        new_results: Mapping[int, NDArray[Any]] | None = None,
        eta_seconds: float | None = None,
    ) -> None:
        """Keep new block results and the cell's score in one transaction: committed before anybody sees it."""
        blobs = [
            (fingerprint, cell_key(score.cell), block, _packed(result)) for block, result in (new_results or {}).items()
        ]
        with self._writing() as db:
            db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", blobs)
            db.execute(
                "UPDATE run_cells SET score = ?, rev = (SELECT rev + 1 FROM runs WHERE id = ?) "
                "WHERE run = ? AND place = ?",
                (json.dumps(score.to_json()), run, run, place),
            )
            db.execute(
                "UPDATE runs SET rev = rev + 1, eta = ?, done = (SELECT COUNT(*) FROM run_cells WHERE run = ? "
                "AND place > 0 AND json_extract(score, '$.status') IN ('final', 'failed', 'skipped')) WHERE id = ?",
                (eta_seconds, run, run),
            )

    def results(self, fingerprint: str, cell: Cell | None) -> dict[int, NDArray[Any]]:
        """{block: raw result} of everything stored for these weights."""
        rows = self._all(
            "SELECT block, result FROM results WHERE fingerprint = ? AND cell = ?", (fingerprint, cell_key(cell))
        )
        return {int(block): _unpacked(blob) for block, blob in rows}

    # --- connections ---------------------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=30.0, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = connection
            self._connections.append(connection)
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _one(self, query: str, values: Sequence[Any]) -> Any:
        return self._connection().execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection().execute(query, values).fetchall()


def _check_id(value: object) -> None:
    """Ids come from outside: anything but text is no id of ours."""
    if not isinstance(value, str):
        raise NotFound(f"An id is text, not {value!r}.")


def _packed(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _unpacked(blob: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(blob), allow_pickle=False)
    return array
