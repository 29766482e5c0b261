"""Which folder the app keeps its files in: one of its own, told by a marker file in it, whatever folder was named.

An empty or new folder becomes the app's; a folder in use is left as it is but for one sub-folder. A folder of the
version before, which has no marker, is known by its store. Knows files; opens no store for writing.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gradiend_ui.engine.errors import BadName, Busy, Failed
from gradiend_ui.engine.files.file_names import followed, is_ring, lies_in
from gradiend_ui.engine.files.whole_or_absent import sync_names, write_durably
from gradiend_ui.engine.store.store import OPTIONAL_TABLES, expected_columns

DATA_OPTION, EXPORT_OPTION = "--data-dir", "--export-dir"
STORE_FILE = "runs.sqlite"
LOCK_FILE = "lock"
MARKER = "gradiend-ui-folder.txt"
MARKER_LINE = "This folder belongs to GRADIEND UI, which knows it by this line and keeps its sweeps and uploads here.\n"
MARKER_TEXT = MARKER_LINE + "It clears away only what it made itself. Please leave this file where it is.\n"
LONGEST_MARKER = 4096
SUB_FOLDER = "gradiend_ui_data"
LONGEST_NUMBER = 64
LONGEST_COPY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Home:
    """folder: the app's own, there, without links. notice: what the owner should know of it, a sentence or None.

    older: whether it may be one of a version that wrote no marker and kept no list of what it made.
    """

    folder: Path
    notice: str | None = None
    older: bool = False


def find_home(asked: str | os.PathLike[str], option: str = DATA_OPTION) -> Home:
    """The app's own folder for the folder that was asked for: made where it is missing, and marked unless it is older.

    Raises BadName and Failed with a sentence.
    """
    folder = usable_folder(asked, option)
    found = _found_home(folder, option)
    check_writable(found.folder, option)
    return found


def home_and_exports(
    data_dir: str | os.PathLike[str], export_dir: str | os.PathLike[str] | None
) -> tuple[Home, Path | None]:
    """The app's own folder (see `find_home`), and the one that was asked for to keep exports in, None for none.

    A refusal makes nothing, so the one for exports is tried first; but in the data folder it is made second: before, it
    would be somebody else's thing there. Raises BadName and Failed with a sentence.
    """
    if export_dir is None:
        return find_home(data_dir), None
    if lies_in(named_folder(export_dir, EXPORT_OPTION), named_folder(data_dir, DATA_OPTION)):
        home = find_home(data_dir)
        return home, _export_folder(export_dir)
    kept = _export_folder(export_dir)
    return find_home(data_dir), kept


def locked(data_dir: Path) -> FileLock:
    """The data folder's lock, held; the system frees it when the process ends, however it ends. Raises Busy, Failed."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        check_lock(data_dir / LOCK_FILE)
        lock = FileLock(data_dir / LOCK_FILE)
        lock.acquire(timeout=0)
    except Timeout:
        raise Busy(
            f"Another server already uses the data folder {str(data_dir)!r}: stop it, or choose another --data-dir."
        ) from None
    except OSError as error:
        raise Failed(
            f"The data folder {str(data_dir)!r} cannot be used ({error.strerror or error}): choose another --data-dir."
        ) from error
    return lock


def default_data_dir() -> Path:
    """The user's data folder of this program, as the platform has it (XDG, Library, AppData)."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "gradiend_ui"


def _export_folder(asked: str | os.PathLike[str]) -> Path:
    folder = usable_folder(asked, EXPORT_OPTION)
    check_writable(folder, EXPORT_OPTION)
    return folder


def _found_home(folder: Path, option: str) -> Home:
    try:
        found = _home_at(folder)
        if found is not None:
            return found
        below = folder / SUB_FOLDER
        found = None if os.path.lexists(below) and not _is_folder(below) else _home_at(below)
    except OSError as error:
        raise _unusable(folder, option, error) from error
    if found is None:
        raise Failed(
            f"The folder {str(folder)!r} holds other files, and {SUB_FOLDER!r} in it, where this app's would go, is "
            f"somebody else's too: nothing was touched, choose another {option}."
        )
    notice = (
        f"The folder {str(folder)!r} holds other files, which stay as they are: this app keeps its own in "
        f"{SUB_FOLDER!r} there."
    )
    return Home(found.folder, notice, found.older)


def mark(folder: Path) -> None:
    """Write the marker; one that is there stays. Raises Failed."""
    try:
        _mark(folder)
    except OSError as error:
        raise Failed(f"The data folder {str(folder)!r} could not be marked: {error.strerror or error}.") from error


def usable_folder(asked: str | os.PathLike[str], option: str) -> Path:
    """A folder that was asked for, without links, made where it is missing.

    Raises BadName for no name at all, Failed for a file, a path below one, a broken link, a place that cannot be made.
    """
    folder = named_folder(asked, option)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _unusable(os.fspath(asked), option, error) from error
    return folder


def named_folder(asked: str | os.PathLike[str], option: str) -> Path:
    """The folder that was asked for, without links, whether or not it is there; nothing is made.

    Raises BadName and Failed where it cannot be, as far as can be seen.
    """
    text = os.fspath(asked)
    if not text.strip():
        raise BadName(f"{option} is empty: name a folder, or leave the option out.")
    try:
        path = Path(text).expanduser()
        if (broken := _broken_link(path)) is not None:
            what = "a link that leads back to itself" if is_ring(broken) else "a link to nothing"
            raise Failed(
                f"{option} {text!r} cannot be used: {str(broken)!r} is {what}. Repair it, or choose another {option}."
            )
        folder = followed(path)
        if folder.exists() and not folder.is_dir():
            raise Failed(f"{option} {text!r} cannot be used: it is a file. Name a folder, or choose another {option}.")
    except (OSError, ValueError, RuntimeError) as error:
        raise _unusable(text, option, error) from error
    return folder


def check_writable(folder: Path, option: str) -> None:
    """Whether something can be written there. Raises Failed."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # it bears no name where the system can do without
            pass
    except OSError as error:
        raise _unusable(folder, option, error) from error


def check_lock(lock: Path) -> None:
    """Whether what lies at the lock's place is one, or nothing: a link would lock, or empty, another's file.

    It holds nothing; where the system has no locks it holds the number of the process that made it. Raises Failed and
    OSError.
    """
    if not os.path.lexists(lock):
        return
    kind = stat.S_IFMT(lock.lstat().st_mode)
    if kind != stat.S_IFREG:
        what = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}.get(kind, "no file")
    elif lock.lstat().st_size == 0 or _is_number(lock):
        return
    else:
        what = "a file that holds something else"
    raise Failed(
        f"{lock.name!r} in the data folder {str(lock.parent)!r}, which one server holds at a time, is {what}: move it "
        "away, or choose another --data-dir."
    )


def _is_number(lock: Path) -> bool:
    with lock.open("rb") as file:
        return file.read(LONGEST_NUMBER).split(b"\n")[0].strip().isdigit()


def _unusable(path: Path | str, option: str, error: Exception) -> Failed:
    why = str(getattr(error, "strerror", None) or error)
    return Failed(f"The folder {str(path)!r} cannot be used ({why}): choose another {option}.")


def _broken_link(path: Path) -> Path | None:
    """The first link on the way that leads nowhere."""
    absolute = Path(os.path.abspath(path))
    return next((place for place in (*reversed(absolute.parents), absolute) if _is_broken(place)), None)


def _is_broken(place: Path) -> bool:
    return place.is_symlink() and not os.path.exists(place)


def _home_at(folder: Path) -> Home | None:
    """The folder as the app's own; None where it is somebody else's. Raises OSError."""
    if os.path.lexists(folder):
        names = {entry.name for entry in os.scandir(folder)}
        if MARKER in names and _is_marked(folder, whole=names != {MARKER}):
            names = set()
        if names:
            told = _another_marker(folder) if MARKER in names else _taken_over(folder)
            return Home(folder, told, older=True) if is_store(folder / STORE_FILE) else None
    else:
        folder.mkdir()
    _mark(folder)
    return Home(folder)


def _taken_over(folder: Path) -> str:
    return (
        f"The data folder {str(folder)!r} of an earlier version was taken over as it is, with its sweeps, uploads and "
        "exports; of its other files none is ever cleared away."
    )


def _another_marker(folder: Path) -> str:
    return (
        f"The data folder {str(folder)!r} is known by its store: {MARKER!r} in it, which should say that it is this "
        "app's, is a link or says something else. It stays as it is; move it away, and the app writes its own."
    )


def _is_marked(folder: Path, *, whole: bool) -> bool:
    """whole: whether all of the line must be there; else what a kill left of it is enough."""
    marker, line = folder / MARKER, MARKER_LINE.encode()
    try:
        if not stat.S_ISREG(marker.lstat().st_mode) or marker.lstat().st_size > LONGEST_MARKER:
            return False
        content = marker.read_bytes()
    except OSError:
        return False
    return content.startswith(line) or (not whole and line.startswith(content))


def _mark(folder: Path) -> None:
    """Only alone in its folder, or beside an older store, is it ever written: there a half one does no harm.

    Raises OSError.
    """
    marker = folder / MARKER
    if os.path.lexists(marker) and (_is_marked(folder, whole=True) or not _is_marked(folder, whole=False)):
        return  # it is there, or somebody else's file is: then the folder is known by its store
    write_durably(marker, MARKER_TEXT.encode())
    sync_names(folder)


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


# --- stores of versions without a marker ------------------------------------------------------------------------------


def is_store(path: Path) -> bool:
    """Whether the file is a store of sweeps. It is somebody else's until that is known: nothing is written, no log is
    played back and no file appears beside it."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        return _has_tables(path, "immutable=1") or _has_tables_in_log(path)
    except OSError:
        return False


def _has_tables(path: Path, how: str) -> bool:
    expected = {name: columns for name, columns in expected_columns().items() if name not in OPTIONAL_TABLES}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True)) as connection:
            return all(
                columns <= {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                for table, columns in expected.items()
            )
    except sqlite3.Error:
        return False


def _has_tables_in_log(path: Path) -> bool:
    """The same for a store whose first transactions are in its log still: read in a copy. Raises OSError."""
    log = path.with_name(path.name + "-wal")
    if not log.is_file() or log.is_symlink() or path.stat().st_size + log.stat().st_size > LONGEST_COPY:
        return False
    with tempfile.TemporaryDirectory(prefix="gradiend_ui_") as place:
        for source in (path, log):
            shutil.copyfile(source, Path(place, source.name))
        return _has_tables(Path(place, path.name), "cache=private")
