"""JSON and tables beside a checkpoint: plain values of bounded size from plain files, nothing through a link."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.checkpoint.finished_grid import finished_sweeps
from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.data.table_reading import check_size
from gradiend_ui.engine.errors import TooLarge, shown
from gradiend_ui.engine.files.json_files import parse_json, read_json
from gradiend_ui.engine.uploads.trust import public_trust
from tests.support import checkpoints_hostile as hostile


def test_numbers_are_of_64_bits_or_floats() -> None:
    assert parse_json(b"999999999999999999") == 10**18 - 1
    assert parse_json(b"-1" + b"0" * 30) == -1e30
    assert parse_json(b"9" * 5000) == math.inf
    assert math.isnan(parse_json(b"NaN"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1, "a": 1}', "'a' occurs twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' occurs twice"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 90_000, "too deep"),
        (rb'"\ud800"', "half a character"),
        (rb'{"\udc00": 1}', "half a character"),
        (rb'"\u0000"', "zero byte"),
        (b'"' + b"x" * 100_001 + b'"', "100,001 characters"),
        (b"[" + b"1," * 700_000 + b"1]", "600,000 values"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "breaks off or is wrong"),
    ],
)
def test_what_is_not_plain_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(content)


def test_a_pipe_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ValueError, match="no plain file"):
            read_json(path)
    with pytest.raises(OSError):
        read_json(tmp_path)
    (tmp_path / "long").write_bytes(b" " * 2**21)
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read_json(tmp_path / "long", max_bytes=2**20)


@pytest.mark.parametrize("value", ["x" * 10**6, ["x"] * 10**6, {"a": 1}, 1e300, None, "\n"])
def test_a_quoted_value_is_short_and_on_one_line(value: Any) -> None:
    assert len(shown(value)) <= 80 and "\n" not in shown(value)


def test_rows_columns_and_cells_have_limits() -> None:
    check_size(200_000, 25)
    for size, word in (((200_001, 1), "rows"), ((1, 1001), "columns"), ((100_000, 51), "cells")):
        with pytest.raises(TooLarge, match=word):
            check_size(*size)


@pytest.fixture
def run(tiny_bert: Path, tmp_path: Path) -> Path:
    return hostile.save_run(tmp_path / "home" / "run", tiny_bert)


@pytest.mark.parametrize("name", ["eval.csv", "neutral.csv", "decoder_grid_cache.json", "seeds/seed_report.json"])
def test_a_link_to_elsewhere_is_told_and_not_followed(run: Path, tmp_path: Path, name: str) -> None:
    shutil.move(run / name, tmp_path / "secret")
    (run / name).symlink_to(tmp_path / "secret")
    warnings = (
        *find_companions(run / "model").warnings,
        *finished_sweeps(run / "model")[1],
        *read_run_folder(run).warnings,
    )
    assert [told for told in warnings if "link that leads out" in told and Path(name).name in told], warnings


def test_a_strangers_upload_looks_at_no_folder_above_it(run: Path) -> None:
    shutil.copy(run / "eval.csv", run.parent / "eval.csv")
    (run / "eval.csv").unlink()
    (run / "demo.json").unlink()
    beside = shutil.move(run / "model", run.parent / "alone")
    assert find_companions(Path(beside)).rows is not None
    assert find_companions(Path(beside), None, public_trust().within(Path(beside))).rows is None
