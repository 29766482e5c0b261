"""What was uploaded, as it lies below the uploads: each zip built once as a clean folder, under the hash of the zip.

A zip is unpacked and rebuilt in a confined process (`rebuilding`), and a mark tells for whom it was built, what stands
for it and what was left out. Knows folders and marks; opens nothing that was brought.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files.confined import Confinement, run_confined
from gradiend_ui.engine.files.file_names import followed
from gradiend_ui.engine.files.json_files import object_at
from gradiend_ui.engine.files.whole_or_absent import (
    advice_for,
    new_folder,
    reason_of,
    touch,
    with_advice,
)
from gradiend_ui.engine.uploads.archives import LIMITS, PUBLIC_LIMITS, hash_of

MARK = "taken_in.json"
"""Tells that a folder was built here, for whom, what stands for it, and what was left out."""
RAW, CLEAN = "raw", "clean"
"""In the folder that is built in: what was unpacked, and what is made of it."""
STRANGERS = Confinement(seconds=300.0, file_bytes=PUBLIC_LIMITS.entry_bytes, answer_bytes=4 * 2**20)
OWNERS = Confinement(seconds=3600.0, file_bytes=LIMITS.entry_bytes, answer_bytes=4 * 2**20, memory_bytes=8 * 1024**3)


def take_in(path: Path, uploads: Path, *, strangers: bool) -> Path:
    """The folder to load out of an uploaded zip: built once below `uploads`/<sha256 of the zip>.

    strangers: who brought it; their limits are lower, and pickled weights are refused. Raises BadCheckpoint, BadBase,
    NotAllowed or TooLarge with the entry or field in question, Failed when the disk or the process refuses.
    """
    try:
        home = uploads / hash_of(path)
        if was_taken_in(home, strangers=strangers):
            touch(home)
        else:
            with building(home) as stage:
                limits = STRANGERS if strangers else OWNERS
                run_confined("take_in", path, limits, writes=[stage], options=wanted(home, stage, strangers))
    except OSError as error:
        unpacked = Failed(f"The upload could not be unpacked: {with_advice(error)}")
        raise unpacked.known_as("load.not_unpacked", why=reason_of(error), advice=advice_for(error)) from error
    return home / str(marked(home)["source"])


def clean_home(home: Path, *, strangers: bool) -> None:
    """Build an unpacked upload anew, in its place, unless that was done: an earlier version left it raw, and what was
    built for the owner alone does not do for strangers. Raises as `take_in`.
    """
    if was_taken_in(home, strangers=strangers):
        return
    try:
        with building(home) as stage:
            limits = STRANGERS if strangers else OWNERS
            run_confined("clean", home, limits, writes=[stage], options=wanted(home, stage, strangers))
    except OSError as error:
        unread = Failed(f"The upload could not be read: {reason_of(error)}. Upload it again.")
        raise unread.known_as("load.not_read", why=reason_of(error)) from error


def wanted(home: Path, stage: Path, strangers: bool) -> dict[str, Any]:
    """The options of a build in `stage` of what becomes `home`."""
    return {"home": home.name, "stage": str(stage), "strangers": strangers}


def was_taken_in(home: Path, *, strangers: bool) -> bool:
    """Whether the folder was built here; what was built for the owner alone does not do for strangers."""
    mark = marked(home)
    return bool(mark) and (bool(mark.get("strangers")) or not strangers)


def marked(home: Path) -> dict[str, Any]:
    """{"home": its name, "source": the folder in it to load, "strangers", "notes": {folder: sentences}, "hub": names of
    models it needs}; empty for any other folder. The name is the hash of the zip, which no file in the zip can tell."""
    mark = object_at(home / MARK)
    return mark if mark.get("home") == home.name and isinstance(mark.get("source"), str) else {}


def notes_on(folder: Path, uploads: Path) -> tuple[str, ...]:
    """What was left out of the upload that `folder` lies in, a sentence each."""
    home = home_of(folder, uploads)
    notes = {} if home is None else marked(home).get("notes", {})
    return tuple(str(note) for sentences in notes.values() for note in sentences)


def home_of(folder: Path, uploads: Path) -> Path | None:
    """The upload that a folder lies in; None for one that lies elsewhere."""
    try:
        place, root = followed(folder), followed(uploads)
    except OSError:  # links in a ring: nothing lies there
        return None
    return root / place.relative_to(root).parts[0] if place.is_relative_to(root) and place != root else None


@contextmanager
def building(home: Path) -> Iterator[Path]:
    """A new folder to build in; what is built becomes `home` once the block has ended without an error."""
    with new_folder(home, clearable=True, inside=CLEAN) as stage:
        yield stage
