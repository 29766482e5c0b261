"""From scored cells to the results that `evaluate_decoder` returns, in the shape of the `gradiend` package.

A pure function of numbers: knows no model and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradiend_ui.engine.answers.run import Degenerate
from gradiend_ui.engine.checkpoint.finished_grid import score_entry
from gradiend_ui.engine.errors import BadGrid, NotFound
from gradiend_ui.engine.selection.policies import (
    BaseContext,
    Candidate,
    LMSThresholdPolicy,
    SelectionPolicy,
)
from gradiend_ui.engine.selection.winner import Question, choose, degenerate, select, wanted_feature_factors
from gradiend_ui.engine.selection.winner_sentences import explain_degenerate, explain_own_metric
from gradiend_ui.engine.values import Cell, CellScore

Results = dict[str, Any]
Extractor = Callable[[Mapping[Any, Mapping[str, Any]]], tuple[Sequence[Candidate], BaseContext]]
BASE_PLACEHOLDER = {"value": 0.0, "feature_factor": 0.0, "learning_rate": 0.0, "id": "base"}


@dataclass(frozen=True)
class Inquiry:
    """What is asked of a finished grid.

    asked: target classes to answer for; classes: all classes in class order; strengthening: {class: feature factor}.
    metrics, extractor: names of own metrics and the function that derives them from the grid; None for the classes'.
    """

    goal: str
    asked: tuple[str, ...]
    classes: tuple[str, ...]
    strengthening: Mapping[str, float]
    policy: SelectionPolicy = field(default_factory=LMSThresholdPolicy)
    prob_on_other_class: bool = True
    metrics: tuple[str, ...] | None = None
    extractor: Extractor | None = None


def results_of(inquiry: Inquiry, scores: Sequence[CellScore]) -> Results:
    """{key: choice, ..., "grid": {"base" or (feature_factor, learning_rate): cell}}; `scores` has the base first.

    A choice is {"value", "feature_factor", "learning_rate", "id", "strengthen", "lms", "base_lms", "fallback", "why",
    "degenerate"}; the last is what a broken model says nearly everywhere, None for one that is not.
    """
    grid = grid_of(scores, inquiry)
    if inquiry.metrics is None and inquiry.extractor is None:
        return {
            **{k: v for name in inquiry.asked for k, v in _class_choice(inquiry, name, scores).items()},
            "grid": grid,
        }
    choices = _metric_choices(inquiry, grid)
    broken = {score.cell: degenerate(score, scores[0]) for score in scores[1:]}
    return {**{key: _with_broken(choice, broken) for key, choice in choices.items()}, "grid": grid}


def _with_broken(choice: dict[str, Any], broken: Mapping[Cell | None, Degenerate | None]) -> dict[str, Any]:
    """broken: of every cell; the base model, where it is what was chosen, is none of them."""
    found = broken.get(Cell(choice["feature_factor"], choice["learning_rate"]))
    why = choice["why"] if found is None else f"{choice['why']} {explain_degenerate(found)}"
    return {**choice, "why": why, "degenerate": found}


def grid_of(scores: Sequence[CellScore], inquiry: Inquiry) -> dict[Any, Any]:
    """The grid in the reference's shape, keyed by "base" and (feature_factor, learning_rate)."""
    return {
        "base" if score.cell is None else (score.cell.feature_factor, score.cell.learning_rate): score_entry(
            score, inquiry.classes, prob_on_other_class=inquiry.prob_on_other_class
        )
        for score in scores
    }


def _class_choice(inquiry: Inquiry, name: str, scores: Sequence[CellScore]) -> dict[str, Any]:
    question = Question(
        target_class=name,
        classes=inquiry.classes,
        strengthening=inquiry.strengthening,
        goal=inquiry.goal,
        policy=inquiry.policy,
        on_other_class=inquiry.prob_on_other_class,
    )
    base, cells = scores[0], scores[1:]
    if inquiry.goal == "weaken" and not any(score.cell and question.considers(score.cell) for score in cells):
        lms = base.lms_value
        why = f"No cell of this grid pushes against {name}: the base model stays as it is."
        return {
            question.metric_name: BASE_PLACEHOLDER
            | {"strengthen": False, "lms": lms, "base_lms": lms, "fallback": True, "why": why, "degenerate": None}
        }
    chosen = select(question, base, cells)
    return {
        question.metric_name: {
            "value": chosen.value,
            "feature_factor": chosen.feature_factor,
            "learning_rate": chosen.learning_rate,
            "id": {"feature_factor": chosen.feature_factor, "learning_rate": chosen.learning_rate},
            "strengthen": inquiry.goal == "strengthen",
            "lms": chosen.lms,
            "base_lms": chosen.base_lms,
            "fallback": chosen.fallback,
            "why": chosen.why,
            "degenerate": chosen.degenerate,
        }
    }


# --- own metrics -----------------------------------------------------------------------------------------------------


def default_candidates(grid: Mapping[Any, Mapping[str, Any]]) -> tuple[list[Candidate], BaseContext]:
    """Every cell with its metrics: P(class) as "<class>", P(class) on its own rows as "<class>_factual", one minus
    that as "<class>_weaken", and every further number at the top of a cell under its own name."""
    known = {"probs", "lms", "probs_factual", "probs_by_dataset"}
    found = []
    for key, entry in grid.items():
        if key == "base":
            continue
        metrics = {name: float(p) for name, p in entry.get("probs", {}).items()}
        for name, p in entry.get("probs_factual", {}).items():
            metrics |= {f"{name}_factual": float(p), f"{name}_weaken": 1.0 - float(p)}
        metrics |= {k: float(v) for k, v in entry.items() if k not in known and isinstance(v, (int, float))}
        found.append(Candidate(entry["id"], float(entry["lms"]["lms"]), metrics))
    base_lms = float(grid["base"]["lms"]["lms"]) if "base" in grid else None
    return found, BaseContext(base_lms)


def _metric_choices(inquiry: Inquiry, grid: Mapping[Any, Any]) -> dict[str, Any]:
    extractor = inquiry.extractor or default_candidates
    candidates, context = extractor(grid)
    weaken = inquiry.goal == "weaken"
    names = inquiry.metrics or tuple(f"{name}_weaken" if weaken else name for name in inquiry.asked)
    available = {name for candidate in candidates for name in candidate.metrics}
    missing = [name for name in names if name not in available]
    if missing:
        raise BadGrid(
            f"summary_metrics names {missing[0]!r}; the cells have: {', '.join(sorted(available)) or 'none'}."
        )
    if context.base_lms is None:
        raise BadGrid("The extractor gave no base_lms: policies compare with the base model's score.")
    return {name: _metric_choice(inquiry, name, candidates, context) for name in names}


def _metric_choice(
    inquiry: Inquiry, name: str, candidates: Sequence[Candidate], context: BaseContext
) -> dict[str, Any]:
    considered = [candidate for candidate in candidates if _considers(inquiry, name, candidate)]
    chosen, fallback = choose(inquiry.policy, name, considered, context)
    strengthen = not name.endswith("_weaken")
    common = {"strengthen": strengthen, "base_lms": context.base_lms}
    if chosen is None and strengthen and name in inquiry.strengthening:
        raise NotFound(
            f"No cell of this grid can win for strengthen {name}: that takes feature factor "
            f"{inquiry.strengthening[name]:g}. Add it to feature_factors."
        )
    if chosen is None:
        why = "No cell of this grid comes into question: the base model stays as it is."
        return BASE_PLACEHOLDER | common | {"lms": context.base_lms, "fallback": True, "why": why}
    feature_factor, learning_rate = chosen.id["feature_factor"], chosen.id["learning_rate"]
    value = chosen.metrics.get(name, 0.0)
    return common | {
        "value": float(value),
        "feature_factor": float(feature_factor),
        "learning_rate": float(learning_rate),
        "id": dict(chosen.id),
        "lms": float(chosen.lms),
        "fallback": fallback,
        "why": explain_own_metric(name, feature_factor, learning_rate, value, fallback),
    }


def _considers(inquiry: Inquiry, name: str, candidate: Candidate) -> bool:
    own = name.removesuffix("_weaken")
    if own not in inquiry.strengthening:
        return True
    goal = "weaken" if name.endswith("_weaken") else "strengthen"
    return candidate.id["feature_factor"] in wanted_feature_factors(own, goal, inquiry.strengthening)
