"""How many rows a choice of split, classes and limit takes, and what that does to the time of a cell.

Plain counts per pair of classes and split, small enough for a page to keep. Knows no rows and no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradiend_ui.engine.eval_data import EvalRow

ALL = "all"
Counts = Sequence[Sequence[str | int]]
"""[label class, alternative class, split, number of rows], each combination once."""


def count_rows(rows: Iterable[EvalRow]) -> list[list[str | int]]:
    """`Counts` of the rows, in the order in which the combinations first occur."""
    counted: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.label_class, row.alternative_class, row.split)
        counted[key] = counted.get(key, 0) + 1
    return [[*key, number] for key, number in counted.items()]


def splits_of(counts: Counts, classes: Sequence[str]) -> dict[str, int]:
    """{split: rows between the classes}, then "all"; train, validation and test come first."""
    found: dict[str, int] = {}
    for label_class, alternative_class, split, number in counts:
        if label_class in classes and alternative_class in classes:
            found[str(split)] = found.get(str(split), 0) + int(number)
    order = ("test", "validation", "train")
    ordered = sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))
    return {**{name: found[name] for name in ordered}, ALL: sum(found.values())}


def default_split(splits: Mapping[str, int]) -> str:
    """test where there is one, else validation, else every row."""
    return next((name for name in ("test", "validation") if splits.get(name)), ALL)


def chosen_count(counts: Counts, classes: Sequence[str], split: str, max_rows: int | None) -> int:
    """How many rows `EvalData.chosen` takes: a limit holds per pair of classes."""
    pairs: dict[tuple[str, str], int] = {}
    for label_class, alternative_class, name, number in counts:
        if label_class in classes and alternative_class in classes and split in (ALL, name):
            key = (str(label_class), str(alternative_class))
            pairs[key] = pairs.get(key, 0) + int(number)
    return sum(number if max_rows is None else min(number, max_rows) for number in pairs.values())


def scaled_seconds(seconds: float | None, items: int, other_items: int) -> float | None:
    """Seconds for `other_items` rows and texts where `items` took `seconds`; None where that is not known."""
    return None if seconds is None or items < 1 else seconds / items * other_items
