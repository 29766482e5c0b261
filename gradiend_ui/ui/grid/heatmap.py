"""The clickable maps: a custom component without a build step, drawn by the scripts of this folder with the local
plotly.js.

One component holds all linked maps with the line above them, so that one message paints them and one selection serves
them. Its value is the payload of `figures.heatmap`; `goto` moves the selection from Python; `texts` are the words of
the page's language. Knows nothing of runs or sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import gradio as gr

from gradiend_ui.ui.kit.routes import PLOTLY_URL
from gradiend_ui.ui.kit.tree import as_json

HERE = Path(__file__).parent
PLOTLY_HEAD = f'<script src="{PLOTLY_URL}"></script>'
SCRIPTS = (
    "heatmap.js",
    "heatmap_figure.js",
    "heatmap_words.js",
    "heatmap_grid.js",
    "heatmap_table.js",
    "heatmap_bar.js",
    "heatmap_mount.js",
)
TEMPLATE = """
<div class="grid-bar"><h2></h2><fieldset class="shows"></fieldset>
<details class="save"><summary></summary><ul class="save-menu"></ul></details>
<button type="button" class="best" id="best"></button></div>
<div class="matrix-scale"></div>
<div class="maps"></div>
<div class="below"><div class="legend"></div><details class="twin"><summary></summary>
<div class="scroll" tabindex="0" role="region"><table></table></div></details></div>
<div class="tip" role="presentation" hidden></div>
<div class="spoken" role="status"></div>
"""


def plot_script(*files: str, mount: str) -> str:
    """The body that Gradio runs once per mount: shared helpers, the component's own functions, one call."""
    sources = [(HERE / file).read_text(encoding="utf-8") for file in ("plotting.js", *files)]
    return "\n".join([*sources, f"{mount}(element, props, trigger, watch);"])


class Picked(TypedDict, total=False):
    """What a `select` of the maps tells: the cell, how it came about, the picture's revision, the page's count."""

    feature_factor: float
    learning_rate: float
    how: str
    rev: int
    nth: float


class Heatmap(gr.HTML):
    """Its events carry plain values.

    `select`: `index` [row, column] and `value` {feature_factor, learning_rate, how, rev}; `input`: {shows, held}, what
    the maps are to show and the version of the tables they have; `submit`: {format}, the file of all cells that is
    asked for; `apply`: {feature_factor, learning_rate}, a skipped cell that is to be scored.
    """

    def __init__(
        self,
        value: Mapping[str, object] | None = None,
        *,
        goto: list[str | float] | None = None,
        texts: dict[str, str] | None = None,
        **keywords: object,
    ) -> None:
        super().__init__(
            value=value,
            html_template=TEMPLATE,
            js_on_load=plot_script(*SCRIPTS, mount="mountHeatmap"),
            head=PLOTLY_HEAD,
            apply_default_css=False,
            goto=goto,
            texts=texts,
            **keywords,
        )
        self.goto = goto  # else Gradio takes the name for an event, since the script has it in quotes, and prints that

    def postprocess(self, value: Mapping[str, object] | None) -> str | None:
        return as_json(value)

    def api_info(self) -> dict[str, str]:
        return {"type": "string", "description": "payload of the linked maps as JSON"}
