"""Token boundary: whether the space before an asked word belongs to the text left of it or to the word itself.

A model whose vocabulary marks words (byte-level BPE, SentencePiece) says " she" as one token. The two readings:
  "reference"  a word is its plain pieces, as in `gradiend` 0.2.3, and a causal text keeps its trailing space.
  "natural"    a word behind a space is its word-initial pieces ("Ġhe"): what the model really says. A causal text drops
               its trailing space; at a mask the text stays as it is.
How rows are scored under either is in the objectives, the pieces of a word in `targets.TargetVocabulary`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.values import NATURAL, REFERENCE, TOKEN_BOUNDARIES

REPORT_ROWS = 32
"""Rows, at most, that are scored under both to see whether they differ."""
FAR = 10
LEAST_MASS = 0.001


def left_text(left: str, token_boundary: str) -> str:
    """The text left of the asked word as the model reads it."""
    return left.rstrip() if token_boundary == NATURAL else left


def begins_word(base: BaseModel, left: str) -> bool:
    """Whether a causal model's answer to the text `left` is a word of its own under the natural boundary."""
    return left[-1:].isspace() and not base.chat_prompt


@dataclass(frozen=True)
class BoundaryReport:
    """Mean total probability of all targets on the base model under both rules, over the first rows.

    after_padding: rows that the reference's rule reads behind padding tokens, out of `rows`.
    """

    reference: float
    natural: float
    after_padding: int
    rows: int

    @property
    def warning(self) -> str | None:
        """A sentence when the reference's rule misleads, else None."""
        if self.natural > FAR * self.reference and self.natural > LEAST_MASS:
            reference, natural = f"{self.reference:.2g}", f"{self.natural:.2g}"
            return remark("boundary_unseen", reference=reference, natural=natural)
        if self.after_padding:
            return remark("boundary_padding", count=self.after_padding, rows=self.rows)
        return None


class ReadUnderBoth(Objective, Protocol):
    """Rows prepared under one of the two. after_padding: how many of them are read behind padding tokens."""

    @property
    def after_padding(self) -> int: ...


def boundary_report(
    base: BaseModel, rows: Sequence[EvalRow], prepare: Callable[[Sequence[EvalRow], str], ReadUnderBoth]
) -> BoundaryReport:
    """Score the base model on the first rows under both. prepare: (rows, boundary) -> the rows' objective."""
    sample = rows[:REPORT_ROWS]
    mass: dict[str, float] = {}
    after_padding = 0
    for boundary in TOKEN_BOUNDARIES:
        objective = prepare(sample, boundary)
        scores = torch.cat([objective.score(base.model, block) for block in objective.blocks])
        mass[boundary] = float(scores.nansum(dim=1).mean())
        after_padding = max(after_padding, objective.after_padding)
    return BoundaryReport(mass[REFERENCE], mass[NATURAL], after_padding, len(sample))
