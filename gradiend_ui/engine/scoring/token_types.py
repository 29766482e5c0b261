"""Token types: the second number that some tokenizers give with every token, and their models read beside it.

The reference hands on all that a tokenizer gives where it reads a word, and no types where it measures the LMS or puts
candidates into a gap. Most types are zeros that a model takes by itself; a Funnel's first token has type 2, and GPT-2
reads types as words. Knows a base model and batches; scores nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import CAUSAL
from gradiend_ui.engine.scoring.readout import Batch

NAME = "token_type_ids"
PROBE = "a"


@dataclass(frozen=True)
class TokenTypes:
    """before, after: types of the special tokens around a text; inside: of its own tokens; filler: of padding."""

    before: tuple[int, ...]
    inside: int
    after: tuple[int, ...]
    filler: int

    def of(self, count: int) -> list[int]:
        """The types of a text of `count` tokens, special ones included."""
        own = count - len(self.before) - len(self.after)
        return [*self.before, *[self.inside] * own, *self.after] if own >= 0 else [*self.before, *self.after][:count]


def token_types(base: BaseModel) -> TokenTypes | None:
    """What the reference hands on beside the tokens of a row; None where a model gets none, or would take the same
    zeros by itself."""
    if base.facts.at_encoder or base.facts.bare or NAME not in inspect.signature(base.model.forward).parameters:
        return None
    special = not base.chat_prompt
    whole, own = (base.tokenizer(PROBE, add_special_tokens=more) for more in (special, False))
    types: Sequence[Any] | None = whole.get(NAME)
    if types is None or not all(isinstance(one, int) for one in types) or (base.kind != CAUSAL and not any(types)):
        return None
    ids, inner = whole["input_ids"], own["input_ids"]
    start = next((at for at in range(len(ids)) if ids[at : at + len(inner)] == inner), 0)
    end = start + len(inner)
    return TokenTypes(tuple(types[:start]), types[start], tuple(types[end:]), int(base.tokenizer.pad_token_type_id))


def typed(batch: Batch, types: TokenTypes | None) -> Batch:
    """The batch with the types of its tokens; what no token may look at has that of padding."""
    if types is None:
        return batch
    found = torch.full_like(batch.input_ids, types.filler)
    for row, attended in enumerate(batch.attention_mask):
        places = attended.nonzero().flatten()
        found[row, places] = torch.tensor(types.of(len(places)), dtype=torch.int64)
    return replace(batch, token_type_ids=found)
