"""The search for the winner finds what the whole grid would, with less work; on made-up numbers and on a model."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import EvalRow, read_rows
from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.scoring.lms_likelihood import CausalLms
from gradiend_ui.engine.scoring.lms_masked import MaskedLms
from gradiend_ui.engine.scoring.lms_measure import Results
from gradiend_ui.engine.scoring.objectives.probabilities import RowBlock
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy
from gradiend_ui.engine.selection.winner import Question, select
from gradiend_ui.engine.sweep.order import WinnerSearch, read_dataset
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import BatchLimits, Cell, CellScore, Grid
from tests.support.sweeps import MemoryStore

CLASSES = ("M", "F")
FACTORS = {"M": 1.0, "F": -1.0}


@dataclass
class MadeUpRows:
    """P(class) of every row under every cell, drawn beforehand; the "weights" of a cell are its place."""

    blocks: tuple[RowBlock, ...]
    first_look: tuple[int, ...]
    table: NDArray[np.float64]  # (places, rows, classes)
    name: str = "mlm_mask_token"
    classes: tuple[str, ...] = CLASSES

    def score(self, place: int, block: RowBlock) -> torch.Tensor:
        return torch.from_numpy(self.table[place, list(block.rows)])


class MadeUpTexts(MaskedLms):
    """Masked tokens that are right (id 1) or not (id 0) under every cell, drawn beforehand."""

    def __init__(self, hits: NDArray[np.int32], texts_per_block: int) -> None:
        count = hits.shape[1]
        self._hits = hits
        self._places = [list(range(k, min(k + texts_per_block, count))) for k in range(0, count, texts_per_block)]
        self._truth = [[1] * len(places) for places in self._places]
        self._spelling = {0: "wrong", 1: "right"}
        self.block_texts = tuple(len(places) for places in self._places)
        self.first_look = (len(self._places) // 2,)

    def score(self, place: int, block: int) -> NDArray[np.int32]:
        return self._hits[place, self._places[block]]

    def most_said(self, results: Results) -> None:
        return None


class MadeUpLikelihood(CausalLms):
    """The negative log-likelihood of texts under every cell, drawn beforehand; five tokens in each."""

    def __init__(self, nll: NDArray[np.float64], texts_per_block: int) -> None:
        count = nll.shape[1]
        self._nll = nll
        self._places = [list(range(k, min(k + texts_per_block, count))) for k in range(0, count, texts_per_block)]
        self._wanted = [torch.ones(5 * len(places)) for places in self._places]
        self.block_texts = tuple(len(places) for places in self._places)
        self.first_look = (len(self._places) // 2,)

    def score(self, place: int, block: int) -> NDArray[np.float64]:
        own = self._nll[place, self._places[block]]
        return np.stack([own, np.full(len(own), 5.0)], axis=1)

    def most_said(self, results: Results) -> None:
        return None


class MadeUpWorkspace:
    """Where a cell's place stands for its weights."""

    def __init__(self, cells: tuple[Cell | None, ...]) -> None:
        self.base_model = 0
        self._cells = cells

    def rewritten(self, update: float, learning_rate: float) -> int:
        return self._cells.index(Cell(update, learning_rate))

    def in_precision(self, _precision: str) -> MadeUpWorkspace:
        return self


class MadeUpModel:
    fingerprint = former_fingerprint = "f"

    def update_vector(self, _part: str, feature_factor: float) -> float:
        return feature_factor


def made_up(seed: int) -> PreparedSweep:
    """A grid whose numbers are drawn: coarse, so that ties are common; sometimes with broken cells or a base of 0."""
    draw = random.Random(seed)
    numbers = np.random.default_rng(seed)
    grid = Grid(
        tuple(draw.sample([-1.0, 1.0, 0.5], draw.choice([1, 2, 3]))),
        tuple(sorted(draw.sample(RATES, draw.randint(1, 8)))),
    )
    places, rows, tokens = len(grid) + 1, draw.randint(4, 30), draw.randint(3, 40)
    labels = [draw.choice(CLASSES) for _ in range(rows - 2)] + list(CLASSES)
    levels = draw.choice([2, 4, 50])
    level = numbers.integers(0, levels + 1, size=(places, 1, 1)) / levels
    noise = numbers.random((places, rows, 2)) * draw.choice([0.0, 0.2])
    table = np.clip(level + noise - noise.mean(), 0.0, 1.0)
    if draw.random() < 0.2:
        table[numbers.integers(1, places), numbers.integers(0, rows), numbers.integers(0, 2)] = np.nan
    damage = numbers.choice([0.0, 0.0, 0.1, 0.5, 1.0], size=(places, 1))
    damage[0] = draw.choice([0.0, 0.5, 1.0] if draw.random() < 0.2 else [0.0, 0.3])
    if draw.random() < 0.5:
        lms: Any = MadeUpTexts((numbers.random((places, tokens)) >= damage).astype(np.int32), draw.randint(1, 6))
    else:
        nll = numbers.random((places, tokens)) * draw.choice([0.0, 1.0]) + 1.0 + 3 * damage
        if draw.random() < 0.2:
            nll[numbers.integers(1, places), numbers.integers(0, tokens)] = draw.choice([np.nan, np.inf])
        lms = MadeUpLikelihood(nll, draw.randint(1, 6))
    blocks = cut([5] * rows, labels, BatchLimits(rows=draw.randint(1, 8)))
    objective = MadeUpRows(tuple(RowBlock(tuple(chunk), ()) for chunk in blocks.chunks), blocks.first_look, table)
    data = tuple(
        EvalRow(k, "[MASK]", "he", name, "she", "F" if name == "M" else "M", "test") for k, name in enumerate(labels)
    )
    goal: Any = draw.choice(["strengthen", "weaken", "both"])
    ratio = draw.choice([0.99, 0.99, 0.9, 0.5, 0.0, 1.2])
    spec = SweepSpec(goal=goal, winner_only=True, winner_ratio=ratio)
    targets = ClassTargets(CLASSES, {"M": ("he",), "F": ("she",)})
    model: Any = MadeUpModel()
    return PreparedSweep(model, spec, grid, data, targets, objective, lms, {}, ())


RATES = [0.0, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, -0.1]


def questions_of(plan: PreparedSweep) -> list[Question]:
    goals = ("strengthen", "weaken") if plan.spec.goal == "both" else (plan.spec.goal,)
    policy = LMSThresholdPolicy(plan.spec.winner_ratio)
    return [Question(name, CLASSES, FACTORS, goal, policy) for goal in goals for name in CLASSES]


def scored(plan: PreparedSweep, workspace: Any, order: Any = None) -> tuple[list[CellScore], int]:
    """(the last score of each place, how many blocks were scored)."""
    last: dict[int, CellScore] = {}
    store = MemoryStore()
    for step in run(plan, workspace, store, "r", order=order):
        last[step.place] = step.score
    return [last[place] for place in range(len(plan.cells))], sum(store.block_counts(plan.fingerprint).values())


def answers(plan: PreparedSweep, scores: list[CellScore]) -> list[Any]:
    found: list[Any] = []
    for question in questions_of(plan):
        try:
            chosen = select(question, scores[0], scores[1:])
            found.append((chosen.feature_factor, chosen.learning_rate, chosen.value, chosen.lms, chosen.fallback))
        except NotFound:
            found.append(None)
    return found


def test_the_winner_is_that_of_the_whole_grid_on_hundreds_of_grids() -> None:
    saved = answered = fallbacks = 0
    for seed in range(200):
        plan = made_up(seed)
        workspace = MadeUpWorkspace(plan.cells)
        whole, all_blocks = scored(plan, workspace)
        search = WinnerSearch(plan, questions_of(plan), plan.spec.winner_ratio)
        quick, blocks = scored(plan, workspace, search)
        expected = answers(plan, whole)
        assert answers(plan, quick) == expected, f"seed {seed}"
        assert blocks <= all_blocks
        for one, other in zip(quick, whole, strict=True):
            assert one.status in ("skipped", "failed") or one.to_json() == other.to_json(), "what is final is the same"
            assert (one.status == "skipped") == (one.reason is not None and one.status != "failed")
        saved += blocks < all_blocks
        answered += any(expected)
        fallbacks += any(found and found[4] for found in expected)
    assert saved > 130 and answered > 160 and fallbacks > 14, (saved, answered, fallbacks)


def test_wanted_cells_are_finished_too() -> None:
    plan = made_up(3)
    workspace = MadeUpWorkspace(plan.cells)
    before, _ = scored(plan, workspace, WinnerSearch(plan, questions_of(plan), 0.99))
    wanted = next(place for place, score in enumerate(before) if score.status == "skipped")
    after, _ = scored(plan, workspace, WinnerSearch(plan, questions_of(plan), 0.99, lambda: [wanted]))
    assert after[wanted].is_final and after[wanted].rows_done == after[wanted].rows_total


def test_a_question_that_no_row_answers_asks_for_nothing() -> None:
    plan = made_up(5)
    assert read_dataset(plan, Question("F", CLASSES, FACTORS)) == "M"
    assert read_dataset(plan, Question("F", CLASSES, FACTORS, "weaken")) == "F"
    assert read_dataset(plan, Question("M", ("M",), FACTORS)) is None


def test_on_a_model_the_winner_is_the_same_and_cells_are_skipped_with_a_reason(
    model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str]
) -> None:
    spec = SweepSpec(learning_rates=(0.001, 0.01, 0.1, 1.0, 10.0, 100.0), winner_only=True)
    plan = prepare(model, spec, read_rows(rows), read_neutral(neutral_texts))
    whole, all_blocks = scored(plan, model.workspace())
    quick, blocks = scored(plan, model.workspace(), WinnerSearch(plan, questions_of(plan), 0.99))
    assert answers(plan, quick) == answers(plan, whole) != [None, None]
    skipped = [score for score in quick if score.status == "skipped"]
    assert blocks < 0.8 * all_blocks and len(skipped) > 3
    assert all(score.reason and score.reason.startswith(("Cannot win: ", "Its feature factor")) for score in skipped)


def test_bounds_close_in_on_the_lms() -> None:
    plan = made_up(8)
    lms = plan.lms
    known: Mapping[int, Any] = {}
    width = 2.0
    for block in range(len(lms.block_texts)):
        known = {**known, block: lms.score(1, block)}  # type: ignore[arg-type]
        least, most = lms.bounds(known)
        assert least <= most and most - least <= width
        width = most - least
    assert least == most == pytest.approx(lms.summarise(known)["lms"])
