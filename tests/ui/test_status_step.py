"""Chips, step strip, trees, refusals, the table of viewers."""

from __future__ import annotations

import gradio as gr
import pytest

from gradiend_ui.ui.kit import status
from gradiend_ui.ui.kit.refusals import for_scripts
from gradiend_ui.ui.kit.tree import node, text_of
from gradiend_ui.ui.kit.viewer import MOST_VIEWERS, View, Viewers


def test_the_run_chip_counts_cells_and_time(make_picture, words) -> None:
    assert text_of(status.build_run_chip(make_picture(), words)) == "sweeping 4/6 1:12 left"
    waiting = make_picture(state="queued", position=2)
    assert "2 ahead in the queue" in text_of(status.build_run_chip(waiting, words))


def test_the_step_strip_names_its_states(words) -> None:
    steps = status.build_steps(words, loaded=True, state="finished", has_cells=True)
    labels = [item["children"][0]["attributes"]["aria-label"] for item in steps["children"][0]["children"]]
    assert labels == [
        "Step 1, Load: done",
        "Step 2, Sweep: done",
        "Step 3, Compare: current",
        "Step 4, Export: ready",
    ]


def test_user_text_stays_one_string() -> None:
    tree = node("p", "<img src=x onerror=alert(1)>")
    assert tree["children"] == ["<img src=x onerror=alert(1)>"]


def test_the_table_of_viewers_is_bounded() -> None:
    viewers = Viewers()
    for number in range(MOST_VIEWERS + 5):
        viewers.change(str(number), run="r")
    assert viewers.get("0") == View()
    assert viewers.get(str(MOST_VIEWERS + 4)).run == "r"


def test_scripts_get_a_code_whatever_happens() -> None:
    with (
        pytest.raises(gr.Error, match=r"\[failed\] Something unexpected went wrong \(ZeroDivisionError\)"),
        for_scripts(),
    ):
        _ = 1 / 0


def test_the_chip_says_where_the_numbers_come_from(make_picture, words) -> None:
    assert "from a file" not in text_of(status.build_run_chip(make_picture(), words))
    imported = {"file": "decoder_grid_cache.json", "check": "verified", "note": "Opened from decoder_grid_cache.json."}
    chip = status.build_run_chip(make_picture(state="finished", done=6, imported=imported), words)
    assert text_of(chip) == "finished 6/6 from a file"


def test_a_finished_run_names_the_neutral_set_of_its_numbers(make_picture, words) -> None:
    finished = make_picture(state="finished", done=6)
    assert text_of(status.build_run_chip(finished, words)) == "finished 6/6 on pronoun-free"
    assert " on " not in text_of(status.build_run_chip({**finished, "neutral_set": None}, words))


def test_the_chip_tells_a_first_look_from_finishing(make_picture, words) -> None:
    def chip(**changes: object) -> str:
        return text_of(status.build_run_chip(make_picture(done=0, **changes), words))

    rows = [[7, 7, 3], [0, 0, 0]]
    look = chip(status=[["provisional"] * 3, ["pending"] * 3], rows_done=rows, rows_total=100)
    assert look.startswith("first look every cell from 7 % of the data 0/6")
    finish = chip(status=[["final", "provisional", "provisional"], ["provisional"] * 3])
    assert finish.startswith("finishing the picture is complete")
    assert chip(status=[["provisional", "pending", "pending"], ["pending"] * 3]).startswith("sweeping 0/6")
    paused = make_picture(state="paused", status=[["provisional"] * 3, ["pending"] * 3])
    assert text_of(status.build_run_chip(paused, words)).startswith("paused")


def test_the_chip_tells_a_search_and_rounded_numbers(make_picture, words) -> None:
    search = {"ratio": 0.99, "goals": ["strengthen"], "target_classes": ["M", "F"]}
    running = status.build_run_chip(make_picture(search=search), words)
    assert (
        text_of(running).startswith("searching for the best cell") and running["attributes"]["data-phase"] == "search"
    )
    rounded = make_picture(state="finished", done=6, precision="bfloat16")
    assert text_of(status.build_run_chip(rounded, words)) == "finished 6/6 bfloat16 on pronoun-free"
