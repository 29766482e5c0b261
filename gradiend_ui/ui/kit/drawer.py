"""A wide panel above the page for what needs room: closed until asked for, closed again by Escape.

Opening and closing happen in the browser (assets/page.js). Knows nothing of what lies inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from gradio.events import Dependency

from gradiend_ui.ui.kit.tree import Tree, node
from gradiend_ui.ui.kit.words import Words


@contextmanager
def drawer(name: str, title: str, words: Words) -> Iterator[None]:
    """Lay out inside of it: `with drawer("data", words("data.title"), words): ...`."""
    with gr.Column(elem_id=f"drawer-{name}", elem_classes="drawer panel"):
        with gr.Row(elem_classes="drawer-head"):
            Tree(node("h2", title, tabindex="-1"), elem_classes="panel-title")
            close = gr.Button(words("page.close"), size="sm", elem_classes="drawer-close", min_width=0)
        close.click(None, js="() => globalThis.gradiendPage.closeDrawer()", api_visibility="private")
        yield


def opens(button: gr.Button, name: str) -> Dependency:
    """Let a button open the drawer `name`; gives the event, for what has to be filled in then."""
    return button.click(None, js=f"() => globalThis.gradiendPage.openDrawer('{name}')", api_visibility="private")
