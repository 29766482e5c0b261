"""Step Load: health card, finished sweeps, opening."""

from __future__ import annotations

import pytest

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.tree import text_of

SWEEP = {
    "file": "decoder_grid_cache.json",
    "cells": 32,
    "part": "decoder",
    "split": "test",
    "goal": "strengthen",
    "classes": ["F", "M"],
}
IMPORTED = {"file": SWEEP["file"], "check": "verified", "note": "Opened from decoder_grid_cache.json."}
CELL = {"feature_factor": -1.0, "learning_rate": 0.2}


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


def test_the_card_says_what_lies_there(card) -> None:
    assert "finished sweep" not in text_of(load.build_health(card))
    text = text_of(load.build_health({**card, "finished_sweeps": [SWEEP]}))
    assert "This run holds a finished sweep: 32 cells, strengthen F and M, split test." in text
    other = {**SWEEP, "cells": 1, "goal": None, "part": "decoder-sum"}
    text = text_of(load.build_health({**card, "finished_sweeps": [other]}))
    assert "1 cell, scores of F and M, split test, part decoder-sum." in text


def test_the_button_is_there_until_the_sweep_is_open(card) -> None:
    with_sweep = {**card, "finished_sweeps": [SWEEP]}
    assert load.offer(with_sweep, None)["visible"] is True
    assert load.offer(with_sweep, {"imported": None})["visible"] is True
    assert load.offer(with_sweep, {"imported": IMPORTED})["visible"] is False
    assert load.offer(card, None)["visible"] is False


def test_opening_gives_the_run(session) -> None:
    assert load.open_finished(session, "ck-1")["run"] == "run-1"
    assert session.calls[-1] == ("open_finished", "ck-1", None)
    with pytest.raises(NotFound, match="Load a folder"):
        load.open_finished(session, "")
