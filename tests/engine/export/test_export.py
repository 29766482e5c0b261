"""Exports that behave as promised."""

from __future__ import annotations

import copy
import json
import os
import resource
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.errors import BadGrid, BadName, Failed
from gradiend_ui.engine.export import checkpoint
from gradiend_ui.engine.export.checkpoint import export_checkpoint, written_bytes, zip_folder
from gradiend_ui.engine.export.model_card import Rewrite, model_card, script
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell

CELL = Cell(-1, 0.5)
FACTS = {"scores": [["P(F) on M rows", 0.1, 0.7]], "data": "rows | <script>", "neutral_set": "texts"}


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
    assert recipe["degenerate"] is None, "nobody measured it"
    assert (recipe["feature_factor"], recipe["learning_rate"], recipe["part"]) == (-1, 0.5, "decoder")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert os.listdir(tmp_path / "out") == ["she"]
    archive = zip_folder(folder, tmp_path / "she.zip")
    assert "she/model.safetensors" in zipfile.ZipFile(archive).namelist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_another_dtype_is_the_rewrite_converted_once(model: ModelWithGradiend, tmp_path: Path, dtype: str) -> None:
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", FACTS, dtype=dtype), tmp_path / "she")
    wanted = getattr(torch, dtype)
    loaded = AutoModelForMaskedLM.from_pretrained(folder, dtype="auto")
    expected = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor).to(wanted)
    assert loaded.dtype == wanted
    for name, tensor in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert model.base_model.dtype == torch.float32, "the base is not converted"
    assert json.loads((folder / "rewrite.json").read_text())["dtype"] == dtype
    assert f"| weights stored as | {dtype} |" in (folder / "README.md").read_text()
    size = (folder / "model.safetensors").stat().st_size
    assert 0 <= size - written_bytes(model.base_model, dtype) < 0.02 * size + 8192


def test_the_recipe_tells_what_is_known_of_the_classes(model: ModelWithGradiend, tmp_path: Path) -> None:
    def recipe_of(one: ModelWithGradiend, name: str) -> Any:
        folder = export_checkpoint(one, Rewrite(CELL, "decoder", FACTS, as_stored=True), tmp_path / name)
        return json.loads((folder / "rewrite.json").read_text())

    told = recipe_of(model, "known")
    assert told["encoding_direction"] == model.encoding_direction != {} and told["direction_unknown"] is None
    assert (told["auto_class"], told["objective"]) == ("AutoModelForMaskedLM", "mlm_mask_token")
    assert (told["source"], told["mapped_weights"]) == (model.source, len(model)) and told["as_stored"]
    silent = copy.copy(model)
    silent.feature_class_encoding_direction = {"M": 1, "F": 1}
    told = recipe_of(silent, "unknown")
    assert told["encoding_direction"] == {} or set(told["encoding_direction"].values()) == {1.0}
    assert "same direction" in told["direction_unknown"] and "Both signs" in told["direction_unknown"]


HUGE = [(1e308, 1e308), (-1e308, 1e308), (1.0, 1e308), (1e308, 1.0)]


@pytest.mark.parametrize(("factor", "rate"), HUGE)
def test_a_rewrite_that_is_no_number_is_refused(
    model: ModelWithGradiend, tmp_path: Path, factor: float, rate: float
) -> None:
    """By the engine and by the Python API alike: the sentence names the first such tensor and the cell."""
    first = model.mapped[0].name
    cell = f"at feature_factor {factor:g} and learning_rate {rate:g}"
    with pytest.raises(BadGrid, match="not finite numbers, first those of ") as told:
        export_checkpoint(model, Rewrite(Cell(factor, rate), "decoder", {}), tmp_path / "broken")
    assert cell in str(told.value) and first in dict(model.base_model.named_parameters())
    with pytest.raises(BadGrid, match="take a smaller step") as told:
        model.rewrite_base_model(rate, factor)
    assert cell in str(told.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_no_model_that_is_no_number_is_saved(model: ModelWithGradiend, tmp_path: Path, number: float) -> None:
    rewritten = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor)
    name, weights = list(rewritten.named_parameters())[-1]
    with torch.no_grad():
        weights.view(-1)[-1] = number
    with pytest.raises(BadGrid, match=f"first those of '{name}', at feature_factor -1 and learning_rate 0.5"):
        checkpoint.save_rewritten(model, rewritten, Rewrite(CELL, "decoder", {}), tmp_path / "broken")
    assert os.listdir(tmp_path) == []


def test_nothing_but_the_same_number_counts_as_the_same() -> None:
    one, nan, inf = torch.ones(2), torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("inf")])
    assert checkpoint._same(one, one.clone()) and checkpoint._same(inf, inf.clone())
    assert not checkpoint._same(nan, nan.clone()) and not checkpoint._same(nan, torch.tensor([1.0, 12345.0]))
    assert not checkpoint._same(inf, torch.tensor([1.0, torch.finfo(torch.float32).max]))


def test_a_folder_that_no_system_has_a_name_for(model: ModelWithGradiend, tmp_path: Path) -> None:
    for name in ("\ud800", "x\udfffy", "nul\0", "a" * 201):
        with pytest.raises(BadName, match="no usable name"):
            export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / name)
    with pytest.raises(BadName, match="no usable name"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "\ud800" / "she")


def test_the_card_tells_the_cell_exactly(model: ModelWithGradiend) -> None:
    card = model_card(model, Rewrite(Cell(-1.0, 0.1000001), "decoder", {}))
    assert "| strength (learning rate) | 0.1000001 |" in card and "| feature factor | -1 |" in card


def test_a_weight_that_the_dtype_cannot_hold_is_refused(model: ModelWithGradiend, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="bfloat16"):
        export_checkpoint(model, Rewrite(Cell(-1, 1e9), "decoder", {}, dtype="float16"), tmp_path / "she")
    assert os.listdir(tmp_path) == []
    export_checkpoint(model, Rewrite(Cell(-1, 1e9), "decoder", {}, dtype="bfloat16"), tmp_path / "she")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_models_that_keep_some_weights_in_float32_when_loaded(tiny_t5: Path, tmp_path: Path, dtype: str) -> None:
    base = load_base_model(str(tiny_t5))
    converted = base.model.to(getattr(torch, dtype))
    _check_reload(base, converted, tmp_path / "t5")


def _check_reload(base: Any, converted: Any, folder: Path) -> None:
    converted.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)

    class Model:
        tokenizer = base.tokenizer
        base_model = converted

    Model.base = base
    checkpoint._verify(Model, converted, folder)
    name, tensor = next((n, t) for n, t in converted.state_dict().items() if n.endswith("wo.weight"))
    with torch.no_grad():
        tensor[0, 0] += 1
    with pytest.raises(Failed, match="wo.weight"):
        checkpoint._verify(Model, converted, folder)


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_the_script_of_the_card_writes_the_same_weights(
    model: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str | None
) -> None:
    rewrite = Rewrite(CELL, "decoder", FACTS, dtype=dtype)
    folder = export_checkpoint(model, rewrite, tmp_path / "exported")
    text = script(model, rewrite, str(model.checkpoint.folder), "again")
    assert len([line for line in text.splitlines() if line.strip()]) <= 11
    in_card = script(model, rewrite, f"path/to/{model.checkpoint.folder.name}", "rewritten")
    assert in_card in (folder / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "script", "exec"), {})
    ours, again = (tmp_path / name / "model.safetensors" for name in ("exported", "again"))
    assert ours.read_bytes() == again.read_bytes()
    assert AutoTokenizer.from_pretrained(tmp_path / "again").get_vocab() == model.tokenizer.get_vocab()


def test_the_card_tells_versions_hashes_and_that_nothing_was_measured(model: ModelWithGradiend) -> None:
    facts = {**FACTS, "data_fingerprint": "abc123", "chosen_for": "strengthen F"}
    card = model_card(model, Rewrite(CELL, "decoder", facts))
    for line in (f"| torch | {torch.__version__} |", "| gradiend_ui |", f"`{model.fingerprint}`", "`abc123`",
                 "| chosen for | strengthen F |", "## Intended use", "## Limits"):  # fmt: skip
        assert line in card, line
    assert "Not measured" not in card
    assert "Not measured for exactly these weights" in model_card(model, Rewrite(CELL, "decoder", {}))


def test_a_full_disk_gives_a_sentence(model: ModelWithGradiend, tmp_path: Path) -> None:
    """A limit on file size stands in for a full disk: safetensors reports both with an error of its own kind."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(Failed, match=r"could not be written: .+ Free disk space"):
            export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten_and_nothing_half_is_left(
    model: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    with pytest.raises(BadName, match="not empty"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "full")

    def no_space(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_checksums", no_space)
    with pytest.raises(Failed, match="No space left"):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["full"]


def test_half_a_zip_never_bears_the_name_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "she").mkdir(exist_ok=True)
        (tmp_path / "she" / name).write_text("x")
    target, seen = tmp_path / "she.zip", list[bool]()
    write = zipfile.ZipFile.write

    def broken_off(self: zipfile.ZipFile, *args: Any) -> None:
        seen.append(target.exists())
        if len(seen) == 2:
            raise OSError(28, "No space left on device")
        write(self, *args)

    monkeypatch.setattr(zipfile.ZipFile, "write", broken_off)
    with pytest.raises(Failed, match="No space left"):
        zip_folder(tmp_path / "she", target)
    assert seen == [False, False] and os.listdir(tmp_path) == ["she"]


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
