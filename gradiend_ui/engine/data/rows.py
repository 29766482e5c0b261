"""Evaluation rows: from tables of any spelling to checked, plain rows; and why a row is rejected.

A row is a sentence with one `[MASK]`, the token that was there (label) with its class, and the token of the other
class (alternative). Class names and words are taken without what is not seen and without spaces around them; rows that
are dropped are counted by their reasons. Knows tables and files; no tokenizer, no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from gradiend_ui.engine.data.alternatives import with_alternatives
from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.roles import COLUMNS, find_columns, plain_names, role_text, same_columns
from gradiend_ui.engine.data.spelling import cased_like, class_name, word
from gradiend_ui.engine.data.table_reading import (
    AGAIN,
    HALF_CHARACTER,
    Nested,
    ReadTable,
    check_size,
    from_records,
    is_nested,
    read_file,
    single_value,
)
from gradiend_ui.engine.errors import BadData, Text, is_broken, listed, shown
from gradiend_ui.engine.values import MAX_CLASSES

MASK = "[MASK]"
MAX_TEXT, MAX_WORD = 20_000, 500

WORDS = ("label", "label_class", "alternative", "alternative_class")
WORD_ROLES, CLASS_ROLES = ("label", "alternative"), ("label_class", "alternative_class")
_SPLIT_SPELLINGS = {"val": "validation", "valid": "validation", "dev": "validation"}

Table: TypeAlias = "pd.DataFrame | Sequence[Mapping[str, Any]] | str | Path"
Why: TypeAlias = tuple[Note, str]
"""Why a row is dropped, and which kind of reason that is: one of `DROPPED`."""


DROPPED: Mapping[str, str] = {
    "no_mask": "without [MASK]",
    "masks": "with [MASK] more than once",
    "empty": "with an empty word or class",
    "blank": "with nothing in them",
    "long": "with a text or word that is too long",
    "nested": "with a list or an object in a cell",
    "left_out": "of a class that is left out",
    "unknown_class": "of a class that the checkpoint does not know",
    "broken": "with half a character",
    "unread": "that could not be read",
}
"""Why rows are dropped, as a script's sentence has it behind their number: `3 rows without [MASK]`."""


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
    """A row that cannot be scored. why: the reason in a few words, which pages tell in theirs. kind: of `DROPPED`."""

    number: int
    why: Note
    kind: str = "unread"

    @property
    def reason(self) -> str:
        """The same as scripts read it."""
        return self.why.sentence


@dataclass(frozen=True)
class EvalData:
    """All rows of a table, in its order; rejected: every other one; notes: on how they were read and filled in."""

    rows: tuple[EvalRow, ...]
    rejected: tuple[RejectedRow, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def dropped(self) -> dict[str, int]:
        """{kind of reason: rows that were dropped for it}, in the order of `DROPPED`; what these are is told there."""
        counted = Counter(row.kind for row in self.rejected)
        return {kind: counted[kind] for kind in DROPPED if counted[kind]}

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
    return read_whole(table).frame


def read_whole(table: Table) -> ReadTable:
    """The same with how it was read. Raises BadData, also for a row that cannot be read, and TooLarge."""
    read = as_read(table)
    if read.damaged:
        number, reason = next(iter(read.damaged.items()))
        name = f"{Path(table).name}, row" if isinstance(table, (str, Path)) else "Row"
        told = BadData(f"{name} {number + 1} cannot be read: {reason}.")
        raise told.known_as("data.row_unread", number=number + 1, why=reason.text)
    return read


def as_read(table: Table | ReadTable) -> ReadTable:
    """The same with what is known of how it was read. Raises BadData or TooLarge."""
    if isinstance(table, ReadTable):
        return table
    if isinstance(table, (str, Path)):
        return read_file(Path(table))
    if isinstance(table, pd.DataFrame):
        check_size(*table.shape)
        return ReadTable(table.set_axis(plain_names(table.columns), axis=1))
    if not isinstance(table, Sequence) or not all(isinstance(row, Mapping) for row in table):
        raise BadData("The rows must be a list of records, one object per row.")
    return from_records(table) if table else ReadTable(pd.DataFrame())


def read_rows(
    table: Table | ReadTable,
    columns: Mapping[str, str] | None = None,
    *,
    fill_alternatives: bool = False,
    classes: Mapping[str, str] = MappingProxyType({}),
) -> EvalData:
    """`check_rows`, and BadData when no row can be scored."""
    return require_rows(check_rows(table, columns, fill_alternatives=fill_alternatives, classes=classes))


def check_rows(
    table: Table | ReadTable,
    columns: Mapping[str, str] | None = None,
    *,
    fill_alternatives: bool = False,
    classes: Mapping[str, str] = MappingProxyType({}),
) -> EvalData:
    """Check a table of evaluation rows. `columns` maps our names to the table's where they differ; "" means: none.

    Rows that cannot be scored are set aside with a reason. The alternative takes the label's casing, as in the
    reference ("He" / "she" becomes "He" / "She"). Without a split column every row is "test".
    fill_alternatives: a table of two classes may do without the columns of the alternative where each class has one
    word (see `alternatives`). classes: {name of a class in the table: what it counts as, "" to leave its rows out}.
    Raises BadData when a column is missing.
    """
    read = as_read(table)
    frame = read.frame
    found = find_columns([str(name) for name in frame.columns], columns or {}, alternatives=not fill_alternatives)
    _require_one_of_each(frame, {role: name for role, name in found.items() if role not in (columns or {})})
    cells = {role: list(map(cell_text, frame[name].tolist())) for role, name in found.items()}
    cells.setdefault("split", [""] * len(frame))
    notes, dropped = _tidied(cells), {number: (reason, "unread") for number, reason in read.damaged.items()}
    dropped |= _counted_as(cells, classes)
    if fill_alternatives:
        cells, filled = with_alternatives(cells, set(dropped))
        notes = (*notes, *filled)
    candidates = map(Candidate, range(len(frame)), *(cells[role] for role in COLUMNS))
    return replace(_checked(candidates, "test", dropped), notes=(*read.notes, *notes))


def _require_one_of_each(frame: pd.DataFrame, found: Mapping[str, str]) -> None:
    """Raises BadData where a column that nobody has chosen stands there again, with other cells."""
    for name in found.values():
        again = f"{name}{AGAIN}"
        if again in frame.columns and frame[again].tolist() != frame[name].tolist():
            raise same_columns()


def _tidied(cells: dict[str, list[str]]) -> tuple[Note, ...]:
    """Classes and words in one spelling, in place; a note where that changed some."""
    notes = []
    for roles, tidy, key in ((CLASS_ROLES, class_name, "data.classes_tidied"), (WORD_ROLES, word, "data.words_tidied")):
        changed: dict[str, str] = {}
        count = 0
        for role in roles:
            before = cells.get(role, [])
            spelled = {cell: tidy(cell) for cell in set(before)}  # each once: there are few different ones
            after = [cell if isinstance(cell, Nested) else spelled[cell] for cell in before]
            pairs = [(old, new) for old, new in zip(before, after, strict=True) if old != new and new]
            changed, count = {**dict(pairs), **changed}, count + len(pairs)
            if role in cells:
                cells[role] = after
        if count:
            notes.append(tidied_note(count, next(iter(changed.items())), key))
    return tuple(notes)


def tidied_note(count: int, first: tuple[str, str], key: str = "data.classes_tidied") -> Note:
    """That `count` cells were read in one spelling. first: the first of them as it was, and as it is read."""
    old, new = first
    name = "class name" if key == "data.classes_tidied" else "word"
    what = f"{count:,} {name} is read" if count == 1 else f"{count:,} {name}s are read"
    how = "in one spelling, without quotation marks and spaces around and characters that are not seen"
    sentence = f"{what} {how}: {shown(old)} as {new}."
    values = {"count": f"{count:,}", "old": shown(old), "new": new}
    return Note(sentence, (f"{key}_one" if count == 1 else f"{key}_many", values))


def _counted_as(cells: dict[str, list[str]], classes: Mapping[str, str]) -> dict[int, Why]:
    """What each class counts as, in place; {row: (reason, kind)} of those that are left out."""
    dropped: dict[int, Why] = {}
    if not classes:
        return dropped
    for role in CLASS_ROLES:
        for number, name in enumerate(cells.get(role, ())):
            if name in classes and not classes[name]:
                text = "data.reason_left_out", {"role": role_text(role), "name": shown(name)}
                dropped[number] = Note(f"its {role} {shown(name)} is left out", text), "left_out"
        if role in cells:
            cells[role] = [classes.get(name) or name for name in cells[role]]
    return dropped


def checked_rows(candidates: Iterable[Candidate], default_split: str) -> EvalData:
    """The rows that can be scored, in order, and the others with a reason; an empty split is `default_split`."""
    return _checked(map(_tidy, candidates), default_split, {})


def _tidy(candidate: Candidate) -> Candidate:
    """The same with its classes and words in one spelling."""
    number, masked, label, label_class, alternative, alternative_class, split = candidate
    words = (_in_one_spelling(label, word), _in_one_spelling(label_class, class_name))
    others = (_in_one_spelling(alternative, word), _in_one_spelling(alternative_class, class_name))
    return Candidate(number, masked, *words, *others, split)


def _in_one_spelling(cell: object, tidy: Callable[[str], str]) -> str:
    text = cell_text(cell)
    return text if isinstance(text, Nested) else tidy(text)


def _checked(candidates: Iterable[Candidate], default_split: str, dropped: Mapping[int, Why]) -> EvalData:
    """dropped: {row number: (reason, kind)} of rows that are dropped whatever they hold."""
    rows: list[EvalRow] = []
    rejected: list[RejectedRow] = []
    for candidate in candidates:
        masked, label, label_class, alternative, alternative_class, split = map(cell_text, candidate[1:])
        reason = dropped.get(candidate.number) or _reason_to_reject(
            masked, (label, label_class, alternative, alternative_class)
        )
        if reason:
            rejected.append(RejectedRow(candidate.number, *reason))
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
        raise told.known_as(
            "data.none_scored", count=len(rejected), row=rejected[0].number + 1, why=rejected[0].why.text
        )
    if len(data.classes) > MAX_CLASSES:
        many = BadData(
            f"The rows name {len(data.classes):,} classes; at most {MAX_CLASSES:,} are read: choose the columns that "
            "hold the classes."
        )
        raise many.known_as("data.too_many_classes", count=f"{len(data.classes):,}", most=f"{MAX_CLASSES:,}")
    return data


def cell_text(value: object) -> str:
    """A cell as text; of a list or an object a `Nested` text, with which no row is scored."""
    if isinstance(value, str):
        return value.value if isinstance(value, Enum) else value
    value = single_value(value)
    if isinstance(value, str):
        return value
    if is_nested(value):
        return Nested(f"a list of {len(value)}" if isinstance(value, Sized) else f"a {type(value).__name__}")
    return "" if value is None or value is pd.NA or value != value else str(value)


def _reason_to_reject(masked: str, words: tuple[str, str, str, str]) -> Why | None:
    """None for a row that can be scored."""
    for name, cell in zip(("masked", *WORDS), (masked, *words), strict=True):
        if isinstance(cell, Nested):
            held = shown(str(cell))
            text: Text = "data.reason_nested", {"role": role_text(name), "cell": held}
            return Note(f"its {name} is a list or an object, not a text: {held}", text), "nested"
    if not masked.strip() and not any(map(str.strip, words)):
        return Note("it is empty", ("data.reason_blank", {})), "blank"
    masks = masked.count(MASK)
    if masks != 1:
        text = "data.reason_masks", {"count": masks, "mask": MASK}
        return Note(f"it has {masks} times {MASK} instead of once", text), "masks" if masks else "no_mask"
    if len(masked) > MAX_TEXT:
        text = _too_long("masked", f"{MAX_TEXT:,}")
        return Note(f"its text is longer than {MAX_TEXT:,} characters", text), "long"
    for name, cell in zip(WORDS, words, strict=True):
        if not cell.strip():
            return Note(f"its {name} is empty", ("data.reason_empty", {"role": role_text(name)})), "empty"
        if len(cell) > MAX_WORD:
            text = _too_long(name, f"{MAX_WORD:,}")
            return Note(f"its {name} is longer than {MAX_WORD} characters", text), "long"
    return (HALF_CHARACTER, "broken") if any(map(is_broken, (masked, *words))) else None


def _too_long(role: str, most: str) -> Text:
    return "data.reason_long", {"role": role_text(role), "most": most}
