"""The objectives on tiny models, each against a plain loop over rows and candidates; the score of neutral texts too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.rows import EvalRow, read_rows
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.scoring.lms import build_lms
from gradiend_ui.engine.scoring.lms_likelihood import Seq2SeqLms
from gradiend_ui.engine.scoring.objectives.candidates import added_ids, gap_mark, gap_mark_id, right_context
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.scoring.objectives.seq2seq_encoder_mlm import Seq2SeqEncoderMlm
from gradiend_ui.engine.scoring.objectives.sequence_cloze import SequenceCloze
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary

WORDS = ClassTargets({"M": ("he", "himself"), "F": ("she", "herself")}, ("M", "F"))
ROW_WISE = ClassTargets(None, ("M", "F"))


def row(masked: str, label: str = "he", alternative: str = "she") -> EvalRow:
    return EvalRow(0, masked, label, "M", alternative, "F", "test")


@pytest.fixture(scope="module")
def test_rows(rows: pd.DataFrame) -> tuple[EvalRow, ...]:
    return read_rows(rows).chosen("test", ("M", "F"))[:12]


@pytest.fixture(scope="module")
def gpt2(tiny_gpt2: Path) -> BaseModel:
    return load_base_model(str(tiny_gpt2), objective="clm_sequence_cloze")


@pytest.fixture(scope="module")
def t5(tiny_t5: Path) -> BaseModel:
    return load_base_model(str(tiny_t5))


@pytest.fixture(scope="module")
def bart(tiny_bart: Path) -> BaseModel:
    return load_base_model(str(tiny_bart))


def scored(objective: Objective, base: BaseModel) -> torch.Tensor:
    """(rows, classes) in the order of the rows."""
    places = [place for block in objective.blocks for place in block.rows]
    values = torch.cat([objective.score(base.model, block) for block in objective.blocks])
    return values[torch.tensor(places).argsort()]


def shares(log_p: list[tuple[int, float]]) -> list[float]:
    weights = torch.softmax(torch.tensor([value for _, value in log_p], dtype=torch.float64), dim=0)
    return [sum(float(w) for w, (column, _) in zip(weights, log_p, strict=True) if column == c) for c in (0, 1)]


@torch.no_grad()
def continued(base: BaseModel, left: list[int], added: list[int]) -> float:
    log_p = torch.log_softmax(base.model(input_ids=torch.tensor([left + added])).logits[0].double(), dim=-1)
    return sum(float(log_p[len(left) - 1 + step, token]) for step, token in enumerate(added))


@pytest.mark.parametrize("window", [-1, 0, 2])
def test_a_cloze_is_the_share_of_whole_continuations(
    gpt2: BaseModel, test_rows: tuple[EvalRow, ...], window: int
) -> None:
    base = replace(gpt2, rhs_window=window)
    wanted = []
    for own in test_rows:
        left, right = own.masked.split("[MASK]")
        seen = right_context(base.tokenizer, right, window)
        ids = base.tokenizer(left)["input_ids"]
        assert WORDS.words is not None
        wanted.append(
            shares(
                [
                    (column, continued(base, ids, added_ids(base.tokenizer, left, [word + seen])[0]))
                    for column, name in enumerate(("M", "F"))
                    for word in WORDS.words[name]
                ]
            )
        )
    ours = scored(SequenceCloze(base, test_rows, WORDS), base)
    torch.testing.assert_close(ours, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.sum(dim=1), torch.ones(len(ours), dtype=torch.float64))


def test_the_right_context_counts_and_its_window_cuts_it(gpt2: BaseModel) -> None:
    rows = (row("john said that [MASK] would wash the coat ."),)
    by_window = {w: scored(SequenceCloze(replace(gpt2, rhs_window=w), rows, WORDS), gpt2) for w in (-1, 0, 1, 99)}
    assert not torch.allclose(by_window[-1], by_window[0], atol=1e-4)
    assert not torch.allclose(by_window[1], by_window[0], atol=1e-4)
    assert torch.equal(by_window[99], by_window[-1])


def test_a_cloze_row_by_row_reads_only_its_own_two_words(gpt2: BaseModel) -> None:
    rows = (row("john said that [MASK] was kind .", "he", "they"),)
    alone = ClassTargets({"M": ("he",), "F": ("they",)}, ("M", "F"))
    assert torch.equal(
        scored(SequenceCloze(gpt2, rows, ROW_WISE), gpt2), scored(SequenceCloze(gpt2, rows, alone), gpt2)
    )


def test_rows_that_a_cloze_cannot_score_are_left_out_and_named(gpt2: BaseModel) -> None:
    good, bare, long = row("john said [MASK] ."), row("[MASK] was kind ."), row("a " * 300 + "[MASK] .")
    objective = SequenceCloze(gpt2, (bare, good, long), WORDS)
    assert objective.unscorable == (0, 2)
    assert objective.warnings()[0].startswith("2 of 3 rows score nothing")
    assert SequenceCloze(gpt2, (good,), WORDS).warnings() == ()
    with pytest.raises(BadData, match="nothing to continue"):
        SequenceCloze(gpt2, (bare, long), WORDS)


def test_added_tokens_survive_a_melting_boundary(gpt2: BaseModel, t5: BaseModel) -> None:
    for tokenizer in (gpt2.tokenizer, t5.tokenizer):
        for left in ("john said that ", "john said that", ""):
            before = tokenizer(left, add_special_tokens=False)["input_ids"]
            added = added_ids(tokenizer, left, ["she was kind ."])[0]
            assert added and "kind" in tokenizer.decode(added)
            assert "she" in tokenizer.decode(before + added).replace(" ", "")


def test_the_words_of_a_row_become_tokens_together(gpt2: BaseModel, t5: BaseModel) -> None:
    for tokenizer in (gpt2.tokenizer, t5.tokenizer):
        calls: list[object] = []

        def counted(text: object, calls: list[object] = calls, own: Any = tokenizer, **options: Any) -> Any:
            calls.append(text)
            return own(text, **options)

        words = [f"{name} was {how} ." for name in ("she", "he", "john") for how in ("kind", "here", "")]
        for left in ("john said that ", "john said that", ""):
            apart = [added_ids(tokenizer, left, [word])[0] for word in words]
            calls.clear()
            assert added_ids(counted, left, [*words, words[0]]) == [*apart, apart[0]]
            assert len(calls) <= 3


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("targets", [WORDS, ROW_WISE], ids=["static", "row-wise"])
def test_the_encoder_is_read_at_the_gap(
    name: str, targets: ClassTargets, test_rows: tuple[EvalRow, ...], request: pytest.FixtureRequest
) -> None:
    base: BaseModel = request.getfixturevalue(name)
    assert base.objective == "seq2seq_encoder_mlm"
    vocabulary = TargetVocabulary(base.tokenizer)
    wanted = []
    for own in test_rows:
        inputs = base.tokenizer(own.masked.replace("[MASK]", gap_mark(base.tokenizer)), return_tensors="pt")
        at = int((inputs["input_ids"][0] == gap_mark_id(base.tokenizer)).nonzero()[0])
        with torch.no_grad():
            hidden = base.model.get_encoder()(**inputs).last_hidden_state
            p = torch.softmax(base.model.lm_head(hidden)[0, at].double(), dim=-1)
        words = targets.words or {own.label_class: (own.label,), own.alternative_class: (own.alternative,)}
        ids = {name: {i for word in group for i in vocabulary.first_pieces(word)} for name, group in words.items()}
        wanted.append([float(sum(p[i] for i in ids[name])) for name in ("M", "F")])
    ours = scored(Seq2SeqEncoderMlm(base, test_rows, targets), base)
    torch.testing.assert_close(ours, torch.tensor(wanted, dtype=torch.float64), rtol=1e-4, atol=1e-8)


def test_a_gap_behind_the_limit_counts_as_zero_at_the_encoder(t5: BaseModel) -> None:
    good, long = row("john said [MASK] ."), row("was " * 600 + "[MASK] .")
    objective = Seq2SeqEncoderMlm(t5, (good, long), WORDS)
    values = scored(objective, t5)
    assert values[0].min() > 0 and values[1].tolist() == [0.0, 0.0]
    assert objective.warnings()[0].startswith("1 of 2 rows count as probability 0")
    with pytest.raises(BadData, match="length limit"):
        Seq2SeqEncoderMlm(t5, (long,), WORDS)


def test_a_tokenizer_that_cannot_mark_a_gap_is_refused(gpt2: BaseModel) -> None:
    with pytest.raises(BadBase, match="cannot mark a gap"):
        gap_mark_id(gpt2.tokenizer)


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("objective", ["seq2seq_decoder", "seq2seq_decoder_sequence_cloze"])
def test_the_decoder_is_asked_for_each_candidate(
    name: str, objective: str, test_rows: tuple[EvalRow, ...], request: pytest.FixtureRequest
) -> None:
    base = replace(request.getfixturevalue(name), objective=objective)
    tokenizer = base.tokenizer
    wraps = objective == "seq2seq_decoder_sequence_cloze" and name == "t5"
    around = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    wanted = []
    for own in test_rows[:6]:
        inputs = tokenizer(own.masked.replace("[MASK]", gap_mark(tokenizer)), return_tensors="pt")
        log_p = []
        for column, word in ((0, "he"), (0, "himself"), (1, "she"), (1, "herself")):
            said = added_ids(tokenizer, own.masked.split("[MASK]")[0], [word])[0]
            said = [around[0], *said, around[1]] if wraps else said
            begun = torch.tensor([[base.model.config.decoder_start_token_id, *said[:-1]]])
            with torch.no_grad():
                logits = base.model(**inputs, decoder_input_ids=begun).logits[0].double()
            log_p.append((column, float(torch.log_softmax(logits, -1)[range(len(said)), said].sum())))
        wanted.append(shares(log_p))
    prepared = build_objective(base, test_rows[:6], WORDS)
    torch.testing.assert_close(scored(prepared, base), torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-5)
    assert "experimental" in prepared.warnings()[0]


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("ignore", [False, True])
def test_the_score_of_neutral_texts_is_the_models_own_loss(
    name: str, ignore: bool, neutral_texts: list[str], request: pytest.FixtureRequest
) -> None:
    base: BaseModel = request.getfixturevalue(name)
    ignored = frozenset(base.tokenizer("the", add_special_tokens=False)["input_ids"]) if ignore else frozenset()
    nll, tokens = 0.0, 0
    for text in neutral_texts[:9]:
        inputs = base.tokenizer(text, return_tensors="pt")
        labels = inputs["input_ids"].clone()
        labels[torch.isin(labels, torch.tensor(sorted(ignored)))] = -100
        active = int((labels != -100).sum())
        with torch.no_grad():
            nll += float(base.model(**inputs, labels=labels).loss) * active
        tokens += active
    lms = build_lms(base, neutral_texts[:9], ignored)
    assert isinstance(lms, Seq2SeqLms) and lms.tokens == tokens
    found = lms.summarise({block: lms.score(base.model, block) for block in range(len(lms.block_texts))})
    assert found["total_tokens"] == tokens
    assert found["lms"] == pytest.approx(1 / (1 + nll / tokens), abs=1e-6)


def test_padding_of_a_causal_model_is_its_end_token(tiny_llama: Path, test_rows: tuple[EvalRow, ...]) -> None:
    """The reference pads with the end token whatever the tokenizer's own padding is, and reads behind it."""
    base = load_base_model(str(tiny_llama))
    assert base.tokenizer.pad_token == "<|pad|>" and base.pad_id == base.tokenizer.eos_token_id
    objective = ClmNextToken(base, test_rows, ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F")))
    assert objective.after_padding > 0
    (batch, _), *_ = objective.blocks[0].reads
    assert set(batch.input_ids[batch.attention_mask == 0].tolist()) == {base.tokenizer.eos_token_id}
