"""A sweep that nobody follows: its store in memory, and the scores it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from gradiend_ui.engine.store.results import cell_key
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.values import Cell, CellScore


class MemoryStore:
    """The store of a sweep that nobody follows: results in memory, gone with the process."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, Cell | None], dict[int, NDArray[Any]]] = {}

    def results(self, fingerprint: str, cell: Cell | None) -> dict[int, NDArray[Any]]:
        return dict(self._results.get((fingerprint, cell), {}))

    def block_counts(self, fingerprint: str) -> dict[str, int]:
        return {cell_key(cell): len(found) for (name, cell), found in self._results.items() if name == fingerprint}

    def keep_results(self, fingerprint: str, cell: Cell | None, results: Mapping[int, NDArray[Any]]) -> None:
        self._results.setdefault((fingerprint, cell), {}).update(results)

    def commit(
        self,
        run: str,
        place: int,
        score: CellScore,
        *,
        fingerprint: str = "",
        new_results: Mapping[int, NDArray[Any]] | None = None,
        eta_seconds: float | None = None,
    ) -> None:
        self._results.setdefault((fingerprint, score.cell), {}).update(new_results or {})


def finals(plan: PreparedSweep, **options: Any) -> dict[Cell | None, CellScore]:
    steps = run(plan, plan.model.workspace(), MemoryStore(), "r", **options)
    return {step.score.cell: step.score for step in steps}
