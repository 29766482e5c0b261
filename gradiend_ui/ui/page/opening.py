"""A card, and a run where one is attached, shown by every step at once: what loading, opening and reloading end in.

Each step says in its panel which widgets it fills (`opened_outputs`) and with what (`opened_values`).
"""

from __future__ import annotations

from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.ui.compare import panel as compare
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.status import build_model_chip
from gradiend_ui.ui.kit.tree import Tree, ordered
from gradiend_ui.ui.kit.viewer import View
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.page.following import painted
from gradiend_ui.ui.page.page import Page
from gradiend_ui.ui.sweep import panel as sweep


def opened_outputs(page: Page) -> list[Block]:
    """The widgets that `opened` fills, in its order."""
    return [
        page.checkpoint,
        page.run,
        page.header.model_chip,
        *load.opened_outputs(page.load),
        *data.opened_outputs(page.data, page.data_drawer),
        *sweep.opened_outputs(page.form, page.run_buttons),
        *compare.opened_outputs(page.compare),
        *export.opened_outputs(page.export, page.export_drawer),
        *page.board_outputs,
    ]


def opened(page: Page, name: str, card: Card, info: RunInfo | None) -> list[object]:
    """All values of the page for a card, and for a run where one is attached."""
    spec = info["spec"] if info else None
    run = str(info["run"]) if info else ""
    options = sweep.first_options(card, spec)
    view = page.viewers.open(name, run, options)
    words = page.words
    values = [
        card["checkpoint"],
        run,
        build_model_chip(card, words),
        *load.opened_values(card, info, words),
        *data.opened_values(card, info, words),
        *sweep.opened_values(card, info, words),
        *compare.opened_values(card, info, words),
        *export.opened_values(card, info, words),
        *painted(
            board.show(page.session, view, words) if run else _empty(page, card, view),
            True,
            page,
            None,
            view.controls,
        ),
    ]
    return [_of_view(value, widget, view) for value, widget in zip(values, opened_outputs(page), strict=True)]


def _of_view(value: object, widget: Block, view: View) -> object:
    """A text's value, so that no answer to what was asked before takes its place; the board's have their order."""
    has_order = not isinstance(widget, Tree) or (isinstance(value, dict) and "order" in value)
    return value if has_order else ordered((view.opened, 0), value)


def _empty(page: Page, card: Card, view: View) -> board.Shown:
    preset = card["presets"][sweep.DEFAULT]
    label = sweep.metric_label(view.options, page.words)
    axes = preset["feature_factors"], preset["learning_rates"]
    return board.show_empty(axes, label, page.words, (view.version, 0))
