"""Side by side: what the base and chosen cells predict in one's own sentences.

Masked models, and encoder-decoder models read at their encoder, say something at every `[MASK]`; causal ones at the
next position (left of the first `[MASK]`, if any); decoders what they answer first. Class probabilities are those of
the objective. Knows models and tokens; no grid, no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base_model import CLM, CLOZE, ENCODER_MLM, MLM, SEQ2SEQ, Model
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge
from gradiend_ui.engine.eval_data import MASK, MAX_TEXT, EvalRow
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.objectives.candidates import plain_ids
from gradiend_ui.engine.objectives.choice import build_objective
from gradiend_ui.engine.objectives.gap import gap_mark, gap_mark_id
from gradiend_ui.engine.objectives.seq2seq_decoder import between_sentinels, decoder_start, encoder_text
from gradiend_ui.engine.readout import Batch, EncoderReadout, Readout, padded
from gradiend_ui.engine.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.values import Cell, finite_or_none
from gradiend_ui.engine.workspace import Workspace

AT_THE_MASK = (MLM, ENCODER_MLM)
BY_FIRST_PIECES = (MLM, CLM, ENCODER_MLM)
ClassProbabilities = dict[str, float | None]
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

    Class probabilities sum the one-piece ways to write each target; cloze objectives let all targets compete.
    Raises BadData for a text without a mask (all but causal models) and TooLarge over 20 texts or 4 cells.
    """
    _check(model, cells, texts, top_k)
    batch, points = _inputs(model, texts, token_boundary)
    readout = EncoderReadout() if model.base.objective == ENCODER_MLM else Readout.trying(model.base_model, batch)
    class_reader = _class_reader(model, texts, targets, token_boundary)
    columns: list[tuple[Cell | None, Tensor, list[ClassProbabilities]]] = []
    for cell in (None, *cells):
        weights = model.base_model
        if cell is not None:
            weights = workspace.rewritten(model.update_vector(part, cell.feature_factor), cell.learning_rate)
        probs = torch.softmax(readout.logits(weights, batch), dim=-1).cpu()
        columns.append((cell, probs, class_reader(weights, probs)))
    base = columns[0][1]
    answers: list[dict[str, Any]] = [{"text": text, "masks": []} for text in texts]
    for point, (text_number, position) in enumerate(points):
        described = [
            {**_where(cell), "top": _top(model, probs[point], base[point], top_k), "classes": by_point[point]}
            for cell, probs, by_point in columns
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
        if model.base.objective not in (CLM, CLOZE) and MASK not in text:
            raise BadData(f"Sentence {number} has no {MASK}: put {MASK} where the model should predict.")


def _inputs(model: ModelWithGradiend, texts: Sequence[str], token_boundary: str) -> tuple[Batch, list[tuple[int, int]]]:
    """The batch and its points as (text number, which mask of the text)."""
    if model.base.objective in AT_THE_MASK:
        return _mask_inputs(model, texts)
    if model.base.kind == SEQ2SEQ:
        return _decoder_inputs(model, texts)
    encoded = _left_contexts(model, texts, token_boundary)
    points = [(row, len(ids) - 1) for row, ids in enumerate(encoded)]
    return _batch(model, encoded, points), [(row, 0) for row, _ in points]


def _mask_inputs(model: ModelWithGradiend, texts: Sequence[str]) -> tuple[Batch, list[tuple[int, int]]]:
    limit = model.base.max_length
    mark, mark_id = gap_mark(model.tokenizer), gap_mark_id(model.tokenizer)
    encoded = model.base.encode([text.replace(MASK, mark) for text in texts], limit)
    where = [[p for p, i in enumerate(ids) if i == mark_id] for ids in encoded]
    lost = next((n for n, positions in enumerate(where, 1) if not positions), None)
    if lost is not None:
        raise BadData(f"In sentence {lost} the mask lies behind the model's limit of {limit} tokens.")
    points = [(row, position) for row, positions in enumerate(where) for position in positions]
    return _batch(model, encoded, points), [
        (row, mask) for row, positions in enumerate(where) for mask in range(len(positions))
    ]


def _decoder_inputs(model: ModelWithGradiend, texts: Sequence[str]) -> tuple[Batch, list[tuple[int, int]]]:
    """The decoder's first answer: behind its start token, or behind the sentinel that opens its answer."""
    base = model.base
    encoded = base.encode([encoder_text(base, text) for text in texts], base.max_length)
    begun = [decoder_start(base), *between_sentinels(base, [])[:1]]
    batch = _batch(model, encoded, [(row, len(begun) - 1) for row in range(len(texts))])
    decoder_input_ids = torch.tensor([begun] * len(texts))
    return replace(batch, decoder_input_ids=decoder_input_ids), [(row, 0) for row in range(len(texts))]


def _left_contexts(model: ModelWithGradiend, texts: Sequence[str], token_boundary: str) -> list[list[int]]:
    prefixes = [text.split(MASK)[0] for text in texts]
    empty = next((n for n, prefix in enumerate(prefixes, 1) if not prefix.strip()), None)
    if empty is not None:
        raise BadData(f"Sentence {empty} has no text left of {MASK}: a causal model has nothing to continue.")
    if model.base.objective == CLOZE:
        encoded = [plain_ids(model.tokenizer, prefix.rstrip()) for prefix in prefixes]
    else:
        encoded = model.base.encode([p.rstrip() if token_boundary == "natural" else p for p in prefixes])
    return [ids[-model.base.max_length :] for ids in encoded]


def _batch(model: ModelWithGradiend, encoded: list[list[int]], points: Sequence[tuple[int, int]]) -> Batch:
    rows, positions = zip(*points, strict=True)
    return Batch(*padded(encoded, model.base.pad_id), torch.tensor(rows), torch.tensor(positions))


def _class_reader(
    model: ModelWithGradiend, texts: Sequence[str], targets: ClassTargets, token_boundary: str
) -> Callable[[Model, Tensor], list[ClassProbabilities]]:
    """From weights and the probabilities (points, vocabulary) they gave to {class: P} of each point."""
    words: Mapping[str, tuple[str, ...]] = targets.words or {}
    if model.base.objective in BY_FIRST_PIECES:
        vocabulary = TargetVocabulary(model.tokenizer)
        natural = model.base.objective == CLM and token_boundary == "natural" and not model.base.chat_prompt
        lookup = vocabulary.word_initial_pieces if natural else vocabulary.first_pieces
        ids = {name: torch.tensor(sorted({i for word in own for i in lookup(word)})) for name, own in words.items()}
        return lambda _weights, probs: [
            {name: finite_or_none(float(p[own].sum())) for name, own in ids.items()} for p in probs
        ]
    if not words:
        return lambda _weights, probs: [{} for _ in probs]
    rows = [EvalRow(n, text if MASK in text else text + MASK, "", "", "", "", "") for n, text in enumerate(texts)]
    objective = build_objective(model.base, rows, targets)

    def competing(weights: Model, _probs: Tensor) -> list[ClassProbabilities]:
        found: dict[int, ClassProbabilities] = {}
        for block in objective.blocks:
            for place, values in zip(block.rows, objective.score(weights, block).tolist(), strict=True):
                found[place] = dict(zip(objective.classes, map(finite_or_none, values), strict=True))
        return [found.get(place, {}) for place in range(len(texts))]

    return competing


def _top(model: ModelWithGradiend, probs: Tensor, base: Tensor, top_k: int) -> list[dict[str, Any]]:
    top = torch.topk(torch.nan_to_num(probs, nan=-1.0), min(top_k, probs.shape[0]))
    return [
        {
            "token": spelled(model.tokenizer, i),
            "id": i,
            "p": finite_or_none(float(probs[i])),
            "change": finite_or_none(float(probs[i] - base[i])),
        }
        for i in top.indices.tolist()
    ]


def spelled(tokenizer: Any, token: int) -> str:
    """A token as a person reads it; the bare vocabulary entry when decoding leaves nothing."""
    return str(tokenizer.decode([token])).strip() or str(tokenizer.convert_ids_to_tokens(token))


def _where(cell: Cell | None) -> dict[str, float]:
    return {} if cell is None else {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}
