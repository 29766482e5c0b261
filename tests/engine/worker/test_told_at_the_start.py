"""What the answer to StartSweep tells of the data: every note of the reader and every dropped row, with the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.answers.run import StartedSweep
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import check_rows
from gradiend_ui.engine.data.table_reading import read_bytes, read_file
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.worker.requests import Load, StartSweep
from gradiend_ui.engine.worker.worker import Worker
from tests.support.cases import case

ONE_CELL = {"learning_rates": [0.1], "feature_factors": [1.0], "first_look": "off"}
TABLES = sorted(path.name for path in case("README.md").parent.glob("*.csv") if not path.name.startswith("neutral"))
TEXTS = sorted(path.name for path in case("README.md").parent.glob("neutral*.csv"))
GIVEN, SILENT = "golden/0.2.3", "gradiends/same_sign"


@pytest.fixture
def start(worker: Worker) -> Any:
    """Starts a sweep of one cell: (checkpoint, options) -> the answer."""

    def started(checkpoint: str, **spec: Any) -> StartedSweep:
        folder = next(case(checkpoint).rglob("gradiend_context.json")).parent
        card = worker.answer(Load(str(folder), {"base_model": str(case("bases/gpt2_tiny"))}))
        return worker.answer(StartSweep(card["checkpoint"], AskedSweep.of({**ONE_CELL, **spec})))

    return started


@pytest.mark.parametrize("checkpoint", [GIVEN, SILENT])
@pytest.mark.parametrize("name", TABLES)
def test_every_note_and_every_dropped_row_is_in_the_answer(
    start: Any, worker: Worker, checkpoint: str, name: str
) -> None:
    data = check_rows(read_file(case(name)))
    told = start(checkpoint, rows={"path": str(case(name))})
    assert told["notes"] == [str(note) for note in data.notes]
    assert told["rows_used"] + sum(told["rows_dropped"].values()) == len(data.rows) + len(data.rejected)
    unknown = {one["name"]: one["count"] for one in told["unknown_classes"]}
    expected = {"f": 16, "m": 16} if name == "class_case.csv" else {}
    assert unknown == expected
    assert told["rows_dropped"] == ({"unknown_class": 16} if expected else {})
    assert worker._store.run(told["run"]).info["rows_left_out"] == (16 if expected else 0)


@pytest.mark.parametrize("checkpoint", [GIVEN, SILENT])
def test_mapped_classes_are_used_and_said(start: Any, checkpoint: str) -> None:
    rows = {"path": str(case("class_case.csv"))}
    told = start(checkpoint, rows=rows, count_as={"f": "F", "m": "M"})
    assert (told["rows_used"], told["rows_dropped"]) == (32, {})
    assert {one["name"]: one["counts_as"] for one in told["unknown_classes"]} == {"f": "F", "m": "M"}
    told = start(checkpoint, rows=rows, count_as={"f": "", "m": "M"})
    assert (told["rows_used"], told["rows_dropped"]) == (16, {"left_out": 16})


@pytest.mark.parametrize("name", TEXTS)
def test_notes_on_own_texts_are_in_the_answer(start: Any, name: str) -> None:
    told = start(GIVEN, rows={"path": str(case("class_space.csv"))}, neutral={"path": str(case(name))})
    assert told["notes"][1:] == [str(note) for note in check_neutral(read_file(case(name))).notes]


def test_reasons_are_counted_apart(start: Any, tmp_path: Path) -> None:
    good = "a [MASK],he,M,she,F\nb [MASK],she,F,he,M\n"
    odd = "no mask,he,M,she,F\n[MASK] [MASK],he,M,she,F\nc [MASK],,M,she,F\nd [MASK],he,N,she,F\n"
    table = tmp_path / "odd.csv"
    table.write_text("masked,label,label_class,alternative,alternative_class\n" + good + odd)
    assert len(read_bytes(table.read_bytes(), ".csv").frame) == 6
    told = start(GIVEN, rows={"path": str(table)})
    assert told["rows_used"] == 2
    assert told["rows_dropped"] == {"no_mask": 1, "masks": 1, "empty": 1, "unknown_class": 1}
    assert [one["name"] for one in told["unknown_classes"]] == ["N"]
