"""Smaller things that scripts of the `gradiend` package ask a trainer, a model, a policy or training.json for."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from gradiend_ui import (
    BaseContext,
    Candidate,
    GradiendUIError,
    LMSThresholdPolicy,
    LMSTimesMetricPolicy,
    ModelWithGradiend,
    TextPredictionConfig,
    TextPredictionTrainer,
    TrainingArguments,
    load_training_stats,
)
from gradiend_ui.engine.errors import BadData, BadGrid, NotAllowed
from gradiend_ui.engine.training import record
from gradiend_ui.engine.training.record import ROWS, History, flipped

STEPS: dict[str, Any] = {"train_batch_size": 4, "max_steps": 12, "eval_steps": 6, "learning_rate": 1e-3, "max_seeds": 1}


@pytest.fixture(scope="module")
def trainer(
    tiny_bert: Path, rows: pd.DataFrame, neutral_texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> TextPredictionTrainer:
    trainer = TextPredictionTrainer(
        str(tiny_bert),
        data=rows,
        target_classes=["M", "F"],
        eval_neutral_data=neutral_texts[:6],
        args=TrainingArguments(experiment_dir=tmp_path_factory.mktemp("meets"), **STEPS),
    )
    return trainer.train()


# --- directions ------------------------------------------------------------------------------------------------------


def undirected(folder: Path, to: Path, *, stats: bool) -> Path:
    """A copy whose context names no directions; stats False: training.json tells none either."""
    shutil.copytree(folder, to)
    context = json.loads((to / "gradiend_context.json").read_text())
    context.pop("feature_class_encoding_direction", None)
    (to / "gradiend_context.json").write_text(json.dumps(context))
    if not stats:
        training = json.loads((to / "training.json").read_text())
        training["training_stats"] = {}
        (to / "training.json").write_text(json.dumps(training))
    return to


def test_a_trainer_names_directions_that_no_file_tells(trainer: TextPredictionTrainer, tmp_path: Path) -> None:
    folder = undirected(Path(trainer.model_path), tmp_path / "none", stats=False)
    assert ModelWithGradiend.from_pretrained(folder).feature_class_encoding_direction is None
    named = ModelWithGradiend.from_pretrained(folder, feature_definition=trainer)
    assert named.feature_class_encoding_direction == {"M": 1.0, "F": -1.0}


@pytest.mark.parametrize("stats", [False, True])
def test_a_trainer_overrides_no_direction_that_a_file_tells(
    stats: bool, trainer: TextPredictionTrainer, tmp_path: Path
) -> None:
    folder = Path(trainer.model_path) if not stats else undirected(Path(trainer.model_path), tmp_path / "s", stats=True)
    told = ModelWithGradiend.from_pretrained(folder).encoding_direction
    turned = SimpleNamespace(pair=("F", "M"), classes=["F", "M", "N"])
    assert told == {"M": 1.0, "F": -1.0}
    assert ModelWithGradiend.from_pretrained(folder, feature_definition=turned).encoding_direction == told


def test_further_classes_are_neutral_and_other_objects_refused(trainer: TextPredictionTrainer, tmp_path: Path) -> None:
    folder = undirected(Path(trainer.model_path), tmp_path / "none", stats=False)
    three = SimpleNamespace(pair=("F", "M"), classes=["F", "M", "N"])
    named = ModelWithGradiend.from_pretrained(folder, feature_definition=three)
    assert named.encoding_direction == {"F": 1.0, "M": -1.0, "N": 0.0}
    with pytest.raises(BadData, match="feature_definition must be a trainer, or another object with a pair"):
        ModelWithGradiend.from_pretrained(folder, feature_definition="M")  # type: ignore[arg-type]


# --- encoder ---------------------------------------------------------------------------------------------------------


def test_neutral_texts_are_those_of_the_test_split(trainer: TextPredictionTrainer, rows: pd.DataFrame) -> None:
    sizes = rows["split"].value_counts()
    expected = {"train": 0, "validation": 0, "test": sizes["test"], "all": sizes["test"]}
    for split, masked in expected.items():
        counts = trainer.evaluate_encoder(split=split)["sample_counts"]["by_type"]
        assert counts.get("neutral_training_masked", 0) == masked, split
        assert counts["training"] == (len(rows) if split == "all" else sizes[split]) and counts["neutral_dataset"] == 6
    both = trainer.evaluate_encoder(split=["validation", "test"])["sample_counts"]["by_type"]
    assert both["neutral_training_masked"] == sizes["test"]


def test_every_column_of_the_encoded_rows_is_filled(trainer: TextPredictionTrainer) -> None:
    table = trainer.evaluate_encoder(return_df=True)["encoder_df"]
    own = table[table["type"] == "training"].iloc[0]
    assert own["masked"] == own["input_text"] == own["template"] and own["input_type"] == "alternative"
    assert own["factual_id"] != own["counterfactual_id"] == own["target_id"]
    assert own["transition_id"] == own["feature_class_id"]
    neutral = table[table["type"] != "training"]
    assert set(neutral["data_split"]) == {"test"} and set(neutral["input_type"]) == {"factual"}
    pd.testing.assert_frame_equal(trainer.get_encodings(), table)
    assert trainer.get_encoder_metrics(encoder_df=table) == trainer.evaluate_encoder(encoder_df=table)
    assert trainer.get_encoder_metrics(encoder_df=table.iloc[:0]) is None
    assert (
        trainer.get_encoder_metrics(split="train")["n_samples"] == trainer.evaluate_encoder(split="train")["n_samples"]
    )  # type: ignore[index]


# --- training.json ---------------------------------------------------------------------------------------------------


def test_every_encoded_row_of_an_evaluation_is_kept(trainer: TextPredictionTrainer, rows: pd.DataFrame) -> None:
    stats = load_training_stats(model_path=trainer.model_path)
    assert stats is not None
    kept = stats["training_stats"][ROWS]
    assert list(kept) == ["0", "6", "12"]
    assert {len(found) for found in kept.values()} == {(rows["split"] == "validation").sum()}
    best = str(stats["best_score_checkpoint"]["global_step"])
    values = [row["encoded"] for row in kept[best] if row["label"] == 1.0]
    assert sum(values) / len(values) == pytest.approx(stats["training_stats"]["mean_by_class"][best]["1.0"])


def test_rows_are_turned_around_with_the_encoder() -> None:
    turned = flipped({"correlation": -0.9, ROWS: [{"encoded": 0.5, "text": "a"}, {"encoded": [1.0, -2.0]}]})
    assert turned[ROWS] == [{"encoded": -0.5, "text": "a"}, {"encoded": [-1.0, 2.0]}] and turned["correlation"] == 0.9


def test_rows_of_old_evaluations_are_forgotten_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MOST_ROWS", 5)
    history = History()
    for step in range(6):
        history.add_evaluation(step, {"correlation": 0.1, ROWS: [{}, {}]})
        if step == 1:
            history.best_step = 1
    assert list(history.by_step[ROWS]) == [1, 5], "those of the best step and the newest"
    assert list(history.scores) == [0, 1, 2, 3, 4, 5]


# --- policies --------------------------------------------------------------------------------------------------------


def test_policies_take_the_arguments_of_the_reference() -> None:
    few = [Candidate({"rate": rate, "learning_rate": 9.0}, lms, {"F": value}) for rate, lms, value in
           ((2.0, 0.1, 0.9), (0.5, 0.2, 0.3), (0.0, 0.1, 0.1))]  # fmt: skip
    own = LMSThresholdPolicy(ratio=0.99, lr_from_id=lambda cell: cell["rate"])
    assert own.select(metric="F", candidates=few, ctx=BaseContext(1.0)) is few[1], "the smallest rate but zero"
    assert LMSThresholdPolicy(require_base_lms=False).select("F", few, BaseContext(None)) is few[0]
    with pytest.raises(BadGrid, match="The base model has no language-modelling score"):
        LMSThresholdPolicy().select("F", few, BaseContext(None))
    assert LMSTimesMetricPolicy().select(metric="F", candidates=few, ctx=BaseContext(None)) is few[0]


# --- a trainer without a folder, and names ----------------------------------------------------------------------------


def test_figures_of_a_trainer_without_a_folder_are_handed_back(
    trainer: TextPredictionTrainer, rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    loose = TextPredictionTrainer(trainer.get_model(), data=rows, target_classes=["M", "F"])
    with caplog.at_level(logging.WARNING):
        decoder = loose.evaluate_decoder(lrs=[0.1], plot=True)
        encoder = loose.evaluate_encoder(plot=True, max_size=3)
        training = loose.plot_training_convergence()
    assert [type(one) for one in decoder["plot_paths"]] == [go.Figure, go.Figure] and decoder["plot_path"] is None
    assert isinstance(encoder["figure"], go.Figure) and isinstance(training, go.Figure)
    assert caplog.text.count("is written nowhere") == 4
    assert loose.rewrite_base_model(decoder, "F") is not None, "figures are no choices"


def test_a_figure_per_class_where_one_file_is_named(trainer: TextPredictionTrainer, tmp_path: Path) -> None:
    results = trainer.evaluate_decoder(lrs=[0.1], plot=True, plot_kwargs={"output": tmp_path / "shift.html"})
    assert sorted(Path(path).name for path in results["plot_paths"]) == ["shift_F.html", "shift_M.html"]
    alone = trainer.evaluate_decoder(
        lrs=[0.1], target_class="F", plot=True, plot_kwargs={"output": tmp_path / "one.html"}
    )
    assert alone["plot_path"] == str(tmp_path / "one.html")


def test_names_that_a_trainer_shares_with_the_reference(trainer: TextPredictionTrainer) -> None:
    assert trainer.get_target_feature_classes() == trainer.get_target_feature_class_ids() == ["M", "F"]
    assert trainer.non_target_classes == [] and trainer.resolve_model_path("base") == "base"
    assert trainer.get_saved_seed_run_paths() == [trainer.model_path]
    with pytest.raises(BadGrid, match="selection must be 'best', 'all_convergent' or 'all_tried', not 'good'"):
        trainer.get_saved_seed_run_paths("good")
    assert trainer.evaluate(split="train", max_size=3, kwargs_decoder={"lrs": [0.1]})["encoder"]["n_samples"] > 0


def test_names_and_overrides_that_are_not_here(trainer: TextPredictionTrainer) -> None:
    with pytest.raises(NotAllowed, match="TextPredictionTrainer has no multi_seed here: load each folder"):
        trainer.multi_seed()
    with pytest.raises(NotAllowed, match=r"train\(\) has no argument 'model_with_gradiend_cls' here"):
        trainer.train(model_with_gradiend_cls=object)
    with pytest.raises(BadGrid, match="'max_stps' is no training argument. Did you mean 'max_steps'?"):
        trainer.train(max_stps=3)
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_that_name'"):
        _ = trainer.nothing_of_that_name


ODD_VALUES: list[tuple[str, dict[str, Any]]] = [
    ("evaluate_encoder", {"encoder_df": {}}),
    ("evaluate_encoder", {"device": object()}),
    ("evaluate_encoder", {"plot_kwargs": "x"}),
    ("evaluate_decoder", {"training_like_df": object()}),
    ("evaluate_decoder", {"summary_extractor": 3}),
    ("evaluate_decoder", {"summary_metrics": 3}),
    ("evaluate", {"kwargs_encoder": "x"}),
    ("rewrite_base_model", {"decoder_results": {}, "target_class": "M", "output_dir": 3}),
    ("plot_probability_shifts", {"decoder_results": {"grid": {}}, "class_ids": 3}),
    ("plot_probability_shifts", {"decoder_results": {"grid": {}}, "feature_factor": "x"}),
    ("plot_training_convergence", {"figsize": (3,)}),
    ("plot_training_convergence", {"figsize": "x"}),
    ("plot_training_convergence", {"figsize": (0, 4)}),
    ("plot_training_convergence", {"label_name_mapping": ["M"]}),
    ("plot_training_convergence", {"output": 3}),
    ("plot_training_convergence", {"legend_loc": []}),
    ("plot_training_convergence", {"training_stats": 3}),
    ("plot_training_convergence", {"img_format": 3}),
    ("plot_training_convergence", {"theme": []}),
    ("plot_encoder_distributions", {"encoder_df": 3}),
    ("load_model", {"load_directory": 3}),
    ("get_training_stats", {"model_path": b"x"}),
    ("resolve_split_for_role", {"role": []}),
]


@pytest.mark.parametrize(("method", "given"), ODD_VALUES, ids=lambda value: re.sub(" at 0x.*", "", str(value)[:60]))
def test_values_of_an_odd_kind_meet_a_sentence(
    method: str, given: dict[str, Any], trainer: TextPredictionTrainer
) -> None:
    with pytest.raises(GradiendUIError) as told:
        getattr(trainer, method)(**given)
    assert str(told.value).rstrip().endswith(".")


@pytest.mark.parametrize(
    "given",
    [
        {"target_classes": 3},
        {"split_ratios": 3},
        {"split_train_ratio": "x"},
        {"mask_placeholder": 3},
        {"class_merge_map": {"x": 1}},
        {"decoder_eval_ignore_tokens": 3},
    ],
    ids=str,
)
def test_settings_of_an_odd_kind_meet_a_sentence(given: dict[str, Any]) -> None:
    with pytest.raises(BadData, match=next(iter(given))):
        TextPredictionConfig(**given)
