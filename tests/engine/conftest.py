"""A small checkpoint of our own making on the tiny BERT, and a prepared sweep over it; a worker in this process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.worker.worker import Worker
from tests.support.checkpoints import BuildCheckpoint, save_random_gradiend


@pytest.fixture(scope="session")
def build_checkpoint(tiny_bert: Path) -> BuildCheckpoint:
    """build_checkpoint(folder, mapping="mixed", ...) writes a random GRADIEND for the tiny BERT."""
    return partial(save_random_gradiend, base_model=tiny_bert)


@pytest.fixture(scope="session")
def checkpoint_folder(build_checkpoint: BuildCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint(tmp_path_factory.mktemp("checkpoint") / "gradiend")


@pytest.fixture(scope="session")
def model(checkpoint_folder: Path) -> ModelWithGradiend:
    return ModelWithGradiend.from_pretrained(checkpoint_folder)


@pytest.fixture(scope="session")
def plan(model: ModelWithGradiend, rows: pd.DataFrame, neutral_texts: list[str]) -> PreparedSweep:
    """2 x 3 cells on the tiny BERT."""
    spec = SweepSpec(learning_rates=(0.01, 0.1, 1.0), feature_factors=(-1.0, 1.0))
    return prepare(model, spec, read_rows(rows), read_neutral(neutral_texts[:60]))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """One without a demo, with a store in memory; it knows nothing yet."""
    store = Store(":memory:")
    yield Worker(store, tmp_path / "data", tmp_path / "none")
    store.close()
