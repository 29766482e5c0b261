"""Step 4, Export: the selected cell as a checkpoint to download.

Knows where downloads lie, not how weights are made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.utils import get_upload_folder

from gradiend_ui.engine.errors import Failed, NotFound
from gradiend_ui.figures.numbers import cell_name
from gradiend_ui.ui.tree import Node, Tree, node

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

HINT = "The rewritten model as a zip: weights, tokenizer and model card; loads with transformers."
NO_CELL = "There is no cell to export yet. Start a sweep, or select a cell of the grid."
KIND = "checkpoint"
HIDDEN_ID = "export-file"
CLICK_HIDDEN = f"""() => {{
  const link = () => document.querySelector('#{HIDDEN_ID}') ;
  setTimeout(() => {{ (link().querySelector('a') || link()).click(); }}, 120);
}}"""


@dataclass(frozen=True)
class ExportWidgets:
    button: gr.Button
    file: gr.DownloadButton
    note: Tree


def build() -> ExportWidgets:
    with gr.Column(elem_id="step-export", elem_classes="panel"):
        Tree(node("h2", "Export"), elem_classes="panel-title")
        note = Tree(build_note(HINT), elem_id="export-note")
        button = gr.Button("Export this cell", variant="primary", interactive=False, elem_id="export")
        file = gr.DownloadButton(visible="hidden", elem_id=HIDDEN_ID)
    return ExportWidgets(button=button, file=file, note=note)


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


def shelve(path: str) -> str:
    """The same file under an unguessable folder of Gradio's download cache; a hard link where the disk allows it."""
    folder = Path(get_upload_folder()) / token_urlsafe(12)
    target = folder / Path(path).name
    try:
        folder.mkdir(parents=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    except OSError as error:
        raise Failed(
            f"The zip could not be put up for download: {error.strerror}. Free disk space and try again."
        ) from error
    return str(target)


def _name(cell: Mapping[str, float]) -> str:
    return cell_name(cell["feature_factor"], cell["learning_rate"])
