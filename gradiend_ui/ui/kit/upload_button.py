"""Gradio's button for uploads, whose kinds of files the server looks at and not the page.

The page's own check would tell in English, and with the file's name as markup, what it refuses; so the page does not
know of it, and Gradio's check on the server answers in the page's language (see `refusals`). The browser offers
these kinds all the same: assets/page.js says which, by `offered`. Knows no step.
"""

from __future__ import annotations

import gradio as gr

from gradiend_ui.ui.kit.tree import Node, node


class UploadButton(gr.UploadButton):
    """As Gradio's; only its configuration for the page has no `file_types`."""

    def get_config(self, *arguments: object, **named: object) -> dict[str, object]:
        return {**super().get_config(*arguments, **named), "file_types": None}

    def get_block_name(self) -> str:
        return "uploadbutton"


def offered(buttons: dict[str, list[str]]) -> list[Node]:
    """For assets/page.js: which files a button of this id offers."""
    return [node("span", data_files_of=name, data_accept=",".join(kinds)) for name, kinds in sorted(buttons.items())]
