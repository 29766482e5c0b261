"""The checkpoint format: what is written is read again, and every damage is one typed sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.checkpoint.reading import load_tensors, read_checkpoint
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, shown
from gradiend_ui.engine.model import ModelWithGradiend


@pytest.fixture
def folder(checkpoint_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(checkpoint_folder, tmp_path / "gradiend")


def edit(folder: Path, change: Callable[[dict[str, Any]], None], name: str = "config.json") -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize("mapping", ["all", "mask", "indices", "mixed"])
@pytest.mark.parametrize("use_safetensors", [True, False])
def test_written_checkpoints_are_read_again(
    build_checkpoint: Any, tmp_path: Path, mapping: str, use_safetensors: bool
) -> None:
    first = build_checkpoint(tmp_path / "first", mapping, use_safetensors=use_safetensors)
    model = ModelWithGradiend.from_pretrained(first)
    model.save_pretrained(tmp_path / "second", use_safetensors=not use_safetensors)
    again = ModelWithGradiend.from_pretrained(tmp_path / "second")
    assert {entry.kind for entry in again.checkpoint.entries} >= ({mapping} if mapping != "mixed" else set())
    assert again.checkpoint.entries == model.checkpoint.entries
    assert again.fingerprint == model.fingerprint
    assert again.encoding_direction == {"M": 1.0, "F": -1.0}


def truncate(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((10**10).to_bytes(8, "little") + b"{}")


def pickle_named_safetensors(folder: Path) -> None:
    torch.save({"a": torch.zeros(2)}, folder / "model.safetensors")


TRAINED = {
    "training_stats": {"mean_by_feature_class": {"40": {"M": -0.9, "F": 0.8}}},
    "best_score_checkpoint": {"global_step": 40, "correlation": 0.9},
}


def broken_json(folder: Path) -> None:
    (folder / "config.json").write_text("{" * 10_000)


def deep_json(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000 + "]" * 100_000)


def nan_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["decoder.0.linear.weight"][3] = torch.nan
    save_file(weights, folder / "model.safetensors")


def indices_with(value: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        indices = load_file(folder / "mapping_indices.safetensors")
        key = next(iter(indices))
        indices[key][0] = value
        save_file(indices, folder / "mapping_indices.safetensors")

    return change


def duplicate_index(folder: Path) -> None:
    indices = load_file(folder / "mapping_indices.safetensors")
    key = next(iter(indices))
    indices[key][0] = indices[key][1]
    save_file(indices, folder / "mapping_indices.safetensors")


def linked_mapping(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    shutil.move(folder / "mapping_indices.safetensors", outside)
    (folder / "mapping_indices.safetensors").symlink_to(outside)


def config(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    return lambda folder: edit(folder, change)


@pytest.mark.parametrize(
    ("damage", "fragment"),
    [
        (truncate, "truncated"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "empty or truncated"),
        (huge_header, "not a whole safetensors"),
        (pickle_named_safetensors, "model.safetensors"),
        (broken_json, "not valid JSON"),
        (deep_json, "not valid JSON"),
        (nan_weights, "NaN"),
        (indices_with(-1), "maps position -1"),
        (indices_with(10**6), "maps position"),
        (duplicate_index, "twice"),
        (linked_mapping, "leads out"),
        (lambda f: (f / "model.safetensors").unlink(), "neither model.safetensors"),
        (lambda f: (f / "mapping_masks.safetensors").unlink(), "missing"),
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (config(lambda c: c["architecture"].update(input_dim=7)), "input_dim is 7"),
        (config(lambda c: c["architecture"].update(latent_dim=-1)), "latent_dim"),
        (config(lambda c: c["architecture"].update(latent_dim=2)), "shape"),
        (config(lambda c: c["architecture"].update(activation_encoder="eval")), "activation_encoder"),
        (config(lambda c: c.pop("mapping")), "no architecture or mapping"),
        (config(lambda c: c["mapping"].update(indices_file="../x.safetensors")), "plain name"),
        (config(lambda c: c["mapping"].update(indices_file="/etc/passwd")), "plain name"),
        (config(lambda c: c["mapping"]["param_map"].append(c["mapping"]["param_map"][0])), "twice"),
        (config(lambda c: c["mapping"]["param_map"][0].update(shape=[-3, 2])), "shape"),
        (config(lambda c: c["mapping"]["param_map"][0].update(repr="list")), "repr"),
        (config(lambda c: c.update(metadata=[])), "metadata"),
    ],
)
def test_damage_is_one_sentence(folder: Path, damage: Callable[[Path], object], fragment: str) -> None:
    damage(folder)
    with pytest.raises(BadCheckpoint, match=fragment) as caught:
        load_tensors(read_checkpoint(folder))
    assert "\n" not in str(caught.value)


def test_a_pickle_is_never_run(folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    (folder / "model.safetensors").unlink()
    torch.save({"encoder.0.linear.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="plain weights"):
        load_tensors(read_checkpoint(folder))
    assert not (tmp_path / "owned").exists()


def test_a_base_model_folder_is_no_gradiend(tiny_bert: Path) -> None:
    with pytest.raises(BadCheckpoint, match="plain base model"):
        read_checkpoint(tiny_bert)


def test_another_base_model_is_refused(checkpoint_folder: Path, tiny_gpt2: Path) -> None:
    with pytest.raises(BadBase, match="no parameter 'bert"):
        ModelWithGradiend.from_pretrained(checkpoint_folder, tiny_gpt2)


@pytest.mark.parametrize("base", ["../../elsewhere", "./missing", "no-such/hub-id", ""])
def test_missing_bases_are_sentences(folder: Path, base: str) -> None:
    edit(folder, lambda c: c["metadata"].update(base_model=base))
    with pytest.raises(BadBase):
        ModelWithGradiend.from_pretrained(folder)


def test_direction_comes_from_the_training_record_when_the_context_has_none(
    build_checkpoint: Any, tmp_path: Path
) -> None:
    training = {
        "training_stats": {"mean_by_feature_class": {"0": {"M": 0.1, "F": 0.2}, "40": {"M": -0.9, "F": 0.8}}},
        "best_score_checkpoint": {"global_step": 40, "correlation": 0.9},
        "training_args": {"source": "factual"},
    }
    context = {"source": "alternative", "target": "diff"}
    checkpoint = read_checkpoint(build_checkpoint(tmp_path / "g", context=context, training=training))
    assert checkpoint.encoding_direction == {"M": -1.0, "F": 1.0}
    assert checkpoint.direction_from == "training.json"
    assert checkpoint.source == "factual"  # the training record wins
    assert len(checkpoint.warnings) == 2
    assert checkpoint.correlation == 0.9


def test_no_direction_anywhere_is_left_open(build_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(build_checkpoint(tmp_path / "g", context={"source": "diff"}))
    assert checkpoint.encoding_direction == {}


@pytest.mark.parametrize("value", ["foo", "Factual", "counterfactual", "", 5, True, ["factual"], {"a": 1}])
def test_a_source_that_is_none_is_refused_with_its_value(build_checkpoint: Any, tmp_path: Path, value: object) -> None:
    folder = build_checkpoint(tmp_path / "g", context={"source": value})
    with pytest.raises(BadCheckpoint, match="source is .* none of factual, alternative, diff") as told:
        read_checkpoint(folder)
    assert shown(value) in str(told.value) and "gradiend_context.json" in str(told.value)
    trained = build_checkpoint(tmp_path / "t", context={}, training={"training_args": {"source": value}})
    with pytest.raises(BadCheckpoint, match="training_args"):
        read_checkpoint(trained)
    both = build_checkpoint(tmp_path / "b", context={"source": value}, training={"training_args": {"source": "diff"}})
    checkpoint = read_checkpoint(both)
    assert checkpoint.source == "diff" and any(shown(value) in text for text in checkpoint.warnings)
    other = build_checkpoint(tmp_path / "o", context={"source": "diff"}, training={"training_args": {"source": value}})
    assert any(shown(value) in text for text in read_checkpoint(other).warnings)


@pytest.mark.parametrize("value", [5, "x", ["M"], True])
def test_directions_that_are_none_are_refused(build_checkpoint: Any, tmp_path: Path, value: object) -> None:
    context = {"source": "diff", "feature_class_encoding_direction": value}
    with pytest.raises(BadCheckpoint, match="must map each class"):
        read_checkpoint(build_checkpoint(tmp_path / "g", context=context, training=TRAINED))


def test_what_is_out_of_the_ordinary_is_said_with_its_value(build_checkpoint: Any, tmp_path: Path) -> None:
    context = {"source": "diff", "target": "foo", "feature_class_encoding_direction": {"M": 5, "F": -0.5, "X": 0}}
    folder = build_checkpoint(tmp_path / "g", context=context)
    edit(folder, lambda c: c["architecture"].update(torch_dtype="float31"))
    checkpoint = read_checkpoint(folder)
    assert checkpoint.encoding_direction == {"M": 1.0, "F": -1.0, "X": 0.0}
    for value in ("'foo'", "'M' the direction 5", "'float31'"):
        assert any(value in text for text in checkpoint.warnings), value
    for wrong in ("x", None, [1]):
        context["feature_class_encoding_direction"] = {"M": wrong}
        with pytest.raises(BadCheckpoint, match="must be a number"):
            read_checkpoint(build_checkpoint(tmp_path / "h", context=context))
    means = {**TRAINED, "training_stats": {"mean_by_feature_class": {"40": {"M": -0.9, "F": "x"}}}}
    read = read_checkpoint(build_checkpoint(tmp_path / "i", context={"source": "diff"}, training=means))
    assert read.encoding_direction == {}, "one class's mean tells no direction"
    assert any("'F' is 'x'" in text for text in read.warnings)


@pytest.mark.parametrize("value", [5, [], {}, False, ["tanh"]])
def test_names_that_are_no_text_are_refused(folder: Path, value: object) -> None:
    for name in ("activation_encoder", "activation_decoder"):
        edit(folder, lambda c, name=name: c["architecture"].update({name: value}))
        with pytest.raises(BadCheckpoint, match=f"{name} must be a name"):
            read_checkpoint(folder)
        edit(folder, lambda c, name=name: c["architecture"].pop(name))
    for name in ("prediction_objective", "tokenizer"):
        edit(folder, lambda c, name=name: c["metadata"].update({name: value}))
        with pytest.raises(BadBase, match=f"metadata.{name}"):
            ModelWithGradiend.from_pretrained(folder)
        edit(folder, lambda c, name=name: c["metadata"].pop(name))
