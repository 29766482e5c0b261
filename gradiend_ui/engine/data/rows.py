"""Evaluation rows: from tables of any spelling to checked, plain rows; and why a row is rejected.

A row is a sentence with one `[MASK]`, the token that was there (label) with its class, and the token of the other
class (alternative). Where no column names the alternative, it is filled in only where it is clear: in a table of two
classes with one word each. Knows tables and files; no tokenizer, no model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from gradiend_ui.engine.data.table_reading import HALF_CHARACTER, ReadTable, check_size, from_records, read_file
from gradiend_ui.engine.errors import BadData, is_broken, listed, shown
from gradiend_ui.engine.values import MAX_CLASSES

Cells = dict[str, list[str]]


def with_alternatives(cells: Mapping[str, list[str]], ignored: Collection[int] = ()) -> tuple[Cells, tuple[str, ...]]:
    """(cells of every role, sentences on what was filled in).

    alternative_class: the other one of two label classes; alternative: its only word, whatever the casing. Rows whose
    number is in `ignored` lend nothing. Raises BadData where it is not clear.
    """
    missing = [role for role in ("alternative", "alternative_class") if role not in cells]
    if not missing:
        return dict(cells), ()
    pairs = [
        (label.strip().lower(), name)
        for number, (label, name) in enumerate(zip(cells["label"], cells["label_class"], strict=True))
        if number not in ignored and label.strip() and name.strip()
    ]
    found: dict[str, set[str]] = {}
    for word, name in pairs:
        found.setdefault(name, set()).add(word)
    words = {name: sorted(found[name]) for name in sorted(found)}
    _require_two(words, missing)
    other = dict(zip(words, reversed(words), strict=True))
    filled = dict(cells)
    notes: list[str] = []
    if "alternative_class" in missing:
        filled["alternative_class"] = [other.get(name, "") for name in cells["label_class"]]
        notes.append(f"No column names the class of the alternative: it is the other one of {' and '.join(words)}.")
    if "alternative" in missing:
        _require_one_word(words)
        filled["alternative"] = [words[name][0] if name in words else "" for name in filled["alternative_class"]]
        told = ", ".join(f"{name}: {found[0]}" for name, found in words.items())
        notes.append(f"No column names the alternative: each row takes the only word of the other class ({told}).")
    return filled, tuple(notes)


def _require_two(words: Mapping[str, list[str]], missing: list[str]) -> None:
    if len(words) != 2:
        raise BadData(
            f"No column is chosen for {missing[0]}, and the rows hold {len(words)} classes "
            f"({', '.join(words) or 'none'}): only between two classes the other one is clear. Choose a column for it."
        )


def _require_one_word(words: Mapping[str, list[str]]) -> None:
    several = next((name for name, found in words.items() if len(found) > 1), None)
    if several is not None:
        shown = ", ".join([*words[several][:3], "..."] if len(words[several]) > 3 else words[several])
        raise BadData(
            f"No column is chosen for alternative, and class {several} has several words ({shown}): which one belongs "
            "to a row is not clear. Choose a column for it."
        )


MASK = "[MASK]"
MAX_TEXT, MAX_WORD = 20_000, 500

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "masked": ("masked", "template", "masked_text"),
    "label": ("label", "factual", "factual_token", "token"),
    "label_class": ("label_class", "factual_class", "factual_id"),
    "alternative": ("alternative", "alternative_token", "counterfactual"),
    "alternative_class": ("alternative_class", "alternative_id", "counterfactual_class"),
    "split": ("split",),
}
"""Our name of each column and the spellings that are recognised, best first."""

_SPLIT_SPELLINGS = {"val": "validation", "valid": "validation", "dev": "validation"}

Table: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]] | str | Path"


@dataclass(frozen=True, slots=True)
class EvalRow:
    """One scorable row; `number` is its position in the table it came from, counted from 0.

    asked: which mask of the text is read, from 0. A row of a table has one; a sentence of one's own may have several.
    The repr of a table's rows is part of what a training is known by.
    """

    number: int
    masked: str
    label: str
    label_class: str
    alternative: str
    alternative_class: str
    split: str
    asked: int = field(default=0, repr=False)


class Candidate(NamedTuple):
    """A row before it is checked: any cells, missing ones as None or NaN."""

    number: int
    masked: object
    label: object
    label_class: object
    alternative: object
    alternative_class: object
    split: object


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be scored, and the reason in a few words."""

    number: int
    reason: str


@dataclass(frozen=True)
class EvalData:
    """All rows of a table, in its order; notes: sentences on what was filled in."""

    rows: tuple[EvalRow, ...]
    rejected: tuple[RejectedRow, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Every class that occurs as label or alternative, sorted."""
        return tuple(sorted({row.label_class for row in self.rows} | {row.alternative_class for row in self.rows}))

    def counts(self) -> dict[str, dict[str, int]]:
        """{label class: {split: number of rows}}."""
        result: dict[str, dict[str, int]] = {}
        for row in self.rows:
            by_split = result.setdefault(row.label_class, {})
            by_split[row.split] = by_split.get(row.split, 0) + 1
        return result

    def chosen(
        self, split: str | Sequence[str], classes: Sequence[str], max_rows: int | None = None, seed: int = 0
    ) -> tuple[EvalRow, ...]:
        """The rows of `split` (one, several, or "all") between `classes`, in table order.

        max_rows caps each (label class, alternative class) group by a seeded draw, as the reference does.
        Raises BadData when none is left.
        """
        wanted = normal_splits(split)
        between = frozenset(classes)
        rows = [
            row
            for row in self.rows
            if (wanted is None or row.split in wanted)
            and row.label_class in between
            and row.alternative_class in between
        ]
        if not rows:
            splits = sorted({row.split for row in self.rows})
            raise BadData(
                f"No row of split {shown(split)} holds the classes {listed(classes)}. "
                f"Splits in the data: {listed(splits)}; classes: {listed(self.classes)}."
            )
        return tuple(rows if max_rows is None or len(rows) <= max_rows else _sampled(rows, classes, max_rows, seed))


def _sampled(rows: Sequence[EvalRow], classes: Sequence[str], max_rows: int, seed: int) -> list[EvalRow]:
    groups: dict[tuple[str, str], list[EvalRow]] = {}
    for row in rows:
        groups.setdefault((row.label_class, row.alternative_class), []).append(row)
    chosen: list[EvalRow] = []
    place_of = {name: place for place, name in reversed(list(enumerate(classes)))}
    for _, group in sorted(groups.items(), key=lambda item: [place_of[name] for name in item[0]]):
        places = pd.Series(range(len(group))).sample(n=min(len(group), max_rows), random_state=seed)
        chosen.extend(group[place] for place in places)
    return chosen


def normal_split(name: str) -> str:
    """A split's name in lower case, with val / valid / dev spelled "validation"."""
    plain = str(name).strip().lower()
    return _SPLIT_SPELLINGS.get(plain, plain)


def normal_splits(split: str | Sequence[str]) -> tuple[str, ...] | None:
    """The splits that one name or several ask for; None: all of them. Raises BadData for an empty list."""
    if isinstance(split, str):
        return None if normal_split(split) == "all" else (normal_split(split),)
    if not split:
        raise BadData("split is an empty list: give a split's name, several of them, or 'all'.")
    return tuple(dict.fromkeys(map(normal_split, split)))


def read_table(table: Table) -> pd.DataFrame:
    """A frame, a list of records, or a csv / tsv / jsonl / json / parquet file as a frame.

    Raises BadData when it cannot be read, TooLarge over the stated limits.
    """
    read = as_read(table)
    if read.damaged:
        number, reason = next(iter(read.damaged.items()))
        name = f"{Path(table).name}, row" if isinstance(table, (str, Path)) else "Row"
        told = BadData(f"{name} {number + 1} cannot be read: {reason}.")
        raise told.known_as("data.row_unread", number=number + 1, why=reason)
    return read.frame


def as_read(table: Table | ReadTable) -> ReadTable:
    """The same with what is known of how it was read. Raises BadData or TooLarge."""
    if isinstance(table, ReadTable):
        return table
    if isinstance(table, (str, Path)):
        return read_file(Path(table))
    if isinstance(table, pd.DataFrame):
        check_size(*table.shape)
        return ReadTable(table)
    if not isinstance(table, Sequence) or not all(isinstance(row, Mapping) for row in table):
        raise BadData("The rows must be a list of records, one object per row.")
    return from_records(table) if table else ReadTable(pd.DataFrame())


def read_rows(
    table: Table | ReadTable, columns: Mapping[str, str] | None = None, *, fill_alternatives: bool = False
) -> EvalData:
    """`check_rows`, and BadData when no row can be scored."""
    return require_rows(check_rows(table, columns, fill_alternatives=fill_alternatives))


def check_rows(
    table: Table | ReadTable, columns: Mapping[str, str] | None = None, *, fill_alternatives: bool = False
) -> EvalData:
    """Check a table of evaluation rows. `columns` maps our names to the table's where they differ; "" means: none.

    Rows that cannot be scored are set aside with a reason. The alternative takes the label's casing, as in the
    reference ("He" / "she" becomes "He" / "She"). Without a split column every row is "test".
    fill_alternatives: a table of two classes may do without the columns of the alternative where each class has one
    word (see `engine.data.rows`). Raises BadData when a column is missing.
    """
    read = as_read(table)
    frame = read.frame
    found = find_columns([str(name) for name in frame.columns], columns or {}, alternatives=not fill_alternatives)
    cells = {role: list(map(cell_text, frame[name].tolist())) for role, name in found.items()}
    cells.setdefault("split", [""] * len(frame))
    notes: tuple[str, ...] = ()
    if fill_alternatives:
        cells, notes = with_alternatives(cells, set(read.damaged))
    candidates = map(Candidate, range(len(frame)), *(cells[role] for role in COLUMNS))
    return replace(checked_rows(candidates, "test", read.damaged), notes=notes)


def checked_rows(
    candidates: Iterable[Candidate], default_split: str, damaged: Mapping[int, str] = MappingProxyType({})
) -> EvalData:
    """The rows that can be scored, in order, and the others with a reason; an empty split is `default_split`.

    damaged: {row number: reason} of rows that could not be read.
    """
    rows: list[EvalRow] = []
    rejected: list[RejectedRow] = []
    for candidate in candidates:
        masked, label, label_class, alternative, alternative_class, split = map(cell_text, candidate[1:])
        reason = damaged.get(candidate.number) or _reason_to_reject(
            masked, (label, label_class, alternative, alternative_class)
        )
        if reason:
            rejected.append(RejectedRow(candidate.number, reason))
            continue
        rows.append(
            EvalRow(
                number=candidate.number,
                masked=masked,
                label=label,
                label_class=label_class,
                alternative=cased_like(alternative, label),
                alternative_class=alternative_class,
                split=normal_split(split or default_split),
            )
        )
    return EvalData(tuple(rows), tuple(rejected))


def require_rows(data: EvalData) -> EvalData:
    """The same data. Raises BadData, with the first reason, when it has no row that can be scored."""
    if not data.rows:
        rejected = data.rejected
        first = f" First reason: row {rejected[0].number + 1}: {rejected[0].reason}." if rejected else ""
        told = BadData(f"None of the {len(rejected)} rows can be scored.{first}")
        if not rejected:
            raise told.known_as("data.no_rows_in_it")
        raise told.known_as("data.none_scored", count=len(rejected), row=rejected[0].number + 1, why=rejected[0].reason)
    if len(data.classes) > MAX_CLASSES:
        many = BadData(
            f"The rows name {len(data.classes):,} classes; at most {MAX_CLASSES:,} are read: choose the columns that "
            "hold the classes."
        )
        raise many.known_as("data.too_many_classes", count=f"{len(data.classes):,}", most=f"{MAX_CLASSES:,}")
    return data


def find_columns(have: Sequence[str], given: Mapping[str, str], *, alternatives: bool = True) -> dict[str, str]:
    """{role: column of the table}, by the given names, else by known spellings. Raises BadData when one is missing.

    A role given as "" has no column, which only the split may do without; the two roles of the alternative as well
    where `alternatives` is False.
    """
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given.values()):
        raise BadData(f"columns must map our names to the table's, not {shown(given)}.")
    unknown = sorted(set(given) - set(COLUMNS))
    if unknown:
        raise BadData(f"Unknown column role {shown(unknown[0])}; known: {', '.join(COLUMNS)}.")
    if len(set(have)) != len(have):
        raise BadData("Two columns of the table have the same name: rename one.").known_as("data.same_columns")
    free = {"split"} if alternatives else {"split", "alternative", "alternative_class"}
    found: dict[str, str] = {}
    for role, spellings in COLUMNS.items():
        candidates = (given[role],) if role in given else spellings
        match = next((name for name in candidates if name in have), None)
        if match is None and given.get(role):
            told = BadData(f"There is no column {shown(given[role])} for {role}. Columns: {listed(have)}.")
            raise told.known_as("data.column_missing", name=shown(given[role]), role=role, columns=listed(have))
        if match is None and role not in free:
            tried = "" if role in given else f" (tried {', '.join(spellings)})"
            told = BadData(f"No column looks like {shown(role)}{tried}. Columns: {listed(have)}.")
            names = "" if role in given else ("data.tried", {"names": ", ".join(spellings)})
            raise told.known_as("data.column_not_found", role=shown(role), tried=names, columns=listed(have))
        if match is not None:
            found[role] = match
    return found


def cell_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or value is pd.NA or value != value else str(value)


def _reason_to_reject(masked: str, words: tuple[str, str, str, str]) -> str | None:
    masks = masked.count(MASK)
    if masks != 1:
        return f"it has {masks} times {MASK} instead of once"
    if len(masked) > MAX_TEXT:
        return f"its text is longer than {MAX_TEXT:,} characters"
    for name, word in zip(("label", "label_class", "alternative", "alternative_class"), words, strict=True):
        if not word.strip():
            return f"its {name} is empty"
        if len(word) > MAX_WORD:
            return f"its {name} is longer than {MAX_WORD} characters"
    return HALF_CHARACTER if any(map(is_broken, (masked, *words))) else None


def cased_like(word: str, pattern: str) -> str:
    """`word` in the casing of `pattern`: all lower, ALL UPPER or Title; any other casing leaves it alone."""
    if pattern.islower():
        return word.lower()
    if pattern.isupper():
        return word.upper()
    if pattern[:1].isupper() and pattern[1:].islower():
        return word.title()
    return word
