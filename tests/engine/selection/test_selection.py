"""Selection is a pure function of the grid, and says why."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from gradiend_ui.engine.errors import BadGrid, NotFound
from gradiend_ui.engine.selection.picture import picture_of
from gradiend_ui.engine.selection.policies import (
    BaseContext,
    Candidate,
    LMSThresholdPolicy,
    LMSTimesMetricPolicy,
    SelectionPolicy,
    policy_named,
)
from gradiend_ui.engine.selection.winner import (
    Question,
    select,
    strengthening_feature_factors,
    winners_of,
    winning_feature_factors,
)
from gradiend_ui.engine.selection.winner_facts import facts_of, shown_below, threshold_of
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


def counted(cell: Cell | None, p: float, hits: int, total: int = 200) -> CellScore:
    lms = {"lms": hits / total, "hits": float(hits), "total": float(total)}
    return CellScore(cell, "final", {"M": {"F": p, "M": 1 - p}, "F": {"F": p, "M": 1 - p}}, lms, 4, 4)


def smallest_change(asked: Question, base: CellScore, cells: Sequence[CellScore]) -> int | None:
    """By trying: the fewest tokens predicted differently in one cell that give another answer."""
    first = select(asked, base, cells)
    total = int(base.lms["total"])
    for tokens in range(1, total + 1):
        for place, cell in enumerate(cells):
            assert cell.cell is not None
            for hits in (int(cell.lms["hits"]) + tokens, int(cell.lms["hits"]) - tokens):
                if not 0 <= hits <= total:
                    continue
                changed = [*cells]
                lms = {"lms": hits / total, "hits": float(hits), "total": float(total)}
                changed[place] = replace(cell, lms=lms)
                now = select(asked, base, changed)
                if (now.feature_factor, now.learning_rate, now.fallback) != (
                    first.feature_factor,
                    first.learning_rate,
                    first.fallback,
                ):
                    return tokens
    return None


def test_one_token_decides() -> None:
    base = counted(None, 0.1, 100)  # 99 hits pass
    held = [counted(Cell(-1, 0.1), 0.3, 101), counted(Cell(-1, 0.5), 0.9, 98)]
    chosen = select(question(), base, held)
    assert (chosen.decided_by_tokens, chosen.threshold_tokens) == (1, 1.0)
    assert chosen.decision == "A threshold of 0.99 is 1.0 masked tokens wide here; 1 token decides the winner."
    assert select(question(), base, [held[0], counted(Cell(-1, 0.5), 0.9, 90)]).decided_by_tokens == 3
    assert select(question(), base, [counted(Cell(-1, 0.1), 0.3, 99)]).decided_by_tokens == 1
    lone = select(question(LMSThresholdPolicy(0.0)), base, held)
    assert lone.decided_by_tokens is None and "no number of tokens" in str(lone.decision)


def test_a_rejected_cell_that_is_no_better_decides_nothing() -> None:
    base = counted(None, 0.1, 100)
    worse = [counted(Cell(-1, 0.1), 0.3, 110), counted(Cell(-1, 0.5), 0.2, 98)]
    assert select(question(), base, worse).decided_by_tokens == 12
    equal_later = [counted(Cell(-1, 0.1), 0.3, 110), counted(Cell(-1, 0.5), 0.3, 98)]
    assert select(question(), base, equal_later).decided_by_tokens == 12
    equal_first = [counted(Cell(-1, 0.1), 0.3, 98), counted(Cell(-1, 0.5), 0.3, 110)]
    assert select(question(), base, equal_first).decided_by_tokens == 1


def test_a_fallback_is_decided_by_the_cell_nearest_to_the_threshold() -> None:
    base = counted(None, 0.1, 100)
    cells = [counted(Cell(-1, 0.1), 0.3, 90), counted(Cell(-1, 0.5), 0.2, 96)]
    chosen = select(question(), base, cells)
    assert chosen.fallback and chosen.decided_by_tokens == 3


def test_deciding_tokens_agree_with_trying_every_number() -> None:
    draw = random.Random(7)
    answers: set[int | None] = set()
    for _ in range(300):
        total = draw.choice([7, 20, 33])
        base = counted(None, 0.1, draw.randint(0, total), total)
        ratio = draw.choice([0.0, 0.5, 0.9, 0.95, 0.99, 1.0, 1.1, 2.0])
        rates = [0.1, 0.2, 0.5, 1.0][: draw.randint(1, 4)]
        cells = [
            counted(Cell(factor, rate), draw.choice([0.1, 0.2, 0.3, 0.4]), draw.randint(0, total), total)
            for factor in (-1.0, 1.0)
            for rate in rates
        ]
        asked = question(LMSThresholdPolicy(ratio), draw.choice(["strengthen", "weaken"]), draw.random() < 0.3)
        expected = smallest_change(asked, base, cells)
        assert select(asked, base, cells).decided_by_tokens == expected
        answers.add(expected)
    assert {None, 1, 2, 3} <= answers


@pytest.mark.parametrize(("total", "hits", "exact", "tokens"), [(1234, 900, 891, 2), (1000, 900, 891, 1)])
def test_the_threshold_compares_as_the_policy_does(total: int, hits: int, exact: int, tokens: int) -> None:
    """0.99 x 900 hits is 891 on paper. Out of 1,234 the floats say that 891 fails, and the floats count."""
    assert Fraction(99, 100) * hits == exact
    assert LMSThresholdPolicy().passes(exact / total, hits / total) == (tokens == 1)
    cells = [counted(Cell(-1, 0.1), 0.3, hits, total), counted(Cell(-1, 0.5), 0.9, exact - 1, total)]
    assert select(question(), counted(None, 0.1, hits, total), cells).decided_by_tokens == tokens


def test_without_hits_or_threshold_no_tokens_decide() -> None:
    causal = [replace(score(Cell(-1, 0.1), 0.3, 0.4), lms={"lms": 0.4})]
    chosen = select(question(), replace(BASE, lms={"lms": 0.4}), causal)
    assert (chosen.threshold_tokens, chosen.decided_by_tokens, chosen.decision) == (None, None, None)
    times = select(question(LMSTimesMetricPolicy()), counted(None, 0.1, 100), [counted(Cell(-1, 0.1), 0.3, 99)])
    assert (times.decided_by_tokens, times.decision) == (None, None)


def test_which_rows_can_win() -> None:
    rows = (-1.0, 0.0, 1.0)
    assert winning_feature_factors(question(), rows) == (True, False, False)
    assert winning_feature_factors(question(goal="weaken"), rows) == (False, False, True)
    assert winning_feature_factors(question(any_factor=True), rows) == (True, True, True)
    assert picture_of(question(), Grid(rows, (0.1,)), BASE, [])["can_win"] == [True, False, False]


def test_every_class_and_goal_has_its_winner() -> None:
    cells = [score(Cell(-1, 0.1), 0.3, 0.4, own=0.9), score(Cell(1, 0.2), 0.05, 0.2, own=0.1)]
    winners = winners_of(question(), BASE, cells)
    assert [(w["target_class"], w["goal"], w["feature_factor"], w["fallback"]) for w in winners] == [
        ("M", "strengthen", 1.0, True),
        ("M", "weaken", -1.0, False),
        ("F", "strengthen", -1.0, False),
        ("F", "weaken", 1.0, True),
    ]
    assert winners[2]["value"] == 0.3 and winners[2]["lms_ratio"] == 1.0 and winners[3]["lms_ratio"] == 0.5
    assert [w["goal"] for w in winners_of(question(), BASE, cells[:1])] == ["weaken", "strengthen"]
    assert winners_of(question(), CellScore(None), cells) == []
    assert picture_of(question(), Grid((-1, 1), (0.1, 0.2)), BASE, cells)["winners"] == winners


def test_a_share_below_the_threshold_looks_smaller_than_it() -> None:
    assert shown_below(0.973, 0.99) == "0.973"
    assert shown_below(0.98968, 0.99) == "0.9897"
    assert shown_below(0.9899996, 0.99) == "0.9899996"


def test_a_winner_without_a_step_is_called_the_base_model() -> None:
    chosen = select(question(), BASE, [score(Cell(-1, 0), 0.1, 0.40), score(Cell(-1, 0.5), 0.05, 0.40)])
    assert chosen.why == "(-1, 0) is the base model itself: no cell that may win is better than its P(F) 0.1."


def test_the_facts_of_a_winner_are_one_reading_of_its_selection() -> None:
    cells = [score(Cell(-1, 0.1), 0.3, 0.40), score(Cell(-1, 0.2), 0.5, 0.42), score(Cell(-1, 0.5), 0.9, 0.30)]
    won = facts_of(select(question(), BASE, cells).to_json(), threshold_of(LMSThresholdPolicy()))
    assert (won.learning_rate, won.value, won.base_value) == (0.2, 0.5, 0.1)
    assert (won.lms, won.base_lms, won.lms_ratio) == (0.42, 0.40, 0.42 / 0.40)
    assert (won.probability, won.base_probability, won.threshold) == (0.5, 0.1, 0.99)
    assert won.runner_up is not None and (won.runner_up.learning_rate, won.runner_up.lms_ratio) == (0.1, 1.0)
    assert won.rejected is not None and won.rejected.lms_ratio == 0.30 / 0.40
    assert won.turned_down == (won.rejected, "0.750") and not won.is_base and not won.fallback


def test_what_a_rejected_cell_keeps_is_told_only_where_the_lms_decided() -> None:
    cells = [score(Cell(-1, 0.2), 0.5, 0.42), score(Cell(-1, 0.5), 0.9, 0.30)]
    chosen = select(question(), BASE, cells).to_json()
    assert threshold_of(LMSTimesMetricPolicy()) is None
    assert facts_of(chosen, None).turned_down is None
    nothing = facts_of({**chosen, "base_lms": 0.0}, 0.99)
    assert nothing.lms_ratio is None and nothing.turned_down is None
