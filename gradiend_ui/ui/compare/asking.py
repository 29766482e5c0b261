"""Asking for a comparison and showing it: one call on the session, then trees. Knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradiend_ui.engine.answers.model import CompareAnswer
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.values import MOST_COMPARED_TEXTS, CellPlace
from gradiend_ui.figures.numbers import cell_name
from gradiend_ui.ui.compare.answers import build_answers, build_note, continued_tokens
from gradiend_ui.ui.compare.columns import MOST_PINNED, Column, as_csv, as_tabs, columns_of, is_left_out, table
from gradiend_ui.ui.kit.tree import Node
from gradiend_ui.ui.kit.words import Words

if TYPE_CHECKING:
    from gradiend_ui.engine.answers.model import CompareAnswer
    from gradiend_ui.server.session import Session

TOP_K = 8


@dataclass(frozen=True)
class Question:
    """What the page compares: ids, the columns beside the base and the text of the box.

    run: "" before a sweep, when the base alone answers. selected: name of the selected cell, "" for none; left_out:
    it has no column, because all places are pinned.
    """

    run: str
    checkpoint: str
    columns: tuple[Column, ...]
    text: str
    selected: str = ""
    left_out: bool = False

    @property
    def sentences(self) -> list[str]:
        """One per line, blank lines left out."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]


def question(
    run: str, checkpoint: str, pinned: tuple[tuple[float, float], ...], selected: CellPlace | None, text: str
) -> Question:
    """Cells belong to a run: without one there are no columns beside the base."""
    name = cell_name(selected["feature_factor"], selected["learning_rate"]) if run and selected else ""
    columns = columns_of(pinned, selected) if run else ()
    return Question(run, checkpoint, columns, text, name, bool(run) and is_left_out(columns, selected))


def compare(session: Session, asked: Question, words: Words) -> Node:
    """The answers, or a sentence that says what is missing or why not."""
    if not asked.checkpoint:
        return build_note(words("compare.waiting"))
    if not asked.sentences:
        return build_note(words("compare.no_text"))
    try:
        answer = answers_to(session, asked)
    except GradiendUIError as error:
        return build_note(words.of(error), danger=True)
    tabs = as_tabs(table(answer, asked.columns))
    notes = [*notes_of(asked, words), *filter(None, [answer.get("note")])]
    if behind_padding := answer.get("behind_padding"):
        notes.append(words("compare.behind_padding", count=behind_padding))
    return build_answers(answer, asked.columns, words, selected=asked.selected, tabs=tabs, notes=notes)


def notes_of(asked: Question, words: Words) -> list[str]:
    """What is not shown, and why."""
    count, notes = len(asked.sentences), []
    if asked.left_out:
        notes.append(words("compare.no_room", most=MOST_PINNED))
    if count > MOST_COMPARED_TEXTS:
        notes.append(words("compare.too_many", count=count, most=MOST_COMPARED_TEXTS))
    return notes


def answers_to(session: Session, asked: Question) -> CompareAnswer:
    """The engine's answer for the first twenty sentences. Raises GradiendUIError."""
    texts = asked.sentences[:MOST_COMPARED_TEXTS]
    options: dict[str, object] = {"top_k": TOP_K, "skip_bad": True}
    continuation = continued_tokens(session.card(asked.checkpoint)["objective"])
    if continuation:
        options["continuation"] = continuation
    if not asked.run:
        return session.compared.base(asked.checkpoint, texts, options)
    cells = [{"feature_factor": factor, "learning_rate": rate} for factor, rate in (c.cell for c in asked.columns)]
    return session.compare(asked.run, cells, texts, options)


def comparison_csv(session: Session, asked: Question) -> str:
    """All numbers of the comparison. Raises GradiendUIError."""
    return as_csv(table(answers_to(session, asked), asked.columns))
