"""Listeners of the list of sweeps."""

from __future__ import annotations

from typing import Any

import gradio as gr

from gradiend_ui.ui.following import AT_ONCE
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.runs import panel as runs


def wire_runs(page: Page, blocks: gr.Blocks) -> None:
    def list_runs() -> dict[str, Any]:
        return runs.build_runs([] if page.session.about()["public"] else page.session.runs(), page.words)

    blocks.load(list_runs, None, page.runs.list, **AT_ONCE)
