"""The probability shifts figure shows the sweep's own numbers, what passes, what was chosen and what is not there."""

from __future__ import annotations

import copy
import math
from ast import literal_eval
from typing import Any

import plotly.graph_objects as go
import pytest

from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.figures.panels import rate_axis, rate_positions
from gradiend_ui.figures.probability_shifts import probability_shift_table, probability_shifts

RATES = (0.01, 0.1, 1.0)
P_F_ON_M = (0.2, 0.5, 0.9)
KEPT = (1.0, 0.995, 0.6)
ASK: dict[str, Any] = {
    "target_class": "F",
    "goal": "strengthen",
    "classes": ("M", "F"),
    "strengthening": {"M": 1.0, "F": -1.0},
}


def entry(p_f_on_m: float, lms: float) -> dict[str, Any]:
    rows = {"M": {"M": 0.95 - p_f_on_m, "F": p_f_on_m}, "F": {"M": 0.1, "F": 0.8}}
    return {"probs_by_dataset": rows, "lms": {"lms": lms}}


@pytest.fixture
def results() -> dict[Any, Any]:
    """Three rates at feature factor -1 (the last one fails), the same at +1 with other numbers; 0.1 is chosen."""
    grid: dict[Any, Any] = {"base": entry(0.11, 0.4)}
    for rate, p, kept in zip(RATES, P_F_ON_M, KEPT, strict=True):
        grid[(-1.0, rate)] = entry(p, 0.4 * kept)
        grid[(1.0, rate)] = entry(p / 100, 0.4)
    chosen = {"value": 0.5, "feature_factor": -1.0, "learning_rate": 0.1, "fallback": False, "why": "0.5 > 0.2"}
    return {"F": chosen, "grid": grid}


def markers(figure: go.Figure, axis: str, name: str) -> go.Scatter:
    found = [t for t in figure.data if t.mode == "markers" and t.yaxis == axis and t.name == name]
    assert len(found) == 1
    return found[0]


def words(figure: go.Figure) -> str:
    return " ".join(item.text for item in figure.layout.annotations)


def test_curves_are_the_grids_own_numbers(results: dict[Any, Any]) -> None:
    figure = probability_shifts(results, **ASK)
    assert list(markers(figure, "y", "LMS").y) == [0.4, 0.4 * 0.995, 0.4 * 0.6, 0.4]
    assert list(markers(figure, "y2", "F").y) == [*P_F_ON_M, 0.11]
    assert list(markers(figure, "y3", "F").y) == [0.8, 0.8, 0.8, 0.8]
    assert list(markers(figure, "y2", "F").x) == [*rate_positions(RATES), 0.0]


def test_the_table_holds_every_number_and_marks_the_choice(results: dict[Any, Any]) -> None:
    table = probability_shift_table(results, **ASK)
    assert len(table) == (1 + len(RATES)) * 4
    curve = table[table["decides"] & table["feature_factor"].notna()]
    assert curve["probability"].tolist() == list(P_F_ON_M)
    assert curve["passes"].tolist() == [True, True, False]
    assert curve["selected"].tolist() == [False, True, False]
    assert curve["change"].tolist() == pytest.approx([0.09, 0.39, 0.79])
    assert set(table.loc[table["decides"], "dataset"]) == {"M"}
    assert table.loc[table["feature_factor"].isna(), "learning_rate"].eq(0).all()


def test_cells_below_the_threshold_are_hollow_and_faded(results: dict[Any, Any]) -> None:
    mark = markers(probability_shifts(results, **ASK), "y2", "F").marker
    assert [symbol.endswith("-open") for symbol in mark.symbol] == [False, False, True, False]
    assert mark.opacity[2] < mark.opacity[1] == 1.0
    free = markers(probability_shifts(results, **ASK, ratio=None), "y2", "F").marker
    assert not any(symbol.endswith("-open") for symbol in free.symbol)


def test_the_star_lies_on_the_deciding_curve(results: dict[Any, Any]) -> None:
    figure = probability_shifts(results, **ASK)
    star = markers(figure, "y2", "selected")
    assert (star.x[0], star.y[0], star.marker.symbol) == (rate_positions(RATES)[1], 0.5, "star")
    assert "0.500 (+0.390)" in words(figure)
    assert "0.995 of base" in words(figure)
    assert not [t for t in figure.data if t.name == "selected" and t.yaxis == "y3"]


def test_a_fallback_is_called_one(results: dict[Any, Any]) -> None:
    results["F"] |= {"learning_rate": 0.01, "fallback": True}
    figure = probability_shifts(results, **ASK, ratio=2.0)
    assert markers(figure, "y2", "selected").marker.symbol == "star-open"
    assert "fallback: <b>0.200" in words(figure)
    assert "fallback, no cell passes" in words(figure)


def test_weaken_decides_on_the_classs_own_rows(results: dict[Any, Any]) -> None:
    results["M_weaken"] = results.pop("F")
    figure = probability_shifts(results, **ASK | {"target_class": "M", "goal": "weaken"})
    assert markers(figure, "y2", "selected").y[0] == pytest.approx(0.95 - 0.5)
    assert "smallest P(M)" in words(figure)


def test_a_class_keeps_its_look_in_every_panel_and_selection(results: dict[Any, Any]) -> None:
    figure = probability_shifts(results, **ASK)
    alone = probability_shifts(results, **ASK, class_ids=["F"])
    looks = {(m.marker.color, m.marker.symbol[0]) for m in (markers(figure, "y2", "F"), markers(alone, "y3", "F"))}
    assert len(looks) == 1
    assert looks != {(markers(figure, "y2", "M").marker.color, markers(figure, "y2", "M").marker.symbol[0])}
    assert not [t for t in alone.data if t.name == "M"]


def test_rows_that_were_not_scored_are_said_not_to_be(results: dict[Any, Any]) -> None:
    assert "not scored" not in words(probability_shifts(results, **ASK))
    for cell in results["grid"].values():
        del cell["probs_by_dataset"]["F"]
    figure = probability_shifts(results, **ASK)
    assert "F rows</span></b>  not scored in this sweep" in words(figure)
    assert {t.yaxis for t in figure.data} == {"y", "y2"}


def test_results_of_another_class_have_no_star(results: dict[Any, Any]) -> None:
    figure = probability_shifts(results, **ASK | {"target_class": "M"})
    assert list(markers(figure, "y3", "M").y) == [0.1, 0.1, 0.1, 0.1]
    assert list(markers(figure, "y2", "F").y)[0] == P_F_ON_M[0] / 100  # the row of M's own feature factor
    assert not [t for t in figure.data if t.name == "selected"]
    table = probability_shift_table(results, **ASK | {"target_class": "M"})
    assert set(table.loc[table["decides"], "dataset"]) == {"F"}
    assert not table["selected"].any()


def test_weaken_without_a_choice_shows_the_other_classs_row(results: dict[Any, Any]) -> None:
    table = probability_shift_table(results, **ASK | {"goal": "weaken"})
    assert set(table["feature_factor"].dropna()) == {1.0}


def test_a_cell_that_broke_is_a_gap_and_fails(results: dict[Any, Any]) -> None:
    results["grid"][(-1.0, 1.0)] = {"probs_by_dataset": {"M": {"F": math.nan}}, "lms": {"lms": math.nan}}
    figure = probability_shifts(results, **ASK)
    assert list(markers(figure, "y2", "F").y)[2] is None
    assert markers(figure, "y", "LMS").marker.symbol[2].endswith("-open")


def test_names_cannot_write_into_the_page(results: dict[Any, Any]) -> None:
    text = repr(results).replace("'F'", "'<b onclick=x>'")
    named = {"target_class": "<b onclick=x>", "classes": ("M", "<b onclick=x>"), "goal": "strengthen"}
    figure = probability_shifts(literal_eval(text), **named, strengthening={"M": 1.0, "<b onclick=x>": -1.0})
    shown = (
        words(figure)
        + figure.layout.title.text
        + " ".join(map(str, markers(figure, "y2", named["target_class"]).hovertext))
    )
    assert "<b onclick" not in shown
    assert "&lt;b onclick" in shown


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"target_class": "X"}, BadData, "'X' is no class of this trainer: choose from M, F"),
        ({"class_ids": ["M", "Y"]}, BadData, "'Y' is no class"),
        ({"goal": "both"}, BadData, "goal must be strengthen or weaken, not 'both'"),
        ({"feature_factor": 3.0}, BadGrid, r"no cell with feature factor \+3.*they hold −1, \+1"),
        ({"theme": "sepia"}, BadData, "theme must be one of light, dark"),
    ],
)
def test_refusals(results: dict[Any, Any], change: dict[str, Any], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        probability_shifts(results, **ASK | change)


def test_results_without_their_grid_are_refused(results: dict[Any, Any]) -> None:
    with pytest.raises(BadData, match="what evaluate_decoder returned"):
        probability_shifts({"F": results["F"]}, **ASK)
    unscored = copy.deepcopy(results)
    unscored["grid"]["base"]["lms"] = {}
    with pytest.raises(BadData, match="base in these results has no language-modelling score"):
        probability_shifts(unscored, **ASK)


def test_figsize_is_in_inches(results: dict[Any, Any]) -> None:
    layout = probability_shifts(results, **ASK, figsize=(10, 8)).layout
    assert (layout.width, round(layout.height / 10)) == (960, 77)
    assert probability_shifts(results, **ASK).layout.width is None


def test_zero_and_negative_rates_have_their_places() -> None:
    places = rate_positions((-1.0, -0.1, 0.0, 0.1, 1.0))
    assert places == [-1.5, -0.5, 0.0, 0.5, 1.5]
    assert rate_positions((0.01, 0.1, 1.0)) == pytest.approx([0.5, 1.5, 2.5])


def test_ticks_name_the_base_the_choice_and_the_decades() -> None:
    rates = tuple(k * 10.0**e for e in range(-3, 2) for k in (1, 2, 5))
    axis = rate_axis(rates, marked=7, label_room=0.1)
    named = [text for text in axis["ticktext"] if text]
    assert len(axis["tickvals"]) == 1 + len(rates)
    assert {"base", "0.001", "0.01", "0.1", "1", "10", "0.2"} <= set(named)
    assert len(named) < 12
