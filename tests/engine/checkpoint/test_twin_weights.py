"""Weights that lie twice in a folder: compared as tensors, never opened for strangers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.checkpoint.loaded import first_difference, twin_warning
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.0, torch.nan])}


def folder_with(folder: Path, other: object) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(WEIGHTS, folder / "model.safetensors")
    torch.save(other, folder / "pytorch_model.bin")
    return folder


def test_the_same_content_is_not_worth_a_word(tmp_path: Path) -> None:
    assert twin_warning(folder_with(tmp_path / "a", dict(WEIGHTS)), "It", public=False) is None
    tied = {**WEIGHTS, "tied": WEIGHTS["a"].clone(), "position_ids": torch.arange(4)}
    assert twin_warning(folder_with(tmp_path / "a", tied), "It", public=False) is None
    (tmp_path / "a" / "pytorch_model.bin").unlink()
    assert twin_warning(tmp_path / "a", "It", public=False) is None


@pytest.mark.parametrize(
    ("other", "at"),
    [
        ({**WEIGHTS, "a": WEIGHTS["a"] + 1e-6}, "'a'"),
        ({**WEIGHTS, "a": WEIGHTS["a"].reshape(3, 2)}, "'a'"),
        ({"a": WEIGHTS["a"]}, "'b'"),
        ({**WEIGHTS, "c": torch.ones(3)}, "'c'"),
    ],
)
def test_a_difference_is_said_with_what_was_read(tmp_path: Path, other: dict[str, Any], at: str) -> None:
    told = twin_warning(folder_with(tmp_path / "a", other), "The folder", public=False)
    assert told is not None and at in told and "model.safetensors was read" in told and "pytorch_model.bin" in told


def test_shards_are_compared_too(tmp_path: Path) -> None:
    for name, tensor in WEIGHTS.items():
        save_file({name: tensor}, tmp_path / f"model-0000{name}.safetensors")
    torch.save({**WEIGHTS, "a": WEIGHTS["a"] * 2}, tmp_path / "pytorch_model-00001-of-00001.bin")
    assert "'a'" in str(twin_warning(tmp_path, "It", public=False))


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "a", dict(WEIGHTS))
    (folder / "pytorch_model.bin").write_bytes(b"no pickle")
    assert "could not be compared" in str(twin_warning(folder, "It", public=False))


def test_a_public_server_opens_no_pickle_for_it(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    folder = folder_with(tmp_path / "a", {"a": Evil()})
    told = twin_warning(folder, "It", public=True)
    assert told is not None and "not looked at" in told and "model.safetensors was read" in told
    assert "could not be compared" in str(twin_warning(folder, "It", public=False))
    assert not (tmp_path / "owned").exists()


def test_precision_is_no_difference_by_itself() -> None:
    left = {"a": torch.tensor([0.5, 1.0])}
    assert first_difference(left, {"a": left["a"].half()}) is None
    assert first_difference({"a": torch.tensor([0.1])}, {"a": torch.tensor([0.1]).half()}) == "a"


def test_the_card_says_it(checkpoint_folder: Path, build_checkpoint: Any, tmp_path: Path) -> None:
    folder = build_checkpoint(tmp_path / "owner" / "g")
    weights = load_file(folder / "model.safetensors")
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, folder / "pytorch_model.bin")
    for trust, said in ((None, "differ"), (public_trust(tmp_path / "owner"), "not looked at")):
        store = Store(":memory:")
        worker = Worker(store, tmp_path / "data", tmp_path / "none", *([trust] if trust else []))
        card = worker.answer(Load(str(folder), {}))
        assert any("The GRADIEND's folder" in text and said in text for text in card["warnings"]), card["warnings"]
        assert any(said in text for text in card["notes"])
        store.close()
