"""The health card and its parts: what is told of a loaded checkpoint; and of the server it is loaded on.

Plain dictionaries at run time, as JSON has them. What an answer may lack is `NotRequired`: records of earlier versions
lack what later ones note. Knows no model and no page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from gradiend_ui.engine.answers.data import RowsSummary

Number = float | None
"""None: not known, or not finite."""
DIRECTION, ROWS, NEUTRAL = "direction", "rows", "neutral"
"""What a checkpoint can lack for a sweep, in the order in which it is asked for."""


class Assumed(TypedDict):
    """Something that no file of a checkpoint states. what: a code; values: what its sentence names."""

    what: str
    sentence: str
    values: dict[str, object]


class Seed(TypedDict):
    """A seed of the run that a checkpoint belongs to. correlation: of its encoder, in [-1, 1].

    best: the run chose it. kept: its folder can be opened. open: it is the one that is open.
    """

    seed: int
    correlation: Number
    converged: bool | None
    best: bool
    kept: bool
    open: NotRequired[bool]


class MemoryNeeded(TypedDict):
    """Bytes that a sweep takes, and that were free before the checkpoint was read; None where that is not known."""

    needed: int | None
    free: int | None


class Axes(TypedDict):
    """The two axes of a grid."""

    feature_factors: list[float]
    learning_rates: list[float]


class FoundSweep(Axes):
    """A finished sweep that lies beside a checkpoint as `file`. cells: without the base. goal: None where the file
    does not tell. max_rows, max_neutral: caps, None for all. written_by: a program."""

    file: str
    cells: int
    part: str
    split: str
    goal: str | None
    classes: list[str]
    max_rows: int | None
    max_neutral: int | None
    written_by: NotRequired[str]


class ToldFacts(TypedDict):
    """What everybody is told of a checkpoint in memory before any sweep.

    encoding_direction: {class: +1, -1 or 0}; strengthening_feature_factor: {class: the factor that pushes towards it}.
    source: what it was trained on, "factual", "alternative" or "diff". mapped_weights, base_weights: counts.
    correlation: of its encoder, in [-1, 1]. missing: what a sweep still needs, codes in the order of asking.
    rows: {label class: {split: rows}}; rows_recovered: how many came from a run's encodings, None where none did.
    neutral_sets: {name: texts}.
    """

    name: str
    base_model: str
    objective: str
    classes: list[str]
    encoding_direction: Mapping[str, float]
    strengthening_feature_factor: Mapping[str, float]
    source: str
    latent_dim: int
    mapped_weights: int
    base_weights: int
    correlation: Number
    converged: bool | None
    seeds: list[Seed]
    memory: MemoryNeeded
    assumed: list[Assumed]
    missing: list[str]
    rows: dict[str, dict[str, int]]
    rows_recovered: int | None
    neutral_sets: dict[str, int]
    finished_sweeps: list[FoundSweep]
    warnings: list[str]


class LoadAnswer(ToldFacts):
    """What the API's /load answers. checkpoint: the handle."""

    checkpoint: str


class CheckpointFacts(ToldFacts):
    """The same with what a form needs. row_classes: of the rows; presets: grids by name; examples: sentences with a
    mask; neutral_set: the one to start with, None without any; two_boundaries: whether the two readings of a word's
    beginning differ for this model."""

    two_boundaries: bool
    row_classes: list[str]
    presets: dict[str, Axes]
    examples: list[str]
    neutral_set: str | None


class StoredCard(CheckpointFacts, RowsSummary):
    """The health card as the worker keeps it with a checkpoint.

    checkpoint: its handle. run: what it is called without its seed. seconds_per_cell: of a default sweep, about, None
    where none can be planned. notes: the warnings that neither `assumed` nor `missing` tells already.
    """

    checkpoint: str
    run: str
    seconds_per_cell: Number
    notes: list[str]


class Card(StoredCard):
    """The health card as a page reads it, the same for records of earlier versions. base_parameters: a count."""

    base_parameters: int


class Unpacked(TypedDict):
    """An uploaded zip: where it lies, for loading, and what it is called."""

    source: str
    name: str


class About(TypedDict):
    """public: visitors are strangers. data_dir: "" for them. notices: of the server's start, a sentence each."""

    public: bool
    allows_paths: bool
    default_source: str
    data_dir: str
    notices: tuple[str, ...]
