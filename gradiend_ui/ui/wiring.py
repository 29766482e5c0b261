"""Which widget calls which function: the only place with listeners, all private; `ui/api` has the public functions.

Functions defined inside `wire_*` adapt Gradio's arguments (events, requests) to the plain functions of the steps.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui import board, compare, export, load, sweep
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people
from gradiend_ui.ui.status import build_model_chip
from gradiend_ui.ui.viewer import View

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
NEWEST: dict[str, Any] = {**AT_ONCE, "trigger_mode": "always_last"}
EVERY: dict[str, Any] = {**AT_ONCE, "trigger_mode": "multiple"}
UNKNOWN_RUN = "The sweep in this link cannot be opened. {reason} The page starts with the default model instead."
PUT_RUN_IN_URL = """(run) => {
  const url = new URL(location);
  if (run) url.searchParams.set('run', run); else url.searchParams.delete('run');
  history.replaceState(null, '', url);
}"""
TOGGLE_THEME = """() => {
  const dark = document.body.classList.toggle('dark');
  try { localStorage.setItem('gradiend-theme', dark ? 'dark' : 'light'); } catch (error) { /* private window */ }
}"""
RESTORE_THEME = """() => {
  let stored = null;
  try { stored = localStorage.getItem('gradiend-theme'); } catch (error) { /* private window */ }
  const asked = new URL(location).searchParams.get('__theme');
  if (stored && !asked) document.body.classList.toggle('dark', stored === 'dark');
}"""


def wire(page: Page, blocks: gr.Blocks) -> None:
    wire_open(page, blocks)
    wire_form(page)
    wire_run(page)
    wire_cells(page)
    wire_export(page)
    page.theme.click(None, js=TOGGLE_THEME, api_visibility="private")


def page_of(request: gr.Request) -> str:
    return str(request.session_hash or "")


def known_view(page: Page, name: str, run: str) -> View:
    """The page's view of `run`; rebuilt from the run where the server has forgotten it."""
    view = page.viewers.get(name)
    if view.options and view.run == run:
        return view
    if not run:
        return page.viewers.change(name, run="", chosen=None)
    info = page.session.run_info(run)
    options = view.options or sweep.first_options(info["card"], info["spec"])
    return page.viewers.change(name, run=run, options=options, chosen=None)


def opened(page: Page, name: str, card: Mapping[str, Any], info: Mapping[str, Any] | None) -> list[Any]:
    """All values of the page for a card, and for a run where one is attached."""
    spec = info["spec"] if info else None
    run = str(info["run"]) if info else ""
    view = page.viewers.change(name, run=run, options=sweep.first_options(card, spec), chosen=None, compared=None)
    preset = card["presets"][sweep.DEFAULT]
    label = sweep.metric_label(view.options)
    shown = (
        board.show(page.session, view)
        if run
        else board.show_empty(preset["feature_factors"], preset["learning_rates"], label)
    )
    form = sweep.form_values(card, spec)
    return [
        card["checkpoint"],
        run,
        build_model_chip(card),
        load.build_health(card),
        load.offer(card, info),
        compare.first_sentences(card),
        *(form.get(field, gr.skip()) for field in sweep.FORM_FIELDS),
        compare.build_note(compare.WAITING),
        *painted(shown, loaded=True),
    ]


def painted(shown: board.Shown, loaded: bool, last_state: str | None = None) -> list[Any]:
    """Values for `Page.board_outputs`; buttons are left alone while the state stays the same."""
    can_export = shown.run_chip["attributes"].get("data-done", 0) > 0
    if last_state == shown.state and not can_export:
        return [*board.values(shown), *[gr.skip()] * 5]
    return [*board.values(shown), *sweep.button_states(shown.state, loaded), gr.update(interactive=can_export)]


def wire_open(page: Page, blocks: gr.Blocks) -> None:
    everything = [
        page.checkpoint, page.run, page.model_chip, page.load.health, page.load.open_finished,
        page.compare.sentences, *page.form_inputs, page.compare.answers, *page.board_outputs,
    ]  # fmt: skip
    unchanged = [gr.skip()] * (len(everything) - 1)

    def open_source(source: str, request: gr.Request) -> list[Any]:
        with for_people():
            return opened(page, page_of(request), load.load_card(page.session, source), None)

    def open_finished(checkpoint: str, request: gr.Request) -> list[Any]:
        with for_people():
            info = load.open_finished(page.session, checkpoint)
            return opened(page, page_of(request), info["card"], info)

    def open_page(request: gr.Request) -> list[Any]:
        run = request.query_params.get("run", "")
        if run:
            try:
                info = page.session.run_info(run)
                return opened(page, page_of(request), info["card"], info)
            except GradiendUIError as error:
                gr.Warning(UNKNOWN_RUN.format(reason=error), title="Unknown sweep", duration=20)
        try:
            card = load.load_card(page.session, page.session.about()["default_source"])
        except GradiendUIError as error:
            health = load.build_failure(str(error))
            return [value if k != 3 else health for k, value in enumerate([gr.skip(), *unchanged])]
        return opened(page, page_of(request), card, None)

    def list_runs() -> dict[str, Any]:
        return load.build_runs([] if page.session.about()["public"] else page.session.runs())

    def open_demo(request: gr.Request) -> list[Any]:
        return open_source(load.DEMO, request)

    def estimate(checkpoint: str, *values: Any) -> dict[str, Any]:
        card = page.session.card(checkpoint) if checkpoint else None
        return sweep.build_estimate(sweep.Form(*values), card)

    def leave(request: gr.Request) -> None:
        page.viewers.forget(page_of(request))

    opening = [
        blocks.load(open_page, None, everything, **QUIET),
        page.load.load.click(open_source, page.load.source, everything, **QUIET),
        page.load.source.submit(open_source, page.load.source, everything, **QUIET),
        page.load.demo.click(open_demo, None, everything, **QUIET),
        page.load.open_finished.click(open_finished, page.checkpoint, everything, **QUIET),
    ]
    for event in opening:
        then = event.success(None, page.run, None, js=PUT_RUN_IN_URL, api_visibility="private")
        then.success(estimate, [page.checkpoint, *page.form_inputs], page.run_buttons.estimate, **AT_ONCE)
        follow_after(page, then)
    blocks.load(None, js=RESTORE_THEME, api_visibility="private")
    blocks.load(list_runs, None, page.load.runs, **AT_ONCE)
    blocks.unload(leave)


def follow_after(page: Page, event: Any) -> None:
    """Watch the page's run once `event` has succeeded."""

    async def follow_run(run: str, request: gr.Request) -> AsyncIterator[list[Any]]:
        yield [gr.skip()] * len(page.board_outputs)
        if not run:
            return
        name, last_state = page_of(request), None
        try:
            known_view(page, name, run)
        except GradiendUIError:
            return
        async for shown in board.follow(page.session, page.viewers, name, run):
            yield painted(shown, loaded=True, last_state=last_state)
            last_state = shown.state

    event.success(follow_run, page.run, page.board_outputs, **QUIET)


def wire_form(page: Page) -> None:
    def change_options(checkpoint: str, run: str, request: gr.Request, *values: Any) -> list[Any]:
        with for_people():
            form = sweep.Form(*values)
            view = page.viewers.change(page_of(request), run=run, options=sweep.read_options(form))
            if run:
                return painted(board.show(page.session, view), loaded=True)
            return preview(checkpoint, form)

    def preview(checkpoint: str, form: sweep.Form) -> list[Any]:
        if not checkpoint:
            return [gr.skip()] * len(page.board_outputs)
        factors, rates = sweep.read_grid(form, page.session.card(checkpoint))
        return painted(board.show_empty(factors, rates, sweep.metric_label(sweep.read_options(form))), loaded=True)

    def change_grid(checkpoint: str, run: str, *values: Any) -> list[Any]:
        form = sweep.Form(*values)
        typed = gr.update(visible=form.preset == sweep.TYPED)
        card = page.session.card(checkpoint) if checkpoint else None
        estimate = sweep.build_estimate(form, card)
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
            form = sweep.Form(*values)
            run = sweep.start(page.session, checkpoint, form)
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
    follow_after(page, started.success(None, page.run, None, js=PUT_RUN_IN_URL, api_visibility="private"))
    follow_after(page, buttons.resume.click(resume, page.run, None, **QUIET))
    buttons.pause.click(pause, page.run, None, **QUIET)
    buttons.stop.click(stop, page.run, None, **QUIET)


def wire_cells(page: Page) -> None:
    def select(run: str, event: gr.SelectData, request: gr.Request) -> list[Any]:
        name = page_of(request)
        with for_people():
            known_view(page, name, run)
            view = board.choose(page.viewers, name, event.value)
            if not run:
                return [gr.skip(), gr.skip()]
            shown = board.show(page.session, view)
            return [shown.row_chart, shown.reason]

    def select_in_row(event: gr.SelectData) -> Any:
        return gr.update(goto=[int(event.index[0]), int(event.index[1]), time.time()])

    def select_best() -> Any:
        return gr.update(goto=["best", time.time()])

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

    shown = page.board
    ask = {"fn": answer, "inputs": [page.run, page.compare.sentences], "outputs": page.compare.answers}
    shown.maps.select(select, page.run, [shown.row_chart, shown.reason], **EVERY).then(**ask, **AT_ONCE)
    shown.row_chart.select(select_in_row, None, shown.maps, **EVERY)
    shown.best.click(select_best, None, shown.maps, **AT_ONCE)
    page.compare.sentences.change(**ask, **NEWEST)


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
    made.success(None, None, None, js=export.CLICK_HIDDEN, api_visibility="private")
