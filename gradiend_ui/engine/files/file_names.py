"""Names and places of files: which texts can name one, and whether a path leads to bytes that lie somewhere.

A text out of a file is looked at here before it is joined to a path: one that no system takes as a name raises wherever
it is asked about. On Windows, where people unpack and copy what was made elsewhere, a device's name stands for the
device with any ending and in any folder: `aux.json` is AUX.

A path may lead to a pipe, a device, or a report that the system makes up. What is read in `/proc` or `/sys` looks like
a plain file, and yet reading it may wait for ever (`/proc/kmsg` does, for whoever may read it at all). On Linux such
files are known by the file system that they lie on, and everywhere by having no size: of a file without bytes none are
read. What Git LFS leaves in place of a large file stands for it, too. Knows names, and what a path leads to; not what
files hold.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

NUMBERED = ("com", "lpt")
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{device}{number}" for device in NUMBERED for number in range(10)}
)
"""As Windows knows them; it takes the small numbers ¹ ² ³ for 1 2 3."""
LONGEST_PATH, LONGEST_PIECE = 4096, 255
"""Bytes of a path, and of one name in it, that systems take."""
WHY = "is the name of a device on Windows and cannot be that of"


MAX_LOCATION, MAX_NAME_BYTES = 1000, 255
RING = "its links lead in a ring"
WINDOWS_RING = 1921
"""ERROR_CANT_RESOLVE_FILENAME."""


def can_be_name(name: str) -> bool:
    """Whether a text can be the name of one file or folder: printable, no path, and no longer than systems take."""
    plain = name.isprintable() and name not in ("", ".", "..") and not {"/", "\\"} & set(name)
    return plain and len(os.fsencode(name)) <= MAX_NAME_BYTES


def can_be_location(stated: str) -> bool:
    """Whether a text can be a folder or Hub name at all: printable, and no piece longer than a file's name."""
    if not stated.isprintable() or len(stated) > MAX_LOCATION:
        return False
    return all(len(os.fsencode(one)) <= MAX_NAME_BYTES for one in stated.replace("\\", "/").split("/"))


def followed(path: str | os.PathLike[str]) -> Path:
    """The whole path without links, whether or not something is there.

    Raises OSError where the links lead in a ring, in every version of Python (`Path.resolve` raises RuntimeError before
    3.13, and gives the ring back from then on), and ValueError for a zero byte.
    """
    found = os.path.realpath(path)
    if is_ring(found) or os.path.realpath(found) != found:  # what comes behind a ring is not followed at all
        raise OSError(errno.ELOOP, RING, str(path))
    return Path(found)


def lies_in(path: str | os.PathLike[str], *folders: str | os.PathLike[str]) -> bool:
    """Whether the path, links followed, is one of the folders or below it; False where either leads in a ring."""
    try:
        place = followed(path)
    except OSError:
        return False
    for folder in folders:
        with suppress(OSError):
            if place.is_relative_to(followed(folder)):
                return True
    return False


def is_ring(path: str | os.PathLike[str]) -> bool:
    """Whether the links on a path lead in a ring, so that nothing can ever be there."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ELOOP or getattr(error, "winerror", None) == WINDOWS_RING
    except ValueError:
        return False
    return False


def is_from_a_root(stated: str) -> bool:
    """Whether a text is a path from the root of some machine, whatever its system is, or from somebody's home."""
    return PurePosixPath(stated).is_absolute() or PureWindowsPath(stated).is_absolute() or stated.startswith("~")


def is_device(name: str) -> bool:
    """Whether a file or folder of this name would be a device there, whatever its ending and case."""
    stem = unicodedata.normalize("NFKC", name).partition(".")[0].partition(":")[0]
    return stem.strip().lower() in DEVICES


def is_writable(path: str | Path) -> bool:
    """Whether the system has bytes for the name: none has them for half a character, as JSON may hold one."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def without_device(name: str) -> str:
    """The same name, with an underscore before it where it would be a device."""
    return f"_{name}" if is_device(name) else name


MOUNTS = Path("/proc/self/mountinfo")
REPORTS = frozenset({
    "proc", "sysfs", "debugfs", "tracefs", "cgroup", "cgroup2", "securityfs", "configfs", "pstore", "efivarfs", "bpf",
    "bpf_fs", "binfmt_misc", "fusectl", "selinuxfs", "smackfs", "apparmorfs", "resctrl", "nfsd", "rpc_pipefs", "autofs",
    "devpts", "mqueue", "nsfs",
})  # fmt: skip
"""File systems whose files are made up when they are read."""
NO_PLAIN_FILE = "it is no plain file"


def regular_bytes(path: Path, most: int) -> bytes:
    """The content of a plain file of at most so many bytes; nothing else is waited for. Raises OSError, or ValueError
    with a reason in a few words."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        check_stored(status)
        content = file.read(most + 1) if status.st_size else b""
    if len(content) > most:
        raise ValueError(f"it is larger than {most // 2**20} MB")
    return content


def check_stored(status: os.stat_result) -> None:
    """Raises ValueError with a reason in a few words for what is no file on a disk."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(NO_PLAIN_FILE)
    kind = _reports().get(status.st_dev)
    if kind is not None:
        raise ValueError(f"{NO_PLAIN_FILE}, but made up by the system as it is read ({kind}): copy it to a disk first")


LFS, MOST_OF_POINTER = b"version https://git-lfs.github.com/spec/", 1024


def is_pointer(path: Path) -> bool:
    """Whether a plain file is what Git leaves in place of a large one that was not fetched (Git LFS)."""
    if path.stat().st_size > MOST_OF_POINTER:
        return False
    with path.open("rb") as file:
        return file.read(len(LFS)) == LFS


def _reports() -> dict[int, str]:
    """{device: kind} of the file systems here whose files are made up; {} where the system does not tell."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[int, str] = {}
    for line in lines:
        place, _, kind = line.partition(" - ")
        kind, (major, _, minor) = kind.split(" ")[0], place.split(" ")[2].partition(":")
        if kind in REPORTS:
            found[os.makedev(int(major), int(minor))] = kind
    return found
