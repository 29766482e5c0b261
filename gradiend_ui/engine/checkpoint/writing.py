"""Writing a checkpoint folder that `read_checkpoint` and the `gradiend` package load.

The folder is built beside its place and then swapped in: whole or absent, and a checkpoint that is saved over itself
is never half old. Knows tensors and the format; no base model.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from gradiend_ui.engine.checkpoint.config import Architecture, describes_gradiend, representation
from gradiend_ui.engine.errors import BadName, Failed
from gradiend_ui.engine.files.file_names import WHY, followed, is_device
from gradiend_ui.engine.files.model_files import WEIGHTS_FILES
from gradiend_ui.engine.files.whole_or_absent import (
    new_folder,
    with_advice,
)

OWN_FILES = frozenset(
    {
        *WEIGHTS_FILES,
        *(f"mapping_{kind}{suffix}" for kind in ("indices", "masks") for suffix in (".safetensors", ".pth")),
        "config.json",
        "gradiend_context.json",
        "training.json",
    }
)
"""What a checkpoint consists of. Saving over one removes those it no longer has, and keeps every other file."""


def save_checkpoint(
    folder: Path,
    *,
    architecture: Architecture,
    weights: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    positions: Mapping[str, torch.Tensor],
    metadata: Mapping[str, Any],
    context: Mapping[str, Any],
    training: Mapping[str, Any] | None = None,
    use_safetensors: bool = True,
) -> None:
    """Write a checkpoint folder that `read_checkpoint` and the `gradiend` package load.

    shapes: {parameter name: shape} in map order; positions: {parameter name: flat int64 positions}, absent = all.
    use_safetensors: False writes pytorch_model.bin and mapping_*.pth, as the reference does. A folder that exists
    already keeps its other files; its old checkpoint files go.
    Raises BadName when `folder` is a file or holds another model, Failed when the disk refuses; the old content is
    untouched then.
    """
    folder = checked_place(folder)
    try:
        with new_folder(folder) as partial:
            mapping = _write_mapping(partial, shapes, positions, ".safetensors" if use_safetensors else ".pth")
            _save(partial / WEIGHTS_FILES[0 if use_safetensors else 1], weights)
            config = {
                "format_version": 0,
                "architecture": {name: getattr(architecture, name) for name in Architecture.__slots__},
                "mapping": mapping,
                "metadata": dict(metadata),
            }
            _write_json(partial / "config.json", config)
            _write_json(partial / "gradiend_context.json", context)
            if training:
                _write_json(partial / "training.json", training)
            carry_over(folder, partial)
    except (OSError, SafetensorError) as error:  # the second is how safetensors reports a full disk
        raise Failed(f"The checkpoint could not be written: {with_advice(error)}") from error


def checked_place(folder: Path) -> Path:
    """The folder a checkpoint may be written to, links followed: what they point to is replaced, the link stays.

    Raises BadName when it cannot be made, is a file, or holds a model that is no GRADIEND, which would be lost.
    """
    if is_device(folder.name):
        raise BadName(f"{folder.name!r} {WHY} a folder: choose another name.")
    try:
        folder = followed(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and not folder.is_dir():
            raise BadName(f"{folder.name!r} is a file: give the name of a folder.")
    except OSError as error:
        raise BadName(f"{folder.name[:80]!r} cannot be made there: {error.strerror or error}.") from error
    config = folder / "config.json"
    if not config.is_file():
        return folder
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if isinstance(content, dict) and not describes_gradiend(content):
        raise BadName(f"{folder.name!r} holds another model, which a GRADIEND would overwrite: give another folder.")
    return folder


def _write_mapping(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], positions: Mapping[str, torch.Tensor], suffix: str
) -> dict[str, Any]:
    """Write the mapping files and return the `mapping` object of config.json."""
    tensors: dict[str, dict[str, torch.Tensor]] = {"indices": {}, "mask": {}}
    param_map: list[dict[str, Any]] = []
    for number, (name, shape) in enumerate(shapes.items()):
        numel = math.prod(shape)
        chosen = positions.get(name)
        kind = "all" if chosen is None else _kind(numel, chosen)
        entry: dict[str, Any] = {"name": name, "shape": list(shape), "repr": kind}
        if kind == "all" or chosen is None:
            entry["num_selected"] = numel
        else:
            entry |= {"key": f"L{number}", "num_selected": chosen.numel()}
            tensors[kind][f"L{number}"] = _stored(chosen, kind, shape)
        param_map.append(entry)
    kinds = sorted({entry["repr"] for entry in param_map})
    mapping: dict[str, Any] = {"mode": kinds[0] if len(kinds) == 1 else "mixed", "param_map": param_map}
    for field_name, stem, kind in (
        ("indices_file", "mapping_indices", "indices"),
        ("masks_file", "mapping_masks", "mask"),
    ):
        if tensors[kind]:
            mapping[field_name] = stem + suffix
            _save(folder / mapping[field_name], tensors[kind])
    return mapping


def _kind(numel: int, chosen: torch.Tensor) -> str:
    """The usual rule; but positions out of order stay indices, because "all" and a mask have no order of their own."""
    ascending = chosen.numel() < 2 or bool((chosen[1:] > chosen[:-1]).all())
    return representation(numel, chosen.numel()) if ascending else "indices"


def _stored(chosen: torch.Tensor, kind: str, shape: tuple[int, ...]) -> torch.Tensor:
    numel = math.prod(shape)
    if kind == "indices":
        return chosen.to(torch.int32 if numel < 2**31 else torch.int64)
    mask = torch.zeros(numel, dtype=torch.uint8)
    mask[chosen] = 1
    return mask.reshape(shape)


def carry_over(folder: Path, partial: Path) -> None:
    """Have `partial`, which will replace `folder`, hold the files there that are no checkpoint's. Raises OSError."""
    for kept in folder.iterdir() if folder.is_dir() else ():
        if kept.name not in OWN_FILES:
            _carry_over(kept, partial / kept.name)


def _carry_over(source: Path, target: Path) -> None:
    """The same file or tree under another name, without copying data where the file system knows hard links."""
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)
    else:
        _link_or_copy(str(source), str(target))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(dict(content), indent=2), encoding="utf-8")


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(contiguous, path)
    else:
        save_pickled(contiguous, path)


def save_pickled(content: Mapping[str, Any], path: Path) -> None:
    """`torch.save`, where a disk that refuses is an OSError, as it is everywhere else."""
    try:
        torch.save(content, path)
    except RuntimeError as error:  # the stream's or the archive's, without the system's reason
        raise OSError(errno.EIO, "The disk takes no more") from error
