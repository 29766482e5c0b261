"""What a checkpoint's config.json says: the architecture and the parameter map, checked.

Knows JSON values and shapes only; no files, no tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gradiend_ui.engine.errors import BadCheckpoint, shown
from gradiend_ui.engine.files.safetensors_header import MAX_DIMENSIONS, MAX_NAME

KINDS = ("all", "mask", "indices")
ACTIVATION_FIELDS = ("activation_encoder", "activation_decoder")
MAX_SIZE = 2**40
MAX_DTYPE_NAME = 40
ENCODER_WEIGHT, ENCODER_BIAS = "encoder.0.linear.weight", "encoder.0.linear.bias"
DECODER_WEIGHT, DECODER_BIAS = "decoder.0.linear.weight", "decoder.0.linear.bias"
ENCODER_NORM = ("encoder.1.weight", "encoder.1.bias")  # only with the encoder activation "id"
ACTIVATIONS = ("tanh", "relu", "leakyrelu", "gelu", "silu", "elu", "sigmoid", "smht", "id")


@dataclass(frozen=True, slots=True)
class Architecture:
    """Shape of the encoder (latent_dim, input_dim) and decoder (input_dim, latent_dim)."""

    input_dim: int
    latent_dim: int
    activation_encoder: str = "tanh"
    activation_decoder: str = "id"
    bias_decoder: bool = True
    torch_dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One mapped parameter: which of its entries feed the GRADIEND's input, in `param_map` order.

    kind "all": every entry; "mask" / "indices": `num_selected` of them, stored under `key` in the mapping files.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    key: str | None
    num_selected: int

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


def check_shapes(
    file: str, shapes: Mapping[str, tuple[int, ...]], architecture: Architecture, encoder_bias: bool | None
) -> None:
    """Raises BadCheckpoint unless the tensors of a weights file are those of the architecture.

    encoder_bias: whether the encoder has one; None takes it where it is there.
    """
    n, latent = architecture.input_dim, architecture.latent_dim
    expected: dict[str, tuple[int, ...]] = {
        ENCODER_WEIGHT: (latent, n),
        DECODER_WEIGHT: (n, latent),
    }
    if encoder_bias or (encoder_bias is None and ENCODER_BIAS in shapes):
        expected[ENCODER_BIAS] = (latent,)
    if architecture.bias_decoder:
        expected[DECODER_BIAS] = (n,)
    for name, shape in expected.items():
        if name not in shapes:
            raise BadCheckpoint(f"{file} has no tensor {name!r}.").known_as(
                "load.no_tensor", file=file, name=repr(name)
            )
        if shapes[name] != shape:
            told = BadCheckpoint(f"{file}: {name} has shape {shapes[name]}, config.json needs {shape}.")
            raise told.known_as("load.wrong_shape", file=file, name=name, shape=str(shapes[name]), needed=str(shape))
    norm = dict.fromkeys(ENCODER_NORM, (latent,)) if architecture.activation_encoder == "id" else {}
    for name, shape in shapes.items():
        if name not in expected and name not in norm:
            raise BadCheckpoint(f"{file} holds {shown(name)}, which the architecture in config.json does not have.")
        if name in norm and shape != norm[name]:
            raise BadCheckpoint(f"{file}: {name} has shape {shape}, the architecture in config.json has {norm[name]}.")


def describes_gradiend(config: object) -> bool:
    """Whether the content of a config.json is a GRADIEND's; that of a base model has no mapping."""
    return isinstance(config, dict) and "architecture" in config and "mapping" in config


def representation(numel: int, count: int) -> str:
    """How `count` mapped entries of a parameter with `numel` entries are stored: "all", "indices" or "mask".

    Indices (4 bytes each, 8 from 2^31 entries on) where they take less than 0.8 of a mask's bytes: the rule of the
    `gradiend` package, so that both write the same files. An empty selection is an empty list of indices.
    """
    if count == numel:
        return "all"
    return "indices" if count * (4 if numel < 2**31 else 8) < 0.8 * numel else "mask"


def parse_architecture(data: object) -> Architecture:
    """The checked `architecture` object of config.json, with the format's defaults for what it leaves out.

    Raises BadCheckpoint for dimensions that are no positive whole numbers and for unknown activations.
    """
    if not isinstance(data, Mapping):
        raise BadCheckpoint("config.json: architecture must be an object.")
    for name in ("input_dim", "latent_dim"):
        value = data.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadCheckpoint(f"config.json: architecture.{name} must be a whole number from 1, not {shown(value)}.")
    for name in ACTIVATION_FIELDS:
        if not isinstance(data.get(name), (str, type(None))):
            raise BadCheckpoint(f"config.json: architecture.{name} must be a name, not {shown(data[name])}.")
    encoder = str(data.get("activation_encoder") or "tanh").lower()
    decoder = str(data.get("activation_decoder", "id") or encoder).lower()
    for name, value in (("activation_encoder", encoder), ("activation_decoder", decoder)):
        if value not in ACTIVATIONS:
            raise BadCheckpoint(f"config.json: architecture.{name} {shown(value)} is none of {', '.join(ACTIVATIONS)}.")
    bias = data.get("bias_decoder", True)
    if not isinstance(bias, bool):
        raise BadCheckpoint(f"config.json: architecture.bias_decoder must be true or false, not {shown(bias)}.")
    return Architecture(
        input_dim=data["input_dim"],
        latent_dim=data["latent_dim"],
        activation_encoder=encoder,
        activation_decoder=decoder,
        bias_decoder=bias,
        torch_dtype=_dtype_name(data.get("torch_dtype", "float32")),
    )


def _dtype_name(stated: object) -> str:
    if not isinstance(stated, str) or len(stated) > MAX_DTYPE_NAME:
        raise BadCheckpoint(f"config.json: architecture.torch_dtype must be a dtype's name, not {shown(stated)}.")
    return stated


def parse_entries(mapping: object, input_dim: int) -> tuple[MapEntry, ...]:
    """The checked `mapping.param_map` of config.json, in its order; together its entries select `input_dim` weights.

    Raises BadCheckpoint with the parameter whose name, shape, repr, key or count does not fit.
    """
    param_map = mapping.get("param_map") if isinstance(mapping, Mapping) else None
    if not isinstance(param_map, list) or not param_map:
        raise BadCheckpoint("config.json: mapping.param_map must be a list of parameters.")
    entries = tuple(_entry(data) for data in param_map)
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise BadCheckpoint("config.json: mapping.param_map names a parameter twice.")
    total = sum(entry.num_selected for entry in entries)
    if total != input_dim:
        raise BadCheckpoint(f"config.json: the parameter map selects {total:,} weights, input_dim is {input_dim:,}.")
    return entries


def _entry(data: object) -> MapEntry:
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise BadCheckpoint("config.json: every entry of mapping.param_map needs a name.")
    name, shape, kind = data["name"], data.get("shape"), data.get("repr")
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise BadCheckpoint(f"config.json: mapping.param_map holds {shown(name)}, which is no parameter's name.")
    sizes = shape if isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS else [0]
    if not all(type(size) is int and 0 < size <= MAX_SIZE for size in sizes):
        raise BadCheckpoint(f"config.json: parameter {name!r} has the shape {str(shape)[:80]}.")
    shape = sizes
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadCheckpoint(f"config.json: parameter {name!r} has repr {shown(kind)}; known: {', '.join(KINDS)}.")
    numel = math.prod(shape)
    count = numel if kind == "all" else data.get("num_selected")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= numel:
        raise BadCheckpoint(f"config.json: parameter {name!r} selects {shown(count)} of {numel:,} weights.")
    key = data.get("key")
    if kind != "all" and not isinstance(key, str):
        raise BadCheckpoint(f"config.json: parameter {name!r} names no key in the mapping file.")
    return MapEntry(name, tuple(shape), kind, key if kind != "all" else None, count)
