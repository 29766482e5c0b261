"""The trainer's figures of single texts, and the word on a training that did not converge."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from gradiend_ui import GradiendUIError, TextPredictionTrainer, TrainingArguments
from gradiend_ui.figures.encoder_points import Points, averaged, encoder_points, encoder_points_table, thinned

pytestmark = pytest.mark.quick
LONG = "a " * 200 + "[MASK]" + " z" * 200


@pytest.fixture
def table() -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"encoded": 0.5, "label": 1.0, "source_id": "M", "source_token": "he", "data_split": "train", "masked": LONG},
        {"encoded": 0.7, "label": 1.0, "source_id": "M", "source_token": "He", "data_split": "test", "masked": "b"},
        {"encoded": -0.5, "label": -1.0, "source_id": "F", "source_token": "she", "data_split": "test", "masked": "c"},
        {"encoded": -0.1, "label": -1.0, "source_id": "F", "source_token": "she", "data_split": "test", "masked": "d"},
    ]
    own = pd.DataFrame(rows).assign(type="training")
    other = {"encoded": 0.0, "label": 0.0, "source_id": "neutral", "source_token": "tree", "data_split": "test"}
    frame = pd.concat([own, pd.DataFrame([other | {"type": "neutral_dataset", "masked": "e"}])], ignore_index=True)
    return frame.assign(factual_token=frame["source_token"])


@pytest.fixture
def trainer(tiny_bert: Path, rows: pd.DataFrame) -> TextPredictionTrainer:
    return TextPredictionTrainer(str(tiny_bert), data=rows, target_classes=["M", "F"])


def values(figure: go.Figure) -> dict[str, list[float]]:
    return {trace.name: list(trace.y) for trace in figure.data}


def test_a_scatter_has_a_point_for_every_text(trainer: TextPredictionTrainer, table: pd.DataFrame) -> None:
    figure = trainer.plot_encoder_scatter(table, label_name_mapping={1.0: "masculine"}, height=300)
    assert values(figure) == {"masculine": [0.5, 0.7], "-1.0": [-0.5, -0.1], "0.0": [0.0]}
    assert list(figure.layout.xaxis.ticktext) == ["he", "He", "she", "tree"]
    assert figure.layout.height == 300
    told = figure.data[0].hovertext[0]
    assert "encoded 0.500000" in told and "[MASK]" in told
    assert len(told) < 600


def test_labels_are_named_by_their_classes_and_of_many_words_some_are_named(
    trainer: TextPredictionTrainer, table: pd.DataFrame
) -> None:
    assert list(values(trainer.plot_encoder_scatter(table))) == ["M", "F", "neutral"]
    many = pd.concat([table] * 20, ignore_index=True)
    many["source_token"] = [f"word{number}" for number in range(len(many))]
    axis = trainer.plot_encoder_scatter(many).layout.xaxis
    assert list(axis.ticktext) == [f"word{number}" for number in range(0, 100, 3)]
    assert list(axis.tickvals) == list(range(0, 100, 3))


def test_a_scatter_is_thinned_alike_for_each_colour(table: pd.DataFrame) -> None:
    many = pd.concat([table] * 10, ignore_index=True)
    few = thinned(many, 10, "label")
    assert few["label"].value_counts().to_dict() == {1.0: 4, -1.0: 4, 0.0: 2}
    assert thinned(table, None, "label") is table
    with pytest.raises(GradiendUIError, match="no column 'shoe'"):
        thinned(many, 10, "shoe")


def test_strips_put_words_together_and_splits_side_by_side(trainer: TextPredictionTrainer, table: pd.DataFrame) -> None:
    figure = trainer.plot_encoder_strip_by_split(table)
    assert values(figure) == {"train": [0.5], "test": [0.7, -0.3]}
    assert list(figure.layout.xaxis.ticktext) == ["M", "F"]
    assert max(figure.data[0].x) < min(figure.data[1].x)
    single = trainer.plot_encoder_strip_by_split(table, aggregate_targets=False, include_neutral=True,
                                                 neutral_type_labels={"neutral_dataset": "other texts"})  # fmt: skip
    assert values(single) == {"train": [0.5], "test": [0.7, -0.5, -0.1, 0.0]}
    assert list(single.layout.xaxis.ticktext) == ["M", "F", "other texts"]
    kinds = trainer.plot_encoder_strip_by_split(table, types=["neutral_dataset"])
    assert values(kinds) == {"test": [0.0]}


def test_strips_of_a_table_without_splits_take_the_default(trainer: TextPredictionTrainer, table: pd.DataFrame) -> None:
    figure = trainer.plot_encoder_strip_by_split(table.drop(columns="data_split"), default_hue="all of them")
    assert list(values(figure)) == ["all of them"]


@pytest.mark.parametrize(("style", "kind"), [("strip", go.Scatter), ("box", go.Box), ("violin", go.Violin)])
def test_target_words_stand_by_class(
    style: str, kind: type, trainer: TextPredictionTrainer, table: pd.DataFrame
) -> None:
    figure = trainer.plot_encoder_by_target(table, plot_style=style, class_order=["F", "M"], legend_loc="upper left")
    assert list(figure.layout.xaxis.ticktext) == ["she", "he"]
    assert {type(trace) for trace in figure.data} == {kind}
    spelled = trainer.plot_encoder_by_target(table, ignore_case=False)
    assert list(spelled.layout.xaxis.ticktext) == ["He", "he", "she"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"color_by": "shoe"}, "no column 'shoe'"),
        ({"x_col": "shoe"}, "no column 'shoe'"),
        ({"max_points": 0}, "max_points must be a whole number from 1"),
        ({"hover_text_max_chars": 0}, "hover_text_max_chars must be a whole number"),
        ({"label_points": True}, "has no argument 'label_points' here: a point tells its text"),
        ({"cmap": "no map"}, "cmap must be the name of a colour map"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(
    options: dict[str, Any], told: str, trainer: TextPredictionTrainer, table: pd.DataFrame
) -> None:
    with pytest.raises(GradiendUIError, match=told):
        trainer.plot_encoder_scatter(table, **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"style": "pie"}, "plot_style must be"),
        ({"jitter": -1}, "jitter must be"),
        ({"size": "x"}, "point_size"),
    ],
)
def test_how_points_are_drawn_is_checked(options: dict[str, Any], told: str) -> None:
    with pytest.raises(GradiendUIError, match=told):
        Points("source_token", "label", **options)


def test_without_any_value_there_is_nothing_to_draw(table: pd.DataFrame) -> None:
    with pytest.raises(GradiendUIError, match="no encoded value"):
        encoder_points(table.assign(encoded=None), Points("source_token", "label"))
    with pytest.raises(GradiendUIError, match="no column 'shoe' to put points together by"):
        averaged(table, "shoe", ["source_id"])


def test_the_files_hold_what_is_shown(trainer: TextPredictionTrainer, table: pd.DataFrame, tmp_path: Path) -> None:
    path = trainer.plot_encoder_by_target(table, output_dir=tmp_path)
    assert Path(path) == tmp_path / "encoder_by_target.html"
    written = pd.read_csv(tmp_path / "encoder_by_target.csv")
    assert written["encoded"].tolist() == [0.5, 0.7, -0.5, -0.1]
    shown = encoder_points_table(table, Points("source_token", "label"))
    assert list(shown.columns) == ["source_token", "label", "encoded"]


# --- a training that did not converge --------------------------------------------------------------------------------


def stats(*, converged: bool) -> dict[str, Any]:
    return {
        "training_stats": {"scores": {"1": 0.1, "2": 0.2}},
        "best_score_checkpoint": {"correlation": 0.2, "global_step": 2},
        "convergence_info": {"converged": converged},
    }


@pytest.fixture
def unconverged(tiny_bert: Path, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> TextPredictionTrainer:
    trainer = TextPredictionTrainer(str(tiny_bert), data=rows, target_classes=["M", "F"])
    monkeypatch.setattr(TextPredictionTrainer, "get_training_stats", lambda self: stats(converged=False))
    return trainer


def title(figure: go.Figure) -> str:
    return str(figure.layout.title.text)


def test_figures_of_the_encoder_say_that_the_training_did_not_converge(
    unconverged: TextPredictionTrainer, table: pd.DataFrame
) -> None:
    for draw in (unconverged.plot_encoder_scatter, unconverged.plot_encoder_strip_by_split,
                 unconverged.plot_encoder_by_target, unconverged.plot_encoder_distributions):  # fmt: skip
        assert "NOT converged" in title(draw(table))
        assert "Mine (NOT converged)" in title(draw(table, title="Mine"))
        assert "NOT" not in title(draw(table, highlight_non_convergence=False))
        assert title(draw(table, title=False)) == ""
    unconverged.training_args.highlight_non_convergence = False
    assert "NOT" not in title(unconverged.plot_encoder_scatter(table))
    assert "NOT" in title(unconverged.plot_encoder_scatter(table, highlight_non_convergence=True))


def test_the_figure_of_a_training_says_that_it_did_not_converge(unconverged: TextPredictionTrainer) -> None:
    shown = [json.dumps(unconverged.plot_training_convergence(**options).to_plotly_json(), default=str)
             for options in ({}, {"title": "Mine"}, {"highlight_non_convergence": False})]  # fmt: skip
    assert ["NOT converged" in text for text in shown] == [True, True, False]
    done = unconverged.plot_training_convergence(training_stats=stats(converged=True), title="Mine")
    assert "NOT" not in title(done)


def test_an_unwritten_figure_is_handed_back(
    trainer: TextPredictionTrainer, table: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert isinstance(trainer.plot_encoder_scatter(table), go.Figure)
    assert "encoder_scatter is written nowhere" in caplog.text


def test_the_setting_of_the_arguments_is_a_flag() -> None:
    with pytest.raises(GradiendUIError, match="highlight_non_convergence must be True or False"):
        TrainingArguments(highlight_non_convergence="no")  # type: ignore[arg-type]
