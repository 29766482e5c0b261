"""Token boundary at a mask, and P(class) that is the same in a sweep and in a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from gradiend_ui.engine.base.base_model import BaseModel, marked_words
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.compare.side_by_side import compare
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.objectives.mlm import MlmMaskToken
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary, resolve_targets
from tests.support.cases import case
from tests.support.checkpoints import gradiend_on
from tests.support.tiny_models import build_llama_tokenizer, build_unigram_tokenizer, build_wordpiece_tokenizer
from tests.support.zoo import ZOO, build

HE_SHE = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
SENTENCES = {
    "one mask": "there was [MASK] in the house.",
    "glued": 'there was ("[MASK]") in the house.',
    "first": "[MASK] was kind.",
}


def case_rows(name: str) -> tuple[EvalRow, ...]:
    return tuple(EvalRow(number, **row, split="test") for number, row in enumerate(json.loads(case(name).read_text())))


def mean_scores(base: BaseModel, rows: tuple[EvalRow, ...], targets: ClassTargets, boundary: str) -> dict[str, float]:
    objective = build_objective(base, rows, targets, boundary)
    scores = torch.cat([objective.score(base.model, block) for block in objective.blocks])
    return dict(zip(objective.classes, scores.nanmean(dim=0).tolist(), strict=True))


@pytest.fixture(scope="module")
def roberta() -> BaseModel:
    return load_base_model(str(case("bases/roberta")))


@pytest.fixture(scope="module")
def run() -> ModelWithGradiend:
    return ModelWithGradiend.from_pretrained(str(case("gradiends/roberta_run")), base_model=str(case("bases/roberta")))


def test_a_masked_byte_level_base_says_its_words_with_their_space(roberta: BaseModel) -> None:
    """The case: 6e-6 and 1e-11 were told as they are in the reference, and nothing said that Ġshe has 0.527."""
    rows = case_rows("roberta_rows.json")
    plain = mean_scores(roberta, rows, HE_SHE, "reference")
    assert plain["M"] == pytest.approx(6e-6, rel=0.1) and plain["F"] < 1e-10  # the reference's numbers stay
    natural = mean_scores(roberta, rows, HE_SHE, "natural")
    assert natural["F"] == pytest.approx(0.527, abs=5e-4) and natural["M"] == pytest.approx(0.471, abs=5e-4)
    (warning,) = MlmMaskToken(roberta, rows, HE_SHE).warnings()
    assert "against 1 with the natural boundary" in warning and "token_boundary to 'natural'" in warning
    assert MlmMaskToken(roberta, rows, HE_SHE, "natural").warnings() == ()


def test_an_entry_of_the_vocabulary_as_a_word_is_that_entry(roberta: BaseModel) -> None:
    rows = case_rows("roberta_rows.json")
    own = ClassTargets({"M": ("Ġhe",), "F": ("Ġshe",)}, ("M", "F"))
    for boundary in ("reference", "natural"):
        assert mean_scores(roberta, rows, own, boundary) == pytest.approx({"F": 0.527, "M": 0.471}, abs=5e-4)
    (he,) = report_words(roberta, {"M": ["Ġhe"]})["M"]
    assert he.pieces == (("Ġhe",),) and not he.unknown


def test_the_report_names_what_is_read_under_both(roberta: BaseModel, tiny_bert: Path) -> None:
    (he,) = report_words(roberta, {"M": ["he"]})["M"]
    assert he.pieces == (("he",), ("He",)) and he.natural is not None
    assert [names for _, names in he.natural] == [("Ġhe",)]
    (plain,) = report_words(load_base_model(str(tiny_bert)), {"M": ["he"]})["M"]
    assert plain.natural is None  # WordPiece marks no words: there is one reading only


def test_what_marks_a_word(roberta: BaseModel) -> None:
    assert marked_words(roberta.tokenizer) == "between words"
    assert marked_words(build_unigram_tokenizer()) == "from the start"
    assert marked_words(build_llama_tokenizer()) == "between words"  # byte-level, as Llama 3
    assert marked_words(build_wordpiece_tokenizer()) == ""


def word_end_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<unk>": 0, "h": 1, "e": 2, "e</w>": 3, "he": 4, "he</w>": 5, "a</w>": 6, "<mask>": 7}
    backend = Tokenizer(models.BPE(vocabulary, [("h", "e</w>")], unk_token="<unk>", end_of_word_suffix="</w>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", mask_token="<mask>")


def test_a_mark_at_the_end_of_a_word() -> None:
    vocabulary = TargetVocabulary(word_end_tokenizer())
    assert vocabulary.pieces("he") == ((5,),)  # what the tokenizer makes of the entry "he", as in the reference
    assert vocabulary.whole_word("he") == ((5,),) == vocabulary.pieces("he</w>")
    assert vocabulary.whole_word_at("") and vocabulary.whole_word_at("(")


def test_words_beyond_ascii_are_found_in_every_casing() -> None:
    """Byte-level entries spell "für" as "fÃ¼r": their casings cannot be found by looking at the entries."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<mask>", "<pad>"])
    backend.train_from_iterator([" für für Für Für sie", "a für Für"] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="<mask>", pad_token="<pad>")
    ways = TargetVocabulary(tokenizer).whole_word("für")
    assert {tokenizer.decode(list(way)) for way in ways} == {" für", " Für"} and {len(way) for way in ways} == {1}


@pytest.mark.parametrize("boundary", ["reference", "natural"])
@pytest.mark.parametrize("name", ["tiny_bert", "tiny_roberta", "tiny_bart", "tiny_t5", "tiny_gpt2", "tiny_llama"])
@pytest.mark.parametrize("words", [("he", "she"), ("himself", "xylophone"), ("he", "would be")])
def test_a_comparison_tells_what_a_sweep_of_the_sentence_tells(
    name: str, words: tuple[str, str], boundary: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = load_base_model(str(request.getfixturevalue(name)))
    model = gradiend_on(tmp_path / "gradiend", base)
    targets = ClassTargets({"M": words[:1], "F": words[1:]}, ("M", "F"))
    for text in SENTENCES.values():
        row = EvalRow(0, text, words[0], "M", words[1], "F", "")
        try:
            swept = mean_scores(base, (row,), targets, boundary)
        except BadData:
            continue  # a causal model has nothing to go on before the first word
        (answer,) = compare(model, model.workspace(), [], [text], targets=targets, token_boundary=boundary)
        told = answer["masks"][0]["base"]["classes"]
        assert told == pytest.approx(swept, rel=1e-4, abs=1e-12), text


def test_words_of_several_pieces_count_whole_in_a_comparison(run: ModelWithGradiend) -> None:
    """The case: 3.1e-8 in the comparison, 6.2e-6 in the sweep."""
    rows = case_rows("several_pieces_rows.json")
    targets = resolve_targets(rows, ("F", "M"), None)
    swept = mean_scores(run.base, rows, targets, "reference")
    (answer,) = compare(run, run.workspace(), [], [rows[0].masked], targets=targets)
    assert answer["masks"][0]["base"]["classes"] == pytest.approx(swept, rel=1e-4, abs=1e-12)
    assert max(swept.values()) == pytest.approx(6.2e-6, rel=0.05)


def test_each_mask_of_a_sentence_is_asked_for_the_whole_word(run: ModelWithGradiend) -> None:
    """With the other masks in their places: the mean over the masks of what the plain way gives at each."""
    tokenizer, model = run.tokenizer, run.base_model
    word, text = "null", "[MASK] said that [MASK] was late."
    ids = [int(i) for i in tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))]
    targets = ClassTargets({"F": (word,)}, ("F",))
    (answer,) = compare(run, run.workspace(), [], [text], targets=targets)
    left, middle, right = text.split("[MASK]")
    masks = " ".join([tokenizer.mask_token] * len(ids))
    for number, whole in enumerate(
        (f"{left}{masks}{middle}{tokenizer.mask_token}{right}", f"{left}{tokenizer.mask_token}{middle}{masks}{right}")
    ):
        inputs = tokenizer(whole, return_tensors="pt")
        places = (inputs["input_ids"][0] == tokenizer.mask_token_id).nonzero().reshape(-1)
        own = places[: len(ids)] if number == 0 else places[-len(ids) :]
        with torch.no_grad():
            probs = torch.softmax(model(**inputs).logits[0, own].double(), dim=-1)
        wanted = float(probs[range(len(ids)), ids].prod())
        assert answer["masks"][number]["base"]["classes"]["F"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", ["convbert", "fnet"])
def test_a_sentence_says_the_same_whatever_is_compared_beside_it(name: str, tmp_path: Path) -> None:
    """Padding moves what these models say: their sentences are read one by one."""
    base = build(next(kept for kept in ZOO if str(kept) == name))
    model = gradiend_on(tmp_path / "gradiend", base)
    texts = ["john was [MASK] .", "when mary came home because john was kind , [MASK] said that the nurse was late ."]
    together = compare(model, model.workspace(), [], texts, targets=HE_SHE)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = compare(model, model.workspace(), [], [text], targets=HE_SHE)
        swept = mean_scores(base, (EvalRow(0, text, "he", "M", "she", "F", ""),), HE_SHE, "reference")
        told = answer["masks"][0]["base"]
        assert told["top"] == alone["masks"][0]["base"]["top"]
        assert told["classes"] == pytest.approx(swept, rel=1e-5)
