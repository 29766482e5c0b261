"""Requests about checkpoints: assumptions and missing pieces, reading again, seeds, uploads, wrong folders."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.uploaded import take_in
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadGrid, NotFound
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.worker.requests import Compare, Load, Reload, StartSweep
from gradiend_ui.engine.worker.worker import Worker

BuildCheckpoint = Callable[..., Path]
MEANS = {"best_score_checkpoint": {"global_step": 5, "correlation": 0.9}}
TRAINING = {**MEANS, "training_stats": {"mean_by_feature_class": {"5": {"M": 0.8, "F": -0.7}}}}


@pytest.fixture
def bare(build_checkpoint: BuildCheckpoint, tmp_path: Path, tiny_bert: Path) -> Path:
    """A checkpoint whose directions only training.json tells and whose source nothing tells, without data."""
    return build_checkpoint(tmp_path / "runs" / "bare" / "gradiend", context={}, training=TRAINING)


def load(worker: Worker, source: Path, **options: Any) -> dict[str, Any]:
    return dict(worker.answer(Load(str(source), options)))


def reload(worker: Worker, card: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return dict(worker.answer(Reload(card["checkpoint"], changes)))


def codes(card: dict[str, Any]) -> list[str]:
    return [item["what"] for item in card["assumed"]]


def test_what_was_assumed_and_what_is_missing(worker: Worker, bare: Path) -> None:
    card = load(worker, bare)
    assert codes(card) == ["direction_from_training", "source_assumed", "neutral_rows"]
    assert card["missing"] == ["rows", "neutral"]
    assert card["strengthening_feature_factor"] == {"M": -1.0, "F": 1.0}
    assert {item["sentence"] for item in card["assumed"][:2]} <= set(card["warnings"])
    assert card["notes"] == [], "assumptions and missing pieces are not told twice"
    assert card["memory"]["needed"] > 0


def test_a_stated_checkpoint_with_data_assumes_nothing(
    worker: Worker, checkpoint_folder: Path, rows: pd.DataFrame
) -> None:
    folder = checkpoint_folder.parent
    rows.to_csv(folder / "eval.csv", index=False)
    (folder / "neutral.csv").write_text("text\nIt was late.\nThe sun set.\n")
    try:
        card = load(worker, checkpoint_folder)
    finally:
        (folder / "eval.csv").unlink()
        (folder / "neutral.csv").unlink()
    assert (card["assumed"], card["missing"], card["rows_recovered"]) == ([], [], None)
    assert sorted(card["row_classes"]) == ["F", "M"]


def test_directions_are_corrected_and_taken_back(worker: Worker, bare: Path) -> None:
    card = load(worker, bare)
    swapped = reload(worker, card, swap=True)
    assert swapped["strengthening_feature_factor"] == {"M": 1.0, "F": -1.0}
    assert swapped["checkpoint"] != card["checkpoint"] and swapped["name"] == card["name"]
    assert codes(swapped)[0] == "direction_given"
    assert not any("taken from training.json" in text for text in swapped["warnings"]), "no longer true"
    chosen = reload(worker, swapped, towards={"M": -1, "F": 1})
    assert chosen["strengthening_feature_factor"] == card["strengthening_feature_factor"]
    assert reload(worker, chosen, as_files_say=True)["checkpoint"] == card["checkpoint"]
    for changes in ({"towards": {"M": 2}}, {"towards": [1]}, {"colour": 1}):
        with pytest.raises(BadGrid):
            reload(worker, card, **changes)
    with pytest.raises(NotFound):
        worker.answer(Reload("ck_unknown", {}))


def test_without_any_direction_it_is_asked_for_first(
    worker: Worker, build_checkpoint: BuildCheckpoint, tmp_path: Path
) -> None:
    card = load(worker, build_checkpoint(tmp_path / "silent", context={"source": "alternative"}))
    assert card["missing"] == ["direction", "rows", "neutral"] and card["classes"] == []
    told = reload(worker, card, towards={"M": 1, "F": -1})
    assert told["missing"] == ["rows", "neutral"]
    assert told["encoding_direction"] == {"M": 1.0, "F": -1.0}, "source alternative keeps the sign"


def test_a_base_is_given_or_found_beside(
    worker: Worker, build_checkpoint: BuildCheckpoint, tmp_path: Path, tiny_bert: Path
) -> None:
    folder = build_checkpoint(tmp_path / "away" / "gradiend", base="/nowhere/else/bert")
    with pytest.raises(BadBase, match="bert"):
        load(worker, folder)
    given = load(worker, folder, base_model=str(tiny_bert))
    item = given["assumed"][0]
    assert item["what"] == "base_given" and item["values"]["stated"] == "bert"
    shutil.copytree(tiny_bert, folder.parent / "base")
    beside = load(worker, folder)
    assert beside["base_model"] == "base" and codes(beside)[0] == "base_beside"
    worker._resources._loaded.clear()
    assert worker._resources.checkpoint(beside["checkpoint"]).model.base.name == "base", "read again the same way"
    shutil.rmtree(folder.parent / "base")


def test_chat_prompts_are_told_and_switched(
    worker: Worker, build_checkpoint: BuildCheckpoint, tmp_path: Path, tiny_bert: Path
) -> None:
    place = shutil.copytree(tiny_bert, tmp_path / "tiny-instruct")
    card = load(worker, build_checkpoint(tmp_path / "gradiend", base=str(place)))
    assert "chat_prompt" in codes(card)
    assert "chat_prompt_off" in codes(reload(worker, card, chat_prompt=False))


@pytest.fixture
def seeded(build_checkpoint: BuildCheckpoint, tmp_path: Path) -> Path:
    """A run without model/: seed 2 is the best, seed 5 was kept too, seed 6 was not."""
    run = tmp_path / "runs" / "pronouns"
    for seed in (2, 5):
        build_checkpoint(run / "seeds" / f"seed_{seed}")
    report = {"runs": [{"seed": seed, "eval_correlation": seed / 10} for seed in (2, 5, 6)], "best_seed": 2}
    (run / "seeds" / "seed_report.json").write_text(json.dumps(report))
    return run


def test_seeds_are_listed_and_another_one_is_opened(worker: Worker, seeded: Path) -> None:
    card = load(worker, seeded)
    listed = [(s["seed"], s["best"], s["kept"], s["open"]) for s in card["seeds"]]
    assert listed == [(2, True, True, True), (5, False, True, False), (6, False, False, False)]
    assert ("seed_chosen", {"seed": 2}) in [(item["what"], item["values"]) for item in card["assumed"]]
    other = reload(worker, card, seed=5)
    assert other["name"] == "pronouns, seed 5" and "seed_chosen" not in codes(other)
    assert [s["seed"] for s in other["seeds"] if s["open"]] == [5]
    again = reload(worker, reload(worker, other, swap=True), seed=2)
    assert again["name"] == "pronouns, seed 2", "the name does not grow"
    assert again["strengthening_feature_factor"] != card["strengthening_feature_factor"], "the correction stays"
    assert reload(worker, other, swap=True)["name"] == other["name"]
    assert load(worker, seeded, seed=5)["checkpoint"] == other["checkpoint"]
    with pytest.raises(NotFound, match=r"no seed 6 .*: 2, 5"):
        load(worker, seeded, seed=6)
    with pytest.raises(BadGrid, match="whole number"):
        load(worker, seeded, seed="5")


def test_an_upload_is_loaded_under_its_name_and_again_later(
    worker: Worker, bare: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    path = Path(shutil.make_archive(str(tmp_path / "upload"), "zip", bare.parent))
    source = str(take_in(path, worker._resources.data_dir / "uploads", strangers=False))
    path.unlink()
    with pytest.raises(BadBase, match="an upload chooses none: give it by hand"):
        worker.answer(Load(source, {}, name="my zip"))
    options = {"base_model": str(tiny_bert)}
    card = worker.answer(Load(source, options, name="my zip"))
    assert card["name"] == "my zip"
    worker._resources._loaded.clear()
    assert worker._resources.checkpoint(card["checkpoint"]).model.fingerprint


def test_a_refused_upload_is_told_by_its_name(worker: Worker, tiny_bert: Path, tmp_path: Path) -> None:
    path = Path(shutil.make_archive(str(tmp_path / "upload"), "zip", tiny_bert))
    source = str(take_in(path, worker._resources.data_dir / "uploads", strangers=False))
    with pytest.raises(BadCheckpoint, match=r"^my zip/config.json describes no GRADIEND.*plain base model"):
        worker.answer(Load(source, {}, name="my zip"))


def test_wrong_folders_get_a_helpful_sentence(worker: Worker, bare: Path) -> None:
    run = bare.parent
    with pytest.raises(BadCheckpoint, match=f"did you mean '{run}'"):
        load(worker, run.with_name("baer"))
    with pytest.raises(BadCheckpoint, match=f"'{run}' holds no 'deep'"):
        load(worker, run / "deep" / "er")
    with pytest.raises(BadCheckpoint, match=f"give its folder, '{bare}'"):
        load(worker, bare / "config.json")
    (run / "upload.zip").write_bytes(b"")
    with pytest.raises(BadCheckpoint, match="upload it as a zip"):
        load(worker, run / "upload.zip")


def test_an_idle_worker_gives_its_memory_back_and_goes_on_when_asked(
    worker: Worker, checkpoint_folder: Path, rows: pd.DataFrame
) -> None:
    rows.to_csv(checkpoint_folder.parent / "eval.csv", index=False)
    try:
        card = load(worker, checkpoint_folder)
        spec = {"feature_factors": [1.0], "learning_rates": [0.1], "first_look": "off"}
        run = worker.answer(StartSweep(card["checkpoint"], AskedSweep.of(spec)))["run"]
        model = weakref.ref(worker._resources.checkpoint(card["checkpoint"]).model.base_model)
        worker.step()
        worker.rest()
        assert model() is not None, "nothing is given back in the middle of a sweep"
        while worker.step():
            pass
        assert worker._store.revision(run)[1] == "finished"
        worker.rest()
        assert model() is None
        again = worker.answer(Compare(run, (), ("[MASK] is here .",), {}))
        assert len(again["texts"]) == 1
    finally:
        (checkpoint_folder.parent / "eval.csv").unlink()


def test_the_same_upload_under_another_name_is_another_checkpoint(
    worker: Worker, build_checkpoint: BuildCheckpoint, tmp_path: Path, tiny_bert: Path
) -> None:
    source = build_checkpoint(tmp_path / "data" / "uploads" / "abc" / "gradiend")
    first, second = (
        worker.answer(Load(str(source), {"base_model": str(tiny_bert)}, name=name)) for name in ("hers", "his")
    )
    assert first["checkpoint"] != second["checkpoint"]
    assert worker._store.checkpoint(first["checkpoint"])[2]["name"] == "hers", "nobody renames another's model"


def test_a_token_beyond_the_embedding_is_told(tiny_gpt2: Path) -> None:
    """Of a text, too: a tokenizer may know few words and still use an id that the model has no row for."""
    base = load_base_model(str(tiny_gpt2))
    base.model.resize_token_embeddings(2)
    with pytest.raises(BadBase, match="A text holds .* knows 2 tokens"):
        base.encode(["the nurse said that she slept"])
