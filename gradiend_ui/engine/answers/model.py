"""What is told of rewritten models: what they predict side by side, and what an export writes.

Plain dictionaries at run time, as JSON has them. Knows no model and no page.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from gradiend_ui.engine.answers.checkpoint import Number
from gradiend_ui.engine.answers.run import Degenerate
from gradiend_ui.engine.values import CellPlace


class TopToken(TypedDict):
    """p: its probability here; change: p - base p, in [-1, 1]."""

    token: str
    id: int
    p: Number
    change: Number


class Where(TypedDict, total=False):
    """Of which cell something is told; the base has no place."""

    feature_factor: float
    learning_rate: float


class ColumnReading(Where):
    """What one set of weights expects at a mask. classes: {class: P}."""

    top: list[TopToken]
    classes: dict[str, Number]


class TokenLine(TypedDict):
    """A token that some column lists: its probability by the base and by each cell."""

    token: str
    id: int
    base: Number
    cells: list[Number]


class ComparedMask(TypedDict):
    """position: from 0. tokens: the largest probability anywhere comes first."""

    position: int
    base: ColumnReading
    cells: list[ColumnReading]
    tokens: list[TokenLine]


class SaidToken(TypedDict):
    """changed: the base does not say it there."""

    text: str
    id: int
    changed: bool


class Said(Where):
    """How one set of weights goes on. ended: with an end token; reason: why it says nothing more."""

    text: str
    tokens: list[SaidToken]
    ended: bool
    reason: NotRequired[str]


class Continuations(TypedDict):
    base: Said
    cells: list[Said]


class ComparedText(TypedDict):
    """error: why a text was left out; then there are no masks."""

    text: str
    masks: list[ComparedMask]
    continuation: NotRequired[Continuations]
    error: NotRequired[str]


class CompareAnswer(TypedDict):
    """note: what is missing, in a sentence. behind_padding: rows that the sweep reads behind padding, as the reference
    does, where there are any: a sentence is read by itself here, so its P may be another than that of its row."""

    texts: list[ComparedText]
    note: NotRequired[str]
    behind_padding: NotRequired[int]


class RewriteAnswer(TypedDict):
    """A rewritten model before it is written. card: Markdown; script: Python; bytes: {dtype: of all weights}; stored:
    the dtype of the base's files; scored: that of the sweep; degenerate: None where the model is not broken."""

    card: str
    script: str
    degenerate: Degenerate | None
    bytes: dict[str, int]
    stored: str
    scored: str


class ExportPiece(TypedDict):
    """One model of an export. folder: in it, "" for the only one; degenerate: None where it is not broken."""

    folder: str
    cell: CellPlace
    card: str
    script: str
    degenerate: Degenerate | None


class ExportAnswer(TypedDict):
    """What an export would be. bytes: {dtype: of the weights of all pieces}."""

    name: str
    stored: str
    scored: str
    bytes: dict[str, int]
    pieces: list[ExportPiece]


class WritingStep(TypedDict):
    """number: of this piece, from 1, of `count`."""

    step: Literal["writing"]
    number: int
    count: int
    cell: CellPlace


class PackingStep(TypedDict):
    step: Literal["packing"]
    name: str


class DoneStep(TypedDict):
    step: Literal["done"]
    path: str
    name: str
    bytes: int


ExportStep = WritingStep | PackingStep | DoneStep
