"""Step 1, Load: where the GRADIEND comes from, its health card, what was assumed, what lies beside it, what is asked.

Knows the session, not how a checkpoint is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.engine.checkpoint.demos import DEMO
from gradiend_ui.engine.errors import BadBase, GradiendUIError, NotFound
from gradiend_ui.ui.kit.tree import Node, Tree, node
from gradiend_ui.ui.kit.upload_button import UploadButton
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.load import health, questions
from gradiend_ui.ui.load.questions import Asked, QuestionWidgets

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

EXPLAINED: dict[str, str] = {"source": "load.source", "other-base": "load.other_base"}
"""Widget id: the text that explains it."""
ZIPS = [".zip"]
ACCEPTED = {"load-zip": ZIPS}
"""Upload button: the files that it takes."""


class Pending(TypedDict, total=False):
    """What is to be opened. name: marks an upload, by what its zip is called. base: given by hand, "" for none."""

    source: str
    name: str
    base: str | None


@dataclass(frozen=True)
class LoadWidgets:
    """pending: what could not be opened yet, see `Pending`. beside: the drawer that a correction opens."""

    health: Tree
    assumed: Tree
    finished: Tree
    question: QuestionWidgets
    note: Tree
    more: gr.Accordion
    demo: gr.Button
    other_demo: gr.Button
    zip: gr.UploadButton
    source: gr.Textbox
    load: gr.Button
    base: gr.Textbox
    pending: gr.State
    beside: gr.Textbox


def build(words: Words, allows_paths: bool) -> LoadWidgets:
    with gr.Column(elem_id="step-load", elem_classes="panel"):
        card = Tree(health.build_loading(words), elem_id="health")
        assumed = Tree(node("div", hidden="hidden"), elem_id="assumed")
        finished = Tree(node("div", hidden="hidden"), elem_id="finished")
        question = questions.build(words)
        note = Tree(build_note(""), elem_id="load-note")
        beside = gr.Textbox(visible=False, elem_id="load-beside")
        with gr.Accordion(words("load.more"), open=False, elem_id="load-more") as more:
            with gr.Row(elem_classes="buttons"):
                demo = gr.Button(words("load.demo"), size="sm", elem_id="load-demo")
                other_demo = gr.Button(words("load.other_demo"), size="sm", elem_id="load-other-demo")
            archive = UploadButton(words("load.zip"), file_types=ZIPS, size="sm", elem_id="load-zip")
            Tree(node("p", words.help("load.zip"), cls="quiet"), elem_id="zip-help")
            source = gr.Textbox(
                label=words("load.source"),
                placeholder=words("load.source_hint"),
                visible=allows_paths,
                elem_id="source",
            )
            base = gr.Textbox(
                label=words("load.other_base"),
                placeholder=words("load.other_base_hint"),
                visible=allows_paths,
                elem_id="other-base",
            )
            load = gr.Button(words("load.load"), size="sm", visible=allows_paths, elem_id="load")
    pending = gr.State({})
    return LoadWidgets(
        card, assumed, finished, question, note, more, demo, other_demo, archive, source, load, base, pending, beside
    )


def opened_outputs(widgets: LoadWidgets) -> list[Block]:
    return [
        widgets.health,
        widgets.assumed,
        widgets.finished,
        widgets.note,
        widgets.more,
        widgets.pending,
        *questions.outputs(widgets.question),
    ]


def opened_values(card: Card, info: RunInfo | None, words: Words) -> list[object]:
    return [
        health.build_health(card, words),
        health.build_assumed(card, words),
        health.build_finished(card, opened_file(info), words),
        build_note(""),
        gr.update(open=False),
        {},
        *questions.shown(questions.next_question(card, {}), card, words),
    ]


def opened_file(info: RunInfo | None) -> str | None:
    """The finished sweep's file that a run was opened from."""
    return None if info is None or info["imported"] is None else str(info["imported"]["file"])


def failed(widgets: LoadWidgets, sentence: str, still_open: bool, words: Words) -> dict[Block, object]:
    """Updates for a model that was not opened: the sentence, and that the previous one is still there."""
    if not still_open:
        return {widgets.health: health.build_empty(words, sentence), widgets.more: gr.update(open=True)}
    return {widgets.note: build_note(sentence, words), widgets.more: gr.update(open=True)}


def refused_base(widgets: LoadWidgets, error: GradiendUIError, still_open: bool, words: Words) -> dict[Block, object]:
    """Updates where no other base model can be given: why this one cannot be used."""
    sentence = words.of(error)
    if questions.is_of_found(error):
        sentence = f"{words('load.ask_base_refused')}. {sentence}"
    return failed(widgets, sentence, still_open, words)


def asked_for_base(
    widgets: LoadWidgets, pending: Pending, error: BadBase, still_open: bool, words: Words
) -> dict[Block, object]:
    """Updates that ask for the base model of what is pending; nothing typed is lost."""
    found = questions.is_of_found(error)
    values = questions.shown(Asked(questions.BASE, words.of(error), found=found), None, words)
    shown: dict[Block, object] = dict(zip(questions.outputs(widgets.question), values, strict=True))
    if not still_open:
        shown[widgets.health] = node("div", node("h2", words("load.title")), cls="health")
    return {**shown, widgets.pending: pending.copy(), widgets.note: build_note("")}


def build_note(sentence: str, words: Words | None = None) -> Node:
    """What went wrong; nothing without a sentence."""
    if not sentence or words is None:
        return node("div", hidden="hidden")
    still = node("p", words("load.still_open"), cls="quiet")
    return node(
        "div", node("p", node("strong", words("load.failed")), " ", sentence), still, cls="failed", role="alert"
    )


def build_progress(sentence: str) -> Node:
    return node("div", node("p", sentence), cls="progress", role="status")


def load_card(session: Session, pending: Pending) -> Card:
    """Load what is pending, {source, name?, base?}, and give its card; a name marks an upload."""
    base = str(pending.get("base") or "").strip()
    options = {"base_model": base} if base else {}
    if pending.get("name"):
        return session.card(session.uploads.load(pending["source"], pending["name"], options))
    answer = session.load(str(pending["source"]).strip() or DEMO, options)
    return session.card(answer["checkpoint"])


def open_finished(session: Session, checkpoint: str, file: str | None = None) -> RunInfo:
    """Open a finished sweep that lies beside the checkpoint (None: the first) and give its run's info."""
    if not checkpoint:
        raise NotFound("There is no model yet. Load a folder first.").known_as("load.no_model")
    return session.run_info(session.open_finished(checkpoint, {"file": file} if file else None)["run"])
