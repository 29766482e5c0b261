"""Listeners of the maps: a selected cell, a point of the row chart, the way back to the best cell."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from gradiend_ui.ui.following import AT_ONCE, EVERY, known_view, page_of
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people


def wire_grid(page: Page) -> Any:
    """Gives the event after which a cell is selected."""

    def select(run: str, event: gr.SelectData, request: gr.Request) -> list[Any]:
        name = page_of(request)
        with for_people():
            known_view(page, name, run)
            view = board.choose(page.viewers, name, event.value)
            if not run:
                return [gr.skip(), gr.skip()]
            shown = board.show(page.session, view, page.words)
            return [shown.row_chart, shown.reason]

    def select_in_row(event: gr.SelectData) -> Any:
        return gr.update(goto=[int(event.index[0]), int(event.index[1]), time.time()])

    def select_best() -> Any:
        return gr.update(goto=["best", time.time()])

    shown = page.board
    selected = shown.maps.select(select, page.run, [shown.row_chart, shown.reason], **EVERY)
    shown.row_chart.select(select_in_row, None, shown.maps, **EVERY)
    shown.best.click(select_best, None, shown.maps, **AT_ONCE)
    return selected
