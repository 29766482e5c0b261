"""The batches of the language-modelling score: neutral texts with the token that is asked for at each point.

Knows token ids and how a base model pads; computes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.scoring.readout import Batch, padded

Model = Any
NO_LABEL = -100  # what transformers calls a position that is not asked for
Wanted: TypeAlias = tuple[Batch, torch.Tensor]


def points_of(points: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.tensor([row for row, _ in points], dtype=torch.int64)
    return rows, torch.tensor([position for _, position in points], dtype=torch.int64)


def causal_batch(base: BaseModel, sequences: list[list[int]], ignored: frozenset[int], width: int = 0) -> Wanted:
    """Inputs of one block, padded as the tokenizer pads, to `width` tokens at least, with every (position, next token)
    pair that counts."""
    sequences = or_padding(base, sequences)
    input_ids, attention_mask = padded(sequences, base.pad_id, base.tokenizer.padding_side, width)
    counted = (attention_mask[:, :-1] != 0) & (attention_mask[:, 1:] != 0)
    if ignored:
        counted &= ~torch.isin(input_ids[:, 1:], torch.tensor(sorted(ignored)))
    rows, positions = counted.nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions), input_ids[rows, positions + 1]


def or_padding(base: BaseModel, sequences: Sequence[list[int]]) -> list[list[int]]:
    """A text without tokens is one token of padding."""
    return [ids or [base.pad_id] for ids in sequences]


def seq2seq_batch(
    base: BaseModel, sequences: list[list[int]], ignored: frozenset[int], side: str = "right", width: int = 0
) -> Wanted:
    """Inputs of one chunk, and the tokens that the decoder is asked for, each at its own position."""
    input_ids, attention_mask = padded(sequences, base.pad_id, side, width)
    left_out = (attention_mask == 0) | (input_ids == base.pad_id)
    if ignored:
        left_out |= torch.isin(input_ids, torch.tensor(sorted(ignored)))
    labels = input_ids.masked_fill(left_out, NO_LABEL)
    decoder_input_ids = _shifted(base.model, labels, base.pad_id)
    rows, positions = (labels != NO_LABEL).nonzero(as_tuple=True)
    return Batch(input_ids, attention_mask, rows, positions, decoder_input_ids), labels[rows, positions]


def _shifted(model: Model, labels: torch.Tensor, pad_id: int) -> torch.Tensor:
    """What the decoder reads when it is asked for `labels`, int64 (rows, length): the model's own rule where it has one
    (mBART puts the end in front), else its first token and all but the last label."""
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        own: torch.Tensor = model.prepare_decoder_input_ids_from_labels(labels=labels.to(model.device))
        return own.cpu()
    start = model.config.decoder_start_token_id
    first = labels.new_full((len(labels), 1), pad_id if start is None else int(start))
    shifted = torch.cat([first, labels[:, :-1]], dim=1)
    return shifted.masked_fill(shifted == NO_LABEL, pad_id)
