"""Which rows of unified data a training step or an evaluation takes, and in which order.

The reference's choice: the pair's transitions in the data's order, identity rows of the other classes at the end, a
seeded draw per group where a cap bites. Makes no batches and knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from gradiend_ui.engine.data.forms.unified import UnifiedData
from gradiend_ui.engine.data.rows import EvalRow, normal_splits
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.values import HELD_OUT_SPLITS, SPLITS

Pair = tuple[str, str]
_SEED_WITHOUT_SEED = 42
SPLITS_OF_ROLE = {
    "train": ("train",),
    "eval": ("validation", "test", "train"),
    "decoder": (*HELD_OUT_SPLITS, "train"),
}


def split_names(unified: UnifiedData, split: str | Sequence[str]) -> tuple[str, ...]:
    """The splits meant by one name, several, or "all" (train, validation, test, then others by name)."""
    wanted = normal_splits(split)
    present = {row.split for row in unified.rows} if wanted is None else set(wanted)
    standard = [name for name in SPLITS if name in present]
    return (*standard, *sorted(present.difference(standard)))


def split_for_role(unified: UnifiedData, role: str) -> str:
    """The split for "train", "eval" (watching a training) or "decoder": the best one that has rows."""
    if role not in SPLITS_OF_ROLE:
        raise BadData(f"There is no role {role!r} for a split; known: {', '.join(SPLITS_OF_ROLE)}.")
    present = split_names(unified, "all")
    return next((name for name in SPLITS_OF_ROLE[role] if name in present), present[0])


def require_training_splits(unified: UnifiedData, *, evaluates: bool, held_out: bool = False) -> None:
    """Raises BadData unless there are rows to train on, and to watch the training on (or, held_out, to test)."""
    present = split_names(unified, "all")
    if "train" not in present:
        raise BadData(f"Training needs rows of the split 'train'; the data has {', '.join(present)}.")
    if held_out and "test" not in present:
        raise BadData(f"Held-out words need rows of the split 'test'; the data has {', '.join(present)}.")
    if evaluates and set(HELD_OUT_SPLITS).isdisjoint(present):
        raise BadData(
            f"Watching a training needs rows of the split 'validation' or 'test'; the data has {', '.join(present)}. "
            "Give some, use split_col=None to have splits drawn, or set do_eval=False."
        )


def rows_of_split(unified: UnifiedData, split: str | Sequence[str]) -> tuple[EvalRow, ...]:
    """All rows of the split, in the data's order. Raises BadData when there is none."""
    names = split_names(unified, split)
    rows = tuple(row for row in unified.rows if row.split in names)
    if not rows:
        present = ", ".join(split_names(unified, "all"))
        raise BadData(f"No row has the split {split!r}. Splits in the data: {present}.")
    return rows


def chosen_pair(unified: UnifiedData, split: str | Sequence[str], pair: Pair | None = None) -> Pair:
    """The pair as given, else the two target classes, else the first transition of the split."""
    known = pair or unified.pair
    if known is not None:
        return known
    for row in rows_of_split(unified, split):
        if row.label_class != row.alternative_class:
            return row.label_class, row.alternative_class
    raise BadData("No row goes from one class to another: give target_classes.")


def training_rows(
    unified: UnifiedData,
    split: str | Sequence[str] = "train",
    *,
    pair: Pair | None = None,
    max_size: int | None = None,
    balance: str | None = "transition",
    seed: int | None = 0,
    add_identity: bool = False,
    include_other_classes: bool = False,
    transitions: Iterable[Pair] | None = None,
) -> tuple[EvalRow, ...]:
    """The rows a training (or the encoder's evaluation) takes from `split`.

    max_size: at most so many per group of `balance` ("transition", "label_class", "alternative_class" or None, which
    counts as "transition"), drawn by `seed`; the rows then come group by group.
    add_identity: rows of the classes outside the pair, each token its own alternative.
    include_other_classes: every transition of the split, where there are more than two classes; transitions: the
    pair's and these (source, other) ones. Raises BadData when no row is left.
    """
    chosen = chosen_pair(unified, split, pair)
    rows = list(_between(rows_of_split(unified, split), unified, chosen, include_other_classes, transitions))
    if not rows:
        raise BadData(f"The split {split!r} has no row between {chosen[0]} and {chosen[1]}.")
    if add_identity:
        rows += identity_rows(unified, split, chosen)
    return _capped(rows, chosen, max_size, balance or "transition", seed)


def evaluation_rows(
    unified: UnifiedData,
    split: str | Sequence[str] = "test",
    *,
    pair: Pair | None = None,
    max_size: int | None = None,
    seed: int | None = 0,
    add_identity: bool = False,
) -> tuple[EvalRow, ...]:
    """The rows the decoder is scored on: as `training_rows`, but between all target classes when these are more than
    two (the reference keeps the first transition's two classes)."""
    targets = unified.target_classes
    if pair is not None or len(targets) <= 2:
        return training_rows(unified, split, pair=pair, max_size=max_size, seed=seed, add_identity=add_identity)
    transitions = [(own, other) for own in targets for other in targets if own != other]
    rows = list(training_rows(unified, split, pair=(targets[0], targets[1]), transitions=transitions))
    if add_identity:
        rows += identity_rows(unified, split, targets)
    return _capped(rows, (targets[0], targets[1]), max_size, "transition", seed)


def identity_rows(unified: UnifiedData, split: str | Sequence[str], targets: Sequence[str]) -> list[EvalRow]:
    """Rows that stay as they are: of every class of the data that is no target, from its rows and from its table.

    A table without a split column gives all its rows to every split, as in the reference.
    """
    names = split_names(unified, split)
    neutral = [name for name in unified.all_classes if name not in targets]
    found = [_with_itself(row) for row in unified.rows if row.split in names and row.label_class in neutral]
    for name in neutral:
        found += [row for row in unified.neutral_rows.get(name, ()) if row.split in names or not row.split]
    return found


def transition_groups(rows: Iterable[EvalRow], pair: Pair) -> tuple[int, ...]:
    """The group of each row: 0 from the pair's first class to its second, 1 back, then 2, 3, ... as they appear."""
    numbers: dict[Pair, int] = {pair: 0, (pair[1], pair[0]): 1}
    return tuple(numbers.setdefault((row.label_class, row.alternative_class), len(numbers)) for row in rows)


def training_labels(rows: Iterable[EvalRow], pair: Pair) -> tuple[int, ...]:
    """+1 for rows of the pair's first class, -1 for its second, 0 for all others."""
    labels = {pair[0]: 1, pair[1]: -1}
    return tuple(labels.get(row.label_class, 0) for row in rows)


def _between(
    rows: Iterable[EvalRow],
    unified: UnifiedData,
    pair: Pair,
    include_other_classes: bool,
    transitions: Iterable[Pair] | None,
) -> Iterable[EvalRow]:
    wanted = {pair, (pair[1], pair[0]), *(transitions or ())}
    if include_other_classes and not transitions and len(unified.all_classes) > 2:
        return rows
    return (row for row in rows if (row.label_class, row.alternative_class) in wanted)


def _with_itself(row: EvalRow) -> EvalRow:
    return EvalRow(row.number, row.masked, row.label, row.label_class, row.label, row.label_class, row.split)


def _capped(
    rows: Sequence[EvalRow], pair: Pair, max_size: int | None, balance: str, seed: int | None
) -> tuple[EvalRow, ...]:
    if max_size is None or len(rows) <= max_size:
        return tuple(rows)
    group_of: dict[str, Callable[[], Iterable[int | str]]] = {
        "transition": lambda: transition_groups(rows, pair),
        "label_class": lambda: [row.label_class for row in rows],
        "alternative_class": lambda: [row.alternative_class for row in rows],
    }
    if balance not in group_of:
        raise BadData(f"balance is {balance!r}; it must be one of {', '.join(group_of)}, or None.")
    groups: dict[int | str, list[EvalRow]] = {}
    for row, group in zip(rows, group_of[balance](), strict=True):
        groups.setdefault(group, []).append(row)
    chosen: list[EvalRow] = []
    for _, members in sorted(groups.items(), key=lambda item: item[0]):
        count = min(len(members), max_size)
        places = pd.Series(range(len(members))).sample(
            n=count, random_state=_SEED_WITHOUT_SEED if seed is None else seed
        )
        chosen += [members[place] for place in places]
    return tuple(chosen)
