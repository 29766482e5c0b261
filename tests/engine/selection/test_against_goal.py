"""Winners that do the opposite of the goal: chosen as ever, and said to be none."""

from __future__ import annotations

import pytest

from gradiend_ui.engine.selection.winner import Question, select, winners_of
from gradiend_ui.engine.values import Cell, CellScore

pytestmark = pytest.mark.quick
FACTORS = {"M": -1.0, "F": 1.0}


def score(cell: Cell | None, p: float, lms: float = 0.4) -> CellScore:
    return CellScore(cell, "final", {name: {"M": p, "F": 1 - p} for name in "MF"}, {"lms": lms})


BASE = score(None, 0.0466)


@pytest.mark.parametrize(
    ("goal", "p", "said"),
    [
        ("strengthen", 0.045, "No cell of the grid that may win strengthens M: this one says M less than the base"),
        ("weaken", 0.05, "No cell of the grid that may win weakens M: this one says M more than the base"),
    ],
)
def test_the_choice_stays_and_why_says_that_no_cell_does_it(goal: str, p: float, said: str) -> None:
    factor = -1.0 if goal == "strengthen" else 1.0
    worse = score(Cell(factor, 0.2), 0.04 if goal == "strengthen" else 0.06)
    question = Question("M", ("M", "F"), FACTORS, goal)
    chosen = select(question, BASE, [score(Cell(factor, 0.1), p), worse])
    assert chosen.learning_rate == 0.1 and not chosen.fallback, "the reference's choice"
    assert chosen.against_goal and not chosen.others_gain and said in chosen.why
    told = next(w for w in winners_of(question, BASE, [score(Cell(factor, 0.1), p), worse]) if w["goal"] == goal)
    assert told["against_goal"]


def test_cells_that_do_it_and_lose_the_language_are_told_apart() -> None:
    question = Question("M", ("M", "F"), FACTORS)
    chosen = select(question, BASE, [score(Cell(-1.0, 0.1), 0.045), score(Cell(-1.0, 5.0), 0.9, 0.1)])
    assert chosen.against_goal and chosen.others_gain
    assert "No cell of the grid that strengthens M and keeps the LMS" not in chosen.why
    assert "No cell of the grid strengthens M and keeps the LMS: this one says M less" in chosen.why


def test_a_winner_that_does_it_says_nothing_of_the_kind() -> None:
    chosen = select(Question("M", ("M", "F"), FACTORS), BASE, [score(Cell(-1.0, 0.1), 0.5)])
    assert not chosen.against_goal and "No cell" not in chosen.why
    same = select(Question("M", ("M", "F"), FACTORS), BASE, [score(Cell(-1.0, 0.1), 0.0466)])
    assert not same.against_goal, "as the base is not the opposite"
