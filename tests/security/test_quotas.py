"""Quotas of sweeps, exports and waiting requests, and the refusals' sentences."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gradiend_ui.engine.data import uploaded_tables
from gradiend_ui.engine.errors import Busy, TooLarge
from gradiend_ui.engine.store.queue import check_turn
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.request_limits import check_size
from gradiend_ui.server.data import Data
from gradiend_ui.server.door.quotas import PUBLIC, Slots
from gradiend_ui.server.shared import Shared


def test_a_visitor_has_so_many_sweeps() -> None:
    most = {"runs_each": PUBLIC.runs_each, "runs": PUBLIC.runs}
    check_turn(PUBLIC.runs_each - 1, 5, most)
    with pytest.raises(Busy, match=r"of your sweeps are waiting or going on, and at most 8 may"):
        check_turn(PUBLIC.runs_each, 5, most)
    with pytest.raises(Busy, match="as many as this server takes"):
        check_turn(0, PUBLIC.runs, most)
    check_turn(10**6, 10**6, {})


def test_a_sweep_has_a_largest_size() -> None:
    check_size({}, cells=10**9)
    check_size({"cells": 4}, cells=4, rows=99)
    with pytest.raises(TooLarge, match="The sweep has 5 cells, and this server takes at most 4"):
        check_size({"cells": 4}, cells=5)
    with pytest.raises(TooLarge, match="2,001 neutral texts"):
        check_size({"texts": 2000}, texts=2001)


def test_places_are_held_and_given_back() -> None:
    slots = Slots("exports", 2, 1)
    with slots.held("anna"):
        with pytest.raises(Busy, match="1 of your exports are under way"), slots.held("anna"):
            raise AssertionError("a second place was given")
        with slots.held("ben"), pytest.raises(Busy, match="as many as this server does at once"), slots.held("cleo"):
            raise AssertionError("a third place was given")
    with slots.held("anna"):
        pass
    with pytest.raises(ZeroDivisionError), slots.held("anna"):
        raise ZeroDivisionError
    with slots.held("anna"):
        pass


def test_places_hold_between_threads() -> None:
    slots, most, entered, failed = Slots("exports", 3, 3), 0, [], []
    lock = threading.Lock()
    barrier = threading.Barrier(12)

    def work() -> None:
        barrier.wait()
        try:
            with slots.held("x"):
                with lock:
                    entered.append(1)
                gate.wait()
        except Busy:
            failed.append(1)

    gate = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    while len(entered) + len(failed) < 12:
        threading.Event().wait(0.005)
    gate.set()
    for thread in threads:
        thread.join()
    assert (len(entered), len(failed), most) == (3, 9, 0)


def test_on_a_local_server_the_oldest_tables_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploaded_tables, "MAX_KEPT_BYTES", 1)
    data = Data(Shared(Store(tmp_path / "runs.sqlite"), None, tmp_path, public=False))  # type: ignore[arg-type]
    data.keep_pasted("a;b\n1;2", "pasted", is_table=True)
    newest = data.keep_pasted("a;b\n3;4", "pasted", is_table=True)["upload"]
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == [newest]


def test_tables_have_so_much_room_and_push_no_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploaded_tables, "MAX_KEPT_BYTES", 1)
    shared = Shared(Store(tmp_path / "runs.sqlite"), None, tmp_path, public=True)  # type: ignore[arg-type]
    data = Data(shared)
    first = data.keep_pasted("a;b\n1;2", "pasted", is_table=True)["upload"]
    data.keep_pasted("a;b\n3;4", "pasted", is_table=True)
    assert uploaded_tables.upload_path(tmp_path, first).is_file()
    monkeypatch.setattr(Shared, "quotas", replace(PUBLIC, kept_bytes=10))
    with pytest.raises(Busy, match="room for uploads is full"):
        data.keep_pasted("a;b\n5;6", "pasted", is_table=True)
