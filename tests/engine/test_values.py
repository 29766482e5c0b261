"""Cells, grids and requests refuse what cannot be swept, in a sentence."""

from __future__ import annotations

import math

import pytest

from gradiend_ui.engine.errors import BadGrid, GradiendUIError, TooLarge, error_from
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, Cell, CellScore, Grid, Shape


def test_default_learning_rates_are_the_decimal_floats() -> None:
    assert DEFAULT_LEARNING_RATES == (
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100,
    )  # fmt: skip


def test_grid_is_ascending_without_duplicates() -> None:
    grid = Grid((1.0, -1.0, 1.0), (0.5, 0.1))
    assert grid.cells == (Cell(-1, 0.1), Cell(-1, 0.5), Cell(1, 0.1), Cell(1, 0.5))
    assert len(grid) == 4


def test_minus_zero_is_zero() -> None:
    assert math.copysign(1, Cell(-0.0, 1).feature_factor) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", None, True, 10**400])
def test_cells_refuse_what_is_no_finite_number(value: object) -> None:
    with pytest.raises(BadGrid):
        Cell(1.0, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"goal": "grow"}, "goal"),
        ({"part": "all"}, "part"),
        ({"learning_rates": []}, "empty"),
        ({"learning_rates": "0.1"}, "list of numbers"),
        ({"feature_factors": [1, math.nan]}, "finite"),
        ({"max_rows": 0}, "max_rows"),
        ({"max_rows": 1.5}, "max_rows"),
        ({"max_neutral": True}, "max_neutral"),
        ({"targets": {"M": "he"}}, "list of tokens"),
        ({"targets": {"M": []}}, "non-empty"),
        ({"targets": "labels"}, "targets"),
        ({"target_classes": []}, "target_classes"),
        ({"precision": "int4"}, "precision"),
        ({"again": "yes"}, "again"),
        ({"split": ""}, "split"),
        ({"speed": 9}, "speed"),
    ],
)
def test_requests_refuse_in_a_sentence(options: dict[str, object], fragment: str) -> None:
    with pytest.raises(BadGrid, match=fragment):
        SweepSpec.of(options)


def test_a_huge_grid_is_too_large() -> None:
    with pytest.raises(TooLarge, match="100,000"):
        SweepSpec(feature_factors=tuple(range(100)), learning_rates=tuple(range(1000)))


def test_scores_survive_json() -> None:
    score = CellScore(Cell(1, 2), "final", {"M": {"F": 0.25}}, {"lms": 0.5, "perplexity": math.inf}, 3, 3)
    again = CellScore.from_json(score.to_json())
    assert again.cell == score.cell and again.probs_by_dataset == score.probs_by_dataset
    assert score.to_json()["lms"]["perplexity"] is None


def test_strengthen_metric_takes_the_first_other_class_with_rows() -> None:
    score = CellScore(None, "final", {"C": {"A": 0.1, "B": 0.2}, "A": {"A": 0.9}})
    assert score.strengthen_metric("A", ("A", "B", "C")) == 0.1
    assert score.strengthen_metric("B", ("A", "B", "C")) == 0.2
    assert score.own_probability("A") == 0.9
    assert score.own_probability("B") is None


def test_errors_cross_a_process_border() -> None:
    for kind in GradiendUIError.__subclasses__():
        assert type(error_from(kind.code, "why")) is kind
    assert error_from("unheard of", "why").code == "failed"


def test_a_cell_has_one_spelling_and_tells_its_part_only_where_it_is_given() -> None:
    plain, other = Cell(-1.0, 0.1), Cell(-1.0, 0.1, "encoder-weight")
    assert plain.as_json() == {"feature_factor": -1.0, "learning_rate": 0.1}
    assert other.as_json() == {"feature_factor": -1.0, "learning_rate": 0.1, "part": "encoder-weight"}
    assert plain != other and all(Cell.of(cell.as_json()) == cell for cell in (plain, other))
    assert Cell.of({**plain.as_json(), "status": "final", "lms": {}, "share": 1, "groups": None}) == plain
    for odd in (None, [1, 2], {"feature_factor": 1}, {"learning_rate": 1}, {"feature_factor": "1", "learning_rate": 1}):
        with pytest.raises(BadGrid, match="the two numbers feature_factor and learning_rate, not"):
            Cell.of(odd)
    for odd in (math.nan, 10**400, True):
        with pytest.raises(BadGrid, match="feature_factor must be a "):
            Cell.of({"feature_factor": odd, "learning_rate": 1})


@pytest.mark.parametrize("more", [{"share": 0.5}, {"groups": ["attention"]}, {"top_k": 0.1}, {"slope": 1}])
def test_a_cell_that_nothing_computes_yet_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(BadGrid, match=f"{next(iter(more))} of a cell can only be .* so far"):
        Cell.of({"feature_factor": 1, "learning_rate": 1, **more})
    with pytest.raises(BadGrid):
        Shape(**more)  # type: ignore[arg-type]


def test_a_cell_of_another_part_is_not_of_the_sweep() -> None:
    assert Cell(1, 2, "decoder-bias").in_sweep_of("decoder-bias") == Cell(1, 2) == Cell(1, 2).in_sweep_of("decoder")
    with pytest.raises(BadGrid, match="This sweep is of part decoder: a cell of part decoder-bias"):
        Cell(1, 2, "decoder-bias").in_sweep_of("decoder")
    with pytest.raises(BadGrid, match="part must be one of"):
        Cell.of({"feature_factor": 1, "learning_rate": 1, "part": "all"})


def test_the_cells_of_a_grid_are_made_once() -> None:
    grid = Grid((1.0,), (0.1, 0.2))
    assert grid.cells is grid.cells
    assert grid == Grid((1.0,), (0.2, 0.1)) and hash(grid) == hash(Grid((1.0,), (0.2, 0.1)))
