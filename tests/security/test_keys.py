"""Watching is not controlling: who may pause, stop, resume, finish, name and delete a sweep, and what is kept of a key.

The session with a scripted worker, the store's file as bytes, and whom a request comes from.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gradiend_ui.engine.errors import BadName, GradiendUIError, NotAllowed, NotFound
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.worker.requests import DeleteRun, StartSweep
from gradiend_ui.server.door.roles import KEY_BYTES, LONGEST_KEY, MOST_KEYS, fits, hashed, new_key, ring_of
from gradiend_ui.server.door.visitors import THIS_MACHINE, Asker, Visitors, is_from_here
from gradiend_ui.server.session import Session

CELLS = (Cell(-1.0, 0.1), Cell(-1.0, 0.2))
CELL = {"feature_factor": -1.0, "learning_rate": 0.2}
SPEC = {"goal": "both", "part": "decoder", "token_boundary": "reference", "split": "test", "target_classes": ["M", "F"]}
CARD = {"name": "demo", "objective": "mlm_mask_token", "warnings": [], "base_weights": 1}
INFO: dict[str, Any] = {
    "classes": ["M", "F"],
    "feature_factors": [-1.0],
    "learning_rates": [0.1, 0.2],
    "neutral_set": "pronoun-free",
    "rows": 20,
    "neutral_tokens": 80,
    "fingerprint": "f",
    "spec": SPEC,
    "warnings": [],
    "strengthening": {"M": 1.0, "F": -1.0},
}
OWNER = Asker(owner=True)
CONTROLS: dict[str, Callable[[Session, str, Asker], Any]] = {
    "pause": lambda session, run, asker: session.pause(run, asker),
    "resume": lambda session, run, asker: session.resume(run, asker),
    "finish_cell": lambda session, run, asker: session.finish_cell(run, CELL, asker),
    "label": lambda session, run, asker: session.runs.label(run, "mine", "note", asker),
    "stop": lambda session, run, asker: session.stop(run, asker),
    "delete": lambda session, run, asker: session.runs.delete(run, asker),
}


class Worker:
    """Answers as the worker process does, and writes down what it was asked."""

    def __init__(self, store: Store) -> None:
        self.store, self.asked = store, []

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, StartSweep):
            run = self.store.create_run("ck", {}, INFO, CELLS, request.visitor, request.key_hash)
            return {"run": run, "cells": 2, "position": 0}
        return self.store.delete_run(request.run) if isinstance(request, DeleteRun) else {"state": "queued"}


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, public: bool) -> Session:
    session = Session.open(folder, public=public, start_worker=False)
    worker = Worker(session._store)
    monkeypatch.setattr(session._worker, "ask", worker.ask)
    monkeypatch.setattr(session, "asked", worker.asked, raising=False)
    session._store.save_checkpoint("ck", "demo", {}, CARD)
    return session


@pytest.fixture(params=["public", "local"])
def session(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    session = opened(tmp_path / "data", monkeypatch, request.param == "public")
    yield session
    session.close()


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    session = opened(tmp_path / "data", monkeypatch, True)
    yield session
    session.close()


def is_untouched(session: Session, run: str) -> bool:
    record = session._store.run(run)
    asked = [type(request) for request in session.asked]  # type: ignore[attr-defined]
    return (record.state, record.name, record.note) == ("queued", "", "") and asked == [StartSweep]


@pytest.mark.parametrize("name", CONTROLS)
def test_who_has_no_key_only_watches(session: Session, name: str) -> None:
    """Strangers on a public server, and people in the network of a local one."""
    started = session.start_sweep("ck", {}, "anna")
    run, key = started["run"], started["key"]
    other = session.start_sweep("ck", {}, "ben")["key"]
    session.asked.pop()  # type: ignore[attr-defined]
    wrong = (key[:-1], key + "A", key.swapcase(), " " + key, hashed(key), run, other, "A" * LONGEST_KEY)
    for asker in (Asker("ben"), Asker("anna"), *(Asker("anna", key=k) for k in wrong), Asker("ben", ring={run: other})):
        with pytest.raises(NotAllowed) as told:
            CONTROLS[name](session, run, asker)
        assert key not in str(told.value) and not any(k in str(told.value) for k in wrong[:3])
        assert str(told.value).endswith(".") and "control link" in str(told.value)
    assert is_untouched(session, run)
    CONTROLS[name](session, run, Asker("ben", key=key))
    assert name == "delete" or not is_untouched(session, run) or name in ("resume", "finish_cell")


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize(
    "key", [5, 0, True, 1.5, [], ["x"], {"key": "x"}, b"x", "x" * 5_000_000], ids=lambda key: repr(key)[:12]
)
def test_a_key_that_is_none_is_refused_in_a_sentence(session: Session, name: str, key: Any) -> None:
    run = session.start_sweep("ck", {})["run"]
    for asker in (Asker("ben", key=key), Asker(owner=True, key=key)):
        with pytest.raises(NotAllowed, match="The key is text") as told:
            CONTROLS[name](session, run, asker)
        assert len(str(told.value)) < 200
    assert is_untouched(session, run)


@pytest.mark.parametrize("name", CONTROLS)
def test_who_is_at_the_machine_of_a_local_server_needs_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    session = opened(tmp_path / "data", monkeypatch, public=False)
    runs = [session.start_sweep("ck", {})["run"], session._store.create_run("ck", {}, INFO, CELLS)]
    for run in runs:
        CONTROLS[name](session, run, OWNER)
    session.close()


@pytest.mark.parametrize("name", CONTROLS)
def test_nobody_owns_a_public_server(public: Session, name: str) -> None:
    run = public.start_sweep("ck", {})["run"]
    for asker in (OWNER, THIS_MACHINE):
        with pytest.raises(NotAllowed):
            CONTROLS[name](public, run, asker)
    assert is_untouched(public, run)


@pytest.mark.parametrize("name", CONTROLS)
def test_runs_from_before_can_only_be_watched(public: Session, name: str) -> None:
    scores = [CellScore(None, "final"), *(CellScore(cell, "final") for cell in CELLS)]
    for run in (
        public._store.create_run("ck", {}, INFO, CELLS),
        public._store.create_finished_run("ck", {}, INFO, scores),
    ):
        for asker in (Asker(), Asker(key="x"), Asker(key=""), Asker(key=new_key()), Asker(ring={run: ""})):
            with pytest.raises(NotAllowed, match="has no key"):
                CONTROLS[name](public, run, asker)
        assert public.cells(run)["total"] == 2


def test_what_is_not_there_is_said_first(session: Session) -> None:
    for name, control in CONTROLS.items():
        for run in ("nobody", "", "%", None, ["x"], 5):
            with pytest.raises(NotFound):
                control(session, run, Asker(key="x"))  # type: ignore[arg-type]
        assert name


def test_only_a_hash_is_kept_and_nothing_tells_the_key(session: Session, tmp_path: Path) -> None:
    started = session.start_sweep("ck", {})
    run, key = started["run"], started["key"]
    asker = Asker(key=key, ring={run: key})
    session.runs.label(run, "mine", "a note", asker)
    told = [
        session.cells(run), session.run_info(run), session.runs.newest(20, asker), session.runs.entry(run, asker),
        session.pause(run, asker), session.resume(run, asker), session.revision(run), session.about(),
        session.picture(run, {}), session.stop(run, asker), session.asked,  # type: ignore[attr-defined]
    ]  # fmt: skip
    text = json.dumps(told, default=str)
    assert key not in text and "mine" in text
    assert hashed(key) in text, "the worker is told the hash"
    assert hashed(key) not in json.dumps(told[:-1], default=str)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("runs.sqlite*"))
    assert key.encode() not in stored and hashed(key).encode() in stored


def test_the_key_goes_with_the_run(session: Session) -> None:
    started = session.start_sweep("ck", {})
    run, key = started["run"], started["key"]
    assert session._store.key_hashes([run, "nobody"]) == {run: hashed(key)}
    session.runs.delete(run, Asker(key=key))
    assert session._store.key_hashes([run]) == {}
    assert session._store._all("SELECT * FROM run_keys", ()) == []
    with pytest.raises(NotFound):
        session.pause(run, Asker(key=key))


def test_the_list_has_the_runs_whose_keys_are_shown(session: Session) -> None:
    mine, other, third = (session.start_sweep("ck", {}, "anna") for _ in range(3))
    ring = {mine["run"]: mine["key"], other["run"]: mine["key"], third["run"]: third["key"], "nobody": new_key()}
    shown = session.runs.newest(20, Asker("ben", ring=ring))
    assert [entry["run"] for entry in shown["runs"]] == [third["run"], mine["run"]] and shown["count"] == 2
    assert len(session.runs.newest(1, Asker("ben", ring=ring))["runs"]) == 1
    assert session.runs.newest(20, Asker("anna")) == {"runs": [], "count": 0}
    everything = session.runs.newest(20, OWNER)["count"]
    assert everything == (0 if session.about()["public"] else 3)


def test_names_and_notes_are_text(session: Session) -> None:
    started = session.start_sweep("ck", {})
    run, asker = started["run"], Asker(key=started["key"])
    assert session.runs.label(run, " my\tsweep ", "one\ntwo\x07", asker) == {"name": "my sweep", "note": "one\ntwo"}
    for name, note in ((5, ""), (["x"], ""), ("x", {"a": 1}), (True, ""), ("x", 1.5)):
        with pytest.raises(BadName, match="is text of at most"):
            session.runs.label(run, name, note, asker)  # type: ignore[arg-type]
    with pytest.raises(GradiendUIError, match="5,000,000 characters"):
        session.runs.label(run, "x", "y" * 5_000_000, asker)
    assert session._store.run(run).name == "my sweep"


def test_keys_are_unguessable_and_fit_in_a_link() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000 and KEY_BYTES * 8 >= 96
    assert all(set(key) <= set(string.ascii_letters + string.digits + "-_") for key in keys)
    assert all(fits(key, hashed(key)) for key in keys)


@given(st.text(), st.text())
def test_a_key_fits_its_own_hash_only(first: str, second: str) -> None:
    if 0 < len(first) <= LONGEST_KEY:
        same = first.encode("utf-8", "replace") == second.encode("utf-8", "replace")
        assert fits(first, hashed(first)) and fits(second, hashed(first)) == (same and 0 < len(second) <= LONGEST_KEY)
    assert not fits(first, "") and not fits(first, first) and not fits("", second) and not fits("", hashed(""))


@given(
    st.one_of(
        st.text(), st.none(), st.integers(), st.binary(),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps),
        st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())).map(json.dumps),
    )
)  # fmt: skip
def test_whatever_a_browser_sends_is_a_ring(sent: Any) -> None:
    ring = ring_of(sent)
    assert all(
        isinstance(run, str) and isinstance(key, str) and 0 < len(key) <= LONGEST_KEY for run, key in ring.items()
    )


def test_a_ring_has_an_end_and_a_depth() -> None:
    many = {f"run{n}": f"key{n}" for n in range(10 * MOST_KEYS)}
    assert ring_of(json.dumps(many)) == {f"run{n}": f"key{n}" for n in range(9 * MOST_KEYS, 10 * MOST_KEYS)}
    assert ring_of("[" * 100_000) == {} and ring_of("x" * 5_000_000) == {}


HERE, AWAY = "192.168.1.5", "192.168.1.9"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", HERE, f"::ffff:{HERE}"])
def test_the_machine_itself_is_known_by_its_addresses(peer: str) -> None:
    assert is_from_here(peer, HERE, "", 0) and is_from_here(peer, HERE, "", 1)
    assert is_from_here(peer, HERE, "127.0.0.1", 1) and is_from_here(peer, HERE, "[::1]:4711", 1)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies"),
    [
        (AWAY, "", 0),
        (AWAY, "127.0.0.1", 0),
        (AWAY, "127.0.0.1", 1),
        ("::ffff:10.0.0.1", "", 0),
        ("fe80::1%eth0", "", 0),
        ("2001:db8::1", "::1", 1),
        ("127.0.0.1", AWAY, 1),
        ("127.0.0.1", f"127.0.0.1, {AWAY}", 1),
        ("127.0.0.1", f"127.0.0.1, {AWAY}", 2),
        ("127.0.0.1", AWAY, 0),
        ("127.0.0.1", f"{AWAY}, 127.0.0.1", 0),
        ("127.0.0.1", "unknown", 1),
        ("127.0.0.1", "127.0.0.1.example.org", 1),
        ("127.0.0.1", "_hidden", 0),
        ("", "", 0),
        ("?", "", 0),
        ("localhost", "", 0),
        ("testclient", "", 0),
    ],
)
def test_nobody_else_is_the_machine_itself(peer: str, forwarded: str, proxies: int) -> None:
    for here in (HERE, "127.0.0.1", "", "?", "localhost"):
        assert not is_from_here(peer, here, forwarded, proxies)


def asked_from(peer: str | None, here: str, **headers: str) -> gr.Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "client": (peer, 4711) if peer else None, "server": (here, 7860), "headers": raw}
    return gr.Request(request=Request(scope))


def test_a_request_is_judged_by_its_connection() -> None:
    local, proxied, public = Visitors(public=False), Visitors(public=False, proxies=1), Visitors(public=True)
    for visitors in (local, proxied):
        assert visitors.is_owner(asked_from("127.0.0.1", "127.0.0.1")) and visitors.is_owner(asked_from(HERE, HERE))
        assert not visitors.is_owner(asked_from(AWAY, HERE)) and not visitors.is_owner(asked_from(None, HERE))
        assert not visitors.is_owner(asked_from(AWAY, HERE, x_forwarded_for="127.0.0.1", host="127.0.0.1"))
        assert not visitors.is_owner(asked_from("127.0.0.1", "127.0.0.1", x_forwarded_for=AWAY))
    assert visitors.asker(asked_from(HERE, HERE), "k").owner
    assert not public.is_owner(asked_from("127.0.0.1", "127.0.0.1"))


def test_a_server_for_strangers_has_no_owner() -> None:
    assert Visitors(public=False).is_owner(None) and not Visitors(public=True).is_owner(None)
    assert Visitors(public=True).asker(None, "k") == Asker("", False, "k")
    assert Visitors(public=False).asker(None, None) == Asker("", True, "")
