"""Listeners of the step Load, and of the page itself when it opens. Callbacks: read values, one call, updates.

Opening takes a while, so its callbacks are generators: first what is being done, then the page or what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.engine.answers.checkpoint import DIRECTION, Card
from gradiend_ui.engine.answers.data import ChosenData
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.engine.checkpoint.demos import DEMO, NUMBER_DEMO
from gradiend_ui.engine.errors import BadBase, GradiendUIError
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.kit.refusals import toast
from gradiend_ui.ui.listeners.compare import answer_after
from gradiend_ui.ui.listeners.sweep import estimate_after
from gradiend_ui.ui.load import health, questions
from gradiend_ui.ui.load import panel as load
from gradiend_ui.ui.load.panel import Pending
from gradiend_ui.ui.load.questions import Asked
from gradiend_ui.ui.page.address import run_in_url, show_run_in_url
from gradiend_ui.ui.page.following import AT_ONCE, EVERY, QUIET, claim_after, follow_after, page_of
from gradiend_ui.ui.page.opening import opened, opened_outputs
from gradiend_ui.ui.page.page import Page

Updates = dict[Block, object]
Answer = tuple[Mapping[str, float | None], str, str]
"""Signs that were picked per class; else the names of two classes that were typed."""
OWN_DATA = ("rows", "neutral", "targets")
OPEN_DRAWER = "(name) => { if (name) globalThis.gradiendPage.openDrawer(name); }"


def wire_load(page: Page, blocks: gr.Blocks) -> None:
    wire_page(page, blocks)
    wire_sources(page)
    wire_card(page)
    wire_questions(page)
    wire_own_data(page)


def wire_page(page: Page, blocks: gr.Blocks) -> None:
    """The page itself: it opens with the run of its address, else with the server's own model."""

    def open_page(request: gr.Request) -> Updates:
        name, run = page_of(request), run_in_url(request)
        page.viewers.change(name, owner=page.visitors.is_owner(request))
        for notice in page.session.about()["notices"]:
            gr.Warning(toast(notice), title=page.words("load.notice"), duration=60)
        if run:
            try:
                return updates(page, name, page.session.run_info(run))
            except GradiendUIError as error:
                sentence = page.words("load.unknown_run", reason=page.words.of(error))
                gr.Warning(toast(sentence), title=page.words("load.unknown_run_title"), duration=20)
        return opened_or_asked(page, {"source": page.session.about()["default_source"]}, "", name)

    def leave(request: gr.Request) -> None:
        page.viewers.forget(page_of(request))

    after_opening(page, blocks.load(open_page, None, opened_outputs(page), **QUIET))
    blocks.unload(leave)


def wire_sources(page: Page) -> None:
    """The demo, a folder, an uploaded zip, each with the base model that was given by hand."""
    widgets = page.load

    def demo_opener(source: str) -> Callable[[str, gr.Request], Iterator[Updates]]:
        def open_demo(checkpoint: str, request: gr.Request) -> Iterator[Updates]:
            yield progress(page, "loading")
            yield opened_or_asked(page, {"source": source}, checkpoint, page_of(request))

        return open_demo

    def open_source(source: str, base: str, checkpoint: str, request: gr.Request) -> Iterator[Updates]:
        yield progress(page, "loading")
        yield opened_or_asked(page, {"source": source, "base": base}, checkpoint, page_of(request))

    def open_zip(path: str, base: str, checkpoint: str, request: gr.Request) -> Iterator[Updates]:
        yield progress(page, "unpacking")
        try:
            unpacked = page.session.uploads.unpack(path, page.visitors.of(request))
        except GradiendUIError as error:
            yield load.refused_base(widgets, error, bool(checkpoint), page.words)
        else:
            yield opened_or_asked(page, {**unpacked, "base": base}, checkpoint, page_of(request))

    folder = [widgets.source, widgets.base, page.checkpoint]
    for trigger, function, inputs in (
        (widgets.demo.click, demo_opener(DEMO), [page.checkpoint]),
        (widgets.other_demo.click, demo_opener(NUMBER_DEMO), [page.checkpoint]),
        (widgets.load.click, open_source, folder),
        (widgets.source.submit, open_source, folder),
        (widgets.base.submit, open_source, folder),
        (widgets.zip.upload, open_zip, [widgets.zip, widgets.base, page.checkpoint]),
    ):
        after_opening(page, trigger(function, inputs, opened_outputs(page), **QUIET))


def wire_card(page: Page) -> None:
    """Buttons on the card: another seed, a finished sweep, a correction of what was assumed."""
    widgets, everything = page.load, opened_outputs(page)

    def open_seed(checkpoint: str, chosen: ChosenData, event: gr.SelectData, request: gr.Request) -> Iterator[Updates]:
        yield progress(page, "loading")
        yield read_again(page, checkpoint, {"seed": int(str(event.value))}, chosen, page_of(request))

    def open_finished(checkpoint: str, event: gr.SelectData, request: gr.Request) -> Updates:
        try:
            info = load.open_finished(page.session, checkpoint, str(event.value))
        except GradiendUIError as error:
            return load.failed(widgets, page.words.of(error), True, page.words)
        return updates(page, page_of(request), info)

    def correct(checkpoint: str, chosen: ChosenData, event: gr.SelectData, request: gr.Request) -> Iterator[Updates]:
        what = str(event.value)
        if what in health.CHANGES:
            yield progress(page, "loading")
            yield read_again(page, checkpoint, health.CHANGES[what], chosen, page_of(request))
        elif what == health.DATA:
            yield {widgets.beside: what}
        else:
            kind = questions.BASE if what == health.BASE else DIRECTION
            yield asked(page, Asked(kind, other=True), page.session.card(checkpoint))

    now = [page.checkpoint, page.data.chosen]
    after_opening(page, widgets.health.select(open_seed, now, everything, **QUIET))
    after_opening(page, widgets.finished.select(open_finished, page.checkpoint, everything, **QUIET))
    corrected = widgets.assumed.select(correct, now, [*everything, widgets.beside], **QUIET)
    after_opening(page, corrected)
    opening = corrected.success(None, widgets.beside, None, js=OPEN_DRAWER, api_visibility="private")
    opening.then(lambda: "", None, widgets.beside, **AT_ONCE)


def wire_questions(page: Page) -> None:
    """Answers to what is asked."""
    widgets, question = page.load, page.load.question

    def answer(
        what: str,
        pending: Pending,
        base: str,
        draft: Mapping[str, float | None],
        plus: str,
        minus: str,
        checkpoint: str,
        chosen: ChosenData,
        request: gr.Request,
    ) -> Iterator[Updates]:
        yield progress(page, "loading")
        if what == questions.BASE and pending:
            yield opened_or_asked(page, {**pending, "base": base}, checkpoint, page_of(request))
        elif what == questions.BASE:
            yield read_again(page, checkpoint, {"base_model": base.strip()}, chosen, page_of(request))
        else:
            yield directed(page, checkpoint, (draft, plus, minus), chosen, page_of(request))

    def pick_sign(draft: Mapping[str, float | None], event: gr.SelectData) -> list[object]:
        changed = questions.picked_sign(draft, str(event.value))
        return [changed, questions.build_signs(changed, page.words)]

    def close(what: str, checkpoint: str, left_open: str, chosen: ChosenData) -> Updates:
        """No answer now; of a direction: both signs are swept, and what is missing beyond it is asked for."""
        card = page.session.card(checkpoint) if checkpoint else None
        if card is None or what != DIRECTION or DIRECTION not in card["missing"]:
            return {widgets.pending: {}, question.left_open: left_open, **asked(page, Asked(), card)}
        then = questions.next_question(card, chosen, left_open=True)
        return {widgets.pending: {}, question.left_open: checkpoint, **asked(page, then, card)}

    answers = [question.what, widgets.pending, question.base, question.draft, question.plus, question.minus]
    for trigger in (question.go.click, question.base.submit):
        event = trigger(answer, [*answers, page.checkpoint, page.data.chosen], opened_outputs(page), **QUIET)
        after_opening(page, event)
    question.signs.select(pick_sign, question.draft, [question.draft, question.signs], **EVERY)
    outputs = questions.outputs(question)
    now = [question.what, page.checkpoint, question.left_open, page.data.chosen]
    question.close.click(close, now, [widgets.pending, question.left_open, *outputs], **AT_ONCE)


def wire_own_data(page: Page) -> None:
    """Data of one's own answers the question for rows."""
    widgets = page.load

    def own_data(checkpoint: str, pending: Pending, chosen: ChosenData, left_open: str) -> Updates:
        if not checkpoint or pending:
            return {widgets.pending: dict(pending)}
        card = page.session.card(checkpoint)
        own = questions.own_codes(chosen)
        assumed, told = health.build_assumed(card, page.words, own), health.build_health(card, page.words, own)
        question = questions.next_question(card, chosen, left_open=left_open == checkpoint)
        return {widgets.assumed: assumed, widgets.health: told, **asked(page, question, card)}

    outputs = [widgets.pending, widgets.assumed, widgets.health, *questions.outputs(widgets.question)]
    now = [page.checkpoint, widgets.pending, page.data.chosen, widgets.question.left_open]
    page.data.chosen.change(own_data, now, outputs, **AT_ONCE)


def opened_or_asked(page: Page, pending: Pending, checkpoint: str, name: str) -> Updates:
    """The page with what was pending; else the question for its base, or why it was not opened.

    checkpoint: the model that is open, "" without one; it stays open when this one cannot be.
    """
    try:
        card = load.load_card(page.session, pending)
    except BadBase as error:
        if page.session.about()["allows_paths"]:
            return load.asked_for_base(page.load, pending, error, bool(checkpoint), page.words)
        return load.refused_base(page.load, error, bool(checkpoint), page.words)
    except GradiendUIError as error:
        return load.refused_base(page.load, error, bool(checkpoint), page.words)
    return dict(zip(opened_outputs(page), opened(page, name, card, None), strict=True))


def read_again(page: Page, checkpoint: str, changes: Mapping[str, object], chosen: ChosenData, name: str) -> Updates:
    """The page with the same source read in another way; rows, texts and words of one's own stay chosen."""
    try:
        card = page.session.card(page.session.uploads.reload(checkpoint, changes))
    except BadBase as error:
        question = Asked(questions.BASE, page.words.of(error), other=True, found=questions.is_of_found(error))
        shown = asked(page, question, page.session.card(checkpoint))
        return {**shown, page.load.note: load.build_note("")}
    except GradiendUIError as error:
        return load.failed(page.load, page.words.of(error), bool(checkpoint), page.words)
    has_own = any(chosen.get("spec", {}).get(key) for key in OWN_DATA)
    kept = {id(widget) for widget in data.opened_outputs(page.data, page.data_drawer)} if has_own else set()
    values = zip(opened_outputs(page), opened(page, name, card, None), strict=True)
    return {widget: value for widget, value in values if id(widget) not in kept}


def directed(page: Page, checkpoint: str, answer: Answer, chosen: ChosenData, name: str) -> Updates:
    """The page with the directions that were picked or typed; the sentence of what is missing in them otherwise."""
    try:
        towards = questions.directions(*answer, page.words)
    except GradiendUIError as error:
        return load.failed(page.load, page.words.of(error), True, page.words)
    return read_again(page, checkpoint, {"towards": towards}, chosen, name)


def asked(page: Page, question: Asked, card: Card | None) -> Updates:
    widgets = questions.outputs(page.load.question)
    return dict(zip(widgets, questions.shown(question, card, page.words), strict=True))


def updates(page: Page, name: str, info: RunInfo) -> Updates:
    """The page with a run."""
    return dict(zip(opened_outputs(page), opened(page, name, info["card"], info), strict=True))


def progress(page: Page, what: str) -> Updates:
    return {page.load.note: load.build_progress(page.words(f"load.{what}"))}


def after_opening(page: Page, event: Dependency) -> None:
    """What follows once `event` has filled the page by `opening.opened`."""
    then = show_run_in_url(page, event)
    estimate_after(page, then)
    answer_after(page, then)
    follow_after(page, claim_after(page, then))
