"""Two files of weights in one folder: which one was read, and whether the other says something else.

A folder may hold model.safetensors and pytorch_model.bin, whole or in shards; the first is read. Tensors are compared,
not bytes. Knows folders and tensors; neither a GRADIEND nor a base model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.checkpoint import read_tensors
from gradiend_ui.engine.errors import BadCheckpoint

READ, OTHER = "model*.safetensors", "pytorch_model*.bin"
MOST_BYTES = 32 * 1024**3


def twin_warning(folder: Path, what: str, *, public: bool) -> str | None:
    """A sentence where `folder` holds weights twice and they may differ; None where they do not, or there is one.

    what: how the sentence calls the folder. public: pickled files are not opened, so that only their presence is told.
    """
    read, other = _files(folder, READ), _files(folder, OTHER)
    if not read or not other:
        return None
    both = f"{what} holds weights twice, as {read[0].name} and as {other[0].name}"
    if public:
        return f"{both}: {read[0].name} was read, and the other was not looked at."
    if sum(path.stat().st_size for path in (*read, *other)) > MOST_BYTES:
        return f"{both}: {read[0].name} was read, and the two are too large to be compared."
    try:
        difference = first_difference(_tensors(read), _tensors(other))
    except BadCheckpoint as error:
        return f"{both}: {read[0].name} was read; they could not be compared ({error})"
    if difference is None:
        return None
    return f"{both}, and the two differ (at {shown(difference)}): {read[0].name} was read. Remove the wrong one."


def first_difference(read: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor that is not the same in both; None where all are.

    One that only one side names is no difference where it is a copy of another tensor (weights that are tied are stored
    once in the one format, twice in the other) or holds no weights (position numbers).
    """
    for name in sorted({*read, *other}):
        if name in read and name in other:
            if not _same(read[name], other[name]):
                return name
            continue
        alone, known = (read[name], other) if name in read else (other[name], read)
        if alone.is_floating_point() and not any(_same(alone, tensor) for tensor in known.values()):
            return name
    return None


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors hold the same numbers, in whatever precision they are stored; NaN equals NaN."""
    if left.shape != right.shape:
        return False
    kind = torch.promote_types(left.dtype, right.dtype)
    a, b = left.to(kind), right.to(kind)
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except OSError:
        return []


def _tensors(files: list[Path]) -> dict[str, torch.Tensor]:
    return {name: tensor for path in files for name, tensor in read_tensors(path).items()}
