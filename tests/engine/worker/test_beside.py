"""Tables that take their time are read in processes of their own while the worker goes on, with the same results."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.data import uploaded_tables
from gradiend_ui.engine.data.uploaded_tables import keep_upload
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.files.confined import run_confined
from gradiend_ui.engine.files.processes import Beside, NotYet
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.uploads.trust import Trust
from gradiend_ui.engine.worker import process
from gradiend_ui.engine.worker.requests import (
    Answer,
    CompareBase,
    DescribeNeutral,
    DescribeRows,
    Load,
    RejectedRows,
    Request,
    ResolveTargets,
    StartSweep,
)
from gradiend_ui.engine.worker.tables import companions_from
from gradiend_ui.engine.worker.worker import Worker

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
def worker(demo: Path, tmp_path: Path) -> Worker:
    return Worker(Store(tmp_path / "runs.sqlite"), tmp_path, demo, waits=False)


def gated(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(uploaded_tables, "IN_PLACE_BYTES", 0)
    monkeypatch.setattr(worker._resources.beside, "_run", gate)
    return gate


def upload(folder: Path, text: str, suffix: str = ".csv") -> dict[str, str]:
    return {"upload": keep_upload(folder, text.encode(), suffix)}


def again(worker: Worker, request: Request[Answer]) -> Answer:
    """The answer of a request that is asked again whenever what it wants is there."""
    while True:
        try:
            return worker.answer(request)
        except NotYet as wanted:
            wanted.done.exception()


def test_the_worker_goes_on_while_a_table_is_read(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    sweeping = worker.answer(StartSweep(checkpoint, AskedSweep.of({"max_rows": 2, **SPEC, "columns": None})))
    gate = gated(worker, monkeypatch)
    rows = upload(tmp_path, HEAD + GOOD * 3 + BAD)
    asked = AskedSweep.of({**SPEC, "rows": rows})
    described, started = DescribeRows(checkpoint, asked.data), StartSweep(checkpoint, asked)
    waiting: list[Request[Any]] = [RejectedRows(checkpoint, asked.data), ResolveTargets(checkpoint, asked)]
    for request in (described, started, *waiting):
        with pytest.raises(NotYet) as wanted:
            worker.answer(request)
        assert not wanted.value.done.done()
    assert worker.answer(CompareBase(checkpoint, ("so [MASK] said",)))["texts"]
    while worker.step():
        pass
    assert worker._store.run(sweeping["run"]).state == "finished"
    gate.open.set()
    assert again(worker, described)["rows"] == 6
    assert again(worker, started)["cells"] == 1
    assert set(gate.began) == {"report_table", "rejected_rows", "checked_rows"}


def test_results_are_those_of_reading_in_place(worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    rows = upload(tmp_path, HEAD + GOOD * 3 + BAD)
    short = upload(tmp_path, "masked,label,label_class\nso [MASK] said,he,M\nand [MASK] said,she,F\n")
    odd = upload(tmp_path, "a,b\n1,2\n")
    texts = upload(tmp_path, "it rained.\nthe sun shone.\n", ".txt")
    specs = [{"rows": rows}, {"rows": rows, "columns": COLUMNS}, {"rows": short}, {"rows": odd}]
    sweep = AskedSweep.of({**SPEC, "rows": rows, "neutral": texts})
    asked: list[Request[Any]] = [DescribeRows(checkpoint, DataChoice.of(spec)) for spec in specs]
    asked += [RejectedRows(checkpoint, DataChoice.of(spec)) for spec in specs[1:3]]
    asked += [ResolveTargets(checkpoint, sweep), DescribeNeutral(checkpoint, sweep, 0.99)]

    def answers() -> list[Any]:
        found = []
        for request in asked:
            told = again(worker, request)
            found.append({**told, "seconds_per_cell": 0} if isinstance(told, dict) else told)
        return found

    def plan() -> str:
        run = again(worker, StartSweep(checkpoint, sweep))["run"]
        return str(worker._store.run(run).info)

    here = [*answers(), plan()]
    worker._resources.data.forget()
    gated(worker, monkeypatch).open.set()
    assert [*answers(), plan()] == here


def test_a_sweep_begins_when_its_table_is_there(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    spec = {**SPEC, "rows": upload(tmp_path, HEAD + GOOD * 3)}
    run = worker.answer(StartSweep(checkpoint, AskedSweep.of(spec)))["run"]
    gate = gated(worker, monkeypatch)
    worker._resources._plans.clear()
    worker._resources.data.forget()
    assert worker.step() and worker.waits and not worker.step()
    assert worker._store.run(run).state == "running"
    gate.open.set()
    assert worker._begins is not None
    worker._begins[1].done.exception()
    while worker.step():
        pass
    assert worker._store.run(run).state == "finished"


def test_a_refusal_of_the_reader_reaches_who_asked(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    gated(worker, monkeypatch).open.set()
    rows = upload(tmp_path, "PK\x03\x04 no table")
    for _ in range(2):
        with pytest.raises(BadData, match="zip archive"):
            again(worker, DescribeRows(checkpoint, DataChoice(rows)))
    with pytest.raises(BadData, match="columns must be an object"):
        DataChoice.of({"rows": rows, "columns": [1]})


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


@dataclass(frozen=True)
class Toy(Request[str]):
    name: str


class SlowWorker:
    """A worker whose "slow" request wants something that is there once `ready` is set."""

    waits = False

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def answer(self, request: Toy) -> Any:
        return self._beside.value("checked_rows", Path("t.csv")) if request.name == "slow" else request.name

    def step(self) -> bool:
        return False


def test_the_worker_answers_others_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = threading.Event()
    beside = Beside(waits=False, run=lambda *_, **__: ready.wait() and "read")
    monkeypatch.setattr(process, "Worker", lambda *_, **__: SlowWorker(beside))
    monkeypatch.setattr(process, "end_with_parent", lambda: None)
    monkeypatch.setattr(process.signal, "signal", lambda *_: None)
    ours, theirs = Pipe()
    thread = threading.Thread(target=process.serve, args=(theirs, tmp_path / "runs.sqlite", tmp_path, tmp_path))
    thread.start()
    assert ours.recv()[1] == "ready"
    for number, name in ((1, "slow"), (2, "quick")):
        ours.send((number, Toy(name)))
    assert [ours.recv(), ours.recv()] == [(1, "aside", None), (2, "ok", "quick")]
    ready.set()
    assert ours.recv() == (1, "ok", "read")
    ours.send((0, None))
    thread.join()
