"""Runs and numbers outlive the process that made them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.store import Store
from gradiend_ui.engine.values import Cell, CellScore

CELLS = (Cell(-1, 0.1), Cell(1, 0.1))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs.sqlite")


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
