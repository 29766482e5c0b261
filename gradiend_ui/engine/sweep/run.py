"""The sweep: every cell of a plan, block by block.

A generator that asks the store, scores the missing blocks, commits each one and yields the cell's score. It can be
left and taken up again at any block; which block is next says the order. Knows no process and no page.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from gradiend_ui.engine.store.results import cell_key
from gradiend_ui.engine.sweep.order import CellOrder, Step, WholeGrid
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.provisional import Estimator, rounding_errors
from gradiend_ui.engine.values import DEFAULT_PRECISION, Cell, CellScore
from gradiend_ui.engine.weights.workspace import Workspace

BlockResults = dict[int, NDArray[Any]]


class ResultStore(Protocol):
    """What a sweep needs of a store: the block results that exist, and a place to commit."""

    def results(self, fingerprint: str, cell: Cell | None) -> BlockResults: ...

    def block_counts(self, fingerprint: str) -> dict[str, int]: ...

    def keep_results(self, fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> None: ...

    def commit(
        self,
        run: str,
        place: int,
        score: CellScore,
        *,
        fingerprint: str = "",
        new_results: Mapping[int, NDArray[Any]] | None = None,
        eta_seconds: float | None = None,
    ) -> None: ...


@dataclass(frozen=True)
class Progress:
    """One step of a run: the cell's place (0 is the base), its score as committed, and the seconds still to go.

    score: None for a block that is kept, but not told yet.
    """

    place: int
    score: CellScore | None
    eta_seconds: float | None


def run(
    prepared: PreparedSweep,
    workspace: Workspace,
    store: ResultStore,
    run_id: str,
    *,
    reuse: bool = True,
    order: CellOrder | None = None,
    pace: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Score the base and the cells, block by block. Every block and every yielded score is committed already.

    Blocks that the store holds are not computed again. With reuse=False only this run's own results count, so a
    "compute again" starts fresh and still resumes. order: what is scored in which order, None for every cell after the
    other; it never changes a final number. pace: seconds that lie at least between two scores of an unfinished cell.
    """
    return _Sweep(prepared, workspace, store, run_id, reuse, pace, clock).along(order)


class _Scorer:
    """The sweep's means in one precision: weights of a cell, results in the store, scores from them."""

    def __init__(self, prepared: PreparedSweep, workspace: Workspace, precision: str, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.estimator = Estimator(prepared, precision)
        self._prepared = prepared
        self._workspace = workspace.in_precision(precision)
        self._update: tuple[float, Tensor] | None = None

    def weights(self, cell: Cell | None) -> Any:
        """The model of a cell; the update vector of a feature factor is made once in a row."""
        if cell is None:
            return self._workspace.base_model
        if self._update is None or self._update[0] != cell.feature_factor:
            vector = self._prepared.model.update_vector(self._prepared.spec.part, cell.feature_factor)
            self._update = (cell.feature_factor, vector)
        return self._workspace.rewritten(self._update[1], cell.learning_rate)


class _Sweep:
    """One run of `run`: its scorers, what is left, and how long a row has taken."""

    def __init__(
        self,
        prepared: PreparedSweep,
        workspace: Workspace,
        store: ResultStore,
        run_id: str,
        reuse: bool,
        pace: float,
        clock: Callable[[], float],
    ) -> None:
        self._prepared, self._workspace, self._store, self._run_id = prepared, workspace, store, run_id
        self._reuse, self._pace, self._clock = reuse, pace, clock
        self._last_told = -math.inf
        self._scorers: dict[str, _Scorer] = {}
        self._bases: dict[str, BlockResults] = {}
        self._spent, self._scored = 0.0, 0
        self._left: list[int] = []
        self._order: CellOrder = WholeGrid(prepared, [], None)

    def along(self, order: CellOrder | None) -> Iterator[Progress]:
        precision = self._prepared.spec.precision
        counts = self._store.block_counts(self._scorer(precision).fingerprint)
        known = [counts.get(cell_key(cell), 0) for cell in self._prepared.cells]
        order = order or WholeGrid(self._prepared, known, None)
        self._order = order
        sizes = self._prepared.block_sizes
        self._left = [sum(sizes) if count < len(sizes) else 0 for count in known]
        for step in order.steps():
            yield from self._take(step, order)
        for place, reason in order.skipped().items():
            results = self._store.results(self._scorer(precision).fingerprint, self._prepared.cells[place])
            score = self._scorer(precision).estimator.score(self._prepared.cells[place], results)
            if score.status not in ("failed", "final"):
                score = score.with_status("skipped", reason)
            self._store.commit(self._run_id, place, score)
            yield Progress(place, score, 0.0)

    def _scorer(self, precision: str) -> _Scorer:
        if precision not in self._scorers:
            shared = self._prepared.fingerprint_in(precision)
            fingerprint = shared if self._reuse else f"{shared}/{self._run_id}"
            self._scorers[precision] = _Scorer(self._prepared, self._workspace, precision, fingerprint)
        return self._scorers[precision]

    def _take(self, step: Step, order: CellOrder) -> Iterator[Progress]:
        plan, own = self._prepared, self._prepared.spec.precision
        precision = step.precision or own
        scorer, cell, sizes = self._scorer(precision), plan.cells[step.place], plan.block_sizes
        results = self._store.results(scorer.fingerprint, cell)
        missing = [block for block in step.blocks if block not in results]
        if precision == own:
            self._left[step.place] = sum(size for block, size in enumerate(sizes) if block not in results)
        shown = precision == own or cell is not None or own not in self._bases  # a base in two precisions: for errors
        if not missing and shown and self._order.tells_known:
            yield self._told(step.place, scorer, results)
        for block in missing:
            started = self._clock()
            results[block] = plan.score_block(scorer.weights(cell), block)
            self._spent, self._scored = self._spent + self._clock() - started, self._scored + sizes[block]
            if precision == own:
                self._left[step.place] -= sizes[block]
            if block != missing[-1] and self._clock() - self._last_told < self._pace:
                self._store.keep_results(scorer.fingerprint, cell, {block: results[block]})
                yield Progress(step.place, None, None)
                continue
            if cell is None:
                scorer.estimator.learn(results)
            yield self._told(step.place, scorer, results, {block: results[block]}, shown)
        if cell is None:
            yield from self._base_known(precision, results)
        if precision == own:
            order.learn(step.place, results)

    def _told(
        self,
        place: int,
        scorer: _Scorer,
        results: BlockResults,
        new: BlockResults | None = None,
        shown: bool = True,
    ) -> Progress:
        """Commit the cell's score, with new results if there are any; hidden ones keep the score that is shown."""
        self._last_told = self._clock()
        cell = self._prepared.cells[place]
        eta = self._time_left()
        if shown:
            score = scorer.estimator.score(cell, results)
        else:
            own = self._scorer(self._prepared.spec.precision)
            score = own.estimator.score(cell, self._bases[self._prepared.spec.precision])
        self._store.commit(self._run_id, place, score, fingerprint=scorer.fingerprint, new_results=new, eta_seconds=eta)
        return Progress(place, score, eta)

    def _time_left(self) -> float | None:
        """Seconds until the sweep ends, by what a row or text has taken so far; None while nothing tells."""
        return self._spent / self._scored * sum(self._left) if self._scored and self._order.knows_the_end else None

    def _base_known(self, precision: str, results: BlockResults) -> Iterator[Progress]:
        """Take the base's results in; with two precisions, tell how far they are from each other."""
        own = self._prepared.spec.precision
        self._bases[precision] = results
        self._scorer(precision).estimator.learn(results)
        if len(self._bases) < 2 or not self._scorer(own).estimator.knows_the_base:
            return
        exact, low = self._bases[DEFAULT_PRECISION], next(r for p, r in self._bases.items() if p != DEFAULT_PRECISION)
        both = exact.keys() & low.keys()
        pair = [self._prepared.summarise(None, {block: found[block] for block in both}) for found in (low, exact)]
        score = replace(self._scorer(own).estimator.score(None, self._bases[own]), errors=rounding_errors(*pair))
        self._store.commit(self._run_id, 0, score)
        yield Progress(0, score, None)
