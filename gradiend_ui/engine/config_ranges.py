"""How large the numbers in a stranger's config.json may be, measured by the weights that lie beside it.

transformers believes these numbers: it counts labels, layers and groups as it builds a model, and multiplies widths by
fractions, before anything is compared with the weights. What a model's tensors do not need is refused here, before.
Knows names of settings and shapes; builds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.model_fields import CONFIG_FIELDS
from gradiend_ui.engine.safetensors_header import TensorInfo

MOST_LABELS, MOST_POSITIONS, LEAST_WIDTH, MOST_TURNED = 4096, 2**24, 4096, 1e12
"""Labels of a classifier; tokens of a text (Llama 4 has ten million); what any model may say, however narrow it is;
bases of rotary embeddings."""
LABELS = ("id2label", "label2id", "task_specific_params")
"""Bounded where they are made plain; no number in them is a size."""
FRACTIONS = re.compile(r"partial_rotary_factor|rotary_pct|layerdrop|.*(dropout|pdrop)(_prob|_rate)?")
COUNTS = re.compile(
    r"(?!max_window_layers).*(layers?|groups?|group_num|blocks?)|attention_types|.*pattern|.*_every_n_\w+|.*interval"
)
PLACES = re.compile(r".*(position|window|length|n_ctx|local_attention|distance|bucket).*")
TURNED = re.compile(r".*(theta|base|freq).*")
FREE = re.compile(
    r"max_window_layers|.*(token_ids?|index)|.*eps(ilon)?|.*(std|range|factor|scalar|softcapping|clip_qkv|cutoff).*"
)
"""What no memory and no loop is made of: numbers of tokens, and what values are multiplied with or compared to (from
which layer on windows are read; of a model cut out of a deeper one it is still that one's)."""


class Range(NamedTuple):
    """What a number may be, and what it is compared with, in words."""

    least: float
    most: float
    words: str


def check_ranges(config: Mapping[str, Any], stored: Iterable[TensorInfo], most_layers: int, where: str) -> None:
    """Raises BadBase with the field for a number that no model with such weights has.

    stored: what the files beside it hold. most_layers: of any model here. where: such as "config.json of 'base'".
    """
    widths = [width for info in stored for width in info.shape]
    widest = max(widths, default=0)
    read = {name: value for name, value in config.items() if name in CONFIG_FIELDS or name == "num_labels"}
    for name, value in _numbers(read):  # of any other name nothing is made: an owner's seed, steps, tokens
        leaf = name.rpartition(".")[2].partition("[")[0]
        allowed = _range_of(leaf, widest, most_layers)
        if allowed is not None and not allowed.least <= value <= allowed.most:
            raise BadBase(
                f"{where}: {name} must be from {allowed.least:,} to {allowed.most:,} ({allowed.words}), not "
                f"{shown(value)}: give the model as it was saved."
            )
    _check_expanded(config, most_layers, where)
    positions = config.get("max_position_embeddings")
    if config.get("sinusoidal_pos_embds") and type(positions) is int and positions > widest:
        raise BadBase(
            f"{where}: max_position_embeddings is {positions:,}, and no table beside it has so many rows "
            "(sinusoidal_pos_embds): give the model as it was saved."
        )


def _range_of(name: str, widest: int, most_layers: int) -> Range | None:
    if name == "num_labels":
        return Range(0, MOST_LABELS, "labels of a classifier")
    if FRACTIONS.fullmatch(name):
        return Range(0, 1, "a fraction")
    if COUNTS.fullmatch(name):
        return Range(-1, most_layers, "layers")
    if FREE.fullmatch(name):
        return None
    if TURNED.fullmatch(name):
        return Range(0, MOST_TURNED, "the base of an embedding of positions")
    if PLACES.fullmatch(name):
        return Range(-1, MOST_POSITIONS, "tokens of a text")
    return Range(-widest - LEAST_WIDTH, max(widest, LEAST_WIDTH), "the widest tensor beside it")


def _check_expanded(config: Mapping[str, Any], most_layers: int, where: str) -> None:
    """GPT-Neo writes its layers as [[kinds, how often], ...]."""
    types = config.get("attention_types")
    if not isinstance(types, list):
        return
    layers = 0
    for one in types:
        if not (isinstance(one, list) and len(one) == 2 and isinstance(one[0], list) and type(one[1]) is int):
            raise BadBase(f"{where}: attention_types must be pairs of kinds and how often they come, not {shown(one)}.")
        layers += len(one[0]) * one[1]
    if layers > most_layers:
        raise BadBase(f"{where}: attention_types are {layers:,} layers; at most {most_layers} are read.")


def _numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number of the configuration with its place, such as "rope_parameters.factor" or "layers[3]"."""
    if isinstance(value, Mapping):
        for key, inside in value.items():
            if key not in LABELS:
                yield from _numbers(inside, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _numbers(inside, f"{name}[{number}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, value
