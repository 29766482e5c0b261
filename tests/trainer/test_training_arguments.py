"""`TrainingArguments`: the reference's names and defaults, what is refused, and what the engine makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.forms.unified import unify
from gradiend_ui.engine.errors import BadData, BadGrid, BadName, Failed, NotAllowed
from gradiend_ui.trainer.arguments import PostPruneConfig, PrePruneConfig, TrainingArguments, arguments_with
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.training import run_training, settings_of, training_plan


def test_defaults_depend_on_each_other() -> None:
    args = TrainingArguments(train_batch_size=8)
    assert (args.base_gradient_batch_size, args.gradiend_batch_size) == (8, 1)
    assert (args.convergent_score_threshold, args.convergent_mean_by_class_threshold) == (0.5, 0.5)
    assert (args.source, args.target, args.learning_rate, args.max_seeds) == ("alternative", "diff", 1e-5, 3)
    assert arguments_with(args, {"train_batch_size": 4}).base_gradient_batch_size == 4
    with pytest.raises(BadGrid, match="'steps' is no training argument"):
        arguments_with(args, {"steps": 3})


def test_there_and_back(tmp_path: Path) -> None:
    args = TrainingArguments(
        experiment_dir=tmp_path,
        pre_prune_config=PrePruneConfig(topk=5),
        post_prune_config=PostPruneConfig(topk=3),
        torch_dtype=torch.bfloat16,
        params=("a.*",),
    )
    content = args.to_dict()
    assert content["torch_dtype"] == "torch.bfloat16" and content["experiment_dir"] == str(tmp_path)
    back = TrainingArguments.from_dict({**content, "unknown": 1})
    assert back.to_dict() == content and back.pre_prune_config == args.pre_prune_config
    assert args.get("seed") == 0 and args.get("nothing", 7) == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "neither"}, "source must be one of"),
        ({"train_batch_size": 0}, "train_batch_size must be a whole number from 1"),
        ({"train_batch_size": True}, "train_batch_size"),
        ({"encoder_eval_max_size": -1}, "encoder_eval_max_size"),
        ({"use_cache": "sometimes"}, "use_cache must be one of"),
        ({"use_cache": 1}, "use_cache must be one of"),
        ({"min_convergent_seeds": 4}, "cannot be more than max_seeds"),
        ({"min_convergent_seeds": 0}, "min_convergent_seeds must be a whole number from 1"),
        ({"convergent_metric": "loss"}, "needs convergent_score_threshold"),
        ({"saved_seed_runs": "none"}, "saved_seed_runs must be one of"),
        ({"optim": "sgd"}, "optim must be one of"),
        ({"do_eval": 1}, "do_eval must be True or False"),
        ({"params": "bert.*"}, "write \\['bert"),
        ({"learning_rate": -1.0}, "learning_rate must be a number"),
        ({"mask_placeholder": ""}, "mask_placeholder"),
        ({"experiment_dir": 3}, "experiment_dir must be a path"),
    ],
)
def test_values_that_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadGrid, match=words):
        TrainingArguments(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": "tune"},
        {"supervised_encoder": True},
        {"runtime_monitor": True},
        {"trust_remote_code": True},
        {"precompute_gradient_batches": True},
        {"evaluate_fn": print},
    ],
)
def test_what_is_not_here_says_what_to_do(change: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed, match=next(iter(change))):
        TrainingArguments(**change)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (PrePruneConfig, {"topk": None}),
        (PrePruneConfig, {"topk": 0}),
        (PrePruneConfig, {"topk": 1.5}),
        (PrePruneConfig, {"topk": True}),
        (PrePruneConfig, {"threshold": -1.0}),
        (PrePruneConfig, {"n_samples": 0}),
        (PrePruneConfig, {"source": "target"}),
        (PostPruneConfig, {"topk": None}),
        (PostPruneConfig, {"part": "decoder"}),
    ],
)
def test_pruning_that_is_refused(kind: Any, change: dict[str, Any]) -> None:
    with pytest.raises(BadGrid):
        kind(**change)


def test_settings_of_the_engine() -> None:
    settings = settings_of(TrainingArguments(seed=None, eval_strategy="no", activation_encoder="GELU", latent_dim=2))
    assert not settings.do_eval and settings.activation_encoder == "gelu" and settings.latent_dim == 2
    assert settings_of(TrainingArguments(save_strategy="steps", save_steps=7)).save_every == 7
    with pytest.raises(BadGrid, match="activation_encoder"):
        settings_of(TrainingArguments(activation_encoder="sine"))


def test_a_training_by_arguments(tiny_bert: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    """Caps, several seeds, reuse by policy, and convergence that is demanded."""
    data = unify(rows, TextPredictionConfig(target_classes=["M", "F"]).form())
    base = load_base_model(str(tiny_bert))
    quick: dict[str, Any] = {
        "experiment_dir": tmp_path,
        "train_batch_size": 4,
        "train_max_size": 8,
        "encoder_eval_train_max_size": 3,
        "max_steps": 4,
        "eval_steps": 2,
        "max_seeds": 2,
        "min_convergent_seeds": 2,
        "params": ["bert.encoder.layer.1.*"],
    }
    args = TrainingArguments(**quick)
    plan = training_plan(args, data, str(tiny_bert))
    assert len(plan.rows) == 16 and len(plan.evaluation_rows) == 6 and plan.pair == ("M", "F")
    steps = list(run_training(args, base, plan, data))
    assert steps[-1].folder == tmp_path / "model" and (tmp_path / "seeds" / "seed_report.json").is_file()
    for policy, count in ((True, 1), ("always", 1), ("only_convergent", None), (None, None)):
        again = TrainingArguments(**quick, use_cache=policy)
        made = list(run_training(again, base, training_plan(again, data, str(tiny_bert)), data))
        assert made[-1].folder == tmp_path / "model" and (len(made) == count if count else len(made) > 1), policy
    changed = TrainingArguments(**{**quick, "learning_rate": 1e-4}, use_cache=True)
    assert len(list(run_training(changed, base, training_plan(changed, data, str(tiny_bert)), data))) > 1
    strict = TrainingArguments(**{**quick, "max_seeds": 1, "min_convergent_seeds": 1}, fail_on_non_convergence=True)
    with pytest.raises(Failed, match="did not converge"):
        list(run_training(strict, base, training_plan(strict, data, str(tiny_bert)), data))
    homeless = TrainingArguments(max_steps=1)
    with pytest.raises(BadName, match="experiment_dir or output_dir"):
        next(run_training(homeless, base, plan, data))
    only_test = unify(rows[rows["split"] == "test"], TextPredictionConfig(target_classes=["M", "F"]).form())
    with pytest.raises(BadData, match="needs rows of the split 'train'"):
        training_plan(args, only_test, str(tiny_bert))
