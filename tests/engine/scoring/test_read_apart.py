"""Models that padding moves: each candidate of a cloze is read by itself, as the reference reads it, and so is a
sentence of a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.compare.side_by_side import compare
from gradiend_ui.engine.data.rows import EvalData
from gradiend_ui.engine.scoring.objectives import seq2seq_decoder, sequence_cloze
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.padding import is_padding_read
from gradiend_ui.engine.scoring.readout import Apart
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.weights.trial import copy_with
from tests.support.checkpoints import gradiend_on
from tests.support.plain_path import CLASSES, ROW_LIST, WORDS
from tests.support.zoo import ZOO, build

TARGETS = ClassTargets({**WORDS, "F": ("she", "they would")}, CLASSES)
LEAK = 0.5
CLOSE = 1e-6


class Leaking(nn.Module):
    """Mixes all positions of a text, padding as well, into each."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Tensor) -> Tensor:
        found: Tensor = self.inner(*args)
        return found + LEAK * found.mean(dim=1, keepdim=True)


def leaking(name: str, objective: str) -> BaseModel:
    """A model of the zoo that padding moves."""
    base = build(next(kept for kept in ZOO if str(kept) == name))
    model: Any = copy_with(base.model, {})
    if name == "llama":
        model.model.layers[0].mlp = Leaking(model.model.layers[0].mlp)
    else:
        layer = model.get_encoder().layers[0]
        layer.fc2 = Leaking(layer.fc2)
    return BaseModel(model, base.tokenizer, objective, f"leaking-{name}")


def scores(base: BaseModel, rows: Any = ROW_LIST, targets: ClassTargets = TARGETS) -> Tensor:
    """P(class) of each row, as a sweep scores them; (rows, classes)."""
    objective = build_objective(base, rows, targets)
    found = torch.full((len(rows), len(CLASSES)), torch.nan, dtype=torch.float64)
    for block in objective.blocks:
        found[list(block.rows)] = objective.score(base.model, block)
    return found


KINDS = [
    ("llama", "clm_sequence_cloze"),
    ("bart", "seq2seq_decoder"),
    ("bart", "seq2seq_decoder_sequence_cloze"),
]


@pytest.mark.parametrize(("name", "objective"), KINDS)
def test_a_candidate_says_the_same_beside_others_as_by_itself(
    name: str, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = leaking(name, objective)
    together = scores(base)
    alone = torch.cat([scores(base, [row]) for row in ROW_LIST])
    assert not together.isnan().any() and (together - alone).abs().max() < CLOSE
    prepared = build_objective(base, ROW_LIST, TARGETS)
    assert all(isinstance(batch, Apart) for block in prepared.blocks for batch, _ in block.reads)
    assert not [text for text in prepared.warnings() if "padding" in text]
    monkeypatch.setattr(sequence_cloze if name == "llama" else seq2seq_decoder, "padding_moves", lambda *_args: False)
    assert (scores(base) - alone).abs().max() > 100 * CLOSE, "beside others the numbers would be others"


@torch.inference_mode()
def test_the_cloze_of_such_a_model_is_the_plain_one() -> None:
    base = leaking("llama", "clm_sequence_cloze")
    left, right, words = "the nurse said that", " would carry the box .", (" he", " she", " they all")
    row = replace(ROW_LIST[0], masked=f"{left}[MASK]{right}")
    told = []
    for word in words:
        texts = (left, left + word + right)
        before, whole = (base.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
        assert whole[: len(before)] == before
        ids = torch.tensor([whole])
        log_p = torch.log_softmax(base.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0], dim=-1)
        told.append(sum(float(log_p[place - 1, whole[place]]) for place in range(len(before), len(whole))))
    he, *she = torch.softmax(torch.tensor(told, dtype=torch.float64), dim=0).tolist()
    targets = ClassTargets({"M": words[:1], "F": words[1:]}, CLASSES)
    assert scores(base, [row, *ROW_LIST], targets)[0].tolist() == pytest.approx([he, sum(she)], rel=1e-4)


def test_a_model_that_padding_does_not_move_is_read_in_batches() -> None:
    base = build(next(kept for kept in ZOO if str(kept) == "llama"))
    prepared = build_objective(BaseModel(base.model, base.tokenizer, "clm_sequence_cloze", "llama"), ROW_LIST, TARGETS)
    assert not any(isinstance(batch, Apart) for block in prepared.blocks for batch, _ in block.reads)


def test_a_decoder_s_sentences_are_read_one_by_one_where_its_encoder_reads_padding(tmp_path: Path) -> None:
    base = leaking("bart", "seq2seq_decoder")
    plain = build(next(kept for kept in ZOO if str(kept) == "bart"))
    assert is_padding_read(base)
    assert not is_padding_read(BaseModel(plain.model, plain.tokenizer, "seq2seq_decoder", "bart"))
    model = gradiend_on(tmp_path / "gradiend", base, prediction_objective="seq2seq_decoder")
    texts = [row.masked for row in ROW_LIST[2:4]]
    together = compare(model, model.workspace(), [], texts, targets=TARGETS)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = compare(model, model.workspace(), [], [text], targets=TARGETS)
        assert answer["masks"][0]["base"] == alone["masks"][0]["base"]


def test_results_of_such_models_are_kept_apart_from_those_read_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = leaking("llama", "clm_sequence_cloze")
    model = gradiend_on(tmp_path / "gradiend", base, prediction_objective="clm_sequence_cloze")
    spec = SweepSpec(feature_factors=(1.0,), learning_rates=(0.1,))

    def fingerprint() -> str:
        return prepare(model, spec, EvalData(ROW_LIST), ["a nurse and a box ."]).fingerprint

    alone = fingerprint()
    monkeypatch.setattr(sequence_cloze, "padding_moves", lambda *_args: False)
    assert fingerprint() != alone
