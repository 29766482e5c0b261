"""The two features of the demo: what each is called, where it is shipped, which sentences show it. Knows no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Feature:
    """name: of its files in the build; folder: of its checkpoint in the shipped demo, beside `base`.

    classes: the first at +1; with_identity: whether rows of other pronouns stand in its training; sets: its neutral
    sets, the first is the one to start with.
    """

    name: str
    folder: str
    title: str
    classes: tuple[str, str]
    with_identity: bool
    sets: tuple[str, ...]
    examples: tuple[str, ...]


PRONOUN = Feature(
    name="pronoun",
    folder="gradiend",
    title="he / she on a small BERT",
    classes=("M", "F"),
    with_identity=True,
    sets=("pronoun-free", "gender-free"),
    examples=(
        "the engineer said that [MASK] was tired.",
        "the nurse said that [MASK] was tired.",
        "mary said that [MASK] was late.",
    ),
)
NUMBER = Feature(
    name="number",
    folder="number",
    title="one / many on the same small BERT",
    classes=("SG", "PL"),
    with_identity=False,
    sets=("pronoun-free",),
    examples=(
        "when the doctor arrived, [MASK] asked for a chair.",
        "the farmers sold [MASK] horses at the market.",
        "nobody had seen [MASK] since monday.",
    ),
)
FEATURES = (PRONOUN, NUMBER)


def manifest(feature: Feature, files: dict[str, str]) -> dict[str, Any]:
    """What `demo.json` says of a feature. files: {neutral set: file name}."""
    return {
        "title": feature.title,
        "rows": "eval.csv",
        "neutral": {name: files[name] for name in feature.sets},
        "neutral_set": feature.sets[0],
        "examples": list(feature.examples),
    }
