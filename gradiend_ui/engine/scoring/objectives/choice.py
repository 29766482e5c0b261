"""From the objective of a base model to its rows, prepared by the class that is registered for it."""

from __future__ import annotations

from collections.abc import Sequence

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.registry import found_at
from gradiend_ui.engine.scoring.known_words import check_known_targets
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits


def build_objective(
    base: BaseModel,
    rows: Sequence[EvalRow],
    targets: ClassTargets,
    token_boundary: str = "reference",
    limits: BatchLimits = DEFAULT_LIMITS,
) -> Objective:
    """`rows` prepared for the objective of `base`; token_boundary is read by those only that know two.

    Raises BadData when no row can be scored, or a word is none that the model knows.
    """
    check_known_targets(base, rows, targets, token_boundary)
    scorer = found_at(base.facts.scored_by)
    boundary = (token_boundary,) if base.facts.token_boundary else ()
    objective: Objective = scorer(base, rows, targets, *boundary, limits)
    return objective
