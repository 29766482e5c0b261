"""Every public call of trainer, model, records and policies with values that nobody should give: taken, or a sentence.

A walk over signatures, so that an argument that is new is tried, too. Nothing is said about what odd values do where
they are taken; a raw error of Python is what may not come out.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import gradiend_ui
from gradiend_ui import (
    BaseContext,
    Candidate,
    GradiendUIError,
    LMSThresholdPolicy,
    LMSTimesMetricPolicy,
    ModelWithGradiend,
    PostPruneConfig,
    PrePruneConfig,
    TextPredictionConfig,
    TextPredictionTrainer,
    TrainingArguments,
    convert_research_checkpoint,
    load_training_stats,
)
from tests.trainer.test_what_scripts_meet import STEPS

ODD: tuple[Any, ...] = (
    None, "", " ", "x", "\ud800", "a\0b", b"x", object(), object, -1, 0, 1.5, float("nan"), float("inf"), 10**30, True,
    [], ["x"], [None], [1], {}, {"x": 1}, {None: None}, (1,), (0, 0), Path("nowhere"), lambda *given: None,
    np.array([1.0]), np.float32("nan"), torch.tensor(1.0), pd.DataFrame(), pd.DataFrame({"masked": ["a"]}),
    pd.Series([1]),
)  # fmt: skip
MODEL = ("encode", "get_enhancer_mask", "get_topk_weights", "export_topk_features", "invert_encoding",
         "prune_gradiend", "rewrite_base_model", "save_pretrained", "set_feature_class_encoding_direction", "to",
         "cuda", "update_vector", "with_original_base_model", "from_pretrained")  # fmt: skip
FIGURES = ("plot_encoder_distributions", "plot_encoder_scatter", "plot_encoder_strip_by_split",
           "plot_encoder_by_target", "plot_probability_shifts", "plot_training_convergence")  # fmt: skip
OTHERS = ("rewrite_base_model", "load_model", "get_model", "get_training_stats", "get_saved_seed_run_paths",
          "resolve_split_for_role", "to", "evaluate_encoder", "get_encodings", "get_encoder_metrics")  # fmt: skip


@pytest.fixture(scope="module")
def trainer(
    tiny_bert: Path, rows: pd.DataFrame, neutral_texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> TextPredictionTrainer:
    args = TrainingArguments(experiment_dir=tmp_path_factory.mktemp("odd"), **STEPS)
    return TextPredictionTrainer(
        str(tiny_bert), data=rows, target_classes=["M", "F"], eval_neutral_data=neutral_texts[:3], args=args
    ).train()


@pytest.fixture(scope="module")
def found(trainer: TextPredictionTrainer) -> Mapping[str, Mapping[str, Any]]:
    """What each method needs to come to an argument at all."""
    results = trainer.evaluate_decoder(lrs=[0.1], max_size=2, plot=True)
    table = trainer.evaluate_encoder(return_df=True, split="all", max_size=3)["encoder_df"]
    few = dict.fromkeys(("evaluate_encoder", "get_encodings", "get_encoder_metrics"), {"max_size": 1})
    return {
        "from_pretrained": {"load_directory": trainer.model_path},
        "rewrite_base_model of the model": {"learning_rate": 0.1, "feature_factor": 1.0},
        "rewrite_base_model": {"decoder_results": results, "target_class": "M"},
        "get_enhancer_mask": {"topk": 5},
        "export_topk_features": {"output_path": "top.json", "topk": 5},
        "prune_gradiend": {"topk": 0.5, "inplace": False},
        "save_pretrained": {"save_directory": "saved"},
        "encode": {"input": "[MASK] is here", "label": "he"},
        "load_model": {"load_directory": trainer.model_path},
        "resolve_split_for_role": {"role": "train"},
        "plot_probability_shifts": {"decoder_results": results, "return_fig_ax": True},
        **dict.fromkeys(FIGURES[:4], {"encoder_df": table}),
        **few,
    }


def tried(label: str, call: Callable[[], object]) -> str | None:
    """None where it works or says a sentence, else what came out."""
    try:
        call()
    except GradiendUIError as error:
        return None if len(str(error)) > 15 else f"{label}: no sentence: {error}"
    except Exception as error:  # what may not come out is what the test looks for
        return f"{label}: {type(error).__name__}: {str(error)[:80]}"
    return None


def walk(call: Callable[..., object], known: Mapping[str, Any], names: Iterable[str] | None = None) -> list[str]:
    """What comes out raw, with one odd value after the other as each argument (`names`, None: those of the call)."""
    told = []
    for name in inspect.signature(call).parameters if names is None else names:
        for odd in ODD:
            label = f"{name}={' '.join(repr(odd).split())}"
            told.append(tried(label, lambda given={**known, name: odd}: call(**given)))
    return [raw for raw in told if raw is not None]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _figures_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plotly's page is megabytes of text, the same in every figure; its window has no screen here."""
    from gradiend_ui.trainer import figures

    monkeypatch.setattr(figures, "page", lambda figure: "")
    monkeypatch.setattr(figures.go.Figure, "show", lambda figure: None)


@pytest.mark.parametrize("name", MODEL)
def test_a_model_takes_odd_values_or_says_a_sentence(
    name: str, trainer: TextPredictionTrainer, found: Mapping[str, Mapping[str, Any]]
) -> None:
    model = trainer.get_model()
    known = found.get(f"{name} of the model") or found.get(name, {})
    names = inspect.signature(getattr(model, name)).parameters
    assert walk(lambda **given: getattr(copy.copy(model), name)(**given), known, names) == []


@pytest.mark.parametrize("name", [*FIGURES, *OTHERS])
def test_a_trainer_takes_odd_values_or_says_a_sentence(
    name: str, trainer: TextPredictionTrainer, found: Mapping[str, Mapping[str, Any]]
) -> None:
    assert walk(getattr(trainer, name), found.get(name, {})) == []


@pytest.mark.quick
@pytest.mark.parametrize("cls", [TrainingArguments, TextPredictionConfig, PrePruneConfig, PostPruneConfig])
def test_a_record_takes_odd_values_or_says_a_sentence(cls: type) -> None:
    least = {"n_samples": 4} if cls is PrePruneConfig else {}
    assert walk(lambda **given: repr(cls(**given)), least, [field.name for field in fields(cls)]) == []


@pytest.mark.quick
def test_a_trainer_is_made_or_says_a_sentence(tiny_bert: Path, rows: pd.DataFrame) -> None:
    known = {"model": str(tiny_bert), "data": rows, "target_classes": ["M", "F"]}

    def made(**given: Any) -> None:
        trainer = TextPredictionTrainer(**given)
        assert isinstance([trainer.experiment_dir, trainer.all_classes, trainer.pair, len(trainer.combined_data)], list)

    assert walk(made, known, inspect.signature(TextPredictionTrainer).parameters) == []


@pytest.mark.quick
@pytest.mark.parametrize("policy", [LMSThresholdPolicy(), LMSTimesMetricPolicy()])
def test_a_policy_takes_odd_values_or_says_a_sentence(policy: Any) -> None:
    cell, context = {"learning_rate": 1.0, "feature_factor": 1.0}, BaseContext(base_lms=0.5)
    good = Candidate(id=cell, lms=0.5, metrics={"M": 0.5})
    for odd in ODD:
        calls: list[Callable[[], object]] = [
            lambda odd=odd: policy.select(odd, [good], context),
            lambda odd=odd: policy.select("M", odd, context),
            lambda odd=odd: policy.select("M", [good], odd),
            lambda odd=odd: policy.select("M", [Candidate(id=cell, lms=odd, metrics={"M": 0.5})], context),
            lambda odd=odd: policy.select("M", [Candidate(id=cell, lms=0.5, metrics={"M": odd})], context),
            lambda odd=odd: policy.select("M", [Candidate(id=cell, lms=0.5, metrics=odd)], context),
        ]
        assert [told for call in calls if (told := tried(repr(odd), call))] == []


@pytest.mark.quick
@pytest.mark.parametrize("call", [load_training_stats, convert_research_checkpoint])
def test_a_function_takes_odd_values_or_says_a_sentence(call: Callable[..., object]) -> None:
    known = {"source": "nowhere", "target": "to"} if call is convert_research_checkpoint else {}
    assert walk(call, known) == []


def test_the_directions_are_a_dictionary(trainer: TextPredictionTrainer) -> None:
    model = copy.copy(trainer.get_model())
    for odd in ["x", 1, object(), pd.DataFrame(), [1]]:
        with pytest.raises(GradiendUIError, match="directions must be a dictionary"):
            model.feature_class_encoding_direction = odd  # type: ignore[assignment]


def test_a_wrong_model_device_or_dtype_is_named(trainer: TextPredictionTrainer) -> None:
    model = trainer.get_model()
    with pytest.raises(GradiendUIError, match="base_model, unless it is a folder or a Hub id, must be a loaded model"):
        ModelWithGradiend.from_pretrained(trainer.model_path, base_model=object())
    with pytest.raises(GradiendUIError, match="new_base must be a loaded model of transformers, not 'x'"):
        model.with_original_base_model("x")
    with pytest.raises(GradiendUIError, match="torch_dtype must be a dtype of PyTorch"):
        model.to(torch_dtype=object())  # type: ignore[arg-type]
    with pytest.raises(GradiendUIError, match="There is no device 1000"):
        model.to(10**30)  # type: ignore[arg-type]


def test_an_empty_folder_is_not_the_working_directory(trainer: TextPredictionTrainer, tmp_path: Path) -> None:
    for empty in ("", " "):
        with pytest.raises(GradiendUIError, match="save_directory is empty"):
            trainer.get_model().save_pretrained(empty)
        with pytest.raises(GradiendUIError, match="output_path is empty"):
            trainer.get_model().export_topk_features(empty)
    with pytest.raises(GradiendUIError, match="has no name"):
        trainer.plot_training_convergence(experiment_dir=" ", output=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick
def test_numbers_and_flags_of_numpy_are_taken() -> None:
    args = TrainingArguments(max_steps=np.int64(5), do_eval=np.bool_(False))  # type: ignore[arg-type]
    assert (args.max_steps, args.do_eval) == (5, False)
    assert [type(args.to_dict()[name]) for name in ("max_steps", "do_eval")] == [int, bool]
    assert type(TextPredictionConfig(n_features=np.int64(1)).n_features) is int  # type: ignore[arg-type]


@pytest.mark.quick
def test_a_column_is_named_by_a_text() -> None:
    with pytest.raises(GradiendUIError, match="label_class_col must be the name of a column, not 1"):
        TextPredictionConfig(label_class_col=1)  # type: ignore[arg-type]


@pytest.mark.quick
def test_the_converter_is_in_the_package() -> None:
    assert "convert_research_checkpoint" in gradiend_ui.__all__
    with pytest.raises(GradiendUIError, match="target is empty"):
        gradiend_ui.convert_research_checkpoint("old", "")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("torch_dtype", "torch_dtype must be one of float32"),
        ("activation_encoder", "activation_encoder must be the name of an activation or None"),
        ("activation_decoder", "activation_decoder must be the name of an activation or None"),
        ("bias_decoder", "bias_decoder must be True or False or None"),
        ("base_model_device_map", "base_model_device_map must be a device map"),
        ("metadata", "metadata must be a dictionary"),
    ],
)
def test_what_a_training_needs_later_is_checked_at_once(field: str, told: str) -> None:
    with pytest.raises(GradiendUIError, match=told):
        TrainingArguments(**{field: object()})


@pytest.mark.quick
@pytest.mark.parametrize("odd", [1, object(), "a\0b", "\ud800"])
def test_a_run_id_is_the_name_of_a_folder(odd: Any, tiny_bert: Path) -> None:
    with pytest.raises(GradiendUIError, match="run_id"):
        TextPredictionTrainer(str(tiny_bert), run_id=odd)


@pytest.mark.quick
def test_settings_of_another_kind_are_not_passed_over(tiny_bert: Path) -> None:
    with pytest.raises(GradiendUIError, match="args must be TrainingArguments"):
        TextPredictionTrainer(str(tiny_bert), training_args={})  # type: ignore[arg-type]


def test_arguments_for_another_call_go_by_their_names(trainer: TextPredictionTrainer) -> None:
    for call in (
        lambda: trainer.evaluate(kwargs_encoder={1: "x"}),  # type: ignore[dict-item]
        lambda: trainer.evaluate(kwargs_decoder={1: "x"}),  # type: ignore[dict-item]
        lambda: trainer.evaluate_encoder(max_size=1, plot=True, plot_kwargs={1: "x"}),  # type: ignore[dict-item]
        lambda: trainer.evaluate_decoder(lrs=[0.1], plot=True, plot_kwargs={1: "x"}),  # type: ignore[dict-item]
    ):
        with pytest.raises(GradiendUIError, match="1 is no name"):
            call()
    with pytest.raises(GradiendUIError, match="plot_kwargs cannot hold 'target_class'"):
        trainer.evaluate_decoder(lrs=[0.1], plot=True, plot_kwargs={"target_class": "F"})


@pytest.mark.quick
def test_callbacks_are_functions_in_a_list(tiny_bert: Path, rows: pd.DataFrame) -> None:
    trainer = TextPredictionTrainer(str(tiny_bert), data=rows, target_classes=["M", "F"])
    for odd in (1, object(), {"x": 1}, "print", [None], pd.DataFrame({"a": [1]})):
        with pytest.raises(GradiendUIError, match="callbacks must be a list of functions"):
            trainer.train(callbacks=odd)  # type: ignore[arg-type]
