"""What the session answers of a stored checkpoint or run, as JSON, and the options that may be sent with a question.

Plain functions of records and scores; knows no store and no worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from gradiend_ui.engine.answers.checkpoint import DIRECTION, Assumed, Card
from gradiend_ui.engine.answers.run import CellAnswer, Imported, Search
from gradiend_ui.engine.base.objectives import CAUSAL, objective_named
from gradiend_ui.engine.errors import BadGrid, shown
from gradiend_ui.engine.selection.policies import DEFAULT_POLICY, policy_named
from gradiend_ui.engine.selection.winner import Question, told_apart
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.values import (
    BOTH_SIGNS,
    DEFAULT_RATIO,
    ENOUGH_CLASSES,
    QUESTION,
    SCORER_VERSION,
    WINNER_GOALS,
    CellScore,
    finite_or_none,
)

LOAD_KEYS = (
    "checkpoint", "name", "base_model", "objective", "classes", "encoding_direction", "strengthening_feature_factor",
    "source", "latent_dim", "mapped_weights", "base_weights", "correlation", "converged", "seeds", "memory", "rows",
    "rows_recovered", "neutral_sets", "finished_sweeps", "assumed", "missing", "warnings",
)  # fmt: skip
OLDER_CARD: dict[str, object] = {
    "finished_sweeps": [], "seeds": [], "memory": {"needed": None, "free": None}, "assumed": [], "missing": [],
    "rows_recovered": None, "row_classes": [], "row_counts": [], "target_words": {},
}  # fmt: skip
OLDER_DIRECTION: Assumed = {
    "what": "undirected_older",
    "sentence": "An earlier version took one sign for every class from the encoder's means: load the model again.",
    "values": {},
}
LOAD_OPTIONS = frozenset({"revision", "base_model", "encoding_direction", "chat_prompt", "seed"})
SELECT_OPTIONS = frozenset({"target_class", *QUESTION})
OPEN_OPTIONS = frozenset({"file"})


def whole_card(card: Mapping[str, Any]) -> Card:
    """A stored health card as a page reads it; what versions before this one did not note is filled in."""
    objective = objective_named(card["objective"])
    two_boundaries = objective.token_boundary and objective.kind == CAUSAL
    return cast(
        Card,
        {
            **OLDER_CARD,
            "two_boundaries": two_boundaries,
            "notes": card["warnings"],
            **of_no_direction(card),
            "base_parameters": card["base_weights"],
        },
    )


def of_no_direction(card: Mapping[str, Any]) -> dict[str, Any]:
    """A stored card as it is; of an earlier version with one sign for every class: without a direction."""
    factors = card.get("strengthening_feature_factor", {})
    if len(factors) < ENOUGH_CLASSES or told_apart(factors):
        return dict(card)
    default = {**card["presets"]["default"], "feature_factors": list(BOTH_SIGNS)}
    others = [item for item in card.get("assumed", ()) if not item["what"].startswith("direction_")]
    missing = [name for name in card.get("missing", ()) if name != DIRECTION]
    return {
        **card,
        "strengthening_feature_factor": {},
        "encoding_direction": {},
        "presets": {**card["presets"], "default": default},
        "assumed": [OLDER_DIRECTION, *others],
        "missing": [DIRECTION, *missing],
    }


def checked_options(given: object, known: frozenset[str], what: str) -> dict[str, Any]:
    """What was sent of the known options; absent and null ones are left out. Raises BadGrid for others."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise BadGrid(f"The options of {what} must be an object, not {shown(given)}.")
    unknown = sorted(str(key) for key in set(given) - known)
    if unknown:
        raise BadGrid(f"Unknown option {shown(unknown[0])}; {what} knows {', '.join(sorted(known))}.")
    return {key: value for key, value in given.items() if value is not None}


def question_of(record: Run, options: Mapping[str, object] | None) -> Question:
    """What is looked for on the run's grid; where nothing is said, its first class and its goal. Raises BadGrid."""
    chosen = checked_options(options, SELECT_OPTIONS, "select")
    any_factor = chosen.get("any_feature_factor", False)
    if not isinstance(any_factor, bool):
        raise BadGrid(f"any_feature_factor must be true or false, not {shown(any_factor)}.")
    return Question(
        target_class=chosen.get("target_class", record.info["spec"]["target_classes"][0]),
        classes=tuple(record.info["classes"]),
        strengthening=told_apart(record.info["strengthening"]),
        goal=chosen.get("goal", "weaken" if record.info["spec"]["goal"] == "weaken" else "strengthen"),
        policy=policy_named(chosen.get("policy", DEFAULT_POLICY), chosen.get("ratio", DEFAULT_RATIO)),
        any_feature_factor=any_factor,
    )


def imported(record: Run) -> Imported | None:
    """{file, check, note} of a run whose numbers come from a file; None for one that was swept here."""
    known = record.info.get("imported")
    if known is None:
        return None
    return {"file": known["file"], "check": known["check"], "note": known["note"]}


def of_earlier_scorer(record: Run) -> bool:
    """Whether a version before this one swept the run, by a scorer whose numbers may be others.

    The earliest versions note no scorer; a run opened from a file is checked against today's numbers and says so.
    """
    if record.info.get("imported") is not None:
        return False
    made = record.info.get("made_by")
    return made is None or made["scorer"] < SCORER_VERSION


def search_of(record: Run) -> Search | None:
    """{ratio, goals, target_classes} whose winners a run looks for; None for one that scores every cell."""
    spec = record.info["spec"]
    if not spec.get("winner_only"):
        return None
    goals = list(WINNER_GOALS) if spec["goal"] == "both" else [spec["goal"]]
    return {"ratio": spec["winner_ratio"], "goals": goals, "target_classes": spec["target_classes"]}


def seconds_left(record: Run) -> float | None:
    return record.eta_seconds if record.state == "running" else None


def cell_json(score: CellScore, classes: Sequence[str]) -> CellAnswer:
    """A cell as the API sends it; probs and probs_factual in the reference's sense."""
    data = score.to_json()
    return {
        "feature_factor": None if score.cell is None else score.cell.feature_factor,
        "learning_rate": None if score.cell is None else score.cell.learning_rate,
        "status": data["status"],
        "probs": _known({name: score.strengthen_metric(name, classes) for name in classes}),
        "probs_factual": _known({name: score.own_probability(name) for name in classes}),
        "probs_by_dataset": data["probs_by_dataset"],
        "lms": data["lms"],
        "rows_done": data["rows_done"],
        "reason": data["reason"],
        "errors": data.get("errors", {}),
        "precision": score.precision,
        "most_said": None if score.most_said is None else score.most_said.to_json(),
    }


def _known(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in values.items() if value is not None}
