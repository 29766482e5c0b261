"""Saved GRADIENDs: whole or absent, at home wherever they are put, and the same on rereading."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.checkpoint import writing
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.loaded import save_trained
from gradiend_ui.engine.errors import BadCheckpoint, BadName, Failed
from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.files import whole_or_absent
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell

Change = Callable[[ModelWithGradiend], object]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def metadata(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "config.json").read_text())["metadata"]
    return content


@pytest.fixture
def own(checkpoint_folder: Path) -> ModelWithGradiend:
    return ModelWithGradiend.from_pretrained(checkpoint_folder)


CHANGES: dict[str, Change] = {
    "as it is": lambda model: None,
    "inverted": lambda model: model.invert_encoding(),
    "a tenth": lambda model: model.prune_gradiend(topk=0.1),
    "nine tenths": lambda model: model.prune_gradiend(topk=0.9),
    "few": lambda model: model.prune_gradiend(topk=3),
    "another direction": lambda model: setattr(model, "feature_class_encoding_direction", {"M": 0, "F": 1}),
    "half precision": lambda model: model.to(torch_dtype=torch.float16),
}


@pytest.mark.parametrize("use_safetensors", [True, False, None])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_saved_is_read_again(
    own: ModelWithGradiend, tmp_path: Path, change: str, use_safetensors: bool | None
) -> None:
    CHANGES[change](own)
    own.save_pretrained(tmp_path / "saved", use_safetensors=use_safetensors)
    assert ("pytorch_model.bin" in names(tmp_path / "saved")) == (use_safetensors is False)
    again = ModelWithGradiend.from_pretrained(tmp_path / "saved")
    assert again.gradiend.torch_dtype == own.gradiend.torch_dtype
    again.base_model.to(own.base_model.dtype)
    assert again.fingerprint == own.fingerprint
    assert again.checkpoint.entries == own.checkpoint.entries
    assert again.encoding_direction == own.encoding_direction
    assert again.param_map_hash == own.param_map_hash
    assert names(tmp_path) == {"saved"}


def test_saving_over_a_checkpoint_keeps_other_files_only(own: ModelWithGradiend, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    own.save_pretrained(folder, use_safetensors=False)
    (folder / "notes.txt").write_text("mine")
    (folder / "seeds" / "seed_0").mkdir(parents=True)
    (folder / "seeds" / "seed_0" / "deep.txt").write_text("also mine")
    (folder / "link").symlink_to("notes.txt")
    own.prune_gradiend(topk=len(own) - 1)
    own.save_pretrained(folder)
    assert not names(folder) & {"pytorch_model.bin", "mapping_indices.pth", "mapping_masks.pth"}
    assert (folder / "link").read_text() == "mine" and (folder / "link").is_symlink()
    assert (folder / "seeds" / "seed_0" / "deep.txt").read_text() == "also mine"
    assert ModelWithGradiend.from_pretrained(folder).fingerprint == own.fingerprint
    own.prune_gradiend(mask=torch.arange(len(own)) < 5)
    own.save_pretrained(folder)
    assert "mapping_masks.safetensors" not in names(folder)
    assert names(tmp_path) == {"saved"}


def test_a_checkpoint_is_saved_over_itself(own: ModelWithGradiend, tmp_path: Path) -> None:
    """Its weights may be mapped from the very file that is replaced."""
    own.save_pretrained(tmp_path / "saved")
    model = ModelWithGradiend.from_pretrained(tmp_path / "saved")
    model.invert_encoding()
    model.save_pretrained(tmp_path / "saved")
    assert ModelWithGradiend.from_pretrained(tmp_path / "saved").fingerprint == model.fingerprint != own.fingerprint


@pytest.mark.parametrize("moment", ["weights", "first rename", "second rename"])
def test_a_failed_save_leaves_the_old_one(
    own: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder = tmp_path / "saved"
    own.save_pretrained(folder)
    first = own.fingerprint
    own.invert_encoding()
    rename, calls = os.replace, 0

    def refuse(*arguments: Any, **_: Any) -> None:
        nonlocal calls
        calls += 1
        if moment != "second rename" or calls == 2:
            raise OSError(28, "No space left on device")
        rename(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(*((writing, "save_file") if moment == "weights" else (os, "replace")), refuse)
        patch.setattr(
            whole_or_absent, "exchange", lambda one, other: False
        )  # a system that cannot swap takes two renames
        with pytest.raises(Failed, match="No space left"):
            own.save_pretrained(folder)
    assert names(tmp_path) == {"saved"}
    assert ModelWithGradiend.from_pretrained(folder).fingerprint == first


def test_odd_places_to_save(own: ModelWithGradiend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadName, match="is a file"):
        own.save_pretrained(tmp_path / "file")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    own.save_pretrained(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target" / "config.json").is_file()
    monkeypatch.chdir(tmp_path)
    own.save_pretrained("new/deeper")
    assert ModelWithGradiend.from_pretrained("new/deeper").fingerprint == own.fingerprint


def at_home(checkpoint: Path, base: Path, folder: Path) -> Path:
    """The checkpoint beside its base, which it names by a relative path."""
    shutil.copytree(base, folder / "base")
    shutil.copytree(checkpoint, folder / "gradiend")
    config = json.loads((folder / "gradiend" / "config.json").read_text())
    config["metadata"] |= {"base_model": "../base", "tokenizer": str(folder / "base"), "extra": {"kept": 1}}
    (folder / "gradiend" / "config.json").write_text(json.dumps(config))
    return folder / "gradiend"


def test_the_saved_base_is_found_from_anywhere(
    checkpoint_folder: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    checkpoint = at_home(checkpoint_folder, tiny_bert, home)
    model = ModelWithGradiend.from_pretrained(checkpoint)
    model.save_pretrained(tmp_path / "elsewhere" / "deep")
    written = metadata(tmp_path / "elsewhere" / "deep")
    assert written["base_model"] == str(home / "base") == written["tokenizer"] and written["extra"] == {"kept": 1}
    monkeypatch.chdir(home)
    for given in ("base", Path("base"), AutoModelForMaskedLM.from_pretrained("base")):
        other = ModelWithGradiend.from_pretrained(checkpoint_folder, given)
        monkeypatch.chdir(tmp_path)
        other.save_pretrained(tmp_path / "given")
        monkeypatch.chdir(home)
        assert metadata(tmp_path / "given")["base_model"] == str(home / "base")
    monkeypatch.chdir("/")
    moved = ModelWithGradiend.from_pretrained(shutil.move(tmp_path / "elsewhere", tmp_path / "moved") / "deep")
    assert moved.fingerprint == model.fingerprint


def test_another_base_brings_its_own_tokenizer(checkpoint_folder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    checkpoint = at_home(checkpoint_folder, tiny_bert, tmp_path / "home")
    model = ModelWithGradiend.from_pretrained(checkpoint, tiny_bert)
    model.save_pretrained(tmp_path / "saved")
    assert metadata(tmp_path / "saved")["base_model"] == str(tiny_bert.resolve())
    assert "tokenizer" not in metadata(tmp_path / "saved")
    nameless = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    nameless.name_or_path = nameless.config._name_or_path = ""
    ModelWithGradiend.from_pretrained(checkpoint, nameless).save_pretrained(tmp_path / "nameless")
    assert metadata(tmp_path / "nameless")["base_model"] == str(tmp_path / "home" / "base")


def test_a_tokenizer_may_be_given(checkpoint_folder: Path, tiny_bert: Path, own: ModelWithGradiend) -> None:
    for given in (None, AutoModelForMaskedLM.from_pretrained(tiny_bert)):
        loaded = ModelWithGradiend.from_pretrained(checkpoint_folder, given, tokenizer=own.tokenizer)
        assert loaded.tokenizer is own.tokenizer
        named = ModelWithGradiend.from_pretrained(checkpoint_folder, given, tokenizer=str(tiny_bert))
        assert named.tokenizer.get_vocab() == own.tokenizer.get_vocab()


MEASURED = {
    "training_stats": {"mean_by_feature_class": {"3": {"M": -0.4, "F": 0.5}}},
    "best_score_checkpoint": {"global_step": 3},
}


def test_measured_directions_become_facts_only_when_they_change(build_checkpoint: Any, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(
        build_checkpoint(tmp_path / "g", context={"source": "factual"}, training=MEASURED)
    )
    model.save_pretrained(tmp_path / "same")
    assert json.loads((tmp_path / "same" / "gradiend_context.json").read_text()) == {
        "source": "factual",
        "target": "diff",
    }
    model.invert_encoding()
    model.save_pretrained(tmp_path / "inverted")
    context = json.loads((tmp_path / "inverted" / "gradiend_context.json").read_text())
    assert context["feature_class_encoding_direction"] == {"M": 1, "F": -1}
    for name in ("same", "inverted"):
        again = ModelWithGradiend.from_pretrained(tmp_path / name)
        assert again.encoding_direction == {"same": {"M": -1, "F": 1}, "inverted": {"M": 1, "F": -1}}[name]


@pytest.mark.parametrize(
    ("stated", "expected"), [("float32", torch.float32), ("odd", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_weights_have_the_dtype_that_the_architecture_names(
    own: ModelWithGradiend, tmp_path: Path, stated: str, expected: torch.dtype
) -> None:
    own.save_pretrained(tmp_path / "g")
    weights = load_file(tmp_path / "g" / "model.safetensors")
    save_file(
        {name: tensor.to(torch.float16) for name, tensor in weights.items()}, tmp_path / "g" / "model.safetensors"
    )
    config = json.loads((tmp_path / "g" / "config.json").read_text())
    config["architecture"]["torch_dtype"] = stated
    (tmp_path / "g" / "config.json").write_text(json.dumps(config))
    model = ModelWithGradiend.from_pretrained(tmp_path / "g")
    assert model.gradiend.torch_dtype == expected
    assert torch.equal(model.gradiend.weights[DECODER_WEIGHT], weights[DECODER_WEIGHT].half().to(expected))


@pytest.mark.parametrize("mapping", ["indices", "mask", "mixed"])
def test_positions_out_of_order_keep_their_order(build_checkpoint: Any, tmp_path: Path, mapping: str) -> None:
    """Each position belongs to one row of the decoder: sorting them alone would swap weights."""
    ordered = ModelWithGradiend.from_pretrained(build_checkpoint(tmp_path / "g", mapping))
    flipped = {name: positions.flip(0) for name, positions in ordered.positions.items()}
    trained = replace(ordered._state.trained, positions=flipped)
    model = ModelWithGradiend(trained, ordered.base, str(tmp_path))
    assert model.fingerprint != ordered.fingerprint
    half = model.prune_gradiend(topk=0.5, inplace=False)
    assert isinstance(half, ModelWithGradiend)
    for changed in (model, half):
        save_trained(changed._state.trained, tmp_path / "saved", base_model=ordered._state.location)
        assert ModelWithGradiend.from_pretrained(tmp_path / "saved").fingerprint == changed.fingerprint


def test_a_base_model_is_no_gradiend(tiny_bert: Path) -> None:
    with pytest.raises(BadCheckpoint, match="plain base model"):
        ModelWithGradiend.from_pretrained(tiny_bert, require_gradiend_model=False)


@pytest.fixture(scope="module")
def causal(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelWithGradiend:
    """A GRADIEND with two latents on a causal base in half precision that brings a generation config of its own."""
    folder = tmp_path_factory.mktemp("causal")
    base = AutoModelForCausalLM.from_pretrained(tiny_gpt2, dtype=torch.bfloat16)
    base.generation_config.max_new_tokens = 7
    base.save_pretrained(folder / "base")
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    tokenizer.chat_template = "{{ messages }}"
    tokenizer.save_pretrained(folder / "base")
    name = "transformer.h.0.mlp.c_fc.weight"
    shape = tuple(dict(base.named_parameters())[name].shape)
    n = shape[0] * shape[1]
    generator = torch.Generator().manual_seed(3)
    writing.save_checkpoint(
        folder / "gradiend",
        architecture=Architecture(input_dim=n, latent_dim=2),
        weights={
            ENCODER_WEIGHT: torch.randn(2, n, generator=generator),
            ENCODER_BIAS: torch.zeros(2),
            DECODER_WEIGHT: torch.randn(n, 2, generator=generator),
            DECODER_BIAS: torch.zeros(n),
        },
        shapes={name: shape},
        positions={},
        metadata={"base_model": "../base"},
        context={"source": "factual", "target": "diff"},
    )
    return ModelWithGradiend.from_pretrained(folder / "gradiend", torch_dtype=torch.bfloat16)


def test_an_exported_rewrite_is_complete(causal: ModelWithGradiend, tmp_path: Path) -> None:
    """Tensors, dtype, tokenizer and chat template, generation config, card, recipe; transformers alone loads it."""
    rewrite = Rewrite(Cell(0.0, 0.5), "decoder", {"data": "rows"}, latent_point=(1.0, -0.25))
    folder = export_checkpoint(causal, rewrite, tmp_path / "rewritten")
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    expected = causal.rewrite_base_model(0.5, [1.0, -0.25])
    assert loaded.dtype == expected.dtype == torch.bfloat16
    for key, tensor in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key
    changed = "transformer.h.0.mlp.c_fc.weight"
    assert not torch.equal(loaded.state_dict()[changed], causal.base_model.state_dict()[changed])
    assert json.loads((folder / "generation_config.json").read_text())["max_new_tokens"] == 7
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == "{{ messages }}"
    assert tokenizer("she was kind").input_ids == causal.tokenizer("she was kind").input_ids
    assert json.loads((folder / "rewrite.json").read_text())["feature_factor"] == [1.0, -0.25]
    card = (folder / "README.md").read_text()
    assert "| feature factor | 1, -0.25 |" in card and "feature_factor=[1.0, -0.25]" in card
    assert "AutoModelForCausalLM" in card
