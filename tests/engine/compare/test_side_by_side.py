"""Side-by-side predictions: unions of tokens, memory, sentences that cannot be read, continuations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from gradiend_ui.engine.base.base_model import BaseModel, base_around
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.compare import side_by_side as predict
from gradiend_ui.engine.compare.continuation import changed_tokens, continue_texts, spelled_pieces
from gradiend_ui.engine.compare.sentences import continued_ids, read_sentence
from gradiend_ui.engine.compare.side_by_side import Comparison, compare, side_by_side
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker.requests import Compare, CompareBase, Load, StartSweep
from gradiend_ui.engine.worker.worker import Worker

CELL, OTHER, STRONG = Cell(-1, 0.5), Cell(1, 0.2), Cell(-1, 20.0)
TEXTS = ["john was [MASK] .", "when [MASK] came home , [MASK] was kind ."]
PROMPTS = ["mary went home because", "the singer said that she was", "john was"]
LENGTH = 12
TOUCHED = {
    "tiny_gpt2": "transformer.wte.weight",
    "tiny_llama": "model.layers.1.mlp.down_proj.weight",
    "tiny_t5": "decoder.block.1.layer.2.DenseReluDense.wo.weight",
    "tiny_bart": "model.shared.weight",
}
HE_SHE = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
Build = Callable[[str], ModelWithGradiend]


@pytest.fixture
def asked(plan: PreparedSweep) -> Comparison:
    return Comparison(plan.model, plan.model.workspace(), plan.targets, owner="run")


@pytest.fixture
def gradiend_on(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    """A random GRADIEND that maps one matrix of the named tiny base, strong enough to change what it says."""

    def build(name: str, **metadata: Any) -> ModelWithGradiend:
        location = request.getfixturevalue(name)
        auto = AutoModelForSeq2SeqLM if name in ("tiny_t5", "tiny_bart") else AutoModelForCausalLM
        shape = tuple(dict(auto.from_pretrained(location).named_parameters())[TOUCHED[name]].shape)
        n = shape[0] * shape[1]
        generator = torch.Generator().manual_seed(7)
        weights = {
            ENCODER_WEIGHT: torch.randn(1, n, generator=generator) * 0.1,
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: torch.randn(n, 1, generator=generator) * 0.4,
            DECODER_BIAS: torch.zeros(n),
        }
        save_checkpoint(
            tmp_path / name,
            architecture=Architecture(input_dim=n, latent_dim=1),
            weights=weights,
            shapes={TOUCHED[name]: shape},
            positions={},
            metadata={"base_model": str(location), "prediction_objective": "auto", **metadata},
            context={
                "source": "alternative",
                "target": "diff",
                "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
            },
        )
        return ModelWithGradiend.from_pretrained(tmp_path / name)

    return build


def test_top_tokens_changes_and_class_probabilities(plan: PreparedSweep) -> None:
    model = plan.model
    answers = compare(model, model.workspace(), [CELL], TEXTS, targets=plan.targets, top_k=3)
    assert [len(answer["masks"]) for answer in answers] == [1, 2]
    rewritten = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor)
    inputs = model.tokenizer(TEXTS[0], return_tensors="pt")
    at = int((inputs["input_ids"][0] == model.tokenizer.mask_token_id).nonzero())
    with torch.no_grad():
        before = torch.softmax(model.base_model(**inputs).logits[0, at], dim=-1)
        after = torch.softmax(rewritten(**inputs).logits[0, at], dim=-1)
    first = answers[0]["masks"][0]
    assert [entry["id"] for entry in first["base"]["top"]] == before.topk(3).indices.tolist()
    assert all(entry["change"] == 0 for entry in first["base"]["top"])
    for entry in first["cells"][0]["top"]:
        assert entry["p"] == pytest.approx(float(after[entry["id"]]), abs=1e-6)
        assert entry["change"] == pytest.approx(float(after[entry["id"]] - before[entry["id"]]), abs=1e-6)
    he = model.tokenizer.convert_tokens_to_ids(["he", "He"])
    assert first["base"]["classes"]["M"] == pytest.approx(float(before[he].sum()), abs=1e-6)
    for entry in first["tokens"]:
        assert entry["base"] == pytest.approx(float(before[entry["id"]]), abs=1e-6)
        assert entry["cells"] == [pytest.approx(float(after[entry["id"]]), abs=1e-6)]


def test_the_table_is_the_union_of_all_columns_with_every_probability(asked: Comparison) -> None:
    for answer in side_by_side(asked, [CELL, OTHER], TEXTS, top_k=3):
        for mask in answer["masks"]:
            columns = [mask["base"], *mask["cells"]]
            listed = {entry["id"] for column in columns for entry in column["top"]}
            assert {entry["id"] for entry in mask["tokens"]} == listed
            assert len(mask["tokens"]) == len(listed)
            highest = [max(entry["base"], *entry["cells"]) for entry in mask["tokens"]]
            assert highest == sorted(highest, reverse=True)
            for place, column in enumerate(columns):
                values = {e["id"]: [e["base"], *e["cells"]][place] for e in mask["tokens"]}
                assert sum(values.values()) <= 1 + 1e-6
                assert {e["id"]: e["p"] for e in column["top"]}.items() <= values.items()


def test_all_tokens_of_a_vocabulary_sum_to_one(asked: Comparison) -> None:
    reading = asked.column(CELL, [read_sentence(asked.model.base, TEXTS[1], 1, "reference")], 0).readings[TEXTS[1]]
    assert reading.probs.shape == (2, len(asked.model.tokenizer))
    assert reading.probs.sum(dim=-1).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_sentences_are_checked(plan: PreparedSweep) -> None:
    def ask(texts: list[str], cells: int = 1, top_k: int = 5) -> None:
        compare(plan.model, plan.model.workspace(), [CELL] * cells, texts, targets=plan.targets, top_k=top_k)

    with pytest.raises(BadData, match="Sentence 2 has no"):
        ask(["[MASK] .", "no mask"])
    with pytest.raises(BadData, match="behind the model's limit"):
        ask(["a " * 600 + "[MASK]"])
    with pytest.raises(TooLarge):
        ask(["[MASK]"] * 21)
    with pytest.raises(TooLarge):
        ask(["[MASK]"], cells=5)
    with pytest.raises(BadGrid):
        ask(["[MASK]"], top_k=0)
    with pytest.raises(BadData):
        ask([])


def test_a_bad_sentence_does_not_take_the_others_with_it(asked: Comparison) -> None:
    texts = ["no mask", TEXTS[0], "a " * 600 + "[MASK]", "x" * 100_000]
    answers = side_by_side(asked, [CELL], texts, skip_bad=True)
    assert [len(answer["masks"]) for answer in answers] == [0, 1, 0, 0]
    assert [sorted(answer) for answer in answers] == [["error", "masks", "text"], ["masks", "text"]] + [
        ["error", "masks", "text"]
    ] * 2
    assert "Sentence 1 has no [MASK]" in answers[0]["error"]
    assert "sentence 3" in answers[2]["error"] and "Sentence 4 is longer" in answers[3]["error"]
    (alone,) = side_by_side(asked, [CELL], [TEXTS[0]])
    assert answers[1] == alone
    assert [answer["masks"] for answer in side_by_side(asked, [CELL], ["no mask"], skip_bad=True)] == [[]]


def test_options_out_of_range_are_refused(asked: Comparison) -> None:
    with pytest.raises(BadGrid, match="from 0 to 40"):
        side_by_side(asked, [], TEXTS, continuation=41)
    with pytest.raises(BadGrid, match="does not continue"):
        side_by_side(asked, [], TEXTS, continuation=3)


# --- the memory ------------------------------------------------------------------------------------------------------


def test_only_new_cells_and_new_texts_are_computed(asked: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    original = predict.batch_of

    def counting(base: BaseModel, sentences: Any) -> Any:
        computed.append(len(sentences))
        return original(base, sentences)

    monkeypatch.setattr(predict, "batch_of", counting)
    fresh = side_by_side(asked, [CELL], TEXTS)
    assert computed == [2, 2]
    assert side_by_side(asked, [CELL], TEXTS) == fresh
    assert computed == [2, 2]
    side_by_side(asked, [CELL, OTHER], TEXTS)
    assert computed == [2, 2, 2]
    side_by_side(asked, [OTHER], [*TEXTS, "mary was [MASK] ."])
    assert computed == [2, 2, 2, 1, 1]
    another = Comparison(asked.model, asked.workspace, asked.targets, memory=asked.memory, owner="another run")
    assert side_by_side(another, [CELL], TEXTS) == fresh
    assert computed == [2, 2, 2, 1, 1, 2, 2]


def test_a_remembered_cell_is_the_computed_one_whatever_was_written_since(asked: Comparison) -> None:
    first = side_by_side(asked, [CELL], TEXTS)
    side_by_side(asked, [OTHER], TEXTS)
    assert side_by_side(asked, [CELL], TEXTS) == first
    forgetful = Comparison(asked.model, asked.workspace, asked.targets, memory=Memory(0))
    assert side_by_side(forgetful, [CELL], TEXTS) == first
    assert len(forgetful.memory) == 0


def test_the_memory_drops_what_was_not_used_for_longest() -> None:
    memory = Memory(10)
    memory.keep("a", 1, 4)
    memory.keep("b", 2, 4)
    assert memory.get("a") == 1
    memory.keep("c", 3, 4)
    assert [memory.get(key) for key in "abc"] == [1, None, 3]
    memory.keep("a", 5, 6)
    assert [memory.get(key) for key in "abc"] == [5, None, 3]
    memory.keep("big", 9, 11)
    assert len(memory) == 0


# --- continuations ---------------------------------------------------------------------------------------------------


def generated(base: BaseModel, weights: Any, prompt: tuple[int, ...]) -> list[int]:
    """What `generate` adds without sampling, up to the first end token."""
    ids = torch.tensor([prompt])
    out = weights.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1, max_new_tokens=LENGTH, use_cache=False
    )[0]
    said = out[1:].tolist() if base.kind == "seq2seq" else out[len(prompt) :].tolist()
    end = base.tokenizer.eos_token_id
    return said[: said.index(end)] if end in said else said


@pytest.mark.parametrize("name", ["tiny_gpt2", "tiny_llama", "tiny_t5", "tiny_bart"])
def test_continuations_are_those_of_generate(name: str, gradiend_on: Build) -> None:
    model = gradiend_on(name)
    base = model.base
    texts = [f"{text} [MASK] ." for text in PROMPTS] if base.kind == "seq2seq" else PROMPTS
    prompts = [continued_ids(base, text) for text in texts]
    assert len({len(prompt) for prompt in prompts}) > 1, "prompts of one length need no padding"
    rewritten = model.rewrite_base_model(STRONG.learning_rate, STRONG.feature_factor)
    for weights in (model.base_model, rewritten):
        found = continue_texts(base, weights, prompts, LENGTH)
        assert [list(one.ids) for one in found] == [generated(base, weights, prompt) for prompt in prompts]
        assert any(one.ids for one in found)
        assert all(one.ended or len(one.ids) == LENGTH for one in found)
    asked = Comparison(model, model.workspace(), HE_SHE)
    answers = side_by_side(asked, [STRONG], texts, continuation=LENGTH, top_k=1)
    for answer, prompt in zip(answers, prompts, strict=True):
        told = answer["continuation"]
        for column, weights in ((told["base"], model.base_model), (told["cells"][0], rewritten)):
            assert [token["id"] for token in column["tokens"]] == generated(base, weights, prompt)
            assert "".join(token["text"] for token in column["tokens"]) == column["text"]
        assert not any(token["changed"] for token in told["base"]["tokens"])
    here = [token["changed"] for answer in answers for token in answer["continuation"]["cells"][0]["tokens"]]
    assert any(here), "a rewrite that changes nothing tests no marks"


def test_models_that_take_no_positions_run_by_length(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = load_base_model(str(tiny_gpt2))
    prompts = [continued_ids(base, text) for text in PROMPTS]
    together = continue_texts(base, base.model, prompts, LENGTH)
    monkeypatch.setattr("gradiend_ui.engine.compare.continuation._arguments", lambda weights: set())
    assert continue_texts(base, base.model, prompts, LENGTH) == together


def test_a_continuation_stops_at_the_last_position(tiny_gpt2: Path) -> None:
    base = load_base_model(str(tiny_gpt2))
    assert base.positions is not None
    prompt = tuple(base.tokenizer(" she was kind" * 200)["input_ids"][: base.positions - 3])
    full, short = continue_texts(base, base.model, [prompt, prompt[:5]], LENGTH)
    assert len(full.ids) <= 3
    assert full.ended or len(full.ids) == 3
    assert short == continue_texts(base, base.model, [prompt[:5]], LENGTH)[0]


def test_numbers_that_are_not_finite_end_a_continuation(tiny_gpt2: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2)
    sound = load_base_model(str(tiny_gpt2))
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight.fill_(float("nan"))
    broken = base_around(model, sound.tokenizer)
    (one,) = continue_texts(broken, broken.model, [continued_ids(broken, PROMPTS[0])], LENGTH)
    assert one.broken and one.ids == ()


def test_marks_align_what_is_the_same() -> None:
    assert changed_tokens([1, 2, 3], [1, 2, 3]) == [False] * 3
    assert changed_tokens([1, 2, 3, 4], [1, 9, 3, 4]) == [False, True, False, False]
    assert changed_tokens([1, 2, 3], [7, 1, 2, 3]) == [True, False, False, False]
    assert changed_tokens([], [5]) == [True]


def test_pieces_keep_spaces_and_never_cut_a_letter(tiny_gpt2: Path) -> None:
    tokenizer = load_base_model(str(tiny_gpt2)).tokenizer
    prompt = tokenizer("mary was")["input_ids"]
    said = tokenizer(" kind é ü")["input_ids"]
    pieces = spelled_pieces(tokenizer, prompt, said)
    assert "".join(pieces) == " kind é ü"
    assert not any("\ufffd" in piece for piece in pieces)


# --- causal sentences ------------------------------------------------------------------------------------------------


def test_a_prompt_without_a_mask_is_read_with_the_natural_boundary(gradiend_on: Build) -> None:
    model = gradiend_on("tiny_gpt2")
    asked = Comparison(model, model.workspace(), HE_SHE)
    natural = Comparison(model, model.workspace(), HE_SHE, token_boundary="natural")
    prompt, masked = "when mary came home ,", "when mary came home , [MASK] was kind ."
    (bare,) = side_by_side(asked, [CELL], [prompt])
    (wanted,) = side_by_side(natural, [CELL], [masked])
    (reference,) = side_by_side(asked, [CELL], [masked])
    assert bare["masks"] == wanted["masks"]
    assert bare["masks"] != reference["masks"]
    with pytest.raises(BadData, match="nothing to continue"):
        side_by_side(asked, [], ["[MASK] was kind ."])


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    store = Store(tmp_path / "store.sqlite")
    yield Worker(store, tmp_path, tmp_path / "demo")
    store.close()


def test_the_base_answers_before_any_sweep(worker: Worker, checkpoint_folder: Path) -> None:
    handle = worker.answer(Load(str(checkpoint_folder), {}))["checkpoint"]
    texts = (TEXTS[0], "no mask")
    answer = worker.answer(CompareBase(handle, texts, {"skip_bad": True}))
    assert answer["texts"][0]["masks"][0]["cells"] == []
    assert answer["texts"][0]["masks"][0]["base"]["classes"] == {}, "no rows lie beside this checkpoint"
    assert "Sentence 2" in answer["texts"][1]["error"]
    with pytest.raises(BadData, match="Sentence 2"):
        worker.answer(CompareBase(handle, texts))
    with pytest.raises(BadGrid, match="Unknown option 'nonsense'"):
        worker.answer(CompareBase(handle, texts, {"nonsense": 1}))
    with pytest.raises(BadGrid, match="skip_bad must be"):
        worker.answer(CompareBase(handle, texts, {"skip_bad": 1}))


def test_a_run_answers_from_memory_and_its_base_is_the_base_before_it(
    worker: Worker, checkpoint_folder: Path, rows: pd.DataFrame
) -> None:
    handle = worker.answer(Load(str(checkpoint_folder), {}))["checkpoint"]
    before = worker.answer(CompareBase(handle, tuple(TEXTS), {}))
    spec = {"rows": rows.to_dict("records"), "feature_factors": [-1.0], "learning_rates": [0.5], "max_rows": 4}
    run = worker.answer(StartSweep(handle, AskedSweep.of(spec)))["run"]
    cell = {"feature_factor": -1.0, "learning_rate": 0.5}
    first = worker.answer(Compare(run, (Cell.of(cell),), tuple(TEXTS)))
    assert worker.answer(Compare(run, (Cell.of(cell),), tuple(TEXTS))) == first
    with pytest.raises(BadGrid, match="This sweep is of part decoder"):
        worker.answer(Compare(run, (Cell(-1.0, 0.5, "encoder-weight"),), tuple(TEXTS)))
    for old, new in zip(before["texts"], first["texts"], strict=True):
        assert [mask["base"]["top"] for mask in old["masks"]] == [mask["base"]["top"] for mask in new["masks"]]
        assert set(new["masks"][0]["base"]["classes"]) == {"M", "F"}
