"""What is read in a row: its candidates with their vocabulary ids, the tokens that a continuation adds, and the gap.

A candidate is one word of one class. The gap of a text is spelled as its tokenizer does: the mask token, or the first
sentinel of a T5. Knows rows and a tokenizer; runs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.uploads.request_limits import encoded, encoded_in_turn
from gradiend_ui.engine.values import BatchLimits

Tokenizer = Any


def row_candidates(row: EvalRow, targets: ClassTargets) -> list[tuple[int, str]]:
    """(class column, word) of everything that competes in `row`: all classes' words, row-wise its own two."""
    column = {name: i for i, name in enumerate(targets.classes)}
    if targets.words is None:
        return [(column[row.label_class], row.label), (column[row.alternative_class], row.alternative)]
    return [(column[name], word) for name, words in targets.words.items() for word in words]


def text_before(row: EvalRow) -> str:
    """The text left of the mask that is asked."""
    return MASK.join(row.masked.split(MASK)[: row.asked + 1])


def target_ids(row: EvalRow, targets: ClassTargets, lookup: Callable[[str], tuple[int, ...]]) -> list[tuple[int, int]]:
    """(class column, vocabulary id) of everything that is read in `row`, each id once per class."""
    return sorted({(column, token) for column, word in row_candidates(row, targets) for token in lookup(word)})


def plain_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of `text` alone, without special tokens."""
    ids: list[int] = encoded(lambda: tokenizer(text, add_special_tokens=False)["input_ids"])
    return ids


def ids_of(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """`plain_ids` of each text, in one call of the tokenizer: the call costs more than a short text does."""

    def encode(part: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(list(part), add_special_tokens=False)["input_ids"]
        return ids

    return encoded_in_turn(texts, encode)


def added_ids(tokenizer: Tokenizer, prefix: str, continuations: Sequence[str]) -> list[list[int]]:
    """The tokens that each of `continuations` adds behind `prefix`.

    Where the two melt together, once more with a space between them; where that changes the prefix too, the
    continuation's own tokens.
    """
    before = plain_ids(tokenizer, prefix)
    added: dict[str, list[int]] = {}
    for joint in ("", " "):
        asked = [one for one in dict.fromkeys(continuations) if one not in added]
        wholes = ids_of(tokenizer, [prefix + joint + one for one in asked]) if asked else []
        for one, whole in zip(asked, wholes, strict=True):
            if whole[: len(before)] == before:
                added[one] = whole[len(before) :]
    return [added[one] if one in added else plain_ids(tokenizer, one) for one in continuations]


def right_context(tokenizer: Tokenizer, text: str, window: int) -> str:
    """The first `window` tokens of `text` as text; a negative window takes all of it."""
    if window < 0:
        return text
    if window == 0:
        return ""
    ids = plain_ids(tokenizer, text)
    return text if len(ids) <= window else str(tokenizer.decode(ids[:window], skip_special_tokens=True))


def block_cost(lengths: Sequence[int], points: int, limits: BatchLimits) -> int:
    """What one row with inputs of these lengths takes of a block, in tokens: many read points weigh more."""
    return max(len(lengths) * max(lengths), points * limits.tokens // limits.points)


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
