"""Who may control the sweep on the page: the sentence for watchers, the links for who started it, taking control with a
link, and the question before a sweep that others watch is stopped.

Lays out and fills in; what somebody is to a run is decided by `server.door.roles`. The keys themselves stay in the
browser (assets/page.js) and never stand in a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.errors import NotAllowed
from gradiend_ui.server.door.roles import HOLDER, KEYLESS, LONGEST_KEY, WATCHER
from gradiend_ui.ui.kit.tree import Node, Tree, node, pick
from gradiend_ui.ui.kit.words import Words

CLAIM_ID = "claim-control"
STOP, GO_ON = "stop", "go-on"
LONGEST_LINK = 2000


@dataclass(frozen=True)
class ControlWidgets:
    """`said` tells the page's role; `take` and what lies in it are for watchers; `key` carries a key between browser
    and server; the hidden button `claim` is pressed when a key has come by a link; `unfit` tells the browser which of
    its keys fits nothing, as the run, a space and the key."""

    said: Tree
    question: Tree
    take: gr.Accordion
    link: gr.Textbox
    go: gr.Button
    key: gr.Textbox
    claim: gr.Button
    unfit: gr.Textbox


def build(words: Words) -> ControlWidgets:
    question = Tree(build_nothing(), elem_id="stop-question")
    said = Tree(build_nothing(), elem_id="control")
    with gr.Accordion(words("sweep.take_control"), open=False, visible=False, elem_id="take-control") as take:
        Tree(node("p", words("sweep.take_how"), cls="quiet"))
        link = gr.Textbox(
            label=words("sweep.control_link"), max_lines=1, max_length=LONGEST_LINK, elem_id="control-link"
        )
        go = gr.Button(words("sweep.take_go"), size="sm", elem_id="take-control-go", min_width=0)
    key = gr.Textbox(visible=False, elem_id="run-key")
    claim = gr.Button(visible="hidden", elem_id=CLAIM_ID)
    unfit = gr.Textbox(visible=False, elem_id="unfit-key")
    return ControlWidgets(said, question, take, link, go, key, claim, unfit)


def shown_outputs(widgets: ControlWidgets) -> list[Block]:
    return [widgets.said, widgets.question, widgets.take, widgets.link]


def shown_values(role: str, run: str, words: Words, *, unfit: bool = False) -> list[object]:
    """Values for `shown_outputs`: nothing for the owner of a local server, and where there is no run.

    unfit: whether the page has shown a key, and it does not fit."""
    taking = role == WATCHER
    return [build_role(role, run, words, unfit=unfit), build_nothing(), gr.update(visible=taking, open=False), ""]


def build_role(role: str, run: str, words: Words, *, unfit: bool = False) -> Node:
    """What the page may do with its run, and why. unfit: as in `shown_values`."""
    if role in (WATCHER, KEYLESS):
        told = words("sweep.watching_keyless" if role == KEYLESS else "sweep.watching")
        return node(
            "div",
            node("p", words("sweep.key_unfit"), cls="danger", role="alert") if unfit and role == WATCHER else None,
            node("p", node("strong", words("sweep.you_watch")), node("span", told)),
            cls="role watcher",
            role="note",
            data_role=role,
        )
    if role != HOLDER:
        return build_nothing()
    return node(
        "div",
        node("p", words("sweep.you_control"), cls="quiet"),
        _build_link("watch", run, words),
        _build_link("control", run, words),
        node("p", cls="copied quiet", role="status", data_copied=""),
        cls="role holder",
        data_role=role,
    )


def _build_link(kind: str, run: str, words: Words) -> Node:
    """One of the two links with what it is for; assets/page.js makes and copies it."""
    told = {"data_done": words("sweep.link_copied"), "data_failed": words("sweep.link_by_hand")}
    button = node(
        "button", words(f"sweep.copy_{kind}"), cls="pick", type="button", data_copy=kind, data_run=run, **told
    )
    return node("div", button, node("small", words(f"sweep.copy_{kind}_for")), cls=f"link-to {kind}")


def build_question(others: int, words: Words) -> Node:
    """Asked once before a sweep that other pages follow is stopped. The safe answer comes first."""
    return node(
        "div",
        node("p", words.counted("sweep.others_watch", others), role="alert"),
        node(
            "div",
            pick(GO_ON, words("sweep.go_on")),
            pick(STOP, words("sweep.stop_for_all"), cls="danger"),
            cls="stop-answers",
        ),
        cls="stop-question",
    )


def build_nothing() -> Node:
    return node("div")


def key_in(pasted: object, run: str, words: Words) -> str:
    """The key in a control link of this run, or the key alone. Raises NotAllowed in a sentence of the page."""
    text = pasted.strip() if isinstance(pasted, str) else ""
    if not text or len(text) > LONGEST_LINK:
        raise NotAllowed(words("sweep.paste_link"))
    if "#" not in text and "?" not in text and "/" not in text:
        if len(text) > LONGEST_KEY or not text.isprintable():
            raise NotAllowed(words("sweep.no_link", count=f"{len(text):,}"))
        return text
    try:
        link = urlsplit(text)
        key = (parse_qs(link.fragment).get("key") or [""])[0]
        named = (parse_qs(link.query).get("run") or [run])[0]
    except ValueError:
        raise NotAllowed(words("sweep.no_link", count=f"{len(text):,}")) from None
    if named != run:
        raise NotAllowed(words("sweep.other_sweep"))
    if not key or len(key) > LONGEST_KEY:
        raise NotAllowed(words("sweep.watch_link"))
    return key
