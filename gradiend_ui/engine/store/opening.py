"""Opening the store of a server: looked through first, and set aside whole where it is damaged; never deleted.

Knows one SQLite file and what tables it must have. Only one process may work in the folder meanwhile.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO

from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.store.database import what_failed
from gradiend_ui.engine.store.inventory import noted_in
from gradiend_ui.engine.store.sqlite_files import (
    BESIDE,
    INDEX,
    JOURNAL,
    LOG,
    LOG_MAGIC,
    begins_like_a_log,
    beside,
    check_names,
    has_unfinished_change,
    is_beginning,
    is_file,
    lonely,
    strange,
    why_no_store,
)
from gradiend_ui.engine.store.store import OPTIONAL_TABLES, SCHEMA_VERSION, Store, expected_columns

DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")
"""The last one: a format or a table's description that SQLite does not understand. The check itself is right."""
LOG_HEADER, FRAME_HEADER = 32, 24


def opened_store(path: Path) -> tuple[Store, str | None]:
    """The store at `path`, made where there is none, and sentences on what was set aside for it, None for nothing.

    Raises Failed for one that a newer version has written or that has a second name, and where the disk does not let it
    be opened.
    """
    check_names(path)
    told = [_cleared(path), _taken_back(path)]
    damage = damage_of(path) if os.path.lexists(path) else None
    if damage is None and log_is_cut(path):
        copy = copied_aside(path)
        told.append(
            "The newest part of the store of sweeps was damaged and could not be read: what it held is scored again "
            f"when its sweeps are resumed. A copy of the store as it was found is kept as {copy.name}."
        )
    if damage is not None:
        aside = set_aside(path)
        told.append(
            f"The store of sweeps was damaged ({damage}): it was set aside as {aside.name}, and a new one was begun. "
            "Earlier sweeps are not listed; exports are not concerned."
        )
    store = Store(path)
    if damage is not None:
        _take_over_list(store, aside)
    return store, " ".join(filter(None, told)) or None


def _cleared(path: Path) -> str | None:
    """Set aside what lies beside the store and SQLite would delete, follow or wait for; gives what to say of it."""
    alone = lonely(path)
    endings = alone or strange(path)
    if not endings:
        return None
    aside = set_aside(path, endings)
    names = " and ".join(f"{path.name}{ending} (now {aside.name}{ending})" for ending in endings)
    if alone:
        what = "empty" if os.path.lexists(path) else "missing"
        return (
            f"The store of sweeps was {what}: what lay beside it was set aside, {names}, and a new store was begun. "
            "Earlier sweeps are not listed; exports are not concerned."
        )
    return f"Beside the store of sweeps lay what is not this app's: it was set aside, {names}."


def _taken_back(path: Path) -> str | None:
    """Let SQLite take back what a kill left unfinished, as a journal says; gives what to say of it. Raises Failed.

    This app's stores have a log instead but while their first page is written: any other is kept as it was found.
    """
    if not is_file(path) or not has_unfinished_change(path):
        return None
    told = None
    if not is_beginning(path):
        if why_no_store(path) is not None:
            return None  # it is set aside with its journal
        told = (
            "The store of sweeps had an unfinished change, which was taken back. A copy of the store as it was found "
            f"is kept as {copied_aside(path).name}."
        )
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10.0)) as connection:
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        if not _is_damage(error):
            raise Failed(what_failed(error)) from error
    return told


def _take_over_list(store: Store, aside: Path) -> None:
    """What the app made is still to be cleared once it had its time: as much of the list as can be read."""
    rows: list[Any] = []
    if not is_file(aside):  # a link leads to somebody's file, and a pipe is waited for
        return
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as connection,
    ):
        for row in connection.execute("SELECT * FROM made"):
            rows.append(row)
    for noted in noted_in(rows):
        store.note_made(noted)


def damage_of(path: Path) -> str | None:
    """What is wrong with the file, None for nothing. Raises Failed for what is no damage but in the way."""
    if (why := why_no_store(path)) is not None:
        return why
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
        try:
            return _problem(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if _is_damage(error):
            return str(error)
        raise Failed(what_failed(error)) from error


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame: SQLite says so, or Python could not read a text in it, and has no name for that."""
    return str(getattr(error, "sqlite_errorname", DAMAGE[0])).startswith(DAMAGE)


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


def log_is_cut(path: Path) -> bool:
    """Whether the write-ahead log beside the store holds finished transactions that SQLite cannot read any more.

    A process that was killed leaves at most an unfinished transaction at the log's end, and no finished one after it.
    Anything else is damage, which SQLite passes over in silence. Raises Failed. Source: sqlite.org/walformat.html
    """
    log = beside(path, LOG)
    try:
        if not is_file(log):
            return False
        if log.stat().st_size <= LOG_HEADER:
            return not begins_like_a_log(log.read_bytes())
        with log.open("rb") as file:
            finished = _finished_frames(file)
        return finished is None or finished > _readable_frames(path)
    except OSError as error:
        raise Failed(f"The store's log {log.name!r} cannot be read: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise Failed(what_failed(error)) from error


def _finished_frames(file: BinaryIO) -> int | None:
    """The number of the last transaction end that has more of the log's present round behind it.

    0 for none; None where the header is unusable. The very last frame may have been cut off while it was written.
    """
    header = file.read(LOG_HEADER)
    magic, page = header[:4], struct.unpack(">I", header[8:12])[0]
    salts, checksum = header[16:24], struct.unpack(">2I", header[24:])
    if magic not in LOG_MAGIC or _checksum(header[:24], big_endian=bool(magic[-1] & 1)) != checksum:
        return None
    finished = ended = number = 0
    while len(frame := file.read(FRAME_HEADER)) == FRAME_HEADER:
        number += 1
        if frame[8:16] == salts:
            finished = ended
            ended = number if struct.unpack(">I", frame[4:8])[0] else ended
        file.seek(page, os.SEEK_CUR)
    return finished


def _checksum(content: bytes, *, big_endian: bool) -> tuple[int, int]:
    first = second = 0
    for left, right in struct.iter_unpack(">2I" if big_endian else "<2I", content):
        first = (first + left + second) & 0xFFFFFFFF
        second = (second + right + first) & 0xFFFFFFFF
    return first, second


def _readable_frames(path: Path) -> int:
    """How many frames of the log SQLite takes, as its index beside the log says once somebody reads."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        with beside(path, INDEX).open("rb") as index:
            return int(struct.unpack("=I", index.read(20)[16:])[0])


def copied_aside(path: Path) -> Path:
    """Copy the store with its log and journal under a new name; gives it. Raises Failed."""
    aside = _free_name(path)
    try:
        for ending in ("", LOG, JOURNAL):
            if is_file(beside(path, ending)):
                shutil.copy2(beside(path, ending), beside(aside, ending))
    except OSError as error:
        raise Failed(
            f"The store {path.name!r} is damaged and could not be copied aside: {error.strerror}. Free disk space and "
            "start again."
        ) from error
    return aside


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"{path.stem}.damaged-{stamp}{extra}{path.suffix}" for extra in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path.with_name(name) for name in names if not _is_taken(path.with_name(name)))


def _is_taken(place: Path) -> bool:
    """Whether the store, or one of the files beside it, would take the place of something."""
    return any(os.path.lexists(beside(place, ending)) for ending in BESIDE)


def set_aside(path: Path, endings: Sequence[str] = BESIDE) -> Path:
    """Rename the store and what lies beside it, or only some of that; gives the store's new place. Raises Failed."""
    aside = _free_name(path)
    source = path
    try:
        for ending in reversed(endings):  # the log before the store: alone, SQLite would drop it
            source = beside(path, ending)
            if os.path.lexists(source):
                os.replace(source, beside(aside, ending))
    except OSError as error:
        raise Failed(
            f"{source.name!r} in the data folder is no sound part of a store and could not be set aside "
            f"({error.strerror or error}): move it away, or choose another --data-dir."
        ) from error
    return aside
