"""Step 4, Export: the selected cell as a checkpoint to download.

Knows where downloads lie, not how weights are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.figures.numbers import cell_name
from gradiend_ui.ui.downloads import shelve
from gradiend_ui.ui.drawer import drawer
from gradiend_ui.ui.tree import Node, Tree, node
from gradiend_ui.ui.words import Words

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

HINT = "The rewritten model as a zip: weights, tokenizer and model card; loads with transformers."
NO_CELL = "There is no cell to export yet. Start a sweep, or select a cell of the grid."
KIND = "checkpoint"
HIDDEN_ID = "export-file"


EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class ExportWidgets:
    button: gr.Button
    file: gr.DownloadButton
    note: Tree


@dataclass(frozen=True)
class ExportDrawerWidgets:
    card: Tree


def build_drawer(words: Words) -> ExportDrawerWidgets:
    with drawer("card", words("export.card"), words):
        return ExportDrawerWidgets(card=Tree(node("p"), elem_id="card-preview"))


def build(words: Words) -> ExportWidgets:
    with gr.Column(elem_id="step-export", elem_classes="panel"):
        Tree(node("h2", "Export"), elem_classes="panel-title")
        note = Tree(build_note(HINT), elem_id="export-note")
        button = gr.Button("Export this cell", variant="primary", interactive=False, elem_id="export")
        file = gr.DownloadButton(visible="hidden", elem_id=HIDDEN_ID)
    return ExportWidgets(button=button, file=file, note=note)


def opened_outputs(widgets: ExportWidgets) -> list[Any]:
    return [widgets.note]


def opened_values(card: Mapping[str, Any], info: Mapping[str, Any] | None, words: Words) -> list[Any]:
    return [build_note(HINT)]


def build_note(sentence: str, kind: str = "quiet") -> Node:
    return node("p", sentence, cls=f"export-note {kind}", role="status")


def build_working(cell: Mapping[str, float]) -> Node:
    return build_note(f"Building the checkpoint of {_name(cell)}…", "working")


def build_done(path: str) -> Node:
    return build_note(f"Downloaded {Path(path).name} ({Path(path).stat().st_size / 1e6:.1f} MB).", "good")


def export(session: Session, run: str, cell: Mapping[str, float] | None, part: str | None = None) -> str:
    """Make the zip of `cell` and give the path of its downloadable copy."""
    if not run or cell is None:
        raise NotFound(NO_CELL)
    options: dict[str, Any] = {**cell, "kind": KIND}
    if part:
        options["part"] = part
    return shelve(session.export(run, options))


def part_of(session: Session, run: str) -> str | None:
    return session.run_info(run)["spec"].get("part") if run else None


def _name(cell: Mapping[str, float]) -> str:
    return cell_name(cell["feature_factor"], cell["learning_rate"])
