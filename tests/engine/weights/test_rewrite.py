"""Algebraic identities of the update, the workspace and the rewrite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import PARTS


def state(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def written(workspace: Any) -> dict[str, torch.Tensor]:
    """The twin's weights; those that lie packed in their layers are unpacked, which moves numbers and changes none."""
    made = workspace._made
    packed = {name: made.layers[name][0]._packed.to_dense() for name in made.packed_only}
    return {**state(made.model), **packed}


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_decoder_is_affine_in_the_feature_factor(model: ModelWithGradiend) -> None:
    weight, bias = model.update_vector("decoder-weight"), model.update_vector("decoder-bias")
    for factor in (-2.0, 0.0, 1.0, 3.5):
        torch.testing.assert_close(model.update_vector("decoder", factor), factor * weight + bias)
    torch.testing.assert_close(model.update_vector("decoder-sum"), weight + bias)
    assert model.update_vector("encoder-weight").shape == weight.shape


@pytest.mark.parametrize("part", PARTS)
def test_learning_rate_zero_is_the_base(model: ModelWithGradiend, part: str) -> None:
    assert equal(state(model.rewrite_base_model(0.0, 1.0, part)), state(model.base_model))


def test_a_rewrite_changes_the_mapped_entries_only_and_by_the_update(model: ModelWithGradiend) -> None:
    base, rewritten = state(model.base_model), state(model.rewrite_base_model(0.5, -1.0))
    update = model.update_vector("decoder", -1.0)
    touched = {part.name: part for part in model.mapped}
    for name in dict(model.base_model.named_parameters()):
        difference = (rewritten[name] - base[name]).reshape(-1)
        if name not in touched:
            assert not difference.any(), name
            continue
        part = touched[name]
        expected = torch.zeros_like(difference)
        chosen = slice(None) if part.positions is None else part.positions
        expected[chosen] = 0.5 * update[part.start : part.stop]
        torch.testing.assert_close(difference, expected, atol=1e-6, rtol=1e-4)


def test_tied_weights_change_once(model: ModelWithGradiend) -> None:
    rewritten = model.rewrite_base_model(0.5, 1.0)
    embedding, decoder = rewritten.get_input_embeddings().weight, rewritten.get_output_embeddings().weight
    assert embedding is decoder
    assert not torch.equal(embedding, model.base_model.get_input_embeddings().weight)


@pytest.mark.parametrize("mapping", ["all", "mask", "indices", "mixed"])
def test_workspace_and_rewrite_agree_and_nothing_accumulates(
    build_checkpoint: Any, tmp_path: Path, mapping: str
) -> None:
    model = ModelWithGradiend.from_pretrained(build_checkpoint(tmp_path / "g", mapping))
    before = state(model.base_model)
    workspace = model.workspace()
    for factor, rate in [(1.0, 5.0), (-1.0, 0.3), (1.0, 100.0), (-1.0, 0.3)]:
        workspace.rewritten(model.update_vector("decoder", factor), rate)
        assert equal(written(workspace), state(model.rewrite_base_model(rate, factor)))
    assert equal(state(model.base_model), before)


def test_the_twin_shares_untouched_tensors(model: ModelWithGradiend) -> None:
    twin = dict(model.workspace().rewritten(model.update_vector(), 1.0).named_parameters())
    touched = {part.name for part in model.mapped}
    for name, parameter in model.base_model.named_parameters():
        assert (twin[name].data_ptr() == parameter.data_ptr()) == (name not in touched), name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.1", None])
def test_only_finite_numbers_are_taken(model: ModelWithGradiend, value: Any) -> None:
    with pytest.raises(BadGrid):
        model.rewrite_base_model(value, 1.0)
    with pytest.raises((BadGrid, TypeError)):
        model.rewrite_base_model(1.0, value)


def test_wider_latents_take_a_list(build_checkpoint: Any, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(build_checkpoint(tmp_path / "g", latent_dim=2))
    assert model.rewrite_base_model(0.1, [1.0, -1.0]) is not None
    with pytest.raises(BadGrid, match="latent_dim 2"):
        model.rewrite_base_model(0.1, 1.0)
    with pytest.raises(BadGrid, match="latent_dim 1"):
        model.rewrite_base_model(0.1, 1.0, "decoder-weight")
