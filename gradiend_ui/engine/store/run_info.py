"""What is noted of a run in the store, beside its cells. Plain dictionaries at run time, as JSON has them."""

from __future__ import annotations

from typing import TypedDict

from gradiend_ui.engine.answers.data import RowCounts
from gradiend_ui.engine.answers.run import Imported, KeptSpec, MadeBy
from gradiend_ui.engine.values import CellPlace


class KeptImported(Imported):
    """model: the fingerprint of base and GRADIEND when it was opened; lms_known: whether the file has an LMS."""

    model: str
    lms_known: bool


class KeptInfo(TypedDict, total=False):
    """What is noted of a run in the store: what a page tells of it, and what plans it again.

    Runs of earlier versions and of scripts have not all of it; goal and what follows are a script's. batches: fields of
    `engine.scoring.batches.BatchLimits`; behind_padding: rows that are read so, as the reference does; wanted: cells
    that were asked for by themselves, as JSON; choices: the winners a script was given.
    """

    fingerprint: str
    other_fingerprints: list[str]
    classes: list[str]
    strengthening: dict[str, float]
    feature_factors: list[float]
    learning_rates: list[float]
    neutral_set: str | None
    rows: int
    rows_left_out: int
    row_counts: RowCounts
    target_words: dict[str, list[str]]
    neutral_tokens: int | None
    warnings: list[str]
    behind_padding: int
    batches: dict[str, int]
    made_by: MadeBy
    spec: KeptSpec
    imported: KeptImported
    wanted: list[CellPlace]
    goal: str
    asked: list[str]
    own_frames: bool
    choices: dict[str, object]
