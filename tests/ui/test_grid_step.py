"""The board: reasons, pictures, the follower."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from gradiend_ui.engine.errors import BadGrid, NotFound
from gradiend_ui.engine.selection.winner_facts import facts_of
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.grid.csv_export import grid_csv, grid_json, stem_of
from gradiend_ui.ui.grid.reason import build_reason, picked_cell, verdict
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.kit.viewer import View, Viewers
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners.grid import held_by, known_shows, write_grid
from gradiend_ui.ui.page.following import follow_after

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
    assert "(−1, 0.2) wins: P(F) 0.710, base 0.110; LMS 1.008 of base." in text
    assert "(−1, 0.5) has 0.760 but LMS 0.959 < 0.99." in text
    assert "(−1, 0.1) 0.470, LMS 1.02 of base" in text
    assert "(−1, 0.5) 0.760, LMS 0.959 of base" in text
    assert "0.99 is 1.9 masked tokens wide" in text


def test_how_few_tokens_decide_is_told(make_picture, options, words) -> None:
    selection = {**make_picture()["selection"], "threshold_tokens": 2.0, "decided_by_tokens": 1}
    text = text_of(build_reason(make_picture(selection=selection), options, CELL, words))
    assert "0.99 is 2.0 tokens wide here; 1 token decides the winner" in text
    several = {**selection, "decided_by_tokens": 4}
    assert "4 tokens decide" in text_of(build_reason(make_picture(selection=several), options, CELL, words))


WINNER = {"target_class": "M", "goal": "weaken", "feature_factor": 1.0, "learning_rate": 0.1, "value": 0.3}


def test_the_winners_of_all_classes_can_be_picked(make_picture, options, words) -> None:
    winners = [{**WINNER, "lms_ratio": 0.5, "fallback": True}, {**WINNER, **CELL, "lms_ratio": None, "fallback": False}]
    tree = build_reason(make_picture(winners=winners), options, CELL, words)
    text = text_of(tree)
    assert "less M (Fallback) (+1, 0.1) 0.300 0.500" in text
    picks = [button for button in buttons(tree) if "data-pick" in button["attributes"]]
    assert [picked_cell(button["attributes"]["data-pick"]) for button in picks] == [(1.0, 0.1), (-1.0, 0.2)]
    assert [button["attributes"]["aria-pressed"] for button in picks] == ["false", "true"]


def buttons(tree: Any) -> list[Any]:
    if isinstance(tree, str):
        return []
    found = [node for child in tree["children"] for node in buttons(child)]
    return [tree, *found] if tree["tag"] == "button" else found


def test_a_row_that_cannot_win_says_so(make_picture, options, words) -> None:
    picture = make_picture(can_win=[True, False])
    assert "cannot win for F" not in text_of(build_reason(picture, options, CELL, words))
    other = {"feature_factor": 1.0, "learning_rate": 0.1}
    assert "cannot win for F" in text_of(build_reason(picture, options, other, words))
    nobody = make_picture(can_win=[False, False], selection=None)
    assert "No row of this grid can win for F" in text_of(build_reason(nobody, options, None, words))


def test_every_number_of_the_card_is_explained(make_picture, options, words) -> None:
    card = str(build_reason(make_picture(), options, CELL, words))
    for key in ("probability", "lms", "kept", "column_base", "column_here", "column_change", "runner_up", "threshold"):
        assert words.help(f"grid.{key}") in card


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


def test_a_broken_cell_says_what_it_says_everywhere(make_picture, options, words) -> None:
    found = {"token": "[CLS]", "share": 0.97, "base_share": 0.12}
    broken = make_picture(degenerate=[[None, None, found], [None] * 3])
    told = text_of(build_reason(broken, options, {"feature_factor": -1.0, "learning_rate": 0.5}, words))
    assert "The model is broken here." in told and "It says “[CLS]” at 97 % of the places" in told
    assert "says what it says most at 12 %" in told
    other = text_of(build_reason(broken, options, {"feature_factor": -1.0, "learning_rate": 0.2}, words))
    assert "broken" not in other
    assert "The model is broken there: it says '[CLS]' at 97%" in grid_csv(broken)


def test_a_broken_winner_is_told_whatever_cell_is_selected(make_picture, options, words) -> None:
    found = {"token": "the / ,", "share": 0.95, "base_share": 0.2}
    picture = make_picture(selection={**make_picture()["selection"], "degenerate": found})
    told = text_of(build_reason(picture, options, {"feature_factor": -1.0, "learning_rate": 0.1}, words))
    assert "The winner is broken." in told and "It says “the / ,” at 95 % of the places" in told
    own = make_picture(selection=picture["selection"], degenerate=[[None, found, None], [None] * 3])
    at_winner = text_of(build_reason(own, options, CELL, words))
    assert at_winner.count("“the / ,”") == 1 and "The model is broken here." in at_winner
    assert "broken" not in text_of(build_reason(make_picture(), options, None, words))


def test_a_broken_winner_is_marked_among_all_winners(make_picture, options, words) -> None:
    found = {"token": "[CLS]", "share": 0.97, "base_share": 0.12}
    both = {**WINNER, "lms_ratio": 0.5, "fallback": True, "degenerate": found}
    alone = {**WINNER, "target_class": "F", "lms_ratio": 0.5, "fallback": False, "degenerate": found}
    text = text_of(build_reason(make_picture(winners=[both, alone]), options, CELL, words))
    assert "less M (Fallback, broken)" in text and "less F (broken)" in text


def test_before_a_sweep_the_card_waits(words) -> None:
    assert "starred here" in text_of(build_reason(None, {}, None, words))


def test_the_board_shows_one_picture(session, options, words) -> None:
    shown = board.show(session, View(run="run-1", options=options), words)
    assert shown.maps["best"] == [0, 1]
    assert shown.row_chart["column"] == 1
    assert shown.state == "running"


def test_of_two_states_of_the_board_the_newer_has_the_larger_order(session, options, make_picture, words) -> None:
    """The follower's and the answers to the page's own questions come by different ways and overtake each other."""

    def orders(shown: board.Shown) -> list[list[float]]:
        return [shown.maps["order"], *(value["order"] for value in board.values(shown)[1:])]

    viewers = Viewers()
    older = viewers.change("page", run="run-1", options=options)
    session.pictures = [make_picture(rev=7)]
    before = orders(board.show(session, older, words))
    session.pictures = [make_picture(rev=9)]
    later = orders(board.show(session, older, words))
    session.pictures = [make_picture(rev=8)]
    newer = viewers.change("page", options={**options, "goal": "weaken"})
    asked = orders(board.show(session, newer, words))
    assert len(before) == 5 and all(a < b < c for a, b, c in zip(before, later, asked, strict=True))
    assert [part["order"] for part in board.show_cell(session, newer, words)] == asked[1:3]
    empty = orders(board.show_empty(([1.0], [0.1]), "P(F)", words, (older.version, 10.0**13)))
    assert all(a < b for a, b in zip(empty, asked, strict=True))


def test_the_board_leaves_out_what_the_page_holds(session, options, words) -> None:
    view = View(run="run-1", options=options)
    whole = board.show(session, view, words).maps
    light = board.show_maps(session, view, words, whole["tables_version"])
    assert light["held"] and not light["tables"]
    assert light == board.show(session, view, words, whole["tables_version"]).maps
    assert board.show_maps(session, view, words) == whole


def test_the_board_shows_what_the_page_wants_and_marks_pinned_cells(session, options, words) -> None:
    view = View(run="run-1", options=options, shows="all", pinned=((-1.0, 0.5),))
    maps = board.show(session, view, words).maps
    assert (maps["shows"], maps["matrix"], len(maps["maps"]), maps["pinned"]) == ("all", 2, 5, [[0, 2]])
    assert maps["file"] == {"stem": "demo_F_strengthen_run-1", "subtitle": "demo, more F"}
    assert board.show(session, View(run="run-1", options=options), words).maps["shows"] == "other"


def test_a_move_repaints_row_chart_and_reason_only(session, options, words) -> None:
    view = View(run="run-1", options=options, chosen=(-1.0, 0.5))
    row_chart, reason = board.show_cell(session, view, words)
    assert row_chart["column"] == 2 and "below the LMS threshold" in text_of(reason)


def test_what_the_maps_can_show_is_checked() -> None:
    assert known_shows({"shows": "own"}) == "own"
    assert [held_by(data) for data in ({"held": "run-1:3"}, {"held": None}, {}, None)] == ["run-1:3", "", "", ""]
    for data in ({"shows": "<b>"}, {}, None):
        with pytest.raises(BadGrid, match="The maps show one of other, own, change, all"):
            known_shows(data)


def test_the_csv_has_the_base_first_then_every_cell_with_every_number(make_picture) -> None:
    lines = list(csv.DictReader(io.StringIO(grid_csv(make_picture(can_win=[True, False])))))
    assert len(lines) == 7
    assert (lines[0]["status"], lines[0]["lms"], lines[0]["P(F) on M rows"]) == ("base", "0.387", "0.11")
    best = lines[2]
    assert (best["feature_factor"], best["learning_rate"], best["passes"], best["can_win"]) == (
        "-1.0",
        "0.2",
        "yes",
        "yes",
    )
    assert float(best["P(F) on M rows"]) == 0.71
    assert (lines[5]["status"], lines[5]["lms"], lines[5]["reason"]) == ("failed", "", "not finite")


def test_no_text_of_the_csv_is_a_formula_and_numbers_stay_numbers(make_picture) -> None:
    reason = [[None, None, None], [None, "=1+1", "-2"]]
    lines = list(csv.DictReader(io.StringIO(grid_csv(make_picture(reason=reason)))))
    assert [line["reason"] for line in lines[5:]] == ["'=1+1", "'-2"]
    assert lines[1]["feature_factor"] == "-1.0"


def test_the_json_has_everything(make_picture) -> None:
    content = json.loads(grid_json(make_picture(), {"model": "demo"}))
    assert content["model"] == "demo" and len(content["cells"]) == 6
    assert content["base"]["probs_by_dataset"]["M"]["M"] == 0.86
    assert content["cells"][2] == {
        "feature_factor": -1.0,
        "learning_rate": 0.5,
        "status": "final",
        "metric": 0.76,
        "lms": pytest.approx(0.387 * 0.958),
        "lms_ratio": 0.958,
        "passes": False,
        "can_win": True,
        "precision": "float32",
        "probs_by_dataset": {d: {"M": 0.76, "F": 0.76} for d in "MF"},
        "reason": None,
    }


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_file_is_named_after_model_class_and_goal(session, options, downloads, kind: str) -> None:
    path = write_grid(session, View(run="run-1", options=options), {"format": kind})
    assert path.startswith(str(downloads)) and path.endswith(f"/demo_F_strengthen_run-1_cells.{kind}")
    assert "0.71" in Path(path).read_text(encoding="utf-8")


def test_a_file_of_nothing_or_of_another_kind_is_refused(session, options) -> None:
    with pytest.raises(BadGrid, match="nothing to save yet"):
        write_grid(session, View(options=options), {"format": "csv"})
    with pytest.raises(BadGrid, match="as csv or json"):
        write_grid(session, View(run="run-1", options=options), {"format": "../x"})


def test_a_file_name_holds_no_odd_characters() -> None:
    assert stem_of("../a b", "<F>", "strengthen", "Ab-1_xyz") == "a-b_F_strengthen_Ab-1_x"


def test_a_hand_pins_a_cell_and_best_lets_it_go(session, options) -> None:
    viewers = Viewers()
    view = board.choose(viewers, "page", {"how": "pointer", "feature_factor": 1, "learning_rate": 0.5, "nth": 1})
    assert view is not None and board.cell_of(view, None) == {"feature_factor": 1.0, "learning_rate": 0.5}
    view = board.choose(viewers, "page", {"how": "follows", "nth": 2})
    assert view is not None and view.chosen is None
    view = board.choose(viewers, "page", {"how": "best", "nth": 3})
    assert view is not None and board.cell_of(view, {"feature_factor": -1.0, "learning_rate": 0.2, "value": 1}) == {
        "feature_factor": -1.0,
        "learning_rate": 0.2,
    }


def test_a_selection_that_was_overtaken_changes_nothing() -> None:
    viewers = Viewers()
    newer = {"how": "key", "feature_factor": 1, "learning_rate": 0.5, "nth": 8}
    older = {"how": "key", "feature_factor": -1, "learning_rate": 0.5, "nth": 7}
    view = board.choose(viewers, "page", newer)
    assert board.choose(viewers, "page", older) is None
    assert viewers.get("page") == view and view is not None and view.chosen == (1.0, 0.5)


def test_a_follower_shows_every_change_and_ends_with_the_run(session, options, make_picture, words) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)
    session.pictures = [make_picture(), make_picture(rev=6), make_picture(rev=7, state="finished")]

    async def states() -> list[str]:
        return [shown.state async for shown in board.follow(session, viewers, "page", "run-1", words)]

    seen = asyncio.run(asyncio.wait_for(states(), 5))
    assert seen[-1] == "finished"
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("opened", "looks"), [((), [0, 10, 20, 30]), ((2,), [0, 10, 20, 30, 40, 50]), (range(12), range(0, 120, 10))]
)
def test_a_page_that_is_not_open_is_followed_for_a_while_only(
    session, options, words, monkeypatch, opened, looks
) -> None:
    """By a clock of its own: ten seconds pass with every look, at some of which the page is open."""
    viewers, seen = Viewers(), []
    viewers.change("page", run="run-1", options=options)
    revision = session.revision

    def looked(run):
        seen.append(10 * len(seen))
        if len(seen) == 12:
            viewers.forget("page")
        return revision(run)

    monkeypatch.setattr(session, "revision", looked)
    monkeypatch.setattr(board, "time", SimpleNamespace(monotonic=lambda: 10.0 * len(seen)))
    monkeypatch.setattr(board, "CHECK_EVERY", 0)
    monkeypatch.setattr(viewers, "is_open", lambda page: len(seen) in opened)

    async def follow_to_the_end() -> None:
        async for _ in board.follow(session, viewers, "page", "run-1", words):
            pass

    asyncio.run(follow_to_the_end())
    assert seen == list(looks), "it ends, though the run goes on; one that connects again is followed"


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


@pytest.mark.parametrize(("language", "said"), [("en", "earlier version of the program"), ("de", "früheren Version")])
def test_a_run_of_an_earlier_scorer_says_so_and_how_to_sweep_again(make_picture, options, language, said) -> None:
    words = Words(language)
    button = words("sweep.start_new")
    told = text_of(build_reason(make_picture(earlier_scorer=True), options, CELL, words))
    assert said in told and button in told
    assert said not in text_of(build_reason(make_picture(), options, CELL, words))


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_base_of_lms_0_passes_nothing_and_says_so(make_picture, options, language) -> None:
    words, base = Words(language), make_picture()["base"]
    chosen = {**make_picture()["selection"], "lms": 0.0, "base_lms": 0.0}
    zero = make_picture(base={**base, "lms": 0.0}, lms_ratio=[[None] * 3] * 2, selection=chosen)
    text = text_of(build_reason(zero, options, CELL, words))
    assert text.count(words("grid.lms_decides_nothing")) == 2, "of the cell, and of the winner"
    assert words("grid.passes") not in text and "1.00" not in text
    usual = text_of(build_reason(make_picture(), options, CELL, words))
    assert words("grid.lms_decides_nothing") not in usual and words("grid.passes") in usual


@pytest.mark.parametrize(
    ("language", "said"), [("en", "base model itself says “she” at 100 %"), ("de", "„she“ an 100 %")]
)
def test_a_broken_base_is_told(make_picture, options, language, said) -> None:
    base = {**make_picture()["base"], "degenerate": {"token": "she", "share": 1.0}}
    assert said in text_of(build_reason(make_picture(base=base), options, CELL, Words(language)))
    assert said not in text_of(build_reason(make_picture(), options, CELL, Words(language)))


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("goal", ["strengthen", "weaken"])
def test_a_winner_that_does_the_opposite_is_told(make_picture, options, language, goal) -> None:
    words, chosen = Words(language), {**make_picture()["selection"], "against_goal": True}
    asked = {**options, "goal": goal}
    for others, key in ((False, "none"), (True, "kept")):
        told = {**chosen, "others_gain": others}
        text = text_of(build_reason(make_picture(selection=told), asked, CELL, words))
        assert words(f"grid.{key}_{goal}", name="F") in text
    winner = {**WINNER, "target_class": "F", "lms_ratio": 1.0, "fallback": False, "degenerate": None}
    row = text_of(build_reason(make_picture(winners=[{**winner, "against_goal": True}]), asked, CELL, words))
    assert f"({words('grid.opposite_badge')})" in row
    usual = text_of(build_reason(make_picture(winners=[winner]), asked, CELL, words))
    assert words("grid.opposite_badge") not in usual and words(f"grid.none_{goal}", name="F") not in usual


def test_a_swept_run_has_no_such_note(make_picture, options, words) -> None:
    assert "imported" not in str(build_reason(make_picture(), options, CELL, words))


def test_the_verdict_says_when_no_sign_is_the_class_own(make_picture, options, words) -> None:
    chosen = make_picture()["selection"]
    assert "is not known" not in verdict(facts_of(chosen, 0.99), options, words)
    told = verdict(facts_of({**chosen, "direction_known": False}, 0.99), options, words)
    assert told.endswith("Which sign pushes towards F is not known: cells of every feature factor took part.")


def test_the_verdict_speaks_german_and_names_a_fallback(make_picture, options) -> None:
    german = Words("de")
    chosen = make_picture()["selection"]
    assert verdict(facts_of(chosen, 0.99), options, german).startswith(
        "(−1, 0.2) gewinnt: P(F) 0.710, Basis 0.110; LMS 1.008 der Basis."
    )
    fallback = facts_of({**chosen, "fallback": True}, 0.99)
    told = verdict(fallback, {**options, "goal": "weaken"}, german)
    assert told.startswith("Keine Zelle hält den LMS bei 0.99") and "1 − P(F)" in told
    assert "<" not in verdict(facts_of({**chosen, "rejected": None}, 0.99), options, german)
    assert "<" not in verdict(facts_of(chosen, None), options, german), "another policy has no threshold to fail"
    assert "ist das Basismodell selbst" in verdict(facts_of({**chosen, "learning_rate": 0.0}, 0.99), options, german)


def test_a_run_that_was_deleted_elsewhere_is_told_to_the_page_that_shows_it(session, options, words) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)

    def gone(_run: str) -> tuple[int, str, int]:
        raise NotFound("There is no such run.")

    async def first() -> None:
        follower = board.follow(session, viewers, "page", "run-1", words)
        await anext(follower)
        session.revision = gone
        await anext(follower)

    with pytest.raises(NotFound):
        asyncio.run(asyncio.wait_for(first(), 5))


def test_a_follower_that_ends_changes_nothing_on_the_page(session, options, words, make_picture) -> None:
    """Gradio repeats the last yield when a follower ends: an old picture would lie over a newer follower's."""
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)
    session.pictures = [make_picture(state="finished", done=6)]
    kept: dict[str, Any] = {}
    event = SimpleNamespace(success=lambda function, *_, **__: kept.update(function=function))
    outputs = [object()] * 11
    page = SimpleNamespace(session=session, viewers=viewers, words=words, board_outputs=outputs, run=None, run_ends=[])
    follow_after(page, event)

    async def yields() -> list[list[Any]]:
        return [values async for values in kept["function"]("run-1", SimpleNamespace(session_hash="page"))]

    seen = asyncio.run(asyncio.wait_for(yields(), 5))
    nothing = [gr.skip()] * len(outputs)
    assert seen[-1] == nothing and any(values != nothing for values in seen)


SEARCH = {"ratio": 0.99, "goals": ["strengthen"], "target_classes": ["F"]}


def searched(make_picture: Any, **changes: Any) -> Any:
    """A finished search for the winner: one cell was skipped."""
    picture = make_picture(state="finished", done=6, search=SEARCH, skipped=1, **changes)
    status = [["final", "final", "final"], ["skipped", "failed", "final"]]
    return {**picture, "status": status, "reason": [[None] * 3, ["Cannot win: it is small.", "not finite", None]]}


def test_a_search_says_what_it_left_and_what_nobody_knows_then(make_picture, options, words) -> None:
    text = text_of(build_reason(searched(make_picture), options, CELL, words))
    assert "Found without finishing 1 of 6 cells." in text and "another question" not in text
    assert "runner-up" not in text and "rejected" not in text and "decide the winner" not in text
    whole = text_of(build_reason(make_picture(), options, CELL, words))
    assert "Found without" not in whole and "runner-up" in whole


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": 0.95}, {"goal": "weaken"}, {"policy": "lms_times_metric"}, {"any_feature_factor": True},
        {"target_class": "M"},
    ],
)  # fmt: skip
def test_another_question_than_the_searched_one_is_told(make_picture, options, words, change: dict[str, Any]) -> None:
    nothing = searched(make_picture, selection=None)
    for picture in (searched(make_picture), nothing):
        text = text_of(build_reason(picture, {**options, **change}, CELL, words))
        assert "another question (goal strengthen, LMS 0.99): skipped cells might win here" in text
    complete = {**searched(make_picture), "skipped": 0}
    assert "another question" not in text_of(build_reason(complete, {**options, **change}, CELL, words))


def test_a_skipped_cell_says_why_and_how_it_is_scored(make_picture, options, words) -> None:
    skipped = {"feature_factor": 1.0, "learning_rate": 0.1}
    text = text_of(build_reason(searched(make_picture), options, skipped, words))
    assert "skipped: Cannot win: it is small. A click (or Enter) scores it." in text


def test_rounded_numbers_tell_how_far_they_are_off(make_picture, options, words) -> None:
    off = {"probability": 0.0015, "lms": 0.001}
    text = text_of(build_reason(make_picture(precision="bfloat16", precision_error=off), options, CELL, words))
    assert "bfloat16: base at most 0.002 off in P, 0.001 in LMS" in text
    unknown = text_of(build_reason(make_picture(precision="bfloat16"), options, CELL, words))
    assert "numbers in bfloat16" in unknown
    assert "float32" not in text_of(build_reason(make_picture(), options, CELL, words))
    provisional = {"feature_factor": 1.0, "learning_rate": 0.1}
    mixed = make_picture(precisions=[["float32"] * 3, ["bfloat16"] * 3])
    assert "0.011 of the LMS · bfloat16" in text_of(build_reason(mixed, options, provisional, words))


def test_the_files_tell_the_precision(make_picture) -> None:
    picture = make_picture(precision="bfloat16", precisions=[["bfloat16"] * 3] * 2)
    lines = list(csv.DictReader(io.StringIO(grid_csv(picture))))
    assert [line["precision"] for line in lines[1:]] == ["bfloat16"] * 5 + [""], "nothing is scored of the last"
    off = {"probability": 0.0015, "lms": 0.001}
    content = json.loads(grid_json({**picture, "precision_error": off}, {}))
    assert (content["precision"], content["precision_error"]) == ("bfloat16", off)


def test_the_maps_get_the_errors_only_where_a_value_may_move(session, options, make_picture, words) -> None:
    maps = board.show(session, View(run="run-1", options=options), words).maps
    assert maps["errors"]["metric"][1] == [0.0234, None, None] and maps["errors"]["lms"][1][0] == 0.011
    session.pictures = [make_picture(metric_error=[[None] * 3] * 2, lms_error=[[None] * 3] * 2)]
    assert board.show(session, View(run="run-1", options=options), words).maps["errors"] is None
