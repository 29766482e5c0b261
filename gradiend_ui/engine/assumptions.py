"""What had to be assumed to open a checkpoint, and what is missing before a sweep: each with a code and a sentence.

A page says the code in its own language and offers a correction; scripts read the sentence. Knows loaded values, no
page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.chat_prompt import CHAT_WARNING, named_instruct
from gradiend_ui.engine.checkpoint_context import DIRECTION_FROM_TRAINING, SOURCE_ASSUMED
from gradiend_ui.engine.companions import RECOVERED, Companions
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.trained import FROM_TRAINING

DIRECTION, ROWS, NEUTRAL = "direction", "rows", "neutral"
"""What can be missing, in the order in which it is asked for."""
ENOUGH_CLASSES = 2
RECOVERED_FROM = " recovered from "
GIVEN, BESIDE = "given", "beside"


@dataclass(frozen=True)
class Reading:
    """How a checkpoint was read.

    base: "" where its own config.json says, "given" by hand, "beside" for a folder base/ that lies with the checkpoint
    directions_given: the directions were given by hand. seed: the best seed's number where it was taken for the run.
    """

    base: str = ""
    directions_given: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class Assumption:
    """what: a code; values: what its sentence names."""

    what: str
    sentence: str
    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "sentence": self.sentence, "values": dict(self.values)}


def assumptions(model: ModelWithGradiend, companions: Companions, reading: Reading) -> list[Assumption]:
    """Everything that no file of the checkpoint states and that changes the numbers or their sign."""
    found = [
        *_of_the_direction(model, reading),
        *_of_the_base(model, reading),
        *_of_the_data(companions),
    ]
    return [Assumption(what, sentence, values) for what, sentence, values in found]


def missing(model: ModelWithGradiend, companions: Companions, order_known: bool) -> list[str]:
    """What a sweep still needs, in the order in which it is asked for. order_known: the rows fit the directions."""
    directed = [name for name, sign in model.encoding_direction.items() if sign]
    found = [] if order_known and len(directed) >= ENOUGH_CLASSES else [DIRECTION]
    found += [ROWS] if companions.rows is None else []
    return found + ([] if companions.neutral else [NEUTRAL])


Found = Sequence[tuple[str, str, dict[str, Any]]]


def _of_the_direction(model: ModelWithGradiend, reading: Reading) -> Found:
    checkpoint = model.checkpoint
    found: list[tuple[str, str, dict[str, Any]]] = []
    if reading.directions_given:
        found.append(("direction_given", "The direction of each class was given by hand.", {}))
    elif checkpoint.direction_from == FROM_TRAINING:
        found.append(("direction_from_training", DIRECTION_FROM_TRAINING, {}))
    if SOURCE_ASSUMED in checkpoint.warnings:
        found.append(("source_assumed", SOURCE_ASSUMED, {"source": model.source}))
    if reading.seed is not None:
        sentence = f"The run holds no model/: its best seed, {reading.seed}, was taken."
        found.append(("seed_chosen", sentence, {"seed": reading.seed}))
    return found


def _of_the_base(model: ModelWithGradiend, reading: Reading) -> Found:
    stated = str(model.checkpoint.metadata.get("base_model") or "")
    values = {"base": model.base.name, "stated": Path(stated.replace("\\", "/")).name}
    named = f", config.json names {values['stated']!r}" if values["stated"] else ""
    found: list[tuple[str, str, dict[str, Any]]] = []
    if reading.base == GIVEN:
        found.append(("base_given", f"The base model was given by hand: {values['base']!r}{named}.", values))
    elif reading.base == BESIDE:
        sentence = f"The base model is the folder {values['base']!r} beside the checkpoint{named}."
        found.append(("base_beside", sentence, values))
    if model.base.chat_prompt:
        found.append(("chat_prompt", CHAT_WARNING, {}))
    elif named_instruct(stated) or named_instruct(model.base.name):
        found.append(("chat_prompt_off", "The base is tuned on instructions and scored on the bare texts.", {}))
    return found


def _of_the_data(companions: Companions) -> Found:
    found: list[tuple[str, str, dict[str, Any]]] = []
    if companions.recovered and companions.rows is not None:
        told = next(
            (text for text in companions.warnings if RECOVERED_FROM in text), "Rows were recovered from the run."
        )
        found.append(("rows_recovered", told, {"count": len(companions.rows.rows)}))
    if not companions.neutral:
        sentence = "No neutral texts: the LMS is measured on the evaluation rows, target tokens left out."
        found.append(("neutral_rows", sentence, {}))
    elif companions.neutral_set == RECOVERED:
        count = len(companions.neutral[RECOVERED])
        sentence = f"{count} neutral texts were recovered from the run; spaces and case may not be the original's."
        found.append(("neutral_recovered", sentence, {"count": count}))
    return found
