"""Putting files and folders in their place so that no fault, kill or power cut leaves half of one under its name.

What is being written bears a name of its own meanwhile (`unfinished`). Within `noting`, each such name is noted before
there is anything of it, so that what a kill leaves can be told from what is somebody else's (see `inventory`). Knows
files; not what they hold, and not where notes are kept.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from gradiend_ui.engine.errors import Failed, Text

FROM_HERE = -100
"""AT_FDCWD of Linux: names are taken as they are."""
_RENAME_EXCHANGE = 2
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ROOM_TEXTS = tuple(os.strerror(code) for code in NO_ROOM)
"""safetensors tells the same as text only."""
NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
LONGEST_STEM = 120
"""Bytes of a name that are kept in the name of what is being written: a name has 255 at most."""


class Notes(Protocol):
    """Where it is noted what is made, before it is. All but `forget` raise Failed where that cannot be done."""

    def expect(self, place: Path, *, instead_of: Path | None = None) -> None:
        """Nothing is at `place` yet; what will be there is unfinished. instead_of: the place of what is moved there."""

    def there(self, place: Path) -> None:
        """What was expected at `place` has just been made, and is still empty."""

    def swaps(self, place: Path, other: Path) -> None:
        """`place` is about to hold what `other` holds now."""

    def keeps(self, place: Path, source: Path) -> None:
        """`source`, which is whole, is about to be renamed to `place`, and may be cleared away once it had its time."""

    def forget(self, place: Path) -> None:
        """Nothing of ours is at `place` any more. Where this cannot be noted, clearing up finds it out."""


_notes: ContextVar[Notes | None] = ContextVar("notes", default=None)


@contextmanager
def noting(notes: Notes | None) -> Iterator[None]:
    """Everything that this thread writes inside is noted there; None notes nothing."""
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)


@contextmanager
def unfinished(place: Path, *, folder: bool = False, notes: Notes | None = None) -> Iterator[Path]:
    """A new empty file (or folder) beside `place`, to be written and then renamed to it; what is left of it goes.

    It is made here, so that it is nobody else's. notes: for generators, which do not stay within one `noting`.
    Raises OSError where it cannot be made, Failed where it cannot be noted.
    """
    notes = notes or _notes.get()
    partial = _begun(place, folder, notes)
    try:
        yield partial
    finally:
        _gone(partial, notes)


def _begun(place: Path, folder: bool, notes: Notes | None) -> Path:
    partial = _free_beside(place, "partial")
    if notes is not None:
        notes.expect(partial)
    try:
        partial.mkdir() if folder else partial.touch(exist_ok=False)
    except OSError:
        if notes is not None:
            notes.forget(partial)
        raise
    try:
        if notes is not None:
            notes.there(partial)
    except BaseException:
        _gone(partial, notes)
        raise
    return partial


def _free_beside(place: Path, what: str) -> Path:
    stem = place.name.encode(errors="surrogateescape")[:LONGEST_STEM].decode(errors="ignore")
    while True:
        name = place.with_name(f".{stem}.{what}-{secrets.token_hex(8)}")
        if not os.path.lexists(name):
            return name


def _gone(partial: Path, notes: Notes | None) -> None:
    """Remove what is being written; a disk that refuses even that keeps it, and its note."""
    if partial.is_dir() and not partial.is_symlink():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        discard(partial)
    if notes is not None and not os.path.lexists(partial):
        notes.forget(partial)


def keep_whole(partial: Path, place: Path) -> None:
    """Rename the whole `partial` to `place`, to be cleared away once it had its time. Raises OSError, Failed."""
    notes = _notes.get()
    if notes is not None:
        notes.keeps(place, partial)
    os.replace(partial, place)


def reason_of(error: Exception) -> str:
    """What the system says, such as "No space left on device"."""
    return str(getattr(error, "strerror", None) or error).removeprefix("Error while serializing: ").rstrip(".")


def with_advice(error: Exception) -> str:
    """What the system says, and what to do about it: the rest of a sentence, from the reason on."""
    return f"{reason_of(error)}. {ADVICE[advice_for(error)[0]]}."


ADVICE = {
    "page.free_space": "Free disk space and try again",
    "page.allow_writing": "Allow writing there and try again",
    "page.try_again": "Try again",
}


def advice_for(error: Exception) -> Text:
    """What to do about it, as a part of a page's text."""
    number = getattr(error, "errno", None)
    if number in NO_ROOM or any(text in str(error) for text in NO_ROOM_TEXTS):
        return "page.free_space", {}
    return ("page.allow_writing" if number in NOT_ALLOWED else "page.try_again"), {}


def write_durably(path: Path, content: bytes) -> None:
    """Write the new file `path`; when this returns, the disk has it. Raises OSError."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`, which holds all of it or what it held before. Raises OSError, Failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(path) as partial:
        write_durably(partial, content)
        os.replace(partial, path)


def write_whole(path: Path, content: str | bytes) -> None:
    """The same, text as UTF-8. Raises Failed."""
    try:
        replace_file(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise Failed(f"{path.name} could not be written: {with_advice(error)}") from error


def discard(path: Path) -> None:
    """Remove the file if it is there; a disk that refuses even that keeps it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def touch(path: Path) -> None:
    """Note that `path` is in use now, where the disk lets that be noted: what nobody used for long is removed."""
    with suppress(OSError):
        os.utime(path)


def sync_tree(folder: Path) -> None:
    """Have the disk take every file below `folder`, then the names. Raises OSError."""
    for place, _, names in os.walk(folder):
        for name in names:
            if not (path := Path(place, name)).is_symlink():
                _sync(path)
        sync_names(Path(place))


def sync_names(folder: Path) -> None:
    """Have the disk take the names in `folder`, where the system can: what was renamed is in its place in any case."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(one: Path, other: Path) -> bool:
    """Swap two things of one disk in a single step; False where the system does not know that (nothing is done then).

    Only so a folder that replaces another has its name at every moment: two renames leave a gap for a kill.
    """
    call = _exchanging_call()
    if call is None:
        return False
    return bool(call(FROM_HERE, os.fsencode(one), FROM_HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


@cache
def _exchanging_call() -> Any:
    """renameat2 of the C library; None elsewhere than on a Linux that has it."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
        call.restype = ctypes.c_int
        return call
    return None


@contextmanager
def new_folder(place: Path, *, replaces: bool = True, clearable: bool = False, inside: str = "") -> Iterator[Path]:
    """A new folder to be written: the disk has it as `place` once the block has ended without an error.

    replaces: a folder that is there goes; otherwise one that holds something is an OSError. clearable: it may be
    cleared away once it had its time. inside: the folder in it that becomes `place`, where the rest of it is needed
    while it is being made. Raises OSError, Failed; `place` holds what it held then, and nothing where nothing was.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with unfinished(place, folder=True) as stage:
        yield stage
        finished = stage / inside
        sync_tree(finished)
        notes = _notes.get()
        if clearable and notes is not None:
            notes.keeps(place, finished)
        if replaces and place.is_dir():
            replace_folder(finished, place, _free_beside(place, "old"))
        else:
            os.replace(finished, place)
        sync_names(place.parent)


def replace_folder(finished: Path, place: Path, aside: Path) -> None:
    """Put the folder `finished` where the folder `place` is; what was there lies at `finished` afterwards.

    aside: a free name beside `place`, used where the system cannot swap; a kill may leave the old folder there.
    Raises OSError, Failed; `place` holds what it held then.
    """
    notes = _notes.get()
    if notes is not None:
        notes.swaps(finished, place)
    if exchange(finished, place):
        return
    if notes is not None:
        notes.expect(aside, instead_of=place)
    try:
        os.replace(place, aside)
        try:
            os.replace(finished, place)
        except OSError:
            os.replace(aside, place)
            raise
        os.replace(aside, finished)
    finally:
        if notes is not None and not os.path.lexists(aside):
            notes.forget(aside)
