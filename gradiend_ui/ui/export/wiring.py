"""Listeners of the step Export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.downloads import press
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.following import QUIET, known_view, page_of
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.page import Page


def wire_export(page: Page) -> None:
    def make(run: str, request: gr.Request) -> Iterator[list[Any]]:
        try:
            cell = board.selected_cell(page.session, known_view(page, page_of(request), run))
            if cell:
                yield [export.build_working(cell), gr.skip()]
            path = export.export(page.session, run, cell, export.part_of(page.session, run))
        except GradiendUIError as error:
            yield [export.build_note(str(error), "danger"), gr.skip()]
            raise gr.Error(str(error), title="Not exported", print_exception=False) from error
        yield [export.build_done(path), gr.DownloadButton(value=path)]

    widgets = page.export
    made = widgets.button.click(make, page.run, [widgets.note, widgets.file], **QUIET)
    made.success(None, None, None, js=press(export.HIDDEN_ID), api_visibility="private")
