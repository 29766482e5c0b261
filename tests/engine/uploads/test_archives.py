"""Uploaded zips: what is refused before anything is unpacked, what is unpacked where, and lies in headers."""

from __future__ import annotations

import io
import json
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO

import pytest

from gradiend_ui.engine.checkpoint.run_folder import checkpoint_in
from gradiend_ui.engine.errors import BadCheckpoint, Failed, GradiendUIError, NotAllowed, TooLarge
from gradiend_ui.engine.uploads import archives
from gradiend_ui.engine.uploads.archives import Limits, by_products_in, unpack_archive

GRADIEND = json.dumps({"architecture": {}, "mapping": {}})
BASE = json.dumps({"model_type": "bert"})
FILES = {"gradiend/config.json": GRADIEND, "gradiend/model.safetensors": "weights", "eval.csv": "masked,label"}
Change = Callable[[zipfile.ZipInfo], None]


def packed(path: Path, files: dict[str, str | bytes], change: Change | None = None) -> Path:
    """A zip of `files`; `change` may spoil the entry of the last one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, content) in enumerate(files.items(), 1):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change and number == len(files):
                change(info)
            archive.writestr(info, content, info.compress_type)
    return path


def unpack(path: Path, uploads: Path, allow_pickled: bool = True, limits: Limits | None = None) -> Path:
    return unpack_archive(path, uploads, allow_pickled=allow_pickled, limits=limits or Limits())


def names_below(folder: Path) -> list[str]:
    return sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())


def test_a_zip_is_unpacked_under_the_hash_of_its_content(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.zip", {**FILES, "gradiend/.DS_Store": "x", "__MACOSX/gradiend/._eval": "x", "LICENSE": ""}
    )
    uploads = tmp_path / "uploads"
    home = unpack(path, uploads)
    assert home == uploads / sha256(path.read_bytes()).hexdigest()
    assert names_below(home) == sorted(FILES), "by-products stay in the zip"
    assert checkpoint_in(home) == home / "gradiend"
    assert [item.name for item in uploads.iterdir()] == [home.name], "nothing is left beside it"


def test_the_same_content_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    home = unpack(path, tmp_path / "uploads")
    (home / "eval.csv").write_text("kept")
    path.rename(tmp_path / "b.zip")
    monkeypatch.delattr(archives, "_unpacked")
    assert unpack(tmp_path / "b.zip", tmp_path / "uploads") == home
    assert (home / "eval.csv").read_text() == "kept"


def test_half_an_upload_never_bears_the_name_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    write, seen = archives._write, list[list[str]]()

    def broken_off(packed: IO[bytes], target: Path, promised: int, name: str) -> int:
        seen.append([item.name for item in (tmp_path / "uploads").iterdir() if not item.name.startswith(".")])
        if len(seen) == len(FILES):
            raise OSError(28, "No space left on device")
        return write(packed, target, promised, name)

    monkeypatch.setattr(archives, "_write", broken_off)
    with pytest.raises(Failed, match="No space left"):
        unpack(path, tmp_path / "uploads")
    assert seen == [[]] * len(FILES) and not list((tmp_path / "uploads").iterdir())


def as_link(info: zipfile.ZipInfo) -> None:
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16


def as_device(info: zipfile.ZipInfo) -> None:
    info.create_system, info.external_attr = 3, (stat.S_IFIFO | 0o600) << 16


def by_bzip2(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_BZIP2


@pytest.mark.parametrize(
    ("name", "content", "change", "kind", "told"),
    [
        ("../outside.json", "x", None, BadCheckpoint, "does not stay inside"),
        ("a/../../outside.json", "x", None, BadCheckpoint, "does not stay inside"),
        ("a/./b.json", "x", None, BadCheckpoint, "does not stay inside"),
        ("/etc/x.json", "x", None, BadCheckpoint, "relative paths"),
        ("C:/x.json", "x", None, BadCheckpoint, "relative paths"),
        ("a\\..\\x.json", "x", None, BadCheckpoint, "relative paths"),
        ("~/x.json", "x", None, BadCheckpoint, "relative paths"),
        ("a\u202ex.json", "x", None, BadCheckpoint, "relative paths"),
        ("a//b.json", "x", None, BadCheckpoint, "does not stay inside"),
        ("a /b.json", "x", None, BadCheckpoint, "does not stay inside"),
        ("/".join("abcdefghi") + ".json", "x", None, TooLarge, "nested too deep"),
        ("a" * 300 + ".json", "x", None, TooLarge, "too long"),
        ("link.json", "/etc/passwd", as_link, BadCheckpoint, "link or special"),
        ("pipe.json", "", as_device, BadCheckpoint, "link or special"),
        ("eval.json", "x", by_bzip2, BadCheckpoint, "unusual method"),
        ("EVAL.csv", "x", None, BadCheckpoint, "twice"),
        ("eval.csv/x.json", "x", None, BadCheckpoint, "as a file and as a folder"),
        ("run.py", "print(1)", None, BadCheckpoint, "Leave it out"),
        ("model.pkl", "x", None, BadCheckpoint, "Leave it out"),
        ("noname", "x", None, BadCheckpoint, "Leave it out"),
        ("bomb.json", "0" * 4_000_000, None, TooLarge, "200 times"),
    ],
)
def test_what_may_not_be_in_it(
    tmp_path: Path, name: str, content: str, change: Change | None, kind: type[GradiendUIError], told: str
) -> None:
    path = packed(tmp_path / "a.zip", {**FILES, name: content}, change)
    with pytest.raises(kind, match=told):
        unpack(path, tmp_path / "uploads")
    assert names_below(tmp_path) == ["a.zip"], "something was written"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for content in (GRADIEND, BASE):
            archive.writestr("config.json", content)
    with pytest.raises(BadCheckpoint, match="twice"):
        unpack(path, tmp_path / "uploads")


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    raw = bytearray(path.read_bytes())
    flags = raw.rindex(b"PK\x01\x02") + 8
    raw[flags] |= 1
    path.write_bytes(raw)
    with pytest.raises(BadCheckpoint, match="encrypted"):
        unpack(path, tmp_path / "uploads")


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(entries=2), "3 entries; at most 2"),
        (Limits(total_bytes=20), "would unpack to"),
        (Limits(entry_bytes=10), "at most 0.0 MB are read"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, told: str) -> None:
    with pytest.raises(TooLarge, match=told):
        unpack(packed(tmp_path / "a.zip", FILES), tmp_path / "uploads", limits=limits)
    assert names_below(tmp_path) == ["a.zip"]


def test_a_header_that_lies_is_noticed_while_reading(tmp_path: Path) -> None:
    """The table of contents promises 4 bytes; more are in it. Nothing of it stays."""
    path = packed(tmp_path / "a.zip", {**FILES, "big.json": "1" * 5000})
    raw = bytearray(path.read_bytes())

    place = raw.rindex(b"PK\x01\x02") + 24
    raw[place : place + 4] = struct.pack("<I", 4)
    path.write_bytes(raw)
    with pytest.raises(GradiendUIError, match=r"larger than|no whole zip"):
        unpack(path, tmp_path / "uploads")
    assert names_below(tmp_path) == ["a.zip"], "half of it was left"


def test_more_bytes_than_promised_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="larger than its table of contents says"):
        archives._write(io.BytesIO(b"12345"), tmp_path / "x", 4, "x")
    assert archives._write(io.BytesIO(b"1234"), tmp_path / "y", 4, "y") == 4


@pytest.mark.parametrize("content", [b"", b"PK", b"masked,label\n", "cut"])
def test_no_whole_zip(tmp_path: Path, content: bytes | str) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[:-40] if content == "cut" else bytes(content))  # type: ignore[arg-type]
    with pytest.raises(BadCheckpoint, match="no whole zip"):
        unpack(path, tmp_path / "uploads")


def test_damaged_content_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("config.json", GRADIEND)
        archive.writestr("model.safetensors", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780"))
    with pytest.raises(BadCheckpoint, match="no whole zip"):
        unpack(path, tmp_path / "uploads")
    assert names_below(tmp_path) == ["a.zip"]


def test_pickled_weights_only_where_they_are_allowed(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"config.json": GRADIEND, "pytorch_model.bin": b"x"}
    path = packed(tmp_path / "a.zip", files)
    with pytest.raises(NotAllowed, match="safetensors"):
        unpack(path, tmp_path / "uploads", allow_pickled=False)
    assert names_below(unpack(path, tmp_path / "uploads")) == sorted(files)


BY_PRODUCTS = (
    "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state.pth",
    "rng_state_3.pth", "modeling_bert.py", "configuration_bert.py", "events.out.tfevents.1764.host.1.0",
    "model.onnx", "flax_model.msgpack", "tf_model.h5", "rust_model.ot",
)  # fmt: skip
SILENT = (".gitattributes", ".DS_Store", "__MACOSX/._config.json", ".cache/huggingface/x.metadata", ".git/HEAD")


@pytest.mark.parametrize("allow_pickled", [True, False])
@pytest.mark.parametrize("folder", ["", "gradiend/", "base/checkpoint-500/"])
def test_what_trainers_write_beside_a_model_stays_in_the_zip(tmp_path: Path, folder: str, allow_pickled: bool) -> None:
    beside = {folder + name: b"\x80\x04unread" for name in (*BY_PRODUCTS, *SILENT)}
    path = packed(tmp_path / "a.zip", {**FILES, **beside})
    home = unpack(path, tmp_path / "uploads", allow_pickled)
    assert names_below(home) == sorted(FILES)
    assert set(by_products_in(path, allow_pickled=allow_pickled)) == {folder + name for name in BY_PRODUCTS}


@pytest.mark.parametrize(
    ("name", "change", "kind", "told"),
    [
        ("optimizer.pt", as_link, BadCheckpoint, "link or special"),
        ("rng_state.pth", as_device, BadCheckpoint, "link or special"),
        ("../training_args.bin", None, BadCheckpoint, "does not stay inside"),
        ("/model.onnx", None, BadCheckpoint, "relative paths"),
        ("aux.onnx", None, BadCheckpoint, "name of a device"),
        ("tf_model.h5", by_bzip2, BadCheckpoint, "unusual method"),
        ("my_optimizer.pt", None, BadCheckpoint, "Leave it out"),
        ("training_args.bin.exe", None, BadCheckpoint, "Leave it out"),
        ("train.py", None, BadCheckpoint, "Leave it out"),
    ],
)
def test_what_stays_in_the_zip_is_checked_like_the_rest(
    tmp_path: Path, name: str, change: Change | None, kind: type[GradiendUIError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        unpack(packed(tmp_path / "a.zip", {**FILES, name: "x"}, change), tmp_path / "uploads")


def test_by_products_count_among_what_a_zip_grows_to(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {**FILES, "optimizer.pt": b"0" * 4_000_000})
    with pytest.raises(TooLarge, match="200 times"):
        unpack(path, tmp_path / "uploads")


def test_pickled_weights_stay_in_the_zip_only_where_others_lie_beside_them(tmp_path: Path) -> None:
    twin = "gradiend/pytorch_model.bin"
    path = packed(tmp_path / "a.zip", {**FILES, twin: b"x"})
    assert names_below(unpack(path, tmp_path / "uploads", allow_pickled=False)) == sorted(FILES)
    assert by_products_in(path, allow_pickled=False) == (twin,)
    assert by_products_in(path, allow_pickled=True) == ()
    for name in ("base/pytorch_model.bin", "gradiend/mapping.bin"):
        path = packed(tmp_path / "b.zip", {**FILES, name: b"x"})
        with pytest.raises(NotAllowed, match="pickled weights, which this server does not open"):
            unpack(path, tmp_path / "uploads", allow_pickled=False)


# --- tables of contents that lead nowhere -----------------------------------------------------------------------------


def shifted(content: bytes, by: int) -> bytes:
    """The table of contents is said to begin so many bytes later than it does."""
    changed, end = bytearray(content), content.rindex(b"PK\5\6")
    struct.pack_into("<I", changed, end + 16, struct.unpack_from("<I", content, end + 16)[0] + by)
    return bytes(changed)


def pointed(content: bytes, place: int, first: bool = False) -> bytes:
    """A member is said to lie somewhere else."""
    changed = bytearray(content)
    struct.pack_into("<I", changed, (content.index if first else content.rindex)(b"PK\1\2") + 42, place)
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda content, cut=cut: content[cut:] for cut in (1, 5, 100)),
        *(lambda content, by=by: shifted(content, by) for by in (1, 40, 100)),
        *(lambda content, place=place: pointed(content, place) for place in (2**31, 2**32 - 2)),
        lambda content: pointed(content, 1, first=True),
    ],
)
def test_places_that_cannot_be_are_the_zips_fault(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadCheckpoint, match=r"pack it anew|pack and upload it again"):
        unpack(path, tmp_path / "uploads")
    assert names_below(tmp_path) == ["a.zip"]


def test_a_member_before_the_beginning_of_the_zip_is_told_as_that(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[5:])
    with pytest.raises(BadCheckpoint, match="lies before its beginning, so the first bytes of the file are missing"):
        unpack(path, tmp_path / "uploads")


def test_bytes_before_a_zip_do_no_harm(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    assert names_below(unpack(path, tmp_path / "uploads")) == sorted(FILES)


@pytest.mark.parametrize(
    "error", [OSError(22, "Invalid argument"), OSError(5, "Input/output error"), struct.error("x"), RuntimeError("x")]
)
@pytest.mark.parametrize("where", ["__init__", "open", "read"])
def test_what_goes_wrong_while_it_is_read_is_the_zips_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    path = packed(tmp_path / "a.zip", FILES)

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(zipfile.ZipExtFile if where == "read" else zipfile.ZipFile, where, broken)
    with pytest.raises(BadCheckpoint, match="no whole zip archive"):
        unpack(path, tmp_path / "uploads")
    assert names_below(tmp_path) == ["a.zip"]


def test_what_goes_wrong_while_it_is_written_is_the_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode="r": Full() if mode == "xb" else opened(path, mode))
    with pytest.raises(Failed, match="No space left on device"):
        unpack(packed(tmp_path / "a.zip", FILES), tmp_path / "uploads")


def test_a_zip_without_a_file_of_a_gradiend(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no file of a GRADIEND"):
        unpack(packed(tmp_path / "a.zip", {"plot.png": b"x"}), tmp_path / "uploads")


# --- which folder it is ----------------------------------------------------------------------------------------------


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ({"config.json": GRADIEND, "model.safetensors": ""}, "."),
        ({"g/config.json": GRADIEND, "g/model.safetensors": ""}, "g"),
        ({"model/config.json": GRADIEND, "model/model.safetensors": ""}, "."),
        ({"run/model/config.json": GRADIEND, "run/model/model.safetensors": ""}, "run"),
        ({"run/seeds/seed_1/config.json": GRADIEND, "run/seeds/seed_1/model.safetensors": ""}, "run"),
        (
            {"base/config.json": BASE, "base/model.safetensors": ""}
            | {"g/config.json": GRADIEND, "g/model.safetensors": ""},
            "g",
        ),
        ({"config.json": BASE, "model.safetensors": ""}, "."),
    ],
)
def test_the_gradiend_is_found_at_the_root_or_one_folder_down(
    tmp_path: Path, inside: dict[str, str], found: str
) -> None:
    assert checkpoint_in(tree(tmp_path, inside)) == tmp_path / found


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ({"a/b/config.json": GRADIEND, "a/b/model.safetensors": ""}, "a holds 1 run.*give one of b"),
        ({"eval.csv": ""}, "The zip holds no config.json"),
        (
            {f"{n}/{f}": GRADIEND for n in "ab" for f in ("config.json", "model.safetensors")},
            r"several GRADIENDs \(a, b\)",
        ),
    ],
)
def test_what_is_told_where_none_is_found(tmp_path: Path, inside: dict[str, str], told: str) -> None:
    with pytest.raises(BadCheckpoint, match=told):
        checkpoint_in(tree(tmp_path, inside))


def test_a_real_one_is_loaded_from_its_zip(checkpoint_folder: Path, tmp_path: Path) -> None:
    from gradiend_ui.engine.checkpoint.reading import read_checkpoint

    shutil.copytree(checkpoint_folder, tmp_path / "run" / "model")
    archive = io.BytesIO(Path(shutil.make_archive(str(tmp_path / "run"), "zip", tmp_path, "run")).read_bytes())
    path = tmp_path / "upload.zip"
    path.write_bytes(archive.getvalue())
    folder = checkpoint_in(unpack(path, tmp_path / "uploads", allow_pickled=False))
    assert folder.name == "run"
    assert read_checkpoint(folder).mapped_weights == read_checkpoint(checkpoint_folder).mapped_weights
