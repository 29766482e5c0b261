"""Step 1, Load: where the GRADIEND comes from and its health card. Knows the session, not how a checkpoint is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.figures.numbers import percent, signed, three_digits
from gradiend_ui.ui.tree import Node, Tree, facts, node
from gradiend_ui.ui.words import Words

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

DEMO = "demo"
LOADING = "Loading the model…"
MORE = "Another model or an earlier sweep"
SOURCE_LABEL = "Folder of a trained GRADIEND"
SOURCE_HINT = "/path/to/gradiend"
OPEN_FINISHED = "Open it without sweeping"
UNKNOWN_RUN = "The sweep in this link cannot be opened. {reason} The page starts with the default model instead."


EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class LoadWidgets:
    health: Tree
    open_finished: gr.Button
    source: gr.Textbox
    load: gr.Button
    demo: gr.Button


def build(words: Words, allows_paths: bool) -> LoadWidgets:
    with gr.Column(elem_id="step-load", elem_classes="panel"):
        health = Tree(build_loading(), elem_id="health")
        open_finished = gr.Button(OPEN_FINISHED, size="sm", visible=False, elem_id="open-finished")
        with gr.Accordion(MORE, open=False, elem_id="load-more"):
            source = gr.Textbox(label=SOURCE_LABEL, placeholder=SOURCE_HINT, visible=allows_paths, elem_id="source")
            with gr.Row(elem_classes="buttons"):
                load = gr.Button("Load folder", size="sm", visible=allows_paths, elem_id="load")
                demo = gr.Button("Load the demo", size="sm", elem_id="load-demo")
    return LoadWidgets(health=health, open_finished=open_finished, source=source, load=load, demo=demo)


def opened_outputs(widgets: LoadWidgets) -> list[Any]:
    return [widgets.health, widgets.open_finished]


def opened_values(card: Mapping[str, Any], info: Mapping[str, Any] | None, words: Words) -> list[Any]:
    return [build_health(card), offer(card, info)]


def load_card(session: Session, source: str) -> dict[str, Any]:
    """Load a source and give its card."""
    answer = session.load(source.strip() or DEMO, {})
    return session.card(answer["checkpoint"])


def open_finished(session: Session, checkpoint: str) -> dict[str, Any]:
    """Open the finished sweep that lies beside the checkpoint and give its run's info."""
    if not checkpoint:
        raise NotFound("There is no model yet. Load a folder first.")
    run: str = session.open_finished(checkpoint)["run"]
    return session.run_info(run)


def offer(card: Mapping[str, Any], info: Mapping[str, Any] | None) -> dict[str, Any]:
    """Update of the button: there while a finished sweep lies beside the checkpoint and is not open already."""
    is_open = info is not None and info["imported"] is not None
    update: dict[str, Any] = gr.update(visible=bool(card["finished_sweeps"]) and not is_open)
    return update


def build_loading() -> Node:
    blank = facts(*((name, "–") for name in ("base", "classes", "weights", "encoder", "rows", "neutral")))
    return node("div", node("h2", "Load", node("small", LOADING)), blank, cls="health loading")


def build_failure(sentence: str) -> Node:
    return node("div", node("h2", "Load"), node("p", sentence, cls="danger", role="alert"), cls="health")


def build_health(card: Mapping[str, Any]) -> Node:
    """Short: what it is, which way it pushes, whether it can be trusted."""
    share = card["mapped_weights"] / card["base_weights"] if card["base_weights"] else None
    return node(
        "div",
        node("h2", "Load", node("small", str(card["name"]))),
        facts(
            ("base", f"{card['base_model']}, {card['objective']}"),
            ("directions", _directions(card)),
            ("learned on", f"{card['source']}; {percent(share)} of the weights"),
            ("encoder", _training(card)),
            *(() if not card["seeds"] else (("seeds", _seeds(card["seeds"])),)),
            ("rows", _rows(card["rows"])),
            ("neutral", ", ".join(f"{name} {count}" for name, count in card["neutral_sets"].items()) or "none"),
        ),
        _warnings(card["warnings"]),
        _finished(card["finished_sweeps"]),
        cls="health",
    )


def _seeds(seeds: Sequence[Mapping[str, Any]]) -> Node:
    """Every seed of the run with its encoder's correlation; the best is named, and those that failed."""
    lines = []
    for seed in seeds:
        correlation = "–" if seed["correlation"] is None else three_digits(seed["correlation"])
        words = [f"{seed['seed']}: {correlation}"]
        words += ["best"] if seed["best"] else []
        words += ["not converged"] if seed["converged"] is False else []
        words += [] if seed["kept"] else ["weights not kept"]
        lines.append(node("span", ", ".join(words), cls="direction"))
    return node("span", *lines)


def _directions(card: Mapping[str, Any]) -> Node:
    factors = card["strengthening_feature_factor"]
    lines = [
        node("span", f"feature factor {signed(factors[name])} pushes towards {name}", cls="direction")
        for name in card["classes"]
        if name in factors
    ]
    return node("span", *lines)


def _training(card: Mapping[str, Any]) -> str:
    correlation = f"correlation {three_digits(card['correlation'])}"
    if card["converged"] is None:
        return correlation
    return f"{correlation}, {'converged' if card['converged'] else 'did not converge'}"


def _rows(rows: Mapping[str, Mapping[str, int]]) -> str:
    splits = sorted({split for counts in rows.values() for split in counts})
    return ", ".join(f"{split} {sum(counts.get(split, 0) for counts in rows.values())}" for split in splits)


def _finished(sweeps: list[Mapping[str, Any]]) -> Node | None:
    """One line on the sweep that the button opens, the first one."""
    if not sweeps:
        return None
    sweep = sweeps[0]
    cells = f"{sweep['cells']} cell{'s' if sweep['cells'] > 1 else ''}"
    what = f"{sweep['goal'] or 'scores of'} {' and '.join(map(str, sweep['classes']))}"
    part = "" if sweep["part"] == "decoder" else f", part {sweep['part']}"
    return node("p", f"This run holds a finished sweep: {cells}, {what}, split {sweep['split']}{part}.", cls="finished")


def _warnings(warnings: list[str]) -> Node | None:
    if not warnings:
        return None
    count = f"{len(warnings)} note{'s' if len(warnings) > 1 else ''} on this checkpoint"
    return node("details", node("summary", count), *(node("p", text) for text in warnings), cls="warnings")
