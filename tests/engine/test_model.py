"""`ModelWithGradiend` in memory: inverting, pruning, encoding, directions, devices. The base model never changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM

from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, MapEntry, parse_architecture
from gradiend_ui.engine.checkpoint.loaded import directed
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import PARTS
from gradiend_ui.engine.weights.parameter_map import match_parameters
from gradiend_ui.engine.weights.workspace import Workspace

Tensors = dict[str, torch.Tensor]


def tensors(model: Any) -> Tensors:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def plain_workspace(model: ModelWithGradiend) -> Workspace:
    """One whose weights can be looked at: nothing lies packed."""
    return Workspace(model.base_model, model.mapped, plain=True)


@pytest.fixture
def own(checkpoint_folder: Path) -> ModelWithGradiend:
    """A model that a test may change."""
    return ModelWithGradiend.from_pretrained(checkpoint_folder)


def test_what_a_model_tells_of_itself(own: ModelWithGradiend, checkpoint_folder: Path) -> None:
    n = len(own)
    assert own.name == "gradiend" and own.name_or_path == str(checkpoint_folder)
    assert (own.source, own.target) == ("alternative", "diff")
    assert n == own.pruned_length() == own.checkpoint.mapped_weights < own.unpruned_length()
    gradiend = own.gradiend
    assert gradiend.encoder[0].linear.weight.shape == (1, n) and gradiend.decoder[0].weight.shape == (n, 1)  # type: ignore[union-attr]
    assert gradiend.decoder.bias is not None and gradiend.decoder.bias.shape == (n,)
    assert (len(gradiend), gradiend.input_dim, gradiend.latent_dim) == (n, n, 1)
    assert gradiend.encoder_norm == pytest.approx(float(gradiend.encoder.weight.norm()))
    assert gradiend.decoder_norm == pytest.approx(float(gradiend.decoder.weight.norm()))
    torch.testing.assert_close(gradiend.decoder(torch.tensor([-1.0])), own.update_vector("decoder", -1.0))
    assert torch.equal(gradiend.get_update_vector(), own.update_vector("decoder-weight"))
    assert "gradiend" in repr(own) and f"{n:,}" in repr(own)


@pytest.mark.parametrize("kind", [np.float32, np.float64, torch.tensor, lambda x: torch.tensor([x]), np.array])
def test_numbers_of_any_library(own: ModelWithGradiend, kind: Callable[[float], Any]) -> None:
    wanted = tensors(own.rewrite_base_model(0.5, -2.0))
    assert equal(tensors(own.rewrite_base_model(kind(0.5), kind(-2.0))), wanted)
    assert equal(tensors(own.rewrite_base_model(np.int64(1), [kind(-2.0)])), tensors(own.rewrite_base_model(1, -2)))


@pytest.mark.parametrize(
    "value", [float("nan"), np.float32("inf"), True, np.bool_(True), torch.tensor(-torch.inf), "1"]
)
def test_only_finite_numbers(own: ModelWithGradiend, value: Any) -> None:
    for arguments in ((value, 1.0), (1.0, value), (1.0, [value])):
        with pytest.raises(BadGrid):
            own.rewrite_base_model(*arguments)


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
def test_a_point_of_two_latents(build_checkpoint: Any, tmp_path: Path, kind: Callable[[list[float]], Any]) -> None:
    model = ModelWithGradiend.from_pretrained(build_checkpoint(tmp_path / "g", latent_dim=2))
    weight, bias = model.gradiend.decoder.weight, model.gradiend.decoder.bias
    update = model.update_vector("decoder", kind([1.0, -0.5]))
    torch.testing.assert_close(update, weight[:, 0] - 0.5 * weight[:, 1] + bias)
    wanted = tensors(model.rewrite_base_model(0.3, [1.0, -0.5]))
    assert equal(tensors(model.rewrite_base_model(0.3, kind([1.0, -0.5]))), wanted)
    assert not equal(tensors(model.rewrite_base_model(0.3, kind([-0.5, 1.0]))), wanted)
    for wrong in (1.0, kind([1.0]), kind([1.0, 2.0, 3.0])):
        with pytest.raises(BadGrid, match="2 numbers"):
            model.rewrite_base_model(0.3, wrong)


@pytest.mark.parametrize("part", PARTS)
def test_inverting_negates_every_update(own: ModelWithGradiend, part: str) -> None:
    before = copy.copy(own)
    base = tensors(own.base_model)
    own.invert_encoding()
    assert torch.equal(own.update_vector(part, 0.7), -before.update_vector(part, 0.7))
    assert equal(tensors(own.rewrite_base_model(0.3, 0.7, part)), tensors(before.rewrite_base_model(-0.3, 0.7, part)))
    assert not equal(
        tensors(own.rewrite_base_model(0.3, 0.7, part)), tensors(before.rewrite_base_model(0.3, 0.7, part))
    )
    assert equal(tensors(own.base_model), base)


def test_inverting_turns_encodings_directions_and_fingerprint_and_back(own: ModelWithGradiend) -> None:
    first, before = own.fingerprint, copy.copy(own)
    gradients = torch.randn(3, len(own), generator=torch.Generator().manual_seed(1))
    own.invert_encoding()
    torch.testing.assert_close(own.encode(gradients), -before.encode(gradients))  # type: ignore[operator]
    assert own.encoding_direction == {"M": -1.0, "F": 1.0}
    assert own.strengthening_feature_factor == {"M": -1.0, "F": 1.0}
    assert own.fingerprint != first and before.fingerprint == first
    assert before.encoding_direction == {"M": 1.0, "F": -1.0}
    own.invert_encoding(update_direction=False)
    assert own.fingerprint == first and own.encoding_direction == {"M": -1.0, "F": 1.0}


def test_without_a_decoder_bias_the_negated_feature_factor_rewrites_the_same(own: ModelWithGradiend) -> None:
    own.gradiend.weights[DECODER_BIAS].zero_()
    before = copy.copy(own)
    own.invert_encoding()
    assert equal(tensors(own.rewrite_base_model(0.3, -0.7)), tensors(before.rewrite_base_model(0.3, 0.7)))


@pytest.mark.parametrize("mapping", ["all", "mask", "indices", "mixed"])
def test_pruning_keeps_the_chosen_entries_of_every_update(build_checkpoint: Any, tmp_path: Path, mapping: str) -> None:
    whole = ModelWithGradiend.from_pretrained(build_checkpoint(tmp_path / "g", mapping))
    first = whole.fingerprint
    model, mask = whole.prune_gradiend(topk=0.3, inplace=False, return_mask=True)  # type: ignore[misc]
    assert len(whole) == whole.checkpoint.mapped_weights == len(mask) and whole.fingerprint == first
    assert len(model) == int(mask.sum()) == -(-3 * len(whole) // 10)
    assert model.base_model is whole.base_model and model.fingerprint != first
    for part in PARTS:
        torch.testing.assert_close(model.update_vector(part, 0.7), whole.update_vector(part, 0.7)[mask])
    rewritten = tensors(model.rewrite_base_model(0.3, 0.7))
    update = whole.update_vector("decoder", 0.7) * mask
    expected = plain_workspace(whole).rewritten(update, 0.3)
    assert equal(rewritten, tensors(expected))
    assert equal(rewritten, tensors(plain_workspace(model).rewritten(model.update_vector("decoder", 0.7), 0.3)))
    least = whole.get_weight_importance()[mask].min()
    assert bool((whole.get_weight_importance()[~mask] <= least).all())


def test_pruning_in_place_and_by_every_criterion(own: ModelWithGradiend) -> None:
    whole = copy.copy(own)
    importance = whole.get_weight_importance("encoder-weight")
    assert own.prune_gradiend(threshold=0.1, part="encoder-weight") is own
    assert len(own) == int((importance >= 0.1).sum()) < len(whole)
    mask = torch.zeros(len(whole), dtype=torch.bool)
    mask[5:50] = True
    for arguments, length in (
        ({"mask": mask}, 45),
        ({"mask": mask, "topk": 0.5}, 23),
        ({"mask": mask, "topk": 99}, 45),
        ({"mask": mask, "topk": 1.0}, 45),
        ({"topk": 7, "importance": torch.arange(len(whole)).float()}, 7),
        ({"keep_idx": torch.tensor([9, 3, 3])}, 2),
    ):
        assert len(whole.prune_gradiend(inplace=False, **arguments)) == length  # type: ignore[arg-type]
    last = whole.prune_gradiend(topk=7, importance=torch.arange(len(whole)).float(), inplace=False)
    assert isinstance(last, ModelWithGradiend)
    assert torch.equal(last.update_vector(), whole.update_vector()[-7:])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"topk": 0},
        {"topk": 1.5},
        {"topk": True},
        {"topk": "5"},
        {"threshold": -1.0},
        {"threshold": float("nan")},
        {"threshold": 1e9},
        {"mask": torch.ones(3, dtype=torch.bool)},
        {"mask": torch.ones(3)},
        {"topk": 5, "importance": torch.ones(3)},
        {"topk": 5, "part": "decoder"},
        {"keep_idx": torch.tensor([], dtype=torch.long)},
        {"keep_idx": torch.tensor([-1])},
        {"keep_idx": torch.tensor([10**9])},
        {"keep_idx": torch.tensor([1]), "topk": 5},
    ],
)
def test_a_refused_pruning_changes_nothing(own: ModelWithGradiend, arguments: dict[str, Any]) -> None:
    first, length = own.fingerprint, len(own)
    with pytest.raises(BadGrid):
        own.prune_gradiend(**arguments)
    assert own.fingerprint == first and len(own) == length == own.checkpoint.mapped_weights


def test_the_enhancer_mask_is_local(own: ModelWithGradiend) -> None:
    mask = own.get_enhancer_mask(50)
    assert mask.shape == (len(own),) and int(mask.sum()) == 50
    assert own.get_weight_importance()[mask].min() >= own.get_weight_importance()[~mask].max()
    assert int(own.get_enhancer_mask(0.5).sum()) == len(own) // 2
    assert int(own.get_enhancer_mask(1.0).sum()) == len(own)
    assert not own.get_enhancer_mask(0).any()


def test_encoding(own: ModelWithGradiend) -> None:
    gradients = torch.randn(len(own), generator=torch.Generator().manual_seed(2))
    encoder = own.gradiend.encoder
    wanted = torch.tanh(encoder.weight @ gradients + encoder.bias)
    torch.testing.assert_close(own.encode(gradients), wanted)
    torch.testing.assert_close(own.encode(gradients.double()), wanted)
    assert own.encode(gradients, return_float=True) == pytest.approx(float(wanted))
    with pytest.raises(BadData, match="single value"):
        own.encode(gradients.repeat(2, 1), return_float=True)
    for wrong in (gradients[:-1], torch.tensor(1.0)):
        with pytest.raises(BadData, match="mapped weight"):
            own.encode(wrong)


def test_texts_are_encoded_through_a_gradient_creator(checkpoint_folder: Path, own: ModelWithGradiend) -> None:
    @dataclass
    class Creator:
        asked: tuple[str, str] | None = None

        def create_gradients(self, text: str, label: str) -> torch.Tensor:
            self.asked = (text, label)
            return torch.ones(len(own))

    with pytest.raises(BadData, match="label"):
        own.encode("[MASK] .")
    with pytest.raises(BadData, match="gradient_creator"):
        own.encode("[MASK] .", label="he")
    creator = Creator()
    model = ModelWithGradiend.from_pretrained(checkpoint_folder, gradient_creator=creator)
    assert model.encode("[MASK] .", label="he", return_float=True) == own.encode(
        torch.ones(len(own)), return_float=True
    )
    assert creator.asked == ("[MASK] .", "he")


TRAINED = {
    "training_stats": {"mean_by_feature_class": {"3": {"M": -0.4, "F": 0.5}}},
    "best_score_checkpoint": {"global_step": 3},
}


@dataclass
class Definition:
    pair: list[str] | None
    classes: list[str] | None


def test_directions_are_said_once_but_what_was_only_measured_gives_way(
    build_checkpoint: Any, tmp_path: Path, own: ModelWithGradiend
) -> None:
    own.set_feature_class_encoding_direction({"M": -1, "F": 1})
    assert own.feature_class_encoding_direction == {"M": 1, "F": -1}
    own.feature_class_encoding_direction = {"M": -3, "F": 0}
    assert own.encoding_direction == {"M": -1, "F": 0}
    folder = build_checkpoint(tmp_path / "measured", context={"source": "factual"}, training=TRAINED)
    measured = ModelWithGradiend.from_pretrained(folder)
    assert measured.feature_class_encoding_direction == {"M": -1, "F": 1}
    measured.set_feature_class_encoding_direction({})
    assert measured.feature_class_encoding_direction == {"M": -1, "F": 1}
    measured.set_feature_class_encoding_direction({"M": 1, "F": -1})
    measured.set_feature_class_encoding_direction({"M": 0, "F": -1})
    assert measured.feature_class_encoding_direction == {"M": 1, "F": -1}
    bare = ModelWithGradiend.from_pretrained(
        build_checkpoint(tmp_path / "bare", context={"source": "factual"}),
        feature_definition=Definition(["F", "M"], ["M", "F", "N"]),
    )
    assert bare.feature_class_encoding_direction == {"F": 1, "M": -1, "N": 0}
    bare.feature_class_encoding_direction = None
    assert bare.feature_class_encoding_direction is None
    none = ModelWithGradiend.from_pretrained(tmp_path / "bare", feature_definition=Definition(None, None))
    assert none.feature_class_encoding_direction is None


def test_a_direction_is_a_number(own: ModelWithGradiend) -> None:
    for wrong in ("1", None, True, float("nan")):
        with pytest.raises(BadGrid, match="direction of class 'M'"):
            directed(own._state.trained, {"M": wrong})  # type: ignore[dict-item]


def test_moving_and_converting(own: ModelWithGradiend) -> None:
    first = own.fingerprint
    assert own.cpu() is own and own.fingerprint == first
    assert own.to(torch_dtype=torch.bfloat16) is own
    assert own.base_model.dtype == torch.bfloat16 and own.gradiend.torch_dtype == torch.bfloat16
    assert own.checkpoint.architecture.torch_dtype == "bfloat16" and own.fingerprint != first
    rewritten = own.rewrite_base_model(0.5, 1.0)
    assert rewritten.dtype == torch.bfloat16 and not equal(tensors(rewritten), tensors(own.base_model))
    with pytest.raises(BadGrid, match="int8"):
        own.to(torch_dtype=torch.int8)
    if not torch.cuda.is_available():
        for move in (own.cuda, lambda: own.cuda(0), lambda: own.to("cuda:1")):
            with pytest.raises(BadBase, match="GPU"):
                move()
        assert own.gradiend.device.type == "cpu" == own.base_model.device.type


def test_devices_are_named_on_loading(checkpoint_folder: Path) -> None:
    model = ModelWithGradiend.from_pretrained(checkpoint_folder, device="cpu", device_decoder="meta")
    assert model.gradiend.encoder.weight.device.type == "cpu" == model.base_model.device.type
    assert model.gradiend.decoder.weight.device.type == "meta"
    for places in ({"device": "cpux"}, {"device_base_model": "cpux"}, {"device_encoder": "cpux"}):
        with pytest.raises(BadBase, match="no device 'cpux'"):
            ModelWithGradiend.from_pretrained(checkpoint_folder, **places)


class Wrapped(nn.Module):
    """What parallel training and compilation make of a model."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.add_module(name, model)


@pytest.mark.parametrize("names", [["module"], ["_orig_mod"], ["module", "_orig_mod"]])
def test_wrappers_of_a_given_base_come_off(
    checkpoint_folder: Path, tiny_bert: Path, own: ModelWithGradiend, names: list[str]
) -> None:
    given = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    wrapped = given
    for name in names:
        wrapped = Wrapped(wrapped, name)
    model = ModelWithGradiend.from_pretrained(checkpoint_folder, wrapped)
    assert model.base_model is given and model.base.name == own.base.name
    assert equal(tensors(model.rewrite_base_model(0.5, 1.0)), tensors(own.rewrite_base_model(0.5, 1.0)))
    again = own.with_original_base_model(wrapped)
    assert again.base_model is given and own.base_model is not given
    assert again.fingerprint == own.fingerprint


def test_another_base_must_fit(own: ModelWithGradiend) -> None:
    first = own.base_model
    with pytest.raises(BadBase, match="no parameter"):
        own.with_original_base_model(nn.Linear(2, 2))
    assert own.base_model is first


def test_tied_weights_by_either_name_and_prefixes_on_either_side(tiny_bert: Path) -> None:
    model = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    embedding = "bert.embeddings.word_embeddings.weight"
    shape = tuple(dict(model.named_parameters())[embedding].shape)
    spellings = [embedding, "cls.predictions.decoder.weight", f"module.{embedding}", "word_embeddings.weight"]
    for wrapper, prefix in ((model, ""), (Wrapped(model, "module"), "module.")):
        for spelling in spellings:
            found = match_parameters(wrapper, [MapEntry(spelling, shape, "all", None, shape[0] * shape[1])], {})
            assert [part.name for part in found] == [prefix + embedding], spelling
    both = [MapEntry(name, shape, "all", None, shape[0] * shape[1]) for name in spellings[:2]]
    with pytest.raises(BadBase, match="change twice"):
        match_parameters(model, both, {})
    with pytest.raises(BadBase, match="no parameter"):  # one of the two layers: ambiguous
        match_parameters(model, [MapEntry("output.dense.bias", (32,), "all", None, 32)], {})


def test_a_decoder_activation_that_is_not_named_is_the_identity() -> None:
    named = {"input_dim": 3, "latent_dim": 1, "activation_encoder": "relu"}
    assert parse_architecture(named).activation_decoder == "id"
    assert parse_architecture({**named, "activation_decoder": ""}).activation_decoder == "relu"
