"""What a worker answers about exports: the card before it is written is the card that is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell, CellScore, MostSaid
from gradiend_ui.engine.worker.handlers import exporting, sweeping
from gradiend_ui.engine.worker.requests import DeleteRun, DescribeExport, Export, Rewriting
from gradiend_ui.engine.worker.resources import Resources

CELL = Cell(-1.0, 0.5)


@pytest.fixture
def resources(tmp_path: Path, checkpoint_folder: Path) -> Resources:
    return Resources(Store(tmp_path / "runs.sqlite"), tmp_path, tmp_path)


@pytest.fixture
def run(resources: Resources, checkpoint_folder: Path) -> str:
    """A finished run of one cell on the tiny BERT, as one opened from a file."""
    loaded = resources.read_checkpoint(str(checkpoint_folder), {})
    resources.keep_checkpoint("ck", loaded)
    resources.store.save_checkpoint("ck", str(checkpoint_folder), {}, {"name": "tiny"})
    imported = {"file": "grid.json", "check": "verified", "lms_known": True, "model": loaded.model.fingerprint}
    spec = {"split": "test", "part": "decoder"}
    info = {"classes": ["M", "F"], "spec": spec, "rows": 3, "neutral_set": "own", "fingerprint": "abc",
            "imported": imported}  # fmt: skip
    scores = [
        CellScore(cell, "final", {"M": {"F": p}}, {"lms": p}, 3, 3)
        for cell, p in ((None, 0.125), (Cell(-1.0, 0.5), 0.5))
    ]
    return resources.store.create_finished_run("ck", {}, info, scores)


@pytest.mark.parametrize("dtype", [None, "float16"])
def test_what_is_described_is_what_is_written(
    resources: Resources, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str | None
) -> None:
    rewriting = Rewriting(CELL, dtype, "strengthen F")
    told = exporting.describe(resources, DescribeExport(run, rewriting, "again", tells_paths=True))
    folder = Path(exporting.export(resources, Export(run, rewriting, str(tmp_path / "exports" / "she"))))
    assert (folder / "README.md").read_text(encoding="utf-8") == told["card"]
    assert "| P(F) on M rows | 0.125 | 0.5 |" in told["card"] and "| chosen for | strengthen F |" in told["card"]
    assert "scores from grid.json (verified)" in told["card"] and "`abc`" in told["card"]
    size = (folder / "model.safetensors").stat().st_size
    assert 0 <= size - told["bytes"][dtype or "float32"] < 8192, "what is left is the file's head"
    monkeypatch.chdir(tmp_path)
    exec(compile(told["script"], "script", "exec"), {})
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_broken_model_is_said_to_be_broken_before_anything_else(
    resources: Resources, run: str, tmp_path: Path
) -> None:
    """Its LMS rises from 0.125 to 0.5: the first thing that the card says is why that tells nothing."""
    record = resources.store.run(run)
    scores = resources.store.cells(run)[1]
    said = [MostSaid("the", 0.12), MostSaid("[CLS]", 0.97)]
    broken = [replace(score, most_said=most) for score, most in zip(scores, said, strict=True)]
    other = resources.store.create_finished_run("ck", {}, record.info, broken)
    rewriting = Rewriting(CELL, None, None)
    told = exporting.describe(resources, DescribeExport(other, rewriting, "x"))
    facts = {"token": "[CLS]", "share": 0.97, "base_share": 0.12}
    assert told["degenerate"] == facts
    card = told["card"]
    assert card.index("**This model is broken.** It says `[CLS]` at 97% of the places") < card.index("The weights of")
    assert "even where it rises" in card
    folder = Path(exporting.export(resources, Export(other, rewriting, str(tmp_path / "exports" / "broken"))))
    assert json.loads((folder / "rewrite.json").read_text(encoding="utf-8"))["degenerate"] == facts
    sane = exporting.describe(resources, DescribeExport(run, rewriting, "x"))
    assert sane["degenerate"] is None and "broken" not in sane["card"]


def test_no_path_is_told_where_paths_are_not(resources: Resources, run: str, checkpoint_folder: Path) -> None:
    told = exporting.describe(resources, DescribeExport(run, Rewriting(CELL), "x"))
    assert str(checkpoint_folder.parent) not in told["script"] + told["card"]
    assert f"path/to/{checkpoint_folder.name}" in told["script"]


def test_the_dtype_of_the_base_files_is_found(resources: Resources, run: str) -> None:
    told = exporting.describe(resources, DescribeExport(run, Rewriting(CELL, "base"), "x"))
    assert (told["stored"], told["scored"]) == ("float32", "float32")
    with pytest.raises(BadGrid, match="dtype must be one of"):
        exporting.describe(resources, DescribeExport(run, Rewriting(CELL, "int4"), "x"))
    with pytest.raises(BadGrid, match="part must be one of"):
        Cell(-1.0, 0.5, "all")  # type: ignore[arg-type]


def test_a_run_is_stopped_and_deleted(resources: Resources) -> None:
    run = resources.store.create_run("ck", {}, {"fingerprint": "f"}, [Cell(-1.0, 0.5)])
    resources.store.set_state(run, "running", only_from=("queued",))
    sweeping.delete_run(resources, DeleteRun(run))
    assert resources.store.count_runs() == 0
