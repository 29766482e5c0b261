"""Every version of the checkpoint format gives its answer: golden files of `gradiend` 0.1.0 to 0.2.3 and the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gradiend_ui.engine.checkpoint.direction import why_undirected
from gradiend_ui.engine.checkpoint.formats import NO_ENCODER_BIAS, is_research_format, notes_on_format, signal_of
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.errors import BadCheckpoint
from gradiend_ui.engine.model import ModelWithGradiend
from tests.support.cases import case

VERSIONS = ("0.1.0", "0.1.0-bin", "0.2.0", "0.2.1", "0.2.2", "0.2.3")
NEXT = ("next-no-encoder-bias", "next-encoder-bias", "next-components")
BASE = case("bases/gpt2_tiny")
BIAS = "encoder.0.linear.bias"


def folder_of(version: str) -> Path:
    return case(f"golden/{version}/gradiend")


def loaded(folder: Path) -> ModelWithGradiend:
    return ModelWithGradiend.from_pretrained(folder, BASE)


def assert_answers(model: ModelWithGradiend, version: str) -> None:
    """The numbers that lie beside the golden files of a version."""
    answer = json.loads((case(f"golden/{version}") / "answer.json").read_text())
    assert len(model) == answer["mapped"]
    gradients = torch.linspace(-0.1, 0.1, len(model))
    assert model.encode(gradients, return_float=True) == pytest.approx(answer["encoded"], abs=1e-6)
    plus, minus = model.update_vector("decoder", 1.0), model.update_vector("decoder", -1.0)
    assert plus[:4].tolist() == pytest.approx(answer["plus"], abs=1e-7)
    assert float(plus.double().sum()) == pytest.approx(answer["plus_sum"], abs=1e-5)
    assert float(minus.double().sum()) == pytest.approx(answer["minus_sum"], abs=1e-5)
    if answer["hash"] is not None:
        assert model.param_map_hash == answer["hash"]


@pytest.mark.parametrize("version", [*VERSIONS, *NEXT])
def test_every_version_gives_its_answer_also_after_it_was_saved_again(version: str, tmp_path: Path) -> None:
    model = loaded(folder_of(version))
    assert model.strengthening_feature_factor == {"M": -1.0, "F": 1.0}
    assert_answers(model, version)
    model.save_pretrained(tmp_path / "again")
    again = ModelWithGradiend.from_pretrained(tmp_path / "again")
    assert_answers(again, version)
    assert again.fingerprint == model.fingerprint
    tensors = load_file(tmp_path / "again" / "model.safetensors")
    assert BIAS in tensors, "0.2.3 needs one, and the next takes it for what it is where the file does not say"
    assert "bias_encoder" not in json.loads((tmp_path / "again" / "config.json").read_text())["architecture"]


def test_an_encoder_without_a_bias_counts_as_zero_and_is_said(edited: Callable[..., Path]) -> None:
    model = loaded(folder_of("next-no-encoder-bias"))
    assert torch.equal(model.gradiend.weights[BIAS], torch.zeros(1))
    assert NO_ENCODER_BIAS in model.checkpoint.warnings
    assert NO_ENCODER_BIAS not in loaded(folder_of("next-encoder-bias")).checkpoint.warnings
    silent = edited("next-no-encoder-bias", lambda config: config["architecture"].pop("bias_encoder"))
    assert NO_ENCODER_BIAS in loaded(silent).checkpoint.warnings, "its tensors say it"
    for version, stated in (("next-no-encoder-bias", True), ("next-encoder-bias", False)):
        wrong = edited(version, lambda config, stated=stated: config["architecture"].update(bias_encoder=stated))
        with pytest.raises(BadCheckpoint, match=r"encoder\.0\.linear\.bias"):
            loaded(wrong)
    for value in (1, "false", []):
        odd = edited("next-encoder-bias", lambda config, value=value: config["architecture"].update(bias_encoder=value))
        with pytest.raises(BadCheckpoint, match="bias_encoder must be true or false"):
            loaded(odd)


def test_a_pickled_encoder_without_a_bias_is_read_alike(edited: Callable[..., Path]) -> None:
    folder = edited("next-no-encoder-bias", lambda config: None)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert_answers(loaded(folder), "next-no-encoder-bias")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_told_apart_from_the_file(file: str, edited: Callable[..., Path]) -> None:
    folder = edited("0.2.3", lambda config: None)
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 440\n")
    with pytest.raises(BadCheckpoint, match=f"{file} in .* is a pointer of Git LFS.*git lfs pull") as caught:
        read_checkpoint(folder)
    assert caught.value.text is not None and caught.value.text[0] == "load.pointer"


def test_components_are_one_direction_here_and_that_is_said(edited: Callable[..., Path]) -> None:
    (told,) = (text for text in loaded(folder_of("next-components")).checkpoint.warnings if "components" in text)
    assert told.startswith("The GRADIEND has 2 components ('mlp', 'norm'): here they are one direction")
    many = {"components": [{"id": f"c{n}", "start": n, "end": n + 1} for n in range(9)]}
    assert "and 4 more" in notes_on_format(many)[0]
    assert notes_on_format({"components": None}) == notes_on_format({"components": [{"id": "full"}]}) == []
    for value in ("x", [1], [{}], {"id": "a"}):
        odd = edited("next-components", lambda config, value=value: config.update(components=value))
        with pytest.raises(BadCheckpoint, match="components must be a list of objects with an id"):
            read_checkpoint(odd)


def test_what_was_trained_on_activations_is_refused_in_a_sentence(edited: Callable[..., Path]) -> None:
    with pytest.raises(BadCheckpoint, match=r"another signal than gradients \('activation', metadata.signal") as told:
        read_checkpoint(folder_of("next-activations"))
    assert told.value.text is not None and told.value.text[0] == "load.other_signal"
    for metadata in (
        {"signal": {"kind": "activation"}},
        {"signal": "activation"},
        {"signal": {"_type": "Signal", "_repr": "Signal(kind='activation', options={})"}},
        {"signal_space": {"kind": "Activation"}},
        {"mapping_kind": "activation_gradient"},
    ):
        folder = edited("next-no-encoder-bias", lambda config, metadata=metadata: config.update(metadata=metadata))
        with pytest.raises(BadCheckpoint, match="another signal than gradients"):
            read_checkpoint(folder)
    for metadata in ({}, {"signal": None}, {"signal": {"kind": "gradient"}}, {"signal": {}}, {"mapping_kind": ""}):
        assert signal_of(metadata) == "gradient"


def test_a_format_of_the_future_is_read_as_it_is_known_and_that_is_said(edited: Callable[..., Path]) -> None:
    newer = edited("0.2.3", lambda config: config.update(format_version=2))
    assert any("format_version 2, and 0 is known here" in text for text in read_checkpoint(newer).warnings)
    assert not any("format_version" in text for text in read_checkpoint(folder_of("0.2.3")).warnings)


@pytest.mark.parametrize("name", ["research-masks", "research-whole"])
def test_the_research_format_is_named_with_its_converter(name: str) -> None:
    with pytest.raises(BadCheckpoint, match=r"research code. Convert it on your own machine: python -m gradiend_ui"):
        read_checkpoint(folder_of(name))
    assert not is_research_format({"input_dim": 1, "latent_dim": 1, "layers": [], "mapping": {}})


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """edited(version, change) -> a copy of its golden files with another config.json."""

    def edit(version: str, change: Callable[[dict[str, Any]], object]) -> Path:
        folder = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder_of(version), folder)
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return edit


def test_why_a_direction_is_not_known_is_told_without_what_a_page_does_about_it() -> None:
    note = why_undirected({"F": 1.0, "M": 1.0}, "gradiend_context.json")
    assert note is not None and note.is_open
    assert note.why == "gradiend_context.json gives F, M the same direction, +1."
    assert note.sentence.startswith(note.why) and "encoding_direction" in note.sentence.removeprefix(note.why)
