"""The number formats of an export: one for all weights, or of each weight that of the base model's files.

The files of some models hold most weights in bfloat16 and a few in float32 (norms, state spaces, routers). They are all
loaded as float32 here, and each goes back to its own format. Knows headers of weights and loaded models; no rewrite.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers.utils import cached_file

from gradiend_ui.engine.base.base_model import Model
from gradiend_ui.engine.errors import BadCheckpoint, Failed
from gradiend_ui.engine.export.model_card import DTYPES, dtype_name
from gradiend_ui.engine.files.json_files import object_at
from gradiend_ui.engine.files.model_files import ANY_WEIGHTS, CONFIG
from gradiend_ui.engine.files.safetensors_header import read_header

OF_HEADERS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def stored_dtypes(model: Model) -> dict[str, torch.dtype]:
    """{weight: its dtype in the files that the model was loaded from}, by the files' names; empty where they are no
    safetensors, or are gone."""
    folder = _folder_of(str(model.name_or_path))
    found: dict[str, torch.dtype] = {}
    for path in sorted(folder.glob(ANY_WEIGHTS)) if folder is not None else ():
        try:
            header = read_header(path)
        except BadCheckpoint:
            return {}
        found |= {name: OF_HEADERS[info.dtype] for name, info in header.items() if info.dtype in OF_HEADERS}
    return found


def usual_dtype(model: Model, stored: Mapping[str, torch.dtype]) -> str:
    """The format of most of the base model's weights as they are stored; by its config.json, or as it is loaded, where
    no file tells."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    counted: Counter[str] = Counter()
    for name, dtype in stored.items():
        counted[dtype_name(dtype)] += sizes.get(name, 1)
    if counted:
        return counted.most_common(1)[0][0]
    folder = _folder_of(str(model.name_or_path))
    config = {} if folder is None else object_at(folder / CONFIG)
    stated = str(config.get("dtype") or config.get("torch_dtype"))
    return stated if stated in DTYPES else dtype_name(model.dtype)


def convert(rewritten: Model, dtype: str, stored: Mapping[str, torch.dtype]) -> Model:
    """The model with its weights converted in place, once each; tied weights stay one.

    dtype: of all that `stored` does not name. Raises Failed where a finite weight would become infinite.
    """
    for name, tensor in (*rewritten.named_parameters(), *rewritten.named_buffers()):
        wanted = stored.get(name, DTYPES[dtype])
        if not tensor.is_floating_point() or tensor.dtype == wanted:
            continue
        largest = torch.finfo(wanted).max
        if bool((tensor.isfinite() & (tensor.abs() > largest)).any()):
            raise Failed(
                f"{name} of the rewrite has weights beyond {largest:g}, the largest {dtype_name(wanted)}: "
                "take bfloat16."
            )
        tensor.data = tensor.data.to(wanted)
    return rewritten


def _folder_of(location: str) -> Path | None:
    """The folder that a model was loaded from: of a Hub id the one in the cache."""
    if os.path.isabs(location) or os.path.isdir(location):
        return Path(location)
    try:
        config = cached_file(location, CONFIG, local_files_only=True)
    except (OSError, ValueError):
        return None
    return None if config is None else Path(config).parent
