"""What somebody asks for with a sweep: the spec and what it is scored on, from one JSON object and back.

Page, API and stored runs all go through `AskedSweep.of`. Looks at kinds only: whether there is such a table or set of
texts is for whoever reads it. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gradiend_ui.engine.errors import BadData, shown
from gradiend_ui.engine.values import SweepSpec

KEPT_SOMEWHERE = ("run", "upload", "path")
"""What names rows or texts that are not given as such: an earlier run, a kept upload, a file."""
Table = Any
"""Rows or texts: records, texts, a path, or {one of `KEPT_SOMEWHERE`: its name}. Its reader says what it cannot be."""


@dataclass(frozen=True)
class DataChoice:
    """What a sweep is scored on; None: what lies beside the checkpoint.

    columns: {our name: the table's}. neutral_set: the name of one that lies beside the checkpoint, or "none".
    """

    rows: Table = None
    columns: Mapping[str, str] | None = None
    neutral: Table = None
    neutral_set: str | None = None

    def __post_init__(self) -> None:
        given = self.columns
        if given is not None and not (isinstance(given, Mapping) and all(isinstance(c, str) for c in given.values())):
            raise BadData(f"columns must be an object of our names and the table's, both text, not {shown(given)}.")
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

    def as_json(self) -> dict[str, Any]:
        """`AskedSweep.of` makes an equal question of it."""
        return {**self.spec.as_json(), **self.data.as_json()}


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
