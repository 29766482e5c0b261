"""Writing a checkpoint folder that `read_checkpoint` and the `gradiend` package load.

Knows tensors and the format; no base model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gradiend_ui.engine.checkpoint_config import Architecture


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
    Indices are stored where they take less room than a mask of bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".safetensors" if use_safetensors else ".pth"
    indices: dict[str, torch.Tensor] = {}
    masks: dict[str, torch.Tensor] = {}
    param_map: list[dict[str, Any]] = []
    for number, (name, shape) in enumerate(shapes.items()):
        numel = math.prod(shape)
        chosen = positions.get(name)
        entry: dict[str, Any] = {"name": name, "shape": list(shape), "repr": "all", "num_selected": numel}
        if chosen is not None:
            index_dtype = torch.int32 if numel < 2**31 else torch.int64
            as_indices = chosen.numel() * index_dtype.itemsize < 0.8 * numel
            entry |= {"repr": "indices" if as_indices else "mask", "key": f"L{number}", "num_selected": chosen.numel()}
            if as_indices:
                indices[f"L{number}"] = chosen.to(index_dtype)
            else:
                mask = torch.zeros(numel, dtype=torch.uint8)
                mask[chosen] = 1
                masks[f"L{number}"] = mask.reshape(shape)
        param_map.append(entry)
    kinds = sorted({entry["repr"] for entry in param_map})
    mapping: dict[str, Any] = {"mode": kinds[0] if len(kinds) == 1 else "mixed", "param_map": param_map}
    for field_name, stem, tensors in (
        ("indices_file", "mapping_indices", indices),
        ("masks_file", "mapping_masks", masks),
    ):
        if tensors:
            mapping[field_name] = stem + suffix
            _save(folder / mapping[field_name], tensors)
    _save(folder / ("model.safetensors" if use_safetensors else "pytorch_model.bin"), weights)
    config = {
        "format_version": 0,
        "architecture": {name: getattr(architecture, name) for name in Architecture.__slots__},
        "mapping": mapping,
        "metadata": dict(metadata),
    }
    for file_name, content in (("config.json", config), ("gradiend_context.json", dict(context))):
        (folder / file_name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    if training:
        (folder / "training.json").write_text(json.dumps(training, indent=2), encoding="utf-8")


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(contiguous, path)
    else:
        torch.save(contiguous, path)
