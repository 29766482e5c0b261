"""What is kept between calls: decoder_grid_cache.json written by one and read by the other, what is noticed when
weights or data change, rewriting from what is kept, and figures from the selection's own numbers."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from gradiend_ui import (
    BaseContext,
    Candidate,
    LMSThresholdPolicy,
    ModelWithGradiend,
    TextPredictionTrainer,
    TrainingArguments,
)
from gradiend_ui.engine.errors import BadData, BadName, NotFound
from gradiend_ui.engine.sweep.plan import PreparedSweep
from tests.parity.comparison import assert_same_result, our_trainer
from tests.parity.own_choices import BoldestPolicy, gap_extractor
from tests.parity.reference import Reference, result_of
from tests.parity.rewrites import different, named_tensors, rewrite_theirs

CLASSES = ["M", "F"]
FILE = "decoder_grid_cache.json"
CALL: dict[str, Any] = {"lrs": [2, 0.1], "use_cache": True}
CALLS: dict[str, dict[str, Any]] = {
    "strengthen": CALL,
    "one class": {**CALL, "target_class": "F"},
    "weaken": {**CALL, "increase_target_probabilities": False},
    "dense": {**CALL, "feature_factors": [1, -1, 0.5]},
    "capped": {**CALL, "max_size_training_like": 7, "max_size_neutral": 9, "split": ["validation", "test"]},
    "default grid": {"use_cache": True, "max_size": 4},
}


MOST_AGAIN = 4
"""The base and three cells."""


def blocks_kept(experiment: Path) -> int:
    """How many scored blocks lie in the store of an experiment."""
    with contextlib.closing(sqlite3.connect(experiment / "gradiend_ui.sqlite")) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM results").fetchone()
    return int(count)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every block that is really scored."""
    blocks: list[int] = []
    score: Callable[..., Any] = PreparedSweep.score_block

    def counted(self: PreparedSweep, weights: Any, block: int) -> Any:
        blocks.append(block)
        return score(self, weights, block)

    monkeypatch.setattr(PreparedSweep, "score_block", counted)
    return blocks


class Setting:
    """One checkpoint, its data and an experiment folder, for both implementations."""

    def __init__(self, reference: Reference, checkpoint: Path, rows: pd.DataFrame, texts: list[str], folder: Path):
        self.reference, self.checkpoint, self.rows, self.texts, self.folder = reference, checkpoint, rows, texts, folder

    def ours(self, **trainer: Any) -> TextPredictionTrainer:
        """A new trainer, as a script of its own would make it."""
        options = {"target_classes": CLASSES, **trainer}
        found: TextPredictionTrainer = our_trainer(self.checkpoint, self.rows, self.texts, self.folder, **options)
        return found

    def theirs(self, call: dict[str, Any]) -> dict[str, Any]:
        """{"summary", "grid", "scored"}."""
        (answer,) = self.reference.answers(
            self.checkpoint,
            self.rows,
            self.texts,
            [call],
            arguments={"experiment_dir": str(self.folder)},
            target_classes=CLASSES,
        )
        return answer

    def file(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / FILE).read_text())
        return content


@pytest.fixture
def setting(
    reference: Reference,
    checkpoints: dict[str, Path],
    rows: pd.DataFrame,
    neutral_texts: list[str],
    model_folder: Path,
    tmp_path: Path,
) -> Setting:
    """On a copy of "bert-all" and of its base, which a test may change."""
    folder = model_folder / f"own-{tmp_path.name}"
    shutil.copytree(checkpoints["bert-all"], folder / "gradiend")
    config = json.loads((folder / "gradiend" / "config.json").read_text())
    shutil.copytree(config["metadata"]["base_model"], folder / "base")
    config["metadata"]["base_model"] = str(folder / "base")
    (folder / "gradiend" / "config.json").write_text(json.dumps(config))
    return Setting(reference, folder / "gradiend", rows, neutral_texts, tmp_path / "experiment")


def change_weights(file: Path, name: str) -> None:
    """Move one tensor of a safetensors file, in place."""
    tensors = load_file(file)
    save_file({**tensors, name: tensors[name] * 1.05}, file, metadata={"format": "pt"})


@pytest.mark.parametrize("name", CALLS)
def test_a_grid_of_the_reference_is_taken_over(name: str, setting: Setting, scored: list[int]) -> None:
    answer = setting.theirs(CALLS[name])
    cells = len(answer["grid"])
    assert answer["scored"] == cells
    before = (setting.folder / FILE).read_bytes()
    results = setting.ours().evaluate_decoder(**CALLS[name])
    assert_same_result(results, result_of(answer))
    for key, cell in result_of(answer)["grid"].items():
        assert results["grid"][key]["probs_by_dataset"] == cell["probs_by_dataset"], "its numbers, not ours"
    assert 0 < len(scored) <= MOST_AGAIN * len(set(scored)), "some cells are scored again to see that it holds"
    assert blocks_kept(setting.folder) == 0, "nothing was swept"
    assert (setting.folder / FILE).read_bytes() == before
    again = setting.theirs(CALLS[name])
    assert again["scored"] == 0 and again["grid"] == answer["grid"]


@pytest.mark.parametrize("name", CALLS)
def test_our_grid_is_read_by_the_reference(name: str, setting: Setting) -> None:
    results = setting.ours().evaluate_decoder(**CALLS[name])
    answer = setting.theirs(CALLS[name])
    assert answer["scored"] == 0, "the reference computed it again"
    assert blocks_kept(setting.folder) > 0
    assert_same_result(results, result_of(answer))
    for key, cell in result_of(answer)["grid"].items():
        assert results["grid"][key]["probs_by_dataset"] == cell["probs_by_dataset"], "our numbers"


@pytest.mark.parametrize("change", ["gradiend", "base", "row", "targets", "part", "texts"])
def test_what_changed_is_noticed(change: str, setting: Setting, scored: list[int]) -> None:
    """The reference would serve the old numbers for all of these; ours sweeps anew, and refuses to rewrite."""
    for written_by in ("reference", "ours"):
        if written_by == "reference":
            setting.theirs(CALL)
        else:
            setting.ours().evaluate_decoder(**CALL)
        kept, options, call = setting.file(), {}, dict(CALL)
        if change == "gradiend":
            change_weights(setting.checkpoint / "model.safetensors", "decoder.0.linear.weight")
        elif change == "base":
            change_weights(
                setting.checkpoint.parent / "base" / "model.safetensors", "cls.predictions.transform.dense.weight"
            )
        elif change == "row":
            place = setting.rows.index[setting.rows["split"] == "test"][3 if written_by == "ours" else 5]
            changed = setting.rows.copy()
            changed.loc[place, "masked"] = "the teacher said that [MASK] would read the letter ."
            setting.rows = changed
        elif change == "texts":
            setting.texts = (
                [*setting.texts[:-1], "the window was very late ."] if written_by == "ours" else setting.texts[:-3]
            )
        elif change == "targets":
            options = {"decoder_eval_targets": {"M": ["he", "she"], "F": ["she", "he"]}}
        else:
            call["part"] = "decoder-weight"
        if change != "part":
            with pytest.raises(BadData, match="evaluate_decoder"):
                setting.ours(**options).rewrite_base_model(target_class="F")
        scored.clear()
        results = setting.ours(**options).evaluate_decoder(**call)
        assert len(scored) >= len(results["grid"]), "swept anew"
        for entry in kept["results"][1:]:
            key = entry["id"]["feature_factor"], entry["id"]["learning_rate"]
            now = results["grid"][key]
            assert now["probs_by_dataset"] != entry["probs_by_dataset"] or now["lms"]["lms"] != entry["lms"]["lms"]
        scored.clear()
        assert setting.ours(**options).evaluate_decoder(**call) == results and scored == []
        shutil.rmtree(setting.folder)


@pytest.mark.parametrize(
    "content", ["", "{", '{"part": "decoder"}', '{"results": [1, 2]}'], ids=["empty", "cut", "few", "odd"]
)
def test_a_damaged_file_is_replaced(content: str, setting: Setting) -> None:
    """An evaluation replaces it, as the reference does; a rewrite that would go by it refuses."""
    setting.folder.mkdir()
    (setting.folder / FILE).write_text(content)
    with pytest.raises(BadData, match=FILE):
        setting.ours().rewrite_base_model(target_class="F")
    results = setting.ours().evaluate_decoder(**CALL)
    assert len(results["grid"]) == 5 and len(setting.file()["results"]) == 5


def test_rewriting_from_what_is_kept(setting: Setting, tmp_path: Path) -> None:
    """Documented by the reference, which fails: decoder_results left out. Strengthen, weaken, lists, parts."""
    with pytest.raises(NotFound, match="evaluate_decoder"):
        setting.ours().rewrite_base_model(target_class="F")
    first = setting.ours()
    results = first.evaluate_decoder(lrs=[0.1, 2])
    with pytest.raises(NotFound, match="weaken F"):
        first.rewrite_base_model(target_class="F", increase_target_probabilities=False)
    weaken = first.evaluate_decoder(lrs=[0.1, 2], increase_target_probabilities=False)
    keys = ["F", "M", "F_weaken"]
    chosen = {**results, **weaken}
    cells = [{name: chosen[key][name] for name in ("feature_factor", "learning_rate")} for key in keys]
    _, *wanted = rewrite_theirs(setting.reference, setting.checkpoint, cells, tmp_path / "theirs")
    second = setting.ours()
    kept = [*second.rewrite_base_model(target_class=["F", "M"]), second.rewrite_base_model(None, "F", False)]
    for model, tensors in zip(kept, wanted, strict=True):
        assert different(named_tensors(model), tensors) == []
    folders = setting.ours().rewrite_base_model(target_class=["F", "M"], output_dir=tmp_path / "unused")
    assert folders == [str(setting.folder / "F"), str(setting.folder / "M")] and not (tmp_path / "unused").exists()
    setting.ours().evaluate_decoder(lrs=[0.5], part="decoder-sum")
    by_sum = setting.ours().rewrite_base_model(target_class="F")
    cell = {"learning_rate": 0.5, "feature_factor": results["F"]["feature_factor"], "part": "decoder-sum"}
    _, tensors = rewrite_theirs(setting.reference, setting.checkpoint, [cell], tmp_path / "sum")
    assert different(named_tensors(by_sum), tensors) == []


@pytest.mark.parametrize("goal", [True, False])
def test_rewriting_from_a_grid_of_the_reference(goal: bool, setting: Setting, tmp_path: Path) -> None:
    answer = setting.theirs({**CALL, "increase_target_probabilities": goal})
    summary = answer["summary"]["F" if goal else "F_weaken"]
    cell = {name: summary[name] for name in ("feature_factor", "learning_rate")}
    _, wanted = rewrite_theirs(setting.reference, setting.checkpoint, [cell], tmp_path / "theirs")
    model = setting.ours().rewrite_base_model(target_class="F", increase_target_probabilities=goal)
    assert different(named_tensors(model), wanted) == []
    with pytest.raises(NotFound, match="evaluate_decoder"):
        setting.ours().rewrite_base_model(target_class="F", increase_target_probabilities=not goal)


def test_the_policy_of_the_evaluation_chooses_the_rewrite(setting: Setting) -> None:
    """Kept results answer as they were chosen, also by a policy or by metrics of the user's own."""
    trainer = setting.ours()
    strict = trainer.evaluate_decoder(lrs=[0.1, 2])
    for selector in (LMSThresholdPolicy(ratio=0.1), BoldestPolicy()):
        loose = trainer.evaluate_decoder(lrs=[0.1, 2], selector=selector)
        assert loose["F"]["id"] != strict["F"]["id"]
        wanted = named_tensors(trainer.rewrite_base_model(loose, "F"))
        for subject in (trainer, setting.ours()):
            assert different(named_tensors(subject.rewrite_base_model(target_class="F")), wanted) == []
    gaps = trainer.evaluate_decoder(
        lrs=[0.1, 2], summary_metrics=["gap"], summary_extractor=gap_extractor(Candidate, BaseContext)
    )
    wanted = named_tensors(trainer.rewrite_base_model(gaps, "gap"))
    assert different(named_tensors(setting.ours().rewrite_base_model(target_class="gap")), wanted) == []


def test_what_was_taken_over_is_the_newest(setting: Setting) -> None:
    """A grid of the reference that answered the last call is what a rewrite without results goes by."""
    setting.ours().evaluate_decoder(lrs=[0.1])
    (setting.folder / FILE).unlink()
    setting.theirs({**CALL, "lrs": [0.05]})
    results = setting.ours().evaluate_decoder(lrs=[0.05], use_cache=True)
    wanted = named_tensors(setting.ours().rewrite_base_model(results, "M"))
    assert different(named_tensors(setting.ours().rewrite_base_model(target_class="M")), wanted) == []


def test_a_script_that_runs_twice(setting: Setting, tmp_path: Path) -> None:
    """run_id gives the experiment a folder of its own; an export is replaced by the next one, nothing else is."""
    target = tmp_path / "saved"
    for _ in range(2):
        trainer = setting.ours(run_id="first")
        results = trainer.evaluate_decoder(**CALL)
        assert trainer.rewrite_base_model(results, "F", output_dir=str(target)) == str(target)
        assert (setting.folder / "first" / FILE).is_file() and not (setting.folder / FILE).exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(BadName, match="not empty"):
        trainer.rewrite_base_model(results, "F", output_dir=foreign)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(BadName, match="not empty"):
        trainer.rewrite_base_model(results, "F", output_dir=target)
    assert (foreign / "thesis.txt").is_file() and (target / "notes.txt").is_file()


@pytest.mark.parametrize("call", [{}, {"target_class": "F"}, {"increase_target_probabilities": False}], ids=str)
def test_figures_show_the_selection_s_numbers(call: dict[str, Any], setting: Setting, scored: list[int]) -> None:
    """plot=True draws what was selected on; only datasets that the goal did not need are scored, once."""
    trainer = setting.ours()
    plain = trainer.evaluate_decoder(lrs=[0.1, 2], **call)
    swept = len(scored)
    drawn = trainer.evaluate_decoder(lrs=[0.1, 2], **call, plot=True, show=False)
    assert len(scored) <= 2 * swept
    names = [key for key in plain if key != "grid"]
    assert {key: drawn[key] for key in names} == {key: plain[key] for key in names}
    for key, cell in plain["grid"].items():
        assert set(drawn["grid"][key]["probs_by_dataset"]) == set(CLASSES)
        assert drawn["grid"][key]["lms"] == cell["lms"]
        assert drawn["grid"][key]["probs_by_dataset"].items() >= cell["probs_by_dataset"].items()
    assert len(drawn["plot_paths"]) == len(names) and all(Path(path).is_file() for path in drawn["plot_paths"])
    assert drawn["plot_path"] == (drawn["plot_paths"][0] if len(names) == 1 else None)
    whole = trainer.evaluate_decoder(lrs=[0.1, 2], feature_factors=[-1, 1], summary_metrics=["F", "M"])
    for key, cell in drawn["grid"].items():
        for dataset, means in whole["grid"][key]["probs_by_dataset"].items():
            assert cell["probs_by_dataset"][dataset] == pytest.approx(means, abs=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["bert-mixed", "gpt2-indices"])
def test_half_precision_through_the_trainer(
    name: str,
    dtype: str,
    reference: Reference,
    checkpoints: dict[str, Path],
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    arguments = TrainingArguments(experiment_dir=tmp_path / "experiment", torch_dtype=getattr(torch, dtype))
    trainer = TextPredictionTrainer(checkpoints[name], data=rows, target_classes=CLASSES, args=arguments)
    results = trainer.evaluate_decoder(lrs=[0.5], max_size=4)
    folder = trainer.rewrite_base_model(results, "F", output_dir=tmp_path / "saved")
    cell = {key: results["F"][key] for key in ("learning_rate", "feature_factor")}
    reference.ask("rewrite", checkpoint=str(checkpoints[name]), cells=[cell], out=str(tmp_path), torch_dtype=dtype)
    wanted = torch.load(tmp_path / "0.pt", weights_only=True)
    assert different(named_tensors(trainer.rewrite_base_model(results, "F")), wanted) == []
    assert {tensor.dtype for tensor in wanted.values()} == {getattr(torch, dtype)}
    loader = trainer.get_model().base_model.__class__
    assert different(named_tensors(loader.from_pretrained(folder)), wanted) == []


def test_a_given_model_is_rewritten(setting: Setting) -> None:
    """rewrite_base_model(base_model=...): another GRADIEND than the trainer's."""
    trainer = setting.ours()
    results = trainer.evaluate_decoder(lrs=[0.1])
    other = ModelWithGradiend.from_pretrained(str(setting.checkpoint))
    other.invert_encoding()
    mine = named_tensors(trainer.rewrite_base_model(results, "F"))
    assert different(named_tensors(trainer.rewrite_base_model(results, "F", base_model=other)), mine)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_run_folder_of_the_reference(
    seeds: int,
    reference: Reference,
    tiny_bert: Path,
    model_folder: Path,
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    """experiment_dir/run_id as a training with seeds left it: our trainer with the same lines goes on from there."""
    out = model_folder / f"runs-{seeds}"
    steps = {"max_steps": 6, "eval_steps": 6, "max_seeds": seeds, "min_convergent_seeds": None}
    options = {"base": str(tiny_bert), "out": str(out), "rows": rows.to_dict("records"), "run_id": "pronouns", **steps}
    trained = Path(reference.ask("train", **options)["checkpoint"])
    call = {"lrs": [0.5], "max_size": 5}
    (theirs,) = reference.evaluate(trained, rows, None, [call], target_classes=CLASSES)
    trainer = TextPredictionTrainer(
        str(tiny_bert), "pronouns", rows, target_classes=CLASSES, args=TrainingArguments(experiment_dir=out, **steps)
    )
    assert Path(trainer.model_path) == trained and trainer.experiment_dir == str(out / "pronouns")
    assert_same_result(trainer.evaluate_decoder(**call), theirs)
    report = trainer.get_seed_report()
    assert (report is not None) == (out / "pronouns" / "seeds" / "seed_report.json").is_file() == (seeds > 1)
    assert Path(trainer.get_best_seed_run_path() or "").is_dir()
    saved = trainer.rewrite_base_model(target_class=["M", "F"], output_dir=tmp_path)
    assert saved == [str(out / "pronouns" / name) for name in CLASSES]
