"""rewrite_base_model beside the reference's: every tensor bit-identical in fp32, and the base untouched."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.parity.recipes import CHECKPOINTS
from tests.parity.reference import Reference
from tests.parity.rewrites import CELLS, different, named_tensors, rewrite_theirs


def assert_same_rewrites(reference: Reference, checkpoint: Path, out: Path, *, ours_from: Path | None = None) -> None:
    """Bit-identical rewrites for every cell, and our base bit-equal before and after."""
    from gradiend_ui import ModelWithGradiend

    base, *theirs = rewrite_theirs(reference, checkpoint, CELLS, out)
    model = ModelWithGradiend.from_pretrained(str(ours_from or checkpoint))
    assert different(named_tensors(model.base_model), base) == []
    for cell, wanted in zip(CELLS, theirs, strict=True):
        rewritten = model.rewrite_base_model(**cell)
        assert different(named_tensors(rewritten), wanted) == [], f"{cell}"
        assert rewritten is not model.base_model
    assert different(named_tensors(model.base_model), base) == [], "the base was changed"
    assert different(theirs[-1], base) == [], "learning rate 0 must give the base back"
    assert all(different(wanted, base) for wanted in theirs[:-1]), "a rewrite that changes nothing tests nothing"


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_rewrites_are_bit_identical(
    name: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    assert_same_rewrites(reference, checkpoints[name], tmp_path)


def test_demo_rewrites_are_bit_identical(
    demo: Path, demo_checkpoint: Path, reference: Reference, tmp_path: Path
) -> None:
    assert_same_rewrites(reference, demo_checkpoint, tmp_path, ours_from=demo / "gradiend")


@pytest.mark.parametrize("name", ["bert-all", "bert-mixed", "bert-mask-bin", "gpt2-indices"])
def test_what_we_save_loads_in_the_reference(
    name: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    """Our save_pretrained writes the reference's format: it loads there and rewrites to the same tensors."""
    from gradiend_ui import ModelWithGradiend

    saved = tmp_path / "saved"
    ModelWithGradiend.from_pretrained(str(checkpoints[name])).save_pretrained(str(saved))
    assert (saved / "model.safetensors").is_file()
    before = json.loads((checkpoints[name] / "config.json").read_text())["mapping"]
    after = json.loads((saved / "config.json").read_text())["mapping"]
    assert [entry["name"] for entry in after["param_map"]] == [entry["name"] for entry in before["param_map"]]
    wanted = rewrite_theirs(reference, checkpoints[name], CELLS[:2], tmp_path / "original")
    found = rewrite_theirs(reference, saved, CELLS[:2], tmp_path / "resaved")
    for ours, theirs in zip(found, wanted, strict=True):
        assert different(ours, theirs) == []


@pytest.mark.parametrize("name", ["bert-mask", "gpt2-all"])
def test_the_facade_saves_the_chosen_rewrite(
    name: str, checkpoints: dict[str, Path], reference: Reference, rows: pd.DataFrame, tmp_path: Path
) -> None:
    """evaluate, rewrite, save: the folder loads with transformers alone and holds the reference's tensors."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    from gradiend_ui import TextPredictionTrainer, TrainingArguments

    arguments = TrainingArguments(experiment_dir=str(tmp_path / "experiment"))
    trainer = TextPredictionTrainer(model=str(checkpoints[name]), data=rows, target_classes=["M", "F"], args=arguments)
    results = trainer.evaluate_decoder(lrs=[0.5], use_cache=False)
    saved = trainer.rewrite_base_model(results, target_class="F", output_dir=str(tmp_path / "saved"))
    cell = {key: results["F"][key] for key in ("learning_rate", "feature_factor")}
    _, wanted = rewrite_theirs(reference, checkpoints[name], [cell], tmp_path / "theirs")
    loader = AutoModelForCausalLM if name.startswith("gpt2") else AutoModelForMaskedLM
    loaded = loader.from_pretrained(saved, dtype=torch.float32)
    assert different(named_tensors(loaded), wanted) == []
    assert different(named_tensors(trainer.rewrite_base_model(target_class="F")), wanted) == []
    text = "mary was kind . he went home ."
    assert AutoTokenizer.from_pretrained(saved)(text).input_ids == trainer.get_model().tokenizer(text).input_ids


def test_tied_weights_are_changed_once(checkpoints: dict[str, Path]) -> None:
    """GPT-2's output layer is its embedding: one tensor before and after, moved by one update."""
    from gradiend_ui import ModelWithGradiend

    model = ModelWithGradiend.from_pretrained(str(checkpoints["gpt2-indices"]))
    small, large = (model.rewrite_base_model(learning_rate=rate, feature_factor=1.0) for rate in (0.5, 1.0))
    for rewritten in (small, large):
        assert rewritten.lm_head.weight.data_ptr() == rewritten.transformer.wte.weight.data_ptr()
    base = model.base_model.transformer.wte.weight
    step = small.transformer.wte.weight - base
    assert step.abs().max() > 0
    torch.testing.assert_close(large.transformer.wte.weight - base, 2 * step, rtol=1e-4, atol=1e-6)
