"""The training curves and the encoded values: the file's own numbers, and refusals in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.encoder_distributions import encoder_distribution_table, encoder_distributions
from gradiend_ui.figures.encoder_groups import Labels
from gradiend_ui.figures.training_convergence import read_lines, training_convergence, training_convergence_table


@pytest.fixture
def run_info() -> dict[str, Any]:
    """Two classes over two steps, as JSON has them: steps and labels are text."""
    stats = {
        "scores": {"0": 0.5, "10": 0.9},
        "mean_by_class": {"10": {"1.0": 0.8, "-1.0": -0.7}, "0": {"1.0": 0.1, "-1.0": 0.0}},
        "std_by_class": {"10": {"1.0": 0.2, "-1.0": 0.4}},
        "n_by_class": {"10": {"1.0": 4, "-1.0": 1}},
        "mean_by_feature_class": {"0": {"M": 0.1, "F": 0.0}, "10": {"M": 0.8, "F": -0.7}},
        "min_by_class": {"10": {"1.0": 0.5, "-1.0": -1.0}},
        "max_by_class": {"10": {"1.0": 1.0, "-1.0": -0.2}},
        "label_value_to_class_name": {"1.0": "M", "-1.0": "F"},
    }
    best = {"global_step": 10, "correlation": 0.9}
    return {"training_stats": stats, "best_score_checkpoint": best, "losses": [3.0, 2.0, 1.0]}


def curves(figure: go.Figure) -> dict[str, list[float]]:
    return {trace.name: list(trace.y) for trace in figure.data if trace.name}


def words(figure: go.Figure) -> str:
    return " ".join(item.text for item in figure.layout.annotations)


def test_curves_are_the_files_own_numbers_in_order_of_steps(run_info: dict[str, Any]) -> None:
    figure = training_convergence(run_info, classes=("M", "F"))
    drawn = curves(figure)
    assert (drawn["M"], drawn["F"], drawn["correlation"]) == ([0.1, 0.8], [0.0, -0.7], [0.5, 0.9])
    assert drawn["loss of the step"] == [3.0, 2.0, 1.0]
    assert drawn["loss"] == [2.5, 2.0, 1.5]  # the mean of each step and its neighbours
    assert "best step, kept as the checkpoint: 10" in words(figure)
    assert {shape.x0 for shape in figure.layout.shapes} == {10}


def test_means_by_feature_class_are_drawn_where_they_add_something(run_info: dict[str, Any]) -> None:
    assert "By feature class" not in words(training_convergence(run_info))
    assert "By feature class" in words(training_convergence(run_info, plot_mean_by_feature_class=True))
    run_info["training_stats"]["mean_by_feature_class"]["10"]["N"] = 0.2
    assert "By feature class" in words(training_convergence(run_info))


def test_spreads_are_shaded_where_the_run_recorded_them(run_info: dict[str, Any]) -> None:
    bands = {line.name: line.band for line in read_lines(run_info, class_spread="minmax") if line.kind == "class"}
    assert bands == {"M": {10: (0.5, 1.0)}, "F": {10: (-1.0, -0.2)}}
    intervals = {line.name: line.band for line in read_lines(run_info, class_spread="ci95") if line.kind == "class"}
    assert intervals["M"][10] == pytest.approx((0.8 - 0.196, 0.8 + 0.196))
    assert intervals["F"][10] == (-0.7, -0.7)
    assert "95 % interval" in words(training_convergence(run_info, class_spread="ci95"))
    assert "quartiles" not in words(training_convergence(run_info, class_spread="iqr"))


def test_parts_can_be_left_out_and_names_replaced(run_info: dict[str, Any]) -> None:
    figure = training_convergence(
        run_info, plot_loss=False, plot_correlation=False, best_step=False, label_name_mapping={"M": "masculine"}
    )
    assert set(curves(figure)) == {"masculine", "F"}
    assert not figure.layout.shapes


def test_nothing_to_draw_and_unknown_spreads_are_refused(run_info: dict[str, Any]) -> None:
    with pytest.raises(BadData, match="hold nothing to draw"):
        training_convergence({"training_stats": {"global_step": 3}})
    with pytest.raises(BadData, match="class_spread must be minmax, iqr, ci95 or None, not 'std'"):
        training_convergence(run_info, class_spread="std")


def test_the_demos_training_json_is_drawn(demo: Path) -> None:
    info = json.loads((demo / "gradiend" / "training.json").read_text(encoding="utf-8"))
    figure = training_convergence(info, classes=("M", "F"))
    assert curves(figure)["correlation"][-1] == info["best_score_checkpoint"]["correlation"]
    best = info["best_score_checkpoint"]
    told = f"best correlation {best['correlation']:.3f} at step {best['global_step']}; converged"
    assert told in words(figure)
    assert len(training_convergence_table(info).query("kind == 'loss'")) == len(info["losses"])


@pytest.fixture
def encoded() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "encoded": [0.9, 0.7, -0.8, 0.1, None, 0.0],
            "source_id": ["M", "M", "F", "N", "F", "M"],
            "type": ["training"] * 5 + ["neutral_dataset"],
        }
    )


def test_every_class_and_the_neutral_rows_have_a_violin(encoded: pd.DataFrame) -> None:
    figure = encoder_distributions(encoded, classes=("F", "M"), labels=Labels(class_names={"M": "masculine"}))
    assert [(trace.name, list(trace.y)) for trace in figure.data] == [
        ("F", [-0.8]),
        ("masculine", [0.9, 0.7]),
        ("neutral: dataset", [0.0]),
    ]
    assert "mean 0.800, n 2" in figure.data[1].x[0]
    every = encoder_distributions(encoded, classes=("F", "M"), target_and_neutral_only=False)
    assert [trace.name for trace in every.data] == ["F", "M", "N", "neutral: dataset"]


def test_the_table_of_encoded_values(encoded: pd.DataFrame) -> None:
    table = encoder_distribution_table(encoded).set_index("group")
    assert table.loc["M", ["n", "min", "q2", "max"]].tolist() == pytest.approx([2, 0.7, 0.8, 0.9])


def test_other_frames_are_refused(encoded: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="has the columns a; it needs encoded"):
        encoder_distributions(pd.DataFrame({"a": [1]}))
    with pytest.raises(BadData, match="holds no encoded value of X"):
        encoder_distributions(encoded[encoded["type"] == "training"], classes=("X",))
