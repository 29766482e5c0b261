"""Which rows, words and neutral texts the numbers are measured on: a short panel, and a drawer to change them.

`chosen` holds the data part of a sweep's spec; the session reads the data. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from gradiend_ui.ui.drawer import drawer
from gradiend_ui.ui.tree import Tree, node
from gradiend_ui.ui.words import Words

EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class DataWidgets:
    """chosen: {"spec": keys of a sweep's spec that are about data, "share_of_rows": for the estimate of time}."""

    chosen: gr.State
    neutral_set: gr.Dropdown


@dataclass(frozen=True)
class DataDrawerWidgets:
    note: Tree


def build(words: Words) -> DataWidgets:
    with gr.Column(elem_id="step-data", elem_classes="panel"):
        Tree(node("h2", "Data"), elem_classes="panel-title")
        neutral_set = gr.Dropdown([], label="Neutral", elem_id="neutral-set")
    return DataWidgets(chosen=gr.State({}), neutral_set=neutral_set)


def build_drawer(words: Words, about: Mapping[str, Any]) -> DataDrawerWidgets:
    with drawer("data", words("data.title"), words):
        return DataDrawerWidgets(note=Tree(node("p"), elem_id="data-note"))


def opened_outputs(widgets: DataWidgets) -> list[Any]:
    return [widgets.chosen, widgets.neutral_set]


def opened_values(card: Mapping[str, Any], info: Mapping[str, Any] | None, words: Words) -> list[Any]:
    chosen = (info["spec"] if info else {}).get("neutral_set") or card["neutral_set"]
    sets = [(f"{name} ({count})", name) for name, count in card["neutral_sets"].items()]
    return [data_of(chosen), gr.Dropdown(sets, value=chosen)]


def data_of(neutral_set: str | None) -> dict[str, Any]:
    return {"spec": {"neutral_set": neutral_set} if neutral_set else {}}
