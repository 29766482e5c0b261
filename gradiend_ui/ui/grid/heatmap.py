"""The clickable maps: a custom component without a build step, drawn by heatmap.js with the local plotly.js.

One component holds all linked maps, so that one message paints them and one selection serves them. Its value is the
payload of `figures.maps`; `goto` moves the selection from Python. Knows nothing of runs or sessions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from gradiend_ui.ui.routes import PLOTLY_URL
from gradiend_ui.ui.tree import as_json

HERE = Path(__file__).parent
PLOTLY_HEAD = f'<script src="{PLOTLY_URL}"></script>'
TEMPLATE = """
<div class="maps"></div>
<details class="twin"><summary>Table of all cells</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Table of all cells"><table></table></div></details>
<div class="tip" role="presentation" hidden></div>
<div class="spoken" aria-live="polite"></div>
"""


def plot_script(*files: str, mount: str) -> str:
    """The body that Gradio runs once per mount: shared helpers, the component's own functions, one call."""
    sources = [(HERE / file).read_text(encoding="utf-8") for file in ("plotting.js", *files)]
    return "\n".join([*sources, f"{mount}(element, props, trigger, watch);"])


class Heatmap(gr.HTML):
    """`select` events carry `index` [row, column] and `value` {feature_factor, learning_rate, how, rev}."""

    def __init__(self, value: dict[str, Any] | None = None, *, goto: list[Any] | None = None, **keywords: Any) -> None:
        super().__init__(
            value=value,
            html_template=TEMPLATE,
            js_on_load=plot_script("heatmap.js", "heatmap_mount.js", mount="mountHeatmap"),
            head=PLOTLY_HEAD,
            apply_default_css=False,
            goto=goto,
            **keywords,
        )

    def postprocess(self, value: dict[str, Any] | None) -> str | None:
        return as_json(value)

    def api_info(self) -> dict[str, Any]:
        return {"type": "string", "description": "payload of the linked maps as JSON"}
