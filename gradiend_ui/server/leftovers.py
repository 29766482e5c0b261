"""What a process that died left of what it was making, and what has had its time: taken from the list, and removed.

Only what the store lists is looked at (see `inventory`); what was put in its place, what lies beside it or was added
to it, exports that are kept and all that no line names stay, and no link is followed. Lines go with the things. No
clock of its own.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gradiend_ui.engine.data import uploaded_tables
from gradiend_ui.engine.data.uploaded_tables import is_upload_id
from gradiend_ui.engine.errors import Busy, NotFound
from gradiend_ui.engine.files.file_names import followed
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.store.inventory import Inventory, Kind, Noted, sha256_of
from gradiend_ui.engine.store.store import Store

log = logging.getLogger(__name__)
STAGES, KEPT, CACHE = "exports", "exported", "downloads"
"""Exports that are made and fetched, exports that stay, and what passes through to and from browsers."""
DAMAGED = "runs.damaged-*"
"""Stores that were set aside: their runs may refer to uploads that no other run does."""
DAY = 86400.0
UNFINISHED_SECONDS, STAGE_SECONDS, CACHE_SECONDS = 3600.0, 3600.0, 7200.0
UPLOAD_SECONDS, RUN_SECONDS = 7 * DAY, 30 * DAY
_SECONDS: dict[Kind, float] = {
    "unfinished": UNFINISHED_SECONDS, "place": STAGE_SECONDS, "export": STAGE_SECONDS, "cache": CACHE_SECONDS,
    "upload": UPLOAD_SECONDS,
}  # fmt: skip
"""How long a thing must have rested."""
_LASTING: frozenset[Kind] = frozenset({"upload"})
"""What outlives its server; everything else goes at the next start, whatever its age."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """removed, restored: their names on the list; a folder counts once. bytes: how much the removed ones held."""

    removed: tuple[str, ...] = ()
    bytes: int = 0
    restored: tuple[str, ...] = ()


def tidy(
    made: Inventory, now: float, used: Collection[str], *, at_start: bool = False, cache: Path | None = None
) -> Tidied:
    """Remove what is left over, and put back what a replacement had moved aside before it was cut off.

    now: seconds since 1970. used: the uploads that stay, see `used_uploads`. at_start: no process works in the folder
    yet, so that everything unfinished goes, whatever its age. cache: the folder through which files pass to and from
    browsers now; of it only what is in it goes. What cannot be removed stays for the next time.
    """
    lines = made.lines()
    restored = tuple(noted.instead_of or "" for noted in lines if _is_put_back(made, noted, now, at_start))
    removed: list[str] = []
    size = 0
    keeps_all = any(made.home.glob(DAMAGED))
    for noted in reversed(lines):  # what is in a folder before the folder
        if noted.kind == "upload" and (keeps_all or Path(noted.place).name in used):
            continue
        if cache is not None and made.path_of(noted) == cache:
            continue
        held = _cleared(made, noted, None if at_start and noted.kind not in _LASTING else now)
        if held is not None:
            removed.append(noted.place)
            size += held
    for path in _entries(cache) if cache is not None else ():
        with suppress(OSError):
            held, newest = _measure(path)
            if newest <= now - CACHE_SECONDS:
                _remove(path)
                removed.append(path.relative_to(made.home).as_posix())
                size += held
    return Tidied(tuple(sorted(removed)), size, restored)


def drop(made: Inventory, place: Path) -> None:
    """Remove what is listed at `place`, where it is ours, whatever its age."""
    noted = made.line_at(place)
    if noted is not None:
        _cleared(made, noted, None)


def drop_exports(made: Inventory, now: float) -> None:
    """Remove the zips that had their hour; one that is still being written is young, however long it takes."""
    for noted in reversed(made.lines()):
        if noted.kind in ("export", "place"):
            _cleared(made, noted, now)


def make_room(made: Inventory, newest: str) -> None:
    """Keep at most so many bytes of tables beside the newest one; whatever was used longest ago goes first."""
    kept: list[tuple[float, int, Noted]] = []
    for noted in made.lines():
        name = Path(noted.place).name
        if noted.kind == "upload" and is_upload_id(name) and name != newest:
            with suppress(OSError):
                status = made.path_of(noted).lstat()
                kept.append((status.st_mtime, status.st_size, noted))
    total = sum(size for _, size, _ in kept)
    for _, size, noted in sorted(kept, key=lambda item: item[:2]):
        if total <= uploaded_tables.MAX_KEPT_BYTES:
            return
        if _cleared(made, noted, None) is not None:
            total -= size


def adopt(store: Store, made: Inventory) -> None:
    """List what is certainly ours in a folder of a version that kept no list; the rest stays as it is for good.

    Certain are tables under the sha256 of what they hold, and unpacked zips from which a checkpoint of the store was
    read. Raises Failed.
    """
    named = used_uploads(store, made.home)
    for path in _entries(made.home / UPLOADS):
        with suppress(OSError):
            if _is_kept_table(path) or (path.name in named and _is_sha256(path.name) and _is_folder(path)):
                made.keeps(path, path)


def used_uploads(store: Store, data_dir: Path, since: float = 0.0) -> frozenset[str]:
    """The names below uploads/ that runs and checkpoints refer to: tables by their id, unpacked zips by their folder.

    since: checkpoints that no run has swept count only when they were loaded after this time, in seconds since 1970.
    """
    home = data_dir / UPLOADS
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


# --- one line ---------------------------------------------------------------------------------------------------------


def _cleared(made: Inventory, noted: Noted, now: float | None) -> int | None:
    """Remove the thing where it is ours and has rested; gives its bytes. None where it stays; a line without it goes.

    now: seconds since 1970, None takes it whatever its age.
    """
    path = made.path_of(noted)
    before = None if now is None else now - _SECONDS[noted.kind]
    try:
        held, newest = _measure(path)
    except (FileNotFoundError, NotADirectoryError):
        _forget(made, noted, before)  # nor is anything made there any more
        return None
    except OSError:
        return None
    if noted.kind == "place":  # changed by whatever was taken out of it
        newest = noted.noted
    if before is not None and newest > before:
        return None
    if not made.is_ours(noted):
        if _is_reached(path):
            log.warning("%s is not what the app made there: it stays", noted.place)
            _forget(made, noted, before)
        return None
    try:
        path.rmdir() if noted.kind == "place" else _remove(path)
    except OSError:
        return None
    made.forget(path)
    return held


def _forget(made: Inventory, noted: Noted, before: float | None) -> None:
    """The line goes, unless it may have been written for something that is being made just now."""
    if before is None or noted.noted <= before:
        made.forget(made.path_of(noted))


def _is_put_back(made: Inventory, noted: Noted, now: float, at_start: bool) -> bool:
    """Give what was moved aside its name again where nothing bears it: replacing it was cut off between two steps."""
    if noted.instead_of is None or not made.is_ours(noted):
        return False
    path, place = made.path_of(noted), made.home / noted.instead_of
    with suppress(OSError):
        if not os.path.lexists(place) and (at_start or path.lstat().st_ctime <= now - UNFINISHED_SECONDS):
            os.rename(path, place)
            made.forget(path)
            return True
    return False


def _is_reached(path: Path) -> bool:
    """Whether no link leads there: what lies behind one cannot be told from what was noted."""
    with suppress(OSError):
        return followed(path.parent) == path.parent
    return False


# --- the disk ---------------------------------------------------------------------------------------------------------


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


def _is_kept_table(path: Path) -> bool:
    """Whether it bears the sha256 of what it holds. Raises OSError."""
    if not is_upload_id(path.name) or path.is_symlink() or not path.is_file():
        return False
    return sha256_of(path) == path.name.partition(".")[0]


def _is_sha256(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _name_below(home: Path, place: str) -> str:
    """The name below `home` under which `place` lies; "" where it lies elsewhere."""
    try:
        pieces = followed(place).relative_to(followed(home)).parts
    except (ValueError, OSError):
        return ""
    return pieces[0] if pieces else ""


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
