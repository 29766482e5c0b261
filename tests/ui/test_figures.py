"""Payloads of the plots and numbers as people read them."""

from __future__ import annotations

import json
import math

import pytest

from gradiend_ui.figures.maps import build_empty_maps, build_maps, place_of
from gradiend_ui.figures.numbers import big, cell_name, change, clock, percent, probability, signed, three_digits
from gradiend_ui.figures.row_chart import build_row_chart


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.71234, "0.712"), (12.34, "12.3"), (1.0, "1.00"), (123.4, "123"), (0, "0"), (None, "–"), (math.nan, "–")],
)
def test_three_digits(value: float | None, text: str) -> None:
    assert three_digits(value) == text


def test_small_numbers_keep_their_size() -> None:
    assert three_digits(-0.00012) == "−1.2e−4"
    assert probability(0.0001) == "<0.001"


def test_signs_and_names() -> None:
    assert signed(1.0) == "+1"
    assert change(-0.25) == "−0.250"
    assert change(-0.0001) == "0.000"
    assert cell_name(-1.0, 0.2) == "(−1, 0.2)"


def test_counts_and_durations() -> None:
    assert big(4_732_456) == "4.73 M"
    assert percent(0.0502) == "5.02 %"
    assert [clock(seconds) for seconds in (72, 3723, None)] == ["1:12", "1:02:03", "–"]


def test_maps_hold_every_number_and_the_best_cell(make_picture) -> None:
    payload = build_maps(make_picture(), "run-1")
    assert [item["name"] for item in payload["maps"]] == ["metric", "lms"]
    assert payload["maps"][0]["values"][0] == [0.47, 0.71, 0.76]
    assert payload["maps"][0]["base"] == 0.11
    assert payload["best"] == [0, 1]
    assert {item["label"] for item in payload["details"]} >= {"LMS", "P(F) on M rows", "P(M) on F rows"}
    json.dumps(payload, allow_nan=False)


def test_colours_end_at_a_round_number(make_picture) -> None:
    assert build_maps(make_picture(), "r")["maps"][0]["stops"] == [0.0, 1.0]
    small = make_picture(metric=[[0.011, 0.02, None], [None, None, None]])
    assert build_maps(small, "r")["maps"][0]["stops"] == [0.0, 0.02]


def test_numbers_that_are_not_finite_are_left_out(make_picture) -> None:
    broken = make_picture(metric=[[math.nan, math.inf, 0.1], [None, None, None]])
    assert build_maps(broken, "r")["maps"][0]["values"][0] == [None, None, 0.1]


def test_the_empty_grid_is_sorted_and_pending() -> None:
    payload = build_empty_maps([1.0, -1.0], [0.2, 0.1], "P(F)")
    assert (payload["rows"], payload["columns"]) == ([-1.0, 1.0], [0.1, 0.2])
    assert payload["status"] == [["pending"] * 2] * 2
    assert payload["best"] is None


def test_a_cell_outside_the_grid_has_no_place(make_picture) -> None:
    assert place_of(make_picture(), {"feature_factor": 3.0, "learning_rate": 0.2}) is None


def test_the_row_chart_shows_the_class_on_every_dataset_and_the_lms(make_picture) -> None:
    chart = build_row_chart(make_picture(), "F", {"feature_factor": -1.0, "learning_rate": 0.2}, 0.99)
    assert [(line["name"], line["kind"]) for line in chart["lines"]] == [
        ("P(F) on M rows", "target"),
        ("P(F) on F rows", "other"),
        ("LMS / base", "kept"),
    ]
    assert (chart["row"], chart["column"], chart["threshold"]) == (0, 1, 0.99)
    assert chart["lines"][0]["base"] == 0.11


def test_the_row_chart_without_a_cell_shows_the_first_row(make_picture) -> None:
    chart = build_row_chart(make_picture(), "F", None, None)
    assert (chart["row"], chart["column"]) == (0, None)
