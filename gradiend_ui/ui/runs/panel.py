"""Earlier sweeps: the widgets of the drawer with the runs of this data folder. Knows no grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.server.runs import LONGEST_NAME, LONGEST_NOTE
from gradiend_ui.ui.kit.drawer import drawer
from gradiend_ui.ui.kit.tree import Tree, node
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.runs.listing import build_loading, build_status

EXPLAINED = {"run-name": "runs.name", "run-note": "runs.note"}
"""Widget id: the text that explains it."""
PAGE_OF_RUNS = 20


class Hand(TypedDict, total=False):
    """What a page has in hand: the run asked about, the one being named, those side by side, which number of them is
    shown (None: the one that the page's question is about), how many are listed. A page has all of it."""

    asked: str
    editing: str
    pair: list[str]
    number: int | None
    most: int


FIRST: Hand = {"asked": "", "editing": "", "pair": [], "number": None, "most": PAGE_OF_RUNS}
"""What a page begins with."""
OPEN_ID, CSV_ID = "open-listed-run", "pair-csv-file"


@dataclass(frozen=True)
class RunsWidgets:
    """`hand` is `FIRST` as changed. `wanted` is what the browser does next: "run:<id>" or "card:<checkpoint>" presses
    the hidden button `open`, "form" goes to the form, "" is nothing."""

    list: Tree
    status: Tree
    pair: Tree
    csv: gr.Button
    csv_file: gr.DownloadButton
    form: gr.Column
    name: gr.Textbox
    note: gr.Textbox
    save: gr.Button
    cancel: gr.Button
    hand: gr.State
    wanted: gr.Textbox
    open: gr.Button


def build_drawer(words: Words) -> RunsWidgets:
    with drawer("runs", words("runs.title"), words):
        hand = gr.State(FIRST)
        wanted = gr.Textbox(visible=False, elem_id="runs-wanted")
        status = Tree(build_status(""), elem_id="runs-status")
        with gr.Column(visible=False, elem_id="runs-form") as form:
            name = gr.Textbox(label=words("runs.name"), max_length=LONGEST_NAME, max_lines=1, elem_id="run-name")
            note = gr.Textbox(
                label=words("runs.note"), max_length=LONGEST_NOTE, lines=2, max_lines=4, elem_id="run-note"
            )
            with gr.Row(elem_classes="buttons"):
                save = gr.Button(words("runs.save"), size="sm", variant="primary", elem_id="run-save")
                cancel = gr.Button(words("runs.cancel"), size="sm", elem_id="run-cancel")
        pair = Tree(node("div"), elem_id="runs-pair")
        csv = gr.Button(words("runs.csv"), size="sm", visible=False, elem_id="pair-csv", min_width=0)
        listed = Tree(build_loading(words), elem_id="runs")
        csv_file = gr.DownloadButton(visible="hidden", elem_id=CSV_ID)
        opens = gr.Button(visible="hidden", elem_id=OPEN_ID)
    return RunsWidgets(
        list=listed,
        status=status,
        pair=pair,
        csv=csv,
        csv_file=csv_file,
        form=form,
        name=name,
        note=note,
        save=save,
        cancel=cancel,
        hand=hand,
        wanted=wanted,
        open=opens,
    )


def shown_outputs(widgets: RunsWidgets) -> list[Block]:
    """What every action in the drawer repaints, in the order of the listeners' answers."""
    return [
        widgets.hand,
        widgets.list,
        widgets.status,
        widgets.pair,
        widgets.csv,
        widgets.form,
        widgets.name,
        widgets.note,
        widgets.wanted,
    ]
