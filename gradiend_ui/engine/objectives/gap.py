"""The gap of a text in a tokenizer's own spelling: its mask token, or the first sentinel of a T5.

Knows a tokenizer; no rows, no model.
"""

from __future__ import annotations

from typing import Any

from gradiend_ui.engine.errors import BadBase

Tokenizer = Any
FIRST_SENTINEL = "<extra_id_0>"


def gap_mark(tokenizer: Tokenizer) -> str:
    """What stands for `[MASK]` in a text for this tokenizer."""
    return str(tokenizer.mask_token or FIRST_SENTINEL)


def gap_mark_id(tokenizer: Tokenizer) -> int:
    """The vocabulary id of the gap; raises BadBase for a tokenizer with neither a mask token nor sentinels."""
    found = sentinel_id(tokenizer, 0) if tokenizer.mask_token_id is None else int(tokenizer.mask_token_id)
    if found is None:
        raise BadBase(
            f"The tokenizer has no mask token and no {FIRST_SENTINEL}: it cannot mark a gap. "
            "Give the tokenizer the GRADIEND was trained with."
        )
    return found


def sentinel_id(tokenizer: Tokenizer, number: int) -> int | None:
    """The id of the sentinel `<extra_id_number>`; None where the vocabulary has none."""
    found = tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>")
    return None if found is None or found == tokenizer.unk_token_id else int(found)
