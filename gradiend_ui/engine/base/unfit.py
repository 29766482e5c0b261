"""Base models that load and yet are none to rewrite: with an adapter beside them, quantized, or with broken numbers.

transformers opens them without a word, or fails late: an adapter is passed over, steps of a rewrite vanish in eight
bits, and NaN in a weight makes every probability NaN. Each is one sentence here, before anything is scored. Knows
names of files, headers and parameters; loads nothing, not even PyTorch (uploads are looked at without it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.files.safetensors_header import TensorInfo

Model = Any
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILE = re.compile(r"adapter_config\.json|adapter_model(-\d+-of-\d+)?\.(safetensors|bin)|adapters\.safetensors")
QUANTIZED = ("quantization_config", "compression_config")
QUANTIZED_FILES = ("quantize_config.json", "quant_config.json")
PACKED = re.compile(r".*(\.|_)(qweight|qzeros|weight_packed|SCB|absmax|quant_map|weight_scale(_inv)?|weight_format)")
"""Tensors that only quantized layers have, as GPTQ, AWQ, bitsandbytes, compressed-tensors and FP8 call them."""
WHOLE_NUMBERS = ("I8", "U8", "I16", "I32", "I64", "U16", "U32", "U64")


def check_no_adapter(names: Iterable[str], name: str) -> None:
    """Raises BadBase where one of the files `names` is an adapter's; name: what a sentence calls the model."""
    found = sorted(file for file in names if ADAPTER_FILE.fullmatch(file))
    if found:
        raise BadBase(
            f"{name!r} holds an adapter beside the model ({found[0]}), which is not read: merge it into the model, "
            "save that, and give its folder."
        ).known_as("load.base_adapter", name=name, file=found[0])


def check_not_quantized(config: Mapping[str, Any], name: str) -> None:
    """Raises BadBase for a config.json that asks for quantized weights."""
    for field in QUANTIZED:
        stated = config.get(field)
        if stated is not None:
            method = stated.get("quant_method") if isinstance(stated, Mapping) else None
            raise _quantized(name, f"{field}, {method}" if isinstance(method, str) else field)


def check_no_quantized_files(names: Iterable[str], stored: Iterable[tuple[str, TensorInfo]], name: str) -> None:
    """The same where config.json does not tell: by the `names` of the files and what the weights hold."""
    for file in sorted(set(names).intersection(QUANTIZED_FILES)):
        raise _quantized(name, file)
    for tensor, info in stored:
        if PACKED.fullmatch(tensor):
            raise _quantized(name, tensor)
        if tensor.endswith(".weight") and info.dtype in WHOLE_NUMBERS:
            raise _quantized(name, f"{tensor}, {info.dtype}")


def _quantized(name: str, how: str) -> BadBase:
    how = how if len(how) <= 80 else shown(how)
    return BadBase(
        f"The base model {name!r} is quantized ({how}), and its weights cannot take the small steps of a rewrite: give "
        "the model as it was before it was quantized."
    ).known_as("load.base_quantized", name=name, how=how)


def check_finite_weights(model: Model, name: str) -> None:
    """Raises BadBase with the first parameter that holds NaN or an infinite number.

    A sum over each tensor, which is not finite where one of its numbers is not: every weight is read once, in a small
    part of the time that loading takes.
    """
    for tensor, parameter in model.named_parameters():
        if parameter.is_meta or not parameter.is_floating_point() or _is_finite(parameter.detach()):
            continue
        broken = int((~parameter.detach().isfinite()).sum())
        raise BadBase(
            f"{broken:,} weights of {tensor} in the base model {name!r} are no finite numbers (NaN or infinite): "
            "it says nothing at all. Download or save it again."
        ).known_as("load.base_not_finite", count=f"{broken:,}", tensor=tensor, name=name)


def _is_finite(values: Any) -> bool:
    """Whether all numbers of a tensor are. The sum may be too large though every one is: then each is looked at."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
