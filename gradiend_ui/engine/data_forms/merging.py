"""Merging classes: base classes such as 1SG and 3SG become one class such as "singular".

Works on tables before rows are paired. Knows the merge map of a `DataForm`; nothing of splits.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gradiend_ui.engine.data_forms.form import DataForm
from gradiend_ui.engine.errors import BadData


def merge_class_tables(
    tables: dict[str, pd.DataFrame], form: DataForm, targets: Sequence[str] | None
) -> dict[str, pd.DataFrame]:
    """One table per merged class; each gets a column of the merged name with its own tokens.

    Two `targets`: only these. Else all merged classes, then the classes no merged one takes, in the data's order.
    Raises BadData when nothing is left.
    """
    taken = form.merged_of()
    if targets and len(targets) == 2:
        wanted = list(targets)
    else:
        wanted = [*form.class_merge_map, *(name for name in tables if name not in taken)]
    merged: dict[str, pd.DataFrame] = {}
    for name in wanted:
        if name not in form.class_merge_map:
            if name in tables:
                merged[name] = tables[name]
            continue
        parts = [
            tables[base].assign(**{name: tables[base][own_token_column(base, tables[base], form)]})
            for base in form.class_merge_map[name]
            if base in tables
        ]
        if parts:
            merged[name] = pd.concat(parts)
    if not merged:
        raise BadData(
            f"class_merge_map leaves no class: its base classes are {', '.join(taken)}, "
            f"the data has {', '.join(tables)}."
        )
    return merged


def merge_paired_frame(frame: pd.DataFrame, form: DataForm) -> pd.DataFrame:
    """A frame with both classes per row: both renamed to merged classes; rows within one merged class drop out.

    `class_merge_transition_groups` keeps only rows whose two base classes stand in one of its groups. Two target
    classes keep only rows between them. The frame's index is kept.
    """
    source = frame[form.label_class_col].astype(str)
    other = frame[str(form.alternative_class_col)].astype(str)
    keep = pd.Series(True, index=frame.index)
    if form.class_merge_transition_groups:
        keep = source != other
        together = pd.Series(False, index=frame.index)
        for group in form.class_merge_transition_groups:
            together |= source.isin(list(group)) & other.isin(list(group))
        keep &= together
    taken = form.merged_of()
    source, other = source.replace(taken), other.replace(taken)
    keep &= source != other
    targets = form.wanted_targets()
    if targets and len(targets) == 2:
        keep &= source.isin(targets) & other.isin(targets)
    return frame.assign(**{form.label_class_col: source, str(form.alternative_class_col): other})[keep]


def own_token_column(name: str, table: pd.DataFrame, form: DataForm) -> str:
    """The column with the tokens of class `name` in its own table: named like the class, or a label column.

    Raises BadData when there is none.
    """
    candidates = (name, form.label_col, "label", "token", "source", "target")
    found = next((column for column in candidates if column in table.columns), None)
    if found is None:
        columns = ", ".join(map(str, table.columns))
        raise BadData(f"The table of class {name!r} has no column {name!r} or {form.label_col!r}. Columns: {columns}.")
    return found
