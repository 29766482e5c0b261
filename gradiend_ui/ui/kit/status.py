"""The chips of the header and the step strip: where the work stands, in a few words. Trees only."""

from __future__ import annotations

from collections import Counter

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.run import Degenerate, Picture
from gradiend_ui.engine.values import DEFAULT_PRECISION, GOING_STATES
from gradiend_ui.figures.numbers import big, clock
from gradiend_ui.ui.kit.tree import Node, node
from gradiend_ui.ui.kit.words import Words

STEPS = ("load", "sweep", "compare", "export")
INTERRUPTED = ("page.run_lost", "page.run_cut_short", "page.run_ended", "page.run_stopped")
"""Why a run ended before it was finished, as the store keeps it."""


def build_model_chip(card: Card | None, words: Words) -> Node:
    if card is None:
        return node("div", node("span", words("page.no_model")), cls="chip empty")
    size = words("page.weights", size=big(card["base_parameters"]))
    return node(
        "div",
        node("strong", str(card["name"])),
        node("span", size, cls="num"),
        node("span", " / ".join(map(str, card["classes"]))),
        node("span", words("page.source", source=card["source"]), cls="wide"),
        cls="chip model",
        title=words("page.base_model", name=card["base_model"]),
    )


def build_run_chip(picture: Picture | None, words: Words, run: str = "") -> Node:
    """State, what is going on, cells done, time left or place in the queue, or that the numbers come from a file.
    run: the id of the run that the picture is of."""
    if picture is None:
        return node("div", node("span", words("page.no_run")), cls="chip run empty", role="status", data_state="")
    state, done, total = picture["state"], picture["done"], picture["total"]
    phase = phase_of(picture)
    told = words(f"page.phase_{phase}_told", share=f"{100 * seen_share(picture):.0f}") if phase else None
    precision = None if picture["precision"] == DEFAULT_PRECISION else picture["precision"]
    return node(
        "div",
        node("span", cls="dot"),
        node("strong", words(f"page.phase_{phase}" if phase else f"page.state_{state}")),
        node("span", told, cls="phase wide") if told else None,
        node("span", f"{done}/{total}", cls="num"),
        node("span", precision, cls="wide") if precision else None,
        node("span", _note(picture, words), cls="num left"),
        node("span", cls="bar", style=f"--p: {done / total if total else 0:.4f}", aria_hidden="true"),
        cls=f"chip run {state}",
        role="status",
        data_run=run or None,
        data_state=state,
        data_done=done,
        data_phase=phase,
        title=why_ended(picture["error"], words) if picture["error"] else told,
    )


def why_broken(found: Degenerate, words: Words) -> str:
    """What a broken model says nearly everywhere, and what its LMS is then."""
    own, base = (f"{round(100 * found[key])} %" for key in ("share", "base_share"))
    return words("grid.broken_why", token=found["token"], share=own, base=base)


def why_ended(error: object, words: Words) -> str:
    """Why a run was interrupted or failed, in the page's language where that has a text for it."""
    return words.again(str(error), INTERRUPTED)


def phase_of(picture: Picture) -> str:
    """What a running sweep is at: "look" (at all cells, before any is finished), "finish" (those that were seen) or
    "search" (for the winner alone); "" where that says nothing more than that it runs."""
    if picture["state"] != "running":
        return ""
    if picture["search"] is not None:
        return "search"
    status = [name for row in picture["status"] for name in row]
    seen, unseen = status.count("provisional"), status.count("pending")
    if seen > 1 and unseen:
        return "look"
    return "finish" if seen and not unseen else ""


def seen_share(picture: Picture) -> float:
    """The share of rows and texts that most provisional cells are scored on, in [0, 1]."""
    rows = zip(picture["status"], picture["rows_done"], strict=True)
    counts = Counter(
        done for names, dones in rows for name, done in zip(names, dones, strict=True) if name == "provisional"
    )
    return counts.most_common(1)[0][0] / picture["rows_total"] if counts and picture["rows_total"] else 0.0


def build_steps(words: Words, *, loaded: bool, state: str, has_cells: bool) -> Node:
    """The four steps as links, each done, current or still to come."""
    stage = {
        "load": "done" if loaded else "now",
        "sweep": _sweep_stage(loaded, state),
        "compare": "now" if has_cells and state not in GOING_STATES else "open" if has_cells else "later",
        "export": "open" if has_cells else "later",
    }
    links = [
        node(
            "li",
            node(
                "a",
                node("span", str(number), cls="step-number"),
                node("span", words(f"page.step_{name}")),
                href=f"#step-{name}",
                aria_label=_step_label(words, number, name, stage[name]),
                aria_current="step" if stage[name] == "now" else None,
            ),
            cls=f"step {stage[name]}",
        )
        for number, name in enumerate(STEPS, 1)
    ]
    return node("nav", node("ol", *links), aria_label=words("page.steps"), cls="steps")


def _step_label(words: Words, number: int, name: str, stage: str) -> str:
    title = words(f"page.step_{name}")
    return words("page.step_label", number=number, title=title, stage=words(f"page.stage_{stage}"))


def _sweep_stage(loaded: bool, state: str) -> str:
    if state == "finished":
        return "done"
    return "now" if loaded else "later"


def _note(picture: Picture, words: Words) -> str:
    if picture["state"] == "queued" and picture["position"]:
        return words("page.ahead", count=picture["position"])
    if picture["state"] == "running" and picture["eta_seconds"] is not None:
        return words("page.left", time=clock(picture["eta_seconds"]))
    if picture["imported"] is not None:
        return words("page.from_file")
    if picture["state"] == "failed":
        return words("page.see_note")
    return words("page.measured_on", name=picture["neutral_set"]) if picture["neutral_set"] else ""
