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
ADAPTER_FILE = re.compile(
    r"adapter_config\.json|adapter_model(-\d+-of-\d+)?\.(safetensors|bin)|adapters?\.safetensors"
    r"|pytorch_adapter(_fusion)?\.bin|adapter_fusion_config\.json"
)
"""As PEFT, MLX and the adapters library call them."""
OF_PEFT = (
    r"lora_(embedding_)?[AB]|lora_magnitude_vector|loras|base_layer|modules_to_save|original_module|ia3_l|"
    r"hada_w[12]_[ab]|lokr_w[12](_[ab])?|oft_[rR]|vera_lambda_[bd]"
)
ADAPTER_PART = re.compile(rf"(.*\.)?({OF_PEFT})(\..*)?")
"""A weight of an adapter that lies around the layers of a model."""
ADAPTER_TENSOR = re.compile(
    rf"(.*\.)?({OF_PEFT}|lora_(down|up)|adapters?|adapter_(down|up)|adapter_fusion_layer|prefix_tuning|"
    r"prompt_(tuning|encoder))(\..*)?"
)
"""Weights of an adapter that was saved with the model and not merged into it."""
QUANTIZED = ("quantization_config", "compression_config")
QUANTIZED_FILES = (
    "quantize_config.json", "quant_config.json", "hf_quant_config.json", "quanto_qmap.json", "quantization_map.json",
)  # fmt: skip
PACKED = re.compile(r".*(\.|_)(qweight|qzeros|weight_packed|SCB|absmax|quant_map|weight_scale(_inv|_2)?|weight_format)")
"""Tensors that only quantized layers have, as GPTQ, AWQ, bitsandbytes, compressed-tensors and FP8 call them."""
IN_PLACE_OF_WEIGHT = re.compile(
    r"(\.|_)(scales?|zeros|zero_points?|blocks|codebooks?|codes|g_idx|weight_(shape|zero_point|g_idx|scales)|_data|qdata)"
)
"""What may be a weight of a model's own elsewhere: it counts where it stands in place of a weight that is lacking."""
WHOLE_NUMBERS = ("I8", "U8", "I16", "I32", "I64", "U16", "U32", "U64", "BOOL")
WHOLE_BIASES = ("I8", "I16", "I32")
"""Old files of GPT-2 hold a mask of ones and zeros that they call a bias."""


def check_no_adapter(names: Iterable[str], name: str) -> None:
    """Raises BadBase where one of the files `names` is an adapter's; name: what a sentence calls the model."""
    found = sorted(file for file in names if ADAPTER_FILE.fullmatch(file))
    if found:
        raise BadBase(
            f"{name!r} holds an adapter beside the model ({found[0]}), which is not read: merge it into the model, "
            "save that, and give its folder."
        ).known_as("load.base_adapter", name=name, file=found[0])


def check_nothing_passed_over(tensors: Iterable[str], lacking: Iterable[str], name: str) -> None:
    """Raises BadBase where weights that the files hold and the model has not are an adapter's, or of quantized layers:
    transformers passes them over. tensors: their names; lacking: those of the weights that the files lack."""
    names = sorted(tensors)
    _check_no_adapter_in(names, ADAPTER_TENSOR, name)
    layers = tuple(tensor.removesuffix(".weight") for tensor in lacking if tensor.endswith(".weight"))
    for tensor in names:
        beside = (tensor.removeprefix(layer) for layer in layers if tensor.startswith(layer))
        if PACKED.fullmatch(tensor) or any(map(IN_PLACE_OF_WEIGHT.fullmatch, beside)):
            raise _quantized(name, tensor)


def check_loaded(model: Model, name: str) -> None:
    """The same of a model that is loaded already, and of its configuration."""
    _check_no_adapter_in((tensor for tensor, _ in model.named_parameters()), ADAPTER_PART, name)
    check_not_quantized(model.config.to_dict(), name)
    for tensor, values in (*model.named_parameters(), *model.named_buffers()):
        if tensor.endswith(".weight") and not values.is_floating_point():
            raise _quantized(name, f"{tensor}, {values.dtype}")


def _check_no_adapter_in(tensors: Iterable[str], pattern: re.Pattern[str], name: str) -> None:
    adapter = next((tensor for tensor in tensors if pattern.fullmatch(tensor)), None)
    if adapter is not None:
        raise BadBase(
            f"The weights of {name!r} hold an adapter that was not merged into the model ({adapter}), which is not "
            "read: merge it, save the model, and take that."
        ).known_as("load.base_adapter_inside", name=name, tensor=adapter)


def check_not_quantized(config: Mapping[str, Any], name: str) -> None:
    """Raises BadBase for a config.json that asks for quantized weights, of the model or of one inside it."""
    for field in QUANTIZED:
        stated = config.get(field)
        if stated is not None:
            method = stated.get("quant_method") if isinstance(stated, Mapping) else None
            raise _quantized(name, f"{field}, {method}" if isinstance(method, str) else field)
    for field, inner in config.items():
        if field.endswith("_config") and isinstance(inner, Mapping):
            check_not_quantized(inner, name)


def check_no_quantized_files(names: Iterable[str], stored: Iterable[tuple[str, TensorInfo]], name: str) -> None:
    """The same where config.json does not tell: by the `names` of the files and what the weights hold."""
    for file in sorted(set(names).intersection(QUANTIZED_FILES)):
        raise _quantized(name, file)
    held = dict(stored)
    small = {tensor.rpartition(".")[0] for tensor, info in held.items() if info.dtype.startswith("F8")}
    for tensor, info in held.items():
        scaled = "scale" in tensor.rpartition(".")[2] and _layer_of(tensor) in small
        if scaled or PACKED.fullmatch(tensor):
            raise _quantized(name, tensor)
        whole = WHOLE_NUMBERS if tensor.endswith(".weight") else WHOLE_BIASES if tensor.endswith(".bias") else ()
        if info.dtype in whole:
            raise _quantized(name, f"{tensor}, {info.dtype}")


def _layer_of(scale: str) -> str:
    """The layer that a scale belongs to: of "layer.weight.scale" and of "layer.weight_scale"."""
    return scale.rpartition(".")[0].removesuffix(".weight")


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
            f"{tensor} in the base model {name!r} has weights that are no finite numbers, NaN or infinite ({broken:,})"
            ": it says nothing at all. Download or save it again."
        ).known_as("load.base_not_finite", count=f"{broken:,}", tensor=tensor, name=name)


def _is_finite(values: Any) -> bool:
    """Whether all numbers of a tensor are. The sum may be too large though every one is: then each is looked at."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
