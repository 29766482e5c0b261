"""What is asked before a sweep, one thing at a time: where the base is, which way it pushes, which rows are scored.

`Asked` says which question is open; the widgets are shown and hidden by it. Values in, values out; knows no session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import DIRECTION, ROWS, Card
from gradiend_ui.engine.answers.data import ChosenData
from gradiend_ui.engine.checkpoint.companions import RECOVERED
from gradiend_ui.engine.errors import BadGrid, GradiendUIError
from gradiend_ui.engine.values import ENOUGH_CLASSES
from gradiend_ui.figures.numbers import signed
from gradiend_ui.ui.kit.drawer import opens
from gradiend_ui.ui.kit.tree import Node, Tree, node, pick
from gradiend_ui.ui.kit.words import Words

BASE = "base"
SIGNS = (1.0, 0.0, -1.0)
OF_A_FOUND_BASE = ("load.base_", "load.no_parameter", "load.no_tensor", "load.parameter_shape", "load.pickled_data")
"""How the keys of refusals begin that are made of a base model's own files."""


@dataclass(frozen=True)
class Asked:
    """what: "" for nothing. reason: an engine's sentence that led here. other: it corrects something that is known.
    found: the reason is of a base model that is there and cannot be used."""

    what: str = ""
    reason: str = ""
    other: bool = False
    found: bool = False


@dataclass(frozen=True)
class QuestionWidgets:
    """what: the open question. asked: its text. signs: picks of a sign per class, whose choice so far `draft` holds.
    left_open: the checkpoint whose direction somebody has decided to leave open, "" for none."""

    panel: gr.Column
    what: gr.State
    asked: Tree
    base: gr.Textbox
    signs: Tree
    draft: gr.State
    plus: gr.Textbox
    minus: gr.Textbox
    go: gr.Button
    rows: gr.Button
    close: gr.Button
    left_open: gr.State


def build(words: Words) -> QuestionWidgets:
    with gr.Column(visible=False, elem_id="load-question") as panel:
        asked = Tree(node("div"), elem_id="asked")
        base = gr.Textbox(label=words("load.ask_base_label"), visible=False, elem_id="ask-base")
        signs = Tree(node("div", hidden="hidden"), elem_id="ask-signs")
        plus = gr.Textbox(label=words("load.ask_plus"), visible=False, elem_id="ask-plus")
        minus = gr.Textbox(label=words("load.ask_minus"), visible=False, elem_id="ask-minus")
        with gr.Row(elem_classes="buttons"):
            go = gr.Button(words("load.ask_go"), size="sm", visible=False, elem_id="ask-go")
            rows = gr.Button(words("load.ask_rows_go"), size="sm", visible=False, elem_id="ask-rows")
            close = gr.Button(words("load.ask_close"), size="sm", elem_id="ask-close")
        opens(rows, "data")
    return QuestionWidgets(
        panel, gr.State(""), asked, base, signs, gr.State({}), plus, minus, go, rows, close, gr.State("")
    )


def outputs(widgets: QuestionWidgets) -> list[Block]:
    """The widgets that `shown` fills, in its order; what a person typed stays."""
    return [
        widgets.panel,
        widgets.what,
        widgets.asked,
        widgets.base,
        widgets.signs,
        widgets.draft,
        widgets.plus,
        widgets.minus,
        widgets.go,
        widgets.rows,
        widgets.close,
    ]


def is_of_found(error: GradiendUIError) -> bool:
    """Whether a base model was found, and what lies there cannot be used."""
    return error.text is not None and error.text[0].startswith(OF_A_FOUND_BASE)


def next_question(card: Card, chosen: ChosenData, left_open: bool = False) -> Asked:
    """The first thing that is still missing. chosen: what the step Data holds. Without classes, rows come first.

    left_open: somebody has decided to sweep both signs, and is not asked for the direction again.
    """
    has_rows = bool(chosen.get("spec", {}).get("rows")) or ROWS not in card["missing"]
    lacks_direction = DIRECTION in card["missing"] and not left_open
    if lacks_direction and (has_rows or classes_of(card)):
        return Asked(DIRECTION)
    return Asked() if has_rows else Asked(ROWS)


def own_codes(chosen: ChosenData) -> list[str]:
    """The assumptions that data of one's own has made pointless. chosen: what the step Data holds."""
    spec = chosen.get("spec", {})
    codes = ["rows_recovered"] if spec.get("rows") else []
    codes += ["neutral_rows"] if spec.get("neutral") else []
    is_other = bool(spec.get("neutral")) or spec.get("neutral_set") not in (None, RECOVERED)
    return codes + (["neutral_recovered"] if is_other else [])


def classes_of(card: Card) -> list[str]:
    """The classes whose direction can be asked: those of the rows, else those that the checkpoint knows."""
    return [str(name) for name in (card["row_classes"] or card["classes"])]


def shown(asked: Asked, card: Card | None, words: Words) -> list[object]:
    """Values for `outputs`. card: of the open model, None without one."""
    classes = classes_of(card) if card and asked.what == DIRECTION else []
    draft = first_draft(card, classes) if card else {}
    typed = asked.what == DIRECTION and not classes
    go = words("load.ask_direction_go" if asked.what == DIRECTION else "load.ask_go")
    is_open = asked.what == DIRECTION and not asked.other
    return [
        gr.update(visible=bool(asked.what)),
        asked.what,
        build_asked(asked, words),
        gr.update(visible=asked.what == BASE),
        build_signs(draft, words),
        draft,
        gr.update(visible=typed),
        gr.update(visible=typed),
        gr.update(value=go, visible=asked.what in (BASE, DIRECTION)),
        gr.update(visible=asked.what == ROWS),
        gr.update(value=words("load.ask_direction_both" if is_open else "load.ask_close")),
    ]


def build_asked(asked: Asked, words: Words) -> Node:
    if not asked.what:
        return node("div", hidden="hidden")
    kind = "_refused" if asked.found else "_other" if asked.other else ""
    key = f"load.ask_{asked.what}{kind}"
    why = node("p", words(f"{key}_why"), cls="quiet")
    reason = node("p", asked.reason, cls="danger") if asked.reason else None
    return node("div", node("h3", words(key)), reason, why, role="status", cls="asked")


def build_signs(draft: Mapping[str, float | None], words: Words) -> Node:
    """A row per class with one pressed sign of three."""
    if not draft:
        return node("div", hidden="hidden")
    return node("div", *(_signs_of(name, sign, words) for name, sign in draft.items()), cls="signs")


def first_draft(card: Card, classes: list[str]) -> dict[str, float | None]:
    factors = card["strengthening_feature_factor"]
    return {name: factors.get(name) for name in classes}


def picked_sign(draft: Mapping[str, float | None], value: str) -> dict[str, float | None]:
    """The draft after a press; of two classes the other one takes the opposite sign."""
    name, sign = json.loads(value)
    if name not in draft or sign not in SIGNS:
        return dict(draft)
    changed = {**draft, name: float(sign)}
    if len(draft) == ENOUGH_CLASSES and sign:
        other = next(key for key in draft if key != name)
        changed[other] = -float(sign)
    return changed


def directions(draft: Mapping[str, float | None], plus: str, minus: str, words: Words) -> dict[str, float]:
    """{class: feature factor that pushes towards it}, from the picks or the typed names. Raises BadGrid."""
    typed = {plus.strip(): 1.0, minus.strip(): -1.0} if not draft else {}
    chosen = {name: sign or 0.0 for name, sign in (draft or typed).items() if name}
    if {1.0, -1.0} - set(chosen.values()):
        raise BadGrid(words("load.ask_direction_short"))
    return chosen


def _signs_of(name: str, chosen: float | None, words: Words) -> Node:
    buttons = []
    for sign in SIGNS:
        text = signed(sign) if sign else words("load.ask_direction_none")
        pressed = "true" if chosen == sign else "false"
        buttons.append(pick(json.dumps([name, sign]), text, cls="small", aria_pressed=pressed))
    label = words("load.ask_direction_label", name=name)
    return node("div", node("span", name), node("span", *buttons, role="group", aria_label=label), cls="sign-row")
