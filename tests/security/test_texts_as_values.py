"""Any value at any option of the session: it is taken, or refused in one short sentence, and within two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.server.session import Session
from tests.security.test_texts_as_requests import GARBAGE
from tests.support import texts_hostile as hostile
from tests.support.costs import timed

CELL = {"feature_factor": -1.0, "learning_rate": 0.1}
SMALL = {"feature_factors": [-1.0], "learning_rates": [0.1], "max_rows": 2, "max_neutral": 2}
VALUES = [
    *GARBAGE, float("nan"), float("inf"), -float("inf"), -0.0, [float("nan")], [1, True], ["1"], [10**400], [1e308],
    [0.1, 0.1, -0.0, 0.0], list(range(100_001)), {"a": None}, {"a": [None]}, hostile.EMOJI,
]  # fmt: skip
FIELDS = {
    "load": ("base_model", "encoding_direction", "revision", "chat_prompt", "seed", "x"),
    "start": (*sorted(SweepSpec.__dataclass_fields__), "columns", "neutral_set", "__proto__"),
    "select": ("target_class", "goal", "policy", "ratio", "any_feature_factor"),
    "picture": ("target_class", "goal", "policy", "ratio", "any_feature_factor"),
    "compare": ("top_k", "skip_bad", "continuation", "part"),
    "cell": ("feature_factor", "learning_rate", "part", "share", "groups", "top_k", "slope", "x"),
    "export": ("feature_factor", "learning_rate", "part", "dtype", "name", "kind", "target_classes", "goal", "ratio"),
    "finish": ("feature_factor", "learning_rate"),
    "open": ("file", "x"),
    "neutral": ("ratio",),
    "label": ("name", "note"),
    "cells": ("run", "rev"),
}


@pytest.fixture(scope="module")
def opened(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, str, str]]:
    """A session with a finished sweep of 2 x 2 cells: (session, checkpoint, run)."""
    place = tmp_path_factory.mktemp("values")
    folder = hostile.save_run(tiny_bert, place / "run", (hostile.PROTO, hostile.MAKER), odd=False)
    session = Session.open(data_dir=place / "data")
    checkpoint = session.load(str(folder))["checkpoint"]
    run = session.start_sweep(checkpoint, {"feature_factors": [-1.0, 1.0], "learning_rates": [0.1, 1.0]})["run"]
    until = time.monotonic() + 120
    while session.cells(run)["state"] != "finished":
        assert time.monotonic() < until
        time.sleep(0.1)
    yield session, checkpoint, run
    session.close()


def calls_of(session: Session, checkpoint: str, run: str) -> dict[str, Callable[[str, Any], Any]]:
    sentence = ["a [MASK] b"]

    def start(key: str, value: Any) -> None:
        session.stop(session.start_sweep(checkpoint, {**SMALL, key: value})["run"])

    return {
        "load": lambda key, value: session.load("demo", {key: value}),
        "start": start,
        "select": lambda key, value: session.select(run, {key: value}),
        "picture": lambda key, value: session.picture(run, {key: value}),
        "compare": lambda key, value: session.compare(run, [CELL], sentence, {key: value}),
        "cell": lambda key, value: session.compare(run, [{**CELL, key: value}], sentence, {}),
        "export": lambda key, value: session.exports.describe(run, {**CELL, "kind": "checkpoint", key: value}),
        "finish": lambda key, value: session.finish_cell(run, {**CELL, key: value}),
        "open": lambda key, value: session.open_finished(checkpoint, {key: value}),
        "neutral": lambda key, value: session.data.neutral(checkpoint, {}, value),
        "label": lambda key, value: session.runs.label(run, **{"name": "", "note": "", key: value}),
        "cells": lambda key, value: session.cells(**{"run": run, "rev": 0, key: value}),
    }


@pytest.mark.parametrize("name", FIELDS)
def test_a_value_is_taken_or_refused_in_a_sentence(opened: tuple[Session, str, str], name: str) -> None:
    call, refused = calls_of(*opened)[name], 0
    for key in FIELDS[name]:
        for value in VALUES:
            try:
                with timed("an odd value, answered"):
                    call(key, value)
            except GradiendUIError as error:
                refused += 1
                where = f"{key}={repr(value)[:60]}: {error}"
                assert error.code != "failed" and len(str(error)) < 900 and "\n" not in str(error), where
    assert refused > 5
    assert opened[0].cells(opened[2])["state"] == "finished"
