"""The chips of the header and the step strip: where the work stands, in a few words. Trees only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.figures.numbers import big, clock
from gradiend_ui.ui.tree import Node, node

STATES = {
    "queued": "waiting",
    "running": "sweeping",
    "paused": "paused",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "finished": "finished",
    "failed": "failed",
}
NO_RUN = "no sweep yet"
NO_MODEL = "no model yet"
STEPS = (("load", "1", "Load"), ("sweep", "2", "Sweep"), ("compare", "3", "Compare"), ("export", "4", "Export"))


def build_model_chip(card: Mapping[str, Any] | None) -> Node:
    if card is None:
        return node("div", node("span", NO_MODEL), cls="chip empty")
    size = f"{big(card['base_parameters'])} weights"
    return node(
        "div",
        node("strong", str(card["name"])),
        node("span", size, cls="num"),
        node("span", " / ".join(map(str, card["classes"]))),
        node("span", f"source {card['source']}", cls="wide"),
        cls="chip model",
        title=f"base model {card['base_model']}",
    )


def build_run_chip(picture: Mapping[str, Any] | None) -> Node:
    """State, cells done, time left or the place in the queue, or that the numbers come from a file."""
    if picture is None:
        return node("div", node("span", NO_RUN), cls="chip run empty", role="status", data_state="")
    state, done, total = picture["state"], picture["done"], picture["total"]
    return node(
        "div",
        node("span", cls="dot"),
        node("strong", STATES.get(state, state)),
        node("span", f"{done}/{total}", cls="num"),
        node("span", _note(picture), cls="num left"),
        node("span", cls="bar", style=f"--p: {done / total if total else 0:.4f}", aria_hidden="true"),
        cls=f"chip run {state}",
        role="status",
        data_state=state,
        data_done=done,
        title=picture["error"],
    )


def build_steps(*, loaded: bool, state: str, has_cells: bool) -> Node:
    """The four steps as links, each done, current or still to come."""
    stage = {
        "load": "done" if loaded else "now",
        "sweep": _sweep_stage(loaded, state),
        "compare": "now" if has_cells and state not in ("queued", "running") else "open" if has_cells else "later",
        "export": "open" if has_cells else "later",
    }
    words = {"done": "done", "now": "current", "open": "ready", "later": "later"}
    links = [
        node(
            "li",
            node(
                "a",
                node("span", number, cls="step-number"),
                node("span", title),
                href=f"#step-{name}",
                aria_label=f"Step {number}, {title}: {words[stage[name]]}",
                aria_current="step" if stage[name] == "now" else None,
            ),
            cls=f"step {stage[name]}",
        )
        for name, number, title in STEPS
    ]
    return node("nav", node("ol", *links), aria_label="Steps", cls="steps")


def _sweep_stage(loaded: bool, state: str) -> str:
    if state == "finished":
        return "done"
    return "now" if loaded else "later"


def _note(picture: Mapping[str, Any]) -> str:
    if picture["state"] == "queued" and picture["position"]:
        return f"{picture['position']} ahead in the queue"
    if picture["state"] == "running" and picture["eta_seconds"] is not None:
        return f"{clock(picture['eta_seconds'])} left"
    if picture["imported"] is not None:
        return "from a file"
    if picture["state"] == "failed":
        return "see the note below"
    return ""
