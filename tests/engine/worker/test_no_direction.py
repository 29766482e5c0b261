"""A GRADIEND whose files tell no direction, through the worker: it is asked for, and both signs are swept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.answers.checkpoint import StoredCard
from gradiend_ui.engine.checkpoint.finished_grid import GRID_CACHE_FILE
from gradiend_ui.engine.selection.winner import select
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker.requests import (
    DescribeExport,
    DescribeRows,
    Load,
    OpenFinished,
    Reload,
    Rewriting,
    StartSweep,
)
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.server.answers import question_of
from tests.support.cases import case

ROWS = [{"masked": "a [MASK]", "label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F"}]
SPEC = {"learning_rates": [0.1, 1.0], "max_rows": 4}


@pytest.fixture
def collapsed(tmp_path: Path, rows: pd.DataFrame) -> Path:
    """The case as a run: model/ with its base named by path, eval.csv and neutral.csv."""
    run = tmp_path / "collapsed"
    shutil.copytree(case("gradiends/same_sign"), run / "model")
    config = json.loads((run / "model" / "config.json").read_text())
    config["metadata"]["base_model"] = str(case("bases/gpt2_tiny"))
    (run / "model" / "config.json").write_text(json.dumps(config))
    rows.to_csv(run / "eval.csv", index=False)
    pd.DataFrame({"text": ["It was late.", "The sun set over the old house."]}).to_csv(run / "neutral.csv", index=False)
    return run


def load(worker: Worker, folder: Path, **options: Any) -> StoredCard:
    return worker.answer(Load(str(folder), options))


def swept(worker: Worker, card: StoredCard, **spec: Any) -> Run:
    run = worker.answer(StartSweep(card["checkpoint"], AskedSweep.of({**SPEC, **spec})))["run"]
    while worker.step():
        pass
    return worker._store.run(run)


def signs_of(record: Run) -> list[float]:
    return list(record.info["feature_factors"])


def test_the_card_asks_and_says_why(worker: Worker, collapsed: Path) -> None:
    card = load(worker, collapsed)
    assert card["missing"] == ["direction"] and card["strengthening_feature_factor"] == {}
    assert card["classes"] == ["F", "M"] and card["presets"]["default"]["feature_factors"] == [-1.0, 1.0]
    (why,) = (item for item in card["assumed"] if item["what"].startswith("undirected"))
    assert why["what"] == "undirected_same_sign" and why["values"]["means"] == "M +0.352, F +0.431"
    assert why["sentence"] in card["warnings"] and why["sentence"] not in card["notes"]
    assert len(set(card["warnings"])) == len(card["warnings"]), "the plan of its rows says it again"
    (collapsed / "eval.csv").unlink()
    bare = load(worker, collapsed)
    assert bare["classes"] == ["F", "M"] and bare["missing"][:2] == ["direction", "rows"], "named by the file"


@pytest.mark.parametrize("goal", ["strengthen", "weaken", "both"])
def test_a_sweep_takes_both_signs_and_names_no_sign_after_a_class(worker: Worker, collapsed: Path, goal: str) -> None:
    record = swept(worker, load(worker, collapsed), goal=goal)
    assert signs_of(record) == [-1.0, 1.0] and record.info["strengthening"] == {}
    assert any("have the same sign" in text for text in record.info["warnings"])
    scores = worker._store.cells(record.id)[1]
    for name in ("M", "F"):
        question = question_of(record, {"target_class": name})
        assert all(question.considers(Cell(sign, 0.1)) for sign in (-1.0, 1.0))
        chosen = select(question, scores[0], scores[1:])
        assert not chosen.direction_known
        assert chosen.why.endswith(f"The direction of {name} is not known: cells of every feature factor took part.")


def test_a_search_for_the_winner_looks_at_both_signs(worker: Worker, collapsed: Path) -> None:
    whole = swept(worker, load(worker, collapsed))
    found = swept(worker, load(worker, collapsed), winner_only=True, again=True)
    for name in ("M", "F"):
        question = question_of(whole, {"target_class": name})
        picked = []
        for record in (whole, found):
            scores = worker._store.cells(record.id)[1]
            chosen = select(question, scores[0], scores[1:])
            picked.append((chosen.feature_factor, chosen.learning_rate, round(chosen.value, 6)))
        assert picked[0] == picked[1]


def test_an_answer_gives_each_class_its_sign(worker: Worker, collapsed: Path) -> None:
    card = load(worker, collapsed)
    told = worker.answer(Reload(card["checkpoint"], {"towards": {"M": 1, "F": -1}}))
    assert told["missing"] == [] and told["strengthening_feature_factor"] == {"M": 1.0, "F": -1.0}
    assert [item["what"] for item in told["assumed"]] == ["direction_given"]
    assert not any("same sign" in text for text in told["warnings"]), "what was read off the files is no longer true"
    record = swept(worker, told, target_classes=["F"])
    assert signs_of(record) == [-1.0] and not any("same sign" in text for text in record.info["warnings"])
    same = load(worker, collapsed, encoding_direction={"M": 1, "F": 1})
    assert same["strengthening_feature_factor"] == {} and same["missing"] == ["direction"]
    assert same["assumed"][0]["what"] == "undirected_stated_same"
    assert signs_of(swept(worker, same)) == [-1.0, 1.0]


def test_one_known_class_keeps_its_sign_and_the_other_takes_both(worker: Worker, collapsed: Path) -> None:
    card = load(worker, collapsed, encoding_direction={"M": 1, "F": 0})
    assert card["strengthening_feature_factor"] == {"M": 1.0} and card["missing"] == ["direction"]
    assert card["classes"] == ["M", "F"]
    assert signs_of(swept(worker, card)) == [-1.0, 1.0]
    assert signs_of(swept(worker, card, target_classes=["M"])) == [1.0]
    assert signs_of(swept(worker, card, target_classes=["M"], goal="weaken")) == [-1.0]
    assert signs_of(swept(worker, card, target_classes=["F"])) == [-1.0, 1.0]


def test_a_finished_grid_is_opened_without_a_direction(worker: Worker, collapsed: Path) -> None:
    record = swept(worker, load(worker, collapsed))
    scores = worker._store.cells(record.id)[1]
    entries = [
        {
            "id": "base" if score.cell is None else score.cell.as_json(),
            "probs_by_dataset": score.probs_by_dataset,
            "lms": dict(score.lms),
        }
        for score in scores
    ]
    cache = {"part": "decoder", "split": "test", "max_size_training_like": 4, "max_size_neutral": None}
    axes = {"feature_factors": [-1.0, 1.0], "lrs": SPEC["learning_rates"], "results": entries}
    (collapsed / GRID_CACHE_FILE).write_text(json.dumps({**cache, **axes}))
    card = load(worker, collapsed)
    opened = worker.answer(OpenFinished(card["checkpoint"]))
    info = worker._store.run(opened["run"]).info
    assert opened["check"] == "verified", opened["note"]
    assert info["strengthening"] == {} and sorted(info["classes"]) == ["F", "M"]


def test_a_run_of_before_is_read_without_its_sign(worker: Worker, collapsed: Path) -> None:
    """Versions before this one kept {M: +1, F: +1} with such a run, and swept +1 only."""
    record = swept(worker, load(worker, collapsed), feature_factors=[1.0])
    worker._store.set_info(record.id, {**record.info, "strengthening": {"M": 1.0, "F": 1.0}})
    again = worker._store.run(record.id)
    assert question_of(again, {"target_class": "F"}).strengthening == {}
    whole = {**record.info, "strengthening": {"M": 1.0, "F": -1.0}}
    worker._store.set_info(record.id, whole)
    assert question_of(worker._store.run(record.id), {}).strengthening == {"M": 1.0, "F": -1.0}


def test_the_card_of_an_export_says_it(worker: Worker, collapsed: Path) -> None:
    record = swept(worker, load(worker, collapsed))
    told = worker.answer(DescribeExport(record.id, Rewriting(Cell(1.0, 0.1), "base"), "x"))
    assert "| direction of the classes | not known: The encoder's means at the best step have the same" in told["card"]
    given = load(worker, collapsed, encoding_direction={"M": 1, "F": -1})
    told = worker.answer(DescribeExport(swept(worker, given).id, Rewriting(Cell(1.0, 0.1), "base"), "x"))
    assert "direction of the classes" not in told["card"]


def test_an_interrupted_run_of_before_goes_on_without_its_sign(worker: Worker, collapsed: Path, tmp_path: Path) -> None:
    card, store = load(worker, collapsed), worker._store
    asked = AskedSweep.of({**SPEC, "feature_factors": [1.0]})
    run = worker.answer(StartSweep(card["checkpoint"], asked))["run"]
    worker.step()
    store.set_info(run, {**store.run(run).info, "strengthening": {"M": 1.0, "F": 1.0}})
    store.set_state(run, "interrupted", only_from=("running", "queued"))
    another = Worker(store, tmp_path / "data", tmp_path / "none")
    store.set_state(run, "queued", only_from=("interrupted",))
    while another.step():
        pass
    record, scores = store.run(run), store.cells(run)[1]
    assert record.state == "finished" and signs_of(record) == [1.0], "the cells that it was started with"
    chosen = select(question_of(record, {"target_class": "F"}), scores[0], scores[1:])
    assert not chosen.direction_known and chosen.feature_factor == 1.0


def test_classes_that_the_files_name_are_the_known_ones_whatever_their_direction(
    worker: Worker, collapsed: Path
) -> None:
    """The case class_case: its f and m were new classes, and every row was read by its own two words."""
    handle = load(worker, collapsed)["checkpoint"]
    asked = DataChoice.of({"rows": {"path": str(case("class_case.csv"))}})
    report = worker.answer(DescribeRows(handle, asked))
    assert (report["rows"], report["dropped"], report["classes"]) == (16, {"unknown_class": 16}, ["F", "M"])
    assert sorted(one["name"] for one in report["unknown_classes"]) == ["f", "m"]
    assert sorted(report["known_classes"]) == ["F", "M"]
    record = swept(worker, load(worker, collapsed), rows={"path": str(case("class_case.csv"))})
    assert record.info["classes"] == ["F", "M"] and not any("own two tokens" in one for one in record.info["warnings"])
    mapped = {"rows": {"path": str(case("class_case.csv"))}, "count_as": {"f": "F", "m": "M"}}
    assert worker.answer(DescribeRows(handle, DataChoice.of(mapped)))["rows"] == 32
    others = [{**row, "label_class": row["label_class"].lower(), "alternative_class": "x"} for row in ROWS]
    problem = worker.answer(DescribeRows(handle, DataChoice.of({"rows": others})))["problem"]
    assert problem is not None and "the checkpoint knows F, M" in problem
