"""A click on a cell: one event with two answers, and the newest click wins."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from gradiend_ui.ui.compare.columns import pair_of
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.listeners.compare import answered
from gradiend_ui.ui.listeners.grid import cell_shown, taken_over

RUN, TEXT = "run-1", "the nurse said [MASK] slept."
NOTHING = [gr.skip()] * 3


@pytest.fixture
def page(session, words) -> Any:
    return SimpleNamespace(session=session, viewers=Viewers(), words=words)


def click(page: Any, nth: int, factor: float = -1.0, rate: float = 0.5, name: str = "mine") -> Any:
    selected = {"how": "pointer", "feature_factor": factor, "learning_rate": rate, "nth": nth}
    return taken_over(page, name, RUN, selected)


def answers_to(page: Any, view: Any, name: str = "mine") -> list[Any]:
    return answered(page, name, view, "ck-1", TEXT)


def test_both_answers_take_over_the_same_click_and_an_older_one_neither(page) -> None:
    first, second = click(page, 5), click(page, 5)
    assert first == second and first.chosen == (-1.0, 0.5)
    assert click(page, 4, rate=0.1) is None
    assert page.viewers.get("mine").chosen == (-1.0, 0.5)


def test_a_click_is_answered_with_its_cell_beside_the_base(page) -> None:
    key, pin, answers = answers_to(page, click(page, 1))
    assert "(−1, 0.5)" in text_of(key) and pin["interactive"]
    assert answers["attributes"]["data-cell"] == "(−1, 0.5)"
    assert answers_to(page, click(page, 2)) == NOTHING, "what is shown already is not asked for again"
    assert [call[0] for call in page.session.calls].count("compare") == 1


@pytest.mark.parametrize("newer", ["click", "pin", "run", "opened", "text"])
def test_answers_that_the_page_has_moved_on_from_are_not_shown(page, monkeypatch, newer: str) -> None:
    compare = page.session.compare

    def meanwhile(*asked: Any) -> Any:
        monkeypatch.setattr(page.session, "compare", compare)
        if newer == "click":
            click(page, 2, rate=0.1)
        elif newer == "pin":
            page.viewers.change("mine", pinned=((1.0, 0.1),))
        elif newer == "opened":
            page.viewers.open("mine", RUN, page.viewers.get("mine").options)
            page.viewers.change("mine", chosen=(-1.0, 0.5))
        elif newer == "text":
            answered(page, "mine", page.viewers.get("mine"), "ck-1", f"{TEXT} again")
        else:
            page.viewers.change("mine", run="run-2")
        return compare(*asked)

    monkeypatch.setattr(page.session, "compare", meanwhile)
    assert answers_to(page, click(page, 1)) == NOTHING
    if newer == "click":
        assert answers_to(page, click(page, 2, rate=0.1))[2]["attributes"]["data-cell"] == "(−1, 0.1)"


def test_a_chart_that_a_newer_click_overtook_is_not_shown(page, monkeypatch) -> None:
    selected = {"how": "pointer", "feature_factor": -1.0, "learning_rate": 0.5, "nth": 1}
    monkeypatch.setattr(board, "show_cell", lambda *_: ("chart", "reason"))
    assert cell_shown(page, "mine", RUN, selected) == ["chart", "reason"]
    monkeypatch.setattr(board, "show_cell", lambda *_: (click(page, 3, rate=0.1), "reason"))
    assert cell_shown(page, "mine", RUN, {**selected, "nth": 2}) == NOTHING[:2]


def test_two_pages_do_not_mix(page) -> None:
    mine, other = click(page, 9), click(page, 1, rate=0.1, name="other")
    assert answers_to(page, other, "other")[2]["attributes"]["data-cell"] == "(−1, 0.1)"
    assert answers_to(page, mine)[2]["attributes"]["data-cell"] == "(−1, 0.5)"
    assert [pair_of(call[2][0]) for call in page.session.calls if call[0] == "compare"] == [(-1.0, 0.1), (-1.0, 0.5)]


@pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")
def test_no_listener_waits_for_what_another_made_of_the_click(session) -> None:
    from gradiend_ui.ui.layout import build_app

    async def build() -> Any:
        return build_app(session)

    functions = asyncio.run(build()).fns
    selected = {
        number
        for number, function in functions.items()
        for widget, event in function.targets
        if event == "select" and functions[number].name in ("show_cell", "answer")
    }
    assert len(selected) == 4, "two in each of the two languages"
    assert not any(function.trigger_after in selected for function in functions.values())
    assert not any(functions[number].queue for number in selected), "the picture would wait for Gradio's queue"
