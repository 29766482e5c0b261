"""A run folder that the reference made, opened without sweeping and without any data of ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.checkpoint.companions import recover
from gradiend_ui.engine.selection.winner import Question, select
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker.requests import Compare, Load, OpenFinished
from gradiend_ui.engine.worker.worker import Worker
from tests.parity.reference import Reference

RATES = [0.01, 0.1, 0.5]
OpenedSweep = tuple[Worker, Store, dict[str, Any], dict[str, Any]]
MakeRun = Callable[..., tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def make_run(
    reference: Reference, model_folder: Path, tiny_bert: Path, rows: pd.DataFrame, neutral_texts: list[str]
) -> MakeRun:
    """make_run(name, calls, ...) -> the folder of a run of the reference, and its last grid."""

    def make(name: str, calls: list[dict[str, Any]], *, encode: bool = True, **arguments: Any) -> Any:
        folder = model_folder / f"run-{name}"
        answer = reference.ask(
            "experiment",
            base=str(tiny_bert),
            out=str(folder),
            rows=rows.to_dict("records"),
            neutral=neutral_texts,
            arguments=arguments,
            calls=[{"lrs": RATES, **call} for call in calls],
            encode=encode,
        )
        return folder, answer

    return make


@pytest.fixture(scope="module")
def finished(make_run: MakeRun) -> tuple[Path, dict[str, Any]]:
    return make_run("alternative", [{}], source="alternative")


def opened(run: Path, data: Path) -> OpenedSweep:
    store = Store(":memory:")
    worker = Worker(store, data, data)
    card = worker.answer(Load(str(run), {}))
    return worker, store, card, worker.answer(OpenFinished(card["checkpoint"]))


def compare(worker: Worker, run: str) -> dict[str, Any]:
    cell = {"feature_factor": -1.0, "learning_rate": 0.1}
    answer = worker.answer(Compare(run, (Cell.of(cell),), ("john said that [MASK] was tired .",)))
    classes: dict[str, Any] = answer["texts"][0]["masks"][0]["cells"][0]["classes"]
    return classes


def test_it_opens_with_identical_numbers_and_is_verified(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run, theirs = finished
    worker, store, card, answer = opened(run, tmp_path)
    assert card["finished_sweeps"][0]["cells"] == 6 and card["finished_sweeps"][0]["written_by"] == "gradiend"
    assert answer["check"] == "verified", answer["note"]
    scores = store.cells(answer["run"])[1]
    grid = {tuple(key) if isinstance(key, list) else None: cell for key, cell in theirs["grid"]}
    assert len(scores) == len(grid) == 7
    for score in scores:
        cell = grid[None if score.cell is None else (score.cell.feature_factor, score.cell.learning_rate)]
        assert score.probs_by_dataset == cell["probs_by_dataset"] and score.lms == cell["lms"]
    info = store.run(answer["run"]).info
    for name in ("M", "F"):
        chosen = select(Question(name, tuple(info["classes"]), info["strengthening"]), scores[0], scores[1:])
        summary = theirs["summary"][name]
        assert (chosen.value, chosen.lms) == (summary["value"], summary["lms"])
        assert (chosen.feature_factor, chosen.learning_rate) == (summary["feature_factor"], summary["learning_rate"])
    assert set(compare(worker, answer["run"])) == {"M", "F"} and not worker.step()


def test_rows_of_the_csv_are_the_rows_of_the_data(
    finished: tuple[Path, dict[str, Any]], make_run: MakeRun, rows: pd.DataFrame
) -> None:
    wanted = sorted(rows[rows["split"] == "test"].itertuples(index=False, name=None))
    for run, _ in (finished, make_run("factual", [], source="factual")):
        found, warnings = recover(run)
        assert found is not None and warnings[0].startswith(
            "42 rows and 40 neutral texts recovered from encoded_values"
        )
        assert wanted == sorted(
            (r.masked, r.label, r.label_class, r.alternative, r.alternative_class, r.split) for r in found.rows.rows
        )


def test_a_training_in_place_is_noticed(
    finished: tuple[Path, dict[str, Any]], make_run: MakeRun, tmp_path: Path
) -> None:
    run = tmp_path / "again"
    shutil.copytree(finished[0], run)
    trained, _ = make_run("other", [], encode=False, source="alternative", seed=7, learning_rate=3e-3)
    shutil.rmtree(run / "model")
    shutil.copytree(trained / "model", run / "model")
    _, _, _, answer = opened(run, tmp_path)
    assert answer["check"] == "differs" and " there, " in answer["note"], answer["note"]


def test_another_part_is_noticed(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run = tmp_path / "part"
    shutil.copytree(finished[0], run)
    file = run / "decoder_grid_cache.json"
    file.write_text(file.read_text().replace('"part": "decoder"', '"part": "decoder-weight"'))
    _, _, card, answer = opened(run, tmp_path)
    assert card["finished_sweeps"][0]["part"] == "decoder-weight"
    assert answer["check"] == "differs" and " there, " in answer["note"], answer["note"]


def test_a_changed_row_is_noticed(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    run = tmp_path / "changed"
    shutil.copytree(finished[0], run)
    (table,) = run.glob("encoded_values*.csv")
    frame = pd.read_csv(table)
    place = frame.index[frame["type"] == "training"][0]
    frame.loc[place, "template"] = "the secretary said that [MASK] would wash the coat ."
    frame.to_csv(table, index=False)
    _, _, _, answer = opened(run, tmp_path)
    assert answer["check"] == "differs" and "rows of the base is" in answer["note"]
    assert "recovered from the csv are not all" in answer["note"]
