"""Listeners of the step Load, and of the page itself when it opens. Callbacks: read values, one call, updates."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.following import QUIET, follow_after, page_of, show_run_in_url
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.opening import opened, opened_outputs
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.refusals import for_people
from gradiend_ui.ui.sweep.wiring import estimate_after


def wire_load(page: Page, blocks: gr.Blocks) -> None:
    everything = opened_outputs(page)

    def open_source(source: str, request: gr.Request) -> list[Any]:
        with for_people():
            return opened(page, page_of(request), load.load_card(page.session, source), None)

    def open_demo(request: gr.Request) -> list[Any]:
        return open_source(load.DEMO, request)

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
                gr.Warning(load.UNKNOWN_RUN.format(reason=error), title="Unknown sweep", duration=20)
        try:
            card = load.load_card(page.session, page.session.about()["default_source"])
        except GradiendUIError as error:
            health = load.build_failure(str(error))
            return [health if output is page.load.health else gr.skip() for output in everything]
        return opened(page, page_of(request), card, None)

    def leave(request: gr.Request) -> None:
        page.viewers.forget(page_of(request))

    for event in (
        blocks.load(open_page, None, everything, **QUIET),
        page.load.load.click(open_source, page.load.source, everything, **QUIET),
        page.load.source.submit(open_source, page.load.source, everything, **QUIET),
        page.load.demo.click(open_demo, None, everything, **QUIET),
        page.load.open_finished.click(open_finished, page.checkpoint, everything, **QUIET),
    ):
        after_opening(page, event)
    blocks.unload(leave)


def after_opening(page: Page, event: Any) -> None:
    """What follows once `event` has filled the page by `opening.opened`."""
    then = show_run_in_url(page, event)
    estimate_after(page, then)
    follow_after(page, then)
