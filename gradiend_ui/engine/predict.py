"""Side by side: what the base and chosen cells predict in one's own sentences.

Masked models are read at every `[MASK]`, causal ones at the next position (left of the first `[MASK]`, if any).
Knows models and tokens; no grid, no store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base_model import MLM
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge
from gradiend_ui.engine.eval_data import MASK, MAX_TEXT
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.readout import Batch, Readout, padded
from gradiend_ui.engine.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.values import Cell, finite_or_none
from gradiend_ui.engine.workspace import Workspace

MAX_TEXTS, MAX_CELLS, MAX_TOP_K = 20, 4, 50


def compare(
    model: ModelWithGradiend,
    workspace: Workspace,
    cells: Sequence[Cell],
    texts: Sequence[str],
    *,
    targets: ClassTargets,
    token_boundary: str = "reference",
    part: str = "decoder",
    top_k: int = 5,
) -> list[dict[str, Any]]:
    """Per text and mask: the `top_k` tokens and {class: P} of the base and of each cell; `change` is p - base p.

    Class probabilities sum the one-piece ways to write each target. Raises BadData for a text without a mask (masked
    models) and TooLarge over 20 texts or 4 cells.
    """
    _check(model, cells, texts, top_k)
    batch, points = _inputs(model, texts, token_boundary)
    readout = Readout.trying(model.base_model, batch)
    ids = _class_ids(model, targets, token_boundary)
    base = torch.softmax(readout.logits(model.base_model, batch), dim=-1).cpu()
    columns: list[tuple[Cell | None, Tensor]] = [(None, base)]
    for cell in cells:
        weights = workspace.rewritten(model.update_vector(part, cell.feature_factor), cell.learning_rate)
        columns.append((cell, torch.softmax(readout.logits(weights, batch), dim=-1).cpu()))
    answers: list[dict[str, Any]] = [{"text": text, "masks": []} for text in texts]
    for point, (text_number, position) in enumerate(points):
        described = [
            {**_where(cell), **_prediction(model, probs[point], base[point], ids, top_k)} for cell, probs in columns
        ]
        answers[text_number]["masks"].append({"position": position, "base": described[0], "cells": described[1:]})
    return answers


def _check(model: ModelWithGradiend, cells: Sequence[Cell], texts: Sequence[str], top_k: int) -> None:
    if not texts:
        raise BadData("Give at least one sentence.")
    if len(texts) > MAX_TEXTS or len(cells) > MAX_CELLS:
        raise TooLarge(f"At most {MAX_TEXTS} sentences and {MAX_CELLS} cells are compared at once.")
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
        raise BadGrid(f"top_k must be a whole number from 1 to {MAX_TOP_K}, not {top_k!r}.")
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise BadData(f"Sentence {number} is empty.")
        if len(text) > MAX_TEXT:
            raise TooLarge(f"Sentence {number} is longer than {MAX_TEXT:,} characters.")
        if model.base.objective == MLM and MASK not in text:
            raise BadData(f"Sentence {number} has no {MASK}: put {MASK} where the model should predict.")


def _inputs(model: ModelWithGradiend, texts: Sequence[str], token_boundary: str) -> tuple[Batch, list[tuple[int, int]]]:
    """The batch and its points as (text number, which mask of the text)."""
    tokenizer, limit = model.tokenizer, model.base.max_length
    if model.base.objective == MLM:
        prepared = [text.replace(MASK, tokenizer.mask_token) for text in texts]
        encoded: list[list[int]] = tokenizer(prepared, truncation=True, max_length=limit)["input_ids"]
        where = [[p for p, i in enumerate(ids) if i == tokenizer.mask_token_id] for ids in encoded]
        lost = next((n for n, positions in enumerate(where, 1) if not positions), None)
        if lost is not None:
            raise BadData(f"In sentence {lost} the mask lies behind the model's limit of {limit} tokens.")
    else:
        prefixes = [text.split(MASK)[0] for text in texts]
        empty = next((n for n, prefix in enumerate(prefixes, 1) if not prefix.strip()), None)
        if empty is not None:
            raise BadData(f"Sentence {empty} has no text left of {MASK}: a causal model has nothing to continue.")
        natural = token_boundary == "natural"
        encoded = tokenizer([p.rstrip() if natural else p for p in prefixes])["input_ids"]
        encoded = [ids[-limit:] for ids in encoded]
        where = [[len(ids) - 1] for ids in encoded]
    points = [(row, position) for row, positions in enumerate(where) for position in positions]
    batch = Batch(
        *padded(encoded, tokenizer.pad_token_id or 0),
        torch.tensor([row for row, _ in points]),
        torch.tensor([position for _, position in points]),
    )
    return batch, [(row, mask) for row, positions in enumerate(where) for mask in range(len(positions))]


def _class_ids(model: ModelWithGradiend, targets: ClassTargets, token_boundary: str) -> dict[str, Tensor]:
    vocabulary = TargetVocabulary(model.tokenizer)
    natural = model.base.objective != MLM and token_boundary == "natural"
    lookup = vocabulary.word_initial_pieces if natural else vocabulary.first_pieces
    words: Mapping[str, tuple[str, ...]] = targets.words or {}
    return {name: torch.tensor(sorted({i for word in own for i in lookup(word)})) for name, own in words.items()}


def _prediction(
    model: ModelWithGradiend, probs: Tensor, base: Tensor, ids: Mapping[str, Tensor], top_k: int
) -> dict[str, Any]:
    top = torch.topk(torch.nan_to_num(probs, nan=-1.0), min(top_k, probs.shape[0]))
    return {
        "top": [
            {
                "token": spelled(model.tokenizer, i),
                "id": i,
                "p": finite_or_none(float(probs[i])),
                "change": finite_or_none(float(probs[i] - base[i])),
            }
            for i in top.indices.tolist()
        ],
        "classes": {name: finite_or_none(float(probs[own].sum())) for name, own in ids.items()},
    }


def spelled(tokenizer: Any, token: int) -> str:
    """A token as a person reads it; the bare vocabulary entry when decoding leaves nothing."""
    return str(tokenizer.decode([token])).strip() or str(tokenizer.convert_ids_to_tokens(token))


def _where(cell: Cell | None) -> dict[str, float]:
    return {} if cell is None else {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}
