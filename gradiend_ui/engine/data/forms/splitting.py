"""Drawing train, validation and test splits: by row, or by whole words ("heldout").

Works on checked rows; the same seed gives the same rows in the same splits and order as in the reference. Knows no
tables.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from gradiend_ui.engine.data.forms.form import HELDOUT, DataForm
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.data.spelling import cased_like
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.values import SPLITS

LEAST_HELDOUT_ROWS = 10
Cycle = tuple[int, int]
_GROUP_FIELDS = {
    "factual": "label",
    "alternative": "alternative",
    "factual_class": "label_class",
    "alternative_class": "alternative_class",
    "masked": "masked",
}


def split_rows(
    rows: Sequence[EvalRow], form: DataForm, targets: Sequence[str], seed: int, cycle: Cycle | None = None
) -> tuple[EvalRow, ...]:
    """The rows with drawn splits; unchanged when the splits come from a column.

    With two `targets` only rows between them are split and come first; the others keep theirs ("train").
    cycle: (index, length) of one seed in a run of several that share their held-out words evenly.
    Raises BadData when a split would stay empty.
    """
    if form.table_split_col is not None:
        return tuple(rows)
    if form.split_col == HELDOUT:
        _require_enough_words(rows, form, targets)
    between = [row for row in rows if _is_between(row, targets)]
    others = [row for row in rows if not _is_between(row, targets)]
    if not between:
        between, others = list(rows), []
    if form.split_col == HELDOUT:
        return (*_heldout(between, form, seed, cycle), *others)
    parts = [_by_row(group, form.ratios, seed) for group in _by_class(between).values()]
    return (*(row for part in parts for row in part), *others)


def _is_between(row: EvalRow, targets: Sequence[str]) -> bool:
    if len(targets) != 2:
        return True
    return row.label_class in targets and row.alternative_class in targets and row.label_class != row.alternative_class


def _by_class(rows: Iterable[EvalRow]) -> dict[str, list[EvalRow]]:
    groups: dict[str, list[EvalRow]] = {}
    for row in rows:
        groups.setdefault(row.label_class, []).append(row)
    return groups


def _shuffled(count: int, seed: int) -> list[int]:
    return [int(place) for place in pd.Series(range(count)).sample(frac=1, random_state=seed)]


def _by_row(rows: Sequence[EvalRow], ratios: tuple[float, float, float], seed: int) -> list[EvalRow]:
    """The rows of one class, shuffled and cut by the ratios."""
    count = len(rows)
    train, validation = round(count * ratios[0]), round(count * ratios[1])
    test = max(0, count - train - validation)
    validation = count - train - test
    names = ["train"] * train + ["validation"] * validation + ["test"] * test
    wanted = [name for name, ratio in zip(SPLITS, ratios, strict=True) if ratio > 0]
    missing = [name for name in wanted if name not in names]
    if missing and count >= len(wanted):
        raise BadData(
            f"The {count} rows of class {rows[0].label_class!r} are too few for the ratios {ratios}: "
            f"{missing[0]} gets none. Give more rows or other split_ratios."
        )
    return [replace(rows[place], split=name) for place, name in zip(_shuffled(count, seed), names, strict=True)]


def _heldout(rows: Sequence[EvalRow], form: DataForm, seed: int, cycle: Cycle | None) -> list[EvalRow]:
    """Words of one class never cross splits; where every row is a fixed pair of words, whole pairs stay together."""
    pairs = _word_pairs(rows, form)
    if pairs is not None:
        return _by_group(rows, pairs, form, seed, cycle)
    parts = []
    for group in _by_class(rows).values():
        parts += _by_group(group, [_group_of(row, form) for row in group], form, seed, cycle)
    return _alternatives_of_own_split(parts, form)


def _group_of(row: EvalRow, form: DataForm) -> Any:
    column = form.split_group_col or "factual"
    if column not in _GROUP_FIELDS:
        raise BadData(f"split_group_col {column!r} is not one of {', '.join(_GROUP_FIELDS)}.")
    return form.group_key(getattr(row, _GROUP_FIELDS[column]))


def _by_group(
    rows: Sequence[EvalRow], groups: Sequence[Hashable], form: DataForm, seed: int, cycle: Cycle | None
) -> list[EvalRow]:
    """The rows in their order, each with the split of its group."""
    distinct = list(dict.fromkeys(groups))
    keys = [distinct[place] for place in _shuffled(len(distinct), seed)]
    train, validation, test = _group_counts(len(keys), form.ratios)
    if cycle is not None and keys:
        shift = (cycle[0] % cycle[1] * (validation + test)) % len(keys)
        keys = keys[shift:] + keys[:shift]
    names = ["train"] * train + ["validation"] * validation + ["test"] * (len(keys) - train - validation)
    split_of = dict(zip(keys, names, strict=True))
    missing = [
        name for name, ratio in zip(SPLITS, form.ratios, strict=True) if ratio > 0 and name not in split_of.values()
    ]
    if missing:
        raise BadData(
            f"{len(keys)} different words of class {rows[0].label_class!r} are too few for the ratios {form.ratios}: "
            f"{missing[0]} gets none. Give more target words or other split_ratios."
        )
    return [replace(row, split=split_of[group]) for row, group in zip(rows, groups, strict=True)]


def _group_counts(count: int, ratios: tuple[float, float, float]) -> tuple[int, int, int]:
    """How many groups each split gets: rounded shares, but at least one where the share is not 0."""
    train, validation = round(count * ratios[0]), round(count * ratios[1])
    counts = [train, validation, max(0, count - train - validation)]
    counts[1] = count - counts[0] - counts[2]
    if count >= sum(ratio > 0 for ratio in ratios):
        for place, ratio in enumerate(ratios):
            richest = counts.index(max(counts))
            if ratio > 0 and counts[place] == 0 and counts[richest] > 1:
                counts[richest] -= 1
                counts[place] = 1
    return counts[0], counts[1], counts[2]


def _word_pairs(rows: Sequence[EvalRow], form: DataForm) -> list[Any] | None:
    """A group name per row, joining words that are each other's only alternative; None unless every row is such."""
    keyed = [
        (row.label_class, form.group_key(row.label), row.alternative_class, form.group_key(row.alternative))
        for row in rows
    ]
    alternatives: dict[tuple[str, Any, str], set[Any]] = {}
    sources: dict[tuple[str, str, Any], set[Any]] = {}
    for own, word, other, alternative in keyed:
        alternatives.setdefault((own, word, other), set()).add(alternative)
        sources.setdefault((own, other, alternative), set()).add(word)
    parent: dict[tuple[str, Any], tuple[str, Any]] = {}
    for own, word, other, alternative in keyed:
        back = alternatives.get((other, alternative, own), {word})
        if len(alternatives[own, word, other]) > 1 or len(sources[own, other, alternative]) > 1 or back != {word}:
            return None
        parent[_root(parent, (own, word))] = _root(parent, (other, alternative))
    return [form.group_key("|".join(_root(parent, (own, word)))) for own, word, _, _ in keyed]


def _root(parent: dict[tuple[str, Any], tuple[str, Any]], node: tuple[str, Any]) -> tuple[str, Any]:
    parent.setdefault(node, node)
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _alternatives_of_own_split(rows: Sequence[EvalRow], form: DataForm) -> list[EvalRow]:
    """Each alternative becomes a word of its class in the row's split, in turn, so that no held-out word leaks."""
    words: dict[tuple[str, str], dict[Any, str]] = {}
    for row in rows:
        words.setdefault((row.split, row.label_class), {}).setdefault(form.group_key(row.label), row.label)
    choices = {key: list(found.values()) for key, found in words.items()}
    used: dict[tuple[str, str], int] = {}
    result = []
    for row in rows:
        key = (row.split, row.alternative_class)
        if key not in choices:
            result.append(row)
            continue
        turn = used.get(key, 0)
        used[key] = turn + 1
        word = choices[key][turn % len(choices[key])]
        result.append(replace(row, alternative=cased_like(word, row.label)))
    return result


def _require_enough_words(rows: Sequence[EvalRow], form: DataForm, targets: Sequence[str]) -> None:
    if len(targets) != 2:
        raise BadData(f"split_col={HELDOUT!r} needs two target_classes, not {list(targets) or 'none'}.")
    least = sum(ratio > 0 for ratio in form.ratios)
    for name in targets:
        own = [row for row in rows if row.label_class == name and _is_between(row, targets)]
        words = {_group_of(row, form) for row in own}
        if len(own) < LEAST_HELDOUT_ROWS or len(words) < least:
            raise BadData(
                f"split_col={HELDOUT!r} needs at least {LEAST_HELDOUT_ROWS} rows and {least} different words of each "
                f"target class; {name!r} has {len(own)} rows and {len(words)} words. Give more, or use "
                "split_col=None for splits by row."
            )
