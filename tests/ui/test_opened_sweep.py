"""A finished sweep on the page: the line and its button, the way it opens, the note that says whether it holds."""

from __future__ import annotations

import pytest

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.ui import load, status
from gradiend_ui.ui.reason import build_reason
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


@pytest.mark.parametrize(
    ("check", "word", "kind", "advice"),
    [
        ("verified", "Verified.", "good", False),
        ("partly", "Partly verified.", "warn", False),
        ("differs", "Stale.", "danger", True),
        ("unchecked", "Not verified.", "warn", False),
    ],
)
def test_the_note_says_whether_it_holds(make_picture, options, check: str, word: str, kind: str, advice: bool) -> None:
    tree = build_reason(make_picture(imported={**IMPORTED, "check": check}), options, CELL)
    note = next(child for child in tree["children"] if "imported" in child["attributes"].get("class", ""))
    assert text_of(note).startswith(f"{word} Opened from decoder_grid_cache.json.")
    assert note["attributes"]["class"] == f"imported {kind}" and ("new sweep" in text_of(note)) is advice
    assert note["attributes"]["role"] == ("alert" if advice else "status")


def test_a_swept_run_has_no_such_note(make_picture, options) -> None:
    assert "imported" not in str(build_reason(make_picture(), options, CELL))
    assert "from a file" not in text_of(status.build_run_chip(make_picture()))


def test_the_chip_says_where_the_numbers_come_from(make_picture) -> None:
    chip = status.build_run_chip(make_picture(state="finished", done=6, imported=IMPORTED))
    assert text_of(chip) == "finished 6/6 from a file"
