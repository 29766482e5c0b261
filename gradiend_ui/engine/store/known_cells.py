"""Which cells of a planned grid are scored already: equal numbers are shared through the store, whoever asked for them.

Counts only, from what earlier runs of the checkpoint asked for; makes no plan and knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.store.store import Run, Store, cell_key
from gradiend_ui.engine.values import NO_NEUTRAL, SPEC_FIELDS, SweepSpec, spec_from_mapping

NUMBERS = ("part", "token_boundary", "precision", "split", "max_rows", "max_neutral", "targets")
"""The options of a spec that may change a number; the others only say which cells are asked for."""


def known_cells(store: Store, checkpoint: str, request: Mapping[str, Any]) -> int:
    """How many cells of the request's grid a run would not have to compute; 0 where no earlier run asked for the like.

    request: a spec with feature_factors and learning_rates. Raises BadGrid and TooLarge for one that is none.
    """
    spec, data = _parted(store, request)
    if spec.again or spec.feature_factors is None:
        return 0
    for run in store.runs():
        if run.checkpoint == checkpoint and _is_alike(store, run, spec, data):
            blocks = store.block_counts(str(run.info["fingerprint"]))
            whole = blocks.get(cell_key(None), 0)
            cells = spec.grid(spec.feature_factors).cells
            return sum(blocks.get(cell_key(cell), 0) == whole for cell in cells) if whole else 0
    return 0


def _parted(store: Store, request: Mapping[str, Any]) -> tuple[SweepSpec, dict[str, Any]]:
    """(the spec, the options that name the data); what stands for an earlier run's table becomes that table."""
    given = {key: value for key, value in request.items() if value is not None}
    spec = spec_from_mapping({key: value for key, value in given.items() if key in SPEC_FIELDS})
    return spec, {key: _table(store, key, value) for key, value in given.items() if key not in SPEC_FIELDS}


def _table(store: Store, key: str, given: Any) -> Any:
    if isinstance(given, Mapping) and "run" in given:
        return _table(store, key, store.run(given["run"]).request.get(key))
    return given


def _is_alike(store: Store, run: Run, spec: SweepSpec, data: Mapping[str, Any]) -> bool:
    """Whether the run's numbers are made of the same ingredients, as far as its request tells."""
    if not run.info.get("fingerprint") or run.info.get("imported") is not None:
        return False
    other, other_data = _parted(store, run.request)
    neutral = run.info.get("neutral_set") or NO_NEUTRAL
    return (
        data.get("neutral_set", neutral) == neutral
        and all(getattr(spec, name) == getattr(other, name) for name in NUMBERS)
        and {**data, "neutral_set": None} == {**other_data, "neutral_set": None}
    )
