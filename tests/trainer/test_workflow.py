"""The Model Rewrite workflow as a user writes it, on German articles: train, evaluate, rewrite, save, plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui import TextPredictionTrainer, TrainingArguments
from gradiend_ui.engine.errors import BadData, BadName, GradiendUIError, NotFound
from tests.support import german_articles

STEPS = {"max_steps": 40, "eval_steps": 10, "learning_rate": 1e-3, "train_batch_size": 8, "max_seeds": 1}


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.tiny_models import save_tiny_german

    return save_tiny_german(tmp_path_factory.mktemp("german") / "base")


@pytest.fixture(scope="module")
def trainer(german: Path, tmp_path_factory: pytest.TempPathFactory) -> TextPredictionTrainer:
    """The first two lines of the workflow."""
    trainer = TextPredictionTrainer(
        model=str(german),
        data=german_articles.build_frame(("masc_nom", "fem_nom")),
        args=TrainingArguments(experiment_dir=str(tmp_path_factory.mktemp("experiment")), **STEPS),
    )
    trainer.train()
    return trainer


def test_the_snippet_runs_as_written(trainer: TextPredictionTrainer, tmp_path: Path) -> None:
    output = tmp_path / "output" / "masc_nom_rewrite"
    dec_results = trainer.evaluate_decoder()
    changed_model = trainer.rewrite_base_model(decoder_results=dec_results, target_class="masc_nom")
    saved = trainer.rewrite_base_model(decoder_results=dec_results, target_class="masc_nom", output_dir=str(output))
    assert saved == str(output)
    assert dec_results["masc_nom"]["value"] > dec_results["grid"]["base"]["probs"]["masc_nom"] + 0.05
    loaded = AutoModelForMaskedLM.from_pretrained(saved)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), changed_model.parameters(), strict=True))
    tokenizer = AutoTokenizer.from_pretrained(saved)
    inputs = tokenizer("Heute wartet [MASK] Katze vor der Tür.", return_tensors="pt")
    place = int((inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero())
    der = tokenizer.convert_tokens_to_ids("der")
    with torch.no_grad():
        before = trainer.get_model().base_model(**inputs).logits[0, place].softmax(-1)[der]
        after = loaded(**inputs).logits[0, place].softmax(-1)[der]
    assert after > before + 0.02
    assert "masc_nom" in (output / "README.md").read_text(encoding="utf-8")
    again = trainer.rewrite_base_model(decoder_results=dec_results, target_class="masc_nom", output_dir=str(output))
    assert again == saved, "a script that runs twice replaces its own export"


def test_training_reached_something(trainer: TextPredictionTrainer) -> None:
    stats = trainer.get_training_stats()
    assert stats is not None and stats["best_score_checkpoint"]["correlation"] > 0.8
    measured = trainer.evaluate_encoder(split="test")
    assert measured["correlation"] > 0.8
    context = json.loads((Path(trainer.model_path) / "gradiend_context.json").read_text())
    assert context["feature_class_encoding_direction"] == {"fem_nom": 1, "masc_nom": -1}, "in class order"
    assert trainer.target_classes == ["fem_nom", "masc_nom"]


def test_texts_are_encoded_by_the_trained_model(trainer: TextPredictionTrainer) -> None:
    """Source alternative: the gradient of "der" in a fem_nom sentence stands for masc_nom, which is encoded as -1."""
    model = trainer.get_model()
    toward_der = model.encode("Heute wartet [MASK] Katze vor der Tür.", label="der", return_float=True)
    toward_die = model.encode("Heute wartet [MASK] Hund vor der Tür.", label="die", return_float=True)
    assert toward_der * toward_die < 0 and abs(toward_der) > 0.3
    with pytest.raises(BadData, match="MASK"):
        model.encode("Kein Artikel.", label="der")


def test_results_are_kept_and_found_again(trainer: TextPredictionTrainer, german: Path) -> None:
    results = trainer.evaluate_decoder(lrs=[0.1, 1.0])
    other = TextPredictionTrainer(
        model=str(german),
        data=german_articles.build_frame(("masc_nom", "fem_nom")),
        args=TrainingArguments(experiment_dir=trainer.experiment_dir, **STEPS),
    )
    mine, theirs = (one.rewrite_base_model(target_class="fem_nom") for one in (trainer, other))
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert other.evaluate_decoder(lrs=[0.1, 1.0]) == results
    cache = json.loads((Path(trainer.experiment_dir or "") / "decoder_grid_cache.json").read_text())
    assert cache["lrs"] == [0.1, 1.0] and len(cache["results"]) == 5


def test_several_classes_and_weaken(trainer: TextPredictionTrainer) -> None:
    weaken = trainer.evaluate_decoder(lrs=[0.1, 1.0], increase_target_probabilities=False)
    assert set(weaken) == {"fem_nom_weaken", "masc_nom_weaken", "grid"}
    folders = trainer.rewrite_base_model(
        weaken, ["fem_nom", "masc_nom"], increase_target_probabilities=False, output_dir="ignored for several"
    )
    assert [Path(folder).name for folder in folders] == ["fem_nom_weaken", "masc_nom_weaken"]
    with pytest.raises(NotFound, match="increase_target_probabilities=False"):
        trainer.rewrite_base_model(trainer.evaluate_decoder(lrs=[0.1]), "fem_nom", False)


def test_plots_are_written_from_the_same_numbers(trainer: TextPredictionTrainer) -> None:
    plain = trainer.evaluate_decoder(lrs=[0.1, 1.0], target_class="masc_nom")
    drawn = trainer.evaluate_decoder(lrs=[0.1, 1.0], target_class="masc_nom", plot=True, show=False)
    assert drawn["masc_nom"] == plain["masc_nom"]
    assert set(plain["grid"]["base"]["probs_by_dataset"]) == {"fem_nom"}
    assert set(drawn["grid"]["base"]["probs_by_dataset"]) == {"fem_nom", "masc_nom"}
    page = Path(drawn["plot_path"])
    assert page.suffix == ".html" and page.with_suffix(".csv").is_file()
    assert Path(trainer.plot_training_convergence()).is_file()
    assert Path(trainer.plot_encoder_distributions()).is_file()


def test_before_any_training(german: Path, tmp_path: Path) -> None:
    subject = TextPredictionTrainer(
        model=str(german),
        data=german_articles.build_class_frames(),
        target_classes=["masc_nom", "fem_nom"],
        args=TrainingArguments(experiment_dir=tmp_path),
    )
    with pytest.raises(NotFound, match="train"):
        subject.evaluate_decoder()


def test_row_wise_scores_are_exported(trainer: TextPredictionTrainer, german: Path) -> None:
    subject = TextPredictionTrainer(
        model=trainer.model_path,
        data=german_articles.build_frame(("masc_nom", "fem_nom")),
        decoder_eval_targets="label",
        decoder_eval_export_row_wise_csv=True,
        args=TrainingArguments(experiment_dir=trainer.experiment_dir),
    )
    results = subject.evaluate_decoder(lrs=[0.1])
    table = pd.read_csv(Path(trainer.experiment_dir or "") / "decoder_row_wise_scores.csv")
    rows = 32  # 16 test sentences of each class
    assert len(table) == rows * len(results["grid"])
    base = table[table["feature_factor"].isna()]
    own = base[base["factual_id"] == "masc_nom"]
    assert own["P_factual"].mean() == pytest.approx(results["grid"]["base"]["probs_by_dataset"]["masc_nom"]["masc_nom"])
    moved = table[table["feature_factor"].notna()]
    assert (moved["P_factual"].to_numpy()[:rows] != base["P_factual"].to_numpy()).any()


def test_three_classes_are_evaluated_between_the_two_that_were_trained(german: Path, tmp_path: Path) -> None:
    subject = TextPredictionTrainer(
        model=str(german),
        data=german_articles.build_class_frames(),
        args=TrainingArguments(experiment_dir=tmp_path, **STEPS),
    )
    subject.train(max_steps=8)
    assert subject.target_classes == ["masc_nom", "fem_nom"]
    results = subject.evaluate_decoder(lrs=[0.1])
    assert set(results) == {"masc_nom", "fem_nom", "grid"}
    with pytest.raises(BadData, match="one of masc_nom, fem_nom"):
        subject.evaluate_decoder(lrs=[0.1], target_class="neut_nom")


def test_data_means_the_same_in_the_second_run(german: Path, tmp_path: Path) -> None:
    data = german_articles.build_frame(("masc_nom", "fem_nom")).drop(columns="split")
    subjects = [
        TextPredictionTrainer(str(german), data=data, args=TrainingArguments(experiment_dir=tmp_path, **STEPS))
        for _ in range(2)
    ]
    subjects[0].train(max_steps=4)
    assert subjects[1].evaluate_decoder(lrs=[0.1]) == subjects[0].evaluate_decoder(lrs=[0.1])
    with pytest.raises(BadData, match="no column 'spllit'"):
        TextPredictionTrainer(str(german), data=data, split_col="spllit").train()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"lrs": 0.1}, "list of numbers"),
        ({"lrs": []}, "empty"),
        ({"split": None}, "split must be"),
        ({"target_class": 5}, "class name"),
        ({"selector": "best"}, "policy"),
        ({"use_cache": "yes"}, "True or False"),
        ({"max_size": -1}, "whole number"),
        ({"part": "middle"}, "part must be"),
    ],
)
def test_wrong_arguments_are_told(trainer: TextPredictionTrainer, wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(GradiendUIError, match=sentence):
        trainer.evaluate_decoder(**wrong)


@pytest.mark.parametrize("words", [{"masc_nom": "der", "fem_nom": "die"}, {"masc_nom": [], "fem_nom": ["die"]}])
def test_targets_are_lists_of_words(trainer: TextPredictionTrainer, words: dict[str, object]) -> None:
    subject = TextPredictionTrainer(
        trainer.model_path, data=german_articles.build_frame(("masc_nom", "fem_nom")), decoder_eval_targets=words
    )
    with pytest.raises(GradiendUIError, match="list"):
        subject.evaluate_decoder(lrs=[0.1])


def test_classes_are_named_in_any_spelling(trainer: TextPredictionTrainer) -> None:
    """The words of each class, the classes and the asked one as somebody pasted them: the same numbers."""
    data, words = german_articles.build_frame(("masc_nom", "fem_nom")), {"masc_nom": ["der"], "fem_nom": ["die"]}
    found = []
    for mark in ("", "\u00a0"):
        subject = TextPredictionTrainer(
            trainer.model_path,
            data=data,
            target_classes=[f"masc_nom{mark}", f"fem_nom{mark}"],
            decoder_eval_targets={f"{name}{mark}": own for name, own in words.items()},
        )
        found.append(subject.evaluate_decoder(lrs=[0.1], target_class=f"{mark}masc_nom"))
    assert found[0]["grid"] == found[1]["grid"] and "masc_nom" in found[1]


def test_arrays_are_lists_too(trainer: TextPredictionTrainer) -> None:
    results = trainer.evaluate_decoder(
        lrs=np.array([0.5, 1.0]), feature_factors=np.array([-1, 1]), target_class=pd.Series(["masc_nom"])
    )
    assert list(results["grid"]) == ["base", (-1.0, 0.5), (-1.0, 1.0), (1.0, 0.5), (1.0, 1.0)]


def test_classes_never_share_a_folder(trainer: TextPredictionTrainer) -> None:
    results = trainer.evaluate_decoder(lrs=[0.1])
    alike = {"a/b": results["masc_nom"], "a:b": results["fem_nom"], "model": results["fem_nom"]}
    with pytest.raises(BadName, match="one at a time"):
        trainer.rewrite_base_model(alike, ["a/b", "a:b"], output_dir="several")
    folders = trainer.rewrite_base_model(alike, ["a/b", "model"], output_dir="several")
    assert [Path(folder).name for folder in folders] == ["a_b", "model_rewrite"]
    with pytest.raises(BadName, match="run_id"):
        _ = TextPredictionTrainer(trainer.model_path, run_id="../out", args=trainer.args).experiment_dir


def test_a_figure_takes_results_of_its_own_direction(trainer: TextPredictionTrainer) -> None:
    results = trainer.evaluate_decoder(lrs=[0.1])
    with pytest.raises(NotFound, match="masc_nom_weaken"):
        trainer.plot_probability_shifts(results, target_class="masc_nom", increase_target_probabilities=False)
    own = trainer.evaluate_decoder(lrs=[0.1], summary_metrics=["masc_nom_factual"], plot=True, show=False)
    assert own["plot_paths"] == [] and "masc_nom_factual" in own
    with pytest.raises(GradiendUIError, match="smaller learning rates"):
        trainer.evaluate_decoder(lrs=[1e30])
