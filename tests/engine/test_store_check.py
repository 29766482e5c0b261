"""The store at a server's start: damage is set aside whole and said, a newer one refused; who may write; the lock."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradiend_ui.engine.errors import Busy, Failed, NotFound
from gradiend_ui.engine.store import SCHEMA_VERSION, Store
from gradiend_ui.engine.store_check import opened_store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.ui.session import Session, locked

CELLS = [Cell(1.0, 0.1 * n) for n in range(1, 30)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a run and its cells, closed."""
    path = tmp_path / "runs.sqlite"
    store = Store(path)
    run = store.create_run("ck", {}, {}, CELLS)
    for place, cell in enumerate(CELLS, 1):
        store.commit(run, place, CellScore(cell, "final", lms={"lms": 0.5}))
    store.close()
    return path


def test_a_sound_store_is_opened_with_all_that_is_in_it(path: Path) -> None:
    store, notice = opened_store(path)
    assert notice is None and store.runs()[0].done == len(CELLS)
    store.close()
    assert [item.name for item in path.parent.iterdir()] == ["runs.sqlite"]


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_header(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def torn_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:16384] = os.urandom(8192)
    path.write_bytes(bytes(content))


def without_a_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE run_cells")
    db.close()


def with_other_columns(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE runs RENAME COLUMN rev TO revision")
    db.close()


def another_programs(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "mine.txt").write_text("mine")


@pytest.mark.parametrize(
    "damage",
    [garbage, truncated, no_header, torn_pages, without_a_table, with_other_columns, another_programs, a_folder],
)
def test_a_damaged_store_is_set_aside_and_said(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    before = None if path.is_dir() else path.read_bytes()
    path.with_name("runs.sqlite-wal").write_bytes(b"not a journal")
    store, notice = opened_store(path)
    assert notice is not None and "was set aside as runs.damaged-" in notice
    assert store.runs() == []
    store.create_run("ck", {}, {}, CELLS)
    store.close()
    aside = next(item for item in path.parent.iterdir() if item.name in notice)
    if before is not None:
        assert aside.read_bytes() == before, "nothing of it is changed"
        assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"not a journal"
    else:
        assert (aside / "mine.txt").read_text() == "mine"


def test_a_second_damaged_store_does_not_replace_the_first(path: Path) -> None:
    for _ in range(3):
        garbage(path)
        opened_store(path)[0].close()
    assert len([item for item in path.parent.iterdir() if "damaged" in item.name and item.suffix == ".sqlite"]) == 3


def test_an_empty_file_and_an_older_store_are_no_damage(path: Path) -> None:
    with sqlite3.connect(path) as db:
        for table in ("run_labels", "run_visitors", "servers"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version = 1")
    db.close()
    store, notice = opened_store(path)
    assert notice is None and len(store.runs()) == 1 and store.begin_server() == 1
    store.close()
    path.write_bytes(b"")
    store, notice = opened_store(path)
    assert notice is None and store.runs() == []
    store.close()


def test_a_newer_store_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(Failed, match="newer version of this app .*update the app, or choose another --data-dir"):
        opened_store(path)
    assert path.read_bytes() == before
    with pytest.raises(Failed, match="newer version"):
        Session(path.parent, public=False, default_source="demo")
    locked(path.parent).release()


def test_one_damaged_row_does_not_take_the_list_with_it(path: Path) -> None:
    store = Store(path)
    other = store.create_run("ck", {}, {}, CELLS)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE runs SET info = '{\"broken' WHERE id != ?", (other,))
    db.close()
    assert [run.id for run in store.runs()] == [other]
    broken = next(row for row in store._all("SELECT id FROM runs") if row[0] != other)[0]
    with pytest.raises(Failed, match="record of this sweep is damaged"):
        store.run(broken)
    store.close()


def test_a_worker_of_an_earlier_server_writes_no_more(path: Path) -> None:
    first = Store(path)
    orphan = Store(path, first.begin_server())
    run = orphan.create_run("ck", {}, {}, CELLS[:2])
    orphan.commit(run, 1, CellScore(CELLS[0], "final"))
    second = Store(path)
    number = second.begin_server()
    for write in (
        lambda: orphan.commit(run, 2, CellScore(CELLS[1], "final")),
        lambda: orphan.set_state(run, "running", only_from=("queued",)),
        lambda: first.create_run("ck", {}, {}, CELLS),
    ):
        with pytest.raises(Failed, match="Another server has taken over"):
            write()
    assert second.run(run).done == 1
    Store(path, number).commit(run, 2, CellScore(CELLS[1], "final"))
    assert second.run(run).done == 2


def test_a_deleted_run_is_not_written_to_and_the_file_shrinks(path: Path) -> None:
    import numpy as np

    store = Store(path)
    run = store.create_run("ck", {}, {"fingerprint": "f"}, CELLS)
    blocks = {block: np.random.default_rng(block).random(20_000) for block in range(20)}
    store.commit(run, 1, CellScore(CELLS[0], "final"), fingerprint="f", new_results=blocks)
    store._one("PRAGMA wal_checkpoint(TRUNCATE)", ())
    large = path.stat().st_size
    store.delete_run(run)
    store._one("PRAGMA wal_checkpoint(TRUNCATE)", ())
    assert path.stat().st_size < large / 4
    store.commit(run, 2, CellScore(CELLS[1], "final"))
    with pytest.raises(NotFound):
        store.run(run)
    assert store._one("SELECT COUNT(*) FROM run_cells WHERE run = ?", (run,))[0] == 0
    store.close()


def test_a_folder_that_cannot_be_used_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="cannot be used .*choose another --data-dir"):
        Session(tmp_path / "file" / "data", public=False, default_source="demo")


HOLD = "import sys, time; from pathlib import Path; from gradiend_ui.ui.session import locked; " + (
    "held = locked(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_a_living_servers_lock_holds_by_every_path_and_a_dead_ones_does_not_block(tmp_path: Path) -> None:
    data = tmp_path / "data"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        (tmp_path / "link").symlink_to(data)
        for path in (data, tmp_path / "link", data / ".." / "data"):
            with pytest.raises(Busy, match="Another server already uses the data folder"):
                locked(path)
        other.send_signal(signal.SIGKILL)
        other.wait(10)
        locked(data).release()
    finally:
        other.kill()
        other.wait(10)
        if other.stdout is not None:
            other.stdout.close()


def test_damage_is_said_to_the_owner_and_paths_to_nobody_else(tmp_path: Path) -> None:
    for public in (False, True):
        data = tmp_path / str(public)
        data.mkdir()
        (data / "runs.sqlite").write_bytes(os.urandom(5000))
        session = Session(data, public=public, default_source="demo")
        try:
            assert len(session.notices) == 1 and "was set aside" in session.notices[0]
            assert session.about()["data_dir"] == ("" if public else str(data))
            assert session.about()["notices"] == (() if public else session.notices)
        finally:
            session.close()
