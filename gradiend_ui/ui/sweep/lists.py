"""The two typed lists of the step Sweep: what was read, and a row that writes a range for people who type no syntax.

Lays out and reads back; the syntax itself is the engine's (`engine.sweep.axes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from gradiend_ui.engine.errors import BadGrid, GradiendUIError
from gradiend_ui.engine.sweep.axes import Axis, range_text, read_axis
from gradiend_ui.figures.numbers import MINUS, plain
from gradiend_ui.ui.kit.tree import Node, Tree, node
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.sweep.form import FACTORS, RATES

FIRST_FACTORS, FIRST_RATES = "-1, 1", "0.01, 0.05, 0.1, 0.2, 0.5, 1"
FEW, SHOWN = 8, 5
EVEN, LOGARITHMIC = "even", "logarithmic"
FIRST_RANGE = (0.01, 1.0, 9)


@dataclass(frozen=True)
class ListWidgets:
    """group: the lists with what belongs to them; the other widgets write a range into one of them."""

    group: gr.Column
    factors: gr.Textbox
    factors_read: Tree
    rates: gr.Textbox
    rates_read: Tree
    axis: gr.Radio
    first: gr.Number
    last: gr.Number
    count: gr.Number
    spacing: gr.Radio
    fill: gr.Button
    add: gr.Button
    range_note: Tree


def build(words: Words) -> ListWidgets:
    with gr.Column(visible=False, elem_id="lists") as group:
        factors = gr.Textbox(FIRST_FACTORS, label=words("sweep.factors"), elem_id="typed-factors", max_lines=1)
        factors_read = Tree(build_read_back(FIRST_FACTORS, FACTORS, words), elem_id="factors-read")
        rates = gr.Textbox(FIRST_RATES, label=words("sweep.rates"), elem_id="typed-rates", max_lines=1)
        rates_read = Tree(build_read_back(FIRST_RATES, RATES, words), elem_id="rates-read")
        Tree(node("p", words("sweep.syntax"), cls="quiet"), elem_id="list-syntax")
        with gr.Accordion(words("sweep.range"), open=False, elem_id="range"):
            axes = [(words("sweep.range_rates"), RATES), (words("sweep.range_factors"), FACTORS)]
            axis = _choice(axes, "range_for", "range-for", words)
            with gr.Row(elem_classes="range-ends"):
                first = gr.Number(FIRST_RANGE[0], label=words("sweep.range_first"), elem_id="range-first", min_width=0)
                last = gr.Number(FIRST_RANGE[1], label=words("sweep.range_last"), elem_id="range-last", min_width=0)
                count = gr.Number(FIRST_RANGE[2], label=words("sweep.range_count"), elem_id="range-count", min_width=0)
            spacings = [(words(f"sweep.range_{name}"), name) for name in (LOGARITHMIC, EVEN)]
            spacing = _choice(spacings, "range_spacing", "range-spacing", words)
            with gr.Row(elem_classes="buttons"):
                fill = gr.Button(words("sweep.range_fill"), size="sm", elem_id="range-fill", min_width=0)
                add = gr.Button(words("sweep.range_add"), size="sm", elem_id="range-add", min_width=0)
            note = Tree(node("p", role="status"), elem_id="range-note")
    return ListWidgets(
        group, factors, factors_read, rates, rates_read, axis, first, last, count, spacing, fill, add, note
    )


def _choice(choices: list[tuple[str, str]], key: str, name: str, words: Words) -> gr.Radio:
    label = words(f"sweep.{key}")
    return gr.Radio(choices, value=choices[0][1], label=label, elem_id=name, elem_classes="segmented")


def build_read_back(text: str, what: str, words: Words) -> Node:
    """What a list is read as, or the sentence of its refusal."""
    try:
        axis = read_axis(text, what)
    except GradiendUIError as error:
        return node("p", words.of(error), cls="read-back danger", role="alert")
    return node("p", _values(axis, words), _repeated(axis, words), cls="read-back quiet", role="status")


def _values(axis: Axis, words: Words) -> str:
    shown = [f"{value:.3g}".replace("-", MINUS) for value in axis.values]
    if len(shown) > FEW:
        shown = [*shown[:SHOWN], "…", shown[-1]]
    return words.counted("sweep.values", len(axis.values), values=", ".join(shown))


def _repeated(axis: Axis, words: Words) -> Node | None:
    if not axis.repeated:
        return None
    named = ", ".join(map(plain, axis.repeated[:SHOWN]))
    return node("span", " " + words.counted("sweep.repeated", len(axis.repeated), values=named), cls="warn")


def written_range(first: float | None, last: float | None, count: float | None, spacing: str) -> str:
    """A range as it is typed. Raises BadGrid and TooLarge in a sentence."""
    if first is None or last is None or count is None:
        told = BadGrid("A range needs its two ends and how many numbers it has, for example from 0.01 to 1, 9 numbers.")
        raise told.known_as("sweep.range_lacks")
    if float(count) != int(count):
        told = BadGrid(f"How many numbers a range has is a whole number, not {count:g}.")
        raise told.known_as("sweep.range_whole", count=f"{count:g}")
    return range_text(float(first), float(last), int(count), spacing == LOGARITHMIC)
