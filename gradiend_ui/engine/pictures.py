"""The newest picture of the runs that are looked at, kept until a cell changes: a click then costs no reading.

Reads only what changed since the last look. Thread-safe; knows no page. What it gives is shared: nobody changes it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from gradiend_ui.engine.picture import picture_on
from gradiend_ui.engine.scored_grid import ScoredGrid
from gradiend_ui.engine.selection import Question
from gradiend_ui.engine.store import Store
from gradiend_ui.engine.values import Cell, CellScore, Grid

MOST_RUNS, MOST_QUESTIONS = 6, 8


@dataclass
class _Kept:
    """One run: its scores by cell (None is the base) up to `rev`, the same on the grid, and the answers to the latest
    questions."""

    rev: int = 0
    scores: dict[Cell | None, CellScore] = field(default_factory=dict)
    scored: ScoredGrid | None = None
    answers: list[tuple[Question, dict[str, Any]]] = field(default_factory=list)


class Pictures:
    """Pictures of a store's runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: str, grid: Grid, question: Question) -> tuple[int, dict[str, Any]]:
        """(rev, `picture_of` the run's scores at that revision). Raises NotFound."""
        with self._lock:
            kept = self._newest(run)
            known = next((picture for asked, picture in kept.answers if asked == question), None)
            if known is None:
                if kept.scored is None or kept.scored.grid != grid:
                    kept.scored = ScoredGrid(grid, kept.scores[None], list(kept.scores.values())[1:])
                known = picture_on(question, kept.scored)
                kept.answers = [(question, known), *kept.answers[: MOST_QUESTIONS - 1]]
            return kept.rev, known

    def _newest(self, run: str) -> _Kept:
        kept = self._kept.pop(run, _Kept())
        rev, changed = self._store.cells(run, kept.rev)
        if changed:
            kept.scores.update((score.cell, score) for score in changed)
            kept.scored, kept.answers = None, []
        kept.rev = rev
        self._kept[run] = kept
        while len(self._kept) > MOST_RUNS:
            self._kept.popitem(last=False)
        return kept
