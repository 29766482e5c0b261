"""Broken models: a cell that says the same nearly everywhere is recognised, and its LMS is explained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.scoring.lms import MaskedLms, build_lms
from gradiend_ui.engine.selection.picture import picture_of
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy
from gradiend_ui.engine.selection.winner import Question, degenerate, select
from gradiend_ui.engine.values import Cell, CellScore, Grid, MostSaid

GRID = Grid((-1.0,), (0.5, 20.0))
QUESTION = Question("F", ("M", "F"), {"M": 1.0, "F": -1.0}, "strengthen", LMSThresholdPolicy(0.5))


def score(cell: Cell | None, p: float, lms: float, said: MostSaid | None) -> CellScore:
    probabilities = {name: {"M": 1 - p, "F": p} for name in ("M", "F")}
    return CellScore(cell, "final", probabilities, {"lms": lms}, most_said=said)


BASE = score(None, 0.1, 0.4, MostSaid("the", 0.12))
SANE = score(Cell(-1, 0.5), 0.4, 0.39, MostSaid("the", 0.11))
BROKEN = score(Cell(-1, 20), 0.9, 0.41, MostSaid("[CLS]", 0.97))


@pytest.mark.parametrize(
    ("share", "base", "broken"),
    [(0.97, 0.12, True), (0.5, 0.12, True), (0.49, 0.12, False), (0.7, 0.5, False), (0.75, 0.5, True)],
)
def test_broken_is_what_says_one_token_at_most_places_and_not_the_base(share: float, base: float, broken: bool) -> None:
    assert MostSaid("she", share).is_degenerate(MostSaid("the", base)) is broken
    assert not MostSaid("she", share).is_degenerate(None)


def test_a_broken_winner_is_said_to_be_broken_and_its_lms_explained() -> None:
    """The LMS rises again past the cliff: 0.41 beside a base of 0.4, and the metric is the largest of all."""
    selection = select(QUESTION, BASE, [SANE, BROKEN])
    assert selection.learning_rate == 20 and selection.degenerate == {
        "token": "[CLS]",
        "share": 0.97,
        "base_share": 0.12,
    }
    assert "The model is broken there: it says '[CLS]' at 97% of the places" in selection.why
    assert "even where it rises" in selection.why
    sane = select(QUESTION, BASE, [SANE])
    assert sane.degenerate is None and "broken" not in sane.why


def test_a_picture_tells_which_cells_are_broken() -> None:
    picture = picture_of(QUESTION, GRID, BASE, [SANE, BROKEN])
    assert picture["degenerate"] == [[None, {"token": "[CLS]", "share": 0.97, "base_share": 0.12}]]
    unknown = picture_of(QUESTION, GRID, replace(BASE, most_said=None), [SANE, BROKEN])
    assert unknown["degenerate"] == [[None, None]]  # a run of a version before this one notes nothing
    assert degenerate(BROKEN, BASE.with_status("provisional")) is None


def test_a_score_keeps_it_in_the_store() -> None:
    assert CellScore.from_json(json.loads(json.dumps(BROKEN.to_json()))).most_said == MostSaid("[CLS]", 0.97)
    assert CellScore.from_json({**SANE.to_json(), "most_said": None}).most_said is None


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_gpt2", "tiny_t5"])
def test_a_model_that_says_one_token_everywhere_is_recognised(
    name: str, neutral_texts: list[str], request: pytest.FixtureRequest
) -> None:
    base = load_base_model(str(request.getfixturevalue(name)))
    lms = build_lms(base, neutral_texts[:40])
    blocks = range(len(lms.block_texts))
    own = lms.most_said({block: lms.score(base.model, block) for block in blocks})
    head = base.model.get_output_embeddings()
    token = 17
    handle = head.register_forward_hook(
        lambda _module, _args, logits: logits + 1e4 * torch.eye(logits.shape[-1])[token]
    )
    try:
        results = {block: lms.score(base.model, block) for block in blocks}
    finally:
        handle.remove()
    said = lms.most_said(results)
    assert own is not None and own.share < 0.75
    assert said is not None and said.share == 1.0 and said.is_degenerate(own)
    assert said.token == base.tokenizer.decode([token]).strip()
    half = {0: results[0]} if len(results) > 1 else results
    assert lms.most_said(half) is not None and lms.most_said({}) is None


def test_shares_are_counted_over_all_places(tiny_bert: Path, neutral_texts: list[str]) -> None:
    lms = build_lms(load_base_model(str(tiny_bert)), neutral_texts[:40])
    assert isinstance(lms, MaskedLms)
    made = {0: np.array([7, 7, 8], dtype=np.int32), 1: np.array([7, 9], dtype=np.int32)}
    said = lms.most_said(made)
    assert said is not None and said.share == pytest.approx(3 / 5)
