"""Trees: health card, chips, reasons, answers. Text stays text."""

from __future__ import annotations

from gradiend_ui.ui import compare, load, status
from gradiend_ui.ui.reason import build_reason
from gradiend_ui.ui.tree import node, text_of


def test_the_health_card_says_which_way_it_pushes(card) -> None:
    text = text_of(load.build_health(card))
    assert "feature factor −1 pushes towards F" in text
    assert "5.00 % of the weights" in text
    assert "correlation 0.998, converged" in text
    assert "test 4, train 8" in text


def test_the_seeds_of_a_run_are_told(card) -> None:
    seeds = [
        {"seed": 0, "correlation": 0.41, "converged": False, "best": False, "kept": False},
        {"seed": 1, "correlation": 0.98, "converged": True, "best": True, "kept": True},
    ]
    text = text_of(load.build_health({**card, "seeds": seeds}))
    assert "0: 0.410, not converged, weights not kept" in text
    assert "1: 0.980, best" in text
    assert "seeds" not in text_of(load.build_health(card))


def test_warnings_are_behind_one_line(card) -> None:
    text = text_of(load.build_health({**card, "warnings": ["Directions were guessed."]}))
    assert "1 note on this checkpoint" in text
    assert "Directions were guessed." in text


def test_the_run_chip_counts_cells_and_time(make_picture) -> None:
    assert text_of(status.build_run_chip(make_picture())) == "sweeping 4/6 1:12 left"
    waiting = make_picture(state="queued", position=2)
    assert "2 ahead in the queue" in text_of(status.build_run_chip(waiting))


def test_the_step_strip_names_its_states() -> None:
    steps = status.build_steps(loaded=True, state="finished", has_cells=True)
    labels = [item["children"][0]["attributes"]["aria-label"] for item in steps["children"][0]["children"]]
    assert labels == [
        "Step 1, Load: done",
        "Step 2, Sweep: done",
        "Step 3, Compare: current",
        "Step 4, Export: ready",
    ]


def test_the_reason_names_runner_up_rejected_and_threshold(make_picture, options) -> None:
    text = text_of(build_reason(make_picture(), options, {"feature_factor": -1.0, "learning_rate": 0.2}))
    assert "★ Best cell" in text
    assert "(-1, 0.2) wins." in text
    assert "(−1, 0.1) 0.470, LMS 1.02 of base" in text
    assert "(−1, 0.5) 0.760, LMS 0.959 of base" in text
    assert "0.99 is 1.9 masked tokens wide" in text


def test_a_fallback_is_red_and_never_called_best(make_picture, options) -> None:
    selection = {**make_picture()["selection"], "fallback": True, "rejected": None, "runner_up": None}
    tree = build_reason(make_picture(selection=selection), options, selection)
    assert "Best cell" not in text_of(tree)
    assert "Fallback" in text_of(tree)
    assert "why danger" in str(tree)


def test_every_cell_says_what_it_is(make_picture, options) -> None:
    def note(feature_factor: float, learning_rate: float) -> str:
        cell = {"feature_factor": feature_factor, "learning_rate": learning_rate}
        return text_of(build_reason(make_picture(), options, cell))

    assert "below the LMS threshold" in note(-1.0, 0.5)
    assert "provisional: 2 of 4 rows" in note(1.0, 0.1)
    assert "failed: not finite" in note(1.0, 0.2)
    assert "not computed yet" in note(1.0, 0.5)


def test_before_a_sweep_the_card_waits() -> None:
    assert "starred here" in text_of(build_reason(None, {}, None))


def test_user_text_stays_one_string() -> None:
    tree = node("p", "<img src=x onerror=alert(1)>")
    assert tree["children"] == ["<img src=x onerror=alert(1)>"]


def test_answers_pair_the_tokens_of_both_models(session) -> None:
    tree = compare.compare(
        session, "run-1", {"feature_factor": -1.0, "learning_rate": 0.2}, "the nurse said [MASK].\n\n"
    )
    text = text_of(tree)
    assert session.calls[-1][3] == ["the nurse said [MASK]."]
    assert "rewritten at (−1, 0.2)" in text
    assert "she 0.100 0.900 +0.800" in text


def test_unknown_probabilities_stay_unknown() -> None:
    base = [{"token": "he", "id": 1, "p": 0.8, "change": 0.0}]
    here = [{"token": "she", "id": 2, "p": 0.9, "change": 0.8}]
    pairs = compare.pair_tokens(base, here)
    assert pairs[0][0] == "she"
    assert abs((pairs[0][1] or 0) - 0.1) < 1e-12
    assert pairs[1] == ("he", 0.8, None)


def test_compare_says_what_is_missing(session) -> None:
    cell = {"feature_factor": -1.0, "learning_rate": 0.2}
    assert "Start the sweep" in text_of(compare.compare(session, "", cell, "a [MASK]"))
    assert "Write a sentence" in text_of(compare.compare(session, "run-1", cell, " \n"))
    assert "has no [MASK]" in text_of(compare.compare(session, "run-1", cell, "no mask"))
    assert "20 is the limit" in text_of(compare.compare(session, "run-1", cell, "a [MASK]\n" * 21))


def test_a_public_server_lists_no_runs(session) -> None:
    assert "demo: finished" in text_of(load.build_runs(session.runs()))
    assert "No earlier sweeps" in text_of(load.build_runs([]))
