"""The store: one SQLite file with runs, numbers, loaded checkpoints, and what the app made.

The tables of each are told beside it (`runs`, `results`, `queue`, `inventory`); here is the whole file, what a server
that takes it over may do, and which checkpoints were loaded. Knows no torch; safe to use from several threads and
processes at once.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed, NotFound
from gradiend_ui.engine.store.inventory import MADE_TABLE, InventoryTable
from gradiend_ui.engine.store.queue import Queue
from gradiend_ui.engine.store.runs import check_id, json_object

log = logging.getLogger(__name__)
SCHEMA_VERSION = 4
"""2 added names and notes of runs, 3 whose they are and who may write, 4 adds hashes of their keys and what the app
made; an older file gets these tables."""
_SCHEMA = f"""
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
CREATE TABLE IF NOT EXISTS run_labels (run TEXT PRIMARY KEY, name TEXT NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS servers (number INTEGER PRIMARY KEY AUTOINCREMENT, began REAL NOT NULL);
CREATE TABLE IF NOT EXISTS run_visitors (run TEXT PRIMARY KEY, visitor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS run_keys (run TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
{MADE_TABLE};
"""
OPTIONAL_TABLES = ("run_labels", "run_visitors", "servers", "run_keys", "made")
"""What an older file may lack."""


def expected_columns() -> dict[str, set[str]]:
    """{table: its columns}, as a new store has them."""
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.executescript(_SCHEMA)
        tables = [row[0] for row in blank.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")]
        return {table: {row[1] for row in blank.execute(f"PRAGMA table_info({table})")} for table in tables}


class Store(InventoryTable, Queue):
    """The tables in the file at `path`, created when absent; ":memory:" keeps it in this process (one thread only).

    server: the number that `begin_server` gave; writing is refused once a later server has taken the file over, so that
    a worker that outlives its server does no harm. None writes always.
    """

    def __init__(self, path: Path | str, server: int | None = None) -> None:
        super().__init__(path)
        self._server = server
        with self._writing() as db:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def begin_server(self) -> int:
        """Take the file over: stores opened for an earlier number can write no more."""
        with self._writing() as db:
            number = db.execute("INSERT INTO servers (began) VALUES (?)", (time.time(),)).lastrowid
            db.execute("DELETE FROM servers WHERE number < ?", (number,))
        self._server = number
        return int(number or 0)

    def _check_right_to_write(self, connection: sqlite3.Connection) -> None:
        if self._server is None:
            return
        newest = connection.execute("SELECT MAX(number) FROM servers").fetchone()[0]
        if newest != self._server:
            raise Failed("Another server has taken over this data folder: this one writes no more.")

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def save_checkpoint(self, handle: str, source: str, options: Mapping[str, Any], card: Mapping[str, Any]) -> None:
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                (handle, source, json.dumps(options, sort_keys=True), json.dumps(card), time.time()),
            )

    def checkpoint(self, handle: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """(source, options, card) of a loaded checkpoint. Raises NotFound, and Failed for a damaged record."""
        check_id(handle)
        row = self._one("SELECT source, options, card FROM checkpoints WHERE id = ?", (handle,))
        if row is None:
            told = NotFound("There is no such checkpoint, or no longer: load it again.")
            raise told.known_as("load.no_checkpoint")
        try:
            return row[0], json_object(row[1]), json_object(row[2])
        except ValueError as error:
            raise Failed("The record of this checkpoint is damaged: load it again.") from error

    def use_checkpoint(self, handle: str) -> dict[str, Any] | None:
        """The card of a loaded checkpoint, which counts as loaded now; None where there is no readable record."""
        with self._writing() as db:
            db.execute("UPDATE checkpoints SET created = ? WHERE id = ?", (time.time(), handle))
        try:
            return self.checkpoint(handle)[2]
        except (NotFound, Failed):
            return None

    def drop_checkpoints(self, most: int) -> int:
        """Forget the oldest loaded checkpoints that no run uses, but the `most` newest of them; gives how many."""
        with self._writing() as db:
            return db.execute(
                "DELETE FROM checkpoints WHERE id IN (SELECT id FROM checkpoints WHERE id NOT IN "
                "(SELECT checkpoint FROM runs) ORDER BY created DESC, id LIMIT -1 OFFSET ?)",
                (most,),
            ).rowcount

    def checkpoint_sources(self) -> list[tuple[str, str, dict[str, Any], float]]:
        """(handle, source, options, when it was loaded) of every checkpoint that was loaded here; of a damaged record
        no options."""
        found = []
        for handle, source, options, created in self._all("SELECT id, source, options, created FROM checkpoints"):
            try:
                found.append((handle, source, json_object(options), float(created)))
            except ValueError:
                log.warning("the record of checkpoint %s is damaged", handle)
                found.append((handle, source, {}, float(created)))
        return found
