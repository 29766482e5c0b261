"""The session with a real worker process on the bundled demo: queue, pause, resume, death, restart, refusals."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.errors import BadData, BadGrid, Busy, Failed, GradiendUIError, NotAllowed, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import Cell
from gradiend_ui.server.session import Session
from tests.support import demo_facts

SMALL = {"learning_rates": [0.2, 0.05], "max_rows": 20, "max_neutral": 40}


@pytest.fixture(scope="module")
def handle(session: Session) -> str:
    return str(session.load("demo", {})["checkpoint"])


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def finished(session: Session, run: str) -> dict[str, Any]:
    until(lambda: session.revision(run)[1] in ("finished", "failed"))
    return session.cells(run)


def test_load_tells_what_the_contract_says(session: Session, demo: Path) -> None:
    answer = session.load("demo")
    assert answer["classes"] == ["M", "F"] and answer["strengthening_feature_factor"] == {"M": 1.0, "F": -1.0}
    config = json.loads((demo / "gradiend" / "config.json").read_text())
    assert answer["mapped_weights"] == config["architecture"]["input_dim"] and answer["objective"] == "mlm_mask_token"
    assert answer["rows"]["F"]["test"] == demo_facts.row_count("test", "F")
    assert answer["neutral_sets"]["pronoun-free"] == demo_facts.neutral()["texts"]
    assert answer["correlation"] > 0.99 and answer["converged"] is True and answer["warnings"] == []
    assert answer["seeds"] == [] and answer["finished_sweeps"] == []
    assert session.load("demo")["checkpoint"] == answer["checkpoint"]


def test_texts_are_scored_in_a_chat_prompt_where_asked(session: Session) -> None:
    answer = session.load("demo", {"chat_prompt": True})
    assert any("chat prompt" in sentence for sentence in answer["warnings"])
    with pytest.raises(GradiendUIError, match="chat_prompt must be true or false"):
        session.load("demo", {"chat_prompt": "yes"})


def test_a_sweep_is_followed_selected_and_compared(session: Session, handle: str) -> None:
    run = session.start_sweep(handle, SMALL)["run"]
    seen, rev = [], 0
    while True:
        answer = session.cells(run, rev)
        assert answer["rev"] >= rev
        rev = answer["rev"]
        seen += answer["cells"]
        if answer["state"] == "finished":
            break
        time.sleep(0.05)
    assert answer["done"] == answer["total"] == 4 and answer["base"]["status"] == "final"
    assert [(c["feature_factor"], c["learning_rate"]) for c in session.cells(run)["cells"]] == [
        (-1.0, 0.05), (-1.0, 0.2), (1.0, 0.05), (1.0, 0.2),
    ]  # fmt: skip
    chosen = session.select(run, {"target_class": "F", "ratio": 0.5})
    assert (chosen["feature_factor"], chosen["learning_rate"]) == (-1.0, 0.2)
    picture = session.picture(run, {"target_class": "F", "ratio": 0.5})
    assert picture["selection"] == chosen and picture["metric"][0][1] == chosen["value"]
    both = session.compare(run, [chosen_cell(chosen)], ["the engineer said that [MASK] was tired."])
    mask = both["texts"][0]["masks"][0]
    assert mask["cells"][0]["classes"]["F"] > 0.8 > 0.3 > mask["base"]["classes"]["F"]
    assert session.run_info(run)["spec"]["learning_rates"] == [0.05, 0.2]


def chosen_cell(answer: dict[str, Any]) -> dict[str, float]:
    return {"feature_factor": answer["feature_factor"], "learning_rate": answer["learning_rate"]}


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("base", 1e-3)])  # the demo's base is in float16
def test_an_exported_model_scores_as_its_cell(
    session: Session, handle: str, demo: Path, tmp_path: Path, dtype: str, close: float
) -> None:
    run = session.start_sweep(handle, SMALL)["run"]
    cell = next(
        c for c in finished(session, run)["cells"] if chosen_cell(c) == {"feature_factor": -1, "learning_rate": 0.2}
    )
    path = session.export(run, {"feature_factor": -1, "learning_rate": 0.2, "dtype": dtype})
    zipfile.ZipFile(path).extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    rewritten = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert AutoTokenizer.from_pretrained(folder).mask_token == "[MASK]"
    model = ModelWithGradiend.from_pretrained(demo / "gradiend")
    spec = SweepSpec(learning_rates=(0.2,), max_rows=20, max_neutral=40)
    plan = prepare(model, spec, read_rows(demo / "eval.csv"), read_neutral(demo / "neutral_pronoun_free.csv"))
    again = plan.summarise(Cell(-1, 0.2), {b: plan.score_block(rewritten, b) for b in range(len(plan.block_sizes))})
    for dataset, by_class in cell["probs_by_dataset"].items():
        assert again.probs_by_dataset[dataset] == pytest.approx(by_class, abs=close)
    assert again.lms_value == pytest.approx(cell["lms"]["lms"], abs=close)


def test_pause_resume_stop_and_the_queue(session: Session, handle: str) -> None:
    first = session.start_sweep(handle, {"again": True})
    second = session.start_sweep(handle, {**SMALL, "again": True})
    assert second["position"] == 1 and session.revision(second["run"])[2] == 1
    until(lambda: session.cells(first["run"])["base"]["rows_done"] > 0)
    assert session.pause(first["run"]) == {"state": "paused"}
    assert finished(session, second["run"])["state"] == "finished"  # the worker is free while the first rests
    rested = session.cells(first["run"])
    assert rested["state"] == "paused"
    assert session.resume(first["run"])["state"] in ("queued", "running")
    until(lambda: session.cells(first["run"])["rev"] > rested["rev"] + 2)
    assert session.stop(first["run"]) == {"state": "stopped"}
    assert session.stop(second["run"]) == {"state": "finished"}  # nothing left to stop


def test_a_dead_worker_interrupts_the_run_and_a_new_one_resumes_it(session: Session, handle: str) -> None:
    run = session.start_sweep(handle, {**SMALL, "again": True})["run"]
    until(lambda: session.cells(run)["base"]["rows_done"] > 0)
    pid = session._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: session.revision(run)[1] == "interrupted")
    assert "resume" in session.cells(run)["error"]
    kept = session.cells(run)["base"]["rows_done"]
    session.resume(run)
    assert session._worker.pid != pid
    answer = finished(session, run)
    assert answer["state"] == "finished" and answer["done"] == 4 and kept > 0
    plain = session.start_sweep(handle, SMALL)["run"]
    assert finished(session, plain)["cells"] == answer["cells"]  # bit-identical to an uninterrupted run


def test_a_request_that_the_worker_dies_on_fails_with_a_sentence(session: Session, handle: str) -> None:
    pid = session._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        from threading import Timer

        Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        with pytest.raises(Failed, match="ended unexpectedly") as told:
            session.load("demo")
        assert "try again" in str(told.value) and "resume" not in str(told.value), "there is nothing to resume"
    finally:
        until(lambda: session._worker.pid != pid)
    assert session.load("demo")["checkpoint"] == handle


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda s, h: s.load("/no/such/folder"), "bad_checkpoint"),
        (lambda s, h: s.load("demo", {"revision": "main"}), "bad_grid"),
        (lambda s, h: s.load("demo", {"colour": 1}), "bad_grid"),
        (lambda s, h: s.load("demo", {"encoding_direction": {"M": "up"}}), "bad_grid"),
        (lambda s, h: s.load("demo", {"encoding_direction": []}), "bad_grid"),
        (lambda s, h: s.load("demo", {"encoding_direction": False}), "bad_grid"),
        (lambda s, h: s.load("demo", {"base_model": "no-such/model"}), "bad_base"),
        (lambda s, h: s.load("demo", {"base_model": "a\ud800"}), "bad_grid"),
        (lambda s, h: s.uploads.reload(h, {"base_model": "a\ud800"}), "bad_grid"),
        (lambda s, h: s.uploads.unpack("a\ud800.zip"), "bad_grid"),
        (lambda s, h: s.uploads.load("a\ud800", "x"), "bad_grid"),
        (lambda s, h: s.data.keep_table("a\ud800.csv"), "bad_data"),
        (lambda s, h: s.data.keep_texts("a\ud800.txt"), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"targets": {"M": ["\ud800"], "F": ["she"]}}), "bad_grid"),
        (lambda s, h: s.start_sweep(h, {"columns": [1]}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"columns": "masked"}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"columns": {"masked": 1}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"rows": {"run": "R", "upload": "x"}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"rows": {"path": "/a", "upload": "x"}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"neutral": {"run": "R", "path": "x"}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"neutral": {}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"rows": {"run": 5}}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"neutral": ["a text"], "neutral_set": {}}), "bad_data"),
        (lambda s, h: s.start_sweep("ck_unknown", {}), "not_found"),
        (lambda s, h: s.start_sweep(h, {"feature_factors": [float("nan")]}), "bad_grid"),
        (lambda s, h: s.start_sweep(h, {"rows": [{"a": 1}]}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"neutral_set": "none such"}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"learning_rates": list(range(99_999))}), "too_large"),
        (lambda s, h: s.start_sweep(h, {"neutral_set": ["x"]}), "bad_data"),
        (lambda s, h: s.start_sweep(h, {"rows": 5}), "bad_data"),
        (lambda s, h: s.start_sweep([h], {}), "not_found"),
        (lambda s, h: s.open_finished(h), "not_found"),
        (lambda s, h: s.open_finished("ck_unknown"), "not_found"),
        (lambda s, h: s.open_finished(h, {"path": "/etc"}), "bad_grid"),
        (lambda s, h: s.open_finished(h, {"file": ["/etc/passwd"]}), "not_found"),
        (lambda s, h: s.cells("unknown", 0), "not_found"),
        (lambda s, h: s.cells([1], 0), "not_found"),
        (lambda s, h: s.pause({"run": 1}), "not_found"),
        (lambda s, h: s.select("unknown", {}), "not_found"),
        (lambda s, h: s.compare("unknown", [], ["[MASK]"]), "not_found"),
        (lambda s, h: s.export("unknown", {}), "not_found"),
        (lambda s, h: s.pause("unknown"), "not_found"),
    ],
)
def test_refusals_carry_their_code(
    session: Session, handle: str, action: Callable[[Session, str], Any], kind: str
) -> None:
    with pytest.raises(GradiendUIError) as caught:
        action(session, handle)
    assert caught.value.code == kind and "\n" not in str(caught.value)


def test_own_rows_and_texts_are_taken(session: Session, handle: str) -> None:
    row = {"masked": "the nurse said [MASK] was late.", "label": "she", "label_class": "F", "alternative": "he"}
    rows = [{**row, "alternative_class": "M"}, {**row, "label": "he", "label_class": "M", "alternative": "she",
            "alternative_class": "F"}]  # fmt: skip
    run = session.start_sweep(handle, {"rows": rows, "neutral": ["it was a dark night."], "learning_rates": [0.2]})[
        "run"
    ]
    answer = finished(session, run)
    assert answer["done"] == 2 and answer["base"]["lms"]["total"] >= 1
    with pytest.raises(BadData, match="MASK"):
        session.compare(run, [], ["no mask here"])
    with pytest.raises(BadGrid, match="finite"):
        session.export(run, {"feature_factor": float("inf"), "learning_rate": 1})


@pytest.mark.parametrize("filler", [0, 30_000], ids=["read in place", "read beside"])
def test_an_encoding_and_classes_that_are_said_hold_everywhere(session: Session, handle: str, filler: int) -> None:
    head = "masked,label,label_class,alternative,alternative_class\n"
    good = "my Müller said that [MASK] slept.,he,male,she,F\nmy aunt said [MASK] slept.,she,F,he,male\n"
    table = head + good + "without a place for a word,he,male,she,F\n" * filler + "a [MASK] b,he,unclear,she,F\n"
    kept = session.data._kept(table.encode("mac_roman"), ".csv", "mine.csv")
    rows = {**kept, "encoding": "mac_roman"}
    unmapped = session.data.rows(handle, {"rows": rows})
    assert [one["name"] for one in unmapped["unknown_classes"]] == ["male", "unclear"] and unmapped["rows"] == 0
    spec = {"rows": rows, "columns": unmapped["columns"], "count_as": {"male": "M", "unclear": ""}}
    report = session.data.rows(handle, spec)
    assert (report["rows"], report["encoding"], report["samples"]) == (
        2,
        "mac_roman",
        ["my Müller said that [MASK] slept."],
    )
    assert report["dropped"] == {**({"no_mask": filler} if filler else {}), "left_out": 1}
    assert session.data.rejected(handle, spec).count("\r\n") == filler + 2
    assert session.data.targets(handle, spec)["words"] == {"M": ["he"], "F": ["she"]}
    assert session.data.rows(handle, {**spec, "rows": {**kept, "encoding": "cp1252"}})["samples"][0].startswith("my MŸ")
    texts = session.data._kept("schön ist es.\n".encode("mac_roman"), ".txt", "mine.txt")
    found = session.data.neutral(handle, {**spec, "neutral": {**texts, "encoding": "mac_roman"}}, 0.9)
    assert (found["first"], found["encoding"], found["notes"]) == (["schön ist es."], "mac_roman", [])


def test_one_server_per_folder_and_public_servers_read_no_paths(tmp_path: Path) -> None:
    first = Session(tmp_path, public=True, default_source="demo")
    with pytest.raises(Busy, match="Another server"):
        Session(tmp_path, public=False, default_source="demo")
    with pytest.raises(NotAllowed):
        first.load("/etc", {})
    with pytest.raises(NotAllowed):
        first.load("demo", {"base_model": "/etc"})
    first._store.save_checkpoint("ck", "demo", {}, {})
    first._store.create_finished_run("ck", {}, {}, [])
    assert first.runs.newest()["runs"] == [], "nobody who holds no key is told of a sweep"
    for rows in ("/etc/passwd", {"path": "/etc/passwd"}, {"path": 5}, {}):
        with pytest.raises(NotAllowed, match="reads no paths"):
            first.start_sweep("ck", {"rows": rows})
    first.close()
    Session(tmp_path, public=False, default_source="demo").close()


def test_runs_survive_a_restart_as_interrupted(tmp_path: Path) -> None:
    session = Session.open(tmp_path)
    run = session.start_sweep(session.load("demo")["checkpoint"], SMALL)["run"]
    until(lambda: session.cells(run)["done"] >= 1)
    session.close()
    again = Session.open(tmp_path)
    try:
        before = again.cells(run)
        assert before["state"] == "interrupted" and before["done"] >= 1
        again.resume(run)
        assert finished(again, run)["done"] == 4
        with pytest.raises(NotFound):
            again.cells(run + "x")
    finally:
        again.close()
