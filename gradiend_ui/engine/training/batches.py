"""In which order rows are trained on and evaluated: balanced batches, the classes in turn.

Rows of one transition (from a class to a class) form a group. A batch holds rows of one group and one label; the
groups take turns, and a short group starts again. So the classes weigh the same, whatever their numbers. The order
is a function of rows and seed, and equal to the reference's. Knows no tokens and no model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import pandas as pd

from gradiend_ui.engine.data.forms.choice import training_labels, transition_groups
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.values import ALTERNATIVE

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """A row in a training: label +1 for the pair's first class, -1 for its second, 0 for others; its transition."""

    row: EvalRow
    label: int
    transition: int

    def label_of(self, source: str) -> float:
        """The label of what the encoder sees: of the alternative's class for source "alternative"."""
        return float(-self.label if source == ALTERNATIVE else self.label) + 0.0


Batch = tuple[Example, ...]


def examples_of(rows: Sequence[EvalRow], pair: Pair) -> tuple[Example, ...]:
    """The rows with labels and transitions for `pair`, in order."""
    return tuple(map(Example, rows, training_labels(rows, pair), transition_groups(rows, pair)))


@dataclass(frozen=True)
class Schedule:
    """An endless order of batches that takes one of each group in turn; `len` is the number of different batches."""

    groups: tuple[tuple[Batch, ...], ...]

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def __getitem__(self, place: int) -> Batch:
        group = self.groups[place % len(self.groups)]
        return group[(place // len(self.groups)) % len(group)]

    def one_round(self) -> list[Batch]:
        """`len` batches from the start: one epoch."""
        return [self[place] for place in range(len(self))]


def training_schedule(examples: Sequence[Example], batch_size: int, seed: int) -> Schedule:
    """Batches of `batch_size` rows by transition; shuffled by `seed` when they hold more than one row.

    Raises BadData when a group cannot fill one batch.
    """
    return _schedule(examples, lambda example: example.transition, batch_size, seed)


def evaluation_order(examples: Sequence[Example], source: str, balance: bool, seed: int) -> tuple[Example, ...]:
    """The examples one evaluation encodes: groups in turn, a short one again, so that the classes weigh the same.

    Groups are the factual classes for source "factual", else the transitions; without `balance` there is one group.
    """
    key: Callable[[Example], Hashable]
    if not balance:
        key = _one_group
    elif source == "factual":
        key = _factual_class
    else:
        key = _transition
    return tuple(batch[0] for batch in _schedule(examples, key, 1, seed).one_round())


def _one_group(_example: Example) -> int:
    return 0


def _factual_class(example: Example) -> str:
    return example.row.label_class


def _transition(example: Example) -> int:
    return example.transition


def _schedule(examples: Sequence[Example], key: Callable[[Example], Hashable], batch_size: int, seed: int) -> Schedule:
    grouped: dict[Hashable, dict[int, list[Example]]] = {}
    for example in examples:
        grouped.setdefault(key(example), {}).setdefault(example.label, []).append(example)
    if not grouped:
        raise BadData("There is no row to train on.")
    generator = random.Random(seed)
    groups: list[tuple[Batch, ...]] = []
    for name in sorted(grouped, key=lambda value: (str(type(value)), value)):
        batches: list[Batch] = []
        for _, subgroup in sorted(grouped[name].items()):
            batches += _full_batches(subgroup, batch_size, seed)
        if not batches:
            fewest = min(len(subgroup) for subgroup in grouped[name].values())
            raise BadData(
                f"A group of rows has {fewest} rows, one batch needs {batch_size}: give more rows or a "
                f"train_batch_size of at most {fewest}."
            )
        if batch_size > 1:
            generator.shuffle(batches)
        groups.append(tuple(batches))
    return Schedule(tuple(groups))


def _full_batches(examples: Sequence[Example], batch_size: int, seed: int) -> list[Batch]:
    ordered = list(examples)
    if len(ordered) < batch_size:
        return []
    if batch_size > 1:
        places = pd.Series(range(len(ordered))).sample(frac=1, random_state=seed)
        ordered = [ordered[place] for place in places]
    whole = len(ordered) // batch_size
    return [tuple(ordered[start * batch_size : (start + 1) * batch_size]) for start in range(whole)]
