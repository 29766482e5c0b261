"""Work on strangers' bytes: in a process of its own without torch, within limits, with errors that are ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.data import uploaded_tables
from gradiend_ui.engine.data.uploaded_tables import (
    IN_PLACE_BYTES,
    read_file_confined,
    read_upload,
    read_upload_confined,
)
from gradiend_ui.engine.errors import BadData, Failed, TooLarge
from gradiend_ui.engine.files import confined
from gradiend_ui.engine.files.confined import Confinement, run_confined
from tests.support.costs import timed

TASKS = """
import os, sys, time
from pathlib import Path
from gradiend_ui.engine.errors import BadData

def sleep(path): time.sleep(60)
def spin(path):
    while True: pass
def swell(path): return len([bytearray(2**20) for _ in range(10_000)])
def talk(path): return "x" * 3_000_000
def crash(path): os.kill(os.getpid(), 11)
def refuse(path): raise BadData("row 3 of " + Path(path).name + " cannot be read.")
def fail(path): raise RuntimeError("something else")
def write(path): Path(path).write_text("x" * 100)
def about(path):
    heavy = {"torch", "transformers", "gradio"}
    return [sorted(heavy & set(sys.modules)), os.environ.get("HF_TOKEN"), os.getppid()]
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """task("sleep", seconds=1.0) runs one of TASKS with these limits: the child finds it in a program of its own."""
    (tmp_path / "hostile_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    starter = (
        "import sys, gradiend_ui.engine.files.confined as c; "
        "c.TASKS = {n: 'hostile_tasks:' + n for n in sys.argv[2:]}; "
    )
    names = ["sleep", "spin", "swell", "talk", "crash", "refuse", "fail", "write", "about"]
    run = subprocess.run

    def started(command: list[str], **options: Any) -> Any:
        order = command[-1]
        return run([sys.executable, "-c", starter + "sys.exit(c.main(sys.argv[1]))", order, *names], **options)

    monkeypatch.setattr(confined.subprocess, "run", started)
    return lambda name, path=tmp_path / "t.csv", **limits: run_confined(name, path, Confinement(**limits))


@pytest.mark.parametrize(
    ("name", "limits", "kind", "fragment"),
    [
        ("sleep", {"seconds": 1.5}, TooLarge, "longer than 2 s"),
        ("swell", {"memory_bytes": 2**30}, TooLarge, "memory"),
        ("talk", {"answer_bytes": 2**20}, TooLarge, "1 MB of text"),
        ("crash", {}, BadData, "damaged"),
        ("refuse", {}, BadData, "row 3 of t.csv"),
        ("fail", {}, Failed, "see the log"),
        ("write", {}, Failed, "see the log"),
    ],
)
def test_every_end_is_one_typed_error(
    task: Callable[..., Any], name: str, limits: dict[str, Any], kind: type[Exception], fragment: str
) -> None:
    with timed("a confined process, ended"), pytest.raises(kind, match=fragment) as told:
        task(name, **limits)
    assert "\n" not in str(told.value)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on processor time")
def test_processor_time_is_limited(task: Callable[..., Any]) -> None:
    with pytest.raises(TooLarge, match="longer than|memory or time"):
        task("spin", seconds=1.0)


def test_the_child_knows_neither_torch_nor_secrets(task: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert task("about") == [[], None, os.getpid()]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_large_table_is_the_same_as_in_place(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": ["a [MASK] b\u2028", "ü"] * 20_000, "word": ["he", None] * 20_000})
    frame["long"] = frame["text"] * 4
    path = tmp_path / f"t{suffix}"
    {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }[suffix]()
    assert path.stat().st_size > IN_PLACE_BYTES or suffix == ".parquet"
    own, other = read_upload(path), read_upload_confined(path)
    assert (own.kind, own.encoding, own.delimiter, own.damaged) == (other.kind, other.encoding, other.delimiter, {})
    pd.testing.assert_frame_equal(own.frame.fillna(""), other.frame.fillna(""))


def test_small_text_is_read_in_place_and_parquet_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def noted(task: str, path: Path) -> Any:
        asked.append(path)
        raise BadData("it is damaged.")

    monkeypatch.setattr(uploaded_tables, "run_confined", noted)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    assert read_file_confined(tmp_path / "t.csv").frame.shape == (1, 2)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadData, match="t.parquet cannot be read as parquet: it is damaged"):
        read_file_confined(tmp_path / "t.parquet")
    assert asked == [tmp_path / "t.parquet"]
