"""From tables to candidate rows: classes merged, then each label paired with the token of another class.

Base classes such as 1SG and 3SG may become one class such as "singular" first. Then there are four shapes: both tokens
in one row; a column per class; a table per class (the other class's token drawn where no column names it); one label
per row and two classes. The order of rows and of draws is the reference's. Knows the merge map of a `DataForm`; splits
are copied, not made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.rows import MASK, Candidate
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


def pairs_of_frame(frame: pd.DataFrame, form: DataForm) -> Iterator[Candidate]:
    """Rows that name both tokens and both classes."""
    columns = (
        _masked_column(frame, form),
        _column(frame, form.label_col),
        _column(frame, form.label_class_col),
        _column(frame, str(form.alternative_col)),
        _column(frame, str(form.alternative_class_col)),
        _split_column(frame, form),
    )
    return map(Candidate, _numbers(frame), *columns)


def pairs_of_two_classes(frame: pd.DataFrame, form: DataForm, pair: tuple[str, str]) -> Iterator[Candidate]:
    """Rows with a label and its class only: the alternative is the other class's first token in the table.

    Rows of further classes drop out. Raises BadData when a class of the pair has no token.
    """
    classes = [str(name) for name in _column(frame, form.label_class_col)]
    labels = _column(frame, form.label_col)
    first: dict[str, Any] = {}
    for name, label in zip(classes, labels, strict=True):
        if not pd.isna(label):
            first.setdefault(name, label)
    missing = [name for name in pair if name not in first]
    if missing:
        raise BadData(f"The data has no row of class {missing[0]!r}; its classes are {', '.join(sorted(first))}.")
    other = {pair[0]: pair[1], pair[1]: pair[0]}
    columns = (_masked_column(frame, form), labels, classes, _split_column(frame, form))
    for number, masked, label, name, split in zip(_numbers(frame), *columns, strict=True):
        if name in other:
            yield Candidate(number, masked, label, name, first[other[name]], other[name], split)


def tables_by_class(frame: pd.DataFrame, form: DataForm) -> dict[str, pd.DataFrame]:
    """A frame with a label class per row, cut into a table per class, in order of appearance."""
    if form.label_class_col not in frame.columns:
        raise BadData(_missing(form.label_class_col, frame))
    names = frame[form.label_class_col]
    tables = {}
    for name in names.dropna().unique():
        table = frame[names == name]
        own = table[form.label_col] if form.label_col in frame.columns else table[own_token_column(name, table, form)]
        tables[str(name)] = table.assign(**{str(name): own})
    return tables


def pairs_of_tables(tables: dict[str, pd.DataFrame], classes: Sequence[str], form: DataForm) -> Iterator[Candidate]:
    """Every row of every class, once per other class in `classes`.

    The other token comes from the row's column of that class (rows without one drop out), else it is drawn from that
    class's own tokens by their frequency, `max_counterfactuals_per_sentence` different ones per row.
    """
    generator = np.random.default_rng(form.counterfactual_seed)
    for name in tables:
        if name in classes:
            yield from _pairs_of_table(name, tables, classes, form, generator)


def pairs_with_itself(name: str, table: pd.DataFrame, form: DataForm) -> Iterator[Candidate]:
    """The rows of one class's table, each with its own token as alternative; split None without a split column."""
    column = form.table_split_col
    has_splits = column is not None and column in table.columns
    splits = _split_column(table, form) if has_splits else [None] * len(table)
    labels = _column(table, own_token_column(name, table, form))
    cells = zip(_numbers(table), _masked_column(table, form), labels, splits, strict=True)
    return (Candidate(number, masked, label, name, label, name, split) for number, masked, label, split in cells)


def holds_ready_pairs(table: pd.DataFrame) -> bool:
    """Whether each row names both tokens, as source and target."""
    return "source" in table.columns and "target" in table.columns


def _pairs_of_table(
    name: str,
    tables: dict[str, pd.DataFrame],
    classes: Sequence[str],
    form: DataForm,
    generator: np.random.Generator,
) -> Iterator[Candidate]:
    table = tables[name]
    numbers, masked, splits = _numbers(table), _masked_column(table, form), _split_column(table, form)
    if holds_ready_pairs(table):
        yield from _ready_pairs(name, table, form)
        return
    labels = _column(table, own_token_column(name, table, form))
    for other in classes:
        if other == name or (other not in table.columns and other not in tables):
            continue
        if other in table.columns:
            words: Iterable[tuple[int, Any]] = _given_words(_column(table, other))
        else:
            own = tables[other][own_token_column(other, tables[other], form)]
            words = _drawn_words(own, len(table), form.max_counterfactuals_per_sentence, generator)
        for place, word in words:
            yield Candidate(numbers[place], masked[place], labels[place], name, word, other, splits[place])


def _ready_pairs(name: str, table: pd.DataFrame, form: DataForm) -> Iterator[Candidate]:
    """Rows of a table with the columns source, target and perhaps source_id, target_id (their classes); without
    these, a table named "a_to_b" goes from class a to class b."""
    words = zip(_numbers(table), _column(table, "source"), _column(table, "target"), strict=True)
    masked, splits = _masked_column(table, form), _split_column(table, form)
    own = _column(table, "source_id") if "source_id" in table.columns else [None] * len(table)
    other = _column(table, "target_id") if "target_id" in table.columns else [None] * len(table)
    from_class, to_class = name.split("_to_")[0], name.split("_to_")[-1]
    for place, (number, label, word) in enumerate(words):
        if pd.isna(label) or pd.isna(word):
            continue
        label_class = from_class if pd.isna(own[place]) else own[place]
        other_class = to_class if pd.isna(other[place]) else other[place]
        yield Candidate(number, masked[place], label, label_class, word, other_class, splits[place])


def _given_words(cells: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """(place, word) of the cells that hold one."""
    return ((place, word) for place, word in enumerate(cells) if not (pd.isna(word) or word == ""))


def _drawn_words(
    tokens: pd.Series, rows: int, wanted: int, generator: np.random.Generator
) -> Iterator[tuple[int, str]]:
    """(place, word) draws from `tokens`, without case, weighted by frequency; each word spelled as first seen."""
    spelled = [str(token) for token in tokens.dropna()]
    if not spelled:
        return
    counts = pd.Series(spelled, dtype=object).str.lower().value_counts()
    weights = counts.to_numpy(dtype=np.float64)
    weights = weights / weights.sum()
    first: dict[str, str] = {}
    for word in spelled:
        first.setdefault(word.lower(), word)
    words = [first[lower] for lower in counts.index]
    for place, chosen in enumerate(_draws(weights, rows, wanted, generator)):
        yield from ((place, words[which]) for which in chosen)


def _draws(weights: NDArray[Any], rows: int, wanted: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """Places drawn without replacement, per row. One per row takes one uniform number each, so all come at once."""
    count = min(wanted, len(weights))
    if count == 1:
        cumulated = np.cumsum(weights)
        yield from ([int(place)] for place in (cumulated / cumulated[-1]).searchsorted(generator.random(rows), "right"))
        return
    for _ in range(rows):
        yield [int(place) for place in generator.choice(len(weights), size=count, replace=False, p=weights)]


def _numbers(table: pd.DataFrame) -> list[int]:
    """Where each row stood in the user's data: the index that `unify` gave the table."""
    return [int(number) for number in table.index]


def _masked_column(table: pd.DataFrame, form: DataForm) -> list[Any]:
    """The masked texts, with the placeholder of the data spelled "[MASK]"."""
    texts = _column(table, form.masked_col)
    if form.mask_placeholder == MASK:
        return texts
    return [text.replace(form.mask_placeholder, MASK) if isinstance(text, str) else text for text in texts]


def _split_column(table: pd.DataFrame, form: DataForm) -> list[Any]:
    column = form.table_split_col
    return ["train"] * len(table) if column is None or column not in table.columns else _column(table, column)


def _column(table: pd.DataFrame, name: str) -> list[Any]:
    if name not in table.columns:
        raise BadData(_missing(name, table))
    if list(table.columns).count(name) > 1:
        raise BadData(f"Two columns of the table are named {name!r}: rename one.")
    return list(table[name].tolist())


def _missing(name: str, table: pd.DataFrame) -> str:
    return f"There is no column {name!r}. Columns: {', '.join(map(str, table.columns))}."
