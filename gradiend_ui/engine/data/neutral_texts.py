"""Neutral texts, which the language-modelling score is taken on: read and checked, capped, or made of evaluation rows.

Knows tables and rows; no tokenizer but by its mask token, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.rows import MAX_TEXT, EvalRow, Table, cell_text, read_whole
from gradiend_ui.engine.data.spelling import same_column
from gradiend_ui.engine.data.table_reading import HALF_CHARACTER, MAX_ROWS, Nested, ReadTable
from gradiend_ui.engine.errors import BadData, TooLarge, is_broken, listed, shown

TEXT_COLUMNS = ("text", "sentence", "masked")


@dataclass(frozen=True)
class NeutralData:
    """Neutral texts in order; notes: how they were read, and what was dropped. encoding: of their file."""

    texts: tuple[str, ...]
    notes: tuple[Note, ...] = ()
    encoding: str | None = None


def read_neutral(table: Table | ReadTable | Sequence[str], *, keep_empty: bool = False) -> tuple[str, ...]:
    """Neutral texts in order: a list of strings, or the text column of a table.

    Empty texts are dropped; keep_empty keeps them (the reference draws masks from them too, so dropping one
    shifts every later draw). Raises BadData when there is no text column or no text.
    """
    return check_neutral(table, keep_empty=keep_empty).texts


def check_neutral(table: Table | ReadTable | Sequence[str], *, keep_empty: bool = False) -> NeutralData:
    """The same with notes on what was dropped. Rows of a `ReadTable` that could not be read are dropped, too."""
    read, cells = _text_cells(table)
    texts: list[str] = []
    for number, cell in enumerate(cells):
        text = cell_text(cell)
        if isinstance(text, Nested):
            nested = BadData(f"Neutral text {number + 1} is a list or an object, not a text: {shown(str(text))}.")
            raise nested.known_as("data.nested_text", number=number + 1, cell=shown(str(text)))
        if is_broken(text):
            half = BadData(f"Neutral text {number + 1} cannot be read: {HALF_CHARACTER}.")
            raise half.known_as("data.broken_text", number=number + 1)
        texts.append(text)
    kept = tuple(text for text in texts if keep_empty or text.strip())
    if not any(text.strip() for text in kept):
        raise BadData("The neutral set holds no text.").known_as("data.no_texts")
    if len(kept) > MAX_ROWS or any(len(text) > MAX_TEXT for text in kept):
        much = TooLarge(f"A neutral set holds at most {MAX_ROWS:,} texts of {MAX_TEXT:,} characters.")
        raise much.known_as("data.texts_large", most=f"{MAX_ROWS:,}", longest=f"{MAX_TEXT:,}")
    return NeutralData(kept, (*read.notes, *_dropped(len(texts) - len(kept), read)), read.encoding)


def _text_cells(table: Table | ReadTable | Sequence[str]) -> tuple[ReadTable, Sequence[object]]:
    """(the table that they come from, the cells of its column of texts)."""
    if isinstance(table, Sequence) and not isinstance(table, (str, Path)) and all(isinstance(t, str) for t in table):
        return ReadTable(pd.DataFrame()), list(table)
    if isinstance(table, list) and not any(isinstance(one, Mapping) for one in table):
        odd = next(one for one in table if not isinstance(one, str))
        raise BadData(f"The neutral texts must be a list of texts, not of {shown(odd)}.")
    read = table if isinstance(table, ReadTable) else read_whole(table)
    names = [str(name) for name in read.frame.columns]
    column = next((found for wanted in TEXT_COLUMNS if (found := same_column(wanted, names))), None)
    if column is None:
        told = BadData(f"Neutral texts need a column 'text'. Columns: {listed(names)}.")
        raise told.known_as("data.no_text_column", columns=listed(names))
    cells = read.frame.iloc[:, names.index(column)].tolist()
    return read, [None if number in read.damaged else cell for number, cell in enumerate(cells)]


def _dropped(count: int, read: ReadTable) -> tuple[Note, ...]:
    """Notes on the texts that were dropped: those that could not be read, and empty ones."""
    notes, unread = [], len(read.damaged)
    if unread:
        number, reason = next(iter(read.damaged.items()))
        values = {"count": f"{unread:,}", "row": number + 1, "why": reason.text}
        sentence = f"{unread:,} texts could not be read and are left out. First reason: row {number + 1}: {reason}."
        notes.append(Note(sentence, ("data.texts_unread", values)))
    if count > unread:
        empty = count - unread
        sentence = f"{empty:,} empty {'text is' if empty == 1 else 'texts are'} left out."
        key = "data.texts_empty_one" if empty == 1 else "data.texts_empty_many"
        notes.append(Note(sentence, (key, {"count": f"{empty:,}"})))
    return tuple(notes)


def capped_neutral(texts: Sequence[str], max_neutral: int | None, seed: int = 0) -> tuple[str, ...]:
    """At most `max_neutral` of the texts, drawn by a private seeded generator; all of them for None."""
    if max_neutral is None or len(texts) <= max_neutral:
        return tuple(texts)
    places = pd.Series(range(len(texts))).sample(n=max_neutral, random_state=seed)
    return tuple(texts[place] for place in places)


def texts_from_rows(rows: Sequence[EvalRow], mask_token: str | None) -> tuple[str, ...]:
    """The stand-in for neutral texts: each row with its label filled in where the tokenizer's mask token stands.

    Follows the reference: a tokenizer whose mask token is not "[MASK]" keeps the placeholder in the text.
    """
    if mask_token is None:
        return tuple(row.masked for row in rows)
    return tuple(row.masked.replace(mask_token, row.label, 1) for row in rows)
