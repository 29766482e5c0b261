"""Reading the header of a .safetensors file: what tensors it promises, before any of them is allocated.

Knows nothing of GRADIEND. The library `safetensors` loads the data; this module only refuses, early and in a
sentence, files that are truncated, oversized, or name a tensor twice (which the library accepts).
Source: the format description of safetensors (8 byte little-endian length, JSON header, data).
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gradiend_ui.engine.errors import BadCheckpoint, shown
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.file_names import check_stored
from gradiend_ui.engine.files.json_files import parse_json

MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_TENSORS = 20_000
MAX_DIMENSIONS, MAX_SIZE, MAX_NAME = 8, 2**48, 1000
_TENSOR_BYTES = 500
"""About what a checked entry takes in memory."""
_VALUES_PER_TENSOR = 12
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")
_KEPT: Memory[Any] = Memory(48 * 2**20)
_KEPT_LOCK = threading.Lock()
"""Tables that were checked, the newest ones: a load looks at the same files several times."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One promised tensor: its safetensors dtype name (such as "F32") and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class HeaderLimits:
    """The most that is read: bytes and tensors, of one file or of all files of a model together."""

    bytes: int = MAX_HEADER_BYTES
    tensors: int = MAX_TENSORS

    def less(self, used: int, tensors: int) -> HeaderLimits:
        """What is left for further files of the same model."""
        return HeaderLimits(max(0, self.bytes - used), max(0, self.tensors - tensors))


LIMITS = HeaderLimits()
STRANGERS_LIMITS = HeaderLimits(bytes=1024 * 1024, tensors=3000)
"""Of a whole model. Those of 1.5 billion weights have some 700 tensors and tables of some 90 kB."""


def read_header(path: Path, limits: HeaderLimits = LIMITS) -> Mapping[str, TensorInfo]:
    """{tensor name: TensorInfo} of the file at `path`, checked against the file's size.

    A table that was checked before, byte for byte, is not checked again. Raises BadCheckpoint when the file is no
    complete, well-formed safetensors file, or its table is larger than `limits`.
    """
    try:
        raw, data_bytes = _raw_header(path, limits)
    except OSError as error:
        raise BadCheckpoint(f"{path.name} cannot be read: {error.strerror}.") from error
    tensors = _checked(path, raw, data_bytes)
    if len(tensors) > limits.tensors:
        raise _too_many(path, limits.tensors)
    return tensors


def header_bytes(path: Path) -> int:
    """How long the table of a file says it is. Raises OSError."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little")


def _checked(path: Path, raw: bytes, data_bytes: int) -> Mapping[str, TensorInfo]:
    """The checked table. One that is kept is found by its whole content: nothing old can stand for something new."""
    key = (hashlib.blake2b(raw).digest(), data_bytes)
    with _KEPT_LOCK:
        known: Mapping[str, TensorInfo] | None = _KEPT.get(key)
    if known is not None:
        return known
    try:
        header = parse_json(raw, max_values=MAX_TENSORS * _VALUES_PER_TENSOR)
    except ValueError as error:
        raise BadCheckpoint(f"{path.name} has an unreadable header: {error}.") from error
    if not isinstance(header, dict):
        raise BadCheckpoint(f"{path.name} has no usable table of tensors.")
    _check_remarks(path, header.pop("__metadata__", None))
    if len(header) > MAX_TENSORS:
        raise _too_many(path, MAX_TENSORS)
    places: list[tuple[int, int, str]] = []
    tensors = {name: _tensor_info(path, name, entry, data_bytes, places) for name, entry in header.items()}
    _check_places(path, sorted(places), data_bytes)
    found = MappingProxyType(tensors)
    with _KEPT_LOCK:
        _KEPT.keep(key, found, len(raw) + _TENSOR_BYTES * len(tensors))
    return found


def _too_many(path: Path, most: int) -> BadCheckpoint:
    return BadCheckpoint(f"{path.name} names more tensors than are read (at most {most:,}).")


def _raw_header(path: Path, limits: HeaderLimits) -> tuple[bytes, int]:
    """The header's bytes and how many bytes of data follow. A pipe or device is never waited for."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        try:
            check_stored(status)
        except ValueError as error:
            raise BadCheckpoint(f"{path.name} cannot be read: {error}. Copy the weights again.") from error
        size = status.st_size
        prefix = file.read(8) if size else b""
        if len(prefix) < 8:
            empty = BadCheckpoint(f"{path.name} is empty or truncated ({size} bytes): copy the file again.")
            raise empty.known_as("load.header_empty", file=path.name, size=size)
        length = int.from_bytes(prefix, "little")
        if length > MAX_HEADER_BYTES or length > size - 8:
            raise BadCheckpoint(
                f"{path.name} is not a whole safetensors file (its header claims {length:,} bytes)."
            ).known_as("load.header_not_whole", file=path.name, size=f"{length:,}")
        if length > limits.bytes:
            raise BadCheckpoint(
                f"{path.name} has a table of tensors of {length:,} bytes, and {limits.bytes:,} are read here: save the "
                "model in one file, with short names."
            )
        return file.read(length), size - 8 - length


def _check_remarks(path: Path, remarks: object) -> None:
    if remarks is not None and not (
        isinstance(remarks, Mapping) and all(isinstance(text, str) for text in remarks.values())
    ):
        raise BadCheckpoint(f"{path.name}: __metadata__ of its header must hold texts only.")


def _check_places(path: Path, places: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Raises BadCheckpoint unless the tensors follow one another without overlap or gap, up to the end of the file."""
    end = 0
    for start, stop, name in places:
        if start != end:
            kind = "overlaps another one" if start < end else "leaves a gap before it"
            raise BadCheckpoint(f"{path.name} is damaged: tensor {shown(name)} {kind}.")
        end = stop
    if end != data_bytes:
        raise BadCheckpoint(f"{path.name} holds {data_bytes - end:,} bytes that belong to no tensor: copy it again.")


def _tensor_info(
    path: Path, name: str, entry: object, data_bytes: int, places: list[tuple[int, int, str]]
) -> TensorInfo:
    """The checked entry; where its bytes lie is added to `places`."""
    if len(name) > MAX_NAME:
        raise BadCheckpoint(f"{path.name}: the name of tensor {shown(name)} is longer than {MAX_NAME:,} characters.")
    if not isinstance(entry, Mapping):
        raise BadCheckpoint(f"{path.name}: the entry of tensor {shown(name)} is malformed.")
    dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    known = isinstance(dtype, str) and dtype in _ITEM_BYTES
    if not known or shape is None or len(shape) > MAX_DIMENSIONS or offsets is None or len(offsets) != 2:
        raise BadCheckpoint(
            f"{path.name}: tensor {shown(name)} has an unreadable dtype, shape or place ({shown(dtype)})."
        )
    info = TensorInfo(str(dtype), shape)
    start, stop = offsets
    if stop > data_bytes or stop - start != info.numel * _ITEM_BYTES[info.dtype]:
        raise BadCheckpoint(
            f"{path.name} is truncated or damaged at tensor {shown(name)}: copy the file again."
        ).known_as("load.header_truncated", file=path.name, tensor=shown(name))
    places.append((start, stop, name))
    return info


def _sizes(value: object) -> tuple[int, ...] | None:
    """A list of non-negative whole numbers as a tuple, None for anything else."""
    if not isinstance(value, list) or not all(type(size) is int and 0 <= size <= MAX_SIZE for size in value):
        return None
    return tuple(value)
