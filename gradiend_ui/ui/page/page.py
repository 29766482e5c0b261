"""Everything on the page under one name: the widgets of all steps, the ids they share, the session and the viewers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui.compare.panel import CompareWidgets
from gradiend_ui.ui.data.panel import DataDrawerWidgets, DataWidgets
from gradiend_ui.ui.export.panel import ExportDrawerWidgets, ExportWidgets
from gradiend_ui.ui.grid.board import BoardWidgets, outputs
from gradiend_ui.ui.kit.tree import Tree
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.load.panel import LoadWidgets
from gradiend_ui.ui.runs.panel import RunsWidgets
from gradiend_ui.ui.sweep.form import FORM_FIELDS
from gradiend_ui.ui.sweep.panel import FormWidgets, RunWidgets

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session


@dataclass(frozen=True)
class HeaderWidgets:
    model_chip: Tree
    run_chip: Tree
    steps: Tree
    sweeps: gr.Button
    language: gr.Button
    theme: gr.Button


@dataclass(frozen=True)
class Page:
    """One page in one language. `checkpoint` and `run` hold ids only; `run_ends`: the events after which a run that was
    followed goes on no more."""

    session: Session
    viewers: Viewers
    visitors: Visitors
    words: Words
    checkpoint: gr.State
    run: gr.Textbox
    header: HeaderWidgets
    load: LoadWidgets
    data: DataWidgets
    data_drawer: DataDrawerWidgets
    form: FormWidgets
    run_buttons: RunWidgets
    board: BoardWidgets
    compare: CompareWidgets
    export: ExportWidgets
    export_drawer: ExportDrawerWidgets
    runs: RunsWidgets
    run_ends: list[Dependency] = field(default_factory=list)

    @property
    def form_inputs(self) -> list[Block]:
        """What describes a sweep: the form of the step Sweep, then what the step Data holds (one value)."""
        return [*(getattr(self.form, name) for name in FORM_FIELDS), self.data.chosen]

    @property
    def board_outputs(self) -> list[Block]:
        """The board, the four run buttons and the export button: what a follower repaints."""
        buttons = self.run_buttons
        return [*outputs(self.board), buttons.start, buttons.pause, buttons.resume, buttons.stop, self.export.button]
