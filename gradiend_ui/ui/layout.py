"""The page as a table of contents: header, steps, three columns, drawers. `build_app` makes it, `launch_options` serves
it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr
from gradio.blocks import BlockFunction

from gradiend_ui.server.door.addresses import bracketed
from gradiend_ui.server.door.gate import Doors
from gradiend_ui.server.door.raw_calls import Called, Functions
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui import api
from gradiend_ui.ui.compare import panel as compare
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.grid.board import BoardWidgets
from gradiend_ui.ui.grid.heatmap import Heatmap
from gradiend_ui.ui.grid.reason import build_reason
from gradiend_ui.ui.grid.row_chart import RowChart
from gradiend_ui.ui.kit.refusals import guard
from gradiend_ui.ui.kit.routes import app_kwargs, page_head
from gradiend_ui.ui.kit.status import build_model_chip, build_run_chip, build_steps
from gradiend_ui.ui.kit.tree import Node, Tree, facts, node
from gradiend_ui.ui.kit.upload_button import offered
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.kit.words import Words, address_of, languages, next_language
from gradiend_ui.ui.listeners.all import wire
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.page.page import HeaderWidgets, Page
from gradiend_ui.ui.runs import panel as runs
from gradiend_ui.ui.sweep import panel as sweep

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

TITLE = "GRADIEND"
FONTS = ["Plex", "ui-sans-serif", "system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]
KEEP_FILES = (3600, 24 * 3600)
GRID_FILE = "grid-file"
MOST_PAGES = 5000
MOST_EVENTS = 256
"""Events that may wait in Gradio's queue; one more is refused in a sentence."""
QUEUE_PAUSE = 0.02
"""Seconds between two looks of Gradio's queue at what came in. Its own millisecond costs 5 % of a core, always."""
GLOSSARY = ("feature_factor", "learning_rate", "probability", "kept")
EXPLAINED = {
    **load.EXPLAINED,
    **data.EXPLAINED,
    **sweep.EXPLAINED,
    **compare.EXPLAINED,
    **export.EXPLAINED,
    **runs.EXPLAINED,
}


def build_app(session: Session, visitors: Visitors | None = None) -> gr.Blocks:
    """The page in English at `/`, in each other language at its code (`/de`), all wired to `session`; the API belongs
    to the first.

    visitors: who is who; None for one person.
    """
    visitors = visitors or Visitors(public=False)
    viewers = Viewers(visitors.open_pages)
    first, *others = languages()
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=KEEP_FILES) as blocks:
        api.register(session, visitors)
        wire(_build_page(session, viewers, visitors, Words(first)), blocks)
    for words in map(Words, others):
        with blocks.route(words("page.language"), f"/{address_of(words.language)}"):
            wire(_build_page(session, viewers, visitors, words), blocks)
    guard(blocks, visitors)
    api.let_keys_be_left_out(blocks)
    blocks.queue(max_size=MOST_EVENTS, api_open=not session.about()["public"])
    blocks._queue.sleep_when_free = QUEUE_PAUSE
    return blocks


def _build_page(session: Session, viewers: Viewers, visitors: Visitors, words: Words) -> Page:
    """The widgets of one page: header, its three columns, the drawers."""
    gr.Navbar(visible=False)
    run = gr.Textbox(visible=False, elem_id="run-id")
    header = _build_header(words)
    with gr.Row(elem_id="columns", equal_height=False):
        with gr.Column(elem_id="left", min_width=0):
            load_widgets = load.build(words, session.about()["allows_paths"])
            data_widgets = data.build(words)
            form, run_buttons = sweep.build(words)
        with gr.Column(elem_id="middle", min_width=0):
            maps, row_chart, grid_file = _build_maps(words)
            compare_widgets = compare.build(words)
        with gr.Column(elem_id="right", min_width=0):
            reason = _build_reason(words)
            export_widgets = export.build(words)
            Tree(_glossary(words), elem_id="help")
    return Page(
        session=session,
        viewers=viewers,
        visitors=visitors,
        words=words,
        checkpoint=gr.State(""),
        run=run,
        header=header,
        load=load_widgets,
        data=data_widgets,
        data_drawer=data.build_drawer(words, session.about()),
        form=form,
        run_buttons=run_buttons,
        board=BoardWidgets(maps, row_chart, reason, header.run_chip, header.steps, grid_file),
        compare=compare_widgets,
        export=export_widgets,
        export_drawer=export.build_drawer(words, session.about()),
        runs=runs.build_drawer(words),
    )


def _build_header(words: Words) -> HeaderWidgets:
    with gr.Column(elem_id="top"):
        with gr.Row(elem_id="header"):
            title = node("h1", words("page.title")), node("span", words("page.subtitle"), cls="subtitle")
            Tree(node("div", *title), elem_id="title")
            model_chip = Tree(build_model_chip(None, words), elem_id="model-chip")
            run_chip = Tree(build_run_chip(None, words), elem_id="run-chip")
        with gr.Row(elem_id="steps-row"):
            steps = Tree(build_steps(words, loaded=False, state="", has_cells=False), elem_id="steps")
            sweeps = gr.Button(words("page.sweeps"), size="sm", elem_id="open-runs", min_width=0)
            other = Words(next_language(words.language))
            language = gr.Button(other("page.language"), size="sm", elem_id="language", min_width=0)
            theme = gr.Button(words("page.theme"), size="sm", elem_id="theme", min_width=0)
        Tree(_help_texts(words), elem_id="help-texts")
    return HeaderWidgets(model_chip, run_chip, steps, sweeps, language, theme)


def _help_texts(words: Words) -> Node:
    """One line per widget of Gradio that is explained on hover; assets/page.js ties them to their labels."""
    lines = (node("span", words.help(key), data_for=widget) for widget, key in sorted(EXPLAINED.items()))
    return node("div", *lines, *offered({**load.ACCEPTED, **data.ACCEPTED}), hidden="hidden")


def _glossary(words: Words) -> Node:
    pairs = ((words(f"grid.{name}"), words(f"grid.{name}_short")) for name in GLOSSARY)
    return node("div", node("h3", words("grid.how_to_read")), facts(*pairs))


def _build_maps(words: Words) -> tuple[Heatmap, RowChart, gr.DownloadButton]:
    texts = words.section("grid")
    with gr.Column(elem_id="grid", elem_classes="panel"):
        maps = Heatmap(elem_id="maps", texts=texts)
        row_chart = RowChart(elem_id="row-chart", texts=texts)
        grid_file = gr.DownloadButton(visible="hidden", elem_id=GRID_FILE)
    return maps, row_chart, grid_file


def _build_reason(words: Words) -> Tree:
    with gr.Column(elem_id="why", elem_classes="panel"):
        Tree(node("h2", words("grid.why")), elem_classes="panel-title")
        return Tree(build_reason(None, {}, None, words), elem_id="reason")


def launch_options(
    session: Session, blocks: gr.Blocks, host: str, visitors: Visitors, allowed: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Keyword arguments for `Blocks.launch`, beside port and what only the server's owner decides.

    allowed: further names that a local server answers to.
    """
    public = [function for function in blocks.fns.values() if function.api_visibility == "public"]
    doors = Doors(
        public=session.about()["public"],
        host=host,
        quotas=session.quotas,
        names=frozenset(str(function.api_name) for function in public),
        functions=frozenset(function._id for function in public),
        uploads_dir=str(session.downloads_dir.parent),
        allowed=allowed,
        calls=functions_of(blocks),
        pages=frozenset(f"/{address_of(language)}" for language in languages()),
    )
    return {
        "server_name": bracketed(host),
        "max_file_size": session.quotas.upload_bytes,
        "quiet": True,
        "show_error": False,  # of errors that are no `gr.Error`: internals
        "max_threads": 200,
        "state_session_capacity": MOST_PAGES,
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "share": False,
        "footer_links": [],
        "head": page_head(),
        "theme": build_theme(),
        "app_kwargs": app_kwargs(doors, visitors),
    }


def functions_of(blocks: gr.Blocks) -> Functions:
    """How each function of the built page is called, for the gate."""
    described = blocks.get_api_info()["named_endpoints"]
    queue = blocks._queue

    def called(function: BlockFunction) -> Called:
        parameters = described.get(f"/{function.api_name}", {}).get("parameters", [])
        return Called(
            name=str(function.api_name or function._id),
            inputs=len(function.inputs),
            arguments=tuple(item["parameter_name"] for item in parameters),
            optional=frozenset(item["parameter_name"] for item in parameters if item["parameter_has_default"]),
            runs=function.fn is not None,
        )

    def event_waits(event: str) -> bool:
        return any(event in events for events in list(queue.pending_event_ids_session.values()))

    return Functions(
        by_number={number: called(function) for number, function in blocks.fns.items()},
        numbers={str(f.api_name): f._id for f in blocks.fns.values() if f.api_visibility == "public"},
        page_waits=lambda page: page in queue.pending_messages_per_session,
        event_waits=event_waits,
    )


def build_theme() -> gr.themes.Base:
    """Gradio's own widgets in the page's colours; the colours themselves are variables of the style sheet."""
    sizes = gr.themes.sizes
    return gr.themes.Base(
        text_size=sizes.text_sm, spacing_size=sizes.spacing_sm, radius_size=sizes.radius_sm, font=FONTS, font_mono=MONO
    )
