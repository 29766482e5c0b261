"""The number formats of an export: one for all weights, or of each weight that of the base model's files.

The files of some models hold most weights in bfloat16 and a few in float32 (norms, state spaces, routers). They are all
loaded as float32 here, and each goes back to its own format. Knows headers of weights and loaded models; no rewrite.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers.utils import cached_file

from gradiend_ui.engine.base.base_model import Model
from gradiend_ui.engine.base.loading import pickled_formats
from gradiend_ui.engine.errors import BadCheckpoint, Failed
from gradiend_ui.engine.export.model_card import DTYPES, dtype_name
from gradiend_ui.engine.files.json_files import object_at
from gradiend_ui.engine.files.model_files import ANY_PICKLED_WEIGHTS, ANY_WEIGHTS, CONFIG
from gradiend_ui.engine.files.safetensors_header import read_header

OF_A_NORM = {"gamma": ".weight", "beta": ".bias"}
OF_HEADERS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def stored_dtypes(model: Model) -> dict[str, torch.dtype]:
    """{weight: its dtype in the files that the model was loaded from}, by the model's names; empty where they are
    damaged, or are gone."""
    folder = _folder_of(str(model.name_or_path))
    if folder is None:
        return {}
    found: dict[str, torch.dtype] = {}
    for path in sorted(folder.glob(ANY_WEIGHTS)):
        try:
            header = read_header(path)
        except BadCheckpoint:
            return {}
        found |= {name: OF_HEADERS[info.dtype] for name, info in header.items() if info.dtype in OF_HEADERS}
    for path in () if found else sorted(folder.glob(ANY_PICKLED_WEIGHTS)):
        found |= {name: dtype for name, dtype in pickled_formats(path).items() if dtype in OF_HEADERS.values()}
    return _by_own_names(model, found)


def _by_own_names(model: Model, found: Mapping[str, torch.dtype]) -> dict[str, torch.dtype]:
    """The same by the names that the loaded model has for its weights: files may leave out, or put before, the name of
    the model around the layers (GPT-2 on the Hub), and old ones have other names for the parts of a norm."""
    prefix = f"{model.base_model_prefix}."
    own = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    named: dict[str, torch.dtype] = {}
    for stored, dtype in found.items():
        name = re.sub(r"\.(gamma|beta)$", lambda end: OF_A_NORM[end[1]], stored)
        names = (stored, name, prefix + name, name.removeprefix(prefix))
        named[next((one for one in names if one in own), stored)] = dtype
    return named


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
