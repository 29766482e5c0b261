"""Columns and classes of training data in one spelling, before anything is paired.

A column that a form names is found where it differs in case, spaces or what is not seen; classes are trimmed, in
Unicode's form NFC. Knows frames and a `DataForm`; pairs nothing.
"""

from __future__ import annotations

import pandas as pd

from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.sources import Tables
from gradiend_ui.engine.data.rows import cell_text
from gradiend_ui.engine.data.spelling import class_name, same_column
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
