"""Which rows, words and neutral texts the numbers are measured on: a short panel, and a drawer to change them.

`chosen` holds the data part of a sweep's spec; the session reads the data. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import About, Card
from gradiend_ui.engine.answers.data import ChosenData, GivenData
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.engine.data.encodings import CHOICES, encoding_name
from gradiend_ui.engine.data.uploaded_tables import PARQUET
from gradiend_ui.ui.data.choice import Choice, data_of, opened_choice, scored_rows, scored_texts, splits
from gradiend_ui.ui.data.report import ROLES, build_sets, build_summary, build_time, neutral_choices
from gradiend_ui.ui.kit.drawer import drawer
from gradiend_ui.ui.kit.tree import Node, Tree, node
from gradiend_ui.ui.kit.upload_button import UploadButton
from gradiend_ui.ui.kit.words import Words

TABLE_TYPES = [".csv", ".tsv", ".txt", ".jsonl", ".json", ".parquet"]
ACCEPTED = {"data-upload": TABLE_TYPES, "data-upload-texts": TABLE_TYPES}
"""Upload button: the files that it takes."""
DOWNLOAD_ID = "rejected-file"
FOUND = ""
"""The value of the choice of an encoding that leaves it to be found out."""
MOST_UNKNOWN = 40
"""Of so many classes that the checkpoint does not know can be chosen at once what they count as; of more, the next ones
follow once these are settled."""

EXPLAINED: dict[str, str] = {
    "neutral-set": "data.neutral_set",
    "data-split": "data.split",
    "data-max-rows": "data.max_rows",
    "data-max-neutral": "data.max_neutral",
    "data-word-class": "data.word_class",
    "data-new-word": "data.new_word",
    "data-row-wise": "data.row_wise",
    "data-encoding": "data.encoding",
    "texts-encoding": "data.encoding",
    **{f"data-column-{role.replace('_', '-')}": f"data.role_{role}" for role in ROLES},
}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class DataWidgets:
    """chosen: `ChosenData`.

    own_rows, own_neutral, targets, split: see `Choice`. measured: the same as the worker timed it.
    touched: changes with every change of the four. They are kept here and not in what the page shows: rows bring a
    split of their own, and a page that is still being drawn would answer with the one before.
    """

    chosen: gr.State
    own_rows: gr.State
    own_neutral: gr.State
    targets: gr.State
    split: gr.State
    measured: gr.State
    touched: gr.State
    summary: Tree
    neutral_set: gr.Dropdown
    change: gr.Button


@dataclass(frozen=True)
class UnknownWidgets:
    """What classes that the checkpoint does not know count as. names: of these, in the order of the dropdowns."""

    panel: gr.Column
    told: Tree
    names: gr.State
    counts_as: tuple[gr.Dropdown, ...]
    apply: gr.Button


@dataclass(frozen=True)
class RowsWidgets:
    """The block Rows. `columns`: one dropdown per role, in the order of `ROLES`."""

    reading: Tree
    upload: gr.UploadButton
    pasting: gr.Accordion
    paste: gr.Textbox
    read: gr.Button
    back: gr.Button
    encoding: gr.Dropdown
    unknown: UnknownWidgets
    mapping: gr.Row
    columns: tuple[gr.Dropdown, ...]
    first: Tree
    rejected: Tree
    download: gr.Button
    file: gr.DownloadButton
    split: gr.Dropdown
    max_rows: gr.Number
    max_neutral: gr.Number
    time: Tree


@dataclass(frozen=True)
class WordsWidgets:
    chips: Tree
    word_class: gr.Dropdown
    word: gr.Textbox
    add: gr.Button
    row_wise: gr.Checkbox
    back: gr.Button


@dataclass(frozen=True)
class NeutralWidgets:
    sets: Tree
    measured: Tree
    upload: gr.UploadButton
    encoding: gr.Dropdown
    paste: gr.Textbox
    read: gr.Button


@dataclass(frozen=True)
class DataDrawerWidgets:
    rows: RowsWidgets
    words: WordsWidgets
    neutral: NeutralWidgets


def build(words: Words) -> DataWidgets:
    with gr.Column(elem_id="step-data", elem_classes="panel"):
        with gr.Row(elem_id="data-head"):
            Tree(node("h2", words("data.title")), elem_classes="panel-title")
            change = gr.Button(words("data.change"), size="sm", elem_id="change-data", min_width=0)
        choice = Choice(None, None, None, None, None, None, None)
        summary = Tree(build_summary(choice, None, words), elem_id="data-summary")
        neutral_set = gr.Dropdown([], label=words("data.neutral_set"), elem_id="neutral-set")
    return DataWidgets(
        chosen=gr.State({}),
        own_rows=gr.State(None),
        own_neutral=gr.State(None),
        targets=gr.State(None),
        split=gr.State(None),
        measured=gr.State(None),
        touched=gr.State(""),
        summary=summary,
        neutral_set=neutral_set,
        change=change,
    )


def build_drawer(words: Words, about: About) -> DataDrawerWidgets:
    with drawer("data", words("data.drawer_title"), words), gr.Row(elem_id="data-blocks", equal_height=False):
        with gr.Column(elem_id="data-rows", min_width=0):
            rows = _build_rows(words)
        with gr.Column(elem_id="data-side", min_width=0):
            with gr.Column(elem_id="data-words", min_width=0):
                targets = _build_words(words)
            with gr.Column(elem_id="data-neutral", min_width=0):
                neutral = _build_neutral(words)
    return DataDrawerWidgets(rows, targets, neutral)


def _heading(words: Words, name: str) -> None:
    Tree(node("div", node("h3", words(f"data.{name}_title")), node("p", words(f"data.{name}_intro"), cls="quiet")))


def _build_rows(words: Words) -> RowsWidgets:
    _heading(words, "rows")
    reading = Tree(node("div"), elem_id="data-reading")
    with gr.Row(elem_classes="buttons"):
        upload = UploadButton(
            words("data.upload"), file_types=TABLE_TYPES, size="sm", elem_id="data-upload", min_width=0
        )
        back = gr.Button(words("data.back_to_rows"), size="sm", visible=False, elem_id="data-back", min_width=0)
    with gr.Accordion(words("data.paste"), open=False, elem_id="data-paste-more") as pasting:
        paste = gr.Textbox(
            label=words("data.paste"),
            show_label=False,
            lines=4,
            max_lines=12,
            placeholder=words("data.paste_hint"),
            elem_id="data-paste",
        )
        read = gr.Button(words("data.read_pasted"), size="sm", elem_id="data-read", min_width=0)
    encoding = build_encoding(words, "data-encoding")
    unknown = _build_unknown(words)
    with gr.Row(visible=False, elem_id="data-columns") as mapping:
        columns = tuple(
            gr.Dropdown(
                [], label=words(f"data.role_{role}"), min_width=0, elem_id=f"data-column-{role.replace('_', '-')}"
            )
            for role in ROLES
        )
    first = Tree(node("div"), elem_id="data-first")
    rejected = Tree(node("div"), elem_id="data-rejected")
    download = gr.Button(
        words("data.download_rejected"), size="sm", visible=False, elem_id="data-download", min_width=0
    )
    file = gr.DownloadButton(visible="hidden", elem_id=DOWNLOAD_ID)
    with gr.Row(elem_id="data-limits"):
        split = gr.Dropdown([], label=words("data.split"), min_width=0, elem_id="data-split")
        max_rows = _limit(words, "max_rows")
        max_neutral = _limit(words, "max_neutral")
    time = Tree(node("p"), elem_id="data-time")
    return RowsWidgets(
        reading, upload, pasting, paste, read, back, encoding, unknown, mapping, columns, first, rejected, download,
        file, split, max_rows, max_neutral, time,
    )  # fmt: skip


def build_encoding(words: Words, name: str) -> gr.Dropdown:
    """A choice of the encoding of an uploaded file; hidden until there is one."""
    choices = [(words("data.encoding_found"), FOUND), *((encoding_name(one), one) for one in CHOICES)]
    return gr.Dropdown(choices, value=FOUND, label=words("data.encoding"), visible=False, min_width=0, elem_id=name)


def _build_unknown(words: Words) -> UnknownWidgets:
    with gr.Column(visible=False, elem_id="data-unknown") as panel:
        told = Tree(node("div"), elem_id="data-unknown-told")
        with gr.Row(elem_id="data-count-as"):
            counts_as = tuple(
                gr.Dropdown([], label=str(place), visible=False, min_width=0, elem_id=f"data-count-as-{place}")
                for place in range(MOST_UNKNOWN)
            )
        use = gr.Button(words("data.count_as_use"), size="sm", min_width=0, elem_id="data-count-as-use")
    return UnknownWidgets(panel, told, gr.State([]), counts_as, use)


def encoding_update(given: GivenData | None) -> object:
    """The choice for rows or texts that were uploaded; hidden for all others."""
    is_text = given is not None and "upload" in given and not given["upload"].endswith(PARQUET)
    return gr.update(visible=is_text, value=(given or {}).get("encoding") or FOUND)


def _limit(words: Words, name: str) -> gr.Number:
    return gr.Number(
        value=None,
        label=words(f"data.{name}"),
        placeholder=words("data.everything"),
        precision=0,
        min_width=0,
        elem_id=f"data-{name.replace('_', '-')}",
    )


def _build_words(words: Words) -> WordsWidgets:
    _heading(words, "words")
    chips = Tree(node("div"), elem_id="data-chips")
    with gr.Row(elem_id="data-add"):
        word_class = gr.Dropdown([], label=words("data.word_class"), min_width=0, elem_id="data-word-class")
        word = gr.Textbox(label=words("data.new_word"), min_width=0, max_lines=1, elem_id="data-new-word")
        add = gr.Button(words("data.add_word"), size="sm", min_width=0, elem_id="data-add-word")
    row_wise = gr.Checkbox(False, label=words("data.row_wise"), elem_id="data-row-wise", container=False)
    back = gr.Button(words("data.words_back"), size="sm", visible=False, min_width=0, elem_id="data-words-back")
    return WordsWidgets(chips, word_class, word, add, row_wise, back)


def _build_neutral(words: Words) -> NeutralWidgets:
    _heading(words, "neutral")
    measured = Tree(node("div"), elem_id="data-measured")
    sets = Tree(node("div"), elem_id="data-sets")
    with gr.Row(elem_classes="buttons"):
        upload = UploadButton(
            words("data.upload_texts"), file_types=TABLE_TYPES, size="sm", elem_id="data-upload-texts", min_width=0
        )
    encoding = build_encoding(words, "texts-encoding")
    with gr.Accordion(words("data.paste_texts"), open=False, elem_id="data-texts-more"):
        paste = gr.Textbox(
            label=words("data.paste_texts"), show_label=False, lines=4, max_lines=12, elem_id="data-texts"
        )
        read = gr.Button(words("data.read_texts"), size="sm", elem_id="data-read-texts", min_width=0)
    return NeutralWidgets(sets, measured, upload, encoding, paste, read)


# --- what a page opens with ------------------------------------------------------------------------------------------


def opened_outputs(widgets: DataWidgets, inside: DataDrawerWidgets) -> list[Block]:
    rows, targets = inside.rows, inside.words
    states = [widgets.chosen, widgets.own_rows, widgets.own_neutral, widgets.targets, widgets.split, widgets.measured]
    limits = [rows.split, rows.max_rows, rows.max_neutral, rows.time, rows.back]
    return [
        *states, widgets.summary, widgets.neutral_set, *limits, targets.word_class, targets.row_wise,
        inside.neutral.sets, inside.neutral.encoding,
    ]  # fmt: skip


def opened_values(card: Card, info: RunInfo | None, words: Words) -> list[object]:
    """As the card has it; for a run, the data that it was measured on."""
    choice = opened_choice(card, None if info is None else info["data"])
    data = data_of(choice, card)
    classes = [str(name) for name in card["classes"]]
    return [
        data,
        choice.own_rows,
        choice.own_neutral,
        choice.targets,
        choice.split,
        None,
        build_summary(choice, card, words),
        neutral_update(choice, card, words),
        split_update(choice, card, words),
        gr.update(value=choice.max_rows),
        gr.update(value=choice.max_neutral),
        time_line(choice, card, data, words),
        gr.update(visible=choice.own_rows is not None),
        gr.Dropdown(classes, value=classes[0] if classes else None),
        gr.update(value=choice.targets == "label"),
        build_sets(choice, card, words),
        encoding_update(choice.own_neutral["neutral"] if choice.own_neutral else None),
    ]


def neutral_update(choice: Choice, card: Card, words: Words) -> gr.Dropdown:
    return gr.Dropdown(neutral_choices(choice, card, words), value=choice.neutral_set)


def split_update(choice: Choice, card: Card, words: Words) -> gr.Dropdown:
    """Splits with the number of their rows."""
    options = [
        (words("data.split_option", name=words("data.split_every") if name == "all" else name, count=count), name)
        for name, count in splits(choice, card).items()
    ]
    return gr.Dropdown(options, value=choice.split)


def time_line(choice: Choice, card: Card, data: ChosenData, words: Words) -> Node:
    rows = scored_rows(choice, card)
    return build_time(data, rows, scored_texts(choice, card, rows), words)
