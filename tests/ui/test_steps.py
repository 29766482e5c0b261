"""The form, the board and its follower, export: values in, values out, no server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from gradiend_ui.engine.errors import BadGrid, NotFound
from gradiend_ui.ui import board, export, sweep
from gradiend_ui.ui.refusals import for_scripts
from gradiend_ui.ui.tree import text_of
from gradiend_ui.ui.viewer import MOST_VIEWERS, View, Viewers

FORM = sweep.Form(
    target_class="F",
    goal="strengthen",
    policy="lms_threshold",
    ratio=0.99,
    any_feature_factor=False,
    preset="default",
    typed_factors="-1",
    typed_rates="0.2; 0.1, 0.1",
    neutral_set="pronoun-free",
    again=True,
)


def test_a_typed_list_is_sorted_and_each_number_counts_once(card) -> None:
    assert sweep.read_grid(replace(FORM, preset="typed"), card) == ([-1.0], [0.1, 0.2])


@pytest.mark.parametrize(("text", "words"), [("0.1, x", "not a number"), ("inf", "finite"), (" , ", "is empty")])
def test_a_bad_list_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(BadGrid, match=words):
        sweep.read_numbers(text, "learning rates")


def test_start_sends_the_spec_and_gives_the_run(session) -> None:
    assert sweep.start(session, "ck-1", FORM) == "run-1"
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
        sweep.start(session, "", FORM)


def test_the_estimate_counts_cells_and_time(card) -> None:
    assert text_of(sweep.build_estimate(FORM, card)) == "6 cells (2 × 3), about 0:03"
    bad = replace(FORM, preset="typed", typed_rates="x")
    assert "not a number" in text_of(sweep.build_estimate(bad, card))


def test_buttons_follow_the_state() -> None:
    def enabled(state: str) -> list[bool]:
        return [update["interactive"] for update in sweep.button_states(state, loaded=True)]

    assert enabled("") == [True, False, False, False]
    assert enabled("running") == [False, True, False, True]
    assert enabled("paused") == [True, False, True, True]
    assert enabled("interrupted") == [True, False, True, False]
    assert enabled("finished") == [True, False, False, False]


def test_a_run_finds_its_preset_again(session, card) -> None:
    spec = session.run_info("run-1")["spec"]
    assert sweep.preset_of(spec, card) == "default"
    assert sweep.preset_of({**spec, "learning_rates": [3.0]}, card) == "typed"


def test_the_board_shows_one_picture(session, options) -> None:
    shown = board.show(session, View(run="run-1", options=options))
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


def test_a_follower_shows_every_change_and_ends_with_the_run(session, options, make_picture) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)
    session.pictures = [make_picture(), make_picture(rev=6), make_picture(rev=7, state="finished")]

    async def states() -> list[str]:
        return [shown.state async for shown in board.follow(session, viewers, "page", "run-1")]

    seen = asyncio.run(asyncio.wait_for(states(), 5))
    assert seen[-1] == "finished"
    assert len(seen) == 3


def test_a_new_follower_silences_the_old_one(session, options) -> None:
    viewers = Viewers()
    viewers.change("page", run="run-1", options=options)

    async def two() -> int:
        first = board.follow(session, viewers, "page", "run-1")
        await anext(first)
        second = board.follow(session, viewers, "page", "run-1")
        await anext(second)
        late = [shown async for shown in first]
        await second.aclose()
        return len(late)

    assert asyncio.run(asyncio.wait_for(two(), 5)) == 0


def test_without_a_run_nothing_is_followed(session) -> None:
    async def count() -> int:
        return len([shown async for shown in board.follow(session, Viewers(), "page", "")])

    assert asyncio.run(count()) == 0


def test_the_table_of_viewers_is_bounded() -> None:
    viewers = Viewers()
    for number in range(MOST_VIEWERS + 5):
        viewers.change(str(number), run="r")
    assert viewers.get("0") == View()
    assert viewers.get(str(MOST_VIEWERS + 4)).run == "r"


def test_export_gives_a_file_with_its_name_in_the_download_cache(session, downloads: Path) -> None:
    path = Path(export.export(session, "run-1", {"feature_factor": -1.0, "learning_rate": 0.2}, "decoder"))
    assert path.name == "demo_ff-1_lr0.2.zip"
    assert downloads in path.parents
    assert path.read_bytes() == b"zip"
    assert session.calls[-1][2] == {
        "feature_factor": -1.0,
        "learning_rate": 0.2,
        "kind": "checkpoint",
        "part": "decoder",
    }
    assert "demo_ff-1_lr0.2.zip" in text_of(export.build_done(str(path)))


def test_export_without_a_cell_is_refused(session) -> None:
    with pytest.raises(NotFound, match="no cell to export"):
        export.export(session, "", None)


def test_scripts_get_a_code_whatever_happens() -> None:
    with (
        pytest.raises(gr.Error, match=r"\[failed\] Something unexpected went wrong \(ZeroDivisionError\)"),
        for_scripts(),
    ):
        _ = 1 / 0
