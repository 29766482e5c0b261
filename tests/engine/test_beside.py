"""Tables that take their time are read in processes of their own while the lane goes on, with the same results."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.data import uploaded_tables
from gradiend_ui.engine.data.uploaded_tables import keep_upload
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.confined import run_confined
from gradiend_ui.engine.files.processes import Beside, NotYet
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import Trust
from gradiend_ui.engine.worker import process
from gradiend_ui.engine.worker.lane import Lane
from gradiend_ui.engine.worker.tables import companions_from

HEAD = "satz;wort;klasse;gegenwort;gegenklasse\n"
GOOD = "the nurse said that [MASK] slept.;she;F;he;M\nthe cook said that [MASK] ate.;he;M;she;F\n"
BAD = "=no mask here;he;M;she;F\nthe boy said that [MASK] ate.;;M;she;F\n"
COLUMNS = {
    "masked": "satz", "label": "wort", "label_class": "klasse", "alternative": "gegenwort",
    "alternative_class": "gegenklasse", "split": "",
}  # fmt: skip
SPEC = {"columns": COLUMNS, "learning_rates": [0.1], "feature_factors": [1.0]}


class Gate:
    """Jobs that end when they are let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began: list[str] = []

    def __call__(self, task: str, path: Path, *, reads: Sequence[Path], options: Mapping[str, Any]) -> Any:
        self.began.append(task)
        self.open.wait()
        return run_confined(task, path, reads=reads, options=options)


@pytest.fixture
def lane(demo: Path, tmp_path: Path) -> Lane:
    return Lane(Store(tmp_path / "runs.sqlite"), tmp_path, demo, waits=False)


def gated(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(uploaded_tables, "IN_PLACE_BYTES", 0)
    monkeypatch.setattr(lane._bench.beside, "_run", gate)
    return gate


def upload(folder: Path, text: str, suffix: str = ".csv") -> dict[str, str]:
    return {"upload": keep_upload(folder, text.encode(), suffix)}


def again(lane: Lane, kind: str, request: Mapping[str, Any]) -> Any:
    """The answer of a request that is asked again whenever what it wants is there."""
    while True:
        try:
            return lane.handle(kind, request)
        except NotYet as wanted:
            wanted.done.exception()


def test_the_lane_goes_on_while_a_table_is_read(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = lane.handle("load", {"source": "demo", "options": {}})["checkpoint"]
    sweeping = lane.handle("start", {"checkpoint": checkpoint, "spec": {"max_rows": 2, **SPEC, "columns": None}})
    gate = gated(lane, monkeypatch)
    rows = upload(tmp_path, HEAD + GOOD * 3 + BAD)
    asked = {"checkpoint": checkpoint, "spec": {**SPEC, "rows": rows}}
    for kind in ("describe_rows", "rejected_rows", "start", "resolve_targets"):
        with pytest.raises(NotYet) as wanted:
            lane.handle(kind, asked)
        assert not wanted.value.done.done()
    assert lane.handle("compare_base", {"checkpoint": checkpoint, "texts": ["so [MASK] said"]})["texts"]
    while lane.step():
        pass
    assert lane._store.run(sweeping["run"]).state == "finished"
    gate.open.set()
    assert again(lane, "describe_rows", asked)["rows"] == 6
    assert again(lane, "start", asked)["cells"] == 1
    assert set(gate.began) == {"report_table", "rejected_rows", "checked_rows"}


def test_results_are_those_of_reading_in_place(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = lane.handle("load", {"source": "demo", "options": {}})["checkpoint"]
    rows = upload(tmp_path, HEAD + GOOD * 3 + BAD)
    short = upload(tmp_path, "masked,label,label_class\nso [MASK] said,he,M\nand [MASK] said,she,F\n")
    odd = upload(tmp_path, "a,b\n1,2\n")
    texts = upload(tmp_path, "it rained.\nthe sun shone.\n", ".txt")
    specs = [{"rows": rows}, {"rows": rows, "columns": COLUMNS}, {"rows": short}, {"rows": odd}]
    asked = [("describe_rows", spec) for spec in specs]
    asked += [("rejected_rows", spec) for spec in specs[1:3]]
    asked += [
        ("resolve_targets", {**SPEC, "rows": rows}),
        ("describe_neutral", {**SPEC, "rows": rows, "neutral": texts}),
    ]

    def answers() -> list[Any]:
        found = []
        for kind, spec in asked:
            told = again(lane, kind, {"checkpoint": checkpoint, "spec": spec, "ratio": 0.99})
            found.append({**told, "seconds_per_cell": 0} if isinstance(told, dict) else told)
        return found

    def plan() -> str:
        run = again(lane, "start", {"checkpoint": checkpoint, "spec": {**SPEC, "rows": rows, "neutral": texts}})["run"]
        return str(lane._store.run(run).info)

    here = [*answers(), plan()]
    lane._bench._data = Memory()
    gated(lane, monkeypatch).open.set()
    assert [*answers(), plan()] == here


def test_a_sweep_begins_when_its_table_is_there(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = lane.handle("load", {"source": "demo", "options": {}})["checkpoint"]
    spec = {**SPEC, "rows": upload(tmp_path, HEAD + GOOD * 3)}
    run = lane.handle("start", {"checkpoint": checkpoint, "spec": spec})["run"]
    gate = gated(lane, monkeypatch)
    lane._bench._plans.clear()
    lane._bench._data = Memory()
    assert lane.step() and lane.waits and not lane.step()
    assert lane._store.run(run).state == "running"
    gate.open.set()
    assert lane._begins is not None
    lane._begins[1].done.exception()
    while lane.step():
        pass
    assert lane._store.run(run).state == "finished"


def test_a_refusal_of_the_reader_reaches_who_asked(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = lane.handle("load", {"source": "demo", "options": {}})["checkpoint"]
    gated(lane, monkeypatch).open.set()
    asked = {"checkpoint": checkpoint, "spec": {"rows": upload(tmp_path, "PK\x03\x04 no table")}}
    for _ in range(2):
        with pytest.raises(BadData, match="zip archive"):
            again(lane, "describe_rows", asked)
    with pytest.raises(BadData, match="columns must be an object"):
        lane.handle(
            "describe_rows", {"checkpoint": checkpoint, "spec": {"rows": asked["spec"]["rows"], "columns": [1]}}
        )


def test_what_lies_beside_a_checkpoint_is_the_same_from_a_process_of_its_own(demo: Path) -> None:
    folder, trust = demo / "gradiend", Trust(public=True, homes=(demo,))
    plain = run_confined("companions", folder, reads=[demo], options={"source": None, "homes": [str(demo)]})
    assert companions_from(plain) == find_companions(folder, None, trust)


def test_a_failed_file_is_tried_again_after_a_while() -> None:
    now, tried = [0.0], []

    def run(task: str, path: Path, *, reads: Sequence[Path], options: Mapping[str, Any]) -> Any:
        tried.append(task)
        raise BadData("it is no table.")

    beside = Beside(waits=True, run=run, clock=lambda: now[0])
    for moment in (0.0, 30.0, 61.0):
        now[0] = moment
        with pytest.raises(BadData):
            beside.value("checked_rows", Path("t.csv"))
    assert len(tried) == 2


class SlowLane:
    """A lane whose "slow" request wants something that is there once `ready` is set."""

    waits = False

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def handle(self, kind: str, request: Mapping[str, Any]) -> Any:
        return self._beside.value("checked_rows", Path("t.csv")) if kind == "slow" else kind

    def step(self) -> bool:
        return False


def test_the_worker_answers_others_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    beside = Beside(waits=False, run=lambda *_, **__: ready.wait() and "read")
    monkeypatch.setattr(process, "Lane", lambda *_, **__: SlowLane(beside))
    monkeypatch.setattr(process, "end_with_parent", lambda: None)
    monkeypatch.setattr(process.signal, "signal", lambda *_: None)
    ours, theirs = Pipe()
    thread = threading.Thread(target=process.serve, args=(theirs, tmp_path / "runs.sqlite", tmp_path, tmp_path))
    thread.start()
    assert ours.recv()[1] == "ready"
    for number, kind in ((1, "slow"), (2, "quick")):
        ours.send((number, kind, {}))
    assert [ours.recv(), ours.recv()] == [(1, "aside", None), (2, "ok", "quick")]
    ready.set()
    assert ours.recv() == (1, "ok", "read")
    ours.send((0, "stop", {}))
    thread.join()
