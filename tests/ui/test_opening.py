"""What opening a model shows: each text of the page is newer than all that was asked of the model before."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest

from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui.kit.tree import Tree
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.layout import _build_page
from gradiend_ui.ui.page.opening import opened, opened_outputs
from tests.ui.conftest import RUN

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")


@pytest.mark.parametrize("with_run", [False, True])
def test_every_text_of_an_opened_model_is_newer_than_those_of_the_one_before(session, card, words, with_run) -> None:
    async def build():  # see `blocks` in test_app
        with gr.Blocks():
            return _build_page(session, Viewers(), Visitors(public=False), words)

    page = asyncio.run(build())
    info = session.run_info(RUN) if with_run else None
    before, after = (opened(page, "page", card, info) for _ in range(2))
    shown = list(zip(opened_outputs(page), before, after, strict=True))
    texts = [(first, second) for widget, first, second in shown if isinstance(widget, Tree) and "tag" in first]
    assert len(texts) > 3
    for first, second in texts:
        assert second["order"] > first["order"]
