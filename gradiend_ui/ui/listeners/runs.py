"""Listeners of the drawer with earlier sweeps: each press changes what the page has in hand, then repaints.

`Drawer` is the drawer without Gradio: plain values in, plain values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack

import gradio as gr

from gradiend_ui.engine.answers.run import RunEntry, SelectOptions
from gradiend_ui.engine.errors import GradiendUIError, NotAllowed, NotFound
from gradiend_ui.server.door.visitors import THIS_MACHINE, Asker
from gradiend_ui.ui.kit.downloads import downloadable_text, press
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.tree import Node
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners.load import after_opening
from gradiend_ui.ui.page.following import AT_ONCE, EVERY, QUIET, WITH_RING, asker_of, page_of
from gradiend_ui.ui.page.opening import opened, opened_outputs
from gradiend_ui.ui.page.page import Page
from gradiend_ui.ui.runs import listing, pair
from gradiend_ui.ui.runs import panel as runs
from gradiend_ui.ui.runs.panel import Hand

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

DO_WANTED = f"""(wanted) => {{
  if (/^(run|card):/.test(wanted)) document.querySelector('#{runs.OPEN_ID}').click();
  if (wanted !== 'form') return;
  let tries = 50;
  const again = setInterval(() => {{
    const field = document.querySelector('#run-name :is(input, textarea)');
    if (field) {{ field.focus(); field.scrollIntoView({{ block: 'nearest' }}); }}
    if (field || !(tries -= 1)) clearInterval(again);
  }}, 60);
}}"""
CLOSE = "() => globalThis.gradiendPage.closeDrawer()"


@dataclass(frozen=True)
class Drawer:
    """One page's drawer. current: the run on the page; hand: see `panel.FIRST`; options: the page's question; asker:
    who looks into it, with the keys of their browser."""

    session: Session
    words: Words
    current: str
    hand: Hand
    options: SelectOptions
    said: str = ""
    said_kind: str = "quiet"
    wanted: str = ""
    asker: Asker = THIS_MACHINE

    def having(self, **changes: Unpack[Hand]) -> Drawer:
        return replace(self, hand={**self.hand, **changes})

    def press(self, value: str) -> Drawer:
        """After a press of a button of the list or the comparison. Raises GradiendUIError."""
        action, _, run = value.partition(":")
        if action == "open":
            return replace(self, wanted=f"run:{run}")
        if action == "edit":
            return replace(self.having(editing=run, asked=""), wanted="form")
        if action == "delete":
            return self.having(asked=run)
        if action == "keep":
            return self.having(asked="")
        if action == "sure":
            return self._deleted(run)
        if action == "pair":
            return self.having(pair=_toggled(self.hand["pair"], run), number=None)
        if action == "apart":
            return self.having(pair=[], number=None)
        if action == "number":
            return self.having(number=int(run))
        return self.having(most=self.hand["most"] + runs.PAGE_OF_RUNS) if action == "more" else self

    def _deleted(self, run: str) -> Drawer:
        title = listing.title_of(self.entry(run))
        checkpoint = self.session.run_info(run)["checkpoint"]
        self.session.runs.delete(run, self.asker)
        rest = [other for other in self.hand["pair"] if other != run]
        after = self.having(asked="", pair=rest, editing="" if self.hand["editing"] == run else self.hand["editing"])
        after = replace(after, said=self.words("runs.deleted", name=title), said_kind="good")
        return replace(after, wanted=f"card:{checkpoint}") if run == self.current else after

    def labelled(self, name: str, note: str) -> Drawer:
        """After saving the form. Raises GradiendUIError."""
        self.session.runs.label(self.hand["editing"], name, note, self.asker)
        return replace(self.having(editing=""), said=self.words("runs.saved"), said_kind="good")

    def shown(self) -> list[object]:
        """Values for `panel.shown_outputs`."""
        answer = self.session.runs.newest(self.hand["most"], self.asker)
        marks = listing.Marks(self.current, self.hand["asked"], tuple(self.hand["pair"]))
        listed = listing.build_list(answer["runs"], answer["count"], marks, self.words, own=not self.asker.owner)
        said = self.said or (self.words.counted("runs.count", answer["count"]) if answer["count"] else "")
        tree, both = self._pair()
        return [
            self.hand.copy(),
            listed,
            listing.build_status(said, self.said_kind),
            tree,
            gr.update(visible=both),
            *self._form(),
            self.wanted,
        ]

    def entry(self, run: str) -> RunEntry:
        """Raises NotAllowed, NotFound."""
        return self.session.runs.entry(run, self.asker)

    def _form(self) -> list[object]:
        if not self.hand["editing"]:
            return [gr.update(visible=False), gr.skip(), gr.skip()]
        entry = self.entry(self.hand["editing"])
        return [gr.update(visible=True), entry["name"], entry["note"]]

    def sides(self) -> tuple[pair.Side, pair.Side]:
        """The two chosen runs under one question. Raises NotFound."""
        if len(self.hand["pair"]) < 2:
            raise NotFound(self.words("runs.choose_two"))
        entries = [self.entry(run) for run in self.hand["pair"]]
        question = common_question(entries, self.options)
        first, second = (
            pair.Side(letter, entry, self.session.picture(entry["run"], question))
            for letter, entry in zip("AB", entries, strict=True)
        )
        return first, second

    def number(self, first: pair.Side, second: pair.Side) -> pair.Number:
        """What is shown: the number that was picked, else the one that the page's question is about."""
        numbers = pair.numbers_of(first, second)
        if self.hand["number"] is None:
            question = common_question([first.entry, second.entry], self.options)
            return pair.asked_number(numbers, question.get("target_class"), question.get("goal"))
        return numbers[min(int(self.hand["number"]), len(numbers) - 1)]

    def _pair(self) -> tuple[Node, bool]:
        if not self.hand["pair"]:
            return listing.build_nothing(), False
        if len(self.hand["pair"]) == 1:
            return pair.build_half(self.entry(self.hand["pair"][0]), self.words), False
        first, second = self.sides()
        return pair.build_pair(first, second, self.number(first, second), self.words), True


def common_question(entries: Sequence[RunEntry], options: SelectOptions) -> SelectOptions:
    """The page's question as far as both runs can answer it; the class is the page's, else the first common one."""
    classes = [set(entry["all_classes"]) for entry in entries]
    common = [name for name in entries[0]["all_classes"] if name in classes[1]]
    question = options.copy()
    question.pop("target_class", None)
    if not common:
        return question
    wanted = options.get("target_class")
    return {**question, "target_class": wanted if wanted in common else common[0]}


def _toggled(chosen: list[str], run: str) -> list[str]:
    """At most two; a third takes the place of the second."""
    return [other for other in chosen if other != run] if run in chosen else [*chosen[:1], run]


def drawer_of(page: Page, run: str, ring: str, hand: Hand | None, request: gr.Request) -> Drawer:
    options = page.viewers.get(page_of(request)).options
    asker = asker_of(page, request, ring=ring)
    return Drawer(page.session, page.words, run, {**runs.FIRST, **(hand or {})}, options, asker=asker)


def drawer_inputs(page: Page) -> list[object]:
    """What a drawer is made of, called with `WITH_RING`."""
    return [page.run, page.run_buttons.control.key, page.runs.hand]


def wire_runs(page: Page) -> None:
    wire_list(page)
    wire_opening(page)
    wire_pair_file(page)


def wire_list(page: Page) -> None:
    """The list, the form and the comparison: each press changes the hand and shows everything anew."""
    widgets, inputs, outputs = page.runs, drawer_inputs(page), runs.shown_outputs(page.runs)
    keyed = {"js": WITH_RING}

    def refresh(run: str, ring: str, hand: Hand, request: gr.Request) -> list[object]:
        drawer = drawer_of(page, run, ring, hand, request)
        try:
            return drawer.having(asked="", editing="").shown()
        except (NotFound, NotAllowed):  # a run of this page's hand was deleted elsewhere, or its key is no longer here
            return drawer.having(**runs.FIRST).shown()

    def press_pick(run: str, ring: str, hand: Hand, event: gr.SelectData, request: gr.Request) -> list[object]:
        drawer = drawer_of(page, run, ring, hand, request)
        try:
            return drawer.press(str(event.value)).shown()
        except GradiendUIError as error:
            fresh: Hand = {**runs.FIRST, "most": drawer.hand["most"]}
            return replace(drawer.having(**fresh), said=page.words.of(error), said_kind="danger").shown()

    def save(run: str, ring: str, hand: Hand, name: str, note: str, request: gr.Request) -> list[object]:
        with for_people(page.words):
            return drawer_of(page, run, ring, hand, request).labelled(name, note).shown()

    page.header.sweeps.click(refresh, inputs, outputs, **keyed, **AT_ONCE)
    for tree in (widgets.list, widgets.pair):
        pressed = tree.select(press_pick, inputs, outputs, **keyed, **EVERY)
        pressed.success(None, widgets.wanted, None, js=DO_WANTED, api_visibility="private")
    for event in (widgets.save.click, widgets.name.submit):
        event(save, [*inputs, widgets.name, widgets.note], outputs, **keyed, **AT_ONCE)
    widgets.cancel.click(refresh, inputs, outputs, **keyed, **AT_ONCE)


def wire_opening(page: Page) -> None:
    def open_wanted(wanted: str, request: gr.Request) -> list[object]:
        kind, _, name = wanted.partition(":")
        with for_people(page.words):
            if kind == "run":
                info = page.session.run_info(name)
                return opened(page, page_of(request), info["card"], info)
            return opened(page, page_of(request), page.session.card(name), None)

    after = page.runs.open.click(open_wanted, page.runs.wanted, opened_outputs(page), **QUIET)
    after_opening(page, after)
    after.success(None, None, None, js=CLOSE, api_visibility="private")


def wire_pair_file(page: Page) -> None:
    def make_csv(run: str, ring: str, hand: Hand, request: gr.Request) -> gr.DownloadButton:
        with for_people(page.words):
            drawer = drawer_of(page, run, ring, hand, request)
            first, second = drawer.sides()
            text = pair.csv_of(first, second, drawer.number(first, second))
            return gr.DownloadButton(value=downloadable_text("side-by-side.csv", text))

    made = page.runs.csv.click(make_csv, drawer_inputs(page), page.runs.csv_file, js=WITH_RING, **AT_ONCE)
    made.success(None, None, None, js=press(runs.CSV_ID), api_visibility="private")
