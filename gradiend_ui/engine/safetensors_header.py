"""Reading the header of a .safetensors file: what tensors it promises, before any of them is allocated.

Knows nothing of GRADIEND. The library `safetensors` loads the data; this module only refuses, early and in a
sentence, files that are truncated, oversized, or name a tensor twice (which the library accepts).
Source: the format description of safetensors (8 byte little-endian length, JSON header, data).
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradiend_ui.engine.checked_json import parse_json, shown
from gradiend_ui.engine.errors import BadCheckpoint

MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_TENSORS = 20_000
MAX_DIMENSIONS, MAX_SIZE = 8, 2**48
_VALUES_PER_TENSOR = 12
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One promised tensor: its safetensors dtype name (such as "F32") and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """{tensor name: TensorInfo} of the file at `path`, checked against the file's size.

    Raises BadCheckpoint when the file is no complete, well-formed safetensors file.
    """
    try:
        raw, data_bytes = _raw_header(path)
    except OSError as error:
        raise BadCheckpoint(f"{path.name} cannot be read: {error.strerror}.") from error
    try:
        header = parse_json(raw, max_values=MAX_TENSORS * _VALUES_PER_TENSOR)
    except ValueError as error:
        raise BadCheckpoint(f"{path.name} has an unreadable header: {error}.") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise BadCheckpoint(f"{path.name} has no usable table of tensors (at most {MAX_TENSORS:,} are read).")
    _check_remarks(path, header.pop("__metadata__", None))
    places: list[tuple[int, int, str]] = []
    tensors = {name: _tensor_info(path, name, entry, data_bytes, places) for name, entry in header.items()}
    _check_places(path, sorted(places), data_bytes)
    return tensors


def _raw_header(path: Path) -> tuple[bytes, int]:
    """The header's bytes and how many bytes of data follow. A pipe or device is never waited for."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BadCheckpoint(f"{path.name} is no plain file: copy the weights again.")
        size = status.st_size
        prefix = file.read(8)
        if len(prefix) < 8:
            raise BadCheckpoint(f"{path.name} is empty or truncated ({size} bytes): copy the file again.")
        length = int.from_bytes(prefix, "little")
        if length > MAX_HEADER_BYTES or length > size - 8:
            raise BadCheckpoint(f"{path.name} is not a whole safetensors file (its header claims {length:,} bytes).")
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
        raise BadCheckpoint(f"{path.name} is truncated or damaged at tensor {shown(name)}: copy the file again.")
    places.append((start, stop, name))
    return info


def _sizes(value: object) -> tuple[int, ...] | None:
    """A list of non-negative whole numbers as a tuple, None for anything else."""
    if not isinstance(value, list) or not all(type(size) is int and 0 <= size <= MAX_SIZE for size in value):
        return None
    return tuple(value)
