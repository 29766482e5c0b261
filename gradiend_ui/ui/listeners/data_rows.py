"""Listeners of the rows in the drawer of the data: uploaded, pasted, read again, their columns and classes corrected.

Whatever comes in place of the rows in use is checked first; then `compose` is told, see `data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex

import gradio as gr

from gradiend_ui.engine.answers.data import DataSpec, GivenData, RowsReport
from gradiend_ui.engine.errors import BadData, GradiendUIError
from gradiend_ui.engine.sweep.data_report import default_split
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.data import report
from gradiend_ui.ui.data.choice import Choice, OwnRows, own_table, splits
from gradiend_ui.ui.kit.downloads import downloadable_text, press
from gradiend_ui.ui.kit.drawer import opens
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.page.following import QUIET
from gradiend_ui.ui.page.page import Page

REJECTED_NAME = "rows-that-cannot-be-scored.csv"


def touch() -> str:
    """A value that was never there: it tells `compose` that something changed.

    Only listeners in the queue may set it: the change of a state is told with the queue's messages.
    """
    return token_hex(8)


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
    wire_given(page)
    wire_corrections(page)
    wire_rejected(page)


def wire_given(page: Page) -> None:
    """Rows that are shown, uploaded, pasted, or those beside the checkpoint again."""
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

    def go_back(checkpoint: str) -> list[object]:
        with for_people(page.words):
            split = split_of(page, require(checkpoint), None)
            return [None, *split, gr.update(visible=False), *described(page, checkpoint, None)]

    opens(widgets.change, "data").then(describe, [page.checkpoint, widgets.own_rows], described_outputs(page), **QUIET)
    rows.upload.upload(upload, [page.checkpoint, rows.upload], replaced, **QUIET)
    rows.read.click(paste, [page.checkpoint, rows.paste], [rows.pasting, *replaced], **QUIET)
    rows.back.click(go_back, page.checkpoint, replaced, **QUIET)


def wire_corrections(page: Page) -> None:
    """What a person says of a table: its columns, its encoding, its classes, the split in use."""
    widgets, rows, replaced = page.data, page.data_drawer.rows, replaced_outputs(page)

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
            card = page.session.card(checkpoint)
            classes = [str(name) for name in card["encoding_direction"] or card["classes"]]
            found = report.counts_as(names, chosen, classes)
            known = {**own_rows.get("count_as", {}), **dict.fromkeys(names, None), **found}
            kept = {name: wanted for name, wanted in known.items() if wanted is not None}
            return rows_replaced(page, checkpoint, own_rows["rows"], own_rows.get("columns"), kept)

    def take_split(split: str | None) -> list[object]:
        return [split, touch()]

    now, unknown = [page.checkpoint, widgets.own_rows], rows.unknown
    newest = {**QUIET, "trigger_mode": "always_last"}
    gr.on([column.input for column in rows.columns], correct, [*now, *rows.columns], replaced, **newest)
    rows.encoding.input(read_again, [*now, rows.encoding], replaced, **QUIET)
    unknown.apply.click(count_as, [*now, unknown.names, *unknown.counts_as], replaced, **QUIET)
    rows.split.input(take_split, rows.split, [widgets.split, widgets.touched], **newest)


def wire_rejected(page: Page) -> None:
    """The rows that cannot be scored, as a file."""
    widgets, rows = page.data, page.data_drawer.rows

    def download(checkpoint: str, own_rows: OwnRows | None) -> str:
        with for_people(page.words):
            return downloadable_text(REJECTED_NAME, page.session.data.rejected(checkpoint, table_spec(own_rows)))

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
