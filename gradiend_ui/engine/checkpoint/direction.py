"""Which way a GRADIEND encodes its classes: what its files tell, and why they do not where they do not.

gradiend_context.json states the signs. Where it states none, the encoder's means at the best step of training.json tell
them, only where the two classes lie on different sides of zero. A run that normalised its encoder (its labels and its
correlation agree) is read around the middle of the two instead: its encoder may have an offset. Where both lie on the
same side there is no direction: nothing is guessed, never from the order of the data. Knows JSON values only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.context import value_at
from gradiend_ui.engine.errors import BadCheckpoint, shown
from gradiend_ui.engine.files.model_files import CONTEXT, TRAINING
from gradiend_ui.engine.values import ENOUGH_CLASSES, MAX_CLASS_NAME, MAX_CLASSES

NORMALISED_CORRELATION = 0.6
"""From here on the reference turns a normalised encoder the way of its labels."""
UNDIRECTED = "undirected_"
"""How the codes of what is told of a direction that is not known begin."""
SIDES = {1.0: "positive", -1.0: "negative"}
"""What the reference calls labels that several classes share."""


@dataclass(frozen=True)
class DirectionNote:
    """What is to be told of the direction: why it is not known, or where it comes from.

    what: a code, which a page says in its own language; values: what its sentence names; classes: those that the files
    name, in their order. why: of a direction that is not known the sentence without what a sweep makes of it.
    """

    what: str
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the direction of a class is not known."""
        return self.what.startswith(UNDIRECTED)


@dataclass(frozen=True)
class Direction:
    """signs: {class: +1, -1 or 0}, {} where nothing tells. file: the one that tells, "" for none. note: None where it
    states them and nothing speaks against it."""

    signs: Mapping[str, float]
    file: str = ""
    note: DirectionNote | None = None


def _open(what: str, values: Mapping[str, object], classes: Iterable[str] = ()) -> DirectionNote:
    why = remark(f"direction_{what}", **{"file": TRAINING, **values})
    return DirectionNote(f"{UNDIRECTED}{what}", remark("direction_open", why=why), values, tuple(classes), why)


SILENT = _open("silent", {})


def direction_of(context: Mapping[str, Any], training: Mapping[str, Any], warnings: list[str]) -> Direction:
    """What the two files tell of the direction. Raises BadCheckpoint for a stated direction that is none."""
    stated = context.get("feature_class_encoding_direction")
    if stated is not None and not isinstance(stated, Mapping):
        raise BadCheckpoint(
            f"{CONTEXT}: feature_class_encoding_direction must map each class to 1, -1 or 0, not be {shown(stated)}."
        )
    if not stated:
        return _measured(training, warnings)
    signs = _stated_signs(stated, warnings)
    note = why_undirected(signs, CONTEXT)
    if note is not None:
        tells_one = any(signs.values()) and not _are_one(signs)
        return Direction(signs, CONTEXT, note) if tells_one else Direction({}, "", note)
    measured = _measured(training, []).signs
    if any(sign * measured.get(name, 0.0) < 0 for name, sign in signs.items()):
        means = _listed({name: mean for name, mean in _means_at_best(training, [])[0].items() if signs.get(name)})
        told = ", ".join(f"{name} {sign:+g}" for name, sign in signs.items() if sign)
        sentence = remark("direction_contradicted", file=CONTEXT, told=told, means=means, other=TRAINING)
        note = DirectionNote("direction_contradicted", sentence, {"told": told, "means": means})
    return Direction(signs, CONTEXT, note)


def why_undirected(signs: Mapping[str, float], where: str) -> DirectionNote | None:
    """Why these signs do not tell the classes apart, None where they do. where: the file or option that gave them."""
    directed = [name for name, sign in signs.items() if sign]
    if not signs:
        return SILENT
    if not directed:
        return _open("stated_zero", {"file": where}, signs)
    values = {"file": where, "classes": ", ".join(directed), "sign": f"{signs[directed[0]]:+g}"}
    if len(directed) < ENOUGH_CLASSES:
        return _open("stated_one", values, signs)
    if _are_one(signs):
        return _open("stated_same", values, signs)
    return None


def _are_one(signs: Mapping[str, float]) -> bool:
    """Whether several classes share the only direction there is."""
    directed = [sign for sign in signs.values() if sign]
    return len(directed) >= ENOUGH_CLASSES and len(set(directed)) < ENOUGH_CLASSES


def _stated_signs(stated: Mapping[str, object], warnings: list[str]) -> dict[str, float]:
    _check_names(stated, CONTEXT)
    signs: dict[str, float] = {}
    for name, value in stated.items():
        number = _number(value)
        if number is None:
            raise BadCheckpoint(
                f"{CONTEXT}: the direction of class {name!r} must be a number, not {shown(value)}: write 1, -1 or 0."
            )
        if isinstance(value, str) or number not in (-1, 0, 1):
            warnings.append(remark("direction_no_sign", file=CONTEXT, name=repr(name), stated=shown(value)))
        signs[name] = _sign(number)
    return signs


def _number(value: object) -> float | None:
    """A finite number, or a text that says one; None for anything else."""
    if isinstance(value, str) and value.isascii() and len(value) <= MAX_CLASS_NAME:
        try:
            value = float(value)
        except ValueError:
            return None
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known and math.isfinite(value) else None  # type: ignore[arg-type]


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value else 0.0


def _check_names(values: Mapping[str, object], file: str) -> None:
    if len(values) > MAX_CLASSES:
        raise BadCheckpoint(f"{file} names {len(values):,} classes; at most {MAX_CLASSES:,} are read.")
    for name in values:
        if len(name) > MAX_CLASS_NAME or not name.strip():
            raise BadCheckpoint(f"{file}: {shown(name)} is no name of a class.")


# --- the encoder's means ---------------------------------------------------------------------------------------------


FROM_TRAINING = DirectionNote(
    "direction_from_training", remark("direction_from_training", file=TRAINING, other=CONTEXT)
)


def _measured(training: Mapping[str, Any], warnings: list[str]) -> Direction:
    """What the means at the best step tell."""
    means, step = _means_at_best(training, warnings)
    if not means:
        return Direction({}, note=SILENT if step is None else _unrecorded(step))
    values: dict[str, object] = {"means": _listed(means), "step": step}
    if len(means) < ENOUGH_CLASSES:
        return Direction({}, note=_open("one_class", values, means))
    pair = _pair(training, means)
    if pair is None:
        return _of_sides(training, means, values)
    values["means"] = _listed({name: means[name] for name in pair})
    signs = [_sign(means[name]) for name in pair]
    if signs[0] * signs[1] < 0:
        told = {name: _sign(means[name]) if name in pair else 0.0 for name in means}
        return Direction(told, TRAINING, FROM_TRAINING)
    if _is_normalised(training, pair, means):
        told = {**dict.fromkeys(means, 0.0), pair[0]: 1.0, pair[1]: -1.0}
        sentence = remark("direction_from_middle", means=values["means"], file=TRAINING)
        note = DirectionNote("direction_from_middle", sentence, values)
        return Direction(told, TRAINING, note)
    what = "zero_mean" if 0.0 in signs else "same_sign"
    return Direction({}, note=_open(what, values, means))


def _of_sides(training: Mapping[str, Any], means: Mapping[str, float], values: Mapping[str, object]) -> Direction:
    """Of more than two classes: each its own sign where the labels name two sides and no neutral class."""
    labels = _labels(training)
    signs = {name: _sign(mean) for name, mean in means.items()}
    if set(labels.values()) == set(SIDES.values()) and set(signs.values()) == {1.0, -1.0}:
        return Direction(signs, TRAINING, FROM_TRAINING)
    return Direction({}, note=_open("pair_unknown", {**values, "count": len(means)}, means))


def _unrecorded(step: str) -> DirectionNote:
    return _open("step_unknown", {"step": step})


def _means_at_best(training: Mapping[str, Any], warnings: list[str]) -> tuple[dict[str, float], str | None]:
    """({class: the encoder's mean at the best step}, the step); ({}, None) where no means are recorded at all."""
    stats = value_at(training, "training_stats")
    labels = _labels(training)
    for key in ("mean_by_feature_class", "mean_by_class"):
        by_step = value_at(stats, key) if isinstance(stats, Mapping) else None
        if isinstance(by_step, Mapping) and by_step:
            step, found = _at_best(training, by_step)
            return _named(found, labels, by_label=key == "mean_by_class", warnings=warnings), step
    return {}, None


def _at_best(training: Mapping[str, Any], by_step: Mapping[str, Any]) -> tuple[str, object]:
    """(the best step, what is recorded of it); the last one where the run names no best."""
    best = _number(value_at(training, "best_score_checkpoint", "global_step"))
    if best is None:
        last = max(by_step, key=_step_number)
        return str(last), by_step[last]
    step = next((name for name in by_step if _step_number(name) == best), None)
    return f"{best:g}", None if step is None else by_step[step]


def _step_number(step: object) -> float:
    number = _number(str(step))
    return -1.0 if number is None else number


def _named(found: object, labels: Mapping[float, str], *, by_label: bool, warnings: list[str]) -> dict[str, float]:
    """{class: mean}: labels in place of names are named; what is no finite number, or no class's, is left out."""
    if not isinstance(found, Mapping):
        return {}
    numbered = {str(key): _number(str(key)) for key in found}
    by_label = by_label or (None not in numbered.values() and any(label in labels for label in numbered.values()))
    means: dict[str, float] = {}
    for key, value in found.items():
        label = numbered[str(key)]
        name = str(key) if not by_label else None if label is None else labels.get(label)
        if name is None or name in SIDES.values():
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            means[name] = float(value)
        else:
            warnings.append(remark("mean_no_number", file=TRAINING, name=repr(name), stated=shown(value)))
    _check_names(means, TRAINING)
    return means


def _labels(training: Mapping[str, Any]) -> dict[float, str]:
    """{label: the class that it stands for}, as the run recorded it."""
    recorded = value_at(training, "training_stats", "label_value_to_class_name")
    found = recorded.items() if isinstance(recorded, Mapping) else ()
    numbered = [(_number(str(label)), name) for label, name in found]
    return {label: name for label, name in numbered if label is not None and isinstance(name, str) and name.strip()}


def _pair(training: Mapping[str, Any], means: Mapping[str, float]) -> tuple[str, str] | None:
    """The two classes that were trained apart, the one labelled +1 first; None where that is not told."""
    labels = _labels(training)
    plus = [name for label, name in labels.items() if label > 0]
    minus = [name for label, name in labels.items() if label < 0]
    if len(plus) == len(minus) == 1 and plus[0] in means and minus[0] in means:
        return plus[0], minus[0]
    names: Sequence[str] = tuple(means)
    return (names[0], names[1]) if len(names) == ENOUGH_CLASSES else None


def _is_normalised(training: Mapping[str, Any], pair: tuple[str, str], means: Mapping[str, float]) -> bool:
    """Whether the run turned its encoder the way of its labels, and the means lie that way."""
    labelled = {name: label for label, name in _labels(training).items()}
    correlation = _number(value_at(training, "best_score_checkpoint", "correlation"))
    return (
        value_at(training, "training_args", "normalize_gradiend") is True
        and correlation is not None
        and correlation >= NORMALISED_CORRELATION
        and labelled.get(pair[0], 0.0) > 0 > labelled.get(pair[1], 0.0)
        and means[pair[0]] > means[pair[1]]
    )


def _listed(means: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {mean:+.3g}" for name, mean in means.items())
