"""Listeners of the step Sweep: the question for the winner, the grid that is described, start, pause, resume, stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.engine.answers.data import ChosenData
from gradiend_ui.engine.errors import BadGrid, GradiendUIError
from gradiend_ui.engine.sweep.axes import fine_axes, spelled
from gradiend_ui.engine.values import BOTH
from gradiend_ui.server.door.roles import HOLDER, OWNER
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.tree import Node, node, ordered
from gradiend_ui.ui.page.address import show_run_in_url
from gradiend_ui.ui.page.following import (
    AT_ONCE,
    KEEP_KEY,
    NEWEST,
    NUMBERED,
    QUIET,
    WITH_HELD,
    WITH_KEY,
    asker_of,
    claim_outputs,
    claimed_by,
    claimed_values,
    follow_after,
    order_of,
    page_of,
    role_noted,
)
from gradiend_ui.ui.page.page import Page
from gradiend_ui.ui.sweep import control, lists
from gradiend_ui.ui.sweep import form as described
from gradiend_ui.ui.sweep.estimate import build_estimate
from gradiend_ui.ui.sweep.form import FINE, LISTED, TYPED, Asked, Form
from gradiend_ui.ui.sweep.panel import metric_label


def wire_sweep(page: Page) -> None:
    wire_question(page)
    wire_grid(page)
    wire_range(page)
    wire_run(page)
    wire_stop(page)
    wire_control(page)


def read(values: tuple[Any, ...]) -> tuple[Form, ChosenData]:
    """The values of `Page.form_inputs` as the form and what the step Data holds."""
    data: ChosenData | None = values[-1]
    return Form(*values[:-1]), data or {}


class Asking(NamedTuple):
    """Who asks what a form describes. order: of the answer."""

    order: tuple[int, float]
    page: str
    checkpoint: str
    run: str


def asking_inputs(page: Page) -> list[Block]:
    """What a form's question is made of, called with `NUMBERED`."""
    return [page.run, page.checkpoint, page.run, *page.form_inputs]


def estimate_of(page: Page, checkpoint: str, form: Form, data: ChosenData) -> Node:
    """What the sweep that form and data describe would cost."""
    if not checkpoint:
        return build_estimate(form, data, None, page.words)
    card = page.session.card(checkpoint)
    return build_estimate(form, data, card, page.words, lambda asked: page.session.known_cells(checkpoint, asked))


def estimate_after(page: Page, event: Dependency) -> None:
    """Tell how many cells and how long, once `event` has succeeded."""

    def estimate(nth: str, checkpoint: str, request: gr.Request, *values: Any) -> Node:
        return ordered(order_of(page, request, nth), estimate_of(page, checkpoint, *read(values)))

    inputs = [page.run, page.checkpoint, *page.form_inputs]
    event.success(estimate, inputs, page.run_buttons.estimate, js=NUMBERED, **AT_ONCE)


def preview(page: Page, asked: Asking, form: Form) -> list[object]:
    """Values for the board: the empty grid that the form describes. It is left alone where a run is shown, or has been
    started meanwhile, or nothing can be shown."""
    nothing: list[object] = [gr.skip()] * len(board.outputs(page.board))
    view = page.viewers.known(asked.page)
    if asked.run or view.run or not asked.checkpoint:
        return nothing
    try:
        grid = described.read_grid(form, page.session.card(asked.checkpoint))
    except GradiendUIError:
        return nothing
    label = metric_label(described.read_options(form), page.words)
    axes = grid.feature_factors, grid.learning_rates
    return board.values(board.show_empty(axes, label, page.words, (view.version, asked.order[1])))


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
        raise BadGrid(described.NO_WINNER).known_as("sweep.no_winner")
    winner = page.session.select(run, described.read_options(form))
    rates = page.session.run_info(run)["spec"]["learning_rates"]
    return fine_axes(winner["feature_factor"], winner["learning_rate"], rates)


def wire_question(page: Page) -> None:
    """A moved winner repaints the maps, the row and the reasons by a listener of its own: every widget more costs
    milliseconds. What the question changes in the form follows by another one. The threshold is watched by `change`:
    a number out of range is snapped into it by the browser without an `input`.
    """

    def move_winner(held: str, run: str, request: gr.Request, *values: Any) -> list[object]:
        if not run:
            return [gr.skip()] * len(answers)
        with for_people(page.words):
            view = page.viewers.change(page_of(request), run=run, options=described.read_options(Asked(*values)))
            shown = board.show(page.session, view, page.words, held)
            return [shown.maps, shown.row_chart, shown.reason]

    def change_form(nth: str, checkpoint: str, run: str, request: gr.Request, *values: Any) -> list[object]:
        with for_people(page.words):
            form, data = read(values)
            both = gr.update(visible=form.goal == BOTH)
            form = with_lists(page, checkpoint, run, form)
            asked = Asking(order_of(page, request, nth), page_of(request), checkpoint, run)
            return [both, *told(page, asked, form, data), *preview(page, asked, form)]

    form = page.form
    answers = [page.board.maps, page.board.row_chart, page.board.reason]
    asking = [page.run, page.run, *(getattr(form, name) for name in described.ASKED_FIELDS)]
    asked = [form.target_class, form.class_list, form.goal, form.winner_goal, form.any_feature_factor]
    changed = [widget.input for widget in asked]
    gr.on([form.policy.input, form.ratio.change, *changed], move_winner, asking, answers, js=WITH_HELD, **NEWEST)
    outputs = [form.winner_goal, *told_outputs(page), *board.outputs(page.board)]
    gr.on(changed, change_form, asking_inputs(page), outputs, js=NUMBERED, **NEWEST)


def told_outputs(page: Page) -> list[Block]:
    """The two lists, what each is read as, and the estimate."""
    widgets = page.form.lists
    return [widgets.factors, widgets.rates, widgets.factors_read, widgets.rates_read, page.run_buttons.estimate]


def told(page: Page, asked: Asking, form: Form, data: ChosenData, *, typing: bool = False) -> list[object]:
    """Values for `told_outputs`; while somebody types, the lists themselves are left alone."""
    texts = [gr.skip(), gr.skip()] if typing or form.preset == TYPED else [form.typed_factors, form.typed_rates]
    trees = (
        lists.build_read_back(form.typed_factors, described.FACTORS, page.words),
        lists.build_read_back(form.typed_rates, described.RATES, page.words),
        estimate_of(page, asked.checkpoint, form, data),
    )
    return [*texts, *(ordered(asked.order, tree) for tree in trees)]


def wire_grid(page: Page) -> None:
    """The lists are watched by `change`: Gradio swallows the first `input` of a box that was filled while hidden."""

    def change_preset(nth: str, checkpoint: str, run: str, request: gr.Request, *values: Any) -> list[object]:
        form, data = read(values)
        form = with_lists(page, checkpoint, run, form)
        has_lists = form.preset in LISTED and bool(form.preset == TYPED or form.typed_rates)
        asked = Asking(order_of(page, request, nth), page_of(request), checkpoint, run)
        return [gr.update(visible=has_lists), *told(page, asked, form, data), *preview(page, asked, form)]

    def change_lists(nth: str, checkpoint: str, run: str, request: gr.Request, *values: Any) -> list[object]:
        form, data = read(values)
        if form.preset not in LISTED:
            return [gr.skip()] * len(outputs)
        asked = Asking(order_of(page, request, nth), page_of(request), checkpoint, run)
        return [*told(page, asked, form, data, typing=True), *preview(page, asked, form)]

    form, inputs = page.form, asking_inputs(page)
    outputs = [*told_outputs(page), *board.outputs(page.board)]
    gr.on(form.preset.input, change_preset, inputs, [form.lists.group, *outputs], js=NUMBERED, **NEWEST)
    typed = [form.typed_factors.change, form.typed_rates.change]
    gr.on(typed, change_lists, inputs, outputs, js=NUMBERED, **NEWEST)
    for widget in (form.part, form.token_boundary, form.arithmetic, form.winner_only, form.again):
        estimate_after(page, widget.input(None, **AT_ONCE))


def wire_range(page: Page) -> None:
    widgets = page.form.lists

    def write(
        adds: bool, axis: str, first: float | None, last: float | None, count: float | None, spacing: str, *texts: str
    ) -> list[object]:
        try:
            written = lists.written_range(first, last, count, spacing)
        except GradiendUIError as error:
            return [gr.skip(), gr.skip(), node("p", page.words.of(error), cls="danger", role="alert")]
        place = 0 if axis == described.FACTORS else 1
        before = texts[place].strip().rstrip(",;") if adds else ""
        updates: list[object] = [gr.skip(), gr.skip()]
        updates[place] = f"{before}, {written}" if before else written
        return [*updates, node("p", page.words("sweep.range_written", range=written), cls="quiet", role="status")]

    def fill(*values: Any) -> list[object]:
        return write(False, *values)

    def add(*values: Any) -> list[object]:
        return write(True, *values)

    inputs = [widgets.axis, widgets.first, widgets.last, widgets.count, widgets.spacing, widgets.factors, widgets.rates]
    outputs = [widgets.factors, widgets.rates, widgets.range_note]
    for button, callback in ((widgets.fill, fill), (widgets.add, add)):
        button.click(callback, inputs, outputs, **AT_ONCE)


def wire_run(page: Page) -> None:
    def start(checkpoint: str, request: gr.Request, *values: Any) -> list[object]:
        with for_people(page.words):
            form, data = read(values)
            asker = asker_of(page, request)
            run, key = start_sweep(page, checkpoint, form, data, asker.visitor)
            options, role = described.read_options(form), OWNER if asker.owner else HOLDER
            page.viewers.change(page_of(request), run=run, options=options, chosen=None, role=role, owner=asker.owner)
            return [run, key, *control.shown_values(role, run, page.words)]

    def pause(run: str, key: str, request: gr.Request) -> None:
        with for_people(page.words):
            page.session.pause(run, asker_of(page, request, key))

    def resume(run: str, key: str, request: gr.Request) -> None:
        with for_people(page.words):
            asker = asker_of(page, request, key)
            page.session.resume(run, asker)
            role_noted(page, request, run, asker)

    buttons, widgets = page.run_buttons, page.run_buttons.control
    shown = [page.run, widgets.key, *control.shown_outputs(widgets)]
    started = buttons.start.click(start, [page.checkpoint, *page.form_inputs], shown, **QUIET)
    follow_after(page, show_run_in_url(page, started))
    started.success(None, [page.run, widgets.key], None, js=KEEP_KEY, api_visibility="private")
    keyed: dict[str, object] = {"inputs": [page.run, widgets.key], "outputs": None, "js": WITH_KEY, **QUIET}
    follow_after(page, buttons.resume.click(resume, **keyed))
    buttons.pause.click(pause, **keyed)


def wire_ends(page: Page) -> None:
    """A run that has ended knows more cells than the estimate was told of. After everything that follows a run."""
    for ended in page.run_ends:
        estimate_after(page, ended)


def wire_stop(page: Page) -> None:
    """Where other pages follow the run the first press asks: only the answer stops, never a second press in haste."""

    def stop(run: str, key: str, request: gr.Request) -> Node:
        with for_people(page.words):
            asker = asker_of(page, request, key)
            role_noted(page, request, run, asker)
            page.session.check_control(run, asker)
            others = page.viewers.watching_beside(page_of(request), run)
            if others:
                return control.build_question(others, page.words)
            page.session.stop(run, asker)
            return control.build_nothing()

    def answer_stop(run: str, key: str, event: gr.SelectData, request: gr.Request) -> Node:
        with for_people(page.words):
            if event.value == control.STOP:
                page.session.stop(run, asker_of(page, request, key))
            return control.build_nothing()

    widgets = page.run_buttons.control
    keyed: dict[str, object] = {"inputs": [page.run, widgets.key], "outputs": widgets.question, "js": WITH_KEY, **QUIET}
    page.run_buttons.stop.click(stop, **keyed)
    widgets.question.select(answer_stop, **keyed)


def wire_control(page: Page) -> None:
    """A key that came by a link that was opened, or pasted into the page."""

    def take(run: str, pasted: str, request: gr.Request) -> list[object]:
        with for_people(page.words):
            key = control.key_in(pasted, run, page.words)
            asker = asker_of(page, request, key)
            page.session.check_control(run, asker)
            view = role_noted(page, request, run, asker)
            return [key, *claimed_values(page, view, run, page.session.revision(run)[1])]

    widgets = page.run_buttons.control
    for event in (widgets.go.click, widgets.link.submit):
        taken = event(take, [page.run, widgets.link], [widgets.key, *claim_outputs(page)], **QUIET)
        taken.success(None, [page.run, widgets.key], None, js=KEEP_KEY, api_visibility="private")
    claimed_by(page, widgets.claim.click)


def start_sweep(page: Page, checkpoint: str, form: Form, data: ChosenData, visitor: str = "") -> tuple[str, str]:
    """Queue the sweep that form and data describe; gives its run id and its key."""
    if not checkpoint:
        raise BadGrid(described.NO_MODEL).known_as("sweep.no_model")
    asked = described.asked_sweep(form, data, page.session.card(checkpoint))
    started = page.session.start_sweep(checkpoint, asked, visitor)
    return str(started["run"]), str(started["key"])
