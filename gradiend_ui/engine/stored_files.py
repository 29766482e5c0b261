"""Whether a path leads to bytes that lie somewhere: not to a pipe, a device, or a report that the system makes up.

What is read in `/proc` or `/sys` looks like a plain file, and yet reading it may wait for ever (`/proc/kmsg` does, for
whoever may read it at all). On Linux such files are known by the file system that they lie on, and everywhere by having
no size: of a file without bytes none are read. Knows files; not what they hold.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

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
