"""The board: reasons, pictures, the follower."""

from __future__ import annotations

import asyncio

import pytest

from gradiend_ui.ui.grid import board
from gradiend_ui.ui.grid.reason import build_reason
from gradiend_ui.ui.tree import text_of
from gradiend_ui.ui.viewer import View, Viewers

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


def test_the_reason_names_runner_up_rejected_and_threshold(make_picture, options, words) -> None:
    text = text_of(build_reason(make_picture(), options, {"feature_factor": -1.0, "learning_rate": 0.2}, words))
    assert "★ Best cell" in text
    assert "(-1, 0.2) wins." in text
    assert "(−1, 0.1) 0.470, LMS 1.02 of base" in text
    assert "(−1, 0.5) 0.760, LMS 0.959 of base" in text
    assert "0.99 is 1.9 masked tokens wide" in text


def test_a_fallback_is_red_and_never_called_best(make_picture, options, words) -> None:
    selection = {**make_picture()["selection"], "fallback": True, "rejected": None, "runner_up": None}
    tree = build_reason(make_picture(selection=selection), options, selection, words)
    assert "Best cell" not in text_of(tree)
    assert "Fallback" in text_of(tree)
    assert "why danger" in str(tree)


def test_every_cell_says_what_it_is(make_picture, options, words) -> None:
    def note(feature_factor: float, learning_rate: float) -> str:
        cell = {"feature_factor": feature_factor, "learning_rate": learning_rate}
        return text_of(build_reason(make_picture(), options, cell, words))

    assert "below the LMS threshold" in note(-1.0, 0.5)
    assert "provisional: 2 of 4 rows" in note(1.0, 0.1)
    assert "failed: not finite" in note(1.0, 0.2)
    assert "not computed yet" in note(1.0, 0.5)


def test_before_a_sweep_the_card_waits(words) -> None:
    assert "starred here" in text_of(build_reason(None, {}, None, words))


def test_the_board_shows_one_picture(session, options, words) -> None:
    shown = board.show(session, View(run="run-1", options=options), words)
    assert shown.maps["best"] == [0, 1]
    assert shown.row_chart["column"] == 1
    assert shown.state == "running"


def test_a_hand_pins_a_cell_and_best_lets_it_go(session, options) -> None:
    viewers = Viewers()
    view = board.choose(viewers, "page", {"how": "pointer", "feature_factor": 1, "learning_rate": 0.5})
    assert board.cell_of(view, None) == {"feature_factor": 1.0, "learning_rate": 0.5}
    view = board.choose(viewers, "page", {"how": "best"})
    assert board.cell_of(view, {"feature_factor": -1.0, "learning_rate": 0.2, "value": 1}) == {
        "feature_factor": -1.0,
        "learning_rate": 0.2,
    }


def test_a_follower_shows_every_change_and_ends_with_the_run(session, options, make_picture, words) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)
    session.pictures = [make_picture(), make_picture(rev=6), make_picture(rev=7, state="finished")]

    async def states() -> list[str]:
        return [shown.state async for shown in board.follow(session, viewers, "page", "run-1", words)]

    seen = asyncio.run(asyncio.wait_for(states(), 5))
    assert seen[-1] == "finished"
    assert len(seen) == 3


def test_a_new_follower_silences_the_old_one(session, options, words) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)

    async def two() -> int:
        first = board.follow(session, viewers, "page", "run-1", words)
        await anext(first)
        second = board.follow(session, viewers, "page", "run-1", words)
        await anext(second)
        late = [shown async for shown in first]
        await second.aclose()
        return len(late)

    assert asyncio.run(asyncio.wait_for(two(), 5)) == 0


def test_without_a_run_nothing_is_followed(session, words) -> None:
    async def count() -> int:
        return len([shown async for shown in board.follow(session, Viewers(), "page", "", words)])

    assert asyncio.run(count()) == 0


@pytest.mark.parametrize(
    ("check", "word", "kind", "advice"),
    [
        ("verified", "Verified.", "good", False),
        ("partly", "Partly verified.", "warn", False),
        ("differs", "Stale.", "danger", True),
        ("unchecked", "Not verified.", "warn", False),
    ],
)
def test_the_note_says_whether_it_holds(
    make_picture, options, check: str, word: str, kind: str, advice: bool, words
) -> None:
    tree = build_reason(make_picture(imported={**IMPORTED, "check": check}), options, CELL, words)
    note = next(child for child in tree["children"] if "imported" in child["attributes"].get("class", ""))
    assert text_of(note).startswith(f"{word} Opened from decoder_grid_cache.json.")
    assert note["attributes"]["class"] == f"imported {kind}" and ("new sweep" in text_of(note)) is advice
    assert note["attributes"]["role"] == ("alert" if advice else "status")


def test_a_swept_run_has_no_such_note(make_picture, options, words) -> None:
    assert "imported" not in str(build_reason(make_picture(), options, CELL, words))
