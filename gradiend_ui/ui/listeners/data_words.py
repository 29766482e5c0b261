"""Listeners of the words of the classes and of the neutral texts in the drawer of the data.

Every change ends in `touch`, which tells `compose` in `data`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import gradio as gr

from gradiend_ui.engine.answers.data import ChosenData, DataSpec, GivenData
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.sweep.data_report import ALL
from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.data.choice import NONE, OWN, ROW_WISE, Choice, OwnRows, OwnTexts
from gradiend_ui.ui.kit.refusals import for_people
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners.data_rows import require, table_spec, touch, with_encoding
from gradiend_ui.ui.page.following import QUIET
from gradiend_ui.ui.page.page import Page

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
