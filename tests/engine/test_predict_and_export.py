"""Side-by-side predictions, and exports that behave as promised."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine import export
from gradiend_ui.engine.errors import BadData, BadGrid, BadName, Failed, TooLarge
from gradiend_ui.engine.export import Rewrite, export_checkpoint, zip_folder
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.plan import PreparedSweep
from gradiend_ui.engine.predict import compare
from gradiend_ui.engine.values import Cell

CELL = Cell(-1, 0.5)
FACTS = {"scores": [["P(F) on M rows", 0.1, 0.7]], "data": "rows | <script>", "neutral_set": "texts"}


def test_top_tokens_changes_and_class_probabilities(plan: PreparedSweep) -> None:
    model = plan.model
    texts = ["john was [MASK] .", "when [MASK] came home , [MASK] was kind ."]
    answers = compare(model, model.workspace(), [CELL], texts, targets=plan.targets, top_k=3)
    assert [len(answer["masks"]) for answer in answers] == [1, 2]
    rewritten = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor)
    inputs = model.tokenizer(texts[0], return_tensors="pt")
    at = int((inputs["input_ids"][0] == model.tokenizer.mask_token_id).nonzero())
    with torch.no_grad():
        before = torch.softmax(model.base_model(**inputs).logits[0, at], dim=-1)
        after = torch.softmax(rewritten(**inputs).logits[0, at], dim=-1)
    first = answers[0]["masks"][0]
    assert [entry["id"] for entry in first["base"]["top"]] == before.topk(3).indices.tolist()
    assert all(entry["change"] == 0 for entry in first["base"]["top"])
    for entry in first["cells"][0]["top"]:
        assert entry["p"] == pytest.approx(float(after[entry["id"]]), abs=1e-6)
        assert entry["change"] == pytest.approx(float(after[entry["id"]] - before[entry["id"]]), abs=1e-6)
    he = model.tokenizer.convert_tokens_to_ids(["he", "He"])
    assert first["base"]["classes"]["M"] == pytest.approx(float(before[he].sum()), abs=1e-6)


def test_sentences_are_checked(plan: PreparedSweep) -> None:
    def ask(texts: list[str], cells: int = 1, top_k: int = 5) -> None:
        compare(plan.model, plan.model.workspace(), [CELL] * cells, texts, targets=plan.targets, top_k=top_k)

    with pytest.raises(BadData, match="Sentence 2 has no"):
        ask(["[MASK] .", "no mask"])
    with pytest.raises(BadData, match="behind the model's limit"):
        ask(["a " * 600 + "[MASK]"])
    with pytest.raises(TooLarge):
        ask(["[MASK]"] * 21)
    with pytest.raises(TooLarge):
        ask(["[MASK]"], cells=5)
    with pytest.raises(BadGrid):
        ask(["[MASK]"], top_k=0)
    with pytest.raises(BadData):
        ask([])


def test_an_export_loads_and_is_the_rewrite(model: ModelWithGradiend, tmp_path: Path) -> None:
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", FACTS), tmp_path / "out" / "she")
    loaded = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    expected = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == model.tokenizer.get_vocab()
    card = (folder / "README.md").read_text()
    assert "| P(F) on M rows | 0.1 | 0.7 |" in card and "<script>" not in card and "-1" in card
    recipe = json.loads((folder / "rewrite.json").read_text())
    assert (recipe["feature_factor"], recipe["learning_rate"], recipe["part"]) == (-1, 0.5, "decoder")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert os.listdir(tmp_path / "out") == ["she"]
    archive = zip_folder(folder, tmp_path / "she.zip")
    assert "she/model.safetensors" in zipfile.ZipFile(archive).namelist()


def test_nothing_is_overwritten_and_nothing_half_is_left(
    model: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    with pytest.raises(BadName, match="not empty"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "full")

    def no_space(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_checksums", no_space)
    with pytest.raises(Failed, match="No space left"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["full"]


def test_a_written_checkpoint_that_differs_is_refused(
    model: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = model.tokenizer.save_pretrained

    def spoil(folder: Path) -> None:
        original(folder)
        other = model.rewrite_base_model(9.0, 1.0)
        other.save_pretrained(folder)

    monkeypatch.setattr(model.tokenizer, "save_pretrained", spoil)
    with pytest.raises(Failed, match="differs"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "new")
    assert os.listdir(tmp_path) == []
