"""Listeners of the step Export: the button of the panel, the drawer's preview, form and button."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import gradio as gr

from gradiend_ui.engine.answers.run import SelectOptions
from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.engine.values import QUESTION, CellPlace
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.grid import board
from gradiend_ui.ui.kit.downloads import downloadable, press
from gradiend_ui.ui.kit.drawer import opens
from gradiend_ui.ui.kit.refusals import refusal
from gradiend_ui.ui.kit.tree import Node, ordered
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.page.following import AT_ONCE, NUMBERED, QUIET, known_view, order_of, page_of
from gradiend_ui.ui.page.page import Page

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

COPY = """async () => {
  const pre = document.querySelector('#export-script pre');
  let copied = true;
  try { await navigator.clipboard.writeText(pre.textContent); } catch (error) {
    const range = document.createRange();
    range.selectNodeContents(pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    copied = document.execCommand('copy');
  }
  const attributes = { class: 'export-note quiet', role: 'status' };
  return JSON.stringify({ tag: 'p', attributes, children: [copied ? DONE : FAILED] });
}"""


def chosen_options(
    cell: CellPlace | None,
    question: SelectOptions,
    words: Words,
    classes: list[str] | None = None,
    **form: str | None,
) -> dict[str, object]:
    """Options of an export: the winner of each ticked class, else the selected cell. Raises NotFound without either."""
    asked = {key: value for key, value in question.items() if key in QUESTION and value is not None}
    given = {key: value for key, value in form.items() if value}
    if classes:
        return {**asked, **given, "target_classes": list(classes)}
    if cell is None:
        raise NotFound(words("export.no_cell"))
    target = {"target_class": question["target_class"]} if question.get("target_class") else {}
    return {**asked, **target, **given, **cell}


def steps(
    session: Session, run: str, options: Mapping[str, object], words: Words, keep: bool, visitor: str = ""
) -> Iterator[tuple[Node, str]]:
    """(note, path of the downloadable copy, "" until it is there) for each step. Raises GradiendUIError."""
    for step in session.exports.write(run, options, keep=keep, visitor=visitor):
        path = downloadable(step["path"]) if step["step"] == "done" and not keep else ""
        yield export.build_step(step, words, keep), path


def options_of(
    page: Page, run: str, request: gr.Request, classes: list[str] | None = None, **given: str | None
) -> dict[str, object]:
    """The same for what the page looks at. Raises NotFound without a run."""
    if not run:
        raise NotFound(page.words("export.no_cell"))
    view = known_view(page, page_of(request), run)
    cell = None if classes else board.selected_cell(page.session, view)
    return chosen_options(cell, view.options, page.words, classes, **given)


def wire_export(page: Page) -> None:
    wire_writing(page)
    opens(page.export.options, "card")
    wire_preview(page)
    wire_copy(page)


def form_of(page: Page) -> list[object]:
    drawer = page.export_drawer
    return [drawer.name, drawer.dtype, drawer.classes]


def wire_writing(page: Page) -> None:
    panel, drawer, words = page.export, page.export_drawer, page.words

    def written(run: str, options: dict[str, object], keep: bool, request: gr.Request) -> Iterator[list[object]]:
        for note, path in steps(page.session, run, options, words, keep, page.visitors.of(request)):
            yield [note, gr.DownloadButton(value=path) if path else gr.skip()]

    def make(run: str, request: gr.Request) -> Iterator[list[object]]:
        try:
            yield from written(run, options_of(page, run, request), False, request)
        except GradiendUIError as error:
            yield [export.build_note(page.words.of(error), "danger"), gr.skip()]
            raise refusal(error, words, words("export.failed")) from error

    def make_chosen(
        run: str, name: str, dtype: str, classes: list[str], target: str, request: gr.Request
    ) -> Iterator[list[object]]:
        try:
            options = options_of(page, run, request, classes, name=name, dtype=dtype)
            yield from written(run, options, target == export.FOLDER, request)
        except GradiendUIError as error:
            yield [export.build_note(page.words.of(error), "danger"), gr.skip()]
            raise refusal(error, words, words("export.failed")) from error

    made = panel.button.click(make, page.run, [panel.note, panel.file], **QUIET)
    made.success(None, None, None, js=press(export.HIDDEN_ID), api_visibility="private")
    inputs = [page.run, *form_of(page), drawer.target]
    chosen = drawer.button.click(make_chosen, inputs, [drawer.note, panel.file], **QUIET)
    chosen.success(None, drawer.target, None, js=_press_download(), api_visibility="private")


def wire_preview(page: Page) -> None:
    """The card that would be written, shown anew whenever the form changes, and once a run has brought the first cell
    that there is one for."""
    panel, drawer, words = page.export, page.export_drawer, page.words

    def describe(
        nth: str, run: str, name: str, dtype: str, classes: list[str], shown: int, request: gr.Request
    ) -> list[object]:
        order = order_of(page, request, nth)
        known = page.session.run_info(run)["classes"] if run else []
        ticked = [item for item in classes or [] if item in known]
        choices = gr.update(choices=known, value=ticked, visible=bool(known))
        try:
            options = options_of(page, run, request, ticked, name=name, dtype=dtype)
            described = page.session.exports.describe(run, options)
        except GradiendUIError as error:
            told = ordered(order, export.build_refusal(page.words.of(error)))
            return [gr.skip(), gr.skip(), choices, told, ordered(order, export.build_script("")), True]
        at = min(shown, len(described["pieces"]) - 1)
        placeholder = gr.skip() if name else gr.update(placeholder=described["name"])
        return [
            placeholder,
            gr.update(choices=export.dtype_choices(described, words)),
            choices,
            ordered(order, export.build_preview(described, at, words)),
            ordered(order, export.build_script(described["pieces"][at]["script"])),
            False,
        ]

    def describe_again(
        nth: str, run: str, name: str, dtype: str, classes: list[str], shown: int, refused: bool, request: gr.Request
    ) -> list[object]:
        return describe(nth, run, name, dtype, classes, shown, request) if refused else [gr.skip()] * len(outputs)

    def show_card(event: gr.SelectData) -> int:
        return int(str(event.value))

    inputs = [page.run, page.run, *form_of(page), drawer.shown]
    outputs = [drawer.name, drawer.dtype, drawer.classes, drawer.card, drawer.script, drawer.refused]
    picked = drawer.card.select(show_card, None, drawer.shown, **AT_ONCE)
    for event in (panel.options.click, drawer.name.blur, drawer.name.submit, drawer.dtype.input, drawer.classes.input):
        event(describe, inputs, outputs, js=NUMBERED, **QUIET)
    picked.success(describe, inputs, outputs, js=NUMBERED, **QUIET)
    for ended in page.run_ends:
        ended.success(describe_again, [*inputs, drawer.refused], outputs, js=NUMBERED, **QUIET)


def wire_copy(page: Page) -> None:
    drawer, words = page.export_drawer, page.words
    texts = {"DONE": words("export.copied"), "FAILED": words("export.not_copied")}
    script = COPY
    for place, text in texts.items():
        script = script.replace(place, json.dumps(text))
    drawer.copy.click(None, None, drawer.copied, js=script, api_visibility="private")


def _press_download() -> str:
    """As `press`, but not where the export was kept as a folder."""
    return f"(target) => {{ if (target === '{export.DOWNLOAD}') ({press(export.HIDDEN_ID)})(); }}"
