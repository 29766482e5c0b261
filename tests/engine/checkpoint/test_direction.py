"""The direction of the classes: what the files tell, and that nothing is guessed where they do not."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.direction import Direction, direction_of, why_undirected
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.errors import BadCheckpoint
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.winner import goal_feature_factors, told_apart, wanted_feature_factors
from tests.support.cases import case

SAME_SIGN = case("gradiends/same_sign")
BASE = case("bases/gpt2_tiny")
TRAINING = json.loads((SAME_SIGN / "training.json").read_text())
NAN = float("nan")


def trained(means: Mapping[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """The case's training.json with other means at its best step."""
    training = copy.deepcopy(TRAINING)
    stats = training["training_stats"]
    if means is not None:
        stats["mean_by_feature_class"]["0"] = dict(means)
    for name, value in changes.items():
        place = stats if name in stats else training
        place[name] = value
    return training


def measured(means: Mapping[str, Any] | None, **changes: Any) -> Direction:
    return direction_of({"source": "alternative"}, trained(means, **changes), [])


def stated(direction: object, means: Mapping[str, Any] | None = None) -> Direction:
    return direction_of({"feature_class_encoding_direction": direction}, {} if means is None else trained(means), [])


def what(direction: Direction) -> str:
    return "" if direction.note is None else direction.note.what


def test_the_case_has_no_direction_and_says_why() -> None:
    checkpoint = read_checkpoint(SAME_SIGN)
    assert (checkpoint.encoding_direction, checkpoint.direction_from) == ({}, "")
    note = checkpoint.direction_note
    assert note is not None and note.is_open and note.what == "undirected_same_sign" and note.classes == ("F", "M")
    sentence = "The encoder's means at the best step have the same sign (M +0.352, F +0.431; training.json)."
    assert note.sentence.startswith(sentence) and checkpoint.warnings == (note.sentence,)
    model = ModelWithGradiend.from_pretrained(SAME_SIGN, BASE)
    assert model.strengthening_feature_factor == {} and model.feature_class_encoding_direction is None


@pytest.mark.parametrize(
    ("means", "signs", "code"),
    [
        ({"M": 0.2, "F": -0.1}, {"M": 1, "F": -1}, "direction_from_training"),
        ({"F": 0.2, "M": -0.1}, {"M": -1, "F": 1}, "direction_from_training"),
        ({"M": 0.35, "F": 0.43}, {}, "undirected_same_sign"),
        ({"M": -0.35, "F": -0.43}, {}, "undirected_same_sign"),
        ({"M": -1.0, "F": -1.0}, {}, "undirected_same_sign"),
        ({"M": 0.4, "F": 0.4}, {}, "undirected_same_sign"),
        ({"M": 0.0, "F": 0.4}, {}, "undirected_zero_mean"),
        ({"M": -0.0, "F": 0.0}, {}, "undirected_zero_mean"),
        ({"M": NAN, "F": 0.4}, {}, "undirected_one_class"),
        ({"M": None, "F": 0.4}, {}, "undirected_one_class"),
        ({"M": True, "F": -0.4}, {}, "undirected_one_class"),
        ({"M": "0.2", "F": -0.4}, {}, "undirected_one_class"),
        ({"M": float("inf"), "F": -0.4}, {}, "undirected_one_class"),
        ({"F": 0.4}, {}, "undirected_one_class"),
        ({}, {}, "undirected_step_unknown"),
        ({"M": 0.9, "F": -0.8, "N": 0.1}, {"M": 1, "F": -1, "N": 0}, "direction_from_training"),
        ({"N": -0.1, "M": 0.9, "F": 0.8}, {}, "undirected_same_sign"),
        ({"1.0": 0.9, "-1.0": -0.8}, {"M": 1, "F": -1}, "direction_from_training"),
        ({"1.0": -0.9, "-1.0": 0.8, "0.0": 0.1}, {"M": -1, "F": 1}, "direction_from_training"),
        ({"1.0": 0.9, "-1.0": 0.8}, {}, "undirected_same_sign"),
    ],
)
def test_means_tell_a_direction_on_two_sides_of_zero_only(means: Any, signs: Any, code: str) -> None:
    found = measured(means)
    assert found.signs == signs and what(found) == code
    assert found.file == ("training.json" if signs else "")


def test_the_best_step_counts_however_it_is_written() -> None:
    by_step = {"0": {"M": 0.4, "F": 0.3}, "20": {"M": -0.4, "F": 0.3}, "21": {"M": 0.4, "F": -0.3}}
    for best, signs in ((20, {"M": -1, "F": 1}), (20.0, {"M": -1, "F": 1}), ("21", {"M": 1, "F": -1}), (0, {})):
        found = measured(None, mean_by_feature_class=by_step, best_score_checkpoint={"global_step": best})
        assert found.signs == signs, best
    last = measured(None, mean_by_feature_class=by_step, best_score_checkpoint={})
    assert last.signs == {"M": 1, "F": -1}, "without a best step the last one is what was saved"
    lost = measured(None, mean_by_feature_class=by_step, best_score_checkpoint={"global_step": 7})
    assert (lost.signs, what(lost)) == ({}, "undirected_step_unknown") and "best step, 7" in str(lost.note)


def test_means_per_label_take_the_names_that_the_run_recorded() -> None:
    labels = {"0": {"-1.0": -0.8, "1.0": 0.9}}
    assert measured(None, mean_by_feature_class={}, mean_by_class=labels).signs == {"M": 1, "F": -1}
    nameless = measured(None, mean_by_feature_class={}, mean_by_class=labels, label_value_to_class_name={})
    assert (nameless.signs, what(nameless)) == ({}, "undirected_step_unknown")


def test_of_more_classes_the_trained_pair_counts_and_nothing_is_guessed_without_it() -> None:
    four = {"a": 0.8, "b": 0.7, "c": -0.9, "d": -0.6}
    assert what(measured(four, label_value_to_class_name={})) == "undirected_pair_unknown"
    sides = {"1.0": "positive", "-1.0": "negative"}
    assert measured(four, label_value_to_class_name=sides).signs == {"a": 1, "b": 1, "c": -1, "d": -1}
    assert what(measured(four, label_value_to_class_name={**sides, "0.0": "neutral"})) == "undirected_pair_unknown"
    one_side = {**four, "c": 0.9, "d": 0.6}
    assert what(measured(one_side, label_value_to_class_name=sides)) == "undirected_pair_unknown"


def test_a_normalised_run_is_read_around_the_middle_of_its_means() -> None:
    """roberta_run without its stated direction: means +0.040 and +0.100, correlation 0.99999, normalised."""
    training = json.loads((case("gradiends/roberta_run") / "training.json").read_text())
    found = direction_of({"source": "alternative"}, training, [])
    assert found.signs == {"M": 1, "F": -1} and what(found) == "direction_from_middle"
    assert found.note is not None and "M +0.1, F +0.0398" in found.note.sentence
    for place, key, value in (
        ("training_args", "normalize_gradiend", False),
        ("training_args", "normalize_gradiend", None),
        ("best_score_checkpoint", "correlation", 0.5),
        ("best_score_checkpoint", "correlation", None),
        ("training_stats", "label_value_to_class_name", {"1.0": "F", "-1.0": "M"}),
        ("training_stats", "label_value_to_class_name", {}),
    ):
        changed = copy.deepcopy(training)
        changed[place][key] = value
        assert what(direction_of({}, changed, [])) == "undirected_same_sign", (key, value)


@pytest.mark.parametrize(
    ("direction", "signs", "code"),
    [
        ({"M": 1, "F": -1}, {"M": 1, "F": -1}, ""),
        ({"M": 1, "F": -1, "N": 0}, {"M": 1, "F": -1, "N": 0}, ""),
        ({"M": "1", "F": "-1"}, {"M": 1, "F": -1}, ""),
        ({"M": 1, "F": 1}, {}, "undirected_stated_same"),
        ({"M": -1, "F": -1, "N": 0}, {}, "undirected_stated_same"),
        ({"M": 0, "F": 0}, {}, "undirected_stated_zero"),
        ({"M": 1, "F": 0}, {"M": 1, "F": 0}, "undirected_stated_one"),
        ({"M": 1}, {"M": 1}, "undirected_stated_one"),
        ({}, {}, "undirected_silent"),
        (None, {}, "undirected_silent"),
    ],
)
def test_what_is_stated_counts_where_it_tells_the_classes_apart(direction: Any, signs: Any, code: str) -> None:
    found = stated(direction)
    assert found.signs == signs and what(found) == code


@pytest.mark.parametrize("value", [True, False, "x", "", None, [1], NAN, float("inf"), "nan", {"a": 1}])
def test_a_stated_direction_that_is_no_number_is_refused_with_what_to_write(value: object) -> None:
    with pytest.raises(BadCheckpoint, match=r"direction of class 'M' must be a number.*write 1, -1 or 0"):
        stated({"M": value, "F": 1})


def test_a_stated_direction_that_the_means_contradict_counts_and_that_is_said() -> None:
    found = stated({"M": 1, "F": -1}, {"M": -0.8, "F": 0.7})
    assert found.signs == {"M": 1, "F": -1} and what(found) == "direction_contradicted"
    assert found.note is not None and not found.note.is_open
    assert "says M +1, F -1" in found.note.sentence and "say otherwise (M -0.8, F +0.7" in found.note.sentence
    assert what(stated({"M": 1, "F": -1}, {"M": 0.8, "F": -0.7})) == ""
    assert what(stated({"M": 1, "F": -1}, {"M": 0.35, "F": 0.43})) == "", "means of one sign contradict nothing"


def test_signs_that_are_given_are_judged_alike() -> None:
    model = ModelWithGradiend.from_pretrained(SAME_SIGN, BASE)
    model.feature_class_encoding_direction = {"M": 1, "F": -1}
    assert model.strengthening_feature_factor == {"M": 1.0, "F": -1.0}
    assert model.checkpoint.direction_note is None and model.checkpoint.warnings == ()
    model.feature_class_encoding_direction = {"M": 1, "F": 1}
    note = model.checkpoint.direction_note
    assert model.strengthening_feature_factor == {} and note is not None and note.what == "undirected_stated_same"
    assert model.checkpoint.warnings == (note.sentence,)
    assert why_undirected({"M": 1.0, "F": -1.0, "N": 0.0}, "x") is None


def test_factors_of_one_sign_tell_no_class_from_another() -> None:
    assert told_apart({"M": 1.0, "F": 1.0}) == {} == told_apart({"M": -1.0, "F": -1.0, "N": 0.0})
    assert told_apart({"M": 1.0, "F": -1.0, "N": 0.0}) == {"M": 1.0, "F": -1.0}
    assert told_apart({"M": 1.0}) == {"M": 1.0}
    assert wanted_feature_factors("M", "weaken", {"M": 1.0}) == (-1.0,), "not the sign that strengthens it"
    assert goal_feature_factors({}, "strengthen", ["M"]) == goal_feature_factors({"M": 1.0}, "both", ["F"]) == (-1, 1)
