"""The store at a server's start: damage is set aside whole and said, a newer one refused; who may write; the lock."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradiend_ui.engine.errors import Busy, Failed, NotFound
from gradiend_ui.engine.store.opening import log_is_cut, opened_store
from gradiend_ui.engine.store.store import SCHEMA_VERSION, Store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.server.home import locked
from gradiend_ui.server.session import Session

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


@pytest.fixture
def killed(path: Path, tmp_path: Path) -> Path:
    """What kill -9 leaves of a store: the file, and a log with forty transactions that it has not taken over."""
    store = Store(path)
    run = store.create_run("ck", {}, {}, CELLS)
    for number in range(40):
        store.commit(run, 1, CellScore(CELLS[0], "final", rows_done=number))
    left = tmp_path / "left"
    left.mkdir()
    for name in ("runs.sqlite", "runs.sqlite-wal"):
        shutil.copy(path.with_name(name), left / name)
    store.close()
    return left / "runs.sqlite"


def rows_done(store: Store) -> int:
    return max(score.rows_done for run in store.runs() for score in store.cells(run.id)[1])


@pytest.mark.parametrize(
    ("start", "length"), [(0, 32), (0, None), (0.5, 64), (0.9, 4000)], ids=["header", "all", "middle", "late"]
)
@pytest.mark.parametrize("with_what", [os.urandom, bytes], ids=["garbage", "zeros"])
def test_a_damaged_log_is_said_and_a_copy_kept(
    killed: Path, start: float, length: int | None, with_what: Callable[[int], bytes]
) -> None:
    log = killed.with_name("runs.sqlite-wal")
    content = bytearray(log.read_bytes())
    place, count = int(start * len(content)), length or len(content)
    content[place : place + count] = with_what(count)
    log.write_bytes(content)
    before = killed.read_bytes()
    store, notice = opened_store(killed)
    assert notice is not None and "scored again" in notice
    copy = next(item for item in killed.parent.iterdir() if notice.endswith(f"{item.name}."))
    assert copy.read_bytes() == before and copy.with_name(f"{copy.name}-wal").read_bytes() == content
    assert any(run.done == len(CELLS) for run in store.runs()), "what the file itself holds goes on"
    assert start == 0 or 0 < rows_done(store) < 39
    store.close()


@pytest.mark.parametrize("cut", [0, 1, 4000, 4096, 4110, 4120])
def test_an_unfinished_transaction_is_no_damage(killed: Path, cut: int) -> None:
    """kill -9 cuts the log's last frame at any place, or overwrites one of an earlier round by half."""
    log = killed.with_name("runs.sqlite-wal")
    content = log.read_bytes()
    log.write_bytes(content[: len(content) - cut])
    assert not log_is_cut(killed)
    store, notice = opened_store(killed)
    assert notice is None and rows_done(store) >= 38
    store.close()


def test_damaged_rows_are_met_with_a_sentence_and_leave_the_rest_alone(path: Path) -> None:
    import numpy as np

    store = Store(path)
    info, cell = {"fingerprint": "f"}, CELLS[0]
    good, bad = (store.create_run("ck", {}, info, CELLS[:2]) for _ in range(2))
    store.save_checkpoint("ck", "demo", {}, {"name": "demo"})
    store.commit(good, 1, CellScore(cell), fingerprint="f", new_results={0: np.ones(3), 1: np.ones(3)})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE run_cells SET score = '{}' WHERE run = ? AND place = 1", (bad,))
        db.execute("UPDATE results SET result = x'00' WHERE block = 1")
        db.execute("UPDATE checkpoints SET options = '[', card = '7'")
    db.close()
    assert list(store.results("f", cell)) == [0], "the damaged block is scored again"
    with pytest.raises(Failed, match="numbers of this sweep are damaged"):
        store.cells(bad)
    with pytest.raises(Failed, match="record of this checkpoint is damaged: load it again"):
        store.checkpoint("ck")
    assert [row[:3] for row in store.checkpoint_sources()] == [("ck", "demo", {})]
    store.delete_run(good)
    assert list(store.results("f", cell)) == [0], "nobody knows what the damaged one needs"
    store.delete_run(bad)
    assert {good, bad}.isdisjoint(run.id for run in store.runs())
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET info = '['",
        "UPDATE runs SET info = '{}'",
        "UPDATE runs SET request = '3'",
        "UPDATE checkpoints SET options = '{', card = '{'",
        "UPDATE run_cells SET score = 'x'",
    ],
)
def test_a_server_starts_and_lists_whatever_the_rows_hold(path: Path, damage: str) -> None:
    store = Store(path)
    store.save_checkpoint("ck", "demo", {}, {"name": "demo"})
    run = store.runs()[0].id
    store.close()
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    session = Session(path.parent, public=False, default_source="demo")
    try:
        assert session.runs.newest()["runs"] == []
        session._store.delete_run(run)
        assert session.runs.newest()["count"] == 0
    finally:
        session.close()


BUSY = """
import multiprocessing, os, sys, time
from gradiend_ui.engine.files.processes import end_with_parent

def work(connection):
    end_with_parent()
    connection.send(os.getpid())
    while True:
        sum(range(10_000_000))  # looks at nothing

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=work, args=(theirs,), daemon=True).start()
    print(ours.recv(), flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a signal")
def test_a_busy_worker_ends_with_its_killed_server(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(BUSY)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        server.kill()
        end = time.monotonic() + 60
        while is_alive(worker) and time.monotonic() < end:
            time.sleep(0.05)
        assert not is_alive(worker), "it went on without a server"


def is_alive(pid: int) -> bool:
    """A process that has ended and that nobody asked about is none."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


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


HOLD = "import sys, time; from pathlib import Path; from gradiend_ui.server.home import locked; " + (
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
        other.wait(60)
        locked(data).release()
    finally:
        other.kill()
        other.wait(60)
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
