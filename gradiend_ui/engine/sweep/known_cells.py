"""Which cells of a planned grid are scored already: equal numbers are shared through the store, whoever asked for them.

Counts only, from what earlier runs of the checkpoint asked for; makes no plan and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gradiend_ui.engine.store.results import cell_key
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice, SweepSpec, Table
from gradiend_ui.engine.values import NO_NEUTRAL

NUMBERS = ("part", "token_boundary", "precision", "split", "max_rows", "max_neutral", "targets")
"""The options of a spec that may change a number; the others only say which cells are asked for."""


def known_cells(store: Store, checkpoint: str, asked: AskedSweep) -> int:
    """How many cells of the asked grid a run would not have to compute; 0 where no earlier run asked for the like, and
    where no feature factors are named."""
    spec, data = asked.spec, with_tables(store, asked.data)
    if spec.again or spec.feature_factors is None:
        return 0
    for run in store.runs():
        if run.checkpoint == checkpoint and _is_alike(store, run, spec, data):
            blocks = store.block_counts(str(run.info["fingerprint"]))
            whole = blocks.get(cell_key(None), 0)
            cells = spec.grid(spec.feature_factors).cells
            return sum(blocks.get(cell_key(cell), 0) == whole for cell in cells) if whole else 0
    return 0


def with_tables(store: Store, data: DataChoice) -> DataChoice:
    """The same with the table itself in place of what stands for an earlier run's."""
    rows, neutral = table_of(store, data.rows, "rows"), table_of(store, data.neutral, "neutral")
    return replace(data, rows=rows, neutral=neutral)


def table_of(store: Store, given: Table, key: str) -> Table:
    """Rows or texts as chosen; {"run": id} stands for those of an earlier run. key: "rows" or "neutral". Raises
    NotFound."""
    while isinstance(given, Mapping) and "run" in given:
        given = store.run(given["run"]).request.get(key)
    return given


def _is_alike(store: Store, run: Run, spec: SweepSpec, data: DataChoice) -> bool:
    """Whether the run's numbers are made of the same ingredients, as far as its request tells."""
    if not run.info.get("fingerprint") or run.info.get("imported") is not None:
        return False
    other = AskedSweep.of(run.request)
    neutral = run.info.get("neutral_set") or NO_NEUTRAL
    return (
        (neutral if data.neutral_set is None else data.neutral_set) == neutral
        and all(getattr(spec, name) == getattr(other.spec, name) for name in NUMBERS)
        and replace(data, neutral_set=None) == replace(with_tables(store, other.data), neutral_set=None)
    )
