"""Runs of a version whose scorer was another one: their numbers stay apart, and nothing that people had is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from gradiend_ui.engine.sweep import plan as planning
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker.requests import Compare, DescribeExport, Load, Rewriting, StartSweep
from gradiend_ui.engine.worker.worker import Worker

CELL = Cell(-1.0, 0.5)


@pytest.fixture
def begun(worker: Worker, checkpoint_folder: Path, rows: pd.DataFrame) -> Iterator[str]:
    """A run that the scorer of before has begun: the base and a block or two."""
    handle = worker.answer(Load(str(checkpoint_folder), {}))["checkpoint"]
    spec = {"rows": rows.to_dict("records"), "feature_factors": [-1.0], "learning_rates": [0.5], "max_rows": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "SCORER_VERSION", planning.SCORER_VERSION - 1)
        run = worker.answer(StartSweep(handle, AskedSweep.of(spec)))["run"]
        for _ in range(3):
            worker.step()
    worker._current = None
    worker._resources._plans.clear()
    yield run


def test_an_unfinished_run_begins_anew_and_is_finished(worker: Worker, begun: str) -> None:
    store = worker._store
    earlier = store.run(begun).info["fingerprint"]
    assert store.block_counts(earlier), "the scorer of before has kept something"
    store.set_state(begun, "queued", only_from=("running",))
    while worker.step():
        pass
    record = store.run(begun)
    assert (record.state, record.error) == ("finished", None)
    assert record.info["fingerprint"] != earlier and earlier in record.info["other_fingerprints"]
    assert any("it began anew" in sentence for sentence in record.info["warnings"])
    assert record.info["made_by"]["scorer"] == planning.SCORER_VERSION


def test_a_run_of_before_is_still_compared_and_exported(worker: Worker, begun: str) -> None:
    answer = worker.answer(Compare(begun, (CELL,), ("john was [MASK] .",)))
    assert set(answer["texts"][0]["masks"][0]["cells"][0]["classes"]) == {"M", "F"}
    assert worker.answer(DescribeExport(begun, Rewriting(CELL), "again"))["bytes"]


def test_other_data_is_still_noticed(worker: Worker, begun: str, rows: pd.DataFrame) -> None:
    plan = worker._resources.plan(begun)
    assert plan.is_of_earlier_scorer(worker._store.run(begun).info["fingerprint"])
    assert not plan.is_called(worker._store.run(begun).info["fingerprint"])
    assert not plan.is_of_earlier_scorer(plan.fingerprint) and not plan.is_of_earlier_scorer("abc")
