"""From what a user passes as data to tables: one frame, or a frame per class.

Knows paths, records, frames and the Hub's door; columns are only looked at later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from gradiend_ui.engine.data_forms.form import DataForm
from gradiend_ui.engine.data_forms.hub import load_hub_classes, load_hub_frame, load_hub_texts
from gradiend_ui.engine.errors import BadData, TooLarge
from gradiend_ui.engine.eval_data import FILE_SUFFIXES, MAX_ROWS, Table, read_neutral, read_table

Data: TypeAlias = "Table | Mapping[str, Table] | None"
Tables: TypeAlias = "pd.DataFrame | dict[str, pd.DataFrame]"
TRAINING_FILES = ("training.csv", "training.parquet", "training.jsonl", "training.tsv")


def read_tables(data: Data, form: DataForm, *, all_classes: bool = False) -> Tables:
    """The user's data as one frame, or as {class: frame}.

    all_classes: of a Hub data set with a subset per class, load `form.all_classes` and not only the targets.
    Raises BadData or TooLarge in a sentence.
    """
    if form.hf_dataset is not None:
        return load_hub_frame(form.hf_dataset, form.hf_subset, form.hf_splits)
    if data is None:
        raise BadData("There is no data: pass a frame, a frame per class, a file or a Hub data set.")
    if isinstance(data, Mapping):
        return _checked_tables({str(name): read_table(table) for name, table in data.items()})
    if isinstance(data, (str, Path)):
        file = training_file(data)
        if file is not None:
            return read_table(file)
        targets = form.all_classes if all_classes and form.all_classes else form.target_classes
        return _checked_tables(
            load_hub_classes(str(data), targets or form.all_classes, form.hf_splits, form.table_split_col)
        )
    return read_table(data)


def training_file(path: str | Path) -> Path | None:
    """The table a path means: the file itself, or the training file in that folder; None: no file at all.

    Raises BadData for what is certainly meant as a path and is missing.
    """
    found = Path(path)
    if found.is_file():
        return found
    if found.is_dir():
        inside = next((found / name for name in TRAINING_FILES if (found / name).is_file()), None)
        if inside is None and isinstance(path, Path):
            raise BadData(f"The folder {found.name!r} holds none of {', '.join(TRAINING_FILES)}.")
        return inside
    if isinstance(path, Path) or found.suffix.lower() in FILE_SUFFIXES:
        raise BadData(f"There is no file {found.name!r}.")
    return None


def incomplete_classes(data: Data, form: DataForm) -> tuple[str, ...]:
    """Classes that the data's creator could not fill, from the file `<name>_incomplete_classes` beside the data."""
    if form.hf_dataset is not None or not isinstance(data, (str, Path)):
        return ()
    given = Path(data)
    beside = given.with_name(f"{given.stem}_incomplete_classes{given.suffix}")
    if not beside.is_file():
        return ()
    table = read_table(beside)
    if form.label_class_col not in table.columns:
        return ()
    return tuple(sorted({str(name) for name in table[form.label_class_col].dropna()}))


def neutral_texts(
    source: Table | Sequence[str], *, max_rows: int | None = None, keep_empty: bool = True
) -> tuple[str, ...]:
    """Neutral texts from a list, frame, file or Hub data set; max_rows caps only the latter, as in the reference.

    keep_empty: an empty text stays, so that later draws fall as in the reference. Raises BadData or TooLarge.
    """
    if isinstance(source, str) and training_file(source) is None:
        return read_neutral(load_hub_texts(source, max_rows=max_rows), keep_empty=keep_empty)
    return read_neutral(source, keep_empty=keep_empty)


def _checked_tables(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    empty = [name for name, table in tables.items() if not len(table)]
    if empty or not tables:
        raise BadData(f"The table of class {empty[0]!r} has no rows." if empty else "The data holds no class.")
    total = sum(map(len, tables.values()))
    if total > MAX_ROWS:
        raise TooLarge(f"The tables have {total:,} rows; at most {MAX_ROWS:,} are read.")
    return tables
