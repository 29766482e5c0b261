"""Files and folders change their content in one step, and a refused step changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gradiend_ui.engine.checkpoint.writing import save_pickled
from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files import whole_or_absent
from gradiend_ui.engine.files.whole_or_absent import exchange, replace_file, replace_folder, with_advice, write_whole


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(finished, place): two folders with one file each, called by what it is."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name, encoding="utf-8")
    return tmp_path / "new", tmp_path / "old"


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced_and_the_old_one_lies_where_the_new_one_was(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    finished, place = folders
    if not swaps:
        monkeypatch.setattr(whole_or_absent, "exchange", lambda one, other: False)
    replace_folder(finished, place, place.with_name("aside"))
    assert (place / "file").read_text(encoding="utf-8") == "new"
    assert (finished / "file").read_text(encoding="utf-8") == "old"
    assert sorted(os.listdir(place.parent)) == ["new", "old"]


def test_where_the_second_step_fails_the_first_is_taken_back(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, place = folders
    replace = os.replace

    def refusing(source: Path, target: Path) -> None:
        if source == finished:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(whole_or_absent, "exchange", lambda one, other: False)
    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(OSError, match="Input/output"):
        replace_folder(finished, place, place.with_name("aside"))
    assert (place / "file").read_text(encoding="utf-8") == "old"


def test_nothing_is_swapped_with_what_is_not_there(folders: tuple[Path, Path]) -> None:
    assert not exchange(folders[0], folders[1].with_name("none"))
    assert (folders[0] / "file").read_text(encoding="utf-8") == "new"


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "table.csv"
    replace_file(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failed, match=r"table\.csv could not be written: No space left on device\. Free disk space"):
        write_whole(path, "new")
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["table.csv"]


def test_a_disk_that_refuses_pickled_weights_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="The disk takes no more"):
        save_pickled({}, tmp_path / "none" / "model.bin")


def test_the_advice_suits_what_went_wrong() -> None:
    full = [OSError(code, os.strerror(code)) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
    full.append(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert all(with_advice(error).endswith("Free disk space and try again.") for error in full)
    assert with_advice(OSError(errno.EACCES, "Permission denied")) == (
        "Permission denied. Allow writing there and try again."
    )
    assert with_advice(FileNotFoundError(errno.ENOENT, "No such file or directory")).endswith("directory. Try again.")
