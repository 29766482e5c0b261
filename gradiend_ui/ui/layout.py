"""The page as a table of contents: header, steps, three columns. `build_app` makes it, `launch_options` serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.ui import api, compare, export, load, sweep
from gradiend_ui.ui.board import BoardWidgets
from gradiend_ui.ui.heatmap import Heatmap
from gradiend_ui.ui.page import Page
from gradiend_ui.ui.reason import build_reason
from gradiend_ui.ui.routes import app_kwargs, page_head
from gradiend_ui.ui.row_chart import RowChart
from gradiend_ui.ui.status import build_model_chip, build_run_chip, build_steps
from gradiend_ui.ui.tree import Tree, facts, node
from gradiend_ui.ui.viewer import Viewers
from gradiend_ui.ui.wiring import wire

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

TITLE = "GRADIEND"
SUBTITLE = "find the best rewrite of a language model"
FONTS = ["Plex", "ui-sans-serif", "system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]
KEEP_FILES = (3600, 24 * 3600)
KEYS = (
    ("star", "best"),
    ("outline", "selected"),
    ("hatched", "below threshold"),
    ("faint", "provisional"),
    ("hollow", "not computed"),
    ("crossed", "failed"),
)
HELP_TITLE = "How to read the grid"
HELP = (
    ("feature factor", "The direction in which the model is pushed, and how far; the sign decides the class."),
    ("learning rate", "How strongly: the rewrite adds learning rate × decoder(feature factor) to the weights."),
    ("P(class)", "How probable the class's words are on the other class's sentences: the gain."),
    ("LMS / base", "How well neutral words are still predicted, relative to the base: 1 means no damage."),
)


def build_app(session: Session) -> gr.Blocks:
    """The whole page, wired to `session`."""
    about = session.about()
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=KEEP_FILES) as blocks:
        api.register(session)
        run = gr.Textbox(visible=False, elem_id="run-id")
        model_chip, run_chip, steps, theme = _build_header()
        with gr.Row(elem_id="bench", equal_height=False):
            with gr.Column(elem_id="left", min_width=0):
                load_widgets = load.build(about["allows_paths"])
                form, run_buttons = sweep.build()
            with gr.Column(elem_id="middle", min_width=0):
                maps, row_chart, best = _build_maps()
                compare_widgets = compare.build()
            with gr.Column(elem_id="right", min_width=0):
                reason = _build_reason()
                export_widgets = export.build()
                Tree(node("div", node("h3", HELP_TITLE), facts(*HELP)), elem_id="help")
        page = Page(
            session=session,
            viewers=Viewers(),
            checkpoint=gr.State(""),
            run=run,
            model_chip=model_chip,
            theme=theme,
            load=load_widgets,
            form=form,
            run_buttons=run_buttons,
            board=BoardWidgets(maps, row_chart, reason, run_chip, steps, best),
            compare=compare_widgets,
            export=export_widgets,
        )
        wire(page, blocks)
    return blocks


def _build_header() -> tuple[Tree, Tree, Tree, gr.Button]:
    with gr.Column(elem_id="top"):
        with gr.Row(elem_id="header"):
            Tree(node("div", node("h1", TITLE), node("span", SUBTITLE, cls="subtitle")), elem_id="title")
            model_chip = Tree(build_model_chip(None), elem_id="model-chip")
            run_chip = Tree(build_run_chip(None), elem_id="run-chip")
            theme = gr.Button("Dark / light", size="sm", elem_id="theme", min_width=0)
        steps = Tree(build_steps(loaded=False, state="", has_cells=False), elem_id="steps")
    return model_chip, run_chip, steps, theme


def _build_maps() -> tuple[Heatmap, RowChart, gr.Button]:
    with gr.Column(elem_id="grid", elem_classes="panel"):
        with gr.Row(elem_id="grid-head"):
            keys = (node("span", text, cls=f"cell-key {kind}") for kind, text in KEYS)
            Tree(node("div", node("h2", "Grid"), node("p", *keys, cls="legend")), elem_id="grid-title")
            best = gr.Button("Use best", size="sm", elem_id="best", min_width=0)
        maps = Heatmap(elem_id="maps")
        row_chart = RowChart(elem_id="row-chart")
    return maps, row_chart, best


def _build_reason() -> Tree:
    with gr.Column(elem_id="why", elem_classes="panel"):
        Tree(node("h2", "Why this cell?"), elem_classes="panel-title")
        return Tree(build_reason(None, {}, None), elem_id="reason")


def launch_options() -> dict[str, Any]:
    """Keyword arguments for `Blocks.launch`, beside host and port."""
    return {
        "quiet": True,
        "show_error": True,
        "max_threads": 200,
        "state_session_capacity": 500,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "share": False,
        "footer_links": [],
        "head": page_head(),
        "theme": build_theme(),
        "app_kwargs": app_kwargs(),
    }


def build_theme() -> gr.themes.Base:
    """Gradio's own widgets in the page's colours; the colours themselves are variables of the style sheet."""
    sizes = gr.themes.sizes
    return gr.themes.Base(
        text_size=sizes.text_sm, spacing_size=sizes.spacing_sm, radius_size=sizes.radius_sm, font=FONTS, font_mono=MONO
    )
