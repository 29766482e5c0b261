"""An export is in the number formats of the base's files, each weight in its own; it gains no token, and what was tied
stays tied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.dtypes import stored_dtypes, usual_dtype
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell
from tests.support.tiny_gradiends import gradiend_on

CELL = Cell(-1.0, 0.5)
WEIGHTS = "model.safetensors"
HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
OF_MIXED = {"LayerNorm": torch.float32, "bias": torch.float16}
Stored = Callable[[str], Path]


def dtypes_in(folder: Path) -> dict[str, torch.dtype]:
    return {name: tensor.dtype for name, tensor in load_file(folder / WEIGHTS).items()}


@pytest.fixture
def stored_as(tiny_bert: Path, tmp_path: Path) -> Stored:
    """stored_as("bfloat16"): the tiny BERT with its weights in this format, or in several ones ("mixed")."""

    def stored(dtype: str) -> Path:
        folder = tmp_path / "base"
        shutil.copytree(tiny_bert, folder)
        tensors = load_file(folder / WEIGHTS)
        for name, tensor in tensors.items():
            wanted = next((kind for piece, kind in OF_MIXED.items() if piece in name), torch.bfloat16)
            tensors[name] = tensor.to(wanted if dtype == "mixed" else HALF[dtype])
        (folder / WEIGHTS).unlink()
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16" if dtype == "mixed" else dtype}))
        return folder

    return stored


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed"])
def test_each_weight_keeps_the_format_that_it_has_in_the_files(dtype: str, stored_as: Stored, tmp_path: Path) -> None:
    base = stored_as(dtype)
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    assert model.base_model.dtype == torch.float32
    usual = usual_dtype(model.base_model, stored_dtypes(model.base_model))
    assert usual == ("bfloat16" if dtype == "mixed" else dtype)
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", {}, dtype=usual, as_stored=True), tmp_path / "out")
    assert dtypes_in(folder) == dtypes_in(base)
    expected = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor).state_dict()
    changed = 0
    before = load_file(base / WEIGHTS)
    for name, tensor in load_file(folder / WEIGHTS).items():
        assert torch.equal(tensor, expected[name].to(tensor.dtype)), name
        changed += not torch.equal(tensor, before[name])
    assert changed == 1
    loaded = AutoModelForMaskedLM.from_pretrained(folder, dtype="auto")
    assert loaded.dtype == getattr(torch, usual)
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight


def test_without_being_asked_the_format_is_that_of_the_loaded_weights(stored_as: Stored, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(gradiend_on(stored_as("bfloat16"), tmp_path / "gradiend"))
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "out")
    assert set(dtypes_in(folder).values()) == {torch.float32}


@pytest.mark.parametrize("zipped", [True, False], ids=["as today", "as long ago"])
def test_the_formats_of_pickled_weights_are_kept_too(zipped: bool, stored_as: Stored, tmp_path: Path) -> None:
    base = stored_as("mixed")
    expected = dtypes_in(base)
    torch.save(load_file(base / WEIGHTS), base / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    (base / WEIGHTS).unlink()
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    assert usual_dtype(model.base_model, stored_dtypes(model.base_model)) == "bfloat16"
    rewrite = Rewrite(CELL, "decoder", {}, dtype="bfloat16", as_stored=True)
    assert dtypes_in(export_checkpoint(model, rewrite, tmp_path / "out")) == expected


def test_the_format_of_weights_that_cannot_be_looked_at_is_told_by_the_configuration(
    stored_as: Stored, tmp_path: Path
) -> None:
    base = stored_as("float16")
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    (base / WEIGHTS).rename(base / "pytorch_model.bin")
    assert stored_dtypes(model.base_model) == {}
    assert usual_dtype(model.base_model, {}) == "float16"


OLD_NAMES: dict[str, Callable[[str], str]] = {
    "of the layers alone": lambda name: name.removeprefix("bert."),
    "of a norm of long ago": lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    ),
}


@pytest.mark.parametrize("which", OLD_NAMES)
def test_weights_under_other_names_keep_their_formats(which: str, stored_as: Stored, tmp_path: Path) -> None:
    base = stored_as("mixed")
    expected, tensors = dtypes_in(base), load_file(base / WEIGHTS)
    (base / WEIGHTS).unlink()
    save_file({OLD_NAMES[which](name): one for name, one in tensors.items()}, base / WEIGHTS)
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    assert stored_dtypes(model.base_model) == expected
    rewrite = Rewrite(CELL, "decoder", {}, dtype="bfloat16", as_stored=True)
    written = dtypes_in(export_checkpoint(model, rewrite, tmp_path / "out"))
    assert written == {name: expected[next(own for own in expected if OLD_NAMES[which](own) == OLD_NAMES[which](name))]
                       for name in written}  # fmt: skip


def test_a_rewrite_beyond_the_format_of_its_weight_is_refused(stored_as: Stored, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(gradiend_on(stored_as("float16"), tmp_path / "gradiend"))
    with pytest.raises(Failed, match="weights beyond 65504, the largest float16: take bfloat16"):
        export_checkpoint(
            model, Rewrite(Cell(-1.0, 1e7), "decoder", {}, dtype="float32", as_stored=True), tmp_path / "out"
        )


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_gpt2", "tiny_llama", "tiny_t5", "tiny_bart", "tiny_roberta"])
def test_an_export_gains_no_token_and_stays_tied(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """`load_tokenizer` pads with the end token where there is no padding token: that is not written."""
    base = request.getfixturevalue(name)
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "out")
    before, after = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(folder)
    assert after.special_tokens_map == before.special_tokens_map
    assert after.get_vocab() == before.get_vocab() and len(after) == len(before)
    text = "she was kind"
    assert after(text)["input_ids"] == before(text)["input_ids"]
    own, written = load_file(base / WEIGHTS), load_file(folder / WEIGHTS)
    assert {key: tensor.shape for key, tensor in written.items()} == {key: tensor.shape for key, tensor in own.items()}
    assert model.tokenizer.pad_token is not None, "the one in use still pads"
