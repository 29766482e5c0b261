"""A score the plain way: the reference's chunks as its tokenizer pads them, the whole model, every logit.

No shortcut of the engine is used here, and none of its batches. Knows one table of rows whose targets are one token
each, and a list of texts; both fit into one chunk of the reference.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.scoring.lms import build_lms
from gradiend_ui.engine.scoring.lms_measure import LmsMeasurement
from gradiend_ui.engine.scoring.objectives.candidates import gap_mark, gap_mark_id
from gradiend_ui.engine.scoring.objectives.choice import build_objective
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary

Model = Any
CLASSES = ("M", "F")
WORDS = {"M": ("he",), "F": ("she",)}
ROWS = (
    "john went to the old town hall because [MASK] was very late .",
    "the nurse said that [MASK] would carry the small wooden box .",
    "mary is a teacher and [MASK] works in the house every day .",
    "peter was tired and [MASK] slept .",
    "when anna came home , [MASK] said hello to the doctor .",
    "at the market thomas found the window , so [MASK] was happy and went home .",
)
TEXTS = (
    "the book is old .",
    "they were tired and went to the river to repair the small wooden box .",
    "we would sell the bread every day .",
    "the church was quiet , the table was old , and they said hello .",
    "a song .",
)
ROW_LIST = tuple(EvalRow(n, text, "he", "M", "she", "F", "test") for n, text in enumerate(ROWS))


def prepared(base: BaseModel) -> tuple[Objective, LmsMeasurement]:
    """What a sweep scores: the rows and the texts of this file."""
    return build_objective(base, ROW_LIST, ClassTargets(WORDS, CLASSES)), build_lms(base, TEXTS)


def quick(objective: Objective, lms: LmsMeasurement, weights: Model) -> tuple[Tensor, float]:
    """(P(class) of each row, float64 (rows, classes); the LMS), as a sweep scores them."""
    found = torch.full((len(ROWS), len(CLASSES)), torch.nan, dtype=torch.float64)
    for block in objective.blocks:
        found[list(block.rows)] = objective.score(weights, block)
    return found, lms.summarise({block: lms.score(weights, block) for block in range(len(lms.block_texts))})["lms"]


def plain(base: BaseModel, weights: Model) -> tuple[Tensor, float]:
    """The same, the plain way."""
    return _probabilities(base, weights), _lms(base, weights)


def _inputs(base: BaseModel, texts: Sequence[str]) -> dict[str, Tensor]:
    """A padded chunk: by hand, since padding with a causal model's end token is the reference's rule."""
    encoded = base.tokenizer(list(texts))["input_ids"]
    width = max(map(len, encoded))
    left = base.tokenizer.padding_side == "left"
    rows = [([base.pad_id] * (width - len(ids)), ids) for ids in encoded]
    attended = [([0] * (width - len(ids)), [1] * len(ids)) for ids in encoded]
    joined = [[pad + ids if left else ids + pad for pad, ids in own] for own in (rows, attended)]
    return {"input_ids": torch.tensor(joined[0]), "attention_mask": torch.tensor(joined[1])}


@torch.inference_mode()
def _probabilities(base: BaseModel, weights: Model) -> Tensor:
    if base.kind == "causal":
        logits = weights(**_inputs(base, [text.split(MASK)[0] for text in ROWS])).logits[:, -1]
        spelled = TargetVocabulary(base.tokenizer).first_pieces
    else:
        inputs = _inputs(base, [text.replace(MASK, gap_mark(base.tokenizer)) for text in ROWS])
        if base.kind == "seq2seq":
            whole = weights.get_output_embeddings()(weights.get_encoder()(**inputs).last_hidden_state)
        else:
            whole = weights(**inputs).logits
        rows, positions = (inputs["input_ids"] == gap_mark_id(base.tokenizer)).nonzero(as_tuple=True)
        logits = whole[rows, positions]
        spelled = TargetVocabulary(base.tokenizer).first_pieces
    probs = torch.softmax(logits.float(), dim=-1).double()
    ids = [sorted({token for word in WORDS[name] for token in spelled(word)}) for name in CLASSES]
    return torch.stack([probs[:, own].sum(dim=1) for own in ids], dim=1)


@torch.inference_mode()
def _lms(base: BaseModel, weights: Model) -> float:
    inputs = _inputs(base, TEXTS)
    ids, attended = inputs["input_ids"], inputs["attention_mask"].bool()
    if base.kind == "masked":
        return _hits(base, weights, ids, inputs["attention_mask"])
    if base.kind == "causal":
        logits, wanted = weights(**inputs).logits[:, :-1], ids[:, 1:]
        counted = attended[:, 1:] & attended[:, :-1]
    else:
        labels = ids.masked_fill(~attended | (ids == base.pad_id), -100)
        logits, wanted, counted = weights(**inputs, labels=labels).logits, labels, labels != -100
    nll = torch.nn.functional.cross_entropy(logits[counted].float(), wanted[counted])
    return 1.0 / (1.0 + float(nll))


def _hits(base: BaseModel, weights: Model, ids: Tensor, attended: Tensor) -> float:
    draw, masked, points = random.Random(42), ids.clone(), []
    for row in range(len(ids)):
        own = attended[row].nonzero().flatten().tolist()
        drawn = draw.sample(own, max(1, int(0.15 * len(own))))
        masked[row, drawn] = base.tokenizer.mask_token_id
        points += [(row, position) for position in drawn]
    said = weights(input_ids=masked, attention_mask=attended).logits.argmax(dim=-1)

    def word(token: int) -> str:
        return str(base.tokenizer.decode([token], skip_special_tokens=True)).lower()

    return sum(word(int(said[at])) == word(int(ids[at])) for at in points) / len(points)
