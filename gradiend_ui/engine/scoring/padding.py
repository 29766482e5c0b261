"""Whether padding, or the rows beside it, move what a model says of a row; tried on the model at hand.

Where they do not, rows share a batch with those of their length, whatever the reference does. Where they do (ConvBERT,
MobileBERT, Funnel, FNet; a BERT whose tokenizer pads on the left), rows are batched and padded as the reference does:
in its chunks, or one by one. Knows batches and models; no task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import SEQ2SEQ
from gradiend_ui.engine.errors import CannotRun
from gradiend_ui.engine.scoring.readout import Batch, EncoderReadout, Readout, padded
from gradiend_ui.engine.scoring.token_types import TokenTypes, token_types, typed
from gradiend_ui.engine.weights.trial import LENGTHS, MISFITS, FewTokens, close, shaken_copy

Model = Any
Build = Callable[[Sequence[int], str], Batch]


def padding_moves(
    model: Model, lengths: Sequence[int], side: str, build: Build, readout: Readout | EncoderReadout | None = None
) -> bool:
    """Whether `model` says something else of a row alone than of the row in a padded batch.

    model: best a shaken copy. lengths: tokens of each row; the shortest, a middle and the longest are tried. side: on
    which the tokenizer pads; the right one is tried, too. build: the batch of some rows, by their places, padded on a
    side; its points are the same for a row in every batch, row after row.
    """
    reader = Readout("nowhere") if readout is None else readout
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    few = list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))
    try:
        alone = torch.cat([reader.logits(model, build([place], side)) for place in few])
        beside = [reader.logits(model, build(few, own)) for own in dict.fromkeys((side, "right"))]
    except (CannotRun, *MISFITS):
        return True
    return not all(close(together, alone, model.dtype) for together in beside)


def is_padding_read(base: BaseModel) -> bool:
    """Whether padding moves what a model says of any text: tried with made-up tokens, of a model that is read at its
    decoder with what that says first."""
    few = FewTokens.of(base.model)
    encoded = [ids[:length] for ids, length in zip(few.input_ids.tolist(), LENGTHS, strict=True)]
    readout = EncoderReadout() if base.facts.at_encoder else None
    at_decoder = base.kind == SEQ2SEQ and not base.facts.at_encoder
    rows = _first_steps(encoded, base.pad_id) if at_decoder else whole_rows(encoded, base.pad_id, token_types(base))
    return padding_moves(shaken_copy(base.model), LENGTHS, "right", rows, readout)


def whole_rows(encoded: Sequence[list[int]], pad_id: int, types: TokenTypes | None = None) -> Build:
    """Batches of whole rows of tokens that are read at every token of their own."""

    def build(places: Sequence[int], side: str) -> Batch:
        input_ids, attention_mask = padded([encoded[place] for place in places], pad_id, side)
        rows, positions = attention_mask.nonzero(as_tuple=True)
        return typed(Batch(input_ids, attention_mask, rows, positions), types)

    return build


def _first_steps(encoded: Sequence[list[int]], pad_id: int) -> Build:
    """Batches of whole rows for an encoder, whose decoder is asked for its first token."""

    def build(places: Sequence[int], side: str) -> Batch:
        inputs, count = padded([encoded[place] for place in places], pad_id, side), len(places)
        steps = torch.full((count, 1), pad_id)
        return Batch(*inputs, torch.arange(count), torch.zeros(count, dtype=torch.int64), steps)

    return build
