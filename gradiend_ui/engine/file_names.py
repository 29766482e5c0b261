"""Names that no file may have on Windows, where people unpack and copy what was made elsewhere, or may have nowhere.

A device's name stands for the device with any ending and in any folder: `aux.json` is AUX. Knows names only.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

NUMBERED = ("com", "lpt")
DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{device}{number}" for device in NUMBERED for number in range(10)}
)
"""As Windows knows them; it takes the small numbers ¹ ² ³ for 1 2 3."""
WHY = "which is the name of a device on Windows"


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
