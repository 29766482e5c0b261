"""The first look at every cell: what it takes, how near it comes, and that it changes no final number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.batches import cut, spread_blocks, spread_over
from gradiend_ui.engine.selection.winner import Question
from gradiend_ui.engine.sweep.order import MOST_SHARE, WholeGrid, first_blocks
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.provisional import Estimator
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import BASE_LMS, BatchLimits, Cell, CellScore
from tests.support.sweeps import MemoryStore


@pytest.fixture(scope="module")
def large(model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str]) -> PreparedSweep:
    """Rows and texts in many blocks."""
    every = pd.concat([rows.assign(split="test")] * 4, ignore_index=True)
    texts = [f"{text} {k % 7 * 'and so on '}" for k, text in enumerate(neutral_texts * 3)]
    spec = SweepSpec(learning_rates=(0.1, 1.0))
    return prepare(model, spec, read_rows(every), read_neutral(texts))


def steps(plan: PreparedSweep, first_look: str | None = None, store: MemoryStore | None = None) -> list[CellScore]:
    order = WholeGrid(plan, [0] * len(plan.cells), first_look)
    found = run(plan, plan.model.workspace(), store or MemoryStore(), "r", order=order)
    return [step.score for step in found]


def test_places_are_spread_evenly() -> None:
    assert spread_over(range(10), 0.1) == [5]
    assert spread_over(range(20, 60), 0.1) == [25, 35, 45, 55]
    assert spread_over(range(3), 0.1) == [1] and spread_over((), 0.1) == []


def test_blocks_hold_one_group_each_with_a_part_of_every_length_in_front() -> None:
    lengths = [5 + place % 37 for place in range(200)]
    groups = ["M" if place % 3 else "F" for place in range(200)]
    blocks = cut(lengths, groups, BatchLimits(rows=16, tokens=400))
    assert sorted(place for chunk in blocks.chunks for place in chunk) == list(range(200))
    assert all(len({groups[place] for place in chunk}) == 1 for chunk in blocks.chunks)
    assert all(len(chunk) <= 16 and len(chunk) * max(lengths[p] for p in chunk) <= 400 for chunk in blocks.chunks)
    seen = [place for number in blocks.first_look for place in blocks.chunks[number]]
    assert {groups[place] for place in seen} == {"M", "F"} and 14 <= len(seen) <= 16
    assert min(lengths[place] for place in seen) < 12 and max(lengths[place] for place in seen) > 35


def test_given_blocks_are_chosen_so_that_every_group_is_seen() -> None:
    assert spread_blocks([["M"]] * 10 + [["F"]] * 2) == (6, 10)
    assert spread_blocks([["M", "F"]] * 20) == (5, 15)
    assert spread_blocks([]) == ()


def test_limits_halve_down_to_one_row() -> None:
    limits: BatchLimits | None = BatchLimits()
    sizes = []
    while limits is not None:
        sizes.append(limits.rows)
        limits = limits.halved()
    assert sizes == [32, 16, 8, 4, 2, 1]


def test_a_first_look_is_a_small_part_with_every_dataset(large: PreparedSweep) -> None:
    chosen = first_blocks(large)
    sizes, row_blocks = large.block_sizes, large.objective.blocks
    assert chosen == tuple(sorted(set(chosen)))
    assert 0 < sum(sizes[block] for block in chosen) <= MOST_SHARE * sum(sizes)
    rows = [place for block in chosen if block < len(row_blocks) for place in row_blocks[block].rows]
    seen = {large.rows[place].label_class for place in rows}
    assert seen == {"M", "F"}
    assert any(block >= len(row_blocks) for block in chosen)


def test_every_cell_is_seen_before_any_is_finished(large: PreparedSweep) -> None:
    scores = [score for score in steps(large, first_look="float32") if score.cell is not None]
    first_final = next(k for k, score in enumerate(scores) if score.is_final)
    assert {score.cell for score in scores[:first_final]} == set(large.grid.cells)
    assert all(score.errors for score in scores if score.status == "provisional")
    assert not any(score.errors for score in scores if score.is_final)


def test_the_final_numbers_and_the_work_are_the_same(large: PreparedSweep) -> None:
    plain, looked = steps(large), steps(large, first_look="float32")
    assert len(plain) == len(large.cells) * len(large.block_sizes)
    assert len(looked) == len(plain) + len(large.grid.cells), "each cell is told once more when the base is known"
    finals = [{score.cell: score for score in found if score.is_final} for found in (plain, looked)]
    assert finals[0] == finals[1] and len(finals[0]) == len(large.cells)


def test_a_small_sweep_has_no_first_look(plan: PreparedSweep) -> None:
    spec = replace(plan.spec, max_rows=2, max_neutral=4)
    small = prepare(plan.model, spec, _data(plan), ["it was late.", "it rained."])
    assert first_blocks(small) == ()
    places = [score.cell for score in steps(small, first_look="float32")]
    assert places == [cell for cell in small.cells for _ in small.block_sizes]


def test_provisional_values_come_near_and_tell_how_near(large: PreparedSweep) -> None:
    scores = steps(large, first_look="float32")
    final = {score.cell: score for score in scores if score.is_final}
    question = Question(target_class="F", classes=("M", "F"), goal="strengthen", strengthening={"M": 1.0, "F": -1.0})
    misses = []
    for cell in large.grid.cells:
        looks = [score for score in scores if score.cell == cell and score.status == "provisional"]
        first = looks[len(first_blocks(large))]
        metric, error = question.metric(first), question.error(first)
        assert metric is not None and error is not None and first.lms_value is not None
        misses.append(abs(metric - question.metric(final[cell])) / max(error, 1e-4))  # type: ignore[operator]
        assert abs(first.lms_value - final[cell].lms_value) <= 4 * first.errors["lms"] + 0.02  # type: ignore[operator]
    assert np.median(misses) < 2, "the standard error says how far the value may move"


def test_learning_rate_zero_is_the_base_from_the_first_look_on(large: PreparedSweep) -> None:
    base = {b: large.score_block(large.model.base_model, b) for b in range(len(large.block_sizes))}
    part = {block: base[block] for block in first_blocks(large)}
    estimator = Estimator(large, "float32")
    estimator.learn(base)
    whole, found = large.summarise(None, base), estimator.score(Cell(1.0, 0.0), part)
    assert found.status == "provisional" and found.lms_value == pytest.approx(whole.lms_value)
    for dataset, row in whole.probs_by_dataset.items():
        assert found.probs_by_dataset[dataset] == pytest.approx(row)
    assert set(found.errors) == {"M|M", "M|F", "F|M", "F|F", "lms"}
    assert max(error for key, error in found.errors.items() if key != "lms") == 0
    assert 0 < found.errors["lms"] < 0.1, "no change among a few tokens does not prove that there is none"


def test_a_score_with_errors_survives_json(large: PreparedSweep) -> None:
    score = next(s for s in steps(large, first_look="float32") if s.cell is not None and s.errors)
    assert CellScore.from_json(score.to_json()) == score
    assert "errors" not in replace(score, errors={}).to_json()


def _data(plan: PreparedSweep) -> Any:
    return read_rows(
        pd.DataFrame(
            [
                (row.masked, row.label, row.label_class, row.alternative, row.alternative_class, "test")
                for row in plan.rows
            ],
            columns=["masked", "label", "label_class", "alternative", "alternative_class", "split"],
        )
    )


def test_a_first_look_tells_the_bases_lms_on_the_same_texts_until_the_base_is_known(large: PreparedSweep) -> None:
    scores = steps(large, first_look="float32")
    base_known = next(k for k, score in enumerate(scores) if score.cell is None and score.is_final)
    look = [s for s in scores[:base_known] if s.cell is not None and s.rows_done > 8 and s.lms]
    part = [s for s in scores[:base_known] if s.cell is None][len(first_blocks(large)) - 1]
    last = {score.cell: score for score in look}
    assert {score.lms[BASE_LMS] for score in last.values()} == {part.lms_value}
    assert not any(BASE_LMS in score.lms for score in scores[base_known:])
