"""Payloads of the plots and numbers as people read them."""

from __future__ import annotations

import json
import math

import pytest

from gradiend_ui.figures.heatmap import (
    Marks,
    Measure,
    build_maps,
    build_row_chart,
    change_limit,
    empty_picture,
    place_of,
    probability_top,
)
from gradiend_ui.figures.numbers import big, cell_name, change, clock, percent, probability, signed, three_digits
from gradiend_ui.ui.grid.measures import SHOWS, Board, board_of, row_lines
from gradiend_ui.ui.kit.words import Words


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


def measures(picture: dict, options: dict, shows: str = "") -> Board:
    return board_of(picture, options, shows, Words("en"))


def payload_of(picture: dict, options: dict, shows: str = "", **changes: object) -> dict:
    board = measures(picture, options, shows)
    return build_maps(picture, "run-1", board.maps, board.details, matrix=board.matrix, **changes)


def test_maps_hold_every_number_once_and_the_best_cell(make_picture, options) -> None:
    payload = payload_of(make_picture(), options)
    assert [item["name"] for item in payload["maps"]] == ["metric", "lms"]
    assert payload["tables"][payload["maps"][0]["table"]][0] == [0.47, 0.71, 0.76]
    assert payload["maps"][0]["base"] == 0.11
    assert payload["best"] == [0, 1]
    assert {item["label"] for item in payload["details"]} >= {"LMS", "P(F) on M rows", "P(M) on F rows"}
    assert payload["maps"][0]["table"] in {item["table"] for item in payload["details"]}, "sent twice"
    assert all(item["tip"] for item in payload["maps"])
    json.dumps(payload, allow_nan=False)


def test_what_the_page_holds_is_not_sent_again(make_picture, options) -> None:
    whole = payload_of(make_picture(), options)
    assert not whole["held"] and whole["tables_version"] == f"run-1:{make_picture()['rev']}"
    light = payload_of(make_picture(), options, held=whole["tables_version"])
    assert light["held"] and light["tables"] == {} and "status" not in light
    assert {key: light[key] for key in ("maps", "details", "passes", "best")} == {
        key: whole[key] for key in ("maps", "details", "passes", "best")
    }
    change = payload_of(make_picture(), options, "change", held=whole["tables_version"])
    assert list(change["tables"]) == ["change"], "the page has none of another question's numbers"
    weaken = payload_of(make_picture(), {**options, "goal": "weaken"}, held=whole["tables_version"])
    assert list(weaken["tables"]) == ["metric"]


def test_a_page_that_holds_another_ground_gets_everything(make_picture, options) -> None:
    whole, rev = payload_of(make_picture(), options), make_picture()["rev"]
    for held in ("", f"run-1:{rev + 1}", f"run-2:{rev}"):
        assert payload_of(make_picture(), options, held=held) == whole
    board = measures(make_picture(), options)
    assert build_maps(make_picture(), "", board.maps, board.details, held="")["held"] is False


def test_the_maps_show_what_is_asked_for(make_picture, options) -> None:
    titles = {shows: [item.title for item in measures(make_picture(), options, shows).maps] for shows in SHOWS}
    assert titles["other"] == ["P(F) on M rows", "LMS / base"]
    assert titles["own"] == ["P(F) on F rows", "LMS / base"]
    assert titles["change"] == ["P(F) on M rows, change against base", "LMS / base"]
    assert titles["all"] == [*(f"P({c}) on {d} rows" for c in "MF" for d in "MF"), "LMS / base"]
    assert measures(make_picture(), options, "all").matrix == 2


def test_without_a_choice_the_goal_decides_which_rows_are_shown(make_picture, options) -> None:
    assert measures(make_picture(), options).shows == "other"
    weaken = measures(make_picture(metric=[[0.2] * 3] * 2), {**options, "goal": "weaken"})
    assert (weaken.shows, weaken.maps[0].title) == ("own", "1 − P(F) on F rows")
    assert weaken.maps[0].values == [[0.2] * 3] * 2


def test_a_change_is_the_value_minus_the_base_and_diverges_around_zero(make_picture, options) -> None:
    payload = payload_of(make_picture(), options, "change")
    values = payload["tables"]["change"]
    assert values[0] == [pytest.approx(x - 0.11, abs=1e-6) for x in (0.47, 0.71, 0.76)]
    assert values[1][1:] == [None, None]
    low, middle, high = payload["maps"][0]["stops"]
    assert (low, middle) == (-high, 0.0) and payload["maps"][0]["ramp"] == "change"


def test_one_outlier_does_not_decide_the_colours() -> None:
    values = [[0.01 * k / 99 for k in range(100)]]
    assert change_limit(values) == (0.0098, True)
    assert change_limit([[*values[0], -5.0]])[0] < 0.011
    assert change_limit([[*values[0], -5.0]])[1] is True
    assert change_limit([[0.1, -0.31, 0.31, 0.31]]) == (0.31, False)
    assert change_limit([[None, 0.0]]) == (1.0, False)
    assert change_limit([[0.0] * 99 + [0.5]]) == (0.5, False), "one change among none is not hidden"
    assert probability_top([[0.011] * 99 + [0.9]]) == (0.02, True)


def test_small_multiples_have_one_scale(make_picture, options) -> None:
    picture = make_picture()
    picture["by_dataset"]["M"]["M"] = [[0.001] * 3] * 2
    stops = {tuple(item["stops"]) for item in payload_of(picture, options, "all")["maps"][:4]}
    assert stops == {(0.0, 1.0)}


def test_colours_end_at_a_round_number() -> None:
    assert probability_top([[0.47, 0.71, 0.76], [0.09, None, None]]) == (1.0, False)
    assert probability_top([[0.011, 0.02, None]]) == (0.02, False)


def test_a_class_without_rows_has_an_empty_map(make_picture, options) -> None:
    picture = make_picture(by_dataset={"M": make_picture()["by_dataset"]["M"]})
    own = measures(picture, options, "own").maps[0]
    assert own.values == [[None] * 3] * 2


def test_numbers_that_are_not_finite_are_left_out(make_picture, options) -> None:
    picture = make_picture()
    picture["by_dataset"]["M"]["F"] = picture["metric"] = [[math.nan, math.inf, 0.1], [None, None, None]]
    assert payload_of(picture, options)["tables"]["F|M"][0] == [None, None, 0.1]


def test_rows_that_cannot_win_and_pinned_cells_are_in_the_payload(make_picture, options) -> None:
    marks = Marks(pinned=((1.0, 0.5), (7.0, 0.5)), cannot="cannot win for F")
    payload = payload_of(make_picture(can_win=[True, False]), options, marks=marks)
    assert (payload["can_win"], payload["cannot"], payload["pinned"]) == ([True, False], "cannot win for F", [[1, 2]])
    assert payload_of(make_picture(), options)["can_win"] == [True, True]


def test_the_empty_grid_is_sorted_and_pending() -> None:
    picture = empty_picture([1.0, -1.0], [0.2, 0.1])
    assert (picture["feature_factors"], picture["learning_rates"]) == ([-1.0, 1.0], [0.1, 0.2])
    assert picture["status"] == [["pending"] * 2] * 2
    payload = build_maps(picture, "", [Measure("metric", "P(F)", "probability", picture["metric"], None)])
    assert payload["best"] is None and payload["maps"][0]["stops"] == [0.0, 1.0]


def test_a_cell_outside_the_grid_has_no_place(make_picture) -> None:
    assert place_of(make_picture(), {"feature_factor": 3.0, "learning_rate": 0.2}) is None


def test_the_row_chart_shows_the_class_on_every_dataset_and_the_lms(make_picture, options) -> None:
    lines = row_lines(make_picture(), options, Words("en"))
    chart = build_row_chart(make_picture(), lines, {"feature_factor": -1.0, "learning_rate": 0.2}, 0.99)
    assert [(line["name"], line["kind"]) for line in chart["lines"]] == [
        ("P(F) on M rows", "target"),
        ("P(F) on F rows", "other"),
        ("LMS / base", "kept"),
    ]
    assert (chart["row"], chart["column"], chart["threshold"]) == (0, 1, 0.99)
    assert chart["lines"][0]["base"] == 0.11
    assert all(line["tip"] for line in chart["lines"])


def test_the_row_chart_leads_with_the_rows_that_decide(make_picture, options) -> None:
    lines = row_lines(make_picture(), {**options, "goal": "weaken"}, Words("en"))
    assert [(measure.title, kind) for kind, measure in lines[:2]] == [
        ("P(F) on F rows", "target"),
        ("P(F) on M rows", "other"),
    ]


def test_the_row_chart_without_a_cell_shows_the_first_row(make_picture, options) -> None:
    chart = build_row_chart(make_picture(), row_lines(make_picture(), options, Words("en")), None, None)
    assert (chart["row"], chart["column"]) == (0, None)
