"""What the demo's build measured, for tests that show the demo: no figure of it is typed into a test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "assets" / "demo"
FIGURES: dict[str, Any] = json.loads((FOLDER / "figures.json").read_text(encoding="utf-8"))
PRONOUN_FREE, GENDER_FREE = "pronoun-free", "gender-free"
Place = tuple[float, float]


def row_count(split: str | None = None, name: str | None = None) -> int:
    """Rows of the first demo, of a split and a class."""
    counts = FIGURES["rows"]["pronoun"]
    return sum(
        count
        for a_split, by_class in counts.items()
        for a_name, count in by_class.items()
        if split in (None, a_split) and name in (None, a_name)
    )


def neutral(name: str = PRONOUN_FREE) -> dict[str, Any]:
    """{"texts", "masked", "lms": of the base, "hits": masked tokens the base says rightly}."""
    counted, base = FIGURES["neutral"][name], FIGURES["sweeps"]["pronoun"]["sets"][name]["base"]
    return {**counted, "lms": base["lms"], "hits": round(base["lms"] * counted["masked"])}


def base_probability(name: str, on: str) -> float:
    """P(name) of the base model on the rows of class `on`."""
    probabilities = FIGURES["sweeps"]["pronoun"]["sets"][PRONOUN_FREE]["base"]["probabilities"]
    return float(probabilities[on][name])


def cell(place: Place, name: str = PRONOUN_FREE) -> dict[str, Any]:
    """{"M", "F", "kept"} of one cell of the default grid."""
    cells = FIGURES["sweeps"]["pronoun"]["sets"][name]["cells"]
    return next(c for c in cells if (c["feature_factor"], c["learning_rate"]) == place)


def best(class_name: str, ratio: float = 0.99, rates: Iterable[float] | None = None) -> Place:
    """The winning cell of the default grid (or of some of its learning rates), neutral set pronoun-free."""
    factor = {"M": 1.0, "F": -1.0}[class_name]
    allowed = None if rates is None else set(rates)
    cells = [
        c
        for c in FIGURES["sweeps"]["pronoun"]["sets"][PRONOUN_FREE]["cells"]
        if c["feature_factor"] == factor and (allowed is None or c["learning_rate"] in allowed)
    ]
    passing = [c for c in cells if c["kept"] >= ratio - 1e-9]
    assert passing, "no cell passes: the demo's fallback is another story"
    found = max(passing, key=lambda c: float(c[class_name]))
    return found["feature_factor"], found["learning_rate"]


def spoken(place: Place) -> str:
    """As the page writes a cell: (−1, 0.2)."""
    return f"({place[0]:+g}, {place[1]:g})".replace("-", "−")
