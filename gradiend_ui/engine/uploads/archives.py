"""Zip files that people upload: checked before anything is unpacked, unpacked under the hash of their content.

A header may lie, so what it promises is checked first and enforced again while reading. Only files that a checkpoint
or a run can consist of are taken; well-known by-products stay in the zip, unread, anything else is refused. What goes
wrong while the zip is read is the zip's fault, what goes wrong while its files are written the disk's. Knows names and
bytes; no GRADIEND and no tensors.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from gradiend_ui.engine.errors import BadCheckpoint, Failed, NotAllowed, TooLarge
from gradiend_ui.engine.files.file_names import WHY, is_device
from gradiend_ui.engine.files.model_files import ANY_PICKLED_WEIGHTS, ANY_WEIGHTS
from gradiend_ui.engine.files.whole_or_absent import (
    advice_for,
    new_folder,
    reason_of,
    touch,
    with_advice,
)

TAKEN = (
    ".json", ".safetensors", ".csv", ".tsv", ".jsonl", ".parquet", ".txt", ".md", ".model", ".jinja",
)  # fmt: skip
PICKLED = (".bin",)
LEFT_OUT = (
    ".html", ".png", ".svg", ".pdf", ".jpg", ".jpeg", ".log", ".yaml", ".yml", ".sqlite", ".lock", ".gitattributes",
    ".gitignore", ".ds_store", ".ini",
)  # fmt: skip
LEFT_OUT_NAMES = ("license", "notice", "thumbs.db")
LEFT_OUT_FOLDERS = frozenset({"__MACOSX", ".cache", ".git", "__pycache__", ".ipynb_checkpoints"})
BY_PRODUCTS = (
    "training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.bin", "scheduler.pt", "scaler.pt",
    "rng_state*.pth", "random_states*.pkl", "zero_to_fp32.py", "modeling_*.py", "configuration_*.py",
    "tokenization_*.py", "events.out.tfevents.*", "*.onnx", "*.onnx_data", "*.msgpack", "*.h5", "*.ot", "*.tflite",
)  # fmt: skip
"""What trainers and other libraries write beside a model: left in the zip like LEFT_OUT, which the card tells."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
CHUNK = 1024 * 1024
SMALL_BYTES = 1024 * 1024
MAX_NAME, MAX_DEPTH = 200, 8
ENCRYPTED_FLAG = 0x1
READING_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, LookupError,
    OverflowError, OSError,
)  # fmt: skip
LOCAL_HEADER = 30
"""Bytes in front of a member, without its name."""


@dataclass(frozen=True)
class Limits:
    """entries: members of the zip. total_bytes, entry_bytes: unpacked. ratio: unpacked over packed, of a member and of
    the whole zip, over 1 MB only. Masks shrink most: with 1 % of ones to a 49th, with 0.1 % to a 275th."""

    entries: int = 2000
    total_bytes: int = 16 * 1024**3
    entry_bytes: int = 8 * 1024**3
    ratio: int = 200


LIMITS = Limits()
PUBLIC_LIMITS = Limits(entries=500, total_bytes=2 * 1024**3, entry_bytes=2 * 1024**3, ratio=100)
"""For strangers."""


def unpack_archive(path: Path, uploads: Path, *, allow_pickled: bool, limits: Limits = LIMITS) -> Path:
    """Check the zip at `path` and unpack it into `uploads`/<sha256 of the zip>, which is reused when it is there.

    The folder appears whole or not at all. allow_pickled: whether .bin weights may lie in it.
    Raises BadCheckpoint, NotAllowed or TooLarge with the entry in question, Failed when the disk refuses.
    """
    try:
        home = uploads / hash_of(path)
        if home.is_dir():
            touch(home)
            return home
        with _opened(path) as archive:
            members = checked_members(archive.infolist(), allow_pickled=allow_pickled, limits=limits)
            _check_places(archive)
            _check_whole(sum(member.file_size for member in archive.infolist()), path.stat().st_size, limits)
            _check_disk(uploads, sum(member.file_size for member in members))
            return _unpacked(archive, members, home, limits)
    except OSError as error:
        unpacked = Failed(f"The upload could not be unpacked: {with_advice(error)}")
        raise unpacked.known_as("load.not_unpacked", why=reason_of(error), advice=advice_for(error)) from error


def by_products_in(path: Path, *, allow_pickled: bool) -> tuple[str, ...]:
    """The files that stay in a zip which can be unpacked, and that its card tells. Raises as `unpack_archive`."""
    with _opened(path) as archive:
        names = frozenset(info.orig_filename for info in archive.infolist() if not info.is_dir())
    paths = sorted(map(PurePosixPath, names))
    return tuple(str(p) for p in paths if not _is_left_out(p) and _is_by_product(p, names, allow_pickled))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at `path`. Raises BadCheckpoint for what is none, OSError where the file is not there."""
    with path.open("rb") as file:
        with _reading():
            archive = zipfile.ZipFile(file)
        with archive:
            yield archive


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever goes wrong in the block is the zip's fault: a place that it names may be before its beginning."""
    try:
        yield
    except READING_ERRORS as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        why = str(told)[:120]
        no_zip = BadCheckpoint(f"The file is no whole zip archive ({why}): pack and upload it again.")
        raise no_zip.known_as("load.no_zip", why=why) from error


def checked_members(
    infos: Sequence[zipfile.ZipInfo], *, allow_pickled: bool, limits: Limits = LIMITS
) -> tuple[zipfile.ZipInfo, ...]:
    """The files of an archive that may be unpacked, by what its table of contents says.

    Raises TooLarge, BadCheckpoint or NotAllowed at the first entry that may not be there.
    """
    if len(infos) > limits.entries:
        many = TooLarge(f"The zip has {len(infos):,} entries; at most {limits.entries:,} are read.")
        raise many.known_as("load.zip_entries", count=f"{len(infos):,}", most=f"{limits.entries:,}")
    taken: list[zipfile.ZipInfo] = []
    seen: set[str] = set()
    names = frozenset(info.orig_filename for info in infos)
    for info in infos:
        name = _safe_name(info)
        _check_kind_of_entry(info, name)
        _check_size(info, name, limits)
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            twice = BadCheckpoint(f"The zip holds {name!r} twice: every name may occur once.")
            raise twice.known_as("load.zip_twice", name=repr(name))
        seen.add(folded)
        if not info.is_dir() and _is_taken(name, names, allow_pickled):
            taken.append(info)
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        large = TooLarge(f"The zip would unpack to {_size(total)}; at most {_size(limits.total_bytes)} are unpacked.")
        raise large.known_as("load.zip_unpacked", size=_size(total), most=_size(limits.total_bytes))
    _check_no_file_is_a_folder(taken)
    if not taken:
        none = BadCheckpoint("The zip holds no file of a GRADIEND: pack the folder with its config.json and weights.")
        raise none.known_as("load.zip_nothing")
    return tuple(taken)


# --- what the table of contents says ----------------------------------------------------------------------------------


def _safe_name(info: zipfile.ZipInfo) -> str:
    """The entry's name as it was written, where that can only mean a place inside the folder."""
    name = info.orig_filename
    pieces = name.rstrip("/").split("/")
    if "\\" in name or ":" in name or name.startswith(("/", "~")) or not name.isprintable():
        odd = BadCheckpoint(f"The zip holds the entry {name[:80]!r}: names are relative paths with '/' only.")
        raise odd.known_as("load.zip_path", name=repr(name[:80]))
    if any(piece in ("", ".", "..") or piece != piece.strip() or piece.endswith(".") for piece in pieces):
        out = BadCheckpoint(f"The zip holds the entry {name[:80]!r}, which does not stay inside its folder.")
        raise out.known_as("load.zip_out", name=repr(name[:80]))
    if len(pieces) > MAX_DEPTH or any(len(piece.encode()) > MAX_NAME for piece in pieces):
        deep = TooLarge(f"The zip holds the entry {name[:80]!r}: the name is too long or nested too deep.")
        raise deep.known_as("load.zip_deep", name=repr(name[:80]))
    device = next((piece for piece in pieces if is_device(piece)), None)
    if device is not None:
        named = BadCheckpoint(f"The zip holds the entry {name[:80]!r}: {device[:80]!r} {WHY} a file there.")
        raise named.known_as("load.zip_device", name=repr(name[:80]), device=repr(device[:80]))
    return name.rstrip("/")


def _check_kind_of_entry(info: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        link = BadCheckpoint(f"The zip holds {name!r} as a link or special file: only plain files are unpacked.")
        raise link.known_as("load.zip_link", name=repr(name))
    if info.flag_bits & ENCRYPTED_FLAG:
        secret = BadCheckpoint(f"{name!r} in the zip is encrypted: upload a zip without a password.")
        raise secret.known_as("load.zip_encrypted", name=repr(name))
    if info.compress_type not in METHODS:
        method = BadCheckpoint(f"{name!r} in the zip is packed by an unusual method: pack it as a plain zip.")
        raise method.known_as("load.zip_method", name=repr(name))


def _check_size(info: zipfile.ZipInfo, name: str, limits: Limits) -> None:
    if info.file_size > limits.entry_bytes:
        size, most = _size(info.file_size), _size(limits.entry_bytes)
        large = TooLarge(f"{name!r} in the zip has {size}; at most {most} are read.")
        raise large.known_as("load.zip_large_file", name=repr(name), size=size, most=most)
    if info.file_size > SMALL_BYTES and info.file_size > limits.ratio * max(info.compress_size, 1):
        bomb = TooLarge(
            f"{name!r} in the zip is packed more than {limits.ratio} times smaller than it is: not unpacked."
        )
        raise bomb.known_as("load.zip_packed_file", name=repr(name), most=limits.ratio)


def _check_whole(unpacked: int, packed: int, limits: Limits) -> None:
    """Raises TooLarge for a zip that grows out of proportion, into however many small members it is cut."""
    if unpacked > SMALL_BYTES and unpacked > limits.ratio * packed:
        raise TooLarge(
            f"The zip has {_size(packed)} and would unpack to {_size(unpacked)}, more than {limits.ratio} times as "
            "much: not unpacked."
        ).known_as("load.zip_packed", size=_size(packed), unpacked=_size(unpacked), most=limits.ratio)


def _check_places(archive: zipfile.ZipFile) -> None:
    """Raises BadCheckpoint where two members share bytes of the zip: so few bytes would stand for many files."""
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    ends = [*(info.header_offset for info in infos[1:]), archive.start_dir]
    for info, end in zip(infos, ends, strict=False):
        if info.header_offset < 0:
            raise BadCheckpoint(
                f"{info.orig_filename[:80]!r} in the zip lies before its beginning, so the first bytes of the file are "
                "missing: pack it anew."
            ).known_as("load.zip_cut", name=repr(info.orig_filename[:80]))
        if info.header_offset + LOCAL_HEADER + len(info.orig_filename) + info.compress_size > end:
            shares = BadCheckpoint(
                f"{info.orig_filename[:80]!r} in the zip shares its bytes with others: pack it anew."
            )
            raise shares.known_as("load.zip_shares", name=repr(info.orig_filename[:80]))


def _is_taken(name: str, names: Collection[str], allow_pickled: bool) -> bool:
    """Whether the file is unpacked; False leaves it in the zip. Raises BadCheckpoint or NotAllowed for other kinds.

    names: of all that is in the zip.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if _is_left_out(path) or _is_by_product(path, names, allow_pickled):
        return False
    if suffix in PICKLED and not allow_pickled:
        told = NotAllowed(
            f"{name!r} holds pickled weights, which this server does not open: save them as safetensors. A GRADIEND of "
            "the papers' research code is converted on your own machine: gradiend_ui.convert_research_checkpoint."
        )
        raise told.known_as("load.zip_pickled", name=repr(name))
    if suffix not in (*TAKEN, *PICKLED):
        kinds = ", ".join(TAKEN)
        other = BadCheckpoint(f"The zip holds {name!r}: a GRADIEND consists of {kinds} files. Leave it out.")
        raise other.known_as("load.zip_other", name=repr(name), kinds=kinds)
    return True


def _is_left_out(path: PurePosixPath) -> bool:
    last = path.name.lower()
    suffix = path.suffix.lower() or (last if last.startswith(".") else "")
    return not LEFT_OUT_FOLDERS.isdisjoint(path.parts) or suffix in LEFT_OUT or last in LEFT_OUT_NAMES


def _is_by_product(path: PurePosixPath, names: Collection[str], allow_pickled: bool) -> bool:
    """Whether it is what trainers and other libraries write, or pickled weights where others are read instead."""
    last = path.name.lower()
    if any(fnmatchcase(last, pattern) for pattern in BY_PRODUCTS):
        return True
    return (
        not allow_pickled
        and fnmatchcase(last, ANY_PICKLED_WEIGHTS)
        and any(
            path.parent == other.parent and fnmatchcase(other.name, ANY_WEIGHTS) for other in map(PurePosixPath, names)
        )
    )


def _check_no_file_is_a_folder(taken: Sequence[zipfile.ZipInfo]) -> None:
    files = {unicodedata.normalize("NFC", info.orig_filename).casefold() for info in taken}
    for info in taken:
        for parent in PurePosixPath(info.orig_filename).parents:
            if unicodedata.normalize("NFC", str(parent)).casefold() in files:
                both = BadCheckpoint(f"The zip holds {str(parent)!r} as a file and as a folder.")
                raise both.known_as("load.zip_both", name=repr(str(parent)))


def _check_disk(uploads: Path, needed: int) -> None:
    uploads.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(uploads).free
    if needed > free:
        full = TooLarge(f"The zip needs {_size(needed)} on this server's disk, where {_size(free)} are free.")
        raise full.known_as("load.zip_disk", size=_size(needed), free=_size(free))


# --- reading it -------------------------------------------------------------------------------------------------------


def _unpacked(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], home: Path, limits: Limits) -> Path:
    """Write every member beside `home`, then rename: half an upload never bears the name of a whole one."""
    try:
        with new_folder(home, replaces=False, clearable=True) as stage:
            left = limits.total_bytes
            for member in members:
                target = stage / member.orig_filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with _reading():
                    packed = archive.open(member)
                with packed:
                    left -= _write(packed, target, min(left, member.file_size), member.orig_filename)
        return home
    except OSError:
        if home.is_dir():
            return home  # another upload of the same file was quicker
        raise


def _write(packed: IO[bytes], target: Path, promised: int, name: str) -> int:
    """Copy at most `promised` bytes; gives how many it was. Raises TooLarge when more come than were promised."""
    written = 0
    with target.open("xb") as file:
        while piece := _piece(packed):
            written += len(piece)
            if written > promised:
                lies = TooLarge(f"{name!r} in the zip is larger than its table of contents says: not unpacked.")
                raise lies.known_as("load.zip_lies", name=repr(name))
            file.write(piece)
    return written


def _piece(packed: IO[bytes]) -> bytes:
    with _reading():
        return packed.read(CHUNK)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in _pieces(file):
            digest.update(piece)
    return digest.hexdigest()


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GB" if count >= 1024**3 else f"{count / 1024**2:.1f} MB"
