"""The sweep: every cell of a plan, block by block.

A generator that asks the store, scores the missing blocks, commits each one and yields the cell's score. It can be
left and taken up again at any block. Knows no process and no page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from gradiend_ui.engine.plan import PreparedSweep
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.workspace import Workspace


class ResultStore(Protocol):
    """What a sweep needs of a store: the block results that exist, and a place to commit."""

    def results(self, fingerprint: str, cell: Cell | None) -> dict[int, NDArray[Any]]: ...

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
    """One step of a run: the cell's place (0 is the base), its score as committed, and the seconds still to go."""

    place: int
    score: CellScore
    eta_seconds: float | None


def run(
    prepared: PreparedSweep,
    workspace: Workspace,
    store: ResultStore,
    run_id: str,
    *,
    reuse: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Score the base and every cell, block by block. Every yielded score is committed already.

    Blocks that the store holds are not computed again. With reuse=False only this run's own results count, so a
    "compute again" starts fresh and still resumes.
    """
    fingerprint = prepared.fingerprint if reuse else f"{prepared.fingerprint}/{run_id}"
    sizes = prepared.block_sizes
    left = len(prepared.cells) * sum(sizes)
    spent, scored = 0.0, 0
    update: Tensor | None = None
    update_factor: float | None = None
    for place, cell in enumerate(prepared.cells):
        results = store.results(fingerprint, cell)
        left -= sum(sizes[block] for block in results)
        if len(results) == len(sizes):
            score = prepared.summarise(cell, results)
            store.commit(run_id, place, score)
            yield Progress(place, score, None)
            continue
        for block, size in enumerate(sizes):
            if block in results:
                continue
            started = clock()
            if cell is None:
                weights = workspace.base_model
            else:
                if update is None or update_factor != cell.feature_factor:
                    update = prepared.model.update_vector(prepared.spec.part, cell.feature_factor)
                    update_factor = cell.feature_factor
                weights = workspace.rewritten(update, cell.learning_rate)
            results[block] = prepared.score_block(weights, block)
            spent, scored, left = spent + clock() - started, scored + size, left - size
            eta = spent / scored * left
            score = prepared.summarise(cell, results)
            store.commit(
                run_id, place, score, fingerprint=fingerprint, new_results={block: results[block]}, eta_seconds=eta
            )
            yield Progress(place, score, eta)
