"""Reading the header of a .safetensors file: what tensors it promises, before any of them is allocated.

Knows nothing of GRADIEND. The library `safetensors` loads the data; this module only refuses, early and in a
sentence, files that are truncated, oversized, or name a tensor twice (which the library accepts).
Source: the format description of safetensors (8 byte little-endian length, JSON header, data).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadCheckpoint

MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_TENSORS = 20_000
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


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
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise BadCheckpoint(f"{path.name} is empty or truncated ({size} bytes): copy the file again.")
        length = int.from_bytes(prefix, "little")
        if length > MAX_HEADER_BYTES or length > size - 8:
            raise BadCheckpoint(f"{path.name} is not a whole safetensors file (its header claims {length:,} bytes).")
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path.name} has an unreadable header: {error}.") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise BadCheckpoint(f"{path.name} has no usable table of tensors.")
    header.pop("__metadata__", None)
    return {name: _tensor_info(path, name, entry, size - 8 - length) for name, entry in header.items()}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _tensor_info(path: Path, name: str, entry: object, data_bytes: int) -> TensorInfo:
    if not isinstance(entry, Mapping):
        raise BadCheckpoint(f"{path.name}: the entry of tensor {name!r} is malformed.")
    dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if dtype not in _ITEM_BYTES or shape is None or offsets is None or len(offsets) != 2:
        raise BadCheckpoint(f"{path.name}: tensor {name!r} has an unreadable dtype, shape or place ({dtype!r}).")
    info = TensorInfo(str(dtype), shape)
    start, stop = offsets
    if stop > data_bytes or stop - start != info.numel * _ITEM_BYTES[info.dtype]:
        raise BadCheckpoint(f"{path.name} is truncated or damaged at tensor {name!r}: copy the file again.")
    return info


def _sizes(value: object) -> tuple[int, ...] | None:
    """A list of non-negative whole numbers as a tuple, None for anything else."""
    if not isinstance(value, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value):
        return None
    return tuple(value)
