"""Holds values against the shapes of `gradiend_ui.engine.answers`: the same keys on both sides, and values of the kind
that a shape names. Knows no answer."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

Seen = dict[type, set[str]]
"""{shape: the keys that some value of it had}."""


def misfits(shape: Any, value: object, seen: Seen, place: str = "") -> list[str]:
    """What of `value` is not as the shape says, each with its place; [] for a value that fits."""
    if is_typeddict(shape):
        return _misfits_of_object(shape, value, seen, place or shape.__name__)
    origin, arguments = get_origin(shape), get_args(shape)
    if origin in (Union, types.UnionType):
        tried = [misfits(one, value, {}, place) for one in arguments]
        if [] not in tried:
            return min(tried, key=len)
        return misfits(arguments[tried.index([])], value, seen, place)
    if origin is Literal:
        return [] if value in arguments else [f"{place}: {value!r} is none of {arguments}"]
    if origin in (list, tuple, Sequence):
        if not isinstance(value, (list, tuple)):
            return [f"{place}: {value!r} is no list"]
        return [
            line for number, one in enumerate(value) for line in misfits(arguments[0], one, seen, f"{place}[{number}]")
        ]
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return [f"{place}: {value!r} is no object"]
        pairs = [(f"{place}.{key}", key, one) for key, one in value.items()]
        return [
            line
            for where, key, one in pairs
            for line in (*misfits(arguments[0], key, seen, where), *misfits(arguments[1], one, seen, where))
        ]
    return [] if _is_plain(shape, value) else [f"{place}: {value!r} is no {shape}"]


def _misfits_of_object(shape: Any, value: object, seen: Seen, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: {value!r} is no object"]
    hints = get_type_hints(shape)
    found = [f"{place}: the shape has no key {key!r}" for key in value.keys() - hints.keys()]
    found += [f"{place}: there is no {key!r}" for key in required_keys(shape) - value.keys()]
    seen.setdefault(shape, set()).update(value)
    for key in hints.keys() & value.keys():
        found += misfits(hints[key], value[key], seen, f"{place}.{key}")
    return found


def required_keys(shape: Any) -> set[str]:
    """What a value must have: annotations that are kept as text hide `NotRequired` from `__required_keys__`."""
    hints = get_type_hints(shape, include_extras=True)
    return {key for key in shape.__required_keys__ if get_origin(hints[key]) is not NotRequired}


def _is_plain(shape: Any, value: object) -> bool:
    if shape in (object, Any):
        return True
    if shape is type(None):
        return value is None
    if shape is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
