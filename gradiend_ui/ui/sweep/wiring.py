"""Listeners of the step Sweep: the question for the winner, the grid that is described, start, pause, resume, stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from gradiend_ui.engine.axes import fine_axes, spelled
from gradiend_ui.engine.errors import BadGrid, GradiendUIError
from gradiend_ui.ui.following import AT_ONCE, NEWEST, QUIET, WITH_HELD, follow_after, page_of, painted, show_run_in_url
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people
from gradiend_ui.ui.sweep import form as described
from gradiend_ui.ui.sweep import lists
from gradiend_ui.ui.sweep.estimate import build_estimate
from gradiend_ui.ui.sweep.form import FINE, LISTED, TYPED, Asked, Form
from gradiend_ui.ui.sweep.panel import metric_label
from gradiend_ui.ui.tree import Node, node


def wire_sweep(page: Page) -> None:
    wire_question(page)
    wire_grid(page)
    wire_range(page)
    wire_run(page)


def read(values: tuple[Any, ...]) -> tuple[Form, dict[str, Any]]:
    """The values of `Page.form_inputs` as the form and what the step Data holds."""
    return Form(*values[:-1]), values[-1] or {}


def estimate_of(page: Page, checkpoint: str, form: Form, data: Mapping[str, Any]) -> Node:
    """What the sweep that form and data describe would cost."""
    if not checkpoint:
        return build_estimate(form, data, None, page.words)
    card = page.session.card(checkpoint)
    return build_estimate(form, data, card, page.words, lambda spec: page.session.known_cells(checkpoint, spec))


def estimate_after(page: Page, event: Any) -> None:
    """Tell how many cells and how long, once `event` has succeeded."""

    def estimate(checkpoint: str, *values: Any) -> Node:
        return estimate_of(page, checkpoint, *read(values))

    event.success(estimate, [page.checkpoint, *page.form_inputs], page.run_buttons.estimate, **AT_ONCE)


def preview(page: Page, checkpoint: str, run: str, form: Form) -> list[Any]:
    """The empty grid that the form describes; the board is left alone where a run is shown or nothing can be."""
    nothing = [gr.skip()] * len(page.board_outputs)
    if run or not checkpoint:
        return nothing
    try:
        grid = described.read_grid(form, page.session.card(checkpoint))
    except GradiendUIError:
        return nothing
    label = metric_label(described.read_options(form), page.words)
    shown = board.show_empty(list(grid.feature_factors), list(grid.learning_rates), label, page.words)
    return painted(shown, True, page)


def with_lists(page: Page, checkpoint: str, run: str, form: Form) -> Form:
    """The form with the grid of its preset written into its two lists; a typed one stays as it is."""
    if form.preset == TYPED or not checkpoint:
        return form
    try:
        axes = _fine(page, run, form) if form.preset == FINE else _preset(page, checkpoint, form)
    except GradiendUIError:
        return replace(form, typed_factors="", typed_rates="")
    return replace(form, typed_factors=spelled(axes[0]), typed_rates=spelled(axes[1]))


def _preset(page: Page, checkpoint: str, form: Form) -> tuple[tuple[float, ...], tuple[float, ...]]:
    grid = described.read_grid(form, page.session.card(checkpoint))
    return grid.feature_factors, grid.learning_rates


def _fine(page: Page, run: str, form: Form) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not run:
        raise BadGrid(described.NO_WINNER)
    winner = page.session.select(run, described.read_options(form))
    rates = page.session.run_info(run)["spec"]["learning_rates"]
    return fine_axes(winner["feature_factor"], winner["learning_rate"], rates)


def wire_question(page: Page) -> None:
    """A moved winner repaints the maps, the row and the reasons by a listener of its own: every widget more costs
    milliseconds. What the question changes in the form follows by another one. The threshold is watched by `change`:
    a number out of range is snapped into it by the browser without an `input`.
    """

    def move_winner(held: str, run: str, request: gr.Request, *values: Any) -> list[Any]:
        if not run:
            return [gr.skip()] * len(answers)
        with for_people(page.words):
            view = page.viewers.change(page_of(request), run=run, options=described.read_options(Asked(*values)))
            shown = board.show(page.session, view, page.words, held)
            return [shown.maps, shown.row_chart, shown.reason]

    def change_form(checkpoint: str, run: str, *values: Any) -> list[Any]:
        with for_people(page.words):
            form, data = read(values)
            both = gr.update(visible=form.goal == described.BOTH)
            form = with_lists(page, checkpoint, run, form)
            return [both, *told(page, checkpoint, form, data), *preview(page, checkpoint, run, form)]

    form = page.form
    inputs = [page.checkpoint, page.run, *page.form_inputs]
    answers = [page.board.maps, page.board.row_chart, page.board.reason]
    asking = [page.run, page.run, *(getattr(form, name) for name in described.ASKED_FIELDS)]
    asked = [form.target_class, form.class_list, form.goal, form.winner_goal, form.any_feature_factor]
    changed = [widget.input for widget in asked]
    gr.on([form.policy.input, form.ratio.change, *changed], move_winner, asking, answers, js=WITH_HELD, **NEWEST)
    outputs = [form.winner_goal, *told_outputs(page), *page.board_outputs]
    gr.on(changed, change_form, inputs, outputs, **NEWEST)


def told_outputs(page: Page) -> list[Any]:
    """The two lists, what each is read as, and the estimate."""
    widgets = page.form.lists
    return [widgets.factors, widgets.rates, widgets.factors_read, widgets.rates_read, page.run_buttons.estimate]


def told(page: Page, checkpoint: str, form: Form, data: Mapping[str, Any], *, typing: bool = False) -> list[Any]:
    """Values for `told_outputs`; while somebody types, the lists themselves are left alone."""
    texts = [gr.skip(), gr.skip()] if typing or form.preset == TYPED else [form.typed_factors, form.typed_rates]
    return [
        *texts,
        lists.build_read_back(form.typed_factors, described.FACTORS, page.words),
        lists.build_read_back(form.typed_rates, described.RATES, page.words),
        estimate_of(page, checkpoint, form, data),
    ]


def wire_grid(page: Page) -> None:
    """The lists are watched by `change`: Gradio swallows the first `input` of a box that was filled while hidden."""

    def change_preset(checkpoint: str, run: str, *values: Any) -> list[Any]:
        form, data = read(values)
        form = with_lists(page, checkpoint, run, form)
        has_lists = form.preset in LISTED and bool(form.preset == TYPED or form.typed_rates)
        shown = preview(page, checkpoint, run, form)
        return [gr.update(visible=has_lists), *told(page, checkpoint, form, data), *shown]

    def change_lists(checkpoint: str, run: str, *values: Any) -> list[Any]:
        form, data = read(values)
        if form.preset not in LISTED:
            return [gr.skip()] * len(outputs)
        return [*told(page, checkpoint, form, data, typing=True), *preview(page, checkpoint, run, form)]

    form = page.form
    inputs = [page.checkpoint, page.run, *page.form_inputs]
    outputs = [*told_outputs(page), *page.board_outputs]
    gr.on(form.preset.input, change_preset, inputs, [form.lists.group, *outputs], **NEWEST)
    gr.on([form.typed_factors.change, form.typed_rates.change], change_lists, inputs, outputs, **NEWEST)
    for widget in (form.part, form.token_boundary, form.arithmetic, form.winner_only, form.again):
        estimate_after(page, widget.input(None, **AT_ONCE))


def wire_range(page: Page) -> None:
    widgets = page.form.lists

    def write(adds: bool, axis: str, first: Any, last: Any, count: Any, spacing: str, *texts: str) -> list[Any]:
        try:
            written = lists.written_range(first, last, count, spacing)
        except GradiendUIError as error:
            return [gr.skip(), gr.skip(), node("p", str(error), cls="danger", role="alert")]
        place = 0 if axis == described.FACTORS else 1
        before = texts[place].strip().rstrip(",;") if adds else ""
        updates: list[Any] = [gr.skip(), gr.skip()]
        updates[place] = f"{before}, {written}" if before else written
        return [*updates, node("p", page.words("sweep.range_written", range=written), cls="quiet", role="status")]

    def fill(*values: Any) -> list[Any]:
        return write(False, *values)

    def add(*values: Any) -> list[Any]:
        return write(True, *values)

    inputs = [widgets.axis, widgets.first, widgets.last, widgets.count, widgets.spacing, widgets.factors, widgets.rates]
    outputs = [widgets.factors, widgets.rates, widgets.range_note]
    for button, callback in ((widgets.fill, fill), (widgets.add, add)):
        button.click(callback, inputs, outputs, **AT_ONCE)


def wire_run(page: Page) -> None:
    def start(checkpoint: str, request: gr.Request, *values: Any) -> str:
        with for_people(page.words):
            form, data = read(values)
            run = start_sweep(page, checkpoint, form, data, page.visitors.of(request))
            page.viewers.change(page_of(request), run=run, options=described.read_options(form), chosen=None)
            return run

    def pause(run: str) -> None:
        with for_people(page.words):
            page.session.pause(run)

    def resume(run: str) -> None:
        with for_people(page.words):
            page.session.resume(run)

    def stop(run: str) -> None:
        with for_people(page.words):
            page.session.stop(run)

    buttons = page.run_buttons
    started = buttons.start.click(start, [page.checkpoint, *page.form_inputs], page.run, **QUIET)
    estimate_after(page, follow_after(page, show_run_in_url(page, started)))
    estimate_after(page, follow_after(page, buttons.resume.click(resume, page.run, None, **QUIET)))
    buttons.pause.click(pause, page.run, None, **QUIET)
    buttons.stop.click(stop, page.run, None, **QUIET)


def start_sweep(page: Page, checkpoint: str, form: Form, data: Mapping[str, Any], visitor: str = "") -> str:
    """Queue the sweep that form and data describe and give its run id."""
    if not checkpoint:
        raise BadGrid(described.NO_MODEL)
    spec = described.build_spec(form, data, page.session.card(checkpoint))
    return str(page.session.start_sweep(checkpoint, spec, visitor)["run"])
