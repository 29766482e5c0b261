"""Earlier sweeps: a drawer with the runs of this data folder. Knows no grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradiend_ui.ui.drawer import drawer
from gradiend_ui.ui.tree import Node, Tree, node
from gradiend_ui.ui.words import Words

MOST_RUNS = 5


@dataclass(frozen=True)
class RunsWidgets:
    list: Tree


def build_drawer(words: Words) -> RunsWidgets:
    with drawer("runs", words("runs.title"), words):
        return RunsWidgets(list=Tree(node("div"), elem_id="runs"))


def build_runs(runs: list[dict[str, Any]], words: Words) -> Node:
    """Earlier sweeps as links, for a server that serves one person."""
    if not runs:
        return node("p", "No earlier sweeps.", cls="quiet")
    items = [
        node(
            "li",
            node("a", f"{run['name']}: {words('page.state_' + run['state'])}", href=f"?run={run['run']}"),
            node("span", f"{run['done']}/{run['total']}", cls="num"),
        )
        for run in runs[:MOST_RUNS]
    ]
    return node("ul", *items, cls="runs")
