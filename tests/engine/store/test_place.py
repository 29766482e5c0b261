"""Whatever lies at the places of a store's files is set aside as it is and said, or refused; nothing is followed."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from gradiend_ui.engine.errors import Busy, Failed
from gradiend_ui.engine.store.opening import log_is_cut, opened_store
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.server.home import find_home, locked
from gradiend_ui.server.session import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of a POSIX system")
CELLS = [Cell(1.0, 0.1 * n) for n in range(1, 5)]
ENDINGS = ("-wal", "-shm", "-journal")
LONG = b"my notes of sweeps " * 4000
JOURNAL = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5I", 0, 7, 0, 512, 4096) + bytes(484)
"""As it lies there while the first page of a store is written: there was none before. Source: sqlite.org/fileformat2"""


def journal_of(page: bytes) -> bytes:
    """What takes a store of one page back to `page`."""
    head = JOURNAL[:8] + struct.pack(">5I", 1, 7, 1, 512, 4096) + bytes(484)
    return head + struct.pack(">I", 1) + page + struct.pack(">I", 7 + sum(page[3896:0:-200]))


def sound_store(path: Path) -> None:
    store = Store(path)
    store.commit(store.create_run("ck", {}, {}, CELLS), 1, CellScore(CELLS[0], "final"))
    store.close()


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What kill -9 leaves: a store, its log with the newest transactions, and the log's index."""
    (tmp_path / "before").mkdir()
    sound_store(tmp_path / "before" / "runs.sqlite")
    store = Store(tmp_path / "before" / "runs.sqlite")
    run = store.create_run("ck", {}, {}, CELLS)
    store.commit(run, 1, CellScore(CELLS[0], "final"))
    shutil.copytree(tmp_path / "before", tmp_path / "data")
    store.close()
    assert (tmp_path / "data" / "runs.sqlite-wal").stat().st_size > 4096
    return tmp_path / "data" / "runs.sqlite"


def a_pipe(place: Path, _: Path) -> None:
    os.mkfifo(place)


THINGS: dict[str, Callable[[Path, Path], object]] = {
    "one byte": lambda place, _: place.write_bytes(b"t"),
    "a short text": lambda place, _: place.write_bytes(LONG[:29]),
    "a longer text": lambda place, _: place.write_bytes(LONG[:500]),
    "a long text": lambda place, _: place.write_bytes(LONG),
    "a link to one byte": lambda place, others: place.symlink_to(others / "thesis"),
    "a link to a text": lambda place, others: place.symlink_to(others / "notes"),
    "a link to nothing": lambda place, others: place.symlink_to(others / "nothing"),
    "a link to a folder": lambda place, others: place.symlink_to(others),
    "a link to a store": lambda place, others: place.symlink_to(others / "runs.sqlite"),
    "a ring": lambda place, _: place.symlink_to(place.name),
    "a folder": lambda place, _: place.mkdir(),
    "a folder in use": lambda place, others: shutil.copytree(others, place),
    "a pipe": a_pipe,
    "a socket": lambda place, _: os.mknod(place, 0o600 | stat.S_IFSOCK),
}


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Somebody else's folder, which links lead to."""
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "thesis").write_bytes(b"t")
    (folder / "notes").write_bytes(LONG)
    sound_store(folder / "runs.sqlite")
    return folder


def told_of(path: Path) -> tuple[object, ...]:
    """What it is and what it holds: links are not followed, nothing is waited for."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", os.readlink(path)
    if stat.S_ISDIR(mode):
        return "folder", tuple((item.name, told_of(item)) for item in sorted(path.iterdir()))
    return stat.S_IFMT(mode), path.read_bytes() if stat.S_ISREG(mode) else path.lstat().st_ino


@contextmanager
def pipes_held(folder: Path) -> Iterator[None]:
    """Nobody waits at the pipes in the folder, but who reads of one takes something out."""
    held = [os.open(item, os.O_RDWR | os.O_NONBLOCK) for item in folder.iterdir() if item.is_fifo()]
    try:
        full = [os.write(pipe, LONG[:60_000]) for pipe in held]
        yield
        assert [len(os.read(pipe, 60_000)) for pipe in held] == full, "nobody read of it"
    finally:
        for pipe in held:
            os.close(pipe)


def started(path: Path) -> tuple[str, int]:
    """What a start says, and how many runs there are; it can be written to."""
    with pipes_held(path.parent):
        store, notice = opened_store(path)
    count = len(store.runs())
    store.delete_run(store.create_run("ck", {}, {}, CELLS))
    store.close()
    return notice or "", count


def lies_somewhere(folder: Path, thing: tuple[object, ...]) -> list[str]:
    return [item.name for item in folder.iterdir() if told_of(item) == thing]


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize(("store", "ending"), [("none", ""), *product(("none", "empty", "sound"), ENDINGS)])
def test_what_lies_at_a_place_is_kept_and_said(
    tmp_path: Path, others: Path, store: str, ending: str, thing: str
) -> None:
    path, before = tmp_path / "data" / "runs.sqlite", told_of(others)
    path.parent.mkdir()
    sound_store(path) if store == "sound" else path.touch() if store == "empty" else None
    place = path.with_name(path.name + ending)
    THINGS[thing](place, others)
    was = told_of(place)
    notice, runs = started(path)
    kept = lies_somewhere(path.parent, was)
    assert len(kept) == 1 and kept[0].startswith("runs.damaged-") and kept[0].endswith(".sqlite" + ending)
    assert kept[0] in notice or kept[0].removesuffix(ending) in notice, "where it went is said"
    assert notice.endswith(".") and "\n" not in notice
    assert told_of(others) == before, "nothing was followed"
    assert runs == (1 if store == "sound" else 0)
    assert started(path) == ("", runs), "and the next start has nothing to say"


@pytest.mark.parametrize("ending", ENDINGS)
def test_several_things_at_once_are_all_kept(tmp_path: Path, others: Path, ending: str) -> None:
    path = tmp_path / "data" / "runs.sqlite"
    path.parent.mkdir()
    for number, place in enumerate(("", *ENDINGS)):
        thing = "a link to a text" if place == ending else ("a pipe", "a folder in use", "one byte", "a ring")[number]
        THINGS[thing](path.with_name(path.name + place), others)
    was = [told_of(path.with_name(path.name + place)) for place in ("", *ENDINGS[1:])]
    notice, _ = started(path)
    assert "was set aside" in notice and all(lies_somewhere(path.parent, thing) for thing in was[:1])
    assert len([item for item in path.parent.iterdir() if item.name.startswith("runs.damaged-")]) == 4


@pytest.mark.parametrize("rest", ["all", "log", "index"])
@pytest.mark.parametrize("empty", [False, True], ids=["deleted", "emptied"])
def test_a_store_that_was_deleted_after_a_kill_is_begun_anew(killed: Path, rest: str, empty: bool) -> None:
    log, index = (killed.with_name(f"runs.sqlite{ending}") for ending in ENDINGS[:2])
    (index if rest == "log" else log).unlink() if rest != "all" else None
    was = [told_of(place) for place in (log, index) if place.exists()]
    killed.unlink()
    killed.touch() if empty else None
    notice, runs = started(killed)
    assert ("The store of sweeps was empty" if empty else "The store of sweeps was missing") in notice
    assert "a new store was begun" in notice and runs == 0
    assert all(lies_somewhere(killed.parent, thing) for thing in was)
    assert started(killed) == ("", 0)


def test_a_log_without_its_store_is_told_in_a_sentence(killed: Path) -> None:
    killed.unlink()
    with pytest.raises(Failed, match="store of sweeps cannot be opened"):
        log_is_cut(killed)


@pytest.mark.parametrize("cut", [1, 3, 4, 12, 31, 32])
@pytest.mark.parametrize("blank", [False, True])
def test_a_log_whose_header_a_kill_cut_off_is_no_damage(killed: Path, cut: int, blank: bool) -> None:
    log = killed.with_name("runs.sqlite-wal")
    log.write_bytes(bytes(cut) if blank else log.read_bytes()[:cut])
    killed.with_name("runs.sqlite-shm").unlink()
    assert not log_is_cut(killed)
    assert started(killed)[0] == ""


@pytest.mark.parametrize(
    ("page", "journal"),
    [(0, b""), (4096, b""), (0, bytes(512)), (4096, bytes(512))]
    + list(product((0, 10, 16, 100, 2048, 4096), (JOURNAL, None))),
)
def test_a_kill_in_the_first_moments_of_a_store_needs_no_word(tmp_path: Path, page: int, journal: bytes | None) -> None:
    """SQLite writes an empty database of one page, with a journal of none, and writes it again when it gets a log."""
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(tmp_path / "one")) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA user_version = 0")
        one = (tmp_path / "one").read_bytes()
        db.execute("PRAGMA journal_mode = WAL")
    with_log = (tmp_path / "one").read_bytes()
    assert len(one) == len(with_log) == 4096
    path.write_bytes(with_log[:page] if journal is not None else with_log[:page] + one[page:])
    path.with_name("runs.sqlite-journal").write_bytes(journal_of(one) if journal is None else journal)
    assert started(path) == ("", 0)
    assert not [item for item in tmp_path.iterdir() if "damaged" in item.name]


def test_an_unfinished_change_is_taken_back_and_a_copy_kept(tmp_path: Path) -> None:
    """As a program leaves it that wrote into a store without a log and was ended meanwhile."""
    path = tmp_path / "data" / "runs.sqlite"
    path.parent.mkdir()
    sound_store(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for line in ("journal_mode = DELETE", "cache_size = 1", "cache_spill = 1"):
            db.execute(f"PRAGMA {line}")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE runs SET state = 'strange', info = ?", ("x" * 400_000,))
        db.execute("INSERT INTO servers (began) SELECT value FROM json_each(?)", (str(list(range(20_000))),))
        shutil.copytree(path.parent, tmp_path / "left")
        db.execute("ROLLBACK")
    left = tmp_path / "left" / "runs.sqlite"
    was = told_of(left)
    notice, runs = started(left)
    assert "unfinished change, which was taken back" in notice and runs == 1 and lies_somewhere(left.parent, was)
    store = Store(left)
    assert [run.state for run in store.runs()] != ["strange"]
    store.close()


def test_a_journal_of_nothing_beside_a_full_store_takes_nothing_away_for_good(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    sound_store(path)
    was = told_of(path)
    path.with_name("runs.sqlite-journal").write_bytes(JOURNAL)
    started(path)
    assert lies_somewhere(tmp_path, was)


def test_a_text_with_a_journal_is_set_aside_with_it(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(LONG[:29])
    path.with_name("runs.sqlite-journal").write_bytes(JOURNAL)
    notice, _ = started(path)
    assert "it is no database" in notice
    assert lies_somewhere(tmp_path, (stat.S_IFREG, LONG[:29])) and lies_somewhere(tmp_path, (stat.S_IFREG, JOURNAL))


@pytest.mark.parametrize("where", [18, 19])
def test_a_store_that_sqlite_would_only_read_is_set_aside(tmp_path: Path, where: int) -> None:
    path = tmp_path / "runs.sqlite"
    sound_store(path)
    content = bytearray(path.read_bytes())
    content[where] = 9
    path.write_bytes(content)
    assert "it is of a format that this app does not write" in started(path)[0]


def test_a_table_whose_name_is_no_text_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    sound_store(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE abcdefgh (x)")
        db.commit()
        db.execute("VACUUM")
    content = path.read_bytes()
    assert b"abcdefgh" in content
    path.write_bytes(content.replace(b"abcdefgh", b"abc\xff\xfefgh"))
    notice, _ = started(path)
    assert "was set aside" in notice


@pytest.mark.parametrize("ending", ["", *ENDINGS])
def test_a_file_with_a_second_name_is_not_written_to(killed: Path, others: Path, ending: str) -> None:
    place = killed.with_name(f"runs.sqlite{ending}")
    if ending == "":
        place.unlink()
        os.link(others / "runs.sqlite", place)
    else:
        place.write_bytes(JOURNAL) if ending == "-journal" else None
        os.link(place, others / "mine")
    before = told_of(others), told_of(killed.parent)
    with pytest.raises(Failed, match=r"second name \(a hard link\).*: replace it by a copy of itself, or choose"):
        opened_store(killed)
    assert (told_of(others), told_of(killed.parent)) == before


# --- what a server does with it ---------------------------------------------------------------------------------------


def opened(folder: Path) -> Session:
    return Session.open(folder, start_worker=False)


def test_a_link_to_a_running_servers_store_does_not_take_it_over(tmp_path: Path) -> None:
    first = opened(tmp_path / "one")
    try:
        find_home(tmp_path / "two")
        (tmp_path / "two" / "runs.sqlite").symlink_to(tmp_path / "one" / "runs.sqlite")
        second = opened(tmp_path / "two")
        second.close()
        assert "it is a link" in second.notices[0] and "was set aside" in second.notices[0]
        first._store.create_run("ck", {}, {}, CELLS)
        (tmp_path / "two" / "runs.sqlite").unlink()
        os.link(tmp_path / "one" / "runs.sqlite", tmp_path / "two" / "runs.sqlite")
        with pytest.raises(Failed, match="second name"):
            opened(tmp_path / "two")
        first._store.create_run("ck", {}, {}, CELLS)
    finally:
        first.close()


def test_a_server_whose_store_was_taken_over_ends_without_a_word_to_its_caller(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = opened(tmp_path)
    other = Store(tmp_path / "runs.sqlite")
    other.begin_server()
    with caplog.at_level(logging.WARNING):
        session._worker._on_death("The worker process ended.")
        session.close()
    assert [record.getMessage() for record in caplog.records if record.name.endswith("resuming")] == [
        "sweeps that were going could not be marked as interrupted: Another server has taken over this data folder: "
        "this one writes no more."
    ] * 2
    other.close()
    locked(tmp_path).release()


def test_the_lock_is_given_free_whatever_fails_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = opened(tmp_path)

    def failing() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(session._worker, "close", failing)
    with suppress(OSError):
        session.close()
    opened(tmp_path).close()


@pytest.mark.parametrize("thing", [thing for thing in THINGS if thing != "one byte"] + ["a letter"])
def test_a_lock_that_is_none_is_refused_and_left_alone(tmp_path: Path, others: Path, thing: str) -> None:
    home = find_home(tmp_path / "data").folder
    (home / "lock").write_bytes(b"t") if thing == "a letter" else THINGS[thing](home / "lock", others)
    before = told_of(home), told_of(others)
    with pipes_held(home), pytest.raises(Failed, match=r"'lock' in the data folder .*move it away, or choose another"):
        opened(home)
    assert (told_of(home), told_of(others)) == before


def test_a_lock_of_a_system_without_locks_is_one(tmp_path: Path) -> None:
    """There it is a file with the number of the process that holds it, or held it."""
    (tmp_path / "lock").write_text("4242\nthis-machine\n")
    with suppress(Busy):
        locked(tmp_path).release()
