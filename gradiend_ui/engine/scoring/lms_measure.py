"""What every language-modelling score (LMS) is: the measurement of prepared texts, and what all kinds of it share.

Knows results and tokens; what is measured is `lms_masked`'s and `lms_likelihood`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.values import MostSaid

Model = Any
TEXTS_PER_CHUNK = 32
"""How many neutral texts the reference pads together."""
NO_TOKENS = "The neutral texts hold no token to predict: give longer texts."
Results: TypeAlias = Mapping[int, NDArray[Any]]


class LmsMeasurement(Protocol):
    """Neutral texts prepared for one model; `block_texts[i]` is how many texts block i holds, and `first_look` are the
    numbers of the blocks that a first look at a cell takes."""

    @property
    def block_texts(self) -> tuple[int, ...]: ...

    @property
    def first_look(self) -> tuple[int, ...]: ...

    @property
    def tokens(self) -> int: ...

    def score(self, model: Model, block: int) -> NDArray[Any]:
        """The raw result of one block; `summarise` knows how to read it."""
        ...

    def summarise(self, results: Results) -> dict[str, float]:
        """The LMS and its companions over the blocks present, {} for none."""
        ...

    def most_said(self, results: Results) -> MostSaid | None:
        """The token that is said most often at the places of the blocks present; None for no place."""
        ...

    def error(self, results: Results, base: Results | None = None) -> float | None:
        """Standard error of the LMS of a part of the blocks as an estimate of the LMS of all of them; with `base`,
        results of the base model for the same part, of the difference between the two. None where the part is too
        small to tell."""
        ...

    def bounds(self, results: Results) -> tuple[float, float]:
        """(least, most) that the LMS of all blocks can be when these blocks are known; equal when all are."""
        ...


def or_padding(base: BaseModel, sequences: Sequence[list[int]]) -> list[list[int]]:
    """A text without tokens is one token of padding."""
    return [ids or [base.pad_id] for ids in sequences]


def spelled(tokenizer: Any, token: int) -> str:
    """A token as a person reads it; the bare vocabulary entry when decoding leaves nothing."""
    return str(tokenizer.decode([token])).strip() or str(tokenizer.convert_ids_to_tokens(token))


def most_said_of(tokenizer: Any, said: Counter[int], right: Counter[int]) -> MostSaid | None:
    """From how often each token is said at some places, and how often it is the right one there; None for no place.

    Of `said` the places may be more than its sum where seldom tokens were not counted.
    """
    places = right.total()
    if not said or not places:
        return None
    most = [(spelled(tokenizer, token), count) for token, count in said.most_common(2) if count]
    common = [count for _, count in right.most_common(2)]
    return MostSaid(
        token=most[0][0],
        share=most[0][1] / places,
        second=most[1][0] if len(most) > 1 else None,
        pair=sum(count for _, count in most) / places,
        right=common[0] / places,
        right_pair=sum(common) / places,
        places=places,
    )


def standard_error(values: NDArray[np.float64], total: int) -> float | None:
    """Of the mean over `total` of which these are known; None for fewer than two."""
    if len(values) < 2:
        return None
    return float(values.std(ddof=1) / math.sqrt(len(values)) * math.sqrt(max(0.0, 1 - len(values) / total)))
