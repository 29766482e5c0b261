"""Everything on the page under one name: the widgets of all steps, the ids they share, the session and the viewers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.ui.board import BoardWidgets, outputs
from gradiend_ui.ui.compare import CompareWidgets
from gradiend_ui.ui.export import ExportWidgets
from gradiend_ui.ui.load import LoadWidgets
from gradiend_ui.ui.sweep import FORM_FIELDS, FormWidgets, RunWidgets
from gradiend_ui.ui.tree import Tree
from gradiend_ui.ui.viewer import Viewers

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session


@dataclass(frozen=True)
class Page:
    """`checkpoint` and `run` hold ids only."""

    session: Session
    viewers: Viewers
    checkpoint: gr.State
    run: gr.Textbox
    model_chip: Tree
    theme: gr.Button
    load: LoadWidgets
    form: FormWidgets
    run_buttons: RunWidgets
    board: BoardWidgets
    compare: CompareWidgets
    export: ExportWidgets

    @property
    def form_inputs(self) -> list[Any]:
        return [getattr(self.form, name) for name in FORM_FIELDS]

    @property
    def board_outputs(self) -> list[Any]:
        """The board, the four run buttons and the export button: what a follower repaints."""
        buttons = self.run_buttons
        return [*outputs(self.board), buttons.start, buttons.pause, buttons.resume, buttons.stop, self.export.button]
