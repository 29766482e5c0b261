"""Listeners of the step Sweep: options that move the winner, the grid that is described, start, pause, resume, stop."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.following import AT_ONCE, NEWEST, QUIET, follow_after, page_of, painted, show_run_in_url
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people
from gradiend_ui.ui.sweep import panel as sweep


def wire_sweep(page: Page) -> None:
    wire_form(page)
    wire_run(page)


def read(values: tuple[Any, ...]) -> tuple[sweep.Form, dict[str, Any]]:
    """The values of `Page.form_inputs` as the form and what the step Data holds."""
    return sweep.Form(*values[:-1]), values[-1] or {}


def estimate_after(page: Page, event: Any) -> None:
    """Tell how many cells and how long, once `event` has succeeded."""

    def estimate(checkpoint: str, *values: Any) -> dict[str, Any]:
        card = page.session.card(checkpoint) if checkpoint else None
        return sweep.build_estimate(*read(values), card, page.words)

    event.success(estimate, [page.checkpoint, *page.form_inputs], page.run_buttons.estimate, **AT_ONCE)


def wire_form(page: Page) -> None:
    def change_options(checkpoint: str, run: str, request: gr.Request, *values: Any) -> list[Any]:
        with for_people():
            form, _ = read(values)
            view = page.viewers.change(page_of(request), run=run, options=sweep.read_options(form))
            if run:
                return painted(board.show(page.session, view, page.words), True, page)
            return preview(checkpoint, form)

    def preview(checkpoint: str, form: sweep.Form) -> list[Any]:
        if not checkpoint:
            return [gr.skip()] * len(page.board_outputs)
        factors, rates = sweep.read_grid(form, page.session.card(checkpoint))
        label = sweep.metric_label(sweep.read_options(form), page.words)
        return painted(board.show_empty(factors, rates, label, page.words), True, page)

    def change_grid(checkpoint: str, run: str, *values: Any) -> list[Any]:
        form, data = read(values)
        typed = gr.update(visible=form.preset == sweep.TYPED)
        card = page.session.card(checkpoint) if checkpoint else None
        estimate = sweep.build_estimate(form, data, card, page.words)
        try:
            shown = [gr.skip()] * len(page.board_outputs) if run else preview(checkpoint, form)
        except GradiendUIError:
            shown = [gr.skip()] * len(page.board_outputs)
        return [typed, typed, estimate, *shown]

    form = page.form
    inputs = [page.checkpoint, page.run, *page.form_inputs]
    moving = [
        form.target_class.input,
        form.goal.input,
        form.policy.input,
        form.ratio.input,
        form.any_feature_factor.input,
    ]
    gr.on(moving, change_options, inputs, page.board_outputs, **NEWEST)
    grid_outputs = [form.typed_factors, form.typed_rates, page.run_buttons.estimate, *page.board_outputs]
    gr.on(
        [form.preset.input, form.typed_factors.change, form.typed_rates.change],
        change_grid,
        inputs,
        grid_outputs,
        **NEWEST,
    )


def wire_run(page: Page) -> None:
    def start(checkpoint: str, request: gr.Request, *values: Any) -> str:
        with for_people():
            form, data = read(values)
            run = sweep.start(page.session, checkpoint, form, data)
            page.viewers.change(page_of(request), run=run, options=sweep.read_options(form), chosen=None)
            return run

    def pause(run: str) -> None:
        with for_people():
            page.session.pause(run)

    def resume(run: str) -> None:
        with for_people():
            page.session.resume(run)

    def stop(run: str) -> None:
        with for_people():
            page.session.stop(run)

    buttons = page.run_buttons
    started = buttons.start.click(start, [page.checkpoint, *page.form_inputs], page.run, **QUIET)
    follow_after(page, show_run_in_url(page, started))
    follow_after(page, buttons.resume.click(resume, page.run, None, **QUIET))
    buttons.pause.click(pause, page.run, None, **QUIET)
    buttons.stop.click(stop, page.run, None, **QUIET)
