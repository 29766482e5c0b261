"""Listeners of the data panel and its drawer.

Every change ends in `compose`: the spec is put together from the widgets as they are now, so that two quick changes
never undo each other. Then the worker is asked what it comes to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.events import Dependency

from gradiend_ui.engine.answers.data import ChosenData, DataSpec, GivenData, RowsReport
from gradiend_ui.engine.errors import BadData, GradiendUIError
from gradiend_ui.engine.sweep.data_report import ALL, default_split
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.data import report
from gradiend_ui.ui.data.choice import NONE, OWN, ROW_WISE, Choice, OwnRows, OwnTexts, data_of, own_table, splits
from gradiend_ui.ui.kit.downloads import downloadable_text, press
from gradiend_ui.ui.kit.drawer import opens
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.tree import ordered
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners.sweep import estimate_after
from gradiend_ui.ui.page.following import AT_ONCE, NEWEST, NUMBERED, QUIET, order_of
from gradiend_ui.ui.page.page import Page

REJECTED_NAME = "rows-that-cannot-be-scored.csv"


class Measured(NamedTuple):
    """How long a cell takes, about; None where that could not be measured."""

    checkpoint: str
    spec: DataSpec
    seconds_per_cell: float | None


def wire_data(page: Page) -> None:
    wire_choice(page)
    wire_rows(page)
    wire_words(page)
    wire_neutral(page)


def choice_inputs(page: Page) -> list[Block]:
    """What a `Choice` is made of, in its order."""
    widgets, rows = page.data, page.data_drawer.rows
    return [
        widgets.own_rows, widgets.own_neutral, widgets.targets, widgets.neutral_set, widgets.split, rows.max_rows,
        rows.max_neutral,
    ]  # fmt: skip


def touch() -> str:
    """A value that was never there: it tells `compose` that something changed.

    Only listeners in the queue may set it: the change of a state is told with the queue's messages.
    """
    return token_hex(8)


# --- the choice ------------------------------------------------------------------------------------------------------


def wire_choice(page: Page) -> None:
    widgets, drawer = page.data, page.data_drawer

    def compose(nth: str, checkpoint: str, request: gr.Request, *values: Any) -> list[object]:
        choice = Choice(*values)
        if not checkpoint or not choice.split:
            return [gr.skip()] * len(composed)
        card, order = page.session.card(checkpoint), order_of(page, request, nth)
        chosen = data_of(choice, card)
        return [
            chosen,
            ordered(order, report.build_summary(choice, card, page.words)),
            ordered(order, report.build_sets(choice, card, page.words)),
            ordered(order, data.time_line(choice, card, chosen, page.words)),
            ordered(order, report.build_measuring(page.words)),
        ]

    def show_words(nth: str, checkpoint: str, chosen: ChosenData, request: gr.Request) -> list[object]:
        order = order_of(page, request, nth)
        return [ordered(order, shown) for shown in words_shown(page, checkpoint, chosen)]

    composed = [
        widgets.chosen, widgets.summary, drawer.neutral.sets, drawer.rows.time, drawer.neutral.measured,
    ]  # fmt: skip
    rows = drawer.rows
    changes = [
        widgets.touched.change, widgets.neutral_set.input, rows.max_rows.input, rows.max_neutral.input,
    ]  # fmt: skip
    inputs = [page.run, page.checkpoint, *choice_inputs(page)]
    event = gr.on(changes, compose, inputs, composed, js=NUMBERED, **NEWEST)
    estimate_after(page, event)
    asked, shown = [page.run, page.checkpoint, widgets.chosen], [drawer.words.chips, drawer.words.back]
    measure_after(page, event.success(show_words, asked, shown, js=NUMBERED, **AT_ONCE))


def measure_after(page: Page, event: Dependency) -> None:
    """Have the base scored on the neutral texts in use once `event` has succeeded: that tells how long a cell takes."""
    widgets, drawer = page.data, page.data_drawer

    def measure(nth: str, checkpoint: str, chosen: ChosenData, ratio: float, request: gr.Request) -> list[object]:
        if not checkpoint:
            return [gr.skip()] * 2
        order = order_of(page, request, nth)
        if chosen.get("unusable"):
            return [ordered(order, report.build_waiting(page.words)), None]
        try:
            found = page.session.data.neutral(checkpoint, chosen["spec"], ratio)
        except GradiendUIError as error:
            return [ordered(order, report.build_refusal(page.words.of(error))), None]
        measured = Measured(checkpoint, chosen["spec"], found["seconds_per_cell"])
        return [ordered(order, report.build_measured(found, page.words)), measured]

    def take_over(
        nth: str,
        checkpoint: str,
        chosen: ChosenData,
        measured: Measured | None,
        request: gr.Request,
        *values: Any,
    ) -> list[object]:
        """The measured time, unless another model was opened or something else chosen while it was measured."""
        if not checkpoint or not measured or (measured.checkpoint, measured.spec) != (checkpoint, chosen["spec"]):
            return [gr.skip()] * 2
        data_now: ChosenData = {**chosen, "seconds_per_cell": measured.seconds_per_cell}
        line = data.time_line(Choice(*values), page.session.card(checkpoint), data_now, page.words)
        return [data_now, ordered(order_of(page, request, nth), line)]

    asked, measured = [page.run, page.checkpoint, widgets.chosen], [drawer.neutral.measured, widgets.measured]
    newest = {**QUIET, "trigger_mode": "always_last"}  # else one that is asked for during another is never measured
    told = event.success(measure, [*asked, page.form.ratio], measured, js=NUMBERED, **newest)
    inputs, outputs = [*asked, widgets.measured, *choice_inputs(page)], [widgets.chosen, drawer.rows.time]
    taken = told.success(take_over, inputs, outputs, js=NUMBERED, **AT_ONCE)
    estimate_after(page, taken)


def words_shown(page: Page, checkpoint: str, chosen: ChosenData) -> list[object]:
    """Values for the chips and for the button that goes back to the words of the rows."""
    if not checkpoint:
        return [gr.skip()] * 2
    if chosen.get("unusable"):
        return [report.build_waiting(page.words), gr.update(visible=bool(chosen["spec"].get("targets")))]
    try:
        found = page.session.data.targets(checkpoint, chosen["spec"])
    except GradiendUIError as error:
        return [report.build_refusal(page.words.of(error)), gr.update(visible=bool(chosen["spec"].get("targets")))]
    return [report.build_words(found, page.words), gr.update(visible=found["mode"] == "own")]


# --- rows ------------------------------------------------------------------------------------------------------------


def described_outputs(page: Page) -> list[object]:
    """What the drawer shows of the rows in use, and what tells `compose` of them."""
    rows = page.data_drawer.rows
    shown = [rows.reading, rows.first, rows.rejected, rows.download, rows.encoding, rows.mapping]
    unknown = [rows.unknown.panel, rows.unknown.told, rows.unknown.names, *rows.unknown.counts_as]
    return [*shown, *rows.columns, *unknown, page.data.touched]


def described(page: Page, checkpoint: str, own_rows: OwnRows | None) -> list[object]:
    """Values for `described_outputs`."""
    if not checkpoint:
        return [gr.skip()] * len(described_outputs(page))
    try:
        found = page.session.data.rows(checkpoint, table_spec(own_rows))
    except GradiendUIError as error:
        return [*refused(page, page.words.of(error)), touch()]
    return [*rows_shown(page, found, own_rows), touch()]


def replaced_outputs(page: Page) -> list[object]:
    """The same with the rows themselves, their split and the way back."""
    rows = page.data_drawer.rows
    return [page.data.own_rows, page.data.split, rows.split, rows.back, *described_outputs(page)]


def rows_replaced(
    page: Page,
    checkpoint: str,
    given: GivenData,
    columns: Mapping[str, str] | None = None,
    count_as: Mapping[str, str] | None = None,
) -> list[object]:
    """Values for `replaced_outputs`: own rows in place of those beside the checkpoint, or the same ones with other
    columns, or with other classes for those that the checkpoint does not know."""
    spec = {"rows": given} if columns is None else {"rows": given, "columns": columns}
    found = page.session.data.rows(checkpoint, {**spec, "count_as": dict(count_as)} if count_as else spec)
    own = own_table(given, found, count_as)
    return [own, *split_of(page, checkpoint, own), gr.update(visible=True), *rows_shown(page, found, own), touch()]


def split_of(page: Page, checkpoint: str, own: OwnRows | None) -> tuple[str, object]:
    """The split that goes with rows by default, and the choice of one at it."""
    card = page.session.card(checkpoint)
    split = default_split(splits(Choice(own, None, None, None, None, None, None), card))
    return split, data.split_update(Choice(own, None, None, None, split, None, None), card, page.words)


def wire_rows(page: Page) -> None:
    widgets, rows, replaced = page.data, page.data_drawer.rows, replaced_outputs(page)

    def describe(checkpoint: str, own_rows: OwnRows | None) -> list[object]:
        return described(page, checkpoint, own_rows)

    def upload(checkpoint: str, path: str, request: gr.Request) -> list[object]:
        with for_people(page.words):
            given = page.session.data.keep_table(path, page.visitors.of(request))
            return rows_replaced(page, require(checkpoint), given)

    def paste(checkpoint: str, text: str) -> list[object]:
        with for_people(page.words):
            name = page.words("data.pasted_name")
            given = page.session.data.keep_pasted(text or "", name, is_table=True)
            return [gr.update(open=False), *rows_replaced(page, require(checkpoint), given)]

    def correct(checkpoint: str, own_rows: OwnRows | None, *columns: str | None) -> list[object]:
        if own_rows is None:
            return [gr.skip()] * len(replaced)
        with for_people(page.words):
            chosen = {role: column or "" for role, column in zip(report.ROLES, columns, strict=True)}
            return rows_replaced(page, checkpoint, own_rows["rows"], chosen, own_rows.get("count_as"))

    def read_again(checkpoint: str, own_rows: OwnRows | None, encoding: str | None) -> list[object]:
        if own_rows is None:
            return [gr.skip()] * len(replaced)
        with for_people(page.words):
            given = with_encoding(own_rows["rows"], encoding)
            return rows_replaced(page, checkpoint, given, None, own_rows.get("count_as"))

    def count_as(checkpoint: str, own_rows: OwnRows | None, names: list[str], *chosen: str | None) -> list[object]:
        if own_rows is None:
            return [gr.skip()] * len(replaced)
        with for_people(page.words):
            classes = [str(name) for name in page.session.card(checkpoint)["encoding_direction"]]
            found = report.counts_as(names, chosen, classes)
            known = {**own_rows.get("count_as", {}), **dict.fromkeys(names, None), **found}
            kept = {name: wanted for name, wanted in known.items() if wanted is not None}
            return rows_replaced(page, checkpoint, own_rows["rows"], own_rows.get("columns"), kept)

    def go_back(checkpoint: str) -> list[object]:
        with for_people(page.words):
            return [
                None,
                *split_of(page, require(checkpoint), None),
                gr.update(visible=False),
                *described(page, checkpoint, None),
            ]

    def download(checkpoint: str, own_rows: OwnRows | None) -> str:
        with for_people(page.words):
            return downloadable_text(REJECTED_NAME, page.session.data.rejected(checkpoint, table_spec(own_rows)))

    def take_split(split: str | None) -> list[object]:
        return [split, touch()]

    now = [page.checkpoint, widgets.own_rows]
    rows.split.input(
        take_split, rows.split, [widgets.split, widgets.touched], **{**QUIET, "trigger_mode": "always_last"}
    )
    opens(widgets.change, "data").then(describe, now, described_outputs(page), **QUIET)
    rows.upload.upload(upload, [page.checkpoint, rows.upload], replaced, **QUIET)
    rows.read.click(paste, [page.checkpoint, rows.paste], [rows.pasting, *replaced], **QUIET)
    gr.on(
        [column.input for column in rows.columns],
        correct,
        [page.checkpoint, widgets.own_rows, *rows.columns],
        replaced,
        **{**QUIET, "trigger_mode": "always_last"},
    )
    rows.encoding.input(read_again, [*now, rows.encoding], replaced, **QUIET)
    unknown = rows.unknown
    unknown.apply.click(count_as, [*now, unknown.names, *unknown.counts_as], replaced, **QUIET)
    rows.back.click(go_back, page.checkpoint, replaced, **QUIET)
    filled = rows.download.click(download, [page.checkpoint, widgets.own_rows], rows.file, **QUIET)
    filled.success(None, js=press(data.DOWNLOAD_ID), api_visibility="private")


def require(checkpoint: str) -> str:
    """Raises BadData while no model is loaded."""
    if not checkpoint:
        told = BadData("There is no model yet: load one first, its classes decide which rows fit.")
        raise told.known_as("load.no_model")
    return checkpoint


def table_spec(own_rows: OwnRows | None) -> DataSpec:
    """The part of a spec that names the rows."""
    if own_rows is None:
        return {}
    spec: DataSpec = {"rows": own_rows["rows"]}
    columns, count_as = own_rows.get("columns"), own_rows.get("count_as")
    if columns is not None:
        spec["columns"] = columns
    if count_as:
        spec["count_as"] = count_as
    return spec


def with_encoding(given: GivenData, encoding: str | None) -> GivenData:
    """The same rows or texts in the encoding that a person says; "" to have it found out."""
    plain: GivenData = given.copy()
    plain.pop("encoding", None)
    if encoding:
        plain["encoding"] = encoding
    return plain


def rows_shown(page: Page, found: RowsReport, own_rows: OwnRows | None) -> list[object]:
    """Values for what the drawer shows of rows; the dropdowns of the columns only for an own table."""
    words = page.words
    name = None if own_rows is None else report.shown_name(own_rows["rows"], words)
    columns = [(words("data.no_column"), ""), *((name, name) for name in found.get("table_columns", ()))]
    chosen = found.get("columns", {})
    return [
        report.build_reading(found, name, words),
        report.build_first_rows(found, words),
        report.build_rejected(found, words),
        gr.update(visible=bool(found["rejected_count"])),
        data.encoding_update(None if own_rows is None else own_rows["rows"]),
        gr.update(visible=own_rows is not None),
        *(gr.Dropdown(columns, value=chosen.get(role) or "") for role in report.ROLES),
        *unknown_shown(page, found),
    ]


def unknown_shown(page: Page, found: RowsReport) -> list[object]:
    """Values for the panel of the classes that the checkpoint does not know: a dropdown of each, at what it counts as
    or most likely means."""
    words, unknown = page.words, found.get("unknown_classes", [])
    known = [(name, name) for name in found.get("known_classes", ())]
    choices = [(words("data.count_as_open"), report.OPEN), *known, (words("data.count_as_none"), report.LEFT_OUT)]
    shown = report.offered(unknown, data.MOST_UNKNOWN)
    updates: list[object] = [
        gr.Dropdown(
            choices,
            value=report.chosen_class(one),
            label=words("data.count_as", name=report.named_class(one, words)),
            visible=True,
        )
        for one in shown
    ]
    updates += [gr.update(visible=False)] * (data.MOST_UNKNOWN - len(shown))
    told = report.build_unknown(unknown, data.MOST_UNKNOWN, words)
    return [gr.update(visible=bool(unknown)), told, [one["name"] for one in shown], *updates]


def refused(page: Page, sentence: str) -> list[object]:
    """The same where nothing can be told of the rows but why not."""
    nothing = report.build_first_rows(None, page.words), report.build_rejected(None, page.words)
    hidden = gr.update(visible=False)
    unknown = [hidden, gr.skip(), [], *[gr.skip()] * data.MOST_UNKNOWN]
    columns = [gr.skip()] * len(report.ROLES)
    return [report.build_refusal(sentence), *nothing, hidden, hidden, hidden, *columns, *unknown]


# --- words -----------------------------------------------------------------------------------------------------------


def wire_words(page: Page) -> None:
    widgets, targets = page.data, page.data_drawer.words
    inputs = [page.checkpoint, widgets.chosen]
    outputs = [widgets.targets, targets.row_wise, widgets.touched]

    def edit(checkpoint: str, chosen: ChosenData, change: Callable[[dict[str, list[str]]], None]) -> list[object]:
        """The words in use with a change, as own words."""
        spec = {key: value for key, value in chosen["spec"].items() if value != ROW_WISE or key != "targets"}
        words = {name: list(own) for name, own in page.session.data.targets(checkpoint, spec)["words"].items()}
        change(words)
        return [words, gr.update(value=False), touch()]

    def remove(checkpoint: str, chosen: ChosenData, event: gr.SelectData) -> list[object]:
        with for_people(page.words):
            _, name, spellings = json.loads(str(event.value))
            return edit(checkpoint, chosen, lambda words: take_away(words, name, spellings, page.words))

    def add(checkpoint: str, chosen: ChosenData, name: str | None, word: str) -> list[object]:
        with for_people(page.words):
            require(checkpoint)
            return ["", *edit(checkpoint, chosen, lambda words: put_in(words, name, word, page.words))]

    def go_back() -> list[object]:
        return [None, gr.update(value=False), touch()]

    def score_row_wise(checked: bool) -> list[object]:
        return [ROW_WISE if checked else None, touch()]

    targets.chips.select(remove, inputs, outputs, **{**QUIET, "trigger_mode": "multiple"})
    gr.on(
        [targets.add.click, targets.word.submit],
        add,
        [*inputs, targets.word_class, targets.word],
        [targets.word, *outputs],
        **QUIET,
    )
    targets.back.click(go_back, None, outputs, **QUIET)
    targets.row_wise.input(score_row_wise, targets.row_wise, [widgets.targets, widgets.touched], **QUIET)


def take_away(words: dict[str, list[str]], name: str, spellings: list[str], texts: Words) -> None:
    """Raises BadData for the last word of a class."""
    left = [word for word in words[name] if word not in spellings]
    if not left:
        raise BadData(texts("data.last_word", word=spellings[0]))
    words[name] = left


def put_in(words: dict[str, list[str]], name: str | None, word: str, texts: Words) -> None:
    """Raises BadData for an empty word and for one that the class has."""
    plain = (word or "").strip()
    if not plain or name not in words:
        raise BadData(texts("data.empty_word"))
    if plain in words[name]:
        raise BadData(texts("data.known_word", word=plain, name=name))
    words[name].append(plain)


# --- neutral texts ---------------------------------------------------------------------------------------------------


def wire_neutral(page: Page) -> None:
    widgets, neutral = page.data, page.data_drawer.neutral
    outputs = [widgets.own_neutral, widgets.neutral_set, neutral.encoding, widgets.touched]

    def use(checkpoint: str, own: OwnTexts | None, event: gr.SelectData) -> list[object]:
        value = str(event.value)
        with for_people(page.words):
            known = value in (OWN, NONE, *page.session.card(checkpoint)["neutral_sets"])
            return [gr.update(value=value) if known else gr.skip(), touch()]

    def take(checkpoint: str, own_rows: OwnRows | None, given: GivenData) -> list[object]:
        """Own texts in use; refused before anything changes where they hold none."""
        spec: DataSpec = {**table_spec(own_rows), "split": ALL, "neutral": given}
        found = page.session.data.neutral(require(checkpoint), spec, 1.0)
        own: OwnTexts = {"neutral": given, "count": found["texts"]}
        choice = Choice(None, own, None, OWN, None, None, None)
        shown = data.neutral_update(choice, page.session.card(checkpoint), page.words)
        return [own, shown, data.encoding_update(given), touch()]

    def upload(checkpoint: str, own_rows: OwnRows | None, path: str, request: gr.Request) -> list[object]:
        with for_people(page.words):
            return take(checkpoint, own_rows, page.session.data.keep_texts(path, page.visitors.of(request)))

    def paste(checkpoint: str, own_rows: OwnRows | None, text: str) -> list[object]:
        with for_people(page.words):
            given = page.session.data.keep_pasted(text or "", page.words("data.pasted_texts"), is_table=False)
            return take(checkpoint, own_rows, given)

    neutral.sets.select(
        use,
        [page.checkpoint, widgets.own_neutral],
        [widgets.neutral_set, widgets.touched],
        **{**QUIET, "trigger_mode": "multiple"},
    )

    def read_again(
        checkpoint: str, own_rows: OwnRows | None, own: OwnTexts | None, encoding: str | None
    ) -> list[object]:
        if own is None:
            return [gr.skip()] * len(outputs)
        with for_people(page.words):
            return take(checkpoint, own_rows, with_encoding(own["neutral"], encoding))

    now = [page.checkpoint, widgets.own_rows, widgets.own_neutral, neutral.encoding]
    neutral.encoding.input(read_again, now, outputs, **QUIET)
    neutral.upload.upload(upload, [page.checkpoint, widgets.own_rows, neutral.upload], outputs, **QUIET)
    neutral.read.click(paste, [page.checkpoint, widgets.own_rows, neutral.paste], outputs, **QUIET)
