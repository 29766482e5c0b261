"""Whose turn it is: waiting places per visitor, turns, and requests that are set aside."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.errors import Busy, Failed
from gradiend_ui.engine.worker import client as worker_client
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.engine.worker.requests import Request
from gradiend_ui.engine.worker.turns import Places, Turns, asked_by, who_asks
from tests.engine.worker import echo_worker
from tests.engine.worker.echo_worker import Aside, Die, Echo, Hold, Release

PLACES = Places(waiting=10, waiting_each=4, sent=2, sent_each=1)


def test_many_requests_of_one_visitor_stand_in_front_of_nobody() -> None:
    turns: Turns[str] = Turns(Places(waiting=99, waiting_each=99, sent=1, sent_each=1))
    for number in range(8):
        turns.add("anna", f"anna {number}")
    turns.add("ben", "ben")
    turns.add("cleo", "cleo")
    order = []
    for visitor in ("anna", "ben", "cleo", "anna", "anna"):
        order.append(turns.next())
        assert turns.next() is None, "the worker gets one at a time"
        turns.answered(visitor)
    assert order == ["anna 0", "ben", "cleo", "anna 1", "anna 2"]


def test_one_visitor_has_few_places_and_all_have_so_many() -> None:
    turns: Turns[int] = Turns(PLACES)
    for number in range(4):
        turns.add("anna", number)
    with pytest.raises(Busy, match="4 of your requests are waiting for the model, and at most 4 may"):
        turns.add("anna", 4)
    for number in range(3):
        turns.add("ben", number)
        turns.add("cleo", number)
    with pytest.raises(Busy, match="10 requests are waiting"):
        turns.add("dora", 0)
    assert turns.next() == 0
    with pytest.raises(Busy):
        turns.add("anna", 4)
    turns.answered("anna")
    turns.add("anna", 4)


def test_who_is_being_served_waits_with_the_next_one() -> None:
    turns: Turns[str] = Turns(PLACES)
    turns.add("anna", "first")
    turns.add("anna", "second")
    turns.add("ben", "other")
    assert [turns.next(), turns.next(), turns.next()] == ["first", "other", None]
    turns.answered("ben")
    assert turns.next() is None, "anna's first one is still being served"
    turns.answered("anna")
    assert turns.next() == "second"


def test_what_is_set_aside_keeps_its_visitor_and_nobody_else() -> None:
    turns: Turns[str] = Turns(Places(waiting=10, waiting_each=4, sent=1, sent_each=1))
    turns.add("anna", "slow")
    turns.add("anna", "next")
    turns.add("ben", "quick")
    assert (turns.next(), turns.next()) == ("slow", None)
    turns.aside()
    assert (turns.next(), turns.next()) == ("quick", None)
    turns.answered("ben")
    assert turns.next() is None, "one slow request of a visitor at a time"
    turns.answered("anna", aside=True)
    assert turns.next() == "next" and len(turns) == 1


def test_a_request_that_is_given_up_leaves_its_place() -> None:
    turns: Turns[str] = Turns(PLACES)
    turns.add("anna", "one")
    turns.add("anna", "two")
    assert turns.give_up("anna", "two") and not turns.give_up("anna", "two")
    assert turns.next() == "one" and not turns.give_up("anna", "one")
    turns.add("ben", "left")
    assert turns.drain() == ["left"] and len(turns) == 1


def test_the_visitor_goes_with_the_thread() -> None:
    with asked_by("anna"):
        with asked_by("ben"):
            assert who_asks() == "ben"
        assert who_asks() == "anna"
        seen: list[str] = []
        thread = threading.Thread(target=lambda: seen.append(who_asks()))
        thread.start()
        thread.join()
    assert (who_asks(), seen) == ("", [""])


Ask = Callable[..., "Future[Any]"]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ask, WorkerClient]]:
    """ask(visitor, request) sends from a thread of its own; the worker only says in which order requests came."""
    monkeypatch.setattr(worker_client, "_child", echo_worker.serve)
    client = WorkerClient(tmp_path, tmp_path, tmp_path, lambda why: None, places=Places(20, 10, 1, 1))
    pool = ThreadPoolExecutor(20)

    def ask(visitor: str, request: Request[Any]) -> Future[Any]:
        def work() -> Any:
            with asked_by(visitor):
                return client.ask(request)

        before = len(client._turns)
        future = pool.submit(work)
        while len(client._turns) == before and not future.done():
            threading.Event().wait(0.002)
        return future

    yield ask, client
    client.close()
    pool.shutdown()


def test_eight_requests_of_one_do_not_come_before_the_one_of_another(
    client: tuple[Ask, WorkerClient], tmp_path: Path
) -> None:
    ask, _ = client
    held = ask("anna", Hold("go"))
    many = [ask("anna", Echo()) for _ in range(7)]
    other = ask("ben", Echo())
    (tmp_path / "go").touch()
    assert (held.result(30), other.result(30)) == (1, 2)
    assert [one.result(30) for one in many] == [3, 4, 5, 6, 7, 8, 9]


def test_others_are_answered_while_a_request_is_aside(client: tuple[Ask, WorkerClient]) -> None:
    ask, _ = client
    slow, behind = ask("anna", Aside()), ask("anna", Echo())
    assert ask("ben", Echo()).result(30) == 2
    assert not slow.done() and not behind.done()
    assert ask("ben", Release()).result(30) == 3
    assert (slow.result(30), behind.result(30)) == ("released", 4)


def test_a_death_fails_what_was_sent_and_what_waited_goes_to_the_next_worker(
    client: tuple[Ask, WorkerClient], tmp_path: Path
) -> None:
    ask, _ = client
    held = ask("anna", Hold("go"))
    dying, waiting = ask("anna", Die()), ask("ben", Hold("go"))
    later = ask("ben", Echo())
    (tmp_path / "go").touch()
    assert (held.result(30), waiting.result(30)) == (1, 2)
    with pytest.raises(Failed, match="exit code 3"):
        dying.result(30)
    assert later.result(60) == 1, "the next worker's first request"


def test_a_thread_of_its_own_sends_and_holds_nothing_meanwhile(
    client: tuple[Ask, WorkerClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks would wait with it for a worker that does not read yet."""
    ask, own = client
    assert ask("anna", Echo()).result(30) == 1
    sent: list[tuple[str, bool]] = []
    send_bytes = Connection.send_bytes

    def send(connection: Connection, content: bytes) -> None:
        sent.append((threading.current_thread().name, own._lock._is_owned()))  # type: ignore[attr-defined]
        send_bytes(connection, content)

    monkeypatch.setattr(Connection, "send_bytes", send)
    assert ask("ben", Echo()).result(30) == 2
    assert sent == [("worker-requests", False)]


def test_a_large_request_that_the_worker_does_not_read_yet_holds_nobody_up(
    client: tuple[Ask, WorkerClient], tmp_path: Path
) -> None:
    ask, own = client
    own._turns._places = Places(20, 10, 2, 2)
    held = ask("anna", Hold("go"))
    large = ask("anna", Echo("x" * 5_000_000))
    other = ask("ben", Echo())  # comes back at once: nobody is stuck behind the full pipe
    assert len(own._turns) == 3
    (tmp_path / "go").touch()
    assert held.result(30) == 1
    assert {large.result(30), other.result(30)} == {2, 3}, "ben's turn may come first"


@pytest.mark.parametrize(("child", "code"), [(echo_worker.serve_late, -signal.SIGKILL), (echo_worker.serve_ready, 0)])
def test_a_worker_that_still_loads_is_ended_and_one_that_listens_ends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: Callable[..., None], code: int
) -> None:
    """Loading its libraries takes seconds, in which the server would wait for it to hear that it shall stop.

    Whoever closes and whoever reads its answers both see its end, and the system tells one of them alone.
    """
    told = os.waitpid

    def slowly(pid: int, options: int) -> tuple[int, int]:
        found = told(pid, options)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(os, "waitpid", slowly)
    monkeypatch.setattr(worker_client, "_child", child)
    client = WorkerClient(tmp_path, tmp_path, tmp_path, lambda why: None)
    client.start()
    process = client._process
    while not (tmp_path / "began").exists() or client._ready != (code == 0):
        threading.Event().wait(0.01)
    client.close()
    assert process is not None and process.exitcode == code
    client.close()


def test_a_worker_that_follows_another_has_not_said_that_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_client, "_child", echo_worker.serve_ready)
    client = WorkerClient(tmp_path, tmp_path, tmp_path, lambda why: None)
    client.start()
    while not client._ready:
        threading.Event().wait(0.01)
    first = client._process
    assert first is not None
    monkeypatch.setattr(worker_client, "_child", echo_worker.serve_late)
    first.kill()
    while client._process is first:
        threading.Event().wait(0.01)
    assert not client._ready
    client.close()
