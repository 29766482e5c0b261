"""Columns and classes of training data in one spelling, before anything is paired.

A column that a form names is found where it differs in case, spaces or what is not seen; classes are trimmed, in
Unicode's form NFC. Knows frames and a `DataForm`; pairs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.sources import Tables
from gradiend_ui.engine.data.rows import cell_text, tidied_note
from gradiend_ui.engine.data.spelling import class_name, same_column, word
from gradiend_ui.engine.data.table_reading import is_nested
from gradiend_ui.engine.errors import BadData, listed, shown


def in_one_spelling(tables: Tables, form: DataForm) -> Tables:
    """The same tables: columns named as `form` names them, and classes without what makes no other class."""
    if not isinstance(tables, dict):
        return _frame(tables, form)
    plain = [class_name(name) for name in tables]
    twice = next((name for place, name in enumerate(plain) if name in plain[:place]), None)
    if twice is not None:
        raise BadData(f"Two tables are of the class {shown(twice)}: {listed(tables)}. Put their rows into one table.")
    return {name: _frame(table, form) for name, table in zip(plain, tables.values(), strict=True)}


def spelling_notes(tables: Tables, form: DataForm) -> tuple[str, ...]:
    """What is told of classes and words that are read in one spelling: how many cells, and the first of them."""
    frames = tables.values() if isinstance(tables, dict) else (tables,)
    words = (form.label_col, form.alternative_col, *(tables if isinstance(tables, dict) else ()))
    notes = []
    for columns, tidy, key in (
        ((form.label_class_col, form.alternative_class_col), class_name, "data.classes_tidied"),
        (words, word, "data.words_tidied"),
    ):
        changed = [
            (cell, new)
            for frame in frames
            for column in reversed(_columns_of(frame, columns))  # so is the example that pages name
            for cell in frame[column].tolist()
            if isinstance(cell, str) and (new := tidy(cell)) != cell and new
        ]
        if changed:
            notes.append(tidied_note(len(changed), changed[0], key).sentence)
    return tuple(notes)


def _columns_of(frame: pd.DataFrame, wanted: Iterable[str | None]) -> list[str]:
    """Those of the wanted columns that stand there once."""
    names = [str(name) for name in frame.columns]
    found = dict.fromkeys(same_column(name, names) for name in wanted if name)
    return [name for name in found if name is not None and isinstance(frame[name], pd.Series)]


def _frame(frame: pd.DataFrame, form: DataForm) -> pd.DataFrame:
    names = [str(name) for name in frame.columns]
    wanted = (form.masked_col, form.label_col, form.label_class_col, form.alternative_col, form.alternative_class_col)
    found = {own: name for name in (*wanted, form.table_split_col) if name and (own := same_column(name, names))}
    renamed = {own: name for own, name in found.items() if own != name}
    frame = frame.rename(columns=renamed) if renamed else frame
    for name in (form.label_class_col, form.alternative_class_col):
        cells = _tidied(frame[name]) if name in frame else None
        frame = frame if name is None or cells is None else frame.assign(**{name: cells})
    return _columns_of_classes(frame, form)


def _columns_of_classes(frame: pd.DataFrame, form: DataForm) -> pd.DataFrame:
    """The columns that are named like a class, spelled as the class is."""
    classes = {*(form.target_classes or ()), *(form.all_classes or ())}
    if isinstance(frame.get(form.label_class_col), pd.Series):
        classes |= {str(name) for name in frame[form.label_class_col].dropna().unique()}
    have = set(map(str, frame.columns))
    renamed = {name: own for name in frame.columns if (own := class_name(str(name))) in classes and own not in have}
    return frame.rename(columns=renamed) if renamed and len(set(renamed.values())) == len(renamed) else frame


def _tidied(cells: pd.Series) -> pd.Series | None:
    """The column with its classes in one spelling; None where they are so already, or it stands there twice."""
    if not isinstance(cells, pd.Series):
        return None
    texts = list(map(cell_text, cells.tolist()))
    spelled = {text: class_name(text) or None for text in set(texts)}  # each once: they are few
    names = [text if is_nested(text) else spelled[text] for text in texts]
    is_same = all(one is None or one is cell or one == cell for one, cell in zip(names, cells.tolist(), strict=True))
    return None if is_same else pd.Series(names, cells.index, dtype=object)
