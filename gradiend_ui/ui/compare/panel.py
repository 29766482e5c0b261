"""Step 3, Compare: own sentences, the base beside the rewritten model at the selected cell.

Base in grey, rewritten in the accent colour. Knows neither grid nor model: one call on the session, then a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.figures.numbers import cell_name, change, probability
from gradiend_ui.ui.tree import Node, Tree, node
from gradiend_ui.ui.words import Words

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

TOP_K = 8
SHOWN = 5
MOST_SENTENCES = 20
FIRST_EXAMPLES = 3
MASK = "[MASK]"
LABEL = "Own sentences, one per line"
HELP = "Own sentences, one per line: the most probable words for [MASK] before and after the rewrite."
WAITING = "Start the sweep: the base and the rewritten model answer these sentences side by side."
NO_CELL = "Waiting for the first finished cell of the sweep; select one to compare it now."
NO_TEXT = "Write a sentence with [MASK] where a word is to be predicted."


EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class CompareWidgets:
    sentences: gr.Textbox
    answers: Tree


def build(words: Words) -> CompareWidgets:
    with gr.Column(elem_id="step-compare", elem_classes="panel"):
        with gr.Row(elem_id="compare-head"):
            Tree(node("div", node("h2", "Compare"), node("p", HELP, cls="quiet")), elem_id="compare-title")
            sentences = gr.Textbox(label=LABEL, show_label=False, lines=3, max_lines=6, elem_id="sentences")
        answers = Tree(build_note(WAITING), elem_id="answers")
    return CompareWidgets(sentences=sentences, answers=answers)


def opened_outputs(widgets: CompareWidgets) -> list[Any]:
    return [widgets.sentences, widgets.answers]


def opened_values(card: Mapping[str, Any], info: Mapping[str, Any] | None, words: Words) -> list[Any]:
    return [first_sentences(card), build_note(WAITING)]


def read_sentences(text: str) -> list[str]:
    """One per line, blank lines left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def first_sentences(card: Mapping[str, Any]) -> str:
    return "\n".join(str(text) for text in card["examples"][:FIRST_EXAMPLES])


def compare(session: Session, run: str, cell: Mapping[str, float] | None, text: str) -> Node:
    """The answers at `cell`; without a run or a cell a sentence that says what to do."""
    if not run:
        return build_note(WAITING)
    if cell is None:
        return build_note(NO_CELL)
    texts = read_sentences(text)
    if not texts:
        return build_note(NO_TEXT)
    if len(texts) > MOST_SENTENCES:
        return build_note(f"These are {len(texts)} sentences; {MOST_SENTENCES} is the limit.", danger=True)
    try:
        answer = session.compare(run, [dict(cell)], texts, {"top_k": TOP_K})
    except GradiendUIError as error:
        return build_note(str(error), danger=True)
    return build_answers(answer, cell)


def build_note(sentence: str, danger: bool = False) -> Node:
    return node("div", node("p", sentence, cls="danger" if danger else "quiet", role="status"), cls="answers")


def build_answers(answer: Mapping[str, Any], cell: Mapping[str, float]) -> Node:
    name = cell_name(cell["feature_factor"], cell["learning_rate"])
    return node(
        "div",
        node(
            "p",
            node("span", "base", cls="key base"),
            node("span", f"rewritten at {name}", cls="key target"),
            cls="legend",
        ),
        node("div", *(_sentence(item) for item in answer["texts"]), cls="sentences"),
        cls="answers",
        data_cell=name,
        role="region",
        aria_label=f"Predictions at {name}",
    )


def _sentence(item: Mapping[str, Any]) -> Node:
    return node("div", _text(item["text"]), *(_mask(mask) for mask in item["masks"]), cls="sentence")


def _text(text: str) -> Node:
    parts: list[Node | str] = []
    for count, piece in enumerate(text.split(MASK)):
        if count:
            parts.append(node("mark", MASK))
        parts.append(piece)
    return node("p", *parts, cls="text", title=text)


def _mask(mask: Mapping[str, Any]) -> Node:
    rewritten = mask["cells"][0] if mask["cells"] else {"top": [], "classes": {}}
    return node(
        "div", _classes(mask["base"]["classes"], rewritten["classes"]), _tokens(mask["base"], rewritten), cls="mask"
    )


def _classes(base: Mapping[str, float], rewritten: Mapping[str, float]) -> Node:
    return node("p", *(_class_change(name, base[name], rewritten.get(name)) for name in base), cls="classes")


def _class_change(name: str, base: float, here: float | None) -> Node:
    return node(
        "span",
        f"P({name}) ",
        node("span", probability(base), cls="base"),
        " → ",
        node("strong", probability(here), cls="here"),
    )


def _tokens(base: Mapping[str, Any], rewritten: Mapping[str, Any]) -> Node:
    """The most probable tokens of either model, strongest first, a grey bar above an accent bar."""
    rows = [
        node(
            "tr",
            node("th", token, scope="row"),
            node("td", _bar("base", before), _bar("here", here), cls="bars"),
            node("td", probability(before), cls="base"),
            node("td", probability(here), cls="here"),
            node("td", change(here - before if here is not None and before is not None else None), cls="change"),
        )
        for token, before, here in pair_tokens(base["top"], rewritten["top"])[:SHOWN]
    ]
    return node("table", node("tbody", *rows), cls="tokens")


def pair_tokens(
    base: list[Mapping[str, Any]], rewritten: list[Mapping[str, Any]]
) -> list[tuple[str, float | None, float | None]]:
    """(token, p of the base, p of the rewritten model) of all tokens in either list, the largest first.

    The base's p of a token that only the rewritten model lists is p - change; the other way round it is unknown.
    """
    pairs: dict[int, tuple[str, float | None, float | None]] = {
        item["id"]: (item["token"], item["p"], None) for item in base
    }
    for item in rewritten:
        difference = item.get("change")
        before = pairs[item["id"]][1] if item["id"] in pairs else None
        if before is None and difference is not None:
            before = item["p"] - difference
        pairs[item["id"]] = (item["token"], before, item["p"])
    return sorted(pairs.values(), key=lambda pair: max(pair[1] or 0.0, pair[2] or 0.0), reverse=True)


def _bar(kind: str, share: float | None) -> Node:
    return node("span", cls=f"pbar {kind}", style=f"--p: {max(share or 0.0, 0.0):.4f}", aria_hidden="true")
