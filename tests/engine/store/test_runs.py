"""Runs and numbers outlive the process that made them."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradiend_ui.engine.errors import Busy, Failed, NotFound
from gradiend_ui.engine.store.store import SCHEMA_VERSION, Store
from gradiend_ui.engine.values import Cell, CellScore

CELLS = (Cell(-1, 0.1), Cell(1, 0.1))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs.sqlite")


VERSION_1 = """
CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, options TEXT NOT NULL, card TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, checkpoint TEXT NOT NULL, request TEXT NOT NULL, info TEXT NOT NULL, state TEXT NOT NULL,
    rev INTEGER NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, eta REAL, error TEXT,
    created REAL NOT NULL, queued REAL NOT NULL);
CREATE TABLE run_cells (
    run TEXT NOT NULL, place INTEGER NOT NULL, rev INTEGER NOT NULL, score TEXT NOT NULL,
    PRIMARY KEY (run, place)) WITHOUT ROWID;
CREATE TABLE results (
    fingerprint TEXT NOT NULL, cell TEXT NOT NULL, block INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (fingerprint, cell, block)) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def test_a_file_of_version_1_opens_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    score = CellScore(CELLS[0], "final", {"M": {"F": 0.25}}, {"lms": 0.5}, 1, 1)
    old = sqlite3.connect(path)
    old.executescript(VERSION_1)
    old.execute("INSERT INTO checkpoints VALUES ('ck', 'demo', '{}', '{\"name\": \"demo\"}', 1.0)")
    values = ("r", "ck", '{"goal": "both"}', '{"fingerprint": "f"}', "finished", 4, 2, 2, None, None, 7.0, 7.0)
    old.execute(f"INSERT INTO runs VALUES ({', '.join('?' * 12)})", values)
    for place, found in enumerate((CellScore(None), score, CellScore(CELLS[1]))):
        old.execute("INSERT INTO run_cells VALUES ('r', ?, 2, ?)", (place, json.dumps(found.to_json())))
    old.commit()
    old.close()

    store = Store(path)
    record = store.run("r")
    assert (record.state, record.done, record.created, record.request) == ("finished", 2, 7.0, {"goal": "both"})
    assert (record.name, record.note) == ("", "")
    assert store.cells("r")[1][1] == score and store.checkpoint("ck")[2] == {"name": "demo"}
    store.label_run("r", "mine", "kept")
    store.close()
    again = Store(path)
    assert (again.run("r").name, again.run("r").note) == ("mine", "kept")
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_names_and_notes_belong_to_one_run(store: Store) -> None:
    first, second = (store.create_run("ck", {}, {}, CELLS) for _ in range(2))
    store.label_run(first, "one", "a note")
    store.label_run(first, "one again", "")
    assert [(run.name, run.note) for run in store.runs() if run.id == first] == [("one again", "")]
    assert (store.run(second).name, store.run(second).note) == ("", "")
    with pytest.raises(NotFound):
        store.label_run("nobody", "x", "")
    assert len(store.runs(1)) == 1 and store.count_runs() == 2


def test_a_deleted_run_takes_only_what_no_other_run_needs(store: Store) -> None:
    """Two runs under one fingerprint share the base and the first cell; each has a cell of its own."""
    other = Cell(1, 0.5)
    info = {"fingerprint": "f"}
    first, second = (store.create_run("ck", {}, info, cells) for cells in (CELLS, (CELLS[0], other)))
    for run, cells in ((first, (None, *CELLS)), (second, (None, CELLS[0], other))):
        for place, cell in enumerate(cells):
            store.commit(run, place, CellScore(cell, "final"), fingerprint="f", new_results={0: np.ones(2)})
    store.commit(first, 1, CellScore(CELLS[0]), fingerprint=f"f/{first}", new_results={0: np.ones(2)})
    store.commit(second, 1, CellScore(CELLS[0]), fingerprint="g", new_results={0: np.ones(2)})
    store.label_run(first, "gone soon", "")
    assert store.size_of(store.run(first)) > store.size_of(store.run(second)) > 0
    store.delete_run(first)
    assert [run.id for run in store.runs()] == [second]
    for cell in (None, CELLS[0], other):
        assert store.results("f", cell), "the other run needs it"
    assert store.results("f", CELLS[1]) == store.results(f"f/{first}", CELLS[0]) == {}
    assert store.results("g", CELLS[0]), "not of this run's fingerprint"
    with pytest.raises(NotFound):
        store.cells(first)
    with pytest.raises(NotFound):
        store.delete_run(first)
    store.delete_run(second)
    assert store.results("f", None) == {} and store.runs() == []


def test_a_run_that_is_swept_is_not_deleted(store: Store) -> None:
    run = store.create_run("ck", {}, {"fingerprint": "f"}, CELLS)
    store.set_state(run, "running", only_from=("queued",))
    assert store.is_running(run) and not store.is_running("nobody")
    with pytest.raises(Busy, match="stop it"):
        store.delete_run(run)
    assert len(store.cells(run)[1]) == 3
    store.set_state(run, "stopped", only_from=("running",))
    store.delete_run(run)
    assert not store.is_running(run) and store.count_runs() == 0


def test_a_run_is_queued_and_found_again(store: Store, tmp_path: Path) -> None:
    run = store.create_run("ck", {"goal": "both"}, {"classes": ["M"]}, CELLS)
    store.close()
    again = Store(tmp_path / "runs.sqlite")
    assert again.run(run).state == "queued" and again.run(run).total == 2
    assert [score.cell for score in again.cells(run)[1]] == [None, *CELLS]
    with pytest.raises(NotFound):
        again.run(run + "x")
    with pytest.raises(NotFound):
        again.cells("x")


@pytest.mark.parametrize("given", ["\ud800", "run\udfff", "\u00e9", "\U0001f600", 5, None, b"run", ["run"]])
def test_what_no_run_can_be_called_is_not_found(store: Store, given: Any) -> None:
    """Half a character cannot even be looked for."""
    for ask in (store.run, store.cells, store.revision, store.delete_run, store.checkpoint):
        with pytest.raises(NotFound):
            ask(given)


def test_commits_move_the_revision_and_share_results(store: Store) -> None:
    run = store.create_run("ck", {}, {}, CELLS)
    result = np.array([[0.25, np.nan]])
    score = CellScore(CELLS[0], "final", {"M": {"F": 0.25}}, {"lms": 0.5}, 1, 1)
    store.commit(run, 1, score, fingerprint="f", new_results={3: result}, eta_seconds=2.0)
    rev, changed = store.cells(run, after_rev=1)
    assert rev == store.revision(run)[0] == 2 and changed == [score]
    assert store.run(run).done == 1 and store.run(run).eta_seconds == 2.0
    np.testing.assert_array_equal(store.results("f", CELLS[0])[3], result)
    assert store.results("f", CELLS[1]) == store.results("g", CELLS[0]) == {}
    assert store.cells(run, after_rev=rev)[1] == []


@pytest.mark.parametrize("table", ["run_cells", "runs"])
def test_a_commit_that_breaks_off_keeps_nothing(store: Store, tmp_path: Path, table: str) -> None:
    """Blocks without their score, or a score without its revision, are what a kill between two transactions leaves."""
    run = store.create_run("ck", {}, {}, CELLS)
    before = store.cells(run)
    refusing = f"CREATE TRIGGER refusing BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'no more'); END"
    with closing(sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)) as other:
        other.execute(refusing)
    score = CellScore(CELLS[0], "final", {"M": {"F": 0.25}}, {"lms": 0.5}, 1, 1)
    with pytest.raises(Failed):
        store.commit(run, 1, score, fingerprint="f", new_results={3: np.array([[0.25]])})
    assert store.results("f", CELLS[0]) == {} and store.cells(run) == before


def test_the_queue_is_first_come_first_served(store: Store) -> None:
    first, second = (store.create_run("ck", {}, {}, CELLS) for _ in range(2))
    assert store.next_queued() == first and store.position(second) == 1
    store.set_state(first, "running", only_from=("queued",))
    assert store.next_queued() == second and store.position(second) == 1 and store.position(first) == 0
    store.set_state(first, "paused", only_from=("running",))
    assert store.position(second) == 0
    store.set_state(first, "queued", only_from=("paused",))
    assert store.next_queued() == second and store.position(first) == 1


def test_states_change_only_from_where_they_may(store: Store) -> None:
    run = store.create_run("ck", {}, {}, CELLS)
    assert store.set_state(run, "finished", only_from=("running",)) == "queued"
    assert store.interrupt_active("power cut") == 1
    assert store.run(run).state == "interrupted" and store.run(run).error == "power cut"
    assert store.interrupt_active("again") == 0


def test_threads_may_read_while_another_writes(store: Store) -> None:
    run = store.create_run("ck", {}, {}, CELLS)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(200):
                rev, cells = store.cells(run)
                assert len(cells) == 3 and rev >= 1
        except BaseException as error:  # handed to the main thread below
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(100):
        store.commit(run, 1, CellScore(CELLS[0], rows_done=number), fingerprint="f", new_results={number: np.ones(3)})
    for reader in readers:
        reader.join()
    assert not errors and store.run(run).rev == 101
