"""The winner of every class and goal at once. A pure function of scores; knows no disk and no page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.selection import Candidate, Question, candidates_of, select
from gradiend_ui.engine.values import CellScore

WINNER_GOALS = ("strengthen", "weaken")


def winners_of(
    question: Question,
    base: CellScore,
    scores: Sequence[CellScore],
    candidates: Callable[[Question], Sequence[Candidate]] | None = None,
) -> list[dict[str, Any]]:
    """{target_class, goal, feature_factor, learning_rate, value, lms_ratio, fallback} for each class, in class order,
    and goal, under the question's policy; what cannot be answered (yet) is left out.

    value: the goal's metric, in [0, 1], higher is better; lms_ratio: LMS / base LMS, None for a base of 0.
    candidates: `candidates_of` for these scores, where somebody keeps them.
    """
    known = candidates or (lambda asked: candidates_of(asked, scores))
    found: list[dict[str, Any]] = []
    for name in question.classes:
        for goal in WINNER_GOALS:
            asked = replace(question, target_class=name, goal=goal)
            try:
                chosen = select(asked, base, scores, known(asked))
            except NotFound:
                continue
            found.append(
                {
                    "target_class": name,
                    "goal": goal,
                    "feature_factor": chosen.feature_factor,
                    "learning_rate": chosen.learning_rate,
                    "value": chosen.value,
                    "lms_ratio": chosen.lms / chosen.base_lms if chosen.base_lms else None,
                    "fallback": chosen.fallback,
                }
            )
    return found
