"""What a process that died left in a data folder, and what has had its time: found by name and age, and removed.

Nothing here follows a link, leaves the data folder, or touches what is finished: exports that are kept, the store, its
lock. Knows the names that writing uses (see `export`, `checkpoint_writer`, `archives`, `uploaded_tables`); no clock of
its own.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gradiend_ui.engine.errors import Busy, NotFound
from gradiend_ui.engine.store import Store
from gradiend_ui.engine.uploaded_tables import FOLDER as UPLOADS
from gradiend_ui.engine.uploaded_tables import is_upload_id

STAGES, KEPT, CACHE = "exports", "exported", "downloads"
"""Exports that are made and fetched, exports that stay, and what passes through to and from browsers."""
DAMAGED = "runs.damaged-*"
"""Stores that were set aside: their runs may refer to uploads that no other run does."""
DAY = 86400.0
UNFINISHED_SECONDS, STAGE_SECONDS, CACHE_SECONDS = 3600.0, 3600.0, 7200.0
UPLOAD_SECONDS, RUN_SECONDS = 7 * DAY, 30 * DAY
_WRITING = re.compile(r"\..+\.partial-\w+", re.DOTALL)
_ASIDE = re.compile(r"\.(.+)\.old-\w+", re.DOTALL)
_STAGED = re.compile(r"\..+|.+\.part", re.DOTALL)
"""What an upload is called before it is whole: a table, or the folder that a zip is unpacked to."""
_UNPACKED = re.compile(r"[0-9a-f]{64}")
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Tidied:
    """removed, restored: paths below the data folder; a folder counts once. bytes: how much the removed ones held."""

    removed: tuple[str, ...] = ()
    bytes: int = 0
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that can go. seconds: how long it must have rested before; 0 takes it whatever its age."""

    path: Path
    seconds: float


def tidy(data_dir: Path, now: float, used: Collection[str], *, at_start: bool = False) -> Tidied:
    """Remove what is left over in `data_dir`, and put back what a replacement had moved aside before it was cut off.

    now: seconds since 1970. used: the uploads that stay, see `used_uploads`. at_start: no process works in the folder
    yet, so that everything unfinished goes, whatever its age. What cannot be removed stays for the next time.
    """
    unfinished = 0.0 if at_start else UNFINISHED_SECONDS
    removed: list[str] = []
    size = 0
    restored = _put_back(data_dir, now - unfinished)
    for found in _candidates(data_dir, used, at_start, unfinished):
        with suppress(OSError):
            held, newest = _measure(found.path)
            if found.seconds and newest > now - found.seconds:
                continue
            _remove(found.path)
            removed.append(found.path.relative_to(data_dir).as_posix())
            size += held
    return Tidied(tuple(removed), size, restored)


def used_uploads(store: Store, data_dir: Path, since: float = 0.0) -> frozenset[str]:
    """The names below uploads/ that runs and checkpoints refer to: tables by their id, unpacked zips by their folder.

    since: checkpoints that no run has swept count only when they were loaded after this time, in seconds since 1970.
    """
    home = (data_dir / UPLOADS).resolve()
    runs = store.runs()
    swept = {run.checkpoint for run in runs}
    used = {
        str(given["upload"])
        for run in runs
        for given in (run.request.get("rows"), run.request.get("neutral"))
        if isinstance(given, dict) and is_upload_id(given.get("upload"))
    }
    for handle, source, options, loaded in store.checkpoint_sources():
        if handle in swept or loaded >= since:
            places = (source, options.get("base_model"))
            used |= {name for place in places if isinstance(place, str) and (name := _name_below(home, place))}
    return frozenset(used)


def drop_old_runs(store: Store, now: float) -> int:
    """Delete the runs that nobody swept or resumed for `RUN_SECONDS`; gives how many. For servers of strangers."""
    dropped = 0
    for run in store.resting_runs(now - RUN_SECONDS):
        with suppress(Busy, NotFound):  # resumed or deleted just now
            store.delete_run(run)
            dropped += 1
    return dropped


def last_change(path: Path) -> float:
    """When the newest thing in a folder, or a file, was written: seconds since 1970. Raises OSError."""
    return _measure(path)[1]


# --- what there is ----------------------------------------------------------------------------------------------------


def _candidates(data_dir: Path, used: Collection[str], at_start: bool, unfinished: float) -> Iterator[Found]:
    for path in _entries(data_dir / STAGES):
        yield Found(path, 0.0 if at_start else STAGE_SECONDS)
    for path in _unfinished(data_dir):
        yield Found(path, unfinished)
    for path in _entries(data_dir / CACHE):
        yield Found(path, CACHE_SECONDS)
    keeps_all = any(data_dir.glob(DAMAGED))
    for path in _entries(data_dir / UPLOADS):
        if _STAGED.fullmatch(path.name):
            yield Found(path, unfinished)
        elif (is_upload_id(path.name) or _UNPACKED.fullmatch(path.name)) and path.name not in used and not keeps_all:
            yield Found(path, UPLOAD_SECONDS)


def _unfinished(data_dir: Path) -> Iterator[Path]:
    """What was being written, or moved aside and not put back: at the top, and in and below the kept exports."""
    for place in (data_dir, *_open_folders(data_dir / KEPT)):
        for path in _entries(place):
            if _WRITING.fullmatch(path.name) or _ASIDE.fullmatch(path.name):
                yield path


def _open_folders(folder: Path) -> Iterator[Path]:
    """The folder and those below it that are neither finished exports, nor links, nor unfinished themselves."""
    if _is_folder(folder) and not os.path.lexists(folder / _MANIFEST):
        yield folder
        for path in _entries(folder):
            if not _WRITING.fullmatch(path.name) and not _ASIDE.fullmatch(path.name):
                yield from _open_folders(path)


def _put_back(data_dir: Path, before: float) -> tuple[str, ...]:
    """Give `.NAME.old-*` its name again where nothing bears it: replacing NAME was cut off between two steps."""
    aside: list[tuple[float, Path, Path]] = []
    for path in _unfinished(data_dir):
        named = _ASIDE.fullmatch(path.name)
        with suppress(OSError):
            if named and (changed := path.lstat().st_ctime) <= before:
                aside.append((changed, path, path.with_name(named[1])))
    restored: list[str] = []
    for _, path, place in sorted(aside, reverse=True):
        with suppress(OSError):
            if not os.path.lexists(place):
                os.rename(path, place)
                restored.append(place.relative_to(data_dir).as_posix())
    return tuple(restored)


def _entries(folder: Path) -> list[Path]:
    """What lies in the folder, sorted; nothing where it is a link, missing or unreadable."""
    try:
        return sorted(folder.iterdir()) if _is_folder(folder) else []
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _name_below(home: Path, place: str) -> str:
    """The name below `home` under which `place` lies; "" where it lies elsewhere."""
    try:
        pieces = Path(place).resolve().relative_to(home).parts
    except (ValueError, OSError):
        return ""
    return pieces[0] if pieces else ""


# --- one entry --------------------------------------------------------------------------------------------------------


def _measure(path: Path) -> tuple[int, float]:
    """(bytes, newest change in seconds since 1970) of a file, a link itself, or everything in a folder."""
    status = path.lstat()
    size, newest = (0 if stat.S_ISDIR(status.st_mode) else status.st_size), status.st_mtime
    if stat.S_ISDIR(status.st_mode):
        for inside in path.iterdir():
            with suppress(OSError):  # it has just gone
                more, changed = _measure(inside)
                size, newest = size + more, max(newest, changed)
    return size, newest


def _remove(path: Path) -> None:
    """Remove a file, a folder with all in it, or a link (never what it points to). Raises OSError."""
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink()
