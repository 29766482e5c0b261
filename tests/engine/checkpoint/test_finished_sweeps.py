"""A finished sweep beside a checkpoint: found, described, opened as it is, and never believed when it is stale."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.checkpoint.finished_grid import (
    GRID_CACHE_FILE,
    GridCache,
    describe,
    finished_sweeps,
    sweep_named,
    write_grid_cache,
)
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.errors import BadData, NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.winner import Question, select
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.finished_check import check
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.worker.requests import Compare, Export, Load, OpenFinished, Request, Rewriting
from gradiend_ui.engine.worker.worker import Worker

SPEC = SweepSpec(learning_rates=(0.1, 0.5), feature_factors=(-1.0, 1.0))
CELL = {"feature_factor": -1.0, "learning_rate": 0.5}
OpenedSweep = dict[str, Any]


def swept(folder: Path, rows: pd.DataFrame, texts: list[str], spec: SweepSpec) -> tuple[GridCache, PreparedSweep]:
    """The grid of `spec` as a file holds it, scored here."""
    model = ModelWithGradiend.from_pretrained(folder)
    splits = spec.split.split("_")
    plan = prepare(model, spec, read_rows(rows), read_neutral(texts), splits=splits if len(splits) > 1 else None)
    space = model.workspace()
    scores: list[CellScore] = []
    for cell in plan.cells:
        weights = space.base_model
        if cell is not None:
            weights = space.rewritten(model.update_vector(spec.part, cell.feature_factor), cell.learning_rate)
        scores.append(plan.summarise(cell, {b: plan.score_block(weights, b) for b in range(len(plan.block_sizes))}))
    asked = ("F", "M")
    grid = plan.grid
    settings = (spec.part, spec.split, spec.max_rows, spec.max_neutral, grid.feature_factors, grid.learning_rates)
    return GridCache(*settings, tuple(scores), "strengthen", asked), plan


@pytest.fixture
def make_run(
    build_checkpoint: Callable[..., Path], tmp_path: Path, rows: pd.DataFrame, neutral_texts: list[str]
) -> Callable[..., Path]:
    """make_run(spec) -> a run folder: model/, eval.csv, neutral.csv and the finished grid of `spec`."""

    def make(spec: SweepSpec = SPEC, *, fingerprint: bool = False) -> Path:
        run = tmp_path / "run"
        build_checkpoint(run / "model", "all")
        rows.to_csv(run / "eval.csv", index=False)
        pd.DataFrame({"text": neutral_texts}).to_csv(run / "neutral.csv", index=False)
        cache, plan = swept(run / "model", rows, neutral_texts, spec)
        cache = replace(cache, fingerprint=plan.fingerprint if fingerprint else None)
        write_grid_cache(run / GRID_CACHE_FILE, cache, ["M", "F"])
        return run

    return make


def new_worker(folder: Path, store: Store | None = None) -> tuple[Worker, Store]:
    store = store or Store(":memory:")
    return Worker(store, folder / "data", folder / "no demo"), store


def opened(run: Path) -> tuple[Worker, Store, OpenedSweep]:
    worker, store = new_worker(run.parent)
    card = worker.answer(Load(str(run), {}))
    return worker, store, worker.answer(OpenFinished(card["checkpoint"]))


# --- found and described -------------------------------------------------------------------------------------------


def test_it_is_found_beside_model_seeds_and_directly(make_run: Callable[..., Path]) -> None:
    run = make_run()
    seed = run / "seeds" / "seed_3"
    for folder in (run / "model", seed):
        (found,) = finished_sweeps(folder)[0]
        assert found.file == GRID_CACHE_FILE
    assert finished_sweeps(run / "elsewhere") == ((), ())
    (run / GRID_CACHE_FILE).rename(run / "model" / GRID_CACHE_FILE)
    (inside,) = finished_sweeps(run / "model")[0]
    assert inside.file == f"model/{GRID_CACHE_FILE}"
    assert describe(inside) == {
        "file": inside.file, "cells": 4, "part": "decoder", "split": "test", "goal": "strengthen",
        "classes": ["F", "M"], "feature_factors": [-1.0, 1.0], "learning_rates": [0.1, 0.5], "max_rows": None,
        "max_neutral": None, "written_by": "gradiend",
    }  # fmt: skip
    with pytest.raises(NotFound, match="there are: model/decoder_grid_cache.json"):
        sweep_named([inside], "other.json")
    with pytest.raises(NotFound, match="start a sweep"):
        sweep_named([])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("results", [], "no finished grid"), ("part", "encoder", "part 'encoder'"), ("lrs", "x", "no finished grid")],
)
def test_a_file_that_cannot_be_shown_is_a_warning_on_the_card(
    make_run: Callable[..., Path], field: str, value: object, words: str
) -> None:
    run = make_run()
    edit(run, lambda content: content.update({field: value}))
    found, warnings = finished_sweeps(run / "model")
    assert found == () and words in warnings[0]
    worker, _ = new_worker(run.parent)
    card = worker.answer(Load(str(run), {}))
    assert card["finished_sweeps"] == [] and warnings[0] in card["warnings"]


def edit(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((run / GRID_CACHE_FILE).read_text())
    change(content)
    (run / GRID_CACHE_FILE).write_text(json.dumps(content))


# --- opened --------------------------------------------------------------------------------------------------------


def test_it_opens_with_the_files_numbers_and_sweeps_nothing(make_run: Callable[..., Path]) -> None:
    run = make_run()
    written = finished_sweeps(run / "model")[0][0].cache
    worker, store, answer = opened(run)
    assert answer["check"] == "verified" and answer["cells"] == 4, answer["note"]
    record = store.run(answer["run"])
    assert (record.state, record.done, record.total) == ("finished", 4, 4) and not worker.step()
    scores = store.cells(answer["run"])[1]
    assert [(s.cell, s.probs_by_dataset, s.lms, s.status) for s in scores] == [
        (s.cell, s.probs_by_dataset, s.lms, "final") for s in written.scores
    ]
    info = record.info
    question = Question("F", tuple(info["classes"]), info["strengthening"])
    assert select(question, scores[0], scores[1:]) == select(question, written.base, written.scores[1:])
    assert info["classes"] == ["M", "F"] and info["neutral_set"] == "neutral" and info["rows"] == 42


def test_compare_and_export_work_for_its_cells(make_run: Callable[..., Path]) -> None:
    worker, _, answer = opened(make_run())
    texts = ["when mary came home , [MASK] said hello ."]
    both = worker.answer(Compare(answer["run"], (Cell.of(CELL),), tuple(texts)))
    assert set(both["texts"][0]["masks"][0]["cells"][0]["classes"]) == {"M", "F"}
    card = exported_card(worker, answer)
    assert "42 rows of split test, scores from decoder_grid_cache.json (verified)" in card and "P(F) on M rows" in card


def exported_card(worker: Worker, answer: OpenedSweep) -> str:
    with tempfile.TemporaryDirectory() as folder:
        request = Export(answer["run"], Rewriting(Cell.of(CELL)), str(Path(folder) / "model"))
        return (Path(worker.answer(request)) / "README.md").read_text(encoding="utf-8")


def test_a_cell_that_overflowed_or_is_absent_says_so(make_run: Callable[..., Path]) -> None:
    run = make_run()

    def break_cells(content: dict[str, Any]) -> None:
        content["results"][4]["probs_by_dataset"]["M"]["F"] = float("nan")
        del content["results"][3]

    edit(run, break_cells)
    _, store, answer = opened(run)
    assert [s.status for s in store.cells(answer["run"])[1]] == ["final", "final", "final", "skipped", "failed"]


# --- believed or not -----------------------------------------------------------------------------------------------


def scale_decoder(run: Path) -> None:
    file = run / "model" / "model.safetensors"
    tensors = load_file(file)
    tensors["decoder.0.linear.weight"] = tensors["decoder.0.linear.weight"] * 1.1
    save_file(tensors, file)


def change_a_row(run: Path) -> None:
    table = pd.read_csv(run / "eval.csv")
    place = table.index[table["split"] == "test"][0]
    table.loc[place, "masked"] = "the nurse said that [MASK] would read the letter ."
    table.to_csv(run / "eval.csv", index=False)


def change_the_texts(run: Path) -> None:
    pd.DataFrame({"text": ["the old town hall was quiet ."] * 9}).to_csv(run / "neutral.csv", index=False)


def change_the_part(run: Path) -> None:
    edit(run, lambda content: content.update(part="decoder-weight"))


def drop_half_the_rows(run: Path) -> None:
    table = pd.read_csv(run / "eval.csv")
    table[table["split"] != "test"].to_csv(run / "eval.csv", index=False)


@pytest.mark.parametrize("fingerprint", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (scale_decoder, " rows of ("),
        (change_a_row, " rows of the base is "),
        (change_the_texts, "the LMS of the base is "),
        (change_the_part, " rows of ("),
    ],
)
def test_what_makes_it_stale_is_noticed_and_said(
    make_run: Callable[..., Path], change: Callable[[Path], None], words: str, fingerprint: bool
) -> None:
    run = make_run(fingerprint=fingerprint)
    change(run)
    worker, store, answer = opened(run)
    assert answer["check"] == "differs" and words in answer["note"] and answer["note"].endswith(" now" + ending(words))
    assert store.run(answer["run"]).info["imported"]["check"] == "differs"
    card = exported_card(worker, answer)
    assert "Not measured for exactly these weights" in card and "P(F) on M rows" not in card


def ending(words: str) -> str:
    return ", with every neutral set that lies beside it." if "LMS" in words else "."


def test_other_targets_are_noticed(make_run: Callable[..., Path]) -> None:
    _, _, answer = opened(make_run(replace(SPEC, targets={"M": ["he", "john"], "F": ["she", "mary"]})))
    assert answer["check"] == "differs" and " there, " in answer["note"]


def test_a_fingerprint_of_ours_needs_no_scoring(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(fingerprint=True)
    model = ModelWithGradiend.from_pretrained(run)
    worker, _ = new_worker(run.parent)
    loaded = worker._resources.read_checkpoint(str(run), {})
    sweep = finished_sweeps(run / "model")[0][0]

    def refuse(*_: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr(PreparedSweep, "score_block", refuse)
    found = check(sweep, model, model.workspace(), loaded.companions)
    assert found.state == "verified" and "equal fingerprints" in found.sentence
    with pytest.raises(AssertionError, match="scored again"):
        other = replace(sweep, cache=replace(sweep.cache, fingerprint="other"))
        check(other, model, model.workspace(), loaded.companions)


def test_two_splits_and_caps_are_understood(make_run: Callable[..., Path]) -> None:
    _, store, answer = opened(make_run(replace(SPEC, split="train_test", max_rows=9, max_neutral=20)))
    assert answer["check"] == "verified", answer["note"]
    assert store.run(answer["run"]).info["rows"] == 18


def test_without_the_neutral_texts_only_the_probabilities_are_checked(make_run: Callable[..., Path]) -> None:
    run = make_run()
    (run / "neutral.csv").unlink()
    _, store, answer = opened(run)
    assert answer["check"] == "partly" and "The LMS could not be checked" in answer["note"]
    assert store.run(answer["run"]).info["neutral_tokens"] is None


def test_without_rows_it_opens_unchecked_and_still_exports(make_run: Callable[..., Path]) -> None:
    run = make_run()
    (run / "eval.csv").unlink()
    worker, _, answer = opened(run)
    assert answer["check"] == "unchecked" and "could not be checked" in answer["note"]
    with pytest.raises(BadData, match=r"put eval\.csv"):
        worker.answer(Compare(answer["run"], (Cell.of(CELL),), ("[MASK] ran .",)))
    assert "rows of split test, scores from decoder_grid_cache.json (unchecked)" in exported_card(worker, answer)


def test_rows_of_another_split_leave_it_unchecked(make_run: Callable[..., Path]) -> None:
    run = make_run()
    drop_half_the_rows(run)
    _, _, answer = opened(run)
    assert answer["check"] == "unchecked" and "No row of split 'test'" in answer["note"]


def test_an_opened_run_is_not_mixed_with_a_checkpoint_that_changed_later(make_run: Callable[..., Path]) -> None:
    run = make_run()
    _, store, answer = opened(run)
    scale_decoder(run)
    later, _ = new_worker(run.parent, store)
    run, cell = answer["run"], Cell.of(CELL)
    asked: tuple[Request[Any], ...] = (Export(run, Rewriting(cell), ""), Compare(run, (cell,), ("[MASK] ran .",)))
    for request in asked:
        with pytest.raises(BadData, match="changed since decoder_grid_cache.json was opened"):
            later.answer(request)
