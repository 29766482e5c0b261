"""How a user's data is to be read: column names, classes, merging, splits, seeds. A plain value, checked once.

Knows no table: whether the named columns exist is found out when the data is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from numbers import Real
from typing import Any, TypeAlias

from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.engine.data.spelling import class_name
from gradiend_ui.engine.errors import BadData, NotAllowed, items_of, listed, shown

HELDOUT = "heldout"
GroupKey: TypeAlias = "Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None"
Ratios: TypeAlias = "Sequence[float] | Mapping[str, float] | None"
_HELDOUT_KEY: tuple[Callable[[Any], Any], ...] = (str.strip, str.casefold)


@dataclass(frozen=True)
class DataForm:
    """Names and rules for reading one data set; the defaults are the reference's.

    split_col: the column that holds the split, None to draw row-level splits, "heldout" to hold out whole words.
    split_group_col, split_group_key: what "heldout" keeps together (None: labels without case and outer white space).
    ratios: shares of train, validation and test, summing to 1; split_seed: of both ways of drawing splits.
    class_merge_map: {merged class: its base classes}; class_merge_transition_groups: base classes that may be paired.
    max_counterfactuals_per_sentence, counterfactual_seed: draws of other-class tokens where the data names none.
    """

    masked_col: str = "masked"
    label_col: str = "label"
    label_class_col: str = "label_class"
    alternative_col: str | None = "alternative"
    alternative_class_col: str | None = "alternative_class"
    mask_placeholder: str = MASK
    split_col: str | None = "split"
    split_group_col: str | None = None
    split_group_key: GroupKey = None
    ratios: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = 0
    target_classes: tuple[str, ...] | None = None
    all_classes: tuple[str, ...] | None = None
    class_merge_map: Mapping[str, Sequence[str]] = field(default_factory=dict)
    class_merge_transition_groups: Sequence[Sequence[str]] = ()
    max_counterfactuals_per_sentence: int = 1
    counterfactual_seed: int = 0
    hf_dataset: str | None = None
    hf_subset: str | Sequence[str] | None = None
    hf_splits: Sequence[str] | None = None
    trust_remote_code: bool | None = None

    def __post_init__(self) -> None:
        """Raises BadData for values that contradict each other, NotAllowed for remote code."""
        if self.trust_remote_code:
            raise NotAllowed(
                "dataset_trust_remote_code=True would run a stranger's Python here: leave it out, and convert a data "
                "set that needs its own script to csv, jsonl or parquet."
            )
        if not self.mask_placeholder.strip():
            raise BadData("mask_placeholder is empty: give the mark of the masked place, for example '[MASK]'.")
        if self.max_counterfactuals_per_sentence < 1:
            raise BadData(
                f"max_counterfactuals_per_sentence is {self.max_counterfactuals_per_sentence}; it must be at least 1."
            )
        self._name_classes_alike()
        for name in ("target_classes", "all_classes"):
            _require_distinct(name, getattr(self, name) or ())
        split_ratios(self.ratios)
        self.merged_of()

    def _name_classes_alike(self) -> None:
        """Every class that is given, spelled as those of tables are."""
        for name in ("target_classes", "all_classes"):
            classes = getattr(self, name)
            if isinstance(classes, tuple):
                object.__setattr__(self, name, tuple(map(class_name, classes)))
        merged = {
            class_name(str(name)): _alike("class_merge_map", bases) for name, bases in self.class_merge_map.items()
        }
        if len(merged) < len(self.class_merge_map):
            raise BadData(f"class_merge_map names a class twice: {listed(self.class_merge_map)}. Every class once.")
        object.__setattr__(self, "class_merge_map", merged)
        groups = items_of(self.class_merge_transition_groups)
        if groups is None:
            raise BadData(
                f"class_merge_transition_groups must be a list, not {shown(self.class_merge_transition_groups)}."
            )
        alike = [_alike("class_merge_transition_groups", group) for group in groups]
        object.__setattr__(self, "class_merge_transition_groups", alike)

    @property
    def table_split_col(self) -> str | None:
        """The column splits are read from; None when they are drawn."""
        return None if self.split_col in (None, HELDOUT) else self.split_col

    def merged_of(self) -> dict[str, str]:
        """{base class: merged class}. Raises BadData when a base class is merged twice."""
        merged: dict[str, str] = {}
        for name, bases in self.class_merge_map.items():
            if isinstance(bases, str):
                raise BadData(f"class_merge_map[{name!r}] is {bases!r}; it must be a list of classes.")
            for base in bases:
                if base in merged:
                    raise BadData(f"class_merge_map puts the class {base!r} into both {merged[base]!r} and {name!r}.")
                merged[base] = name
        return merged

    def wanted_targets(self) -> tuple[str, ...] | None:
        """The target classes as given, else the two merged ones, else None: to be inferred from the data."""
        if self.target_classes:
            return self.target_classes
        return tuple(self.class_merge_map) if len(self.class_merge_map) == 2 else None

    def group_key(self, word: str) -> Any:
        """What "heldout" counts as the same word."""
        functions = _HELDOUT_KEY if self.split_group_key is None else self.split_group_key
        if callable(functions):
            return functions(word)
        return reduce(lambda value, function: function(value), functions, word)


def _alike(argument: str, classes: object) -> Sequence[str]:
    """Classes, spelled as those of tables are; a text as it is. Raises BadData for what is no list."""
    if isinstance(classes, str):
        return classes
    items = items_of(classes)
    if items is None:
        raise BadData(f"{argument} must hold lists of classes, not {shown(classes)}.")
    return [class_name(str(name)) for name in items]


def _require_distinct(name: str, classes: Sequence[str]) -> None:
    if isinstance(classes, str):
        raise BadData(f"{name} is the text {classes!r}; give a list of class names.")
    twice = sorted({item for item in classes if classes.count(item) > 1})
    if twice:
        raise BadData(f"{name} names {twice[0]!r} twice: every class once.")


def split_ratios(
    ratios: Ratios, train: float = 0.8, validation: float = 0.1, test: float = 0.1
) -> tuple[float, float, float]:
    """(train, validation, test) from a triple, a mapping with these names ("val" too), or the three numbers.

    Raises BadData unless there are three, none negative, with the sum 1.
    """
    found: Sequence[float] = (train, validation, test)
    if isinstance(ratios, Mapping):
        names = ("train", "validation" if "validation" in ratios else "val", "test")
        missing = [name for name in names if name not in ratios]
        if missing:
            raise BadData(f"split_ratios lacks {missing[0]!r}; it needs train, validation and test.")
        found = [ratios[name] for name in names]
    elif ratios is not None:
        found = items_of(ratios) or ()
    if not all(isinstance(share, Real) for share in found):
        raise BadData(f"split_ratios must be three numbers from 0 to 1, not {shown(ratios)}.")
    if len(found) != 3 or min(found) < 0 or abs(sum(found) - 1.0) > 1e-6:
        raise BadData(f"split_ratios are {tuple(found)}; they must be three shares from 0 to 1 with the sum 1.")
    return float(found[0]), float(found[1]), float(found[2])
