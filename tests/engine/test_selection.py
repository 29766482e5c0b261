"""Selection is a pure function of the grid, and says why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gradiend_ui.engine.errors import BadGrid, NotFound
from gradiend_ui.engine.picture import picture_of
from gradiend_ui.engine.selection import (
    BaseContext,
    Candidate,
    LMSThresholdPolicy,
    LMSTimesMetricPolicy,
    Question,
    SelectionPolicy,
    policy_named,
    select,
    strengthening_feature_factors,
)
from gradiend_ui.engine.values import Cell, CellScore, Grid

CLASSES = ("M", "F")
FACTORS = {"M": 1.0, "F": -1.0}


def score(cell: Cell | None, p: float, lms: float, own: float = 0.5, status: str = "final") -> CellScore:
    """P(F) on M rows is `p`, P(F) on F rows `own`."""
    probs = {"M": {"F": p, "M": 1 - p}, "F": {"F": own, "M": 1 - own}}
    return CellScore(cell, status, probs, {"lms": lms, "hits": lms * 200, "total": 200.0}, 4, 4)  # type: ignore[arg-type]


BASE = score(None, 0.1, 0.40)


def question(policy: SelectionPolicy | None = None, goal: str = "strengthen", any_factor: bool = False) -> Question:
    return Question("F", CLASSES, FACTORS, goal, policy or LMSThresholdPolicy(), any_factor)


def test_the_largest_metric_above_the_threshold_wins() -> None:
    cells = [score(Cell(-1, 0.1), 0.3, 0.40), score(Cell(-1, 0.2), 0.5, 0.397), score(Cell(-1, 0.5), 0.9, 0.30)]
    chosen = select(question(), BASE, cells)
    assert (chosen.feature_factor, chosen.learning_rate, chosen.value) == (-1, 0.2, 0.5)
    assert chosen.runner_up is not None and chosen.runner_up["learning_rate"] == 0.1
    assert chosen.rejected is not None and chosen.rejected["learning_rate"] == 0.5
    assert not chosen.fallback and chosen.threshold_tokens == 0.8
    assert chosen.why == (
        "(-1, 0.2) wins: P(F) 0.5, base 0.1; LMS 0.993 of base. (-1, 0.5) has 0.9 but LMS 0.750 < 0.99."
    )


def test_exactly_at_the_threshold_passes() -> None:
    chosen = select(question(LMSThresholdPolicy(0.5)), BASE, [score(Cell(-1, 1), 0.9, 0.2)])
    assert not chosen.fallback


def test_a_fallback_is_the_smallest_step_and_says_so() -> None:
    cells = [score(Cell(-1, 0.0), 0.1, 0.1), score(Cell(-1, -0.5), 0.3, 0.1), score(Cell(-1, 2), 0.9, 0.1)]
    chosen = select(question(), BASE, cells)
    assert chosen.fallback and chosen.learning_rate == -0.5
    assert "fallback" in chosen.why and "0.99" in chosen.why


def test_ties_go_to_the_first_cell() -> None:
    cells = [score(Cell(-1, lr), 0.5, 0.4) for lr in (5, 0.1, 1)]
    assert select(question(), BASE, cells).learning_rate == 0.1
    assert select(question(LMSTimesMetricPolicy()), BASE, cells).learning_rate == 0.1


def test_times_metric_weighs_the_damage() -> None:
    cells = [score(Cell(-1, 0.1), 0.5, 0.4), score(Cell(-1, 1), 0.9, 0.1)]
    assert select(question(LMSTimesMetricPolicy()), BASE, cells).learning_rate == 0.1
    assert select(question(LMSTimesMetricPolicy()), BASE, cells).threshold_tokens is None


def test_feature_factors_decide_who_competes() -> None:
    cells = [score(Cell(-1, 1), 0.2, 0.4, own=0.9), score(Cell(1, 1), 0.8, 0.4, own=0.1), score(Cell(0.5, 1), 0.9, 0.4)]
    assert select(question(), BASE, cells).feature_factor == -1
    assert select(question(any_factor=True), BASE, cells).feature_factor == 0.5
    weaken = select(question(goal="weaken"), BASE, cells)
    assert (
        weaken.feature_factor == 1 and weaken.value == pytest.approx(0.9) and weaken.probability == pytest.approx(0.1)
    )
    with pytest.raises(NotFound, match="feature factor -1"):
        select(question(), BASE, cells[1:])


def test_unfinished_and_broken_cells_do_not_compete() -> None:
    cells = [
        score(Cell(-1, 1), 0.9, 0.4, status="provisional"),
        score(Cell(-1, 2), float("nan"), 0.4),
        score(Cell(-1, 5), 0.2, 0.4),
    ]
    assert select(question(), BASE, cells).learning_rate == 5
    with pytest.raises(NotFound, match="not scored yet"):
        select(question(), score(None, 0.1, 0.4, status="provisional"), cells)
    with pytest.raises(NotFound, match="finished yet"):
        select(question(), BASE, cells[:1])


def test_any_object_with_select_is_a_policy() -> None:
    class Last:
        def select(self, metric: str, candidates: Sequence[Candidate], context: BaseContext) -> Candidate | None:
            assert metric == "F" and context.base_lms == 0.4 and "F" in candidates[0].metrics
            return candidates[-1]

    cells = [score(Cell(-1, lr), 0.5, 0.4) for lr in (1, 2)]
    assert select(question(Last()), BASE, cells).learning_rate == 2


def test_names_and_ranges_are_checked() -> None:
    with pytest.raises(BadGrid, match="policy"):
        policy_named("best")
    with pytest.raises(BadGrid, match="ratio"):
        policy_named("lms_threshold", float("nan"))
    with pytest.raises(BadGrid, match="target_class"):
        Question("X", CLASSES, FACTORS)
    with pytest.raises(BadGrid, match="goal"):
        Question("F", CLASSES, FACTORS, goal="both")


def test_which_sign_strengthens() -> None:
    assert strengthening_feature_factors({"M": 1, "F": -1}, "alternative") == {"M": 1, "F": -1}
    for source in ("factual", "diff"):
        assert strengthening_feature_factors({"M": 1, "F": -1}, source) == {"M": -1, "F": 1}


def test_a_picture_has_every_table_in_grid_order() -> None:
    grid = Grid((-1, 1), (0.1, 0.2, 0.3))
    cells = [score(Cell(-1, 0.1), 0.3, 0.4), score(Cell(1, 0.3), 0.7, 0.2)]
    picture = picture_of(question(), grid, BASE, cells)
    assert picture["metric"] == [[0.3, None, None], [None, None, 0.7]]
    assert picture["passes"] == [[True, None, None], [None, None, False]]
    assert picture["lms_ratio"][1][2] == pytest.approx(0.5)
    assert picture["status"][0] == ["final", "pending", "pending"]
    assert picture["by_dataset"]["M"]["F"] == picture["metric"]
    assert picture["metric_label"] == "P(F) on M rows"
    assert picture["selection"]["learning_rate"] == 0.1
    empty = picture_of(question(), grid, CellScore(None), [])
    assert empty["selection"] is None and empty["base"] is None
