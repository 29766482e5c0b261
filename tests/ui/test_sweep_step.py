"""Step Sweep: the form, the spec, the estimate, the buttons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.ui.sweep import panel as sweep
from gradiend_ui.ui.tree import text_of

FORM = sweep.Form(
    target_class="F",
    goal="strengthen",
    policy="lms_threshold",
    ratio=0.99,
    any_feature_factor=False,
    preset="default",
    typed_factors="-1",
    typed_rates="0.2; 0.1, 0.1",
    again=True,
)
DATA = {"spec": {"neutral_set": "pronoun-free"}}


def test_a_typed_list_is_sorted_and_each_number_counts_once(card) -> None:
    assert sweep.read_grid(replace(FORM, preset="typed"), card) == ([-1.0], [0.1, 0.2])


@pytest.mark.parametrize(("text", "words"), [("0.1, x", "not a number"), ("inf", "finite"), (" , ", "is empty")])
def test_a_bad_list_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(BadGrid, match=words):
        sweep.read_numbers(text, "learning rates")


def test_start_sends_the_spec_and_gives_the_run(session) -> None:
    assert sweep.start(session, "ck-1", FORM, DATA) == "run-1"
    assert session.calls[-1] == (
        "start_sweep",
        "ck-1",
        {
            "goal": "strengthen",
            "feature_factors": [-1.0, 1.0],
            "learning_rates": [0.1, 0.2, 0.5],
            "again": True,
            "neutral_set": "pronoun-free",
        },
    )


def test_start_without_a_model_is_refused(session) -> None:
    with pytest.raises(BadGrid, match="Load the demo"):
        sweep.start(session, "", FORM, DATA)


def test_the_estimate_counts_cells_and_time(card, words) -> None:
    assert text_of(sweep.build_estimate(FORM, DATA, card, words)) == "6 cells (2 × 3), about 0:03"
    bad = replace(FORM, preset="typed", typed_rates="x")
    assert "not a number" in text_of(sweep.build_estimate(bad, DATA, card, words))


def test_buttons_follow_the_state(words) -> None:
    def enabled(state: str) -> list[bool]:
        return [update["interactive"] for update in sweep.button_states(state, True, words)]

    assert enabled("") == [True, False, False, False]
    assert enabled("running") == [False, True, False, True]
    assert enabled("paused") == [True, False, True, True]
    assert enabled("interrupted") == [True, False, True, False]
    assert enabled("finished") == [True, False, False, False]


def test_a_run_finds_its_preset_again(session, card) -> None:
    spec = session.run_info("run-1")["spec"]
    assert sweep.preset_of(spec, card) == "default"
    assert sweep.preset_of({**spec, "learning_rates": [3.0]}, card) == "typed"
