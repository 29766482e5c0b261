"""Data sets of the Hugging Face Hub (or a local folder), through the optional package `datasets`.

Knows only how to get frames out of it; what their columns mean is decided elsewhere. Never runs a data set's own code.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import normal_split


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
