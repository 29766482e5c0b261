"""One question to a checkpoint: the same from a form, a script and a stored run, and one JSON form of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice, SweepSpec

OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"goal": "both", "feature_factors": [-1, 1], "learning_rates": [0.5, 0.1], "part": "decoder-bias", "again": True},
    {"targets": {"M": ["he"], "F": ["she", "her"]}, "target_classes": ["F"], "max_rows": 7, "split": "all"},
    {"targets": "label", "winner_only": True, "winner_ratio": 0.95, "precision": "bfloat16", "first_look": "off"},
    {"rows": [{"masked": "a [MASK]", "label": "he"}], "columns": {"masked": "text"}, "neutral": ["it rained."]},
    {"rows": {"run": "r1"}, "neutral": {"upload": "u.csv"}, "neutral_set": "none"},
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "nothing")
def test_a_question_survives_its_json(options: dict[str, Any]) -> None:
    asked = AskedSweep.of(options)
    told = json.loads(json.dumps(asked.as_json()))
    assert AskedSweep.of(told) == asked and asked.as_json() == told
    assert AskedSweep.of({**options, "max_neutral": None}) == asked, "null is absent"


def test_the_options_are_those_of_the_spec_and_of_the_data() -> None:
    asked = AskedSweep.of({"goal": "weaken", "neutral_set": "mine"})
    assert asked == AskedSweep(SweepSpec(goal="weaken"), DataChoice(neutral_set="mine"))
    assert DataChoice.of({"goal": "weaken", "neutral_set": "mine"}) == asked.data, (
        "what is not about data is passed over"
    )
    with pytest.raises(BadGrid, match="Unknown sweep option 'speed'. Known: again, feature_factors"):
        AskedSweep.of({"speed": 9, "rows": {"run": "r1"}})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": [1]}, "columns must be an object of our names and the table's, both text"),
        ({"columns": {"masked": 1}}, "columns must be an object"),
        ({"neutral_set": ["x"]}, "neutral_set must be the name of a set of neutral texts"),
        ({"rows": {}}, "not one with nothing in it"),
        ({"rows": {"run": "r", "upload": "u"}}, "rows must be a list, or an object with one of run, upload, path"),
        ({"neutral": {"run": 5}}, "run must be text, not 5"),
    ],
)
def test_what_names_the_data_is_of_its_kind(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        AskedSweep.of(options)
