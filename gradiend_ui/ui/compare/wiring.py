"""Listeners of the step Compare: a cell was selected, a sentence was written."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradiend_ui.ui.compare import panel as compare
from gradiend_ui.ui.following import AT_ONCE, NEWEST, known_view, page_of
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people


def wire_compare(page: Page, cell_selected: Any) -> None:
    def answer(run: str, text: str, request: gr.Request) -> Any:
        name = page_of(request)
        with for_people():
            view = known_view(page, name, run)
            cell = board.selected_cell(page.session, view)
        asked = (run, tuple(cell.values()) if cell else None, text)
        if view.compared == asked:
            return gr.skip()
        tree = compare.compare(page.session, run, cell, text)
        now = page.viewers.get(name)
        if now.chosen != view.chosen or now.run != run:
            return gr.skip()
        page.viewers.change(name, compared=asked)
        return tree

    ask = {"fn": answer, "inputs": [page.run, page.compare.sentences], "outputs": page.compare.answers}
    cell_selected.then(**ask, **AT_ONCE)
    page.compare.sentences.change(**ask, **NEWEST)
