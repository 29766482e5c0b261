"""Where two values differ: fingerprints and words exactly, measured numbers within what different processors do."""

from __future__ import annotations

import math
import re
from typing import Any

TOLERANCE = 1e-6
"""Of probabilities, LMS and sums of weights, relative above 1."""
ROUNDED = 2e-3
"""Of numbers in sentences and tables, which are rounded there to three digits or more: one unit of the last one."""
NUMBER = re.compile(r"(?<![\w.])[-\u2212]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")


def differences(frozen: Any, seen: Any, place: str = "") -> list[str]:
    """A line for every place at which they differ."""
    if isinstance(frozen, dict) and isinstance(seen, dict):
        names = [*frozen, *(name for name in seen if name not in frozen)]
        return [
            line
            for name in names
            for line in (
                differences(frozen[name], seen[name], f"{place}/{name}")
                if name in frozen and name in seen
                else [f"{place}/{name}: {'gone' if name in frozen else 'new'}"]
            )
        ]
    if isinstance(frozen, list) and isinstance(seen, list) and len(frozen) == len(seen):
        pairs = enumerate(zip(frozen, seen, strict=True))
        return [line for number, (one, two) in pairs for line in differences(one, two, f"{place}/{number}")]
    if _same(frozen, seen):
        return []
    return [f"{place}: {_short(frozen)} is now {_short(seen)}"]


def _same(frozen: Any, seen: Any) -> bool:
    if isinstance(frozen, str) and isinstance(seen, str):
        return frozen == seen or _same_text(frozen, seen)
    if isinstance(frozen, float) and isinstance(seen, float):
        return math.isclose(frozen, seen, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(type(frozen) is type(seen) and frozen == seen)


def _same_text(frozen: str, seen: str) -> bool:
    """Whether only rounded numbers differ, and only in their last digit."""
    if NUMBER.split(frozen) != NUMBER.split(seen):
        return False
    pairs = zip(NUMBER.findall(frozen), NUMBER.findall(seen), strict=True)
    return all(one == two or ("." in one and "." in two and _close(one, two)) for one, two in pairs)


def _close(one: str, two: str) -> bool:
    return math.isclose(float(one.replace("\u2212", "-")), float(two.replace("\u2212", "-")), rel_tol=ROUNDED)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-90:]}"
