"""Columns and classes of training data in one spelling, before anything is paired.

A column that a form names is found where it differs in case, spaces or what is not seen; classes are trimmed, in
Unicode's form NFC. Knows frames and a `DataForm`; pairs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.sources import Tables
from gradiend_ui.engine.data.spelling import class_name, same_column


def in_one_spelling(tables: Tables, form: DataForm) -> Tables:
    """The same tables: columns named as `form` names them, and classes without what makes no other class."""
    if not isinstance(tables, dict):
        return _frame(tables, form)
    plain = [class_name(name) for name in tables]
    names = plain if len(set(plain)) == len(plain) else list(tables)
    return {name: _frame(table, form) for name, table in zip(names, tables.values(), strict=True)}


def _frame(frame: pd.DataFrame, form: DataForm) -> pd.DataFrame:
    names = [str(name) for name in frame.columns]
    wanted = (form.masked_col, form.label_col, form.label_class_col, form.alternative_col, form.alternative_class_col)
    found = {own: name for name in (*wanted, form.table_split_col) if name and (own := same_column(name, names))}
    renamed = {own: name for own, name in found.items() if own != name}
    frame = frame.rename(columns=renamed) if renamed else frame
    for name in (form.label_class_col, form.alternative_class_col):
        cells = _tidied(frame[name]) if name in frame else None
        frame = frame if name is None or cells is None else frame.assign(**{name: cells})
    return frame


def _tidied(cells: pd.Series) -> pd.Series | None:
    """The column with its classes in one spelling; None where they are so already, or it stands there twice."""
    if not isinstance(cells, pd.Series):
        return None
    spelled: Mapping[object, str] = {
        cell: tidy for cell in cells.unique() if isinstance(cell, str) and (tidy := class_name(cell)) != cell
    }
    return cells.replace(spelled) if spelled else None
