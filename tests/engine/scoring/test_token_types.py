"""Token types that a tokenizer gives are handed on where the reference hands them on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.compare.side_by_side import compare
from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.engine.scoring.readout import Batch
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.scoring.token_types import TokenTypes, token_types, typed
from tests.support.checkpoints import gradiend_on
from tests.support.plain_path import CLASSES, ROWS, WORDS, prepared, quick
from tests.support.zoo import ZOO, build

CLOSE = 1e-6
NAMES = ["input_ids", "token_type_ids", "attention_mask"]
TARGETS = ClassTargets(WORDS, CLASSES)


def with_types(name: str, first: int = 0) -> BaseModel:
    """A model of the zoo whose tokenizer gives types. first: that of the token in front of a text, [CLS]."""
    base = build(next(kept for kept in ZOO if str(kept) == name))
    base.tokenizer.model_input_names = NAMES
    if base.kind == "masked":
        special = [(mark, base.tokenizer.convert_tokens_to_ids(mark)) for mark in ("[CLS]", "[SEP]")]
        single = f"[CLS]:{first} $A:0 [SEP]:0"
        base.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=special
        )
    else:
        base.tokenizer.pad_token = base.tokenizer.eos_token
    return base


@torch.inference_mode()
def as_the_reference_reads(base: BaseModel) -> Tensor:
    """P(class) of each row with everything that the tokenizer gives, in one padded chunk."""
    if base.kind == "masked":
        texts = [text.replace(MASK, base.tokenizer.mask_token) for text in ROWS]
        inputs = base.tokenizer(texts, padding=True, return_tensors="pt")
        rows, places = (inputs["input_ids"] == base.tokenizer.mask_token_id).nonzero(as_tuple=True)
        logits = base.model(**inputs).logits[rows, places]
    else:
        inputs = base.tokenizer([text.split(MASK)[0] for text in ROWS], padding=True, return_tensors="pt")
        logits = base.model(**inputs).logits[:, -1]
    assert "token_type_ids" in inputs
    probs, spelled = torch.softmax(logits.float(), dim=-1).double(), TargetVocabulary(base.tokenizer).first_pieces
    return torch.stack([probs[:, sorted(set(spelled(WORDS[name][0])))].sum(dim=1) for name in CLASSES], dim=1)


@pytest.mark.parametrize(("name", "first"), [("bert", 1), ("gpt2", 0), ("gpt_neo", 0), ("codegen", 0)])
def test_types_are_read_as_the_reference_reads_them(name: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    base = with_types(name, first)
    wanted = as_the_reference_reads(base)
    ours, _ = quick(*prepared(base), base.model)
    assert (ours - wanted).abs().max() < CLOSE
    for module in ("mlm", "causal"):
        monkeypatch.setattr(f"gradiend_ui.engine.scoring.objectives.{module}.token_types", lambda _base: None)
    without, _ = quick(*prepared(base), base.model)
    assert (without - wanted).abs().max() > CLOSE, "without them the numbers are others"


@pytest.mark.parametrize(("name", "first", "side"), [("funnel", 2, "right"), ("bert", 1, "right"), ("bert", 1, "left")])
def test_a_comparison_hands_them_on_too(name: str, first: int, side: str, tmp_path: Path) -> None:
    base = with_types(name, first)
    base.tokenizer.padding_side = side
    wanted = as_the_reference_reads(base)
    ours, _ = quick(*prepared(base), base.model)
    assert (ours - wanted).abs().max() < CLOSE
    model = gradiend_on(tmp_path / "gradiend", base)
    longest = max(range(len(ROWS)), key=lambda row: len(base.encode([ROWS[row]])[0]))
    (answer,) = compare(model, model.workspace(), [], [ROWS[longest]], targets=TARGETS)
    told = answer["masks"][0]["base"]["classes"]
    assert [told[name] for name in CLASSES] == pytest.approx(wanted[longest].tolist(), rel=1e-4)


def test_types_that_a_model_takes_by_itself_are_none() -> None:
    """A BERT's zeros, a model that takes none, a reading that the reference gives none."""
    assert token_types(with_types("bert")) is None
    assert token_types(with_types("bert", 1)) == TokenTypes((1,), 0, (0,), 0)
    assert token_types(with_types("llama")) is None
    plain: Any = build(next(kept for kept in ZOO if str(kept) == "gpt2"))
    assert token_types(plain) is None
    assert token_types(with_types("gpt2")) == TokenTypes((0,), 0, (), 0)
    assert token_types(replace(with_types("gpt2"), objective="clm_sequence_cloze")) is None


def test_each_token_has_its_own_type_and_padding_that_of_padding() -> None:
    types = TokenTypes((2,), 0, (1,), 3)
    assert types.of(4) == [2, 0, 0, 1] and types.of(2) == [2, 1] and types.of(1) == [2]
    ids = torch.tensor([[5, 6, 7], [0, 5, 7]])
    batch = Batch(ids, torch.tensor([[1, 1, 1], [0, 1, 1]]), torch.tensor([0]), torch.tensor([1]))
    made = typed(batch, types)
    assert made.token_type_ids is not None and made.token_type_ids.tolist() == [[2, 0, 1], [3, 2, 1]]
    assert typed(batch, None) is batch
    assert made.inputs(torch.device("cpu")).keys() == {"input_ids", "attention_mask", "token_type_ids"}
