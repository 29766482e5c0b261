"""Putting files and folders in their place so that no fault, kill or power cut leaves half of one under its name.

Knows files; not what they hold.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed

_FROM_HERE = -100
"""AT_FDCWD of Linux: names are taken as they are."""
_RENAME_EXCHANGE = 2


def reason_of(error: Exception) -> str:
    """What the system says, such as "No space left on device"."""
    return str(getattr(error, "strerror", None) or error).removeprefix("Error while serializing: ").rstrip(".")


def write_durably(path: Path, content: bytes) -> None:
    """Write the new file `path`; when this returns, the disk has it. Raises OSError."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`, which holds all of it or what it held before. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[:80]}.partial-{secrets.token_hex(4)}")
    try:
        write_durably(partial, content)
        os.replace(partial, path)
    finally:
        discard(partial)


def write_whole(path: Path, content: str | bytes) -> None:
    """The same, text as UTF-8. Raises Failed."""
    try:
        replace_file(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise Failed(f"{path.name} could not be written: {reason_of(error)}. Free disk space and try again.") from error


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
    return bool(call(_FROM_HERE, os.fsencode(one), _FROM_HERE, os.fsencode(other), _RENAME_EXCHANGE) == 0)


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


def replace_folder(finished: Path, place: Path, aside: Path) -> None:
    """Put the folder `finished` where the folder `place` is; what was there lies at `finished` afterwards.

    aside: a free name beside `place`, used where the system cannot swap; a kill may leave the old folder there.
    Raises OSError; `place` holds what it held then.
    """
    if exchange(finished, place):
        return
    os.replace(place, aside)
    try:
        os.replace(finished, place)
    except OSError:
        os.replace(aside, place)
        raise
    os.replace(aside, finished)
