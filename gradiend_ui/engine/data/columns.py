"""A table's columns and classes: which column plays which role, and which classes of a GRADIEND the rows name.

Roles by the spellings that are known, then by what the cells look like: a text with one [MASK] is the masked sentence,
few values that are classes of the checkpoint are classes, few words are tokens, train / test / validation are splits.
A guess, to be shown and corrected. Knows frames, rows and directions; no model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.roles import COLUMNS, role_text
from gradiend_ui.engine.data.rows import CLASS_ROLES, MASK, EvalData, EvalRow, RejectedRow, cell_text
from gradiend_ui.engine.data.spelling import class_name, column_key, is_same_column, same_class, suggested_class
from gradiend_ui.engine.errors import BadData, listed, shown
from gradiend_ui.engine.values import ENOUGH_CLASSES

SAMPLE_ROWS = 2000
SHORT = 40
SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "validation", "val", "valid", "dev", "eval"})
CLASS_HINT = re.compile(r"class|klass|group|gruppe|categor|kategor|gender|genus|geschlecht|(^|_)id($|_)")
OTHER_HINT = re.compile(r"alt|counter|other|ander|gegen|opposite|swap|flip|target")
BY_NAME, BY_CONTENT = "name", "content"


@dataclass(frozen=True)
class Guess:
    """columns: {role: column, "" for none}; how: {role: "name" or "content"} of those that were found."""

    columns: Mapping[str, str]
    how: Mapping[str, str]


@dataclass(frozen=True)
class _Profile:
    """What a column's cells look like. masked: share of cells with exactly one [MASK], in [0, 1]."""

    name: str
    values: frozenset[str]
    filled: int
    masked: float
    short: bool

    @property
    def repeats(self) -> bool:
        few = len(self.values) <= 2 and self.filled > len(self.values)
        return bool(self.values) and self.short and (few or 2 * len(self.values) <= self.filled)

    def hints(self, pattern: re.Pattern[str]) -> bool:
        return pattern.search(column_key(self.name)) is not None


def guess_columns(frame: pd.DataFrame, classes: Collection[str] = (), words: Collection[str] = ()) -> Guess:
    """A column for every role that one can be found for. `classes`, `words`: those that the checkpoint knows."""
    names = [str(name) for name in frame.columns]
    found = _by_name(names)
    how = dict.fromkeys(found, BY_NAME)
    left = [_profile(name, frame[name]) for name in names if name not in found.values()]
    lower = frozenset(word.lower() for word in words)
    for role, column in _by_content(left, frozenset(classes), lower, frozenset(found)).items():
        found[role], how[role] = column, BY_CONTENT
    return Guess({role: found.get(role, "") for role in COLUMNS}, how)


def _by_name(names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, spellings in COLUMNS.items():
        match = next((name for spelling in spellings for name in names if is_same_column(name, spelling)), None)
        if match is not None and match not in found.values():
            found[role] = match
    return found


def _profile(name: str, column: pd.Series) -> _Profile:
    cells = [
        class_name(str(value)) for value in column.head(SAMPLE_ROWS).tolist() if value is not None and value == value
    ]
    cells = [cell for cell in cells if cell]
    masked = sum(cell.count(MASK) == 1 for cell in cells) / len(cells) if cells else 0.0
    return _Profile(name, frozenset(cells), len(cells), masked, all(len(cell) <= SHORT for cell in cells))


def _by_content(
    left: list[_Profile], classes: frozenset[str], known_words: frozenset[str], known: frozenset[str]
) -> dict[str, str]:
    """Roles for the columns that are `left`, without the roles that are `known` already."""
    found: dict[str, str] = {}
    texts = [profile for profile in left if profile.masked >= 0.5]
    if texts and "masked" not in known:
        found["masked"] = max(texts, key=lambda profile: profile.masked).name
    short = [profile for profile in left if profile.repeats and profile.masked == 0.0]
    splits = [profile for profile in short if {value.lower() for value in profile.values} <= SPLIT_NAMES]
    if splits and "split" not in known:
        found["split"] = splits[0].name
    short = [profile for profile in short if profile not in splits]
    named = [profile for profile in short if len(profile.values & classes) * 2 > len(profile.values)]
    kinds = named or [profile for profile in short if profile.hints(CLASS_HINT)]
    rest = [
        profile
        for profile in short
        if profile not in kinds and not any(value.replace(".", "").isdigit() for value in profile.values)
    ]
    words = [profile for profile in rest if {value.lower() for value in profile.values} & known_words] or rest
    found |= _pair(kinds, "label_class", "alternative_class", known)
    return found | _pair(words, "label", "alternative", known)


def _pair(found: list[_Profile], own: str, other: str, known: frozenset[str]) -> dict[str, str]:
    """A column for `own` and one for `other`: by a hint in the name, else the left one is `own`."""
    hinted = [profile for profile in found if profile.hints(OTHER_HINT)]
    plain = [profile for profile in found if profile not in hinted]
    chosen: dict[str, str] = {}
    if own not in known and (plain or hinted):
        first = (plain or hinted)[0]
        chosen[own] = first.name
        plain, hinted = [p for p in plain if p is not first], [p for p in hinted if p is not first]
    if other not in known and (hinted or plain):
        chosen[other] = (hinted or plain)[0].name
    return chosen


def own_spellings(direction: Collection[str]) -> dict[str, str]:
    """{a class as rows have it: as the checkpoint spells it}, of those that it spells otherwise, such as "M "."""
    names = [str(name) for name in direction]
    plain = [class_name(name) for name in names]
    return {one: name for one, name in zip(plain, names, strict=True) if one != name and plain.count(one) == 1}


def counted_as(direction: Mapping[str, float], given: Mapping[str, str] | None) -> dict[str, str]:
    """What each class of a table counts as: as given ("" to leave its rows out), and in the checkpoint's spelling.

    Raises BadData for a class that the checkpoint does not know.
    """
    found, plain = own_spellings(direction), {class_name(str(name)): str(name) for name in direction}
    for name, wanted in (given or {}).items():
        known = plain.get(class_name(wanted)) if wanted else ""
        if known is None and plain:
            told = BadData(
                f"count_as says that {shown(name)} counts as {shown(wanted)}, which the checkpoint does not know. It "
                f"knows {listed(direction)}; '' leaves the rows of a class out."
            )
            raise told.known_as(
                "data.counts_as_unknown", name=shown(name), wanted=shown(wanted), known=listed(direction)
            )
        found[class_name(name)] = wanted if known is None else known
    return found


def in_own_spelling(direction: Mapping[str, float], data: EvalData) -> EvalData:
    """The same rows, their classes as the checkpoint spells them."""
    own = own_spellings(direction)
    if not own:
        return data
    rows = (
        replace(
            row,
            label_class=own.get(row.label_class, row.label_class),
            alternative_class=own.get(row.alternative_class, row.alternative_class),
        )
        for row in data.rows
    )
    return replace(data, rows=tuple(rows))


def of_known_classes_only(direction: Mapping[str, float], data: EvalData) -> EvalData:
    """The same data, rows of classes that the checkpoint does not know among those that are set aside; unchanged where
    none of its classes is known, which `of_known_classes` refuses."""
    return known_classes_only(direction, data) if set(direction) & set(data.classes) else data


def known_classes_only(direction: Mapping[str, float], data: EvalData) -> EvalData:
    """The same, also where that leaves no row; unchanged where the checkpoint does not know two classes."""
    known = frozenset(direction)
    if len(known) < ENOUGH_CLASSES or known.issuperset(data.classes):
        return data
    rows, rejected = [], list(data.rejected)
    for row in data.rows:
        role = next((role for role in CLASS_ROLES if getattr(row, role) not in known), None)
        if role is None:
            rows.append(row)
        else:
            name, classes = shown(getattr(row, role)), listed(direction)
            sentence = f"its {role} {name} is no class of the checkpoint ({classes})"
            values = {"role": role_text(role), "name": name, "known": classes}
            rejected.append(
                RejectedRow(row.number, Note(sentence, ("data.reason_unknown_class", values)), "unknown_class")
            )
    return replace(data, rows=tuple(rows), rejected=tuple(sorted(rejected, key=lambda one: one.number)))


@dataclass(frozen=True)
class UnknownClass:
    """A class of a table that the checkpoint does not know. count: rows that name it; counts_as: what it counts as by
    choice, "" for left out, None where nothing is chosen; suggested: what it most likely means, None where unclear."""

    name: str
    count: int
    counts_as: str | None
    suggested: str | None


def unknown_classes(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    direction: Mapping[str, float],
    given: Mapping[str, str] | None,
    words: Mapping[str, Collection[str]],
) -> list[UnknownClass]:
    """The classes of a table that are none of the checkpoint's, most rows first; none where it knows no class.

    columns: {our name: the table's}. words: of each class, for suggestions.
    """
    known = {class_name(str(name)): str(name) for name in direction}
    held = [column for role in CLASS_ROLES if (column := columns.get(role)) in frame.columns]
    cells = [[class_name(cell_text(cell)) for cell in frame[column].tolist()] for column in held]
    counted = Counter(name for row in zip(*cells, strict=True) for name in dict.fromkeys(row) if name)
    chosen = {class_name(name): wanted for name, wanted in (given or {}).items()}
    directed = directed_classes(direction) or list(known.values())
    return [
        UnknownClass(name, count, chosen.get(name), suggested_class(name, directed, words))
        for name, count in counted.most_common()
        if known and name not in known
    ]


def directed_classes(direction: Mapping[str, float]) -> list[str]:
    """The classes that lie on one of the sides, +1 first; without those of identity rows, which lie at 0."""
    return sorted((name for name in direction if direction[name]), key=lambda name: -direction[name])


def ordered_classes(direction: Mapping[str, float], data: EvalData) -> tuple[str, ...]:
    """The +1 class first, then -1, then the undirected ones that the rows hold. Raises BadData for less than two."""
    held = set(data.classes)
    known = [same_class(name, data.classes) for name in directed_classes(direction)]
    chosen = [name for name in known if name in held]
    if len(known) < 2:
        chosen += [name for name in data.classes if name not in chosen]
    chosen = chosen or list(data.classes)
    if len(chosen) < 2:
        rows_hold, knows = listed(data.classes), listed(known)
        few = BadData(
            f"A sweep needs rows of at least two classes of the GRADIEND; the rows hold {rows_hold} and the checkpoint "
            f"knows {knows or 'no class'}."
        )
        raise few.known_as("data.two_classes", held=rows_hold, known=knows or "–")
    return tuple(chosen)


def of_known_classes(direction: Mapping[str, float], data: EvalData) -> EvalData:
    """The same rows. Raises BadData where none of their classes is one of those with a direction; where the checkpoint
    knows none, one of those that it names."""
    known = [same_class(name, data.classes) for name in directed_classes(direction) or list(direction)]
    if known and not set(known) & set(data.classes):
        held, names = listed(data.classes), listed(known)
        told = BadData(
            f"The rows hold the classes {held}, and the checkpoint knows {names}: write its names into the table, or "
            "choose the columns that hold them."
        )
        raise told.known_as("data.no_known_class", held=held, known=names)
    return data


def words_by_class(rows: Sequence[EvalRow]) -> dict[str, tuple[str, ...]]:
    """{class: its words in the rows}: its labels, and the alternatives that name it; sorted, each spelling once."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.label_class, set()).add(row.label)
        found.setdefault(row.alternative_class, set()).add(row.alternative)
    return {name: tuple(sorted(words)) for name, words in found.items()}
