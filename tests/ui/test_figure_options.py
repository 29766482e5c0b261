"""Labels, order, colours, font sizes, legends and places that a script asks the figures for: each acts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from gradiend_ui.engine.errors import BadData
from gradiend_ui.figures.encoder_distributions import Drawing, encoder_distribution_table, encoder_distributions
from gradiend_ui.figures.encoder_groups import Labels, encoded_groups
from gradiend_ui.figures.lettering import PLACES, Lettering, colormap
from gradiend_ui.figures.training_convergence import training_convergence
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.figures import destination, place_of_class

CLASSES = ("F", "M")


@pytest.fixture
def encoded() -> pd.DataFrame:
    """Two classes in two splits, and both kinds of neutral rows."""
    rows = [("M", "F", 0.9, "test"), ("M", "F", 0.7, "test"), ("F", "M", -0.8, "test"), ("F", "M", -0.6, "train")]
    frame = pd.DataFrame(rows, columns=["source_id", "target_id", "encoded", "data_split"]).assign(type="training")
    neutral = pd.DataFrame(
        {
            "source_id": "neutral",
            "target_id": "neutral",
            "encoded": [0.1, 0.0],
            "type": ["neutral_dataset", "neutral_training_masked"],
        }
    )
    return pd.concat([frame, neutral], ignore_index=True)


@pytest.fixture
def of_test(encoded: pd.DataFrame) -> pd.DataFrame:
    return encoded[encoded["data_split"] != "train"]


def drawn(frame: pd.DataFrame, **labels: Any) -> list[str]:
    return [trace.name for trace in encoder_distributions(frame, classes=CLASSES, labels=Labels(**labels)).data]


def test_names_of_classes_and_labels(of_test: pd.DataFrame) -> None:
    assert drawn(of_test) == ["F", "M", "neutral: dataset", "neutral: training_masked"]
    assert drawn(of_test, class_names={"M": "he", "F": "she"})[:2] == ["she", "he"]
    assert drawn(of_test, shown={"M": "masculine", "Neutral: Neutral dataset": "texts"})[1:3] == ["masculine", "texts"]
    assert drawn(of_test, class_names={"M": "he"}, shown={"he": "masculine"})[1] == "masculine"


def test_order_and_pairs(of_test: pd.DataFrame) -> None:
    assert drawn(of_test, order=["Neutral: Neutral dataset", "M"])[:2] == ["neutral: dataset", "M"]
    assert drawn(of_test, order=["nobody"]) == drawn(of_test), "labels that are not there are passed over"
    figure = encoder_distributions(of_test, classes=CLASSES, labels=Labels(pairs=["M", "F", "neutral: dataset"]))
    assert [(trace.name, trace.side) for trace in figure.data] == [
        ("M", "negative"),
        ("F", "positive"),
        ("neutral: dataset", "negative"),
    ]
    assert figure.data[0].x[0] == figure.data[1].x[0] != figure.data[2].x[0]
    with pytest.raises(BadData, match="paired_legend_labels names 'X'; the encoder frame has F, M"):
        drawn(of_test, pairs=["M", "X"])


def test_labels_put_together_have_so_many_rows_of_each(of_test: pd.DataFrame) -> None:
    figure = encoder_distributions(of_test, classes=CLASSES, labels=Labels(groups={"both": ["M", "F"]}))
    both = figure.data[0]
    assert both.name == "both" and len(both.y) == 2 and min(both.y) == -0.8
    table = encoder_distribution_table(of_test, CLASSES, Labels(groups={"both": ["M", "F"]}))
    assert table["group"].tolist()[0] == "both" and table["n"].tolist()[0] == 2
    with pytest.raises(BadData, match=r"legend_group_mapping\['both'\] names 'X'.*ignore_missing_legend_group_labels"):
        drawn(of_test, groups={"both": ["M", "X"]})
    assert drawn(of_test, groups={"both": ["M", "X"]}, ignore_missing=True)[:2] == ["F", "both"]


def test_transitions_are_labels_where_a_script_names_one(of_test: pd.DataFrame) -> None:
    assert list(encoded_groups(of_test, CLASSES, by_transition=True))[:2] == ["M -> F", "F -> M"]
    assert "from he" in drawn(of_test, shown={"M -> F": "from he"})
    assert "he to she" in drawn(of_test, class_names={"M": "he", "F": "she"}, shown={"he -> she": "he to she"})


def test_labels_of_another_kind_are_refused() -> None:
    for wrong in ({"order": "M"}, {"pairs": "MF"}, {"class_names": ["M"]}, {"shown": "M"}, {"groups": ["M"]}):
        with pytest.raises(BadData, match=r"^(violin_order|\w+_labels|\w+_mapping) must be a"):
            Labels(**wrong)


def test_splits_stand_side_by_side_and_neutral_rows_on_request(encoded: pd.DataFrame) -> None:
    def axes(**options: Any) -> list[tuple[str, str]]:
        figure = encoder_distributions(encoded, classes=CLASSES, drawing=Drawing(**options))
        return [(trace.name, trace.xaxis) for trace in figure.data]

    assert axes() == [("F", "x"), ("F", "x2"), ("M", "x2")]
    assert axes(include_neutral=True)[3:] == [("neutral: dataset", "x2"), ("neutral: training_masked", "x2")]
    assert axes(include_neutral=True, neutral_split="train")[1] == ("neutral: dataset", "x")
    assert axes(split_mode="overlay") == axes(split_mode="dodge") == axes()
    figure = encoder_distributions(encoded, classes=CLASSES)
    assert [note.text for note in figure.layout.annotations][1:] == ["<b>train</b>", "<b>test</b>"]
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0], "they do not overlap"
    with pytest.raises(BadData, match="split_plot_mode must be one of facet, dodge, overlay, not 'pile'"):
        Drawing(split_mode="pile")


def test_colours(of_test: pd.DataFrame) -> None:
    def colors(**options: Any) -> list[str]:
        labels = Labels(shown={"M": "masculine"})
        figure = encoder_distributions(of_test, classes=CLASSES, labels=labels, drawing=Drawing(**options))
        return [trace.line.color for trace in figure.data]

    own = colors()
    assert colors(colors={"M": "#123456"})[1] == colors(colors={"masculine": "#123456"})[1] == "#123456"
    assert colors(colors={"Neutral: Neutral dataset": "teal"})[2] == "teal" and colors(colors={"X": "teal"}) == own
    assert colors(cmap="tab10")[:2] == ["#1f77b4", "#ff7f0e"] and len(set(colors(cmap="viridis"))) == 4
    assert colors(cmap="tab20", colors={"F": "red"})[:2] == ["red", "#aec7e8"]
    assert colormap("Set1", 12)[9] == colormap("Set1", 1)[0], "a list begins again"
    with pytest.raises(BadData, match="The colour of 'M' is 'reddish'"):
        Drawing(colors={"M": "reddish"})
    with pytest.raises(BadData, match="cmap must be the name of a colour map, not 'virids'. Did you mean 'viridis'?"):
        colors(cmap="virids")


def test_sizes_and_legends(of_test: pd.DataFrame) -> None:
    def layout(**options: Any) -> go.Layout:
        return encoder_distributions(of_test, classes=CLASSES, lettering=Lettering(**options)).layout

    plain = layout()
    assert not plain.showlegend
    sized = layout(title=12, ticks=9, axes=6)
    assert (sized.title.font.size, sized.xaxis.tickfont.size, sized.yaxis.title.font.size) == (16, 12, 8), "pixels"
    assert not sized.showlegend, "no legend where none of its settings is given"
    for place, (x, y, corner, edge) in PLACES.items():
        legend = layout(legend_loc=place).legend
        assert (legend.x, legend.y, legend.xanchor, legend.yanchor) == (x, y, corner, edge)
    told = layout(legend=15, legend_loc="upper left", legend_ncol=4, legend_bbox_to_anchor=(1.02, 0.5))
    assert told.showlegend and told.legend.font.size == 20 and (told.legend.x, told.legend.y) == (1.02, 0.5)
    assert told.legend.orientation == "h" and told.legend.entrywidth == 0.25


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"title": 0}, "title_fontsize must be a number of points above 0"),
        ({"legend": "large"}, "legend_fontsize must be a number"),
        ({"axes": float("nan")}, "axis_label_fontsize must be"),
        ({"legend_loc": "top"}, "legend_loc must be one of best, upper right"),
        ({"legend_ncol": 0}, "legend_ncol must be a whole number from 1"),
        ({"legend_ncol": True}, "legend_ncol must be a whole number from 1"),
        ({"legend_bbox_to_anchor": (1,)}, r"legend_bbox_to_anchor must be \(x, y\)"),
        ({"legend_bbox_to_anchor": "xy"}, r"legend_bbox_to_anchor must be \(x, y\)"),
    ],
)
def test_what_no_figure_can_be_lettered_with_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadData, match=told):
        Lettering(**options)


def test_labels_of_a_training_are_named_by_class_or_by_label() -> None:
    info = {
        "training_stats": {
            "mean_by_class": {"0": {"1.0": 0.1, "-1.0": 0.0}, "9": {"1.0": 0.8, "-1.0": -0.7}},
            "label_value_to_class_name": {"1.0": "M", "-1.0": "F"},
        },
        "best_score_checkpoint": {"global_step": 9},
    }

    def names(**options: Any) -> set[str]:
        return {trace.name for trace in training_convergence(info, **options).data}

    assert names() == {"M", "F"} and names(label_name_mapping={"M": "he", "-1.0": "she"}) == {"he", "she"}
    marked, unmarked = (len(training_convergence(info, best_step=wanted).layout.shapes) for wanted in (True, False))
    assert marked == unmarked + 1
    legend = training_convergence(info, lettering=Lettering(legend_loc="lower left")).layout
    assert legend.showlegend and legend.legend.yanchor == "bottom"


def test_a_figure_without_a_place_is_handed_back_and_said(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    config, figure, table = TextPredictionConfig(), go.Figure(), pd.DataFrame({"a": [1]})
    with caplog.at_level(logging.WARNING):
        nowhere = destination(config, None, None, None, None, False, False).take(figure, table, "some_figure")
    assert nowhere is figure and "The figure some_figure is written nowhere" in caplog.text
    caplog.clear()
    own, other = tmp_path / "experiment", tmp_path / "other"
    with caplog.at_level(logging.WARNING):
        assert destination(config, None, None, None, None, False, True).take(figure, table, "some_figure") is figure
        written = destination(config, str(own), None, None, None, False, False, other).take(
            figure, table, "some_figure"
        )
        asked = destination(config, str(own), tmp_path / "x.html", None, None, False, False, other).take(
            figure, table, "n"
        )
    assert written == str(other / "some_figure.html") and asked == str(tmp_path / "x.html") and not caplog.text
    assert Path(written).is_file() and not own.exists(), "output, else output_dir, else the experiment folder"


def test_figures_of_several_classes_are_not_written_over_each_other(tmp_path: Path) -> None:
    assert place_of_class("a/shift.png", "M", alone=True) == Path("a/shift.png")
    assert place_of_class("a/shift.png", "M/F", alone=False) == Path("a/shift_M_F.png")
    assert place_of_class(tmp_path, "M", alone=False) == tmp_path / "decoder_probability_shifts_M.html"
    assert place_of_class(None, "M", alone=False) is None
