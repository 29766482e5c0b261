"""What is read by a path lies on a disk: a report that the system makes up, which may never end, is told as one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.data.table_reading import FILE_SUFFIXES, read_file
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadData
from gradiend_ui.engine.files import file_names
from gradiend_ui.engine.files.file_names import regular_bytes
from gradiend_ui.engine.files.json_files import object_at, read_json
from gradiend_ui.engine.files.safetensors_header import read_header

REPORT = Path("/proc/self/status")
"""Stands for `/proc/kmsg`, which only some may open, and which then waits for the next message."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such reports")


def link(path: Path) -> Path:
    path.symlink_to(REPORT)
    return path


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_a_report_of_the_system_is_no_table(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(BadData, match=rf"t{suffix} cannot be read as {suffix[1:]}: it is no plain file.*\(proc\)"):
        read_file(link(tmp_path / f"t{suffix}"))
    with pytest.raises(BadData, match="status cannot be read as a table: tables are read from"):
        read_rows(str(REPORT))


def test_what_has_no_table_s_ending_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradiend_ui.engine.data.table_reading.regular_bytes", None)
    (tmp_path / "t.log").write_text("a,b\n1,2\n")
    with pytest.raises(BadData, match="tables are read from"):
        read_file(tmp_path / "t.log")


def test_reports_are_no_settings_and_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="made up by the system as it is read"):
        read_json(link(tmp_path / "config.json"))
    assert object_at(tmp_path / "config.json") == {}
    with pytest.raises(BadCheckpoint, match=r"model.safetensors cannot be read: it is no plain file.*Copy the weights"):
        read_header(link(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["merges.txt", "vocab.txt", "pytorch_model.bin", "chat_template.jinja"])
def test_a_base_model_has_no_file_that_transformers_would_wait_for(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "base").mkdir()
    for path in tiny_bert.iterdir():
        if path.name != name:
            os.link(path, tmp_path / "base" / path.name)
    link(tmp_path / "base" / name)
    with pytest.raises(BadBase, match=f"{name} of the base model 'base' cannot be read: it is no plain file"):
        load_base_model(str(tmp_path / "base"))


def test_of_a_file_without_size_nothing_is_read_where_the_system_does_not_tell_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(REPORT.read_bytes()) > 100
    monkeypatch.setattr(file_names, "MOUNTS", tmp_path / "none")
    assert regular_bytes(REPORT, 1000) == b""
    with pytest.raises(BadData, match="it is empty"):
        read_file(link(tmp_path / "t.csv"))
    with pytest.raises(BadCheckpoint, match="empty or truncated"):
        read_header(link(tmp_path / "model.safetensors"))


def test_files_on_a_disk_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    assert regular_bytes(tmp_path / "t.csv", 8) == b"a,b\n1,2\n"
    with pytest.raises(ValueError, match="larger than"):
        regular_bytes(tmp_path / "t.csv", 7)
    assert read_file(tmp_path / "t.csv").frame.shape == (1, 2)
