"""What somebody asks for with a sweep: the spec and what it is scored on, from one JSON object and back.

Page, API and stored runs all go through `AskedSweep.of`. Looks at kinds only: whether there is such a table or set of
texts is for whoever reads it. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from gradiend_ui.engine.data.encodings import CHOICES
from gradiend_ui.engine.errors import BadData, BadGrid, is_broken, shown
from gradiend_ui.engine.values import (
    DEFAULT_LEARNING_RATES,
    DEFAULT_RATIO,
    FIRST_LOOKS,
    GOALS,
    MAX_TARGET_WORDS,
    MOST_RATIO,
    PARTS,
    PRECISIONS,
    TOKEN_BOUNDARIES,
    FirstLook,
    Goal,
    Grid,
    Part,
    Precision,
    TokenBoundary,
    axis,
    finite,
    one_of,
)

Targets = Mapping[str, Sequence[str]] | Literal["label"] | None

KEPT_SOMEWHERE = ("run", "upload", "path")
"""What names rows or texts that are not given as such: an earlier run, a kept upload, a file."""
Table = Any
"""Rows or texts: records, texts, a path, or {one of `KEPT_SOMEWHERE`: its name}. Its reader says what it cannot be."""


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """The request for one sweep, as a form or a script gives it. None means "the default of the data".

    feature_factors: default derived from the goal and the classes' directions; learning_rates: default 16 values
    targets: {class: tokens}, "label" (row-wise) or None (inferred from the rows)
    split: rows of this split are scored ("all": every row); max_rows / max_neutral: caps, None = all
    precision: of the final numbers. first_look: a part of the data for every cell before the rest of any, in the same
    precision or in bfloat16, or "off"
    winner_only: score no more than it takes to be sure of the winner of each class and goal at `winner_ratio` of the
    base's LMS; the other cells are skipped
    """

    target_classes: tuple[str, ...] | None = None
    goal: Goal = "strengthen"
    feature_factors: tuple[float, ...] | None = None
    learning_rates: tuple[float, ...] = DEFAULT_LEARNING_RATES
    part: Part = "decoder"
    token_boundary: TokenBoundary = "reference"
    precision: Precision = "float32"
    first_look: FirstLook = "same"
    winner_only: bool = False
    winner_ratio: float = DEFAULT_RATIO
    split: str = "test"
    max_rows: int | None = None
    max_neutral: int | None = None
    targets: Targets = None
    again: bool = False

    def __post_init__(self) -> None:
        one_of(self.goal, GOALS, "goal")
        one_of(self.part, PARTS, "part")
        one_of(self.token_boundary, TOKEN_BOUNDARIES, "token_boundary")
        one_of(self.precision, PRECISIONS, "precision")
        one_of(self.first_look, FIRST_LOOKS, "first_look")
        if not isinstance(self.split, str) or not self.split:
            raise BadGrid(f"split must be the name of a split or 'all', not {shown(self.split)}.")
        for name in ("again", "winner_only"):
            if not isinstance(getattr(self, name), bool):
                raise BadGrid(f"{name} must be true or false, not {shown(getattr(self, name))}.")
        if not 0.0 <= finite(self.winner_ratio, "winner_ratio") <= MOST_RATIO:
            raise BadGrid(f"winner_ratio must be between 0 and {MOST_RATIO:g}, not {self.winner_ratio}.")
        for name in ("max_rows", "max_neutral"):
            cap = getattr(self, name)
            if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 1):
                raise BadGrid(f"{name} must be a whole number of at least 1, or absent for all, not {shown(cap)}.")
        object.__setattr__(self, "target_classes", _names(self.target_classes, "target_classes"))
        if self.feature_factors is not None:
            object.__setattr__(self, "feature_factors", axis(self.feature_factors, "feature_factors"))
        object.__setattr__(self, "learning_rates", axis(self.learning_rates, "learning_rates"))
        object.__setattr__(self, "targets", _checked_targets(self.targets))
        if self.feature_factors is not None:
            Grid(self.feature_factors, self.learning_rates)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> SweepSpec:
        """From JSON-like options; an unknown key is refused, a missing one takes its default. Raises BadGrid."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise BadGrid(f"Unknown sweep option {shown(unknown[0])}. Known: {', '.join(sorted(known))}.")
        return cls(**{name: value for name, value in options.items() if value is not None})

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        """The options that differ from the defaults: `SweepSpec.of` makes an equal request of them.

        whole: all that are not None, for what is kept: another default, later, makes no other request of it.
        """
        told = {item.name: (getattr(self, item.name), None if whole else item.default) for item in fields(self)}
        return {name: _plain(value) for name, (value, usual) in told.items() if value != usual}

    def grid(self, default_feature_factors: Sequence[float]) -> Grid:
        """The grid of this request; `default_feature_factors` stand in when none were given."""
        return Grid(self.feature_factors or tuple(default_feature_factors), self.learning_rates)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _names(value: object, what: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise BadGrid(f"{what} must be a list of class names, not {shown(value)}.")
    return tuple(dict.fromkeys(str(name) for name in names))


def _checked_targets(value: object) -> Targets:
    if value is None or value == "label":
        return value
    if not isinstance(value, Mapping) or not value:
        raise BadGrid(f"targets must be {{class: [tokens]}} or 'label', not {shown(value)}.")
    checked: dict[str, tuple[str, ...]] = {}
    for name, tokens in value.items():
        if isinstance(tokens, str) or not isinstance(tokens, Iterable):
            raise BadGrid(f"targets of class {shown(name)} must be a list of tokens, not {shown(tokens)}.")
        words = tuple(tokens)
        if len(words) > MAX_TARGET_WORDS:
            raise BadGrid(
                f"targets of class {shown(name)} are {len(words):,} words; at most {MAX_TARGET_WORDS:,} are read."
            )
        if not words or not all(isinstance(word, str) and word.strip() for word in words):
            raise BadGrid(f"targets of class {shown(name)} must be non-empty words, not {shown(tokens)}.")
        broken = next((word for word in words if is_broken(word)), None)
        if broken is not None:
            raise BadGrid(
                f"targets of class {shown(name)} hold {shown(broken)}, half a character: write the word anew."
            )
        checked[str(name)] = words
    return checked


@dataclass(frozen=True)
class DataChoice:
    """What a sweep is scored on; None: what lies beside the checkpoint.

    columns: {our name: the table's}. count_as: {class in the table: the checkpoint's class that it counts as, "" to
    leave its rows out}. neutral_set: the name of one that lies beside the checkpoint, or "none".
    """

    rows: Table = None
    columns: Mapping[str, str] | None = None
    count_as: Mapping[str, str] | None = None
    neutral: Table = None
    neutral_set: str | None = None

    def __post_init__(self) -> None:
        given = self.columns
        if given is not None and not (isinstance(given, Mapping) and all(isinstance(c, str) for c in given.values())):
            raise BadData(f"columns must be an object of our names and the table's, both text, not {shown(given)}.")
        mapped = self.count_as
        if mapped is not None and not (
            isinstance(mapped, Mapping) and all(isinstance(c, str) for c in mapped.values())
        ):
            raise BadData(
                "count_as must be an object of the table's classes and the checkpoint's, both text, '' to leave one "
                f"out, not {shown(mapped)}."
            )
        if self.neutral_set is not None and not isinstance(self.neutral_set, str):
            raise BadData(f"neutral_set must be the name of a set of neutral texts, not {shown(self.neutral_set)}.")
        _check_source("rows", self.rows)
        _check_source("neutral", self.neutral)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> DataChoice:
        """From JSON-like options; those that are not about data are passed over. Raises BadData."""
        return cls(**{name: options[name] for name in DATA_NAMES & options.keys()})

    def as_json(self) -> dict[str, Any]:
        return {name: value for name in sorted(DATA_NAMES) if (value := getattr(self, name)) is not None}


DATA_NAMES = frozenset(item.name for item in fields(DataChoice))


@dataclass(frozen=True)
class AskedSweep:
    """One question to a checkpoint: which cells, how they are scored, and on what."""

    spec: SweepSpec
    data: DataChoice

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> AskedSweep:
        """From the one JSON object that a form, a script or a stored run holds. Raises BadData, BadGrid, TooLarge."""
        data = DataChoice.of(options)
        return cls(SweepSpec.of({key: value for key, value in options.items() if key not in DATA_NAMES}), data)

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        """`AskedSweep.of` makes an equal question of it. whole: see `SweepSpec.as_json`."""
        return {**self.spec.as_json(whole=whole), **self.data.as_json()}


def _check_source(key: str, given: object) -> None:
    """Rows or texts that are named and not given are named in one way."""
    if not isinstance(given, Mapping):
        return
    named = [kind for kind in KEPT_SOMEWHERE if kind in given]
    accepted = f"{key} must be a list, or an object with one of {', '.join(KEPT_SOMEWHERE)}"
    if len(named) != 1:
        raise BadData(f"{accepted}, not one with {', '.join(map(shown, given)) or 'nothing in it'}.")
    if not isinstance(given[named[0]], str):
        raise BadData(f"{accepted}; {named[0]} must be text, not {shown(given[named[0]])}.")
    encoding = given.get("encoding")
    if encoding is not None and encoding not in CHOICES:
        raise BadData(f"The encoding of {key} must be one of {', '.join(CHOICES)}, not {shown(encoding)}.")
