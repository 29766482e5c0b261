"""Step 4, Export: the selected cell as a checkpoint, with its drawer and the preview of its model card.

The preview is the Markdown that `export.model_card` writes, and no other, as headings, tables, code and text:
nothing in it becomes markup. Knows widgets and sentences; what an export is, is `server.exports`', and how weights are
made nobody knows here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import About, Card
from gradiend_ui.engine.answers.model import ExportAnswer, ExportPiece, ExportStep
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.engine.values import AS_BASE, EXPORT_DTYPES
from gradiend_ui.figures.numbers import cell_name, three_digits
from gradiend_ui.server.exports import LONGEST_NAME
from gradiend_ui.ui.kit.drawer import drawer
from gradiend_ui.ui.kit.status import why_broken
from gradiend_ui.ui.kit.tree import Node, Tree, explained, node, pick
from gradiend_ui.ui.kit.words import Words

INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")
FENCE, RULE = "```", "---"


def build_card(markdown: str) -> Node:
    """The card, block by block."""
    return node("div", *map(_build_block, blocks_of(markdown)), cls="card-text")


def blocks_of(markdown: str) -> Iterator[list[str]]:
    """The card's lines in blocks: front matter, a heading, a table, a fenced code, a paragraph."""
    lines = markdown.splitlines()
    place = 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        end = _end_of_block(lines, place)
        yield lines[place:end]
        place = end


def _end_of_block(lines: list[str], start: int) -> int:
    first = lines[start]
    closing = FENCE if first.startswith(FENCE) else RULE if first == RULE else None
    if closing is not None:
        return lines.index(closing, start + 1) + 1
    if first.startswith("#"):
        return start + 1
    is_table = first.startswith("|")
    end = start
    while end < len(lines) and lines[end].strip() and lines[end].startswith("|") == is_table:
        end += 1
    return end


def _build_block(lines: list[str]) -> Node:
    first = lines[0]
    if first.startswith(FENCE) or first == RULE:
        kind = "front" if first == RULE else "code"
        return node("pre", node("code", "\n".join(lines[1:-1])), cls=kind)
    if first.startswith("#"):
        return node("h3", first.lstrip("# "), cls="card-title" if first.startswith("# ") else "")
    if first.startswith("|"):
        return _build_table([[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines])
    return node("p", *inline(" ".join(lines)))


def _build_table(rows: list[list[str]]) -> Node:
    """The first cell of a line names it; a head without any text is left out."""
    head, body = rows[0], rows[2:]
    lines = [
        node(
            "tr", node("th", *inline(row[0]), scope="row"), *(node("td", *inline(cell), cls="num") for cell in row[1:])
        )
        for row in body
    ]
    if not any(head):
        return node("table", node("tbody", *lines), cls="card-facts")
    names = node("tr", *(node("th", name, scope="col") for name in head))
    return node("table", node("thead", names), node("tbody", *lines), cls="card-facts numbers")


def inline(text: str) -> list[Node | str]:
    """`code` and **bold** as nodes, the rest as text."""
    parts: list[Node | str] = []
    place = 0
    for found in INLINE.finditer(text):
        if found.start() > place:
            parts.append(text[place : found.start()])
        parts.append(node("code", found[1]) if found[1] is not None else node("strong", found[2]))
        place = found.end()
    return [*parts, text[place:]] if place < len(text) else parts


HIDDEN_ID = "export-file"
DOWNLOAD, FOLDER = "download", "folder"

EXPLAINED: dict[str, str] = {
    "export-name": "export.name",
    "export-dtype": "export.dtype",
    "export-classes": "export.classes",
    "export-target": "export.target",
}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class ExportWidgets:
    button: gr.Button
    options: gr.Button
    file: gr.DownloadButton
    note: Tree


@dataclass(frozen=True)
class ExportDrawerWidgets:
    """shown: which of several cards is looked at. refused: whether there is none yet, since there is no such cell."""

    name: gr.Textbox
    dtype: gr.Radio
    classes: gr.CheckboxGroup
    target: gr.Radio
    button: gr.Button
    note: Tree
    card: Tree
    script: Tree
    copy: gr.Button
    copied: Tree
    shown: gr.State
    refused: gr.State


def build(words: Words) -> ExportWidgets:
    with gr.Column(elem_id="step-export", elem_classes="panel"):
        Tree(node("h2", words("export.title")), elem_classes="panel-title")
        note = Tree(build_note(words("export.hint")), elem_id="export-note")
        with gr.Row(elem_classes="buttons"):
            button = gr.Button(words("export.button"), variant="primary", interactive=False, elem_id="export")
            options = gr.Button(words("export.options"), size="sm", elem_id="open-card", min_width=0)
        file = gr.DownloadButton(visible="hidden", elem_id=HIDDEN_ID)
    return ExportWidgets(button=button, options=options, file=file, note=note)


def build_drawer(words: Words, about: About) -> ExportDrawerWidgets:
    """about: of the session; a public server keeps no folders."""
    with drawer("card", words("export.card"), words), gr.Row(elem_id="export-parts", equal_height=False):
        with gr.Column(elem_id="export-form", min_width=0):
            name = gr.Textbox(label=words("export.name"), max_length=LONGEST_NAME, max_lines=1, elem_id="export-name")
            dtype = gr.Radio(
                [*EXPORT_DTYPES, (words("export.as_base"), AS_BASE)],
                value=AS_BASE,
                label=words("export.dtype"),
                elem_id="export-dtype",
            )
            classes = gr.CheckboxGroup([], label=words("export.classes"), elem_id="export-classes")
            target = gr.Radio(
                [(words("export.download"), DOWNLOAD), (words("export.folder"), FOLDER)],
                value=DOWNLOAD,
                label=words("export.target"),
                visible=not about["public"],
                elem_id="export-target",
            )
            button = gr.Button(words("export.button_all"), variant="primary", elem_id="export-options")
            note = Tree(build_note(""), elem_id="export-drawer-note")
        with gr.Column(elem_id="export-preview", min_width=0):
            card = Tree(node("p", words("export.reading"), cls="quiet"), elem_id="card-preview")
            with gr.Row(elem_id="export-script-head"):
                title = explained(words("export.script"), words.help("export.script"))
                Tree(node("h3", title), elem_id="export-script-title")
                copied = Tree(build_note(""), elem_id="export-copied")
                copy = gr.Button(words("export.copy"), size="sm", elem_id="export-copy", min_width=0)
            script = Tree(build_script(""), elem_id="export-script")
        shown, refused = gr.State(0), gr.State(False)
    return ExportDrawerWidgets(
        name=name,
        dtype=dtype,
        classes=classes,
        target=target,
        button=button,
        note=note,
        card=card,
        script=script,
        copy=copy,
        copied=copied,
        shown=shown,
        refused=refused,
    )


def opened_outputs(widgets: ExportWidgets, drawer_widgets: ExportDrawerWidgets) -> list[Block]:
    return [widgets.note, drawer_widgets.name, drawer_widgets.classes, drawer_widgets.note, drawer_widgets.shown]


def opened_values(card: Card, info: RunInfo | None, words: Words) -> list[object]:
    return [build_note(words("export.hint")), "", gr.CheckboxGroup(value=[]), build_note(""), 0]


def build_note(sentence: str, kind: str = "quiet") -> Node:
    return node("p", sentence, cls=f"export-note {kind}", role="status")


def build_step(step: ExportStep, words: Words, is_kept: bool) -> Node:
    """One answer of `Exports.write` as a sentence, with a bar until it is done."""
    if step["step"] == "done":
        size = megabytes(step["bytes"])
        key = "export.kept" if is_kept else "export.downloaded"
        return build_note(words(key, name=step["name"], path=step["path"], size=size), "good")
    if step["step"] == "packing":
        return _build_working(words("export.packing", name=step["name"]), 0.9)
    cell = cell_name(step["cell"]["feature_factor"], step["cell"]["learning_rate"])
    sentence = words("export.writing", cell=cell)
    if step["count"] > 1:
        sentence = words("export.writing_of", cell=cell, number=step["number"], count=step["count"])
    return _build_working(sentence, 0.9 * (step["number"] - 0.7) / step["count"])


def _build_working(sentence: str, share: float) -> Node:
    bar = node("progress", value=f"{share:.2f}", max="1", aria_label=sentence)
    return node("div", node("p", sentence, role="status"), bar, cls="export-note working")


def megabytes(count: float) -> str:
    """Bytes as MB, three digits: `39206272 -> "39.2 MB"`."""
    return f"{three_digits(count / 1e6)} MB"


def dtype_choices(described: ExportAnswer, words: Words) -> list[tuple[str, str]]:
    """Labels with the size of the weights; the one that was scored and the base's own are named."""
    sizes, scored = described["bytes"], described["scored"]

    def label(name: str) -> str:
        told = f"{name}, {megabytes(sizes[name])}"
        return words("export.as_swept", dtype=told) if name == scored else told

    base = words("export.as_base_size", dtype=described["stored"], size=megabytes(sizes[described["stored"]]))
    return [*((label(name), name) for name in EXPORT_DTYPES), (base, AS_BASE)]


def build_preview(described: ExportAnswer, shown: int, words: Words) -> Node:
    """The card that will be written; several are looked at one at a time."""
    pieces = described["pieces"]
    at = min(shown, len(pieces) - 1)
    tabs = [
        pick(str(place), words("export.card_of", name=piece["folder"]), aria_pressed="true" if place == at else "false")
        for place, piece in enumerate(pieces)
    ]
    several = node("div", *tabs, cls="choices") if len(pieces) > 1 else None
    return node("div", _build_broken(pieces, words), several, build_card(pieces[at]["card"]))


def _build_broken(pieces: Sequence[ExportPiece], words: Words) -> Node | None:
    """What is told of the models that are broken, before any card; nothing where none is."""
    told = []
    for piece in pieces:
        found = piece["degenerate"]
        if found is not None:
            cell = cell_name(piece["cell"]["feature_factor"], piece["cell"]["learning_rate"])
            told.append(
                node(
                    "p", node("strong", words("export.broken", cell=cell)), " ", why_broken(found, words), cls="danger"
                )
            )
    return node("div", *told, role="alert") if told else None


def build_script(text: str) -> Node:
    return node("pre", node("code", text), cls="code")


def build_refusal(sentence: str) -> Node:
    return node("p", sentence, cls="danger", role="alert")
