"""`unify`: any form of data becomes checked rows with classes, splits and the pair to train.

The reference's rows, in its order. Knows the shapes (through `sources`, `pairing`) and the splits (through
`splitting`); chooses no rows for training or scoring.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from gradiend_ui.engine.data.forms.form import HELDOUT, DataForm
from gradiend_ui.engine.data.forms.naming import in_one_spelling, spelling_notes
from gradiend_ui.engine.data.forms.pairing import (
    holds_ready_pairs,
    merge_class_tables,
    merge_paired_frame,
    pairs_of_frame,
    pairs_of_tables,
    pairs_of_two_classes,
    pairs_with_itself,
    tables_by_class,
)
from gradiend_ui.engine.data.forms.sources import Data, Tables, incomplete_classes, read_with_notes
from gradiend_ui.engine.data.forms.splitting import Cycle, split_rows
from gradiend_ui.engine.data.rows import Candidate, EvalData, EvalRow, RejectedRow, checked_rows, require_rows
from gradiend_ui.engine.errors import BadData

_DEFAULT_SPLIT = "train"


@dataclass(frozen=True)
class UnifiedData:
    """All rows of all transitions, in the reference's order, and what the classes are.

    all_classes: every class of the data; target_classes: those to train and score, () when more than two and none
    given; neutral_rows: by class, what the tables of classes that are not in the pair hold, each token its own
    alternative (split "": any); notes: what the user should know; loaded: the rows before splits were drawn.
    """

    rows: tuple[EvalRow, ...]
    rejected: tuple[RejectedRow, ...]
    all_classes: tuple[str, ...]
    target_classes: tuple[str, ...]
    neutral_rows: Mapping[str, tuple[EvalRow, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    loaded: tuple[EvalRow, ...] = ()

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two target classes, the first at +1; None unless there are exactly two."""
        return (self.target_classes[0], self.target_classes[1]) if len(self.target_classes) == 2 else None

    @property
    def data(self) -> EvalData:
        """The same rows as `EvalData`."""
        return EvalData(self.rows, self.rejected)


@dataclass(frozen=True)
class _Read:
    """Candidate rows of one shape, with the classes the shape tells."""

    candidates: Iterator[Candidate]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    all_classes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def unify(data: Data, form: DataForm, *, include_other_classes: bool = False) -> UnifiedData:
    """Read, merge, pair, check and split the data.

    include_other_classes: of a table per class, also pair the classes of `form.all_classes` that are no targets.
    Raises BadData or TooLarge in a sentence.
    """
    form, notes = _without_incomplete(data, form)
    given, read_notes = read_with_notes(data, form, all_classes=include_other_classes)
    tables = _numbered(in_one_spelling(given, form))
    notes = (*notes, *read_notes, *spelling_notes(given, form))
    if isinstance(tables, dict):
        read = _read_class_tables(tables, form, include_other_classes)
    else:
        read = _read_frame(tables, form)
    checked = require_rows(checked_rows(read.candidates, _DEFAULT_SPLIT))
    all_classes = read.all_classes or checked.classes
    targets = _targets(read.targets or form.wanted_targets(), all_classes, checked, read.tables)
    unified = UnifiedData(
        rows=checked.rows,
        rejected=checked.rejected,
        all_classes=all_classes,
        target_classes=targets,
        neutral_rows=_neutral_rows(read.tables, targets, form),
        notes=(*notes, *read.notes),
        loaded=checked.rows,
    )
    return resplit(unified, form, form.split_seed)


def resplit(unified: UnifiedData, form: DataForm, seed: int, cycle: Cycle | None = None) -> UnifiedData:
    """The same data with splits drawn anew by `seed`; unchanged when a column holds them.

    cycle: (index, length) of this seed among several ("heldout" only): each word is held out about equally often.
    """
    if form.split_col != HELDOUT:
        cycle = None
    return replace(unified, rows=split_rows(unified.loaded, form, unified.target_classes, seed, cycle))


def unified_frame(unified: UnifiedData) -> pd.DataFrame:
    """The rows as the reference's table: masked, split, factual_class, alternative_class, factual, alternative,
    transition ("M→F")."""
    rows = unified.rows
    return pd.DataFrame(
        {
            "masked": [row.masked for row in rows],
            "split": [row.split for row in rows],
            "factual_class": [row.label_class for row in rows],
            "alternative_class": [row.alternative_class for row in rows],
            "factual": [row.label for row in rows],
            "alternative": [row.alternative for row in rows],
            "transition": [f"{row.label_class}→{row.alternative_class}" for row in rows],
        }
    )


def _without_incomplete(data: Data, form: DataForm) -> tuple[DataForm, tuple[str, ...]]:
    incomplete = incomplete_classes(data, form)
    dropped = [name for name in form.target_classes or () if name in incomplete]
    if not dropped:
        return form, ()
    note = f"The data's creator could not fill {', '.join(dropped)}: not among the target classes."
    kept = tuple(name for name in form.target_classes or () if name not in dropped)
    return replace(form, target_classes=kept or None), (note,)


def _numbered(tables: Tables) -> Tables:
    """Tables whose index counts the user's rows, through all tables."""
    if not isinstance(tables, dict):
        return tables.set_axis(pd.RangeIndex(len(tables)), axis=0)
    result, first = {}, 0
    for name, table in tables.items():
        result[name] = table.set_axis(pd.RangeIndex(first, first + len(table)), axis=0)
        first += len(table)
    return result


def _read_class_tables(tables: dict[str, pd.DataFrame], form: DataForm, include_other_classes: bool) -> _Read:
    """A table per class: the targets are paired with each other, or all classes when none are given.

    Tables named "a_to_b" whose rows are ready pairs are all taken; the rows tell the classes.
    """
    if all("_to_" in name and holds_ready_pairs(table) for name, table in tables.items()):
        return _Read(pairs_of_tables(tables, tuple(tables), form))
    all_classes = form.all_classes or tuple(sorted(tables))
    targets = form.wanted_targets()
    if form.class_merge_map:
        tables = merge_class_tables(tables, form, targets)
        classes = tuple(tables)
        targets = targets or classes
    else:
        classes = form.all_classes if include_other_classes and form.all_classes else targets or all_classes
        targets = targets or classes
    _require_classes(classes, tables)
    return _Read(
        candidates=pairs_of_tables(tables, classes, form),
        tables=tables,
        all_classes=all_classes,
        targets=targets,
        notes=_ignored_groups(form),
    )


def _read_frame(frame: pd.DataFrame, form: DataForm) -> _Read:
    """One frame: both tokens per row, base classes to merge, a column per class, or a label per row."""
    explicit = {form.alternative_col, form.alternative_class_col} <= set(frame.columns)
    if explicit:
        return _Read(pairs_of_frame(merge_paired_frame(frame, form) if form.class_merge_map else frame, form))
    if form.class_merge_map:
        tables = merge_class_tables(tables_by_class(frame, form), form, form.wanted_targets())
        return _Read(pairs_of_tables(tables, tuple(tables), form), notes=_ignored_groups(form))
    if form.label_class_col not in frame.columns:
        raise BadData(
            f"There is no column {form.label_class_col!r} for the class of each label. "
            f"Columns: {', '.join(map(str, frame.columns))}."
        )
    classes = [str(name) for name in frame[form.label_class_col].dropna().unique()]
    if len(classes) >= 2 and set(classes) <= set(map(str, frame.columns)):
        return _Read(pairs_of_tables(tables_by_class(frame, form), classes, form))
    pair = form.wanted_targets() or tuple(sorted(classes))
    if len(pair) != 2:
        raise BadData(
            f"The rows name no alternative (columns {form.alternative_col!r}, {form.alternative_class_col!r}), and the "
            f"data has the classes {', '.join(sorted(classes))}: give these columns, or two target_classes."
        )
    return _Read(pairs_of_two_classes(frame, form, (pair[0], pair[1])))


def _ignored_groups(form: DataForm) -> tuple[str, ...]:
    if not form.class_merge_transition_groups:
        return ()
    return ("class_merge_transition_groups needs rows that name both classes; without them it changes nothing.",)


def _require_classes(classes: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> None:
    missing = [name for name in classes if name not in tables]
    if missing:
        raise BadData(f"There is no class {missing[0]!r} in the data; it has {', '.join(sorted(tables))}.")


def _targets(
    given: tuple[str, ...] | None, all_classes: Sequence[str], checked: EvalData, tables: Mapping[str, pd.DataFrame]
) -> tuple[str, ...]:
    """The target classes as given, or two classes in alphabetical order. Raises BadData for one without rows."""
    if given is None:
        return tuple(sorted(all_classes)) if len(all_classes) == 2 else ()
    known = {*checked.classes, *tables, *all_classes}
    missing = [name for name in given if name not in known]
    if missing:
        raise BadData(f"There is no class {missing[0]!r} in the data; it has {', '.join(sorted(known))}.")
    return given


def _neutral_rows(
    tables: Mapping[str, pd.DataFrame], targets: Sequence[str], form: DataForm
) -> dict[str, tuple[EvalRow, ...]]:
    """The rows of each class table that may be outside the pair, with their own token as the alternative."""
    return {
        name: checked_rows(pairs_with_itself(name, table, form), "").rows
        for name, table in tables.items()
        if len(targets) != 2 or name not in targets
    }
