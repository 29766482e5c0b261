"""Which folder is the app's own: a new, empty or marked one, an older one with our store, else a sub-folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gradiend_ui.engine.errors import BadName, Failed
from gradiend_ui.engine.store.store import Store
from gradiend_ui.server.home import (
    MARKER,
    MARKER_LINE,
    MARKER_TEXT,
    SUB_FOLDER,
    Home,
    find_home,
    is_store,
    usable_folder,
)
from gradiend_ui.server.session import Session

OLDER = Path(__file__).parent / "data_folder_of_format_3"
"""As the version before left it: a finished sweep with a name, a stopped one, their uploads and a kept export."""


def contents(folder: Path) -> dict[str, bytes | str | None]:
    """{name: bytes, where a link leads, or None for a folder} of all that is in it."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("asked", ["new", "deep/er/new", "empty", "link-to-empty"])
def test_a_new_or_empty_folder_is_used_itself(tmp_path: Path, asked: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link-to-empty").symlink_to(tmp_path / "empty")
    home = find_home(tmp_path / asked)
    assert home == Home((tmp_path / asked).resolve())
    assert contents(home.folder) == {MARKER: MARKER_TEXT.encode()}
    (home.folder / "mine.txt").write_text("mine")
    assert find_home(str(tmp_path / asked)) == home, "it is known by its marker now"


@pytest.mark.parametrize("cut", [0, 1, len(MARKER_LINE) - 1])
def test_a_marker_that_a_kill_cut_off_is_enough_alone(tmp_path: Path, cut: int) -> None:
    (tmp_path / MARKER).write_text(MARKER_TEXT[:cut])
    assert find_home(tmp_path).folder == tmp_path
    assert (tmp_path / MARKER).read_text() == MARKER_TEXT
    other = tmp_path / "other"
    other.mkdir()
    (other / MARKER).write_text(MARKER_TEXT[:cut])
    (other / "mine").touch()
    assert find_home(other).folder == other / SUB_FOLDER


def _marker(content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / MARKER).write_text(content)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a file": lambda folder: (folder / "thesis.pdf").write_text("x"),
    "a hidden file": lambda folder: (folder / ".x").touch(),
    "a folder": lambda folder: (folder / "downloads").mkdir(),
    "a broken link": lambda folder: (folder / "link").symlink_to("/nowhere/at/all"),
    "another file as marker": _marker("my own notes"),
    "something before the marker": _marker("x" + MARKER_TEXT),
    "a marker's beginning": _marker(MARKER_LINE[:-1]),
    "a very long marker": _marker(MARKER_TEXT + "x" * 5000),
    "a folder as marker": lambda folder: (folder / MARKER).mkdir(),
    "a linked marker": lambda folder: (folder / MARKER).symlink_to(folder / "marker.txt"),
    "no database": lambda folder: (folder / "runs.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(5000)),
    "an empty database": lambda folder: (folder / "runs.sqlite").touch(),
    "another database": lambda folder: _other_database(folder / "runs.sqlite"),
    "a linked store": lambda folder: (folder / "runs.sqlite").symlink_to(OLDER / "runs.sqlite"),
    "a folder as store": lambda folder: (folder / "runs.sqlite").mkdir(),
}


def _other_database(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE runs (id TEXT, state TEXT, info TEXT)")
    db.execute("INSERT INTO runs VALUES ('marathon', 'finished', '2:59')")
    db.execute("CREATE TABLE results (fingerprint TEXT, cell TEXT, block INTEGER, result BLOB)")  # as ours, alone
    db.commit()
    db.close()


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_folder_in_use_is_used_through_a_sub_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "marker.txt").write_text(MARKER_TEXT) if kind == "a linked marker" else None
    FOREIGN[kind](tmp_path / "folder")
    if kind.startswith("a marker's"):
        (tmp_path / "folder" / "mine").touch()
    before = contents(tmp_path / "folder")
    home = find_home(tmp_path / "folder")
    assert home.folder == tmp_path / "folder" / SUB_FOLDER and not home.older
    assert home.notice is not None and "which stay as they are" in home.notice and SUB_FOLDER in home.notice
    assert contents(tmp_path / "folder") == {
        **before, SUB_FOLDER: None, f"{SUB_FOLDER}/{MARKER}": MARKER_TEXT.encode()
    }  # fmt: skip
    assert find_home(tmp_path / "folder") == home, "and the next time again"


@pytest.mark.parametrize("kind", ["file", "folder", "broken link", "link", "fifo"])
def test_where_the_sub_folder_is_somebody_elses_too_it_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "mine").touch()
    below = tmp_path / SUB_FOLDER
    makes: dict[str, Callable[[], object]] = {
        "file": lambda: below.write_text("mine"),
        "folder": lambda: (below.mkdir(), (below / "mine").touch()),
        "broken link": lambda: below.symlink_to("/nowhere/at/all"),
        "link": lambda: below.symlink_to(tmp_path),
        "fifo": lambda: os.mkfifo(below),
    }
    makes[kind]()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(Failed, match=r"somebody else's too: nothing was touched, choose another --data-dir\."):
        find_home(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before


def test_the_marker_is_written_once(tmp_path: Path) -> None:
    """Rewritten at every start it could be cut off in a folder that is full of sweeps."""
    find_home(tmp_path)
    (tmp_path / MARKER).write_text(MARKER_TEXT + "my own line")
    (tmp_path / "runs.sqlite").touch()
    assert find_home(tmp_path) == Home(tmp_path)
    assert (tmp_path / MARKER).read_text().endswith("my own line")


def test_a_sub_folder_from_an_earlier_start_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    for _ in range(2):
        session = Session.open(tmp_path, start_worker=False)
        session.close()
        assert len(session.notices) == 1 and session.about()["data_dir"] == str(tmp_path / SUB_FOLDER)
    assert sorted(os.listdir(tmp_path)) == [SUB_FOLDER, "mine"]


# --- what is no folder ------------------------------------------------------------------------------------------------


def _places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "to-file").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "fifo")
    return {
        "nothing": "", "blanks": "   ", "a tab": "\t\n",
        "a file": f"{tmp_path}/file", "below a file": f"{tmp_path}/file/data",
        "deep below a file": f"{tmp_path}/file/a/b/c", "a link to a file": f"{tmp_path}/to-file",
        "a broken link": f"{tmp_path}/broken", "below a broken link": f"{tmp_path}/broken/data",
        "a loop": f"{tmp_path}/loop", "below a loop": f"{tmp_path}/loop/data", "a fifo": f"{tmp_path}/fifo",
        "a device": "/dev/null", "a place of the system": "/proc/gradiend", "its own process": "/proc/self/gradiend",
        "a long name": f"{tmp_path}/{'x' * 300}", "a long path": f"{tmp_path}/{'x/' * 3000}",
        "no name": f"{tmp_path}/a\0b",
        "nobody's home": "~nobody-of-this-name/data",
    }  # fmt: skip


CASES = (
    "nothing", "blanks", "a tab", "a file", "below a file", "deep below a file", "a link to a file", "a broken link",
    "below a broken link", "a loop", "below a loop", "a fifo", "a device", "a place of the system", "its own process",
    "a long name", "a long path", "no name", "nobody's home",
)  # fmt: skip


@pytest.mark.parametrize("option", ["data_dir", "export_dir"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_no_folder_is_refused_in_a_sentence(tmp_path: Path, case: str, option: str) -> None:
    given = _places(tmp_path)[case]
    before = contents_of_plain(tmp_path)
    options = {"data_dir": tmp_path / "home", option: given}
    name = f"--{option.replace('_', '-')}"
    with pytest.raises((BadName, Failed)) as refused:
        Session.open(start_worker=False, **options)  # type: ignore[arg-type]
    sentence = str(refused.value)
    assert name in sentence and sentence.endswith(".") and "\n" not in sentence.strip()
    assert contents_of_plain(tmp_path) == before, "nothing was made, nothing was followed"


def contents_of_plain(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_place_that_is_read_only_is_refused(tmp_path: Path) -> None:
    """Root writes anywhere but where the system itself refuses: so the system's own folders stand in."""
    for place in ("/proc", "/sys"):
        if Path(place).is_dir():
            for option in ("data_dir", "export_dir"):
                with pytest.raises(Failed, match=r"cannot be used \(.+\): choose another --"):
                    Session.open(start_worker=False, **{"data_dir": tmp_path / "home", option: place})  # type: ignore[arg-type]


def test_the_apps_own_folder_must_take_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(**where: object) -> None:
        raise OSError(30, "Read-only file system")

    find_home(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", refusing)
    with pytest.raises(Failed, match=r"cannot be used \(Read-only file system\): choose another --data-dir\."):
        find_home(tmp_path)


def test_an_export_folder_is_made_and_otherwise_left_alone(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("mine")
    for name in ("new/er", "used"):
        Session.open(tmp_path / "home", start_worker=False, export_dir=str(tmp_path / name)).close()
    assert contents(tmp_path / "used") == {"mine": b"mine"} and contents(tmp_path / "new") == {"er": None}
    assert usable_folder(tmp_path / "used", "--export-dir") == tmp_path / "used"


# --- folders of the version before ------------------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLDER, tmp_path / "data"))


def test_a_folder_of_the_version_before_is_taken_over_once(older: Path) -> None:
    assert is_store(older / "runs.sqlite")
    session = Session.open(older, start_worker=False)
    try:
        assert len(session.notices) == 1 and "of an earlier version was taken over as it is" in session.notices[0]
        assert session.about()["data_dir"] == str(older)
        done, stopped = session.runs.newest()["runs"][::-1]
        assert (done["name"], done["note"], done["state"]) == ("Yesterday's sweep", "with a note", "finished")
        assert stopped["state"] == "stopped"
        assert done["earlier_scorer"] and session.cells(done["run"])["earlier_scorer"]
        assert session.cells(done["run"])["cells"][0]["probs"]["F"] == 0.6518800383267601
    finally:
        session.close()
    assert (older / MARKER).read_text() == MARKER_TEXT
    again = Session.open(older, start_worker=False)
    again.close()
    assert again.notices == ()


ANOTHER: dict[str, Callable[[Path], object]] = {
    "a link elsewhere": lambda marker: marker.symlink_to("/etc/hostname"),
    "a link to a marker": lambda marker: (
        marker.with_name("m.txt").write_text(MARKER_TEXT),
        marker.symlink_to("m.txt"),
    ),
    "a link to nothing": lambda marker: marker.symlink_to("nowhere"),
    "a folder": lambda marker: marker.mkdir(),
    "other words": lambda marker: marker.write_text("my own notes"),
}


@pytest.mark.parametrize("kind", ANOTHER)
def test_a_marker_that_is_another_ones_is_told_as_what_it_is(tmp_path: Path, kind: str) -> None:
    Session.open(tmp_path, start_worker=False).close()
    (tmp_path / MARKER).unlink()
    ANOTHER[kind](tmp_path / MARKER)
    before = contents(tmp_path)[MARKER]
    for _ in range(2):
        again = Session.open(tmp_path, start_worker=False)
        again.close()
        assert len(again.notices) == 1 and "is known by its store" in again.notices[0] and MARKER in again.notices[0]
        assert "earlier version" not in again.notices[0], "it never was one"
        assert contents(tmp_path)[MARKER] == before, "it stays as it is"
    shutil.rmtree(tmp_path / MARKER) if kind == "a folder" else (tmp_path / MARKER).unlink()
    Session.open(tmp_path, start_worker=False).close()
    healed = Session.open(tmp_path, start_worker=False)
    healed.close()
    assert healed.notices == () and (tmp_path / MARKER).read_text() == MARKER_TEXT


def test_looking_at_a_store_changes_nothing(older: Path) -> None:
    before = contents(older)
    assert is_store(older / "runs.sqlite")
    assert contents(older) == before


def test_a_store_whose_tables_are_in_its_log_still_is_known(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    (tmp_path / "killed").mkdir()
    for name in ("runs.sqlite", "runs.sqlite-wal"):
        shutil.copyfile(tmp_path / name, tmp_path / "killed" / name)
    store.close()
    before = contents(tmp_path / "killed")
    assert is_store(tmp_path / "killed" / "runs.sqlite")
    assert contents(tmp_path / "killed") == before


def test_the_marker_comes_last_when_a_folder_is_taken_over(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*given: object) -> None:
        raise Failed("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("gradiend_ui.server.session.adopt", cut_off)
        with pytest.raises(Failed, match="disk is full"):
            Session.open(older, start_worker=False)
    assert not (older / MARKER).exists(), "or what is ours would never be listed"
    session = Session.open(older, start_worker=False)
    session.close()
    assert (older / MARKER).exists() and len(session.notices) == 1


# --- a folder for exports in the data folder --------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["new", "deep/er/new", "empty", "link"])
@pytest.mark.parametrize("below", [".", "exports", "exports/of/mine", "uploads", "../{name}/exports"])
def test_a_folder_for_exports_in_a_new_data_folder_is_no_stranger_there(tmp_path: Path, data: str, below: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    folder = tmp_path / data
    kept = f"{folder}/{below.format(name=folder.name)}"
    for _ in range(2):
        session = Session.open(folder, start_worker=False, export_dir=kept)
        session.close()
        assert session.notices == () and session.about()["data_dir"] == str(folder.resolve())
    assert (folder / MARKER).is_file() and Path(kept).is_dir()


def test_a_data_folder_in_the_folder_for_exports_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").touch()
    session = Session.open(tmp_path / "mine" / "data", start_worker=False, export_dir=tmp_path / "mine")
    session.close()
    assert session.notices == () and {path.name for path in (tmp_path / "mine").iterdir()} == {"data", "thesis"}


def test_a_refused_folder_for_exports_in_the_data_folder_makes_nothing(tmp_path: Path) -> None:
    for below in ("thesis", "ring", "nothing"):
        folder = tmp_path / below
        folder.mkdir()
        (folder / "thesis").touch()
        (folder / "ring").symlink_to("ring")
        (folder / "nothing").symlink_to(tmp_path / "nowhere")
        before = contents(folder)
        with pytest.raises(Failed, match="--export-dir"):
            Session.open(folder, start_worker=False, export_dir=folder / below)
        assert contents(folder) == before
