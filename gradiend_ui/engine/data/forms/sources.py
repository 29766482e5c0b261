"""Where training data comes from: frames, records, files, or a data set of the Hub, as one frame or one per class.

Data sets of the Hugging Face Hub (or a local folder) come through the optional package `datasets`, whose own code is
never run. Knows paths, records, frames and the Hub's door; what columns mean is decided elsewhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pandas as pd

from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.neutral_texts import NeutralData, check_neutral
from gradiend_ui.engine.data.rows import Table, normal_split, read_table, read_whole
from gradiend_ui.engine.data.table_reading import FILE_SUFFIXES, MAX_ROWS
from gradiend_ui.engine.errors import BadData, TooLarge

Data: TypeAlias = "Table | Mapping[str, Table] | None"
Tables: TypeAlias = "pd.DataFrame | dict[str, pd.DataFrame]"
TRAINING_FILES = ("training.csv", "training.parquet", "training.jsonl", "training.tsv")


def read_tables(data: Data, form: DataForm, *, all_classes: bool = False) -> Tables:
    """The user's data as one frame, or as {class: frame}.

    all_classes: of a Hub data set with a subset per class, load `form.all_classes` and not only the targets.
    Raises BadData or TooLarge in a sentence.
    """
    return read_with_notes(data, form, all_classes=all_classes)[0]


def read_with_notes(data: Data, form: DataForm, *, all_classes: bool = False) -> tuple[Tables, tuple[str, ...]]:
    """The same, and what was noticed while files were read. Raises as `read_tables`."""
    notes: list[str] = []

    def told(table: Table) -> pd.DataFrame:
        read = read_whole(table)
        notes.extend(note.sentence for note in read.notes)
        return read.frame

    tables = _tables(data, form, told, all_classes=all_classes)
    return tables, tuple(notes)


def _tables(data: Data, form: DataForm, read: Callable[[Table], pd.DataFrame], *, all_classes: bool) -> Tables:
    if form.hf_dataset is not None:
        return load_hub_frame(form.hf_dataset, form.hf_subset, form.hf_splits)
    if data is None:
        raise BadData("There is no data: pass a frame, a frame per class, a file or a Hub data set.")
    if isinstance(data, Mapping):
        return _checked_tables({str(name): read(table) for name, table in data.items()})
    if isinstance(data, (str, Path)):
        file = training_file(data)
        if file is not None:
            return read(file)
        targets = form.all_classes if all_classes and form.all_classes else form.target_classes
        return _checked_tables(
            load_hub_classes(str(data), targets or form.all_classes, form.hf_splits, form.table_split_col)
        )
    return read(data)


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
    return neutral_with_notes(source, max_rows=max_rows, keep_empty=keep_empty).texts


def neutral_with_notes(
    source: Table | Sequence[str], *, max_rows: int | None = None, keep_empty: bool = True
) -> NeutralData:
    """The same with what was noticed while a file was read."""
    if isinstance(source, str) and training_file(source) is None:
        return check_neutral(load_hub_texts(source, max_rows=max_rows), keep_empty=keep_empty)
    return check_neutral(source, keep_empty=keep_empty)


def _checked_tables(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    empty = [name for name, table in tables.items() if not len(table)]
    if empty or not tables:
        raise BadData(f"The table of class {empty[0]!r} has no rows." if empty else "The data holds no class.")
    total = sum(map(len, tables.values()))
    if total > MAX_ROWS:
        raise TooLarge(f"The tables have {total:,} rows; at most {MAX_ROWS:,} are read.")
    return tables


def load_hub_frame(
    name: str, subset: str | Sequence[str] | None = None, splits: Sequence[str] | None = None
) -> pd.DataFrame:
    """All wanted splits of one, several or (None) all subsets as one frame; column "split" holds the split's name.

    Raises BadData when `datasets` is missing, the data set cannot be loaded, or no row is left.
    """
    library = _datasets_library(name)
    if subset is None:
        try:
            subsets: list[str | None] = list(_subset_names(library, name)) or [None]
        except BadData:
            subsets = [None]  # a data set without subsets, or loading it says better what is wrong
    else:
        subsets = [subset] if isinstance(subset, str) else list(subset)
    frames = []
    for one in subsets:
        for split, frame in _split_frames(library, name, one, splits):
            frames.append(frame.assign(split=split))
    if not frames:
        raise BadData(f"The data set {name!r} has none of the splits {', '.join(splits or ())}.")
    return pd.concat(frames, ignore_index=True)


def load_hub_classes(
    name: str, classes: Sequence[str] | None, splits: Sequence[str] | None, split_col: str | None
) -> dict[str, pd.DataFrame]:
    """One frame per class, each from the subset of that name; None: every subset is a class.

    Raises BadData as `load_hub_frame`.
    """
    library = _datasets_library(name)
    names = list(classes) if classes else _subset_names(library, name)
    if not names:
        raise BadData(f"The data set {name!r} has no subsets that could be classes: use hf_dataset={name!r} instead.")
    result = {}
    for class_name in names:
        frames = []
        for split, frame in _split_frames(library, name, class_name, splits):
            column = split_col or "split"
            frames.append(frame if column in frame.columns else frame.assign(**{column: split}))
        if not frames:
            raise BadData(f"Subset {class_name!r} of {name!r} has none of the splits {', '.join(splits or ())}.")
        result[class_name] = pd.concat(frames, ignore_index=True)
    return result


def load_hub_texts(name: str, split: str = "train", max_rows: int | None = None) -> pd.DataFrame:
    """The first `max_rows` rows of one split, for neutral texts. Raises BadData as `load_hub_frame`."""
    library = _datasets_library(name)
    frame = _loaded(library, name, split=split).to_pandas()
    return frame if max_rows is None else frame.head(max_rows)


def _datasets_library(name: str) -> ModuleType:
    try:
        return importlib.import_module("datasets")
    except ImportError as error:
        raise BadData(
            f"{name!r} is not a file here, so it is taken as a data set of the Hugging Face Hub, and reading those "
            "needs the package 'datasets': pip install datasets. Or give the path of a csv, jsonl or parquet file."
        ) from error


def _subset_names(library: ModuleType, name: str) -> list[str]:
    try:
        return [str(one) for one in library.get_dataset_config_names(name)]
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _not_loaded(f"data set {name!r}", error) from error


def _split_frames(
    library: ModuleType, name: str, subset: str | None, splits: Sequence[str] | None
) -> list[tuple[str, pd.DataFrame]]:
    loaded = _loaded(library, name, subset)
    by_split = loaded if isinstance(loaded, Mapping) else {"train": loaded}
    wanted = None if splits is None else {normal_split(split) for split in splits}
    return [
        (normal_split(split), part.to_pandas())
        for split, part in by_split.items()
        if wanted is None or normal_split(split) in wanted
    ]


def _loaded(library: ModuleType, name: str, subset: str | None = None, **options: str) -> Any:
    arguments = (name,) if subset is None else (name, subset)
    try:
        return library.load_dataset(*arguments, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        which = f"data set {name!r}" if subset is None else f"subset {subset!r} of the data set {name!r}"
        raise _not_loaded(which, error) from error


def _not_loaded(which: str, error: Exception) -> BadData:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return BadData(f"The {which} could not be loaded: {reason}")
