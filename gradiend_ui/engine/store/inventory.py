"""The inventory: what the app made and may clear away again, a list in its store, written before each thing is made.

Nothing else is ever cleared: a name proves nothing. A thing counts as ours while it is the one that was noted (its
number on the disk and the moment it was born, which a replacement does not share) and, once it is finished, has the
content that it had then. Where that cannot be told, it stays. Knows places; not when they have had their time.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files.file_names import RING, followed
from gradiend_ui.engine.files.whole_or_absent import FROM_HERE
from gradiend_ui.engine.store.database import Database

log = logging.getLogger(__name__)
Kind = Literal["unfinished", "cache", "place", "export", "upload"]
"""unfinished: what is being written. cache: what passes through to and from browsers of one server, with all in it.
place: a folder that goes when it is empty. export: a zip that waits for its download. upload: tables and models."""
MADE_TABLE = """
CREATE TABLE IF NOT EXISTS made (
    place BLOB PRIMARY KEY, kind TEXT NOT NULL, identities TEXT NOT NULL, content TEXT NOT NULL, instead_of BLOB,
    noted REAL NOT NULL) WITHOUT ROWID
"""
LARGE_BYTES = 64 * 2**20
_LINK_ITSELF, _BIRTH, _BIRTH_AT = 0x100, 0x800, 0x50
"""AT_SYMLINK_NOFOLLOW, STATX_BTIME and where in its answer the time of birth is (Linux)."""


@dataclass(frozen=True, slots=True)
class Noted:
    """One line of the list. place: below the app's folder, or absolute elsewhere.

    identities: of what may be there, "" before anything was. content: of a finished thing, "" where it may change.
    instead_of: where it belongs, for what was moved aside. noted: seconds since 1970.
    """

    place: str
    kind: Kind
    identities: tuple[str, ...]
    content: str
    instead_of: str | None
    noted: float


class InventoryTable(Database):
    """The list as a table of the store. Raises Failed where the disk refuses."""

    def note_made(self, noted: Noted) -> None:
        """Add the line, or put it in the place of the one that there was."""
        self._change_made("INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?, ?, ?)", _row_of(noted))

    def made(self) -> list[Noted]:
        """All lines; damaged ones are left out."""
        return list(noted_in(self._all("SELECT * FROM made ORDER BY place")))

    def made_at(self, place: str) -> Noted | None:
        return next(noted_in(self._all("SELECT * FROM made WHERE place = ?", (os.fsencode(place),))), None)

    def forget_made(self, place: str) -> None:
        self._change_made("DELETE FROM made WHERE place = ?", (os.fsencode(place),))

    def _change_made(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._writing() as db:
            db.execute(statement, values)


def _row_of(noted: Noted) -> tuple[Any, ...]:
    """Names as the bytes they are: not every one is text."""
    aside = None if noted.instead_of is None else os.fsencode(noted.instead_of)
    return (
        os.fsencode(noted.place), noted.kind, " ".join(noted.identities), noted.content, aside, noted.noted
    )  # fmt: skip


def noted_in(rows: list[Any]) -> Iterator[Noted]:
    """The lines in rows of the table. They name what is removed, so a row that is not as it was written is none."""
    for place, kind, identities, content, aside, noted in rows:
        try:
            if kind not in get_args(Kind):
                raise ValueError(kind)
            instead_of = None if aside is None else os.fsdecode(aside)
            yield Noted(os.fsdecode(place), kind, tuple(identities.split()), str(content), instead_of, float(noted))
        except (TypeError, ValueError, AttributeError):
            log.warning("a line of what the app made is damaged")


class Inventory:
    """The list of the app's folder `home`, kept in `store`. See `whole_or_absent.Notes` for the writing."""

    def __init__(self, store: InventoryTable, home: Path) -> None:
        self._store, self.home = store, followed(home)

    # --- before, while and after something is made ------------------------------------------------------------------

    def expect(self, place: Path, *, kind: Kind = "unfinished", instead_of: Path | None = None) -> None:
        aside = None if instead_of is None else self._name(instead_of)
        identity = () if instead_of is None else _known(identity_of(instead_of))
        self._store.note_made(Noted(self._name(place), kind, identity, "", aside, time.time()))

    def there(self, place: Path) -> None:
        self._add_identity(place, place)

    def swaps(self, place: Path, other: Path) -> None:
        self._add_identity(place, other)

    def keeps(self, place: Path, source: Path, *, kind: Kind = "upload") -> None:
        try:
            identity, content = _known(identity_of(source)), content_of(source)
        except OSError as error:
            raise Failed(f"{source.name!r} could not be read again: {error.strerror or error}.") from error
        self._store.note_made(Noted(self._name(place), kind, identity, content, None, time.time()))

    def forget(self, place: Path) -> None:
        with suppress(Failed):
            self._store.forget_made(self._name(place))

    def folder(self, place: Path, kind: Kind) -> Path:
        """Make the new folder `place`, noted; and the folders above it, which stay. Raises OSError, Failed."""
        place.parent.mkdir(parents=True, exist_ok=True)
        self.expect(place, kind=kind)
        try:
            place.mkdir()
        except OSError:
            self.forget(place)
            raise
        self.there(place)
        return place

    # --- what is there ---------------------------------------------------------------------------------------------

    def lines(self) -> list[Noted]:
        return self._store.made()

    def line_at(self, place: Path) -> Noted | None:
        return self._store.made_at(self._name(place))

    def path_of(self, noted: Noted) -> Path:
        return self.home / noted.place

    def is_listed(self, place: Path) -> bool:
        """Whether what lies at `place` is a finished thing of ours, unchanged."""
        noted = self.line_at(place)
        return noted is not None and self.is_ours(noted)

    def is_ours(self, noted: Noted) -> bool:
        """Whether what lies there is what was noted, and no link leads to it. False where nothing does."""
        path = self.path_of(noted)
        try:
            if followed(path.parent) != path.parent:
                return False
            if not noted.identities:  # a kill came right after it was made
                return is_bare(path)
            if identity_of(path) not in noted.identities:
                return False
            return not noted.content or content_of(path) == noted.content
        except OSError:
            return False

    def _add_identity(self, place: Path, source: Path) -> None:
        noted = self.line_at(place)
        if noted is not None:
            self._store.note_made(replace(noted, identities=(*noted.identities, *_known(identity_of(source)))))

    def _name(self, place: Path) -> str:
        """How a place is listed: its folder without links, so that one that comes between later is noticed."""
        try:
            whole = followed(place.parent) / place.name
        except OSError as error:
            raise Failed(f"{place.name!r} has no place: of its folder {RING}. Repair it.") from error
        return str(whole.relative_to(self.home)) if whole.is_relative_to(self.home) else str(whole)


# --- one thing on the disk --------------------------------------------------------------------------------------------


def identity_of(path: Path) -> str:
    """What tells a file, folder or link from one that takes its name later; "" where nothing does. Raises OSError."""
    status = path.lstat()
    return f"{stat.S_IFMT(status.st_mode):o}:{status.st_ino}:{_birth_of(path, status)}" if status.st_ino else ""


def content_of(path: Path) -> str:
    """What a finished thing holds: of a folder the sha256 of all names, sizes and times in it. Raises OSError."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        if path.is_symlink():
            return os.readlink(path)
        return _content_of_file(path)
    digest = hashlib.sha256()
    for place, folders, files in os.walk(path, onerror=_raise):
        folders.sort()
        for name in sorted(files) + folders:
            inside = Path(place, name)
            status = inside.lstat()
            is_folder = stat.S_ISDIR(status.st_mode)
            told = "" if is_folder else f"{status.st_size}:{status.st_mtime_ns}"
            digest.update(os.fsencode(inside.relative_to(path)) + f"\0{stat.S_IFMT(status.st_mode)}:{told}\0".encode())
    return digest.hexdigest()


def _content_of_file(path: Path) -> str:
    """Its sha256; of a large one (a zip of weights, which would be read twice) the size."""
    size = path.stat().st_size
    return f"{size} bytes" if size > LARGE_BYTES else sha256_of(path)


def sha256_of(path: Path) -> str:
    """Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_bare(path: Path) -> bool:
    """Whether it is a file or folder without anything in it. Raises OSError."""
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        with os.scandir(path) as inside:
            return next(inside, None) is None
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _raise(error: OSError) -> None:
    raise error


def _known(identity: str) -> tuple[str, ...]:
    return (identity,) if identity else ()


def _birth_of(path: Path, status: os.stat_result) -> int:
    """When it was made, in nanoseconds; 0 where the system does not tell."""
    call = _statx()
    if call is None:
        return int(getattr(status, "st_birthtime", 0) * 1e9)
    answer = ctypes.create_string_buffer(256)
    if call(FROM_HERE, os.fsencode(path), _LINK_ITSELF, _BIRTH, answer) != 0:
        return 0
    told = int.from_bytes(answer.raw[:4], sys.byteorder) & _BIRTH
    seconds = int.from_bytes(answer.raw[_BIRTH_AT : _BIRTH_AT + 8], sys.byteorder, signed=True)
    nanoseconds = int.from_bytes(answer.raw[_BIRTH_AT + 8 : _BIRTH_AT + 12], sys.byteorder)
    return seconds * 10**9 + nanoseconds if told else 0


@cache
def _statx() -> Any:
    """statx of the C library; None elsewhere than on a Linux that has it."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).statx
        call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p]
        call.restype = ctypes.c_int
        return call
    return None
