"""A training run: it learns, keeps its best step, leaves the base alone, and goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.rows import EvalRow, read_rows
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, Failed
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.encoder_evaluation import Encoder, NeutralTexts, evaluate_encoder
from gradiend_ui.engine.training.interruption import working_folder
from gradiend_ui.engine.training.loop import TrainingPlan, TrainingStep, train_gradiend
from gradiend_ui.engine.training.record import load_training_stats
from gradiend_ui.engine.training.seeds import SeedPlan, train_seeds
from gradiend_ui.engine.training.settings import Convergence, PostPruneConfig, PrePruneConfig, TrainingSettings

QUICK: dict[str, Any] = {
    "base_gradient_batch_size": 4,
    "max_steps": 18,
    "eval_steps": 6,
    "learning_rate": 1e-3,
    "pre_prune": PrePruneConfig(n_samples=16, topk=0.05, source="diff"),
}


@pytest.fixture(scope="module")
def base(tiny_bert: Path) -> BaseModel:
    return load_base_model(str(tiny_bert))


@pytest.fixture(scope="module")
def table(rows: pd.DataFrame) -> tuple[EvalRow, ...]:
    return read_rows(rows).rows


def plan_of(table: tuple[EvalRow, ...], base: str = "somewhere/base", **settings: Any) -> TrainingPlan:
    """A short training on the train rows, evaluated on the validation rows."""
    split = {name: [row for row in table if row.split == name] for name in ("train", "validation")}
    chosen = TrainingSettings(**{**QUICK, **settings})
    return TrainingPlan(split["train"], split["validation"], ("M", "F"), chosen, base, ("F", "M"))


def finished(steps: Iterator[TrainingStep]) -> list[TrainingStep]:
    found = list(steps)
    assert found[-1].folder is not None, "the run did not end"
    return found


def stopping_after(count: int) -> Callable[[], bool]:
    """True when asked for the (count + 1)th time: after `count` more steps."""
    asked = iter(range(10_000))
    return lambda: next(asked) >= count


def files_of(folder: Path) -> dict[str, Any]:
    """Everything of a checkpoint but times."""
    record = json.loads((folder / "training.json").read_text())
    record.pop("time")
    tensors = {path.name: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
    return {"record": record, "config": (folder / "config.json").read_text(), "tensors": tensors}


def assert_equal_files(one: Path, other: Path) -> None:
    first, second = files_of(one), files_of(other)
    assert first["record"] == second["record"] and first["config"] == second["config"]
    assert first["tensors"].keys() == second["tensors"].keys()
    for name, tensors in first["tensors"].items():
        assert all(torch.equal(tensor, second["tensors"][name][key]) for key, tensor in tensors.items()), name


@pytest.fixture(scope="module")
def trained(base: BaseModel, table: tuple[EvalRow, ...], tiny_bert: Path, tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    finished(train_gradiend(base, plan_of(table, str(tiny_bert), max_steps=36, eval_steps=12), folder))
    return folder


def test_it_learns_and_the_checkpoint_tells_all(trained: Path) -> None:
    model = ModelWithGradiend.from_pretrained(trained)
    assert model.encoding_direction == {"M": 1, "F": -1} and model.source == "alternative"
    assert json.loads((trained / "gradiend_context.json").read_text())["target"] == "diff"
    stats = load_training_stats(trained)
    assert stats is not None and stats["best_score_checkpoint"]["correlation"] > 0.98
    best = stats["training_stats"]["mean_by_feature_class"][str(stats["best_score_checkpoint"]["global_step"])]
    assert best["M"] > 0.3 and best["F"] < -0.3
    assert set(stats["training_stats"]["scores"]) == {"0", "12", "24", "36"} and len(stats["losses"]) == 36
    assert sum(stats["losses"][24:]) < sum(stats["losses"][:12]), "the same batches, twice more seen"
    assert load_training_stats(trained.parent) == stats and load_training_stats(trained / "nothing") is None
    assert not working_folder(trained).exists(), "the working folder must go"


@pytest.mark.parametrize("pair", [("M", "F"), ("F", "M")])
def test_the_first_class_of_the_pair_lies_at_plus_one(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, pair: tuple[str, str]
) -> None:
    """Whatever the first weights say: an encoder that correlates negatively is turned around."""
    plan = replace(plan_of(table, max_steps=36, eval_steps=12), pair=pair)
    steps = finished(train_gradiend(base, plan, tmp_path / "model"))
    evaluation = [step.evaluation for step in steps if step.evaluation][-1]
    assert evaluation is not None and evaluation["correlation"] > 0.9
    assert evaluation["mean_by_feature_class"][pair[0]] > 0 > evaluation["mean_by_feature_class"][pair[1]]
    assert evaluation["mean_by_class"][1.0] > 0 > evaluation["mean_by_class"][-1.0]
    assert evaluation["min_by_class"][1.0] <= evaluation["mean_by_class"][1.0] <= evaluation["max_by_class"][1.0]


@pytest.mark.parametrize("stops", [(6,), (7, 4), (0, 17)])
def test_a_stopped_run_goes_on_bit_identically(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    plan = plan_of(table)
    finished(train_gradiend(base, plan, tmp_path / "whole"))
    made = 0
    for count in stops:
        found = list(train_gradiend(base, plan, tmp_path / "stopped", should_stop=stopping_after(count)))
        made += count
        assert (not found or found[-1].folder is None) and not (tmp_path / "stopped").exists()
        assert working_folder(tmp_path / "stopped").is_dir()
    rest = finished(train_gradiend(base, plan, tmp_path / "stopped"))
    assert len([step for step in rest if step.loss is not None]) == 18 - made
    assert_equal_files(tmp_path / "whole", tmp_path / "stopped")


def test_what_versions_before_left_is_continued(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their fingerprints covered the place that the base model was loaded from; a seed's and a stopped run's alike."""
    plan, seeds = plan_of(table, convergence=Convergence(threshold=0.999999)), SeedPlan(max_seeds=2, saved="all_tried")
    former = BaseModel.fingerprints(base)[1]
    with monkeypatch.context() as before:
        before.setattr(BaseModel, "fingerprints", lambda self: (former, former))
        list(train_gradiend(base, plan, tmp_path / "stopped", should_stop=stopping_after(6)))
        list(train_seeds(base, plan, seeds, tmp_path / "seeds", should_stop=stopping_after(25)))
    assert finished(train_gradiend(base, plan, tmp_path / "stopped"))[0].step == 7
    assert {step.seed for step in finished(train_seeds(base, plan, seeds, tmp_path / "seeds"))[:-1]} == {1}


def test_a_closed_generator_goes_on_from_its_last_evaluation(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path
) -> None:
    """As after kill -9: what is on the disk is the evaluation at step 6."""
    plan = plan_of(table)
    finished(train_gradiend(base, plan, tmp_path / "whole"))
    steps = train_gradiend(base, plan, tmp_path / "killed")
    while next(steps).step < 8:
        pass
    steps.close()  # type: ignore[attr-defined]
    rest = finished(train_gradiend(base, plan, tmp_path / "killed"))
    assert rest[0].step == 7
    assert_equal_files(tmp_path / "whole", tmp_path / "killed")


def test_what_another_run_left_is_not_continued(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    plan, folder = plan_of(table), tmp_path / "model"
    for other in (plan_of(table, learning_rate=2e-3), replace(plan, rows=plan.rows[4:]), None):
        list(train_gradiend(base, plan, folder, should_stop=stopping_after(2)))
        if other is None:
            (working_folder(folder) / "state.pt").write_bytes(b"damaged")
        assert next(train_gradiend(base, other or plan, folder)).step == 0


def test_base_and_global_generators_are_left_alone(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    drawn = torch.random.get_rng_state()
    steps = train_gradiend(base, plan_of(table), tmp_path / "model")
    for _ in range(5):
        next(steps)
        assert not base.model.training and not any(one.requires_grad for one in base.model.parameters())
        assert all(one.grad is None for one in base.model.parameters())
    base.model.train()
    next(steps)
    assert base.model.training, "the mode must be restored"
    base.model.eval()
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.model.state_dict().items())


def test_without_evaluation_the_last_step_is_kept(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    plan = replace(plan_of(table, max_steps=3), evaluation_rows=())
    steps = finished(train_gradiend(base, plan, tmp_path / "model"))
    assert [step.step for step in steps] == [0, 1, 2, 3, 3] and not any(step.evaluation for step in steps)
    stats = load_training_stats(tmp_path / "model")
    assert stats is not None and stats["best_score_checkpoint"]["correlation"] is None
    assert stats["convergence_info"]["converged"] is False


def test_the_best_step_is_kept_not_the_last(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correlations 0.1, 0.9, 0.5, 0.4 at steps 0, 6, 12, 18: the weights of step 6."""
    from gradiend_ui.engine.training import loop

    real, scores = loop.encoder_metrics, iter((0.1, 0.9, 0.5, 0.4, 0.1, 0.9))
    monkeypatch.setattr(loop, "encoder_metrics", lambda *given: {**real(*given), "correlation": next(scores)})
    finished(train_gradiend(base, plan_of(table), tmp_path / "best"))
    finished(train_gradiend(base, plan_of(table, max_steps=6), tmp_path / "short"))
    best, short = (files_of(tmp_path / name)["tensors"]["model.safetensors"] for name in ("best", "short"))
    assert all(torch.equal(best[name], short[name]) for name in short)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"latent_dim": 2}, 2),
        ({"activation_encoder": "gelu", "activation_decoder": "tanh", "bias_decoder": False}, 1),
        ({"source": "diff", "gradiend_batch_size": 3, "optim": "adam"}, 1),
        ({"params": ("bert.encoder.layer.1.*",), "pre_prune": None, "target": "factual"}, 1),
    ],
)
def test_shapes_and_choices(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, tiny_bert: Path, settings: dict[str, Any], shape: int
) -> None:
    plan = plan_of(table, str(tiny_bert), max_steps=4, eval_steps=2, **settings)
    finished(train_gradiend(base, plan, tmp_path / "model"))
    model = ModelWithGradiend.from_pretrained(tmp_path / "model")
    assert model.gradiend.architecture.latent_dim == shape
    for name in ("activation_encoder", "activation_decoder", "bias_decoder"):
        assert getattr(model.gradiend.architecture, name) == getattr(plan.settings, name)
    if plan.settings.params:
        assert {part.name.split(".")[3] for part in model.mapped} == {"1"}


def test_post_pruning_keeps_the_largest_weights(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    finished(train_gradiend(base, plan_of(table), tmp_path / "whole"))
    finished(train_gradiend(base, plan_of(table, post_prune=PostPruneConfig(topk=50)), tmp_path / "pruned"))
    whole, pruned = (files_of(tmp_path / name)["tensors"]["model.safetensors"] for name in ("whole", "pruned"))
    sizes = whole["decoder.0.linear.weight"].abs().flatten()
    wanted = sizes.topk(50).indices.sort().values
    assert torch.equal(pruned["decoder.0.linear.weight"], whole["decoder.0.linear.weight"][wanted])
    assert torch.equal(pruned["encoder.0.linear.weight"], whole["encoder.0.linear.weight"][:, wanted])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rows": ()}, BadData, "no row to train on"),
        ({"settings": TrainingSettings(base_gradient_batch_size=100)}, BadData, "train_batch_size of at most 24"),
        (
            {"settings": TrainingSettings(params=("nothing.*",), base_gradient_batch_size=4)},
            BadBase,
            "no parameter of the backbone",
        ),
        ({"settings": TrainingSettings(torch_dtype="int8", base_gradient_batch_size=4)}, BadBase, "torch_dtype"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path, change: dict[str, Any], error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        next(train_gradiend(base, replace(plan_of(table), **change), tmp_path / "model"))


def test_a_diverging_run_says_so(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    plan = plan_of(table, learning_rate=1e30, activation_encoder="relu", params=("bert.encoder.layer.1.*",))
    with pytest.raises(BadGrid, match="smaller learning_rate"):
        list(train_gradiend(base, plan, tmp_path / "model"))


def test_several_seeds_and_their_report(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    rule = Convergence(threshold=0.999999)  # out of reach: all seeds are tried
    plan = plan_of(table, convergence=rule)
    seeds = SeedPlan(max_seeds=2, first=3, saved="all_tried", selection=lambda folder: 0.5)
    steps = finished(train_seeds(base, plan, seeds, tmp_path))
    report = json.loads((tmp_path / "seeds" / "seed_report.json").read_text())
    assert report["seeds_tried"] == [3, 4] and report["convergent_count"] == 0 and report["early_stop_reason"] is None
    assert report["best_seed_selection_strategy"] == "highest_correlation_fallback"
    best = max(report["runs"], key=lambda run: run["training_score"])
    assert report["best_seed"] == best["seed"] == steps[-1].seed
    chosen, model = (files_of(folder) for folder in (Path(best["output_dir"]), tmp_path / "model"))
    assert all(
        torch.equal(tensor, model["tensors"]["model.safetensors"][name])
        for name, tensor in chosen["tensors"]["model.safetensors"].items()
    )
    assert model["record"]["convergence_info"]["converged"] is False
    one, other = (load_file(tmp_path / "seeds" / f"seed_{seed}" / "model.safetensors") for seed in (3, 4))
    assert not torch.equal(one["encoder.0.linear.bias"], other["encoder.0.linear.bias"])


def test_seeds_stop_early_and_only_wanted_weights_stay(
    base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path
) -> None:
    plan = plan_of(table, convergence=Convergence(threshold=0.5, mean_threshold=0.05))
    finished(train_seeds(base, plan, SeedPlan(saved="best_only"), tmp_path))
    report = json.loads((tmp_path / "seeds" / "seed_report.json").read_text())
    assert report["seeds_tried"] == [0] and report["convergent_seeds"] == [0] and report["early_stop_reason"]
    left = {path.name for path in (tmp_path / "seeds" / "seed_0").iterdir()}
    assert left == {"training.json", "gradiend_context.json"}
    assert (tmp_path / "model" / "model.safetensors").is_file()
    with pytest.raises(Failed, match="0 of 1 seeds converged"):
        rule = Convergence(threshold=0.999999)
        strict = SeedPlan(max_seeds=1, demand=True)
        list(train_seeds(base, plan_of(table, max_steps=2, convergence=rule), strict, tmp_path / "strict"))


def test_stopped_seeds_go_on(base: BaseModel, table: tuple[EvalRow, ...], tmp_path: Path) -> None:
    plan = plan_of(table, convergence=Convergence(threshold=0.999999))
    seeds = SeedPlan(max_seeds=2, saved="all_tried")
    list(train_seeds(base, plan, seeds, tmp_path / "stopped", should_stop=stopping_after(25)))
    rest = finished(train_seeds(base, plan, seeds, tmp_path / "stopped"))
    assert {step.seed for step in rest[:-1]} == {1}, "the finished seed must not be trained again"
    finished(train_seeds(base, plan, seeds, tmp_path / "whole"))
    for seed in (0, 1):
        assert_equal_files(*(tmp_path / name / "seeds" / f"seed_{seed}" for name in ("stopped", "whole")))
    again = finished(train_seeds(base, plan, seeds, tmp_path / "whole"))
    assert {step.seed for step in again} == {0, 1}, "a call after a finished one trains anew"


def test_evaluate_encoder(trained: Path, table: tuple[EvalRow, ...], neutral_texts: list[str]) -> None:
    model = ModelWithGradiend.from_pretrained(trained)
    encoder = Encoder(model.base, model.mapped, model.gradiend, model.source)
    test = [row for row in table if row.split == "test"]
    found = evaluate_encoder(encoder, test, ("M", "F"), return_df=True)
    assert found["correlation"] > 0.95 and found["n_samples"] == len(test) == len(found["encoder_df"])
    assert found["mean_by_feature_class"]["M"] > 0 > found["mean_by_feature_class"]["F"]
    assert found["training_only"]["accuracy"] <= 1 and found["n_by_class"] == {-1.0: 21, 1.0: 21}
    frame = found["encoder_df"]
    assert set(frame[frame["source_id"] == "M"]["label"]) == {1.0}
    neutral = NeutralTexts(test, neutral_texts[:10], ("he", "she"))
    more = evaluate_encoder(encoder, test, ("M", "F"), neutral=neutral, return_df=True)
    assert more["correlation"] == found["correlation"], "neutral rows do not count"
    assert more["n_samples"] == 2 * len(test) + 10 and set(more["neutral_mean_by_type"]) == {
        "neutral_training_masked",
        "neutral_dataset",
    }
    masked = more["encoder_df"].query("type == 'neutral_training_masked'")["source_token"]
    assert not set(masked) & {"he", "she", "He", "She"}
    with pytest.raises(BadData, match="same label"):
        evaluate_encoder(encoder, [row for row in test if row.label_class == "M"], ("M", "F"))
    with pytest.raises(BadData, match="no row"):
        evaluate_encoder(encoder, [], ("M", "F"))
