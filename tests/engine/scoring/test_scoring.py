"""Probabilities and the LMS against the plain way: one text at a time, the whole vocabulary, every position."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tokenizers.processors import TemplateProcessing

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.rows import EvalRow, read_rows
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.scoring.lms_likelihood import CausalLms
from gradiend_ui.engine.scoring.lms_masked import MaskedLms, weighted_scores
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.scoring.objectives.mlm import MlmMaskToken
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary, resolve_targets
from gradiend_ui.engine.scoring.token_boundary import boundary_report
from tests.support.zoo import ZOO, build

WORDS = ClassTargets({"M": ("he", "himself"), "F": ("she", "herself")}, ("M", "F"))


@pytest.fixture(scope="module")
def bert(tiny_bert: Path) -> BaseModel:
    return load_base_model(str(tiny_bert))


@pytest.fixture(scope="module")
def gpt2(tiny_gpt2: Path) -> BaseModel:
    return load_base_model(str(tiny_gpt2))


@pytest.fixture(scope="module")
def test_rows(rows: pd.DataFrame) -> tuple[EvalRow, ...]:
    return read_rows(rows).chosen("test", ("M", "F"))


def scored(objective: Any, model: Any) -> dict[int, list[float]]:
    return {
        place: values
        for block in objective.blocks
        for place, values in zip(block.rows, objective.score(model, block).tolist(), strict=True)
    }


@torch.no_grad()
def plain_masked(base: BaseModel, row: EvalRow, ways: list[tuple[int, ...]]) -> float:
    """Sum over the ways to write a class of the product over their masks: one forward per way."""
    total = 0.0
    for ids in ways:
        masks = " ".join([base.tokenizer.mask_token] * len(ids))
        inputs = base.tokenizer(row.masked.replace("[MASK]", masks), return_tensors="pt")
        at = (inputs["input_ids"][0] == base.tokenizer.mask_token_id).nonzero().reshape(-1)
        probs = torch.softmax(base.model(**inputs).logits[0, at].double(), dim=-1)
        total += float(torch.stack([probs[j, token] for j, token in enumerate(ids)]).prod())
    return total


def test_masked_targets_of_several_pieces(bert: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    vocabulary = TargetVocabulary(bert.tokenizer)
    assert {len(ids) for ids in vocabulary.pieces("himself")} == {2}
    assert len(vocabulary.pieces("he")) == 2  # he and He
    ours = scored(MlmMaskToken(bert, test_rows, WORDS), bert.model)
    assert sorted(ours) == list(range(len(test_rows)))
    for place in range(0, len(test_rows), 7):
        for column, name in enumerate(("M", "F")):
            ways = [ids for word in WORDS.words[name] for ids in vocabulary.pieces(word)]  # type: ignore[index]
            assert ours[place][column] == pytest.approx(plain_masked(bert, test_rows[place], ways), abs=1e-6)


def test_row_wise_scores_each_row_by_its_own_tokens(bert: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    static = scored(MlmMaskToken(bert, test_rows, ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))), bert.model)
    row_wise = scored(MlmMaskToken(bert, test_rows, ClassTargets(None, ("M", "F"))), bert.model)
    for place in static:
        assert row_wise[place] == pytest.approx(static[place], abs=1e-7)


def test_rows_cut_by_the_length_limit_score_nothing(bert: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    long = EvalRow(0, "the house was old . " * 100 + "[MASK] was kind .", "he", "M", "she", "F", "test")
    objective = MlmMaskToken(bert, (*test_rows[:2], long), WORDS)
    assert objective.unscorable == (2,)
    assert sorted(scored(objective, bert.model)) == [0, 1]
    with pytest.raises(BadData, match="length limit"):
        MlmMaskToken(bert, (long,), WORDS)


@torch.no_grad()
def test_causal_natural_boundary_is_what_the_model_says_next(gpt2: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    targets = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
    ours = scored(ClmNextToken(gpt2, test_rows, targets, "natural"), gpt2.model)
    vocabulary = gpt2.tokenizer.get_vocab()
    for place in range(0, len(test_rows), 5):
        left = test_rows[place].masked.split("[MASK]")[0]
        inputs = gpt2.tokenizer(left.rstrip(), return_tensors="pt")
        probs = torch.softmax(gpt2.model(**inputs).logits[0, -1].double(), dim=-1)
        marked = {"M": ("Ġhe", "ĠHe", "ĠHE"), "F": ("Ġshe", "ĠShe", "ĠSHE")}
        for column, name in enumerate(("M", "F")):
            wanted = sum(float(probs[vocabulary[entry]]) for entry in marked[name] if entry in vocabulary)
            assert ours[place][column] == pytest.approx(wanted, abs=1e-6)


def test_natural_numbers_do_not_depend_on_the_other_rows(gpt2: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    together = scored(ClmNextToken(gpt2, test_rows, WORDS, "natural"), gpt2.model)
    for place in (0, 3, 9):
        alone = scored(ClmNextToken(gpt2, test_rows[place : place + 1], WORDS, "natural"), gpt2.model)
        assert alone[0] == pytest.approx(together[place], abs=1e-6)


def test_the_boundary_check_speaks_up(gpt2: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    report = boundary_report(gpt2, test_rows, lambda rows, boundary: ClmNextToken(gpt2, rows, WORDS, boundary))
    assert report.rows == min(32, len(test_rows))
    assert 0 <= report.reference <= 1 and 0 < report.natural <= 1
    assert report.warning is not None and "natural" in report.warning  # rows of several lengths, right padding


def test_rows_without_a_left_context_are_skipped(gpt2: BaseModel, test_rows: tuple[EvalRow, ...]) -> None:
    bare = EvalRow(0, "[MASK] was kind .", "he", "M", "she", "F", "test")
    for boundary in ("reference", "natural"):
        objective = ClmNextToken(gpt2, (test_rows[0], bare), WORDS, boundary)
        assert objective.unscorable == (1,)
        assert sorted(scored(objective, gpt2.model)) == [0]
    with pytest.raises(BadData, match="left of"):
        ClmNextToken(gpt2, (bare,), WORDS)


@torch.no_grad()
def test_masked_lms_against_one_text_at_a_time(bert: BaseModel, neutral_texts: list[str]) -> None:
    texts = neutral_texts[:40]
    draw, hits, total = random.Random(42), 0, 0
    for text in texts:
        ids = bert.tokenizer(text)["input_ids"]
        chosen = draw.sample(range(len(ids)), max(1, int(0.15 * len(ids))))
        masked = torch.tensor([[bert.tokenizer.mask_token_id if p in chosen else i for p, i in enumerate(ids)]])
        predicted = bert.model(input_ids=masked).logits[0].argmax(dim=-1)
        for p in chosen:
            left, right = (
                bert.tokenizer.decode([int(i)], skip_special_tokens=True).lower() for i in (ids[p], predicted[p])
            )
            hits, total = hits + (left == right), total + 1
    lms = MaskedLms(bert, texts)
    result = lms.summarise({b: lms.score(bert.model, b) for b in range(len(lms.block_texts))})
    assert (result["hits"], result["total"]) == (hits, total)
    assert result["lms"] == hits / total == result["recall"]
    assert lms.tokens == total


def test_the_draw_leaves_the_global_generator_alone(bert: BaseModel, neutral_texts: list[str]) -> None:
    random.seed(1)
    before = random.getstate()
    MaskedLms(bert, neutral_texts[:5])
    assert random.getstate() == before


def test_ignored_tokens_do_not_count(bert: BaseModel, neutral_texts: list[str]) -> None:
    everything = frozenset(bert.tokenizer.get_vocab().values())
    with pytest.raises(BadData, match="target token"):
        MaskedLms(bert, neutral_texts[:5], everything)
    dot = frozenset({bert.tokenizer.convert_tokens_to_ids(".")})
    assert MaskedLms(bert, neutral_texts, dot).tokens < MaskedLms(bert, neutral_texts).tokens


@torch.no_grad()
@pytest.mark.parametrize("side", ["right", "left"])
def test_causal_lms_is_the_mean_likelihood(gpt2: BaseModel, neutral_texts: list[str], side: str) -> None:
    texts = neutral_texts[:20]
    side_before, gpt2.tokenizer.padding_side = gpt2.tokenizer.padding_side, side
    try:
        lms = CausalLms(gpt2, texts)
    finally:
        gpt2.tokenizer.padding_side = side_before
    result = lms.summarise({b: lms.score(gpt2.model, b) for b in range(len(lms.block_texts))})
    nll = tokens = 0.0
    for text in texts:
        ids = torch.tensor([gpt2.tokenizer(text)["input_ids"]])
        log_p = torch.log_softmax(gpt2.model(input_ids=ids).logits[0, :-1].double(), dim=-1)
        nll -= float(log_p.gather(1, ids[0, 1:, None]).sum())
        tokens += ids.shape[1] - 1
    assert result["total_tokens"] == tokens
    if side == "right":  # left padding shifts GPT-2's learned positions, as it does in the reference
        assert result["lms"] == pytest.approx(1 / (1 + nll / tokens), abs=1e-6)


def test_a_destroyed_model_has_lms_zero(gpt2: BaseModel, neutral_texts: list[str]) -> None:
    lms = CausalLms(gpt2, neutral_texts[:5])
    blocks = {b: lms.score(gpt2.model, b) for b in range(len(lms.block_texts))}
    blocks[0][0, 0] = float("nan")
    assert lms.summarise(blocks)["lms"] == 0.0
    assert lms.summarise({}) == {}


def test_weighted_scores_by_hand() -> None:
    precision, recall, f1 = weighted_scores(["a", "a", "b", "c"], ["a", "b", "b", "d"])
    assert precision == pytest.approx((1.0 * 2 + 0.5 * 1 + 0) / 4)
    assert recall == pytest.approx(0.5)
    assert f1 == pytest.approx((2 / 3 * 2 + 2 / 3 * 1) / 4)


def test_targets_are_inferred_and_shared_words_switch_to_row_wise(rows: pd.DataFrame) -> None:
    data = read_rows(rows)
    assert resolve_targets(data.rows, ("M", "F"), None).words == {"M": ("He", "he"), "F": ("She", "she")}
    shared = [*data.rows, EvalRow(0, "[MASK] .", "he", "F", "she", "M", "test")]
    assert resolve_targets(shared, ("M", "F"), None).row_wise
    assert resolve_targets(data.rows, ("M", "F"), "label").row_wise
    with pytest.raises(BadData, match="no tokens for class 'F'"):
        resolve_targets(data.rows, ("M", "F"), {"M": ["he"]})
    with pytest.raises(BadData, match="class 'X'"):
        resolve_targets(data.rows, ("M", "F"), {"X": ["he"]})


def test_what_is_no_language_model_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(BadBase, match="no local folder"):
        load_base_model("no-such/model")
    (tmp_path / "config.json").write_text((tiny_bert / "config.json").read_text().replace("ForMaskedLM", "ForTokens"))
    with pytest.raises(BadBase, match="neither a masked nor a causal"):
        load_base_model(str(tmp_path))


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_text_without_tokens_is_passed_over(kind: str) -> None:
    """A tokenizer without special tokens makes nothing of an empty text, or of one that holds only what it drops."""
    base = build(next(kept for kept in ZOO if str(kept) == kind))
    plain = TemplateProcessing(single="$A", special_tokens=[])
    base.tokenizer.backend_tokenizer.post_processor = plain
    texts = ["the book is old .", "a song ."]
    empty = MaskedLms(base, ["", *texts, ""])
    alone = MaskedLms(base, texts)
    told, wanted = (
        lms.summarise({block: lms.score(base.model, block) for block in range(len(lms.block_texts))})
        for lms in (empty, alone)
    )
    assert told == wanted and sum(empty.block_texts) == 4
    with pytest.raises(BadData, match="hold no token to predict"):
        MaskedLms(base, ["", ""])
