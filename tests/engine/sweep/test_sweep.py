"""The sweep can be left anywhere and taken up again; the base never changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.plan import PreparedSweep, default_feature_factors, prepare
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.weights.workspace import Workspace
from tests.support.sweeps import MemoryStore, finals


def test_every_cell_ends_final_and_progress_counts_down(plan: PreparedSweep) -> None:
    steps = list(run(plan, plan.model.workspace(), MemoryStore(), "r"))
    assert len(steps) == len(plan.cells) * len(plan.block_sizes)
    assert steps[0].place == 0 and steps[0].score.status == "provisional"
    last = {step.place: step.score for step in steps}
    assert all(score.status == "final" and score.rows_done == score.rows_total for score in last.values())
    assert steps[-1].eta_seconds == 0.0


def test_learning_rate_zero_scores_as_the_base(
    model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str]
) -> None:
    spec = SweepSpec(learning_rates=(0.0,), feature_factors=(1.0,))
    scores = finals(prepare(model, spec, read_rows(rows), read_neutral(neutral_texts[:20])))
    base, cell = scores[None], scores[Cell(1, 0)]
    assert cell.probs_by_dataset == base.probs_by_dataset and cell.lms == base.lms


def test_a_sweep_equals_the_rewritten_model(plan: PreparedSweep) -> None:
    """Bit for bit with plain products, to the sixth digit with packed ones."""
    plain = Workspace(plan.model.base_model, plan.model.mapped, plain=True)
    scores = {step.score.cell: step.score for step in run(plan, plain, MemoryStore(), "r")}
    packed = finals(plan)
    for cell in (Cell(-1, 0.1), Cell(1, 1.0)):
        rewritten = plan.model.rewrite_base_model(cell.learning_rate, cell.feature_factor)
        direct = plan.summarise(cell, {b: plan.score_block(rewritten, b) for b in range(len(plan.block_sizes))})
        assert direct == scores[cell] and direct.lms == packed[cell].lms
        for dataset, row in direct.probs_by_dataset.items():
            assert packed[cell].probs_by_dataset[dataset] == pytest.approx(row, abs=1e-6)


def test_the_base_is_bit_equal_after_a_sweep_an_exception_and_a_stop(plan: PreparedSweep) -> None:
    before = {name: tensor.clone() for name, tensor in plan.model.base_model.state_dict().items()}

    def unchanged() -> bool:
        after = plan.model.base_model.state_dict()
        return all(torch.equal(after[name], before[name]) for name in before)

    finals(plan)
    assert unchanged()
    stopped = run(plan, plan.model.workspace(), MemoryStore(), "r")
    list(islice(stopped, 9))
    stopped.close()
    assert unchanged()

    class FullDisk(MemoryStore):
        def commit(self, *args: Any, **options: Any) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        list(run(plan, plan.model.workspace(), FullDisk(), "r"))
    assert unchanged()


def test_a_sweep_resumes_block_by_block_and_bit_identically(plan: PreparedSweep, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    run_id = store.create_run("ck", {}, {}, plan.grid.cells)
    blocks = len(plan.block_sizes)
    list(islice(run(plan, plan.model.workspace(), store, run_id), 2 * blocks + 1))  # two cells and one block
    counted: list[int] = []
    scorer = plan.score_block

    class Counting(PreparedSweep):
        def score_block(self, weights: Any, block: int) -> Any:
            counted.append(block)
            return scorer(weights, block)

    again = Counting(**{name: getattr(plan, name) for name in PreparedSweep.__dataclass_fields__})
    list(run(again, plan.model.workspace(), store, run_id))
    assert len(counted) == (len(plan.cells) - 2) * blocks - 1
    fresh = finals(plan)
    assert {score.cell: score for score in store.cells(run_id)[1]} == fresh
    other = store.create_run("ck", {}, {}, plan.grid.cells)
    assert len(list(run(plan, plan.model.workspace(), store, other))) == len(plan.cells)  # shared, nothing computed
    counted.clear()
    third = store.create_run("ck", {}, {}, plan.grid.cells)
    list(run(again, plan.model.workspace(), store, third, reuse=False))
    assert len(counted) == len(plan.cells) * blocks


def test_the_same_sweep_twice_is_bit_identical(plan: PreparedSweep) -> None:
    assert finals(plan) == finals(plan)


@pytest.mark.parametrize(
    "change",
    [
        {"part": "decoder-weight"},
        {"targets": {"M": ("he",), "F": ("she",)}},
        {"max_rows": 5},
        {"max_neutral": 7},
        {"split": "validation"},
    ],
)
def test_every_ingredient_changes_the_fingerprint(
    model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str], change: dict[str, Any]
) -> None:
    spec = SweepSpec(learning_rates=(0.1,))
    data, neutral = read_rows(rows), read_neutral(neutral_texts[:40])
    first = prepare(model, spec, data, neutral).fingerprint
    assert prepare(model, replace(spec, learning_rates=(0.2,)), data, neutral).fingerprint == first
    assert prepare(model, replace(spec, **change), data, neutral).fingerprint != first
    assert prepare(model, spec, data, None).fingerprint != first


def test_broken_numbers_make_a_failed_cell(plan: PreparedSweep) -> None:
    results = {b: plan.score_block(plan.model.base_model, b) for b in range(len(plan.block_sizes))}
    results[0] = results[0] * float("nan")
    score = plan.summarise(Cell(1, 1), results)
    assert score.status == "failed" and score.reason


def test_default_feature_factors_follow_the_goal(model: ModelWithGradiend) -> None:
    assert default_feature_factors(model, ("M", "F"), "strengthen", ("F",)) == (-1.0,)
    assert default_feature_factors(model, ("M", "F"), "weaken", ("F",)) == (1.0,)
    assert default_feature_factors(model, ("M", "F"), "both", ("F",)) == (-1.0, 1.0)
    assert default_feature_factors(model, ("M", "X"), "strengthen", ("X",)) == (-1.0, 1.0), "not known: both signs"
    assert default_feature_factors(model, ("M", "X"), "weaken", ("M",)) == (-1.0,), "the opposite of its own"


def test_warnings_say_what_was_assumed(model: ModelWithGradiend, rows: pd.DataFrame) -> None:
    plan = prepare(model, SweepSpec(learning_rates=(0.1,), targets="label"), read_rows(rows), None)
    assert any("No neutral texts" in sentence for sentence in plan.warnings)
    assert any("its own two tokens" in sentence for sentence in plan.warnings)


def test_a_pace_tells_less_and_keeps_everything(plan: PreparedSweep) -> None:
    ticks = iter(range(10**6))
    told, quiet = MemoryStore(), MemoryStore()
    every = list(run(plan, plan.model.workspace(), told, "r"))
    paced = list(run(plan, plan.model.workspace(), quiet, "r", pace=1e9, clock=lambda: float(next(ticks))))
    assert len(paced) == len(every), "each block gives way to requests"
    scores = [step.score for step in paced if step.score is not None]
    assert [score.cell for score in scores] == [None, *plan.cells], "the first block, then finished cells only"
    assert scores[1:] == [step.score for step in every if step.score is not None and step.score.is_final]
    assert quiet.block_counts(plan.fingerprint) == told.block_counts(plan.fingerprint)
