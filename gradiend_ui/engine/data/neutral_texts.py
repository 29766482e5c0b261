"""Neutral texts, which the language-modelling score is taken on: read and checked, capped, or made of evaluation rows.

Knows tables and rows; no tokenizer but by its mask token, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from gradiend_ui.engine.data.rows import MAX_TEXT, EvalRow, Table, cell_text, read_table
from gradiend_ui.engine.data.table_reading import HALF_CHARACTER, MAX_ROWS
from gradiend_ui.engine.errors import BadData, TooLarge, is_broken, listed, shown

TEXT_COLUMNS = ("text", "sentence", "masked")


def read_neutral(table: Table | Sequence[str], *, keep_empty: bool = False) -> tuple[str, ...]:
    """Neutral texts in order: a list of strings, or the text column of a table.

    Empty texts are dropped; keep_empty keeps them (the reference draws masks from them too, so dropping one
    shifts every later draw). Raises BadData when there is no text column or no text.
    """
    if isinstance(table, Sequence) and not isinstance(table, (str, Path)) and all(isinstance(t, str) for t in table):
        texts = [str(text) for text in table]
    elif isinstance(table, list) and not any(isinstance(one, Mapping) for one in table):
        odd = next(one for one in table if not isinstance(one, str))
        raise BadData(f"The neutral texts must be a list of texts, not of {shown(odd)}.")
    else:
        frame = read_table(table)
        column = next((name for name in TEXT_COLUMNS if name in frame.columns), None)
        if column is None:
            told = BadData(f"Neutral texts need a column 'text'. Columns: {listed(frame.columns)}.")
            raise told.known_as("data.no_text_column", columns=listed(frame.columns))
        texts = [cell_text(value) for value in frame[column]]
    broken = next((number for number, text in enumerate(texts) if is_broken(text)), None)
    if broken is not None:
        half = BadData(f"Neutral text {broken + 1} cannot be read: {HALF_CHARACTER}.")
        raise half.known_as("data.broken_text", number=broken + 1)
    kept = tuple(text for text in texts if keep_empty or text.strip())
    if not any(text.strip() for text in kept):
        raise BadData("The neutral set holds no text.").known_as("data.no_texts")
    if len(kept) > MAX_ROWS or any(len(text) > MAX_TEXT for text in kept):
        much = TooLarge(f"A neutral set holds at most {MAX_ROWS:,} texts of {MAX_TEXT:,} characters.")
        raise much.known_as("data.texts_large", most=f"{MAX_ROWS:,}", longest=f"{MAX_TEXT:,}")
    return kept


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
