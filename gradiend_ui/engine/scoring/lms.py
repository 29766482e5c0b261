"""The language-modelling score (LMS) that fits a base model: in [0, 1], higher is better.

Masked models: accuracy at 15 % masked positions of each neutral text. Causal and encoder-decoder models:
1 / (1 + mean NLL per token). Without texts nothing is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import CAUSAL, MASKED
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.lms_likelihood import CausalLms, Seq2SeqLms
from gradiend_ui.engine.scoring.lms_masked import MaskedLms
from gradiend_ui.engine.scoring.lms_measure import TEXTS_PER_CHUNK, LmsMeasurement, Results
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits, MostSaid

Model = Any


def build_lms(
    base: BaseModel,
    texts: Sequence[str],
    ignored: frozenset[int] = frozenset(),
    texts_per_chunk: int = TEXTS_PER_CHUNK,
    limits: BatchLimits = DEFAULT_LIMITS,
) -> LmsMeasurement:
    """The measurement that fits the kind of the base model; without texts one that measures nothing.

    texts_per_chunk: how many texts the reference pads together; it matters where padding moves a model's numbers.
    """
    if not texts:
        return NoLms(base, texts, ignored)
    if base.kind == MASKED:
        return MaskedLms(base, texts, ignored, texts_per_chunk, limits)
    if base.kind == CAUSAL:
        return CausalLms(base, texts, ignored, texts_per_chunk, limits)
    return Seq2SeqLms(base, texts, ignored, texts_per_chunk, limits)


class NoLms:
    """Stands where no text is to be scored: no block, no LMS."""

    block_texts: tuple[int, ...] = ()
    first_look: tuple[int, ...] = ()
    tokens = 0

    def __init__(self, base: BaseModel, texts: Sequence[str], ignored: frozenset[int] = frozenset()) -> None:
        if texts:
            raise BadData("NoLms scores no texts.")

    def score(self, model: Model, block: int) -> NDArray[Any]:
        raise IndexError(f"There is no block {block}: no text is scored.")

    def summarise(self, results: Results) -> dict[str, float]:
        return {}

    def most_said(self, results: Results) -> MostSaid | None:
        return None

    def error(self, results: Results, base: Results | None = None) -> float | None:
        return None

    def bounds(self, results: Results) -> tuple[float, float]:
        return 0.0, 1.0
