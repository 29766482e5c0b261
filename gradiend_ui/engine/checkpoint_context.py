"""What the files beside a checkpoint's weights tell of its training: source, direction of the classes, statistics.

gradiend_context.json may lack the directions; then the signs of the encoder's class means at the best step of
training.json tell them. Never the order of the data. Knows JSON values only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.errors import BadCheckpoint

SOURCES = ("factual", "alternative", "diff")
MAX_CLASSES, MAX_CLASS_NAME = 1000, 200
DIRECTION_FROM_TRAINING = "The direction of each class was taken from training.json: gradiend_context.json has none."
SOURCE_ASSUMED = "No file tells the source of the gradients: 'factual' is assumed."


def source_of(context: Mapping[str, Any], training: Mapping[str, Any], warnings: list[str]) -> str:
    stated, trained = context.get("source"), value_at(training, "training_args", "source")
    if trained in SOURCES:
        if stated in SOURCES and stated != trained:
            warnings.append(
                f"gradiend_context.json says source {stated!r}, training.json {trained!r}: the latter counts."
            )
        return str(trained)
    if stated in SOURCES:
        return str(stated)
    warnings.append(SOURCE_ASSUMED)
    return "factual"


def encoding_direction_of(context: Mapping[str, Any], training: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    stated = context.get("feature_class_encoding_direction")
    if isinstance(stated, Mapping) and stated:
        return _signs(stated, "gradiend_context.json"), "gradiend_context.json"
    means = _best_means(training)
    if means:
        return _signs(means, "training.json"), "training.json"
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


def _best_means(training: Mapping[str, Any]) -> dict[str, float]:
    """The encoder's mean output per class at the best step of the training, {} when it is not recorded."""
    by_step = value_at(training, "training_stats", "mean_by_feature_class")
    if not isinstance(by_step, Mapping) or not by_step:
        return {}
    best = str(value_at(training, "best_score_checkpoint", "global_step"))
    means = by_step.get(best, by_step[max(by_step, key=_step_number)])
    if not isinstance(means, Mapping):
        return {}
    return {str(name): value for name, value in means.items() if isinstance(value, (int, float))}


def _step_number(step: str) -> float:
    try:
        return float(step)
    except ValueError:
        return -1.0
