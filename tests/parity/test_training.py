"""Training beside the reference: the same rows and settings give the same losses, correlations and weights.

The reference reads what we wrote: it loads our checkpoints and rewrites and encodes as we do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gradiend_ui import ModelWithGradiend
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.forms.unified import unify
from gradiend_ui.engine.training.encoder_evaluation import Encoder, NeutralTexts, evaluate_encoder
from gradiend_ui.engine.training.record import load_training_stats
from gradiend_ui.trainer.arguments import PrePruneConfig, TrainingArguments
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.training import evaluation_rows, run_training, training_plan
from tests.parity.reference import Reference
from tests.parity.rewrites import CELLS, different, named_tensors, rewrite_theirs
from tests.support.costs import timed

STEPS = {"train_batch_size": 4, "max_steps": 36, "eval_steps": 12, "learning_rate": 1e-3}


@dataclass(frozen=True)
class Case:
    base: str
    arguments: Mapping[str, Any]
    topk: float | None = None
    exact: bool = True


CASES = {
    "bert-all": Case("tiny_bert", {}),
    "bert-pruned": Case("tiny_bert", {"source": "factual"}, topk=0.05),
    "bert-stacked": Case("tiny_bert", {"gradiend_batch_size": 2}),
    "gpt2-pruned": Case("tiny_gpt2", {}, topk=0.1),
    "gpt2-cloze": Case("tiny_gpt2", {"prediction_objective": "clm_sequence_cloze"}),
    "gpt2-diff": Case("tiny_gpt2", {"source": "diff", "normalize_gradiend": False}, exact=False),
}


@dataclass(frozen=True)
class Both:
    """One training, by us and by the reference."""

    ours: Path
    theirs: Path


@pytest.fixture(scope="module")
def trained(
    request: pytest.FixtureRequest, reference: Reference, rows: pd.DataFrame, model_folder: Path
) -> dict[str, Both]:
    data = unify(rows, TextPredictionConfig(target_classes=["M", "F"]).form())
    found: dict[str, Both] = {}
    for name, case in CASES.items():
        base = str(request.getfixturevalue(case.base))
        out = model_folder / f"training-{name}"
        options = {**STEPS, "prune_samples": 16, **case.arguments}
        with timed(f"training {name}, the reference"):
            reference.ask(
                "train", base=base, out=str(out / "theirs"), rows=rows.to_dict("records"), topk=case.topk, **options
            )
        pruning = None if case.topk is None else PrePruneConfig(n_samples=16, topk=case.topk, source="diff")
        args = TrainingArguments(
            experiment_dir=out / "ours",
            max_seeds=1,
            encoder_eval_train_max_size=8,
            pre_prune_config=pruning,
            **{**STEPS, **case.arguments},
        )
        with timed(f"training {name}, ours"):
            loaded = load_base_model(base, objective=args.prediction_objective)
            *_, last = run_training(args, loaded, training_plan(args, data, base), data)
        assert last.folder == out / "ours" / "model"
        found[name] = Both(out / "ours" / "model", out / "theirs" / "model")
    return found


def stats(folder: Path) -> dict[str, Any]:
    found = load_training_stats(folder)
    assert found is not None
    return found


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.exact])
def test_losses_correlations_and_weights_are_the_references(name: str, trained: dict[str, Both]) -> None:
    both = trained[name]
    ours, theirs = stats(both.ours), stats(both.theirs)
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-4)
    for measure in ("scores", "mean_by_class", "mean_by_feature_class", "std_by_class", "q1_by_class", "all_data"):
        mine, wanted = ours["training_stats"][measure], theirs["training_stats"][measure]
        assert mine.keys() == wanted.keys(), measure
        for step in wanted:
            assert mine[step] == pytest.approx(wanted[step], abs=1e-3), f"{measure} at {step}"
    assert ours["best_score_checkpoint"]["global_step"] == theirs["best_score_checkpoint"]["global_step"]
    assert ours["convergence_info"].keys() == theirs["convergence_info"].keys()
    assert ours["convergence_info"]["converged"] == theirs["convergence_info"]["converged"]
    mine, wanted = (json.loads((folder / "config.json").read_text()) for folder in (both.ours, both.theirs))
    assert mine["architecture"] == wanted["architecture"] and mine["mapping"] == wanted["mapping"]
    for path in both.theirs.glob("*.safetensors"):
        tensors, own = load_file(path), load_file(both.ours / path.name)
        for key, tensor in tensors.items():
            torch.testing.assert_close(own[key], tensor, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_same_steps_reach_the_same_correlation(name: str, trained: dict[str, Both]) -> None:
    both = trained[name]
    ours, theirs = (stats(folder)["best_score_checkpoint"]["correlation"] for folder in (both.ours, both.theirs))
    assert abs(ours) >= abs(theirs) - 0.02 or theirs == -1.0  # -1.0: the reference could not evaluate at all


@pytest.mark.parametrize("name", ["bert-all", "bert-pruned", "gpt2-pruned"])
def test_the_reference_loads_what_we_trained(
    name: str, trained: dict[str, Both], reference: Reference, tmp_path: Path
) -> None:
    checkpoint = trained[name].ours
    _, *theirs = rewrite_theirs(reference, checkpoint, CELLS, tmp_path)
    model = ModelWithGradiend.from_pretrained(str(checkpoint))
    for cell, wanted in zip(CELLS, theirs, strict=True):
        assert different(named_tensors(model.rewrite_base_model(**cell)), wanted) == [], f"{cell}"
    told = reference.ask("rewrite", checkpoint=str(checkpoint), cells=[], out=str(tmp_path))
    assert told["class_directions"] == {"M": 1, "F": -1}
    assert told["source"] == CASES[name].arguments.get("source", "alternative")


@pytest.mark.parametrize("name", ["bert-all", "bert-pruned", "gpt2-pruned"])
def test_evaluate_encoder(
    name: str, trained: dict[str, Both], reference: Reference, rows: pd.DataFrame, neutral_texts: list[str]
) -> None:
    """Of one checkpoint, ours: every measure, with the neutral rows both draw by themselves."""
    checkpoint = trained[name].ours
    theirs = reference.ask(
        "evaluate_encoder",
        checkpoint=str(checkpoint),
        rows=rows.to_dict("records"),
        neutral=neutral_texts[:12],
        options={"split": "test", "max_size": 9},
    )
    model = ModelWithGradiend.from_pretrained(str(checkpoint))
    data = unify(rows, TextPredictionConfig(target_classes=["M", "F"]).form())
    args = TrainingArguments(source=model.source)
    test = evaluation_rows(data, ("M", "F"), args, "test", 9)
    words = sorted({word for row in data.rows for word in (row.label, row.alternative)})
    ours = evaluate_encoder(
        Encoder(model.base, model.mapped, model.gradiend, model.source),
        test,
        ("M", "F"),
        neutral=NeutralTexts(test, neutral_texts[:12], words, 9),
        return_df=True,
    )
    frame = pd.DataFrame(theirs.pop("frame"))
    table = ours.pop("encoder_df")
    assert table["type"].tolist() == frame["type"].tolist() and table["label"].tolist() == frame["label"].tolist()
    for column in ("template", "factual_token", "source_token"):
        own = frame["type"] == "training"
        assert table[own.to_numpy()][column].tolist() == frame[own][column].tolist()
    assert table["encoded"].to_numpy() == pytest.approx(frame["encoded"].to_numpy(), abs=1e-3)
    assert set(theirs) == set(ours)
    for key, wanted in theirs.items():
        mine = json.loads(json.dumps(ours[key], default=str))
        assert mine == pytest.approx(wanted, abs=1e-3) if key not in NESTED else nearly(mine, wanted), key


NESTED = ("sample_counts", "mean_by_target", "label_value_to_class_name", "eval_group_basis")


def nearly(mine: Any, wanted: Any) -> bool:
    """Equal structures, numbers within 1e-3."""
    if isinstance(wanted, dict):
        return mine.keys() == wanted.keys() and all(nearly(mine[key], wanted[key]) for key in wanted)
    return bool(mine == pytest.approx(wanted, abs=1e-3)) if isinstance(wanted, float) else bool(mine == wanted)
