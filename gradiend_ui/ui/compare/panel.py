"""Step 3, Compare: own sentences, the base beside the selected and the pinned cells. Widgets and what fills them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.run import RunInfo
from gradiend_ui.ui.compare.answers import FROM_DATA, build_note, choices_of, first_sentences
from gradiend_ui.ui.compare.columns import build_key
from gradiend_ui.ui.kit.tree import Node, Tree, explained, node
from gradiend_ui.ui.kit.words import Words

FILE_ID = "comparison-file"
EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class CompareWidgets:
    sentences: gr.Textbox
    examples: gr.Dropdown
    key: Tree
    pin: gr.Button
    copy: gr.Button
    csv: gr.Button
    file: gr.DownloadButton
    told: Tree
    answers: Tree


def build(words: Words) -> CompareWidgets:
    with gr.Column(elem_id="step-compare", elem_classes="panel"):
        with gr.Row(elem_id="compare-head"):
            with gr.Column(elem_id="compare-side", min_width=0):
                examples = _build_title(words)
                pin, copy, csv = _build_buttons(words)
            sentences = gr.Textbox(
                label=words("compare.sentences"),
                placeholder=words("compare.placeholder"),
                show_label=False,
                lines=3,
                max_lines=3,
                elem_id="sentences",
            )
        with gr.Row(elem_id="compare-legend"):
            key = Tree(build_key((), (), None, words), elem_id="compare-key")
            told = Tree(build_told(""), elem_id="compare-told")
        answers = Tree(build_note(words("compare.waiting")), elem_id="answers")
        file = gr.DownloadButton(visible="hidden", elem_id=FILE_ID)
    return CompareWidgets(sentences, examples, key, pin, copy, csv, file, told, answers)


def _build_title(words: Words) -> gr.Dropdown:
    with gr.Row(elem_id="compare-title-row"):
        title = explained(words("compare.title"), words.help("compare.title"))
        Tree(node("h2", title), elem_id="compare-title")
        return gr.Dropdown(
            choices_of(None, words),
            value=FROM_DATA,
            label=words("compare.examples"),
            show_label=False,
            filterable=False,
            min_width=0,
            elem_id="examples",
        )


def _build_buttons(words: Words) -> tuple[gr.Button, gr.Button, gr.Button]:
    def small(label: str, name: str, **options: object) -> gr.Button:
        return gr.Button(label, size="sm", elem_id=name, min_width=0, **options)

    with gr.Row(elem_id="compare-buttons"):
        pin = small(words("compare.pin"), "pin", interactive=False)
        return pin, small(words("compare.copy"), "copy-comparison"), small(words("compare.csv"), "csv-comparison")


def build_told(sentence: str) -> Node:
    """What a press has done, for eyes and screen readers."""
    return node("p", sentence, cls="quiet", role="status")


def opened_outputs(widgets: CompareWidgets) -> list[Block]:
    return [widgets.sentences, widgets.examples, widgets.key, widgets.pin, widgets.told, widgets.answers]


def opened_values(card: Card, info: RunInfo | None, words: Words) -> list[object]:
    return [
        first_sentences(card),
        gr.update(choices=choices_of(card["objective"], words), value=FROM_DATA),
        build_key((), (), None, words),
        pin_button(words, can_pin=False, is_pinned=False),
        build_told(""),
        build_note(words("compare.working")),
    ]


def pin_button(words: Words, *, can_pin: bool, is_pinned: bool) -> dict[str, object]:
    """The button that pins the selected cell, or takes its pin away."""
    label = words("compare.unpin_this") if is_pinned else words("compare.pin")
    updated: dict[str, object] = gr.update(value=label, interactive=can_pin or is_pinned)
    return updated


def copy_script(words: Words) -> str:
    """Puts the shown numbers on the clipboard and gives what `told` shows; works without a secure context too."""
    done, failed = (json.dumps(json.dumps(build_told(words(f"compare.{name}")))) for name in ("copied", "not_copied"))
    return f"""async () => {{
  const text = document.querySelector('#answers .answers')?.dataset.tabs;
  if (!text) return {failed};
  try {{ await navigator.clipboard.writeText(text); return {done}; }} catch {{ /* not allowed here */ }}
  const area = document.createElement('textarea'), before = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  before?.focus();
  return copied ? {done} : {failed};
}}"""
