"""What a part of the data says of the whole: values of cells that are not finished, with their standard errors.

A part of the rows and texts is easier or harder than the whole. Once the base model is scored on all of them, the
difference that a cell makes on the part is added to what the base scores on the whole: values that agree with the
final ones on average. Knows plans and raw results; runs no model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.scoring.lms_measure import standard_error
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.values import BASE_LMS, LMS_ERROR, Cell, CellScore, error_key

Results = Mapping[int, NDArray[Any]]


class Estimator:
    """Scores of cells from the blocks that are known, in one precision. `learn` tells it the base model's results."""

    def __init__(self, prepared: PreparedSweep, precision: str) -> None:
        self._prepared = prepared
        self._precision = precision
        self._base: Results = {}
        self._parts: dict[frozenset[int], CellScore] = {}

    def learn(self, base: Results) -> None:
        """Everything that is known of the base model so far."""
        self._base = dict(base)
        self._parts.clear()

    @property
    def knows_the_base(self) -> bool:
        """Whether the base model is scored on everything."""
        return len(self._base) == len(self._prepared.block_sizes)

    def score(self, cell: Cell | None, results: Results) -> CellScore:
        """As `PreparedSweep.summarise`; a provisional score tells its standard errors, and is corrected by what the
        base says of the same part as soon as that is known; until then it tells what the base's LMS is there."""
        score = replace(self._prepared.summarise(cell, results), precision=self._precision)
        if score.status != "provisional":
            return score
        if cell is None:
            return replace(score, errors=self._errors(results, None))
        if not self.knows_the_base:
            return replace(score, lms=self._beside_base(score.lms, results), errors=self._errors(results, None))
        part, whole = self._base_part(frozenset(results)), self._base_part(frozenset(self._base))
        probabilities = {
            dataset: {
                name: _within(value + whole.probs_by_dataset[dataset][name] - part.probs_by_dataset[dataset][name])
                for name, value in row.items()
            }
            for dataset, row in score.probs_by_dataset.items()
        }
        lms = dict(score.lms)
        if "lms" in lms and "lms" in part.lms and "lms" in whole.lms:
            lms["lms"] = _within(lms["lms"] + whole.lms["lms"] - part.lms["lms"])
        errors = self._errors(results, {block: self._base[block] for block in results})
        return replace(score, probs_by_dataset=probabilities, lms=lms, errors=errors)

    def _base_part(self, blocks: frozenset[int]) -> CellScore:
        if blocks not in self._parts:
            self._parts[blocks] = self._prepared.summarise(None, {block: self._base[block] for block in blocks})
        return self._parts[blocks]

    def _beside_base(self, lms: Mapping[str, float], results: Results) -> Mapping[str, float]:
        """The LMS with that of the base on the same texts, where the base is known there."""
        if not lms or not results.keys() <= self._base.keys():
            return lms
        base = self._base_part(frozenset(results)).lms_value
        return lms if base is None else {**lms, BASE_LMS: base}

    def _errors(self, results: Results, base: Results | None) -> dict[str, float]:
        """{"M|F": standard error of P(F) on M rows, "lms": of the LMS}; what a single row cannot tell is left out."""
        plan, first_text = self._prepared, len(self._prepared.objective.blocks)
        before = None if base is None else [by_class for _, by_class in plan.row_scores(base)]
        changes: dict[str, list[float]] = {}
        for place, (row, now) in enumerate(plan.row_scores(results)):
            for name, value in now.items():
                change = value if before is None else value - before[place][name]
                changes.setdefault(error_key(row.label_class, name), []).append(change)
        counts = plan.rows_by_dataset
        told = {key: standard_error(np.array(own), counts[key.split("|")[0]]) for key, own in changes.items()}
        found = {key: error for key, error in told.items() if error is not None}
        texts = {block - first_text: value for block, value in results.items() if block >= first_text}
        base_texts = None if base is None else {block: base[block + first_text] for block in texts}
        lms = plan.lms.error(texts, base_texts) if texts else None
        return found if lms is None else {**found, LMS_ERROR: lms}


def rounding_errors(score: CellScore, exact: CellScore) -> dict[str, float]:
    """How far `score` is from `exact`, the same weights in float32: {"M|F": of P(F) on M rows, "lms": of the LMS}."""
    found = {
        error_key(dataset, name): abs(value - exact.probs_by_dataset[dataset][name])
        for dataset, row in score.probs_by_dataset.items()
        for name, value in row.items()
    }
    if score.lms_value is not None and exact.lms_value is not None:
        found[LMS_ERROR] = abs(score.lms_value - exact.lms_value)
    return found


def _within(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else value
