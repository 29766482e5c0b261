"""The files that SQLite keeps together, looked at before it opens any of them.

SQLite follows links, waits at a pipe, takes a file of one byte for a new store, and plays back or deletes whatever has
the name of a log or journal. Here each is looked at for what it is. Knows names, kinds and first bytes of files; no
table, and it changes nothing.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from gradiend_ui.engine.errors import Failed

LOG, INDEX, JOURNAL = "-wal", "-shm", "-journal"
BESIDE = ("", LOG, INDEX, JOURNAL)
"""The files that SQLite keeps together."""
HEADER = b"SQLite format 3\0"
NEWEST_WRITING = 2
"""SQLite only reads a file that states a later one (at 18, of reading at 19). Source: sqlite.org/fileformat2.html"""
LOG_MAGIC = tuple(struct.pack(">I", magic) for magic in (0x377F0682, 0x377F0683))
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
INDEX_MAGIC = struct.pack("=I", 3007000)
FIRST_PAGE, FIRST_JOURNAL = 4096, 512 + 4 + 4096 + 4
"""Bytes at most of a store of nothing and of its journal: it is written, and then written again to have a log."""


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def check_names(path: Path) -> None:
    """Whether each file has one name only: what is written to one with a second is written there too. Raises Failed."""
    for ending in BESIDE:
        place = beside(path, ending)
        if _is_file(place) and _status(place).st_nlink > 1:
            raise Failed(
                f"The file {place.name!r} in the data folder has a second name (a hard link), and writing to it would "
                "change what bears that name too: replace it by a copy of itself, or choose another --data-dir."
            )


def why_no_store(path: Path) -> str | None:
    """What the thing at the store's place is instead of one, None for what may be a store or the beginning of one."""
    mode = _status(path).st_mode
    if stat.S_ISLNK(mode):
        return "it is a link, and links are not followed here"
    if not stat.S_ISREG(mode):
        return "it is a folder" if stat.S_ISDIR(mode) else "it is no file"
    first = _first_bytes(path, 20)
    if first and not first.startswith(HEADER):
        return "it is no database"
    if any(version > NEWEST_WRITING for version in first[18:]):
        return "it is of a format that this app does not write"
    return None


def lonely(path: Path) -> list[str]:
    """The endings of what lies beside a store that is missing or empty, which SQLite would delete.

    None for the journal of a store whose first page was being written when a kill came.
    """
    if os.path.lexists(path) and not (_is_file(path) and _status(path).st_size == 0):
        return []
    first_moments = os.path.lexists(path) and _is_first_journal(beside(path, JOURNAL))
    return [ending for ending in _lying(path) if not (ending == JOURNAL and first_moments)]


def strange(path: Path) -> list[str]:
    """The endings of what lies beside a store and is none of SQLite's files: links, pipes, folders, others' files.

    Not of a log that is a file: what is wrong with one is told by `opening.log_is_cut`.
    """
    return [ending for ending in _lying(path) if not _can_be(ending, beside(path, ending))]


def has_unfinished_change(path: Path) -> bool:
    """Whether SQLite's own journal lies beside the store, with what is to be taken back."""
    journal = beside(path, JOURNAL)
    return _is_file(journal) and _first_bytes(journal, len(JOURNAL_MAGIC)) == JOURNAL_MAGIC


def is_beginning(path: Path) -> bool:
    """Whether a kill came while the store's very first page was written: nothing was in it."""
    first = _first_bytes(path, len(HEADER))
    whole = HEADER.startswith(first) and _status(path).st_size <= FIRST_PAGE
    return whole and _is_first_journal(beside(path, JOURNAL))


def begins_like_a_log(content: bytes) -> bool:
    """Whether a kill may have cut a log's header off there."""
    return not any(content) or any(magic.startswith(content[:4]) for magic in LOG_MAGIC)


def _lying(path: Path) -> list[str]:
    return [ending for ending in BESIDE[1:] if os.path.lexists(beside(path, ending))]


def _can_be(ending: str, place: Path) -> bool:
    if not _is_file(place):
        return False
    first = _first_bytes(place, 8)
    if not any(first) or ending == LOG:  # the beginning of any of them is written last
        return True
    return first == JOURNAL_MAGIC if ending == JOURNAL else first[:4] == INDEX_MAGIC


def _is_first_journal(place: Path) -> bool:
    if not _is_file(place) or _status(place).st_size > FIRST_JOURNAL:
        return False
    first = _first_bytes(place, 8)
    return not any(first) or first == JOURNAL_MAGIC


def _is_file(place: Path) -> bool:
    """Whether it is a file itself, which can be opened without waiting and leads nowhere else."""
    return os.path.lexists(place) and stat.S_ISREG(_status(place).st_mode)


def is_file(place: Path) -> bool:
    """The same, False where that cannot be told."""
    with suppress(Failed):
        return _is_file(place)
    return False


def _status(place: Path) -> os.stat_result:
    try:
        return place.lstat()
    except OSError as error:
        raise _unreadable(place, error) from error


def _first_bytes(place: Path, count: int) -> bytes:
    try:
        with place.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise _unreadable(place, error) from error


def _unreadable(place: Path, error: OSError) -> Failed:
    return Failed(
        f"The file {place.name!r} in the data folder cannot be read ({error.strerror or error}): check the folder's "
        "rights and its disk, or choose another --data-dir."
    )
