"""Showing a run and watching it: what every step's listeners use to repaint the board. Starts no work."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.server.door.roles import KEYLESS, WATCHER, ring_of
from gradiend_ui.server.door.visitors import Asker
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.refusals import toast
from gradiend_ui.ui.kit.status import build_run_chip
from gradiend_ui.ui.kit.viewer import View
from gradiend_ui.ui.page.page import Page
from gradiend_ui.ui.sweep import control
from gradiend_ui.ui.sweep import panel as sweep

QUIET: dict[str, object] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "show_progress_on": [],  # else each event updates every component that was ever an output, some 100 ms each time
    "concurrency_limit": None,
}
AT_ONCE: dict[str, object] = {**QUIET, "queue": False}
NEWEST: dict[str, object] = {**AT_ONCE, "trigger_mode": "always_last"}
EVERY: dict[str, object] = {**AT_ONCE, "trigger_mode": "multiple"}
NUMBERED = """(_, ...values) => [globalThis.gradiendPage.next(), ...values]"""
"""The first of the inputs becomes the number of the question among those of the page: see `order_of`."""
WITH_HELD = """(_, ...values) => [document.querySelector('#maps [data-held]')?.dataset.held || '', ...values]"""
"""The first of the inputs becomes the version of the tables that the maps hold: these need not be sent again."""
WITH_KEY = """(run, _, ...values) => [run, globalThis.gradiendPage.keyOf(run), ...values]"""
"""The second of the inputs becomes the key that this browser keeps for the run."""
WITH_RING = """(run, _, ...values) => [run, globalThis.gradiendPage.ring(), ...values]"""
"""The second becomes {run: key} of all that it keeps, as JSON."""
KEEP_KEY = """(run, key) => { if (run && key) globalThis.gradiendPage.keep(run, key); }"""
DROP_KEY = """(unfit) => {
  const at = unfit.indexOf(' ');
  if (at > 0) globalThis.gradiendPage.drop(unfit.slice(0, at), unfit.slice(at + 1));
}"""


def order_of(page: Page, request: gr.Request, nth: object) -> tuple[int, float]:
    """The order of the answer to a question: when what the page shows was opened, then the number that `NUMBERED` gave
    it, 0 where it gave none."""
    try:
        number = float(str(nth))
    except ValueError:
        number = 0.0
    return page.viewers.known(page_of(request)).opened, number if math.isfinite(number) else 0.0


def page_of(request: gr.Request) -> str:
    return str(request.session_hash or "")


def asker_of(page: Page, request: gr.Request, key: object = "", ring: object = "") -> Asker:
    """Who presses, with the key or the keys that their browser sent."""
    return page.visitors.asker(request, key, ring_of(ring))


def role_noted(page: Page, request: gr.Request, run: str, asker: Asker) -> View:
    """The page's view once it is noted what the page is to the run. Raises NotFound, NotAllowed."""
    role = page.session.role(run, asker) if run else ""
    return page.viewers.change(page_of(request), run=run, role=role, owner=asker.owner)


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


def painted(
    shown: board.Shown, loaded: bool, page: Page, last_state: str | None = None, controls: bool = True
) -> list[object]:
    """Values for `Page.board_outputs`; buttons are left alone while the state stays the same.

    controls: whether the page may control the run, as far as it has shown.
    """
    done = shown.run_chip["attributes"].get("data-done")
    can_export = isinstance(done, int) and done > 0
    if last_state == shown.state and not can_export:
        return [*board.values(shown), *[gr.skip()] * 5]
    buttons = sweep.button_states(shown.state, loaded, page.words, controls)
    return [*board.values(shown), *buttons, gr.update(interactive=can_export)]


def without_run(page: Page) -> list[object]:
    """Values for `Page.board_outputs` once the run is gone: its picture stays, the chip and the buttons know."""
    chip, buttons = build_run_chip(None, page.words), sweep.button_states("", True, page.words)
    known = {id(page.board.run_chip): chip}
    shown = [known.get(id(output), gr.skip()) for output in board.outputs(page.board)]
    return [*shown, *buttons, gr.update(interactive=False)]


def follow_after(page: Page, event: Dependency) -> Dependency:
    """Watch the page's run once `event` has succeeded; gives the event of the run's end."""

    async def follow_run(run: str, request: gr.Request) -> AsyncIterator[list[object]]:
        nothing = [gr.skip()] * len(page.board_outputs)
        yield nothing
        if not run:
            return
        name, last_state = page_of(request), None
        try:
            known_view(page, name, run)
        except GradiendUIError:
            return
        try:
            async for shown in board.follow(page.session, page.viewers, name, run, page.words):
                yield painted(shown, True, page, last_state, page.viewers.get(name).controls)
                last_state = shown.state
        except NotFound as error:
            gr.Warning(toast(page.words.of(error)), title=page.words("page.sweep_gone"))
            yield without_run(page)
        yield nothing  # Gradio shows the last yield again when this ends, which may be after a newer follower began

    ended = event.success(follow_run, page.run, page.board_outputs, **QUIET)
    page.run_ends.append(ended)
    return ended


def claim_after(page: Page, event: Dependency) -> Dependency:
    """Show what the page is to its run, once `event` has succeeded; gives the next event."""
    return claimed_by(page, event.success)


def claimed_by(page: Page, event: Callable[..., Dependency]) -> Dependency:
    """The same for a listener (`success`, `click`) that has no function yet. A key that does not fit is given up."""
    widgets = page.run_buttons.control
    outputs = [*claim_outputs(page), widgets.unfit]
    claimed = event(claimer(page), [page.run, widgets.key], outputs, js=WITH_KEY, **QUIET)
    claimed.success(None, widgets.unfit, None, js=DROP_KEY, api_visibility="private")
    return claimed


def claimer(page: Page) -> Callable[[str, str, gr.Request], list[object]]:
    """The function that shows a key of the page's browser and fills `claim_outputs` and the key that does not fit."""

    def claim(run: str, key: str, request: gr.Request) -> list[object]:
        try:
            view = role_noted(page, request, run, asker_of(page, request, key))
            state = page.session.revision(run)[1] if run else ""
        except NotFound:  # deleted meanwhile: the follower says so
            return [gr.skip()] * (len(claim_outputs(page)) + 1)
        except GradiendUIError:  # a key that is none
            return [*control.shown_values(WATCHER, run, page.words, unfit=True), *[gr.skip()] * 3, f"{run} {key}"]
        unfit = bool(key) and view.role in (WATCHER, KEYLESS)
        return [*claimed_values(page, view, run, state, unfit=unfit), f"{run} {key}" if unfit else ""]

    return claim


def claim_outputs(page: Page) -> list[Block]:
    buttons = page.run_buttons
    return [*control.shown_outputs(buttons.control), buttons.pause, buttons.resume, buttons.stop]


def claimed_values(page: Page, view: View, run: str, state: str, *, unfit: bool = False) -> list[object]:
    """Values for `claim_outputs`. unfit: whether a key was shown that does not fit."""
    buttons = sweep.button_states(state, True, page.words, view.controls)[1:]
    return [*control.shown_values(view.role, run, page.words, unfit=unfit), *buttons]
