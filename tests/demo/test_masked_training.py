"""The base model's training on a tiny model: it learns, goes on where it stopped, and masks what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from assets.demo.build.corpus import Segment
from assets.demo.build.masked_training import MaskedTraining, Pieces, accuracy, masked_batch, rate_at
from assets.demo.build.recipe import DEFAULT, Recipe
from assets.demo.build.small_bert import strongest_neurons

SIZE = 30
PIECES = Pieces(size=SIZE, cls=2, sep=3, mask=4, pronouns=(10, 11), names=((12, 13, 14), (15, 16)))
RECIPE = replace(DEFAULT, steps=24, step_tokens=128, warm_up=4, peak_rate=5e-3)
ITEMS = [Segment("austen", tuple(5 + (start + k) % 20 for k in range(12))) for start in range(40)]


def tiny() -> BertForMaskedLM:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=SIZE, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0,
    )  # fmt: skip
    return BertForMaskedLM(config)


def trained(folder: Path) -> MaskedTraining:
    training = MaskedTraining(tiny(), PIECES, RECIPE, folder)
    training.run(ITEMS, lambda sentence: None)
    return training


class Stopped(Exception):
    pass


def stop_after(step: int, folder: Path, recipe: Recipe = RECIPE) -> None:
    """Train up to a step that is told of, and stop there."""

    def say(sentence: str) -> None:
        if sentence.startswith(f"step {step} "):
            raise Stopped

    with pytest.raises(Stopped):
        MaskedTraining(tiny(), PIECES, recipe, folder).run(ITEMS, say)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.demo.build.masked_training.SAVE_EVERY", 10)
    monkeypatch.setattr("assets.demo.build.masked_training.SAY_EVERY", 1)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tmp_path: Path, short_steps: None) -> None:
    whole = trained(tmp_path / "whole").model.state_dict()
    stop_after(13, tmp_path / "stopped")
    resumed = trained(tmp_path / "stopped")
    assert resumed.step == RECIPE.steps and resumed.seconds > resumed.earlier > 0
    assert all(torch.equal(whole[name], weight) for name, weight in resumed.model.state_dict().items())
    resumed.forget()
    assert not list((tmp_path / "stopped").iterdir())


def test_the_state_of_another_training_is_not_taken(tmp_path: Path, short_steps: None) -> None:
    stop_after(13, tmp_path, replace(RECIPE, peak_rate=1e-3))
    fresh = trained(tmp_path)
    assert fresh.earlier == 0
    whole = trained(tmp_path / "whole").model.state_dict()
    assert all(torch.equal(whole[name], weight) for name, weight in fresh.model.state_dict().items())


def test_it_learns(tmp_path: Path) -> None:
    always = [Segment("austen", tuple(range(5, 17)))] * 40
    recipe = replace(RECIPE, steps=80, peak_rate=2e-2, swap_names=0.0)
    assert accuracy(tiny(), always, PIECES, recipe) < 0.3
    training = MaskedTraining(tiny(), PIECES, recipe, tmp_path)
    training.run(always, lambda sentence: None)
    assert accuracy(training.model, always, PIECES, recipe) > 0.6


def test_a_batch_masks_what_it_says() -> None:
    recipe = replace(RECIPE, mask=0.2, mask_pronouns=1.0, swap_names=0.0)
    batch = masked_batch(ITEMS * 20, PIECES, recipe, torch.Generator().manual_seed(1))
    plain = torch.tensor([[2, *item.ids, 3] for item in ITEMS * 20])
    assert torch.equal(batch.truth, plain[batch.places])
    assert batch.places[(plain == 10) | (plain == 11)].all()
    assert not batch.places[plain < 5].any()
    others = (plain >= 5) & (plain != 10) & (plain != 11)
    assert batch.places[others].float().mean() == pytest.approx(0.2, abs=0.02)
    asked = batch.inputs[batch.places]
    assert (asked == PIECES.mask).float().mean() == pytest.approx(0.8, abs=0.03)
    assert torch.equal(batch.inputs[~batch.places], plain[~batch.places])
    shown = batch.truth == asked
    assert shown.float().mean() == pytest.approx(0.1, abs=0.03)
    every = masked_batch(ITEMS, PIECES, recipe, torch.Generator().manual_seed(1), hidden=1.0)
    assert (every.inputs[every.places] == PIECES.mask).all()


def test_names_change_places_within_their_gender() -> None:
    recipe = replace(RECIPE, mask=0.0, mask_pronouns=0.0, swap_names=1.0)
    batch = masked_batch(ITEMS, PIECES, recipe, torch.Generator().manual_seed(4))
    plain = torch.tensor([[2, *item.ids, 3] for item in ITEMS])
    for lot in PIECES.names:
        assert torch.equal(torch.isin(batch.inputs, torch.tensor(lot)), torch.isin(plain, torch.tensor(lot)))
    assert not torch.equal(batch.inputs, plain)


def test_the_rate_rises_and_falls() -> None:
    recipe = replace(DEFAULT, steps=1000, warm_up=100, peak_rate=1.0)
    assert rate_at(0, recipe) == pytest.approx(0.01)
    assert rate_at(100, recipe) > 0.97
    assert rate_at(999, recipe) == pytest.approx(0.02, abs=1e-3)


def test_the_strongest_neurons_stay_in_their_order() -> None:
    first = {
        "encoder.layer.0.intermediate.dense.weight": torch.diag(torch.tensor([1.0, 5.0, 2.0, 4.0])),
        "encoder.layer.0.output.dense.weight": torch.eye(4),
    }
    assert strongest_neurons(first, 0, 2).tolist() == [1, 3]
