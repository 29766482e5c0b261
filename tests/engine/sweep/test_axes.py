"""The axes of a grid: typed lists and ranges, what a goal needs, a closer look around a winner."""

from __future__ import annotations

import math

import pytest

from gradiend_ui.engine.errors import BadGrid, TooLarge
from gradiend_ui.engine.selection.winner import goal_feature_factors
from gradiend_ui.engine.sweep.axes import (
    fine_axes,
    quick_axes,
    range_text,
    range_values,
    read_axis,
    spelled,
)
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, MAX_CELLS

RATES = "learning rates"
FACTORS = {"M": 1.0, "F": -1.0}


def test_a_list_is_sorted_counts_each_once_and_tells_what_was_given_twice() -> None:
    axis = read_axis("0.2; 0.1, 0.1\n\u22121 -1, 0", RATES)
    assert axis.values == (-1.0, 0.0, 0.1, 0.2)
    assert axis.repeated == (-1.0, 0.1)
    zero = read_axis("-0.0, 0", RATES)
    assert zero.values == (0.0,) and zero.repeated == (0.0,) and math.copysign(1, zero.values[0]) == 1


def test_a_logarithmic_range_has_exact_ends_and_short_numbers_between() -> None:
    values = read_axis("0.01:1:9 log", RATES).values
    assert values == (0.01, 0.0177828, 0.0316228, 0.0562341, 0.1, 0.177828, 0.316228, 0.562341, 1.0)
    assert read_axis(" -1 : -0.01 : 3 logarithmic ", RATES).values == (-1.0, -0.1, -0.01)


def test_an_even_range_meets_zero_exactly() -> None:
    assert read_axis("-2:2:9", RATES).values == (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
    assert read_axis("-0.3:0.3:7 lin", RATES).values == (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
    assert read_axis("1:-1:3, 0, 5", RATES).values == (-1.0, 0.0, 1.0, 5.0)
    assert read_axis("1:-1:3, 0, 5", RATES).repeated == (0.0,)


def test_rounding_never_loses_a_number() -> None:
    values = range_values(1.0, 1.00001, 100, False)
    assert len(set(values)) == 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.1, x", "'x' among the learning rates is not a number"),
        ("inf", "not a finite number"),
        ("nan", "not a finite number"),
        ("1e999", "not a finite number"),
        (" , ", "is empty"),
        ("1:2", "is not a range"),
        ("1:2:x", "is not a range"),
        ("1:2:-3", "is not a range"),
        ("1:2:²", "is not a range"),
        ("1:2:3 cubic", "is not a range"),
        ("1:2:3:4", "is not a range"),
        ("a:2:3", "'a' among the learning rates"),
        (":2:3", "'' among the learning rates"),
        ("1:2:1", "at least 2"),
        ("1:1:3", "two different ends"),
        ("-1:1:5 log", "cross zero"),
        ("0:1:5 log", "cross zero"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(BadGrid, match=words.replace("(", r"\(")):
        read_axis(text, RATES)


@pytest.mark.parametrize("text", [f"0:1:{MAX_CELLS + 1}", "0:1:99999999999999999999", f"0:1:{MAX_CELLS}, 2, 3"])
def test_too_many_are_refused_before_they_are_built(text: str) -> None:
    with pytest.raises(TooLarge, match="at most 10,000"):
        read_axis(text, RATES)


def test_what_is_spelled_is_read_again_exactly() -> None:
    for values in (DEFAULT_LEARNING_RATES, (-1.0, 0.0, 1e-05, 0.1 + 0.2, 1 / 3)):
        assert read_axis(spelled(values), RATES).values == tuple(sorted(values))
    assert spelled([0.05, 1.0]) == "0.05, 1"
    text = range_text(0.01, 1.0, 9, True)
    assert text == "0.01:1:9 log"
    assert read_axis(text, RATES).values == range_values(0.01, 1.0, 9, True)


def test_a_goal_asks_for_its_feature_factors() -> None:
    assert goal_feature_factors(FACTORS, "strengthen", ["F"]) == (-1.0,)
    assert goal_feature_factors(FACTORS, "weaken", ["F"]) == (1.0,)
    assert goal_feature_factors(FACTORS, "both", ["F"]) == (-1.0, 1.0)
    three = {"a": 1.0, "b": -1.0, "c": 0.5}
    assert goal_feature_factors(three, "weaken", ["a"]) == (-1.0, 0.5)
    assert quick_axes(FACTORS, "weaken", "F")[0] == (1.0,)


def test_fine_lies_around_the_winner_and_keeps_what_is_known() -> None:
    factors, rates = fine_axes(-1.0, 0.2, (0.1, 0.2, 0.5))
    assert factors == (-1.5, -1.0, -0.5)
    assert len(rates) == 9 and {0.1, 0.2, 0.5} <= set(rates)
    assert (rates[0], rates[4], rates[-1]) == (0.1, 0.2, 0.5)
    steps = [high / low for low, high in zip(rates[:4], rates[1:5], strict=True)]
    assert max(steps) / min(steps) < 1.02


@pytest.mark.parametrize(
    ("rate", "axis", "ends"),
    [
        (0.5, (0.1, 0.5), (0.1, 2.5)),
        (0.1, (0.1, 0.5), (0.02, 0.5)),
        (0.2, (0.2,), (0.1, 0.4)),
        (-0.2, (-0.2,), (-0.4, -0.1)),
        (0.0, (0.0,), (-0.01, 0.01)),
        (0.1, (0.0, 0.1), (0.0, 0.2)),
        (0.0, (-0.5, 0.0, 0.1), (-0.5, 0.1)),
        (-0.1, (-0.5, -0.1), (-0.5, -0.02)),
    ],
)
def test_fine_reaches_to_the_neighbours_also_at_the_ends(
    rate: float, axis: tuple[float, ...], ends: tuple[float, float]
) -> None:
    rates = fine_axes(1.0, rate, axis)[1]
    assert (rates[0], rates[-1]) == ends
    assert rate in rates and len(rates) == 9
    assert list(rates) == sorted(rates)


def test_a_winner_without_a_direction_is_looked_at_on_its_own_row() -> None:
    assert fine_axes(0.0, 0.1, (0.05, 0.1))[0] == (0.0,)
