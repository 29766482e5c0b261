"""Opening the store of a server: looked through first, and set aside whole where it is damaged; never deleted.

Knows one SQLite file and what tables it must have. Only one process may work in the folder meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from gradiend_ui.engine.database import what_failed
from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.store import OPTIONAL_TABLES, SCHEMA_VERSION, Store, expected_columns

BESIDE = ("", "-wal", "-shm")
"""The files that SQLite keeps together."""
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def opened_store(path: Path) -> tuple[Store, str | None]:
    """The store at `path`, made where there is none, and a sentence where a damaged one was set aside for it.

    Raises Failed for one that a newer version has written, and where the disk does not let it be opened.
    """
    damage = damage_of(path) if path.exists() else None
    notice = None
    if damage is not None:
        aside = set_aside(path)
        notice = (
            f"The store of sweeps was damaged ({damage}): it was set aside as {aside.name}, and a new one was begun. "
            "Earlier sweeps are not listed; exports are not concerned."
        )
    return Store(path), notice


def damage_of(path: Path) -> str | None:
    """What is wrong with the file, None for nothing. Raises Failed for what is no damage but in the way."""
    if not path.is_file():
        return "it is no file"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
        try:
            return _problem(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if str(getattr(error, "sqlite_errorname", "")).startswith(DAMAGE):
            return str(error)
        raise Failed(what_failed(error)) from error


def _problem(connection: sqlite3.Connection) -> str | None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise Failed(
            f"The store of sweeps was written by a newer version of this app (format {version}, this one knows "
            f"{SCHEMA_VERSION}): update the app, or choose another --data-dir."
        )
    answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if answer != "ok":
        return answer.splitlines()[0][:120]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and version == 0:
        return None  # a new file, cut off before its tables were made
    for table, columns in expected_columns().items():
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if not found and table in OPTIONAL_TABLES:
            continue
        if not columns <= found:
            return f"the table {table} is missing or has other columns"
    return None


def set_aside(path: Path) -> Path:
    """Rename the store and what lies beside it; gives the new place. Raises Failed."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{path.stem}.damaged-{stamp}{extra}{path.suffix}" for extra in ("", *(f"-{n}" for n in range(2, 1000))))
    aside = next(place for name in names if not (place := path.with_name(name)).exists())
    try:
        for ending in BESIDE:
            source = path.with_name(path.name + ending)
            if source.exists() or source.is_symlink():
                os.replace(source, aside.with_name(aside.name + ending))
    except OSError as error:
        raise Failed(f"The damaged store {path.name!r} could not be set aside: {error.strerror}.") from error
    return aside
