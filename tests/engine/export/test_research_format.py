"""The converter of the research code's checkpoints: the same numbers, a sentence for what does not fit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gradiend_ui.engine.errors import BadBase, BadCheckpoint
from gradiend_ui.engine.export.research_format import convert_research_checkpoint, main
from gradiend_ui.engine.model import ModelWithGradiend
from tests.engine.checkpoint.test_formats import assert_answers
from tests.support.cases import case

BASE = case("bases/gpt2_tiny")


def folder_of(name: str) -> Path:
    return case(f"golden/{name}/gradiend")


@pytest.fixture
def old(tmp_path: Path) -> Callable[..., Path]:
    """old(name, **changes) -> a copy of a golden folder with other fields of config.json."""

    def copied(name: str, **changes: Any) -> Path:
        folder = tmp_path / f"old-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder_of(name), folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        return folder

    return copied


@pytest.mark.parametrize(("name", "source"), [("research-masks", "alternative"), ("research-whole", "factual")])
def test_it_gives_the_same_numbers(name: str, source: str, tmp_path: Path) -> None:
    written = convert_research_checkpoint(folder_of(name), tmp_path / "new", BASE)
    model = ModelWithGradiend.from_pretrained(written)
    assert_answers(model, name)
    assert (model.source, model.target) == (source, "diff")
    note = model.checkpoint.direction_note
    assert model.strengthening_feature_factor == {} and note is not None and note.is_open
    before = dict(model.base_model.named_parameters())
    after = dict(model.rewrite_base_model(0.5, 1.0).named_parameters())
    update, start = model.update_vector("decoder", 1.0), 0
    for part in model.mapped:
        values = update[part.start : part.stop]
        change = (after[part.name] - before[part.name]).flatten()
        place = slice(None) if part.positions is None else part.positions
        torch.testing.assert_close(change[place], 0.5 * values, atol=1e-6, rtol=0)
        assert int((change != 0).sum()) <= len(values)
        start += len(values)
    assert start == len(model)


def test_the_masks_choose_the_weights(tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(
        convert_research_checkpoint(folder_of("research-masks"), tmp_path / "new", BASE)
    )
    masks = torch.load(folder_of("research-masks") / "layers.pth", weights_only=True)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        entry.name: entry.num_selected for entry in model.checkpoint.entries
    }
    for name, positions in model.positions.items():
        assert torch.equal(masks[name].flatten().nonzero().flatten(), positions)


def test_what_does_not_fit_is_said_and_nothing_is_written(old: Callable[..., Path], tmp_path: Path) -> None:
    new = tmp_path / "new"
    cases: list[tuple[Path, object, type[Exception], str]] = [
        (old("research-masks", input_dim=5), BASE, BadCheckpoint, "maps .* weights, and its input_dim is 5"),
        (old("research-masks", activation="x"), BASE, BadCheckpoint, "activation_encoder 'x'"),
        (old("research-masks", layers="all"), BASE, BadCheckpoint, "layers must be a list"),
        (old("research-masks", training={"source": "odd"}), BASE, BadCheckpoint, "training.source is 'odd'"),
        (old("research-masks"), None, BadBase, "names no base model"),
        (old("research-whole", layers=["transformer.h.9.x"]), BASE, BadBase, "no parameter 'transformer.h.9.x'"),
        (folder_of("0.2.3"), BASE, BadCheckpoint, "needs no conversion"),
        (tmp_path / "nowhere", BASE, BadCheckpoint, "holds no config.json"),
    ]
    for folder, base, kind, sentence in cases:
        with pytest.raises(kind, match=sentence):
            convert_research_checkpoint(folder, new, base)  # type: ignore[arg-type]
        assert not new.exists()


def test_tensors_of_another_shape_leave_nothing_behind(old: Callable[..., Path], tmp_path: Path) -> None:
    folder = old("research-whole")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    for name, tensor in (("decoder.0.bias", torch.zeros(3)), ("encoder.0.weight", torch.full((1, 64), float("nan")))):
        torch.save({**weights, name: tensor}, folder / "pytorch_model.bin")
        with pytest.raises(BadCheckpoint, match=name.replace(".0.", ".0.linear.")):
            convert_research_checkpoint(folder, tmp_path / "new", BASE)
        assert not (tmp_path / "new").exists()


def test_a_pickle_that_would_run_code_is_not_opened(old: Callable[..., Path], tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    for name in ("layers.pth", "pytorch_model.bin"):
        folder = old("research-masks")
        torch.save({"x": Runs()}, folder / name)
        with pytest.raises(BadCheckpoint, match=f"{name} cannot be read as plain weights"):
            convert_research_checkpoint(folder, tmp_path / "new", BASE)
    floats = old("research-masks")
    torch.save({"transformer.ln_f.weight": torch.ones(32)}, floats / "layers.pth")
    with pytest.raises(BadCheckpoint, match="torch.float32, and not true or false"):
        convert_research_checkpoint(floats, tmp_path / "new", BASE)
    assert not (tmp_path / "ran").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(folder_of("research-masks")), str(tmp_path / "new")]
    assert main(arguments) == 2 and "names no base model" in capsys.readouterr().err
    assert main([*arguments, "--base-model", str(BASE)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "new")
    command = [sys.executable, "-m", "gradiend_ui.engine.export.research_format", "--help"]
    assert b"--base-model" in subprocess.run(command, capture_output=True, check=True).stdout
