"""Folders and names as people type them: bounded before anything is done with them.

Looks at the text only; what lies there is for whoever opens it.
"""

from __future__ import annotations

import os
from pathlib import Path

from gradiend_ui.engine.checked_json import is_broken, shown
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.file_names import followed

LONGEST, LONGEST_PIECE = 4096, 255


def checked_location(given: object, accepted: str) -> str:
    """The text, where it can be a folder's or a model's name. accepted: how the refusal begins, without a full stop.

    Raises BadGrid for anything but a text, and for one that no system takes for a name.
    """
    if not isinstance(given, str):
        raise BadGrid(f"{accepted}, not {shown(given)}.")
    if not given.strip():
        raise BadGrid(f"{accepted}; it is empty.")
    if len(given) > LONGEST:
        raise BadGrid(f"{accepted}; this one has {len(given):,} characters, and no path has over {LONGEST:,}.")
    if any(ord(character) < 32 for character in given) or is_broken(given):
        raise BadGrid(f"{accepted}, not {shown(given)}: it holds characters that no name has.")
    pieces = given.replace("\\", "/").split("/")
    if any(len(os.fsencode(piece)) > LONGEST_PIECE for piece in pieces):
        raise BadGrid(f"{accepted}, not {shown(given)}: no folder's name has over {LONGEST_PIECE} bytes.")
    return given


def absolute(location: str) -> str:
    """The folder by its whole path. Raises BadGrid for the home of a user whom nobody knows, and links in a ring."""
    try:
        return str(followed(Path(location).expanduser()))
    except (OSError, RuntimeError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise BadGrid(f"The folder {shown(location)} cannot be found ({why}): give its whole path.") from error
