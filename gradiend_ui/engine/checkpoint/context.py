"""What the files beside a checkpoint's weights tell of its training: source, target, and what a definition names.

The direction of the classes is for `direction`. Knows JSON values only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.errors import BadCheckpoint, BadData, shown
from gradiend_ui.engine.files.model_files import CONTEXT, TRAINING
from gradiend_ui.engine.values import SOURCES

MAX_TARGET_NAME = 200
SOURCE_ASSUMED = remark("source_assumed")


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
            warnings.append(_contradicted(CONTEXT, shown(stated), TRAINING, repr(trained)))
        return str(trained)
    if stated in SOURCES:
        if trained is not None:
            warnings.append(_contradicted(TRAINING, shown(trained), CONTEXT, repr(stated)))
        return str(stated)
    for file, value in ((CONTEXT, stated), (f"{TRAINING}: training_args", trained)):
        if value is not None:
            raise BadCheckpoint(
                f"{file}: source is {shown(value)}, and none of {', '.join(SOURCES)}: write there which gradients the "
                "GRADIEND was trained on, since the sign of every feature factor depends on it."
            )
    warnings.append(SOURCE_ASSUMED)
    return "factual"


def _contradicted(first: str, one: str, second: str, other: str) -> str:
    return remark("source_contradicted", first=first, one=one, second=second, other=other)


def target_of(context: Mapping[str, Any], warnings: list[str]) -> str:
    """What the GRADIEND was trained to give out; it changes no number of a rewrite, so that an unknown one is said."""
    target = context.get("target", "diff")
    if not isinstance(target, str) or len(target) > MAX_TARGET_NAME:
        raise BadCheckpoint(f"{CONTEXT}: target must be a short text, not {shown(target)}.")
    if target not in SOURCES:
        warnings.append(remark("target_unknown", file=CONTEXT, stated=shown(target), known=", ".join(SOURCES)))
    return target


def value_at(data: Mapping[str, Any], *names: str) -> Any:
    value: Any = data
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


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
