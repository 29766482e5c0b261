"""Which cells of a planned grid are known already: as a sweep that reuses the store would find them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.known_cells import known_cells
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import AskedSweep

REQUEST: dict[str, Any] = {
    "goal": "strengthen",
    "feature_factors": [-1.0, 1.0],
    "learning_rates": [0.01, 0.1, 1.0],
    "neutral_set": "texts",
}


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(":memory:")
    yield opened
    opened.close()


def sweep(store: Store, plan: PreparedSweep, request: Mapping[str, Any], steps: int | None = None, **info: Any) -> None:
    """A run of the plan's six cells with its numbers, or with the first `steps` blocks of them."""
    told = {"fingerprint": plan.fingerprint, "neutral_set": "texts", **info}
    name = store.create_run("ck", request, told, plan.grid.cells)
    for number, _ in enumerate(run(plan, plan.model.workspace(), store, name), 1):
        if number == steps:
            break


def test_only_new_values_of_an_axis_are_new(store: Store, plan: PreparedSweep) -> None:
    assert known_cells(store, "ck", AskedSweep.of(REQUEST)) == 0
    sweep(store, plan, REQUEST)
    assert known_cells(store, "ck", AskedSweep.of(REQUEST)) == 6
    longer = {**REQUEST, "learning_rates": [0.01, 0.1, 0.2, 1.0], "goal": "both", "target_classes": ["F"]}
    assert known_cells(store, "ck", AskedSweep.of(longer)) == 6
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, "feature_factors": [-1.0, 0.5]})) == 3
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, "again": True})) == 0
    assert known_cells(store, "other", AskedSweep.of(REQUEST)) == 0


@pytest.mark.parametrize(
    "change",
    [{"part": "decoder-bias"}, {"max_rows": 3}, {"split": "train"}, {"neutral_set": "others"}, {"rows": [{"a": 1}]}],
)
def test_other_ingredients_make_other_numbers(store: Store, plan: PreparedSweep, change: dict[str, Any]) -> None:
    sweep(store, plan, REQUEST)
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, **change})) == 0


def test_what_stands_for_the_default_is_the_same(store: Store, plan: PreparedSweep) -> None:
    sweep(store, plan, {key: value for key, value in REQUEST.items() if key != "neutral_set"})
    assert (
        known_cells(store, "ck", AskedSweep.of({**REQUEST, "part": "decoder", "split": "test", "max_rows": None})) == 6
    )


def test_an_earlier_runs_rows_are_those_rows(store: Store, plan: PreparedSweep) -> None:
    sweep(store, plan, {**REQUEST, "rows": {"upload": "u1"}})
    first = store.runs()[0].id
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, "rows": {"run": first}})) == 6
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, "rows": {"upload": "u2"}})) == 0


def test_no_neutral_set_is_a_choice_too(store: Store, plan: PreparedSweep) -> None:
    sweep(store, plan, {**REQUEST, "neutral_set": "none"}, neutral_set=None)
    assert known_cells(store, "ck", AskedSweep.of({**REQUEST, "neutral_set": "none"})) == 6
    assert known_cells(store, "ck", AskedSweep.of(REQUEST)) == 0


def test_half_a_cell_is_not_known(store: Store, plan: PreparedSweep) -> None:
    blocks = len(plan.block_sizes)
    assert blocks > 1
    sweep(store, plan, REQUEST, steps=3 * blocks + 1)
    assert known_cells(store, "ck", AskedSweep.of(REQUEST)) == 2


def test_a_sweep_from_a_file_has_no_numbers_to_share(store: Store, plan: PreparedSweep) -> None:
    sweep(store, plan, REQUEST, imported={"file": "decoder_grid_cache.json"})
    assert known_cells(store, "ck", AskedSweep.of(REQUEST)) == 0
