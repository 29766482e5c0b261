"""`train()` as users call it: seeds, folders, stop and resume, caches, wrong calls."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from gradiend_ui import (
    ModelWithGradiend,
    PrePruneConfig,
    TextPredictionConfig,
    TextPredictionTrainer,
    TrainingArguments,
)
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, BadName, GradiendUIError

QUICK = {"max_steps": 6, "eval_steps": 3, "learning_rate": 1e-3, "train_batch_size": 4}


def trainer_of(base: Path, rows: pd.DataFrame, **arguments: object) -> TextPredictionTrainer:
    return TextPredictionTrainer(
        model=str(base), data=rows, target_classes=["M", "F"], args=TrainingArguments(**{**QUICK, **arguments})
    )


def test_seeds_with_report_and_best_promoted(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    subject = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=2, min_convergent_seeds=None)
    subject.train(saved_seed_runs="all_tried")
    report = subject.get_seed_report()
    assert report is not None and [run["seed"] for run in report["runs"]] == [0, 1]
    best = subject.get_best_seed_run_path()
    assert best is not None and Path(best).name == f"seed_{report['best_seed']}"
    model, again = subject.get_model(), ModelWithGradiend.from_pretrained(best)
    assert torch.equal(model.gradiend.decoder[0].linear.weight, again.gradiend.decoder[0].linear.weight)
    assert subject.model_path == str(tmp_path / "model")


def test_run_id_and_a_folder_with_dots(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    config = TextPredictionConfig(data=rows, target_classes=["M", "F"], run_id="gender.v1")
    arguments = TrainingArguments(**QUICK, experiment_dir=str(tmp_path / "exp"), max_seeds=1)
    subject = TextPredictionTrainer(str(tiny_bert), config=config, args=arguments)
    assert subject.train() is subject
    assert (tmp_path / "exp" / "gender.v1" / "model" / "config.json").is_file()
    page = Path(subject.plot_training_convergence())
    assert page.parent == tmp_path / "exp" / "gender.v1"


def test_a_stopped_training_goes_on(tiny_gpt2: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    whole = trainer_of(tiny_gpt2, rows, experiment_dir=str(tmp_path / "whole"), max_seeds=1)
    whole.train()
    halves = trainer_of(tiny_gpt2, rows, experiment_dir=str(tmp_path / "halves"), max_seeds=1)
    seen: list[int] = []
    for step in halves.train_steps(should_stop=lambda: len(seen) >= 3):
        seen.append(step.step)
    assert 2 < len(seen) < 6
    assert not (tmp_path / "halves" / "model" / "config.json").exists()
    halves.train()
    one, other = whole.get_model().gradiend, halves.get_model().gradiend
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_the_model_of_an_experiment_is_found_but_never_another_base_s(
    tiny_bert: Path, tiny_gpt2: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1).train()
    later = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path))
    assert len(later.get_model()) > 0
    foreign = trainer_of(tiny_gpt2, rows, experiment_dir=str(tmp_path))
    with pytest.raises(GradiendUIError, match="train"):
        foreign.get_model()


def test_pruned_and_without_an_experiment_folder(tiny_bert: Path, rows: pd.DataFrame) -> None:
    subject = trainer_of(tiny_bert, rows, max_seeds=1, pre_prune_config=PrePruneConfig(n_samples=8, topk=0.1))
    subject.train()
    assert len(subject.get_model()) == pytest.approx(0.1 * subject.get_model().unpruned_length(), rel=0.01)
    results = subject.evaluate_decoder(lrs=[0.1])
    assert set(results) == {"M", "F", "grid"}


def test_use_cache_takes_the_same_training_only(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    first = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1, use_cache=True)
    first.train()
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1, use_cache=True).train()
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before
    trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1, use_cache=True, seed=3).train()
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns != before


def test_callbacks_see_every_step(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    seen = []
    subject = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1)
    subject.train(callbacks=[lambda step: seen.append(step.step)])
    assert seen[0] == 0 and seen[-1] == 6 and sorted(seen) == seen
    stats = json.loads((tmp_path / "model" / "training.json").read_text())
    assert len(stats["losses"]) == 6


def test_wrong_calls_are_told(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    subject = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1)
    with pytest.raises(BadGrid, match="no training argument"):
        subject.train(learning_speed=1.0)
    with pytest.raises(BadData, match="clm_mlm_head"):
        subject.train(prediction_objective="clm_mlm_head")
    with pytest.raises(BadBase, match="mlm_mask_token"):
        subject.train(prediction_objective="clm_next_token")
    subject.train()
    trained = TextPredictionTrainer(model=str(tmp_path), data=rows)
    with pytest.raises(BadData, match="base model"):
        trained.train(output_dir=str(tmp_path / "other"))


def test_splits_are_drawn_where_there_are_none(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    subject = trainer_of(tiny_bert, rows.drop(columns="split"), experiment_dir=str(tmp_path), max_seeds=1)
    subject.train()
    assert set(subject.combined_data["split"]) == {"train", "validation", "test"}
    assert subject.evaluate_decoder(lrs=[0.1])["grid"]
    scored = TextPredictionTrainer(model=str(tmp_path), data=rows.drop(columns="split"))
    assert set(scored.combined_data["split"]) == {"test"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_folder_s_other_files_stay(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path, seeds: int) -> None:
    place = tmp_path / "mine"
    (place / "sub").mkdir(parents=True)
    (place / "notes.txt").write_text("mine")
    (place / "sub" / "thesis.tex").write_text("mine too")
    subject = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path / "exp"), max_seeds=seeds)
    subject.train(output_dir=str(place), min_convergent_seeds=None)
    assert (place / "notes.txt").read_text() == "mine" and (place / "sub" / "thesis.tex").is_file()
    assert (place / "model.safetensors").is_file()


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_base_model_is_never_overwritten(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path, seeds: int) -> None:
    copy = shutil.copytree(tiny_bert, tmp_path / "base")
    before = (copy / "model.safetensors").read_bytes()
    subject = trainer_of(copy, rows, experiment_dir=str(tmp_path / "exp"), max_seeds=seeds)
    with pytest.raises(BadName, match="another model"):
        subject.train(output_dir=str(copy))
    subject.train()
    with pytest.raises(BadName, match="another model"):
        subject.get_model().save_pretrained(copy)
    assert (copy / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"convergent_score_threshold": "high"}, "convergent_score_threshold"),
        ({"pre_prune_config": {"topk": 0.1}}, "PrePruneConfig"),
        ({"params": [1]}, "params"),
        ({"source": "nothing"}, "source"),
    ],
)
def test_wrong_training_arguments(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(GradiendUIError, match=sentence):
        TrainingArguments(**wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"model": ""}, "model must be"),
        ({"model": 5}, "model must be"),
        ({"config": {}}, "TextPredictionConfig"),
        ({"args": {"max_steps": 1}}, "TrainingArguments"),
        ({"target_classes": {"M", "F"}}, "order"),
        ({"class_merge_map": ["M"]}, "class_merge_map"),
        ({"n_features": "two"}, "n_features"),
        ({"decoder_eval_ignore_tokens": "he"}, "list of words"),
        ({"decoder_eval_prob_on_other_class": "yes"}, "True or False"),
    ],
)
def test_wrong_constructor_arguments(rows: pd.DataFrame, wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(GradiendUIError, match=sentence):
        TextPredictionTrainer(**{"model": "base", "data": rows, **wrong})


def test_a_model_replaced_by_another_training_is_told(
    tiny_bert: Path, tiny_gpt2: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    first = trainer_of(tiny_bert, rows, experiment_dir=str(tmp_path), max_seeds=1)
    first.train()
    trainer_of(tiny_gpt2, rows, experiment_dir=str(tmp_path), max_seeds=1).train()
    with pytest.raises(GradiendUIError, match="replaced"):
        first.get_model()
    with pytest.raises(BadGrid, match="functions"):
        first.train(callbacks=["print"])
