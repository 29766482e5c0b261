"""The selected row as lines over the learning rate, drawn by row_chart.js with the local plotly.js.

Its value is the payload of `figures.heatmap`; `texts` are the words of the page's language. `gr.Plot` would re-create
its SVG on every update. Knows no metric.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from gradiend_ui.ui.grid.heatmap import PLOTLY_HEAD, plot_script
from gradiend_ui.ui.kit.tree import as_json

TEMPLATE = """
<div class="row-head"><h3 class="row-title"></h3><div class="legend"></div></div>
<div class="row-frame"><div class="row-plot"></div><p class="row-empty quiet" hidden></p></div>
"""


class RowChart(gr.HTML):
    """`select` events carry `index` [row, column] of the clicked learning rate."""

    def __init__(
        self, value: Mapping[str, object] | None = None, *, texts: dict[str, str] | None = None, **keywords: object
    ) -> None:
        super().__init__(
            value=value,
            html_template=TEMPLATE,
            js_on_load=plot_script("row_chart.js", mount="mountRowChart"),
            head=PLOTLY_HEAD,
            apply_default_css=False,
            texts=texts,
            **keywords,
        )

    def postprocess(self, value: Mapping[str, object] | None) -> str | None:
        return as_json(value)

    def api_info(self) -> dict[str, str]:
        return {"type": "string", "description": "payload of the row chart as JSON"}
