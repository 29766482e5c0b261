"""Less memory per open page: Gradio keeps for each a second description of every widget, which only deep links read.

This app has no deep links (its pages are named by `?run=`), some hundred widgets, and a visitor's session is kept long
after the page was closed. Knows Gradio's session state and nothing of the page.
"""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
from gradio.state_holder import SessionState, StateHolder


class _Forgotten(dict[int, object]):
    """Takes descriptions and keeps none."""

    def __setitem__(self, key: int, value: object) -> None:
        return


class LeanState(SessionState):
    """A page's state without the second description of its widgets."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))
        self.config_values = _Forgotten()

    def _update_config(self, key: int) -> None:
        return

    def _update_value_in_config(self, key: int, value: object) -> None:
        return


class LeanStates(StateHolder):
    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = LeanState(self.blocks)
        return super().__getitem__(session_id)


def keep_sessions_lean(blocks: gr.Blocks) -> None:
    """Have the pages of a launched app kept that way from now on."""
    states = LeanStates()
    states.set_blocks(blocks)
    blocks.app.state_holder = states
