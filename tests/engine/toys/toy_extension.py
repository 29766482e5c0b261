"""An objective and a policy as somebody else would write them: one file, one registration each, nothing patched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import register_objective
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.scoring.objectives.mlm import MlmMaskToken
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.selection.policies import BaseContext, Candidate, register_policy
from gradiend_ui.engine.values import BatchLimits


@register_objective(
    "toy_left_of_the_mask",
    "masked",
    "the mask, with nothing right of it",
    needs_mask=True,
    labels={"en": "fills in the last word", "de": "füllt das letzte Wort"},
    helps={"en": "Objective toy_left_of_the_mask: the text right of [MASK] is not read."},
)
class LeftOfTheMask(MlmMaskToken):
    """P(class) at a mask that ends the text."""

    def __init__(self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, limits: BatchLimits) -> None:
        cut = [replace(row, masked=row.masked.split(MASK)[0] + MASK) for row in rows]
        super().__init__(base, cut, targets, limits)


@register_policy("toy_gentlest", "the smallest step of all", labels={"en": "smallest step", "de": "kleinster Schritt"})
@dataclass(frozen=True)
class Gentlest:
    """The smallest learning rate, whatever it does."""

    def select(self, metric: str, candidates: Sequence[Candidate], context: BaseContext) -> Candidate | None:
        return min(candidates, key=lambda candidate: candidate.id["learning_rate"], default=None)
