"""Refusals of uploads and of a worker that has gone, as pages of both languages tell them: the same thing, said again.

The English page says what scripts read; the German one nothing of it but names, numbers and what a library said.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gradiend_ui.engine.base.uploaded import take_in
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.data.table_reading import check_size
from gradiend_ui.engine.data.uploaded_tables import keep_upload, read_upload, told_by_name, upload_path
from gradiend_ui.engine.errors import GradiendUIError, error_from
from gradiend_ui.engine.files.confined import Confinement, run_confined
from gradiend_ui.engine.uploads.archives import checked_members
from gradiend_ui.engine.worker.client import RUN_GOES_ON, WorkerClient, _ended, why_it_ended
from gradiend_ui.engine.worker.process import ENDED
from gradiend_ui.engine.worker.requests import Wake
from gradiend_ui.server.data import _content
from gradiend_ui.ui.kit.status import why_ended
from gradiend_ui.ui.kit.words import Words

ENGLISH, GERMAN = Words("en"), Words("de")
Refuse = Callable[[Path], object]
HEADER = b"masked,label,label_class,alternative,alternative_class\n"


def table(content: bytes, suffix: str = ".csv") -> Refuse:
    return lambda folder: read_upload(folder / "uploads" / keep_upload(folder, content, suffix))


def rows(content: bytes) -> Refuse:
    return lambda folder: read_rows(read_upload(folder / "uploads" / keep_upload(folder, content, ".csv")))


def texts(content: bytes) -> Refuse:
    return lambda folder: read_neutral(read_upload(folder / "uploads" / keep_upload(folder, content, ".csv")).frame)


def file(content: bytes, most: int = 2**20) -> Refuse:
    def read(folder: Path) -> object:
        (folder / "mine.csv").write_bytes(content)
        return _content(str(folder / "mine.csv"), most)

    return read


def zipped(members: Mapping[str, bytes], strangers: bool = True) -> Path | Refuse:
    def taken(folder: Path) -> object:
        path = folder / "mine.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return take_in(path, folder / "uploads", strangers=strangers)

    return taken


def no_zip(content: bytes) -> Refuse:
    def taken(folder: Path) -> object:
        (folder / "mine.zip").write_bytes(content)
        return take_in(folder / "mine.zip", folder / "uploads", strangers=True)

    return taken


def member(change: Callable[[zipfile.ZipInfo], object], name: str = "model.safetensors") -> Refuse:
    def checked(folder: Path) -> object:
        info = zipfile.ZipInfo(name)
        change(info)
        return checked_members([info], allow_pickled=False)

    return checked


def folder_of(files: Mapping[str, str]) -> Refuse:
    def read(folder: Path) -> object:
        (folder / "mine").mkdir()
        for name, content in files.items():
            (folder / "mine" / name).write_text(content)
        return read_checkpoint(folder / "mine")

    return read


def raised(error: GradiendUIError) -> None:
    raise error


CONFIG = json.dumps({"architecture": {"input_dim": 1, "latent_dim": 1}, "mapping": {"param_map": [
    {"name": "a", "shape": [1], "repr": "all"}]}})  # fmt: skip
NAMED = {"upload": f"{'0' * 64}.csv", "name": "mine.csv"}
REFUSALS: dict[str, Refuse] = {
    "zero bytes": table(b"\0" * 30), "picture": table(b"\x89PNG"), "zip as table": table(b"PK\x03\x04"),
    "pdf": table(b"%PDF"), "gzip": table(b"\x1f\x8b"), "database": table(b"SQLite format 3"),
    "parquet as csv": table(b"PAR1"), "office": table(b"\xd0\xcf\x11\xe0"), "cut utf-16": table(b"\xff\xfea"),
    "bad json": table(b"[{", ".json"), "no list": table(b"5", ".json"), "deep": table(b"[" * 10**5, ".json"),
    "long number": table(b'[{"a": ' + b"1" * 5000 + b"}]", ".json"), "no object": table(b"5", ".jsonl"),
    "uneven": table(b'{"a": [1], "b": [1, 2]}', ".json"), "bad parquet": table(b"PAR1PAR1", ".parquet"),
    "no header": table(b"[]", ".json"),
    "wrong ending": lambda folder: keep_upload(folder, b"x", ".exe"),
    "no ending": lambda folder: keep_upload(folder, b"x", ""),
    "blank table": lambda folder: keep_upload(folder, b" ", ".csv"),
    "no id": lambda folder: upload_path(folder, "x"), "gone": lambda folder: upload_path(folder, NAMED["upload"]),
    "many rows": lambda folder: check_size(10**7, 1), "many columns": lambda folder: check_size(1, 10**4),
    "many cells": lambda folder: check_size(10**5, 999),
    "large file": file(b"x" * 2**21), "blank file": file(b" "), "no path": lambda folder: _content("a\0b", 1),
    "vanished file": lambda folder: _content(str(folder / "gone.csv"), 1),
    "no column": rows(b"a,b\n1,2\n"), "no row": rows(HEADER),
    "column of no table": lambda folder: read_rows([{"masked": "x"}], {"masked": "y"}),
    "no text column": texts(b"a,b\n1,2\n"), "no text": texts(b"text,b\n ,2\n"),
    "broken text": lambda folder: read_neutral(["fine", "\ud800"]),
    "long text": lambda folder: read_neutral(["x" * 10**6]),
    "slow reader": lambda folder: run_confined("read_table", folder, Confinement(seconds=0.01)),
    "little memory": lambda folder: run_confined(
        "read_table", folder / "uploads" / keep_upload(folder, HEADER * 9, ".csv"), Confinement(answer_bytes=10)
    ),
    "no zip": no_zip(b"nothing"), "cut zip": no_zip(b"PK\x03\x04"), "empty zip": zipped({}),
    "other file": zipped({"run.exe": b"x"}), "pickled": zipped({"model/pytorch_model.bin": b"x"}),
    "path": zipped({"/etc/x.json": b"{}"}), "leads out": zipped({"../x.json": b"{}"}),
    "device": zipped({"con.json": b"{}"}), "long name": zipped({"x" * 300 + ".json": b"{}"}),
    "bomb": zipped({"x.json": bytes(2**28)}), "file as folder": zipped({"a.json": b"{}", "a.json/b.json": b"{}"}),
    "plain base": zipped({"a/config.json": b'{"model_type": "bert"}', "b/config.json": b"{}"}),
    "nothing in it": zipped({"a/x.json": b"{}"}),
    "link": member(lambda info: setattr(info, "external_attr", 0o120777 << 16)),
    "encrypted": member(lambda info: setattr(info, "flag_bits", 1)),
    "method": member(lambda info: setattr(info, "compress_type", 99)),
    "large member": member(lambda info: setattr(info, "file_size", 2**50)),
    "base model": folder_of({"config.json": '{"model_type": "bert"}'}), "no gradiend": folder_of({"config.json": "{}"}),
    "list": folder_of({"config.json": "[]"}), "broken": folder_of({"config.json": "{"}),
    "no weights": folder_of({"config.json": CONFIG}),
    "worker": lambda folder: raised(_ended(-9, False)), "bus": lambda folder: raised(_ended(-signal.SIGBUS, False)),
    "shut down": lambda folder: raised(_ended(-15, True)),
}  # fmt: skip


TOLD_IN_THE_PAGE_S_WORDS = {"no id", "no path", "no column", "no row", "column of no table"}
"""Refusals of which the page says more or calls things as its own widgets do: "Sentence with [MASK]" is `masked`."""


@pytest.mark.parametrize("case", REFUSALS)
def test_each_is_told_in_the_pages_language(case: str, tmp_path: Path) -> None:
    with pytest.raises(GradiendUIError) as told:
        REFUSALS[case](tmp_path)
    error = told.value
    assert error.text is not None, f"English only: {error}"
    assert ENGLISH.of(error) == str(error) or case in TOLD_IN_THE_PAGE_S_WORDS
    german = GERMAN.of(error)
    assert german[-1] == "." and "{" not in german.replace(str(error), "")
    for value in filter(lambda value: isinstance(value, str) and value, error.text[1].values()):
        german = german.replace(value, "")
    own = set(german.lower().split()) & {"the", "it", "is", "holds", "upload", "save", "cannot", "with", "file", "of"}
    assert own == set(), german


@pytest.mark.parametrize("case", ["zero bytes", "many rows", "gone"])
def test_so_is_what_crossed_a_border_and_what_was_named(case: str, tmp_path: Path) -> None:
    with pytest.raises(GradiendUIError) as named, told_by_name(NAMED):
        REFUSALS[case](tmp_path)
    sent = json.loads(json.dumps([named.value.code, str(named.value), named.value.text]))
    error = error_from(*sent)
    assert ENGLISH.of(error) == str(named.value) and str(named.value).startswith("mine.csv")
    assert GERMAN.of(error).startswith("mine.csv") and GERMAN.of(error) != str(named.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_what_to_do_about_the_disk_is_told_too(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("gradiend_ui.engine.data.uploaded_tables.write_durably", fails)
    with pytest.raises(GradiendUIError) as told:
        keep_upload(tmp_path, b"a,b\n1,2\n", ".csv")
    assert ENGLISH.of(told.value) == str(told.value) and "Bitte" in GERMAN.of(told.value)


def test_why_a_run_was_interrupted_is_told_in_the_pages_language() -> None:
    """The store keeps it in English."""
    stopped = "The server was stopped while this run was going: resume it to go on."
    for kept in (why_it_ended(-9, RUN_GOES_ON), why_it_ended(-signal.SIGBUS, RUN_GOES_ON), ENDED, stopped):
        assert why_ended(kept, ENGLISH) == kept and "Weiter" in why_ended(kept, GERMAN)
    assert "-9" in why_ended(why_it_ended(-9, RUN_GOES_ON), GERMAN)
    assert why_ended("The disk is full.", GERMAN) == "The disk is full."


def test_a_dead_worker_is_told_to_who_asked(tmp_path: Path) -> None:
    client = WorkerClient(tmp_path / "s", tmp_path, tmp_path, lambda why: None)
    client.close()
    with pytest.raises(GradiendUIError) as told:
        client.ask(Wake())
    assert GERMAN.of(told.value) == GERMAN("page.shutting_down")
