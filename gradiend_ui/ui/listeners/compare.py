"""Listeners of the step Compare: sentences, examples, pins, copy and csv; a cell was selected, a checkpoint opened."""

from __future__ import annotations

import gradio as gr
from gradio.events import Dependency

from gradiend_ui.engine.values import CellPlace
from gradiend_ui.ui.compare import asking
from gradiend_ui.ui.compare import panel as compare
from gradiend_ui.ui.compare.answers import example_text
from gradiend_ui.ui.compare.columns import CSV_NAME, MOST_PINNED, build_key, pair_of, toggled, without
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.downloads import downloadable_text, press
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.tree import ordered
from gradiend_ui.ui.kit.viewer import View
from gradiend_ui.ui.page.following import AT_ONCE, EVERY, NEWEST, QUIET, known_view, page_of
from gradiend_ui.ui.page.page import Page

KEEP_FOCUS = "() => { if (document.activeElement === document.body) document.querySelector('#pin').focus(); }"
"""The last pin takes its button with it: the focus goes to where it came from."""


def wire_compare(page: Page) -> None:
    wire_sentences(page)
    wire_pins(page)
    wire_copies(page)


def read_question(page: Page, view: View, checkpoint: str, text: str) -> tuple[asking.Question, CellPlace | None]:
    """(what the page compares now, the selected cell)."""
    cell = board.selected_cell(page.session, view) if view.run else None
    return asking.question(view.run, checkpoint, view.pinned, cell, text), cell


def answered(page: Page, name: str, view: View, checkpoint: str, text: str) -> list[object]:
    """Values for `answer_outputs`: key, pin button and answers of what the page looks at (`view`); nothing where that
    is shown already, or where the page has moved on when the answers come."""
    asked, cell = read_question(page, view, checkpoint, text)
    comparing = asked, cell is None
    page.viewers.change(name, comparing=comparing)
    if view.compared == comparing:
        return [gr.skip()] * 3
    answers = asking.compare(page.session, asked, page.words)
    now = page.viewers.get(name)
    looked_at = now.opened, now.run, now.chosen, now.pinned, now.comparing
    if looked_at != (view.opened, view.run, view.chosen, view.pinned, comparing):
        return [gr.skip()] * 3
    order = view.opened, page.viewers.change(name, compared=comparing).version
    is_pinned = cell is not None and pair_of(cell) in view.pinned
    can_pin = cell is not None and len(view.pinned) < MOST_PINNED
    key = build_key(asked.columns, view.pinned, cell, page.words)
    button = compare.pin_button(page.words, can_pin=can_pin, is_pinned=is_pinned)
    return [ordered(order, key), button, ordered(order, answers)]


def answer_listener(page: Page) -> dict[str, object]:
    """Function, inputs and outputs of a listener that shows the answers."""

    def show(run: str, checkpoint: str, text: str, request: gr.Request) -> list[object]:
        with for_people(page.words):
            name = page_of(request)
            return answered(page, name, known_view(page, name, run), checkpoint, text)

    inputs = [page.run, page.checkpoint, page.compare.sentences]
    return {"fn": show, "inputs": inputs, "outputs": answer_outputs(page)}


def answer_outputs(page: Page) -> list[object]:
    return [page.compare.key, page.compare.pin, page.compare.answers]


def answer_after(page: Page, event: Dependency) -> Dependency:
    """Show the answers once `event` has happened; gives the next event."""
    return event.then(**answer_listener(page), **AT_ONCE)


def wire_sentences(page: Page) -> None:
    def take_examples(name: str, checkpoint: str) -> object:
        with for_people(page.words):
            return example_text(name, page.session.card(checkpoint)) if checkpoint else gr.skip()

    widgets = page.compare
    widgets.examples.input(take_examples, [widgets.examples, page.checkpoint], widgets.sentences, **NEWEST)
    widgets.sentences.change(**answer_listener(page), **NEWEST)


def wire_pins(page: Page) -> None:
    def pin(run: str, request: gr.Request) -> object:
        with for_people(page.words):
            name = page_of(request)
            view = known_view(page, name, run)
            cell = board.selected_cell(page.session, view) if run else None
            if cell is None:
                return gr.skip()
            return repin(name, toggled(view.pinned, pair_of(cell)))

    def unpin(run: str, event: gr.SelectData, request: gr.Request) -> object:
        with for_people(page.words):
            name = page_of(request)
            return repin(name, without(known_view(page, name, run).pinned, str(event.value)))

    def repin(name: str, pinned: tuple[tuple[float, float], ...]) -> board.BoardPayload:
        view = page.viewers.change(name, pinned=pinned)
        return board.show(page.session, view, page.words).maps

    widgets = page.compare
    answer_after(page, widgets.pin.click(pin, page.run, page.board.maps, **EVERY))
    unpinned = answer_after(page, widgets.key.select(unpin, page.run, page.board.maps, **EVERY))
    unpinned.then(None, None, None, js=KEEP_FOCUS, api_visibility="private")


def wire_copies(page: Page) -> None:
    def make_csv(run: str, checkpoint: str, text: str, request: gr.Request) -> gr.DownloadButton:
        with for_people(page.words):
            view = known_view(page, page_of(request), run)
            asked, _ = read_question(page, view, checkpoint, text)
            return gr.DownloadButton(value=downloadable_text(CSV_NAME, asking.comparison_csv(page.session, asked)))

    widgets = page.compare
    inputs = [page.run, page.checkpoint, widgets.sentences]
    made = widgets.csv.click(make_csv, inputs, widgets.file, **QUIET)
    made.success(None, None, None, js=press(compare.FILE_ID), api_visibility="private")
    widgets.copy.click(None, None, widgets.told, js=compare.copy_script(page.words), api_visibility="private")
