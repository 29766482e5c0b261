"""Broken models: a cell that says the same nearly everywhere is recognised, and its LMS is explained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.scoring.lms import build_lms
from gradiend_ui.engine.scoring.lms_masked import MaskedLms
from gradiend_ui.engine.selection.picture import picture_of
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy
from gradiend_ui.engine.selection.winner import Question, degenerate, select
from gradiend_ui.engine.values import Broken, Cell, CellScore, Grid, MostSaid

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
    found = MostSaid("she", share).broken_beside(MostSaid("the", base))
    assert (found == Broken("she", share, base)) is broken and (found is None) is not broken
    assert MostSaid("she", share).broken_beside(None) is None


def said(share: float, pair: float, right: float = 0.1, right_pair: float = 0.2, places: int = 400) -> MostSaid:
    return MostSaid("the", share, ",", pair, right, right_pair, places)


def test_two_tokens_in_turn_are_broken_too() -> None:
    base = said(0.1, 0.2)
    assert said(0.48, 0.95).broken_beside(base) == Broken("the / ,", 0.95, 0.2)
    assert said(0.45, 0.85).broken_beside(base) is None
    assert said(0.48, 0.95).broken_beside(said(0.4, 0.75)) is None, "the base does so, too"
    assert said(0.48, 0.95, right_pair=0.8).broken_beside(base) is None, "the texts are like that"
    assert MostSaid("the", 0.48).broken_beside(base) is None


def test_texts_of_one_word_break_no_model() -> None:
    """The base does not know the word, the cell says it rightly: a table of one word is no broken model."""
    assert said(0.95, 1.0, right=0.95, right_pair=1.0).broken_beside(said(0.1, 0.2)) is None
    assert said(0.95, 1.0, right=0.6, right_pair=1.0).broken_beside(said(0.1, 0.2)) is not None


def test_a_few_places_tell_nothing() -> None:
    base = said(0.2, 0.4)
    assert said(1.0, 1.0, places=11).broken_beside(base) is None
    assert said(1.0, 1.0, places=12).broken_beside(base) is not None
    assert MostSaid("the", 1.0).broken_beside(base) is not None, "scores of before do not tell how many"


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


def test_a_base_that_is_broken_itself_is_told_and_an_lms_of_0_decides_nothing() -> None:
    she = said(1.0, 1.0)
    base, cell = score(None, 0.1, 0.0, she), score(Cell(-1, 0.5), 0.4, 0.0, she)
    chosen = select(QUESTION, base, [cell])
    assert chosen.base_degenerate == {"token": "the", "share": 1.0} and chosen.degenerate is None
    assert "The base model itself says 'the' at 100% of the places" in chosen.why
    assert "LMS is 0: every cell passes, and the LMS decides nothing" in chosen.why
    told = picture_of(QUESTION, GRID, replace(base, rows_done=3), [cell])["base"]
    assert told is not None and told["degenerate"] == chosen.base_degenerate
    sane = select(QUESTION, BASE, [SANE])
    assert sane.base_degenerate is None and "itself" not in sane.why and "decides nothing" not in sane.why


def test_what_a_base_says_everywhere_is_no_fault_where_it_is_right() -> None:
    assert said(0.7, 0.8).broken_alone() == {"token": "the", "share": 0.7}
    assert said(0.48, 0.95).broken_alone() == {"token": "the / ,", "share": 0.95}
    assert said(0.7, 0.8, right=0.6).broken_alone() is None and said(0.49, 0.8).broken_alone() is None
    assert said(1.0, 1.0, places=11).broken_alone() is None
    assert MostSaid("the", 1.0).broken_alone() is None, "nobody knows what is right there"


def test_a_picture_tells_which_cells_are_broken() -> None:
    picture = picture_of(QUESTION, GRID, BASE, [SANE, BROKEN])
    assert picture["degenerate"] == [[None, {"token": "[CLS]", "share": 0.97, "base_share": 0.12}]]
    unknown = picture_of(QUESTION, GRID, replace(BASE, most_said=None), [SANE, BROKEN])
    assert unknown["degenerate"] == [[None, None]]  # a run of a version before this one notes nothing
    assert degenerate(BROKEN, BASE.with_status("provisional")) is None


def test_a_score_keeps_it_in_the_store() -> None:
    assert CellScore.from_json(json.loads(json.dumps(BROKEN.to_json()))).most_said == MostSaid("[CLS]", 0.97)
    assert CellScore.from_json({**SANE.to_json(), "most_said": None}).most_said is None
    before = {**BROKEN.to_json(), "most_said": {"token": "[CLS]", "share": 0.97}}
    assert CellScore.from_json(before) == BROKEN, "as versions before this one kept it"
    whole = replace(BROKEN, most_said=said(0.5, 0.9, 0.1, 0.2, 40))
    assert CellScore.from_json(json.loads(json.dumps(whole.to_json()))) == whole


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
    assert said is not None and said.share == 1.0 and said.broken_beside(own) is not None
    assert said.token == base.tokenizer.decode([token]).strip()
    half = {0: results[0]} if len(results) > 1 else results
    assert lms.most_said(half) is not None and lms.most_said({}) is None


def test_shares_are_counted_over_all_places(tiny_bert: Path, neutral_texts: list[str]) -> None:
    lms = build_lms(load_base_model(str(tiny_bert)), neutral_texts[:40])
    assert isinstance(lms, MaskedLms)
    made = {0: np.array([7, 7, 8], dtype=np.int32), 1: np.array([7, 9], dtype=np.int32)}
    said = lms.most_said(made)
    assert said is not None and said.share * said.places == pytest.approx(3)


def test_special_tokens_and_casings_count_together(tiny_bert: Path, neutral_texts: list[str]) -> None:
    """As the LMS takes them for the same: a model that says [CLS] and [SEP] in turn says one thing."""
    base = load_base_model(str(tiny_bert))
    lms = build_lms(base, neutral_texts[:40])
    assert isinstance(lms, MaskedLms)
    he, upper, cls, sep = base.tokenizer.convert_tokens_to_ids(["he", "He", "[CLS]", "[SEP]"])
    special = lms.most_said({0: np.array([cls, sep, cls, he], dtype=np.int32)})
    assert special is not None and special.token == "[CLS]"
    cased = lms.most_said({0: np.array([he, upper, he, cls], dtype=np.int32)})
    assert cased is not None and special.share == cased.share == pytest.approx(3 * special.pair / 4)
    assert cased.token == "he" and cased.second == "[CLS]"


def test_what_is_right_most_often_is_told_beside_it(tiny_gpt2: Path) -> None:
    base = load_base_model(str(tiny_gpt2))
    lms = build_lms(base, [" he he he he he he she"] * 4)
    found = lms.most_said({block: lms.score(base.model, block) for block in range(len(lms.block_texts))})
    assert found is not None and found.places == lms.tokens == 24
    assert (found.right, found.right_pair) == (pytest.approx(5 / 6), 1.0) and 0 < found.share <= found.pair <= 1


def test_results_of_before_that_count_one_token_are_read(tiny_gpt2: Path, neutral_texts: list[str]) -> None:
    lms = build_lms(load_base_model(str(tiny_gpt2)), neutral_texts[:40])
    base = load_base_model(str(tiny_gpt2))
    now = {block: lms.score(base.model, block) for block in range(len(lms.block_texts))}
    before = {block: result[:, :4] for block, result in now.items()}
    mixed = {**now, 0: before[0]}
    one, other = lms.most_said(now), lms.most_said(before)
    assert one is not None and other is not None and one.token == other.token
    assert lms.summarise(mixed) == lms.summarise(now)
    assert lms.error(mixed, now) == lms.error(now, now) == 0.0 and lms.error(mixed) == lms.error(now)
