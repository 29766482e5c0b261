"""Listeners of the data panel and its drawer.

Every change ends in `compose`: the spec is put together from the widgets as they are now, so that two quick changes
never undo each other. Then the worker is asked what it comes to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.engine.answers.data import ChosenData, DataSpec
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.data import chips, report
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.data.choice import Choice, data_of
from gradiend_ui.ui.kit.tree import ordered
from gradiend_ui.ui.listeners.data_rows import wire_rows
from gradiend_ui.ui.listeners.data_words import wire_neutral, wire_words
from gradiend_ui.ui.listeners.sweep import estimate_after
from gradiend_ui.ui.page.following import AT_ONCE, NEWEST, NUMBERED, QUIET, order_of
from gradiend_ui.ui.page.page import Page


class Measured(NamedTuple):
    """How long a cell takes, about; None where that could not be measured."""

    checkpoint: str
    spec: DataSpec
    seconds_per_cell: float | None


def wire_data(page: Page) -> None:
    wire_choice(page)
    wire_rows(page)
    wire_words(page)
    wire_neutral(page)


def choice_inputs(page: Page) -> list[Block]:
    """What a `Choice` is made of, in its order."""
    widgets, rows = page.data, page.data_drawer.rows
    return [
        widgets.own_rows, widgets.own_neutral, widgets.targets, widgets.neutral_set, widgets.split, rows.max_rows,
        rows.max_neutral,
    ]  # fmt: skip


# --- the choice ------------------------------------------------------------------------------------------------------


def wire_choice(page: Page) -> None:
    widgets, drawer = page.data, page.data_drawer

    def compose(nth: str, checkpoint: str, request: gr.Request, *values: Any) -> list[object]:
        choice = Choice(*values)
        if not checkpoint or not choice.split:
            return [gr.skip()] * len(composed)
        card, order = page.session.card(checkpoint), order_of(page, request, nth)
        chosen = data_of(choice, card)
        return [
            chosen,
            ordered(order, report.build_summary(choice, card, page.words)),
            ordered(order, report.build_sets(choice, card, page.words)),
            ordered(order, data.time_line(choice, card, chosen, page.words)),
            ordered(order, report.build_measuring(page.words)),
        ]

    def show_words(nth: str, checkpoint: str, chosen: ChosenData, request: gr.Request) -> list[object]:
        order = order_of(page, request, nth)
        return [ordered(order, shown) for shown in words_shown(page, checkpoint, chosen)]

    composed = [
        widgets.chosen, widgets.summary, drawer.neutral.sets, drawer.rows.time, drawer.neutral.measured,
    ]  # fmt: skip
    rows = drawer.rows
    changes = [
        widgets.touched.change, widgets.neutral_set.input, rows.max_rows.input, rows.max_neutral.input,
    ]  # fmt: skip
    inputs = [page.run, page.checkpoint, *choice_inputs(page)]
    event = gr.on(changes, compose, inputs, composed, js=NUMBERED, **NEWEST)
    estimate_after(page, event)
    asked, shown = [page.run, page.checkpoint, widgets.chosen], [drawer.words.chips, drawer.words.back]
    measure_after(page, event.success(show_words, asked, shown, js=NUMBERED, **AT_ONCE))


def measure_after(page: Page, event: Dependency) -> None:
    """Have the base scored on the neutral texts in use once `event` has succeeded: that tells how long a cell takes."""
    widgets, drawer = page.data, page.data_drawer

    def measure(nth: str, checkpoint: str, chosen: ChosenData, ratio: float, request: gr.Request) -> list[object]:
        if not checkpoint:
            return [gr.skip()] * 2
        order = order_of(page, request, nth)
        if chosen.get("unusable"):
            return [ordered(order, report.build_waiting(page.words)), None]
        try:
            found = page.session.data.neutral(checkpoint, chosen["spec"], ratio)
        except GradiendUIError as error:
            return [ordered(order, report.build_refusal(page.words.of(error))), None]
        measured = Measured(checkpoint, chosen["spec"], found["seconds_per_cell"])
        return [ordered(order, report.build_measured(found, page.words)), measured]

    def take_over(
        nth: str,
        checkpoint: str,
        chosen: ChosenData,
        measured: Measured | None,
        request: gr.Request,
        *values: Any,
    ) -> list[object]:
        """The measured time, unless another model was opened or something else chosen while it was measured."""
        if not checkpoint or not measured or (measured.checkpoint, measured.spec) != (checkpoint, chosen["spec"]):
            return [gr.skip()] * 2
        data_now: ChosenData = {**chosen, "seconds_per_cell": measured.seconds_per_cell}
        line = data.time_line(Choice(*values), page.session.card(checkpoint), data_now, page.words)
        return [data_now, ordered(order_of(page, request, nth), line)]

    asked, measured = [page.run, page.checkpoint, widgets.chosen], [drawer.neutral.measured, widgets.measured]
    newest = {**QUIET, "trigger_mode": "always_last"}  # else one that is asked for during another is never measured
    told = event.success(measure, [*asked, page.form.ratio], measured, js=NUMBERED, **newest)
    inputs, outputs = [*asked, widgets.measured, *choice_inputs(page)], [widgets.chosen, drawer.rows.time]
    taken = told.success(take_over, inputs, outputs, js=NUMBERED, **AT_ONCE)
    estimate_after(page, taken)


def words_shown(page: Page, checkpoint: str, chosen: ChosenData) -> list[object]:
    """Values for the chips and for the button that goes back to the words of the rows."""
    if not checkpoint:
        return [gr.skip()] * 2
    if chosen.get("unusable"):
        return [report.build_waiting(page.words), gr.update(visible=bool(chosen["spec"].get("targets")))]
    try:
        found = page.session.data.targets(checkpoint, chosen["spec"])
    except GradiendUIError as error:
        return [report.build_refusal(page.words.of(error)), gr.update(visible=bool(chosen["spec"].get("targets")))]
    return [chips.build_words(found, page.words), gr.update(visible=found["mode"] == "own")]
