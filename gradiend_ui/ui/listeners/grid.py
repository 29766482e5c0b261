"""Listeners of the maps: a selected cell, a skipped one that is asked for, what is shown, a point of the row chart, a
winner, the file of all cells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gradio as gr

from gradiend_ui.engine.errors import BadGrid, shown
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.grid.csv_export import FORMATS, grid_csv, grid_json, stem_of
from gradiend_ui.ui.grid.heatmap import Picked
from gradiend_ui.ui.grid.measures import SHOWS
from gradiend_ui.ui.grid.reason import picked_cell
from gradiend_ui.ui.kit.downloads import downloadable_text, press
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.viewer import View
from gradiend_ui.ui.listeners.compare import answer_outputs, answered
from gradiend_ui.ui.page.following import (
    AT_ONCE,
    EVERY,
    QUIET,
    WITH_KEY,
    asker_of,
    follow_after,
    known_view,
    page_of,
)
from gradiend_ui.ui.page.page import Page

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

CAME_PAINTED = ("follows", "arrived")
"""Selections that a repainted board told of: row chart and reasons came with it."""


def wire_grid(page: Page) -> None:
    """A selected cell is one event with two answers, each with the cell from the event, and neither waits for the
    other: row chart and reason at once, the sentences when they are there. A selection that a newer one overtook shows
    nothing. (One function that answers in two steps would need Gradio's queue: some 30 ms more for each picture.)"""

    def show_cell(run: str, event: gr.SelectData, request: gr.Request) -> list[object]:
        with for_people(page.words):
            return cell_shown(page, page_of(request), run, event.value)

    def answer(run: str, checkpoint: str, text: str, event: gr.SelectData, request: gr.Request) -> list[object]:
        name = page_of(request)
        with for_people(page.words):
            view = taken_over(page, name, run, event.value)
            return [gr.skip()] * 3 if view is None else answered(page, name, view, checkpoint, text)

    def select_in_row(event: gr.SelectData) -> object:
        return gr.update(goto=[int(event.index[0]), int(event.index[1]), time.time()])

    def select_winner(event: gr.SelectData) -> object:
        return gr.update(goto=["cell", *picked_cell(event.value), time.time()])

    def change_shows(run: str, event: gr.EventData, request: gr.Request) -> object:
        name = page_of(request)
        with for_people(page.words):
            known_view(page, name, run)
            view = page.viewers.change(name, shows=known_shows(event._data))
            return board.show_maps(page.session, view, page.words, held_by(event._data)) if run else gr.skip()

    def finish(run: str, key: str, event: gr.EventData, request: gr.Request) -> None:
        with for_people(page.words):
            cell = event._data if isinstance(event._data, dict) else {}
            page.session.finish_cell(run, cell, asker_of(page, request, key))

    shown = page.board
    shown.maps.select(show_cell, page.run, [shown.row_chart, shown.reason], **EVERY)
    asked = [page.run, page.checkpoint, page.compare.sentences]
    shown.maps.select(answer, asked, answer_outputs(page), **EVERY)
    shown.row_chart.select(select_in_row, None, shown.maps, **EVERY)
    shown.reason.select(select_winner, None, shown.maps, **EVERY)
    shown.maps.input(change_shows, page.run, shown.maps, **EVERY)
    keyed = [page.run, page.run_buttons.control.key]
    follow_after(page, shown.maps.apply(finish, keyed, None, js=WITH_KEY, **QUIET))
    wire_file(page)


def wire_file(page: Page) -> None:
    def save(run: str, event: gr.EventData, request: gr.Request) -> gr.DownloadButton:
        with for_people(page.words):
            view = known_view(page, page_of(request), run)
            return gr.DownloadButton(value=write_grid(page.session, view, event._data))

    saved = page.board.maps.submit(save, page.run, page.board.file, **AT_ONCE)
    saved.success(None, None, None, js=press("grid-file"), api_visibility="private")


def cell_shown(page: Page, name: str, run: str, selected: Picked) -> list[object]:
    """Row chart and reason of the selection; nothing where they came with the board, or a newer one overtook it."""
    nothing: list[object] = [gr.skip(), gr.skip()]
    view = taken_over(page, name, run, selected)
    if view is None or not run or selected.get("how") in CAME_PAINTED:
        return nothing
    shown = board.show_cell(page.session, view, page.words)
    return list(shown) if page.viewers.get(name).nth == view.nth else nothing


def taken_over(page: Page, name: str, run: str, selected: Picked) -> View | None:
    """The page's view with the selection taken over; None where a newer one overtook it."""
    known_view(page, name, run)
    return board.choose(page.viewers, name, selected)


def known_shows(data: object) -> str:
    """What the maps are to show, as the page asked for it. Raises BadGrid."""
    shows = data.get("shows") if isinstance(data, dict) else None
    if shows not in SHOWS:
        raise BadGrid(f"The maps show one of {', '.join(SHOWS)}, not {shown(shows)}.")
    return str(shows)


def held_by(data: object) -> str:
    """The version of the tables that the page's maps hold, "" for none."""
    return str(data.get("held") or "") if isinstance(data, dict) else ""


def write_grid(session: Session, view: View, data: object) -> str:
    """Path of a download with all cells of the view's run. Raises BadGrid, Failed."""
    kind = data.get("format") if isinstance(data, dict) else None
    if kind not in FORMATS:
        raise BadGrid(f"The cells are saved as {' or '.join(FORMATS)}, not {shown(kind)}.")
    if not view.run:
        told = BadGrid("There is nothing to save yet: start a sweep, or open an earlier one.")
        raise told.known_as("grid.nothing_to_save")
    picture, info = session.picture(view.run, view.options), session.run_info(view.run)
    model = str(info["card"]["name"])
    about = {"model": model, "spec": info["spec"], "question": view.options}
    text = grid_csv(picture) if kind == "csv" else grid_json(picture, about)
    stem = stem_of(model, view.options["target_class"], view.options["goal"], view.run)
    return downloadable_text(f"{stem}_cells.{kind}", text)
