"""What the files beside a checkpoint's weights tell of its training: source, direction of the classes, statistics.

gradiend_context.json may lack the directions; then the signs of the encoder's class means at the best step of
training.json tell them. Never the order of the data. Knows JSON values only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gradiend_ui.engine.errors import BadCheckpoint, BadData, shown
from gradiend_ui.engine.files.model_files import CONTEXT, TRAINING
from gradiend_ui.engine.values import MAX_CLASS_NAME, MAX_CLASSES, SOURCES

MAX_TARGET_NAME = 200
DIRECTION_FROM_TRAINING = "The direction of each class was taken from training.json: gradiend_context.json has none."
SOURCE_ASSUMED = "No file tells the source of the gradients: 'factual' is assumed."


class FeatureDefinition(Protocol):
    """What names the classes of a feature: `pair[0]` is encoded as +1, `pair[1]` as -1. A trainer is one.

    Further classes are named by `classes`, or by `all_classes` as a trainer has them: they are encoded as 0.
    """

    @property
    def pair(self) -> Sequence[str] | None: ...


def source_of(context: Mapping[str, Any], training: Mapping[str, Any], warnings: list[str]) -> str:
    """Whose gradients were encoded, one of `SOURCES`: it decides which feature factor strengthens a class.

    training.json counts before gradiend_context.json; where neither says anything it is assumed, and said.
    Raises BadCheckpoint where what they say is none of them: the sign of everything would be a guess.
    """
    stated, trained = context.get("source"), value_at(training, "training_args", "source")
    if trained in SOURCES:
        if stated is not None and stated != trained:
            warnings.append(f"{CONTEXT} says source {shown(stated)}, {TRAINING} {trained!r}: the latter counts.")
        return str(trained)
    if stated in SOURCES:
        if trained is not None:
            warnings.append(f"{TRAINING} says source {shown(trained)}, {CONTEXT} {stated!r}: the latter counts.")
        return str(stated)
    for file, value in ((CONTEXT, stated), (f"{TRAINING}: training_args", trained)):
        if value is not None:
            raise BadCheckpoint(
                f"{file}: source is {shown(value)}, and none of {', '.join(SOURCES)}: write there which gradients the "
                "GRADIEND was trained on, since the sign of every feature factor depends on it."
            )
    warnings.append(SOURCE_ASSUMED)
    return "factual"


def target_of(context: Mapping[str, Any], warnings: list[str]) -> str:
    """What the GRADIEND was trained to give out; it changes no number of a rewrite, so that an unknown one is said."""
    target = context.get("target", "diff")
    if not isinstance(target, str) or len(target) > MAX_TARGET_NAME:
        raise BadCheckpoint(f"{CONTEXT}: target must be a short text, not {shown(target)}.")
    if target not in SOURCES:
        warnings.append(f"{CONTEXT} says target {shown(target)}, and none of {', '.join(SOURCES)}: it stays so.")
    return target


def encoding_direction_of(
    context: Mapping[str, Any], training: Mapping[str, Any], warnings: list[str]
) -> tuple[dict[str, float], str]:
    """({class: +1, -1 or 0}, the file that tells it); ({}, "") where none does. Raises BadCheckpoint."""
    stated = context.get("feature_class_encoding_direction")
    if stated is not None and not isinstance(stated, Mapping):
        raise BadCheckpoint(
            f"{CONTEXT}: feature_class_encoding_direction must map each class to 1, -1 or 0, not be {shown(stated)}."
        )
    if stated:
        odd = next(((name, value) for name, value in stated.items() if value not in (-1, 0, 1)), None)
        signs = _signs(stated, CONTEXT)
        if odd is not None:
            warnings.append(
                f"{CONTEXT} gives class {odd[0]!r} the direction {shown(odd[1])}, and not 1, -1 or 0: its sign counts."
            )
        return signs, CONTEXT
    means = _best_means(training, warnings)
    if means:
        return _signs(means, TRAINING), TRAINING
    return {}, ""


def _signs(values: Mapping[str, object], file: str) -> dict[str, float]:
    if len(values) > MAX_CLASSES:
        raise BadCheckpoint(f"{file} names {len(values):,} classes; at most {MAX_CLASSES:,} are read.")
    for name in values:
        if len(name) > MAX_CLASS_NAME or not name.strip():
            raise BadCheckpoint(f"{file}: {shown(name)} is no name of a class.")
    return {name: _sign(value, f"{file}: the direction of class {name!r}") for name, value in values.items()}


def value_at(data: Mapping[str, Any], *names: str) -> Any:
    value: Any = data
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _sign(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadCheckpoint(f"{what} must be a number, not {shown(value)}.")
    return math.copysign(1.0, value) if value else 0.0


def _best_means(training: Mapping[str, Any], warnings: list[str]) -> dict[str, float]:
    """The encoder's mean output per class at the best step of the training, {} when it is not recorded."""
    by_step = value_at(training, "training_stats", "mean_by_feature_class")
    if not isinstance(by_step, Mapping) or not by_step:
        return {}
    best = str(value_at(training, "best_score_checkpoint", "global_step"))
    means = by_step.get(best, by_step[max(by_step, key=_step_number)])
    if not isinstance(means, Mapping):
        return {}
    numbers = {str(name): value for name, value in means.items() if isinstance(value, (int, float))}
    if len(numbers) < len(means):
        name, value = next((name, value) for name, value in means.items() if str(name) not in numbers)
        warnings.append(f"{TRAINING}: the mean of class {name!r} is {shown(value)}, no number: it was left out.")
    return numbers


def _step_number(step: str) -> float:
    try:
        return float(step)
    except ValueError:
        return -1.0


def labels_of(definition: FeatureDefinition | None) -> dict[str, float]:
    """{class: 1.0, -1.0 or 0.0} that the definition gives its classes; empty for one without a pair.

    Raises BadData for an object that has no pair at all.
    """
    if definition is None:
        return {}
    if not hasattr(definition, "pair"):
        raise BadData(
            f"feature_definition must be a trainer, or another object with a pair of classes, not {shown(definition)}."
        )
    pair = list(definition.pair or ())
    if len(pair) < 2:
        return {}
    named = next((getattr(definition, name) for name in ("classes", "all_classes") if hasattr(definition, name)), None)
    return {**dict.fromkeys(named or (), 0.0), pair[0]: 1.0, pair[1]: -1.0}
