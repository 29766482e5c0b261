"""Between the GRADIEND's flat vector and the base model's named parameters.

Matching is by name, tolerating the prefixes that training wrappers add and suffixes that name one parameter only.
Knows modules and tensors; writes no weight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradiend_ui.engine.checkpoint.config import MapEntry
from gradiend_ui.engine.checkpoint.loaded import Trained
from gradiend_ui.engine.errors import BadBase

WRAPPER_PREFIXES = ("module.", "_orig_mod.")
MASK_HEAD_PREFIX = "decoder."


@dataclass(frozen=True)
class MappedParameter:
    """One parameter of a model and its stretch `start:stop` of the flat vector.

    name: as the model calls it. positions: flat int64 positions (stop - start,), None for the whole parameter.
    """

    name: str
    positions: Tensor | None
    start: int
    stop: int


def match_parameters(
    model: nn.Module, entries: Sequence[MapEntry], positions: Mapping[str, Tensor]
) -> tuple[MappedParameter, ...]:
    """Find each mapped parameter in `model`, in map order. Tied weights are one parameter, whichever name is asked.

    Raises BadBase when a name is unknown or ambiguous, when a shape differs, or when two names mean one tensor.
    """
    own = dict(model.named_parameters())
    aliases = _aliases(model)
    matched: list[MappedParameter] = []
    seen: dict[str, str] = {}
    start = 0
    for entry in entries:
        name = aliases.get(entry.name) or aliases.get(_strip_wrappers(entry.name)) or _under_mask_head(entry.name, own)
        if name is None:
            raise BadBase(
                f"The base model has no parameter {entry.name!r}, which the GRADIEND maps: "
                "this GRADIEND was trained on another architecture. Give the base model it was trained on."
            ).known_as("load.no_parameter", name=repr(entry.name))
        if tuple(own[name].shape) != entry.shape:
            here, there = str(tuple(own[name].shape)), str(entry.shape)
            raise BadBase(
                f"Parameter {entry.name!r} has shape {here} in the base model, "
                f"{there} in the GRADIEND. Give the base model it was trained on."
            ).known_as("load.parameter_shape", name=repr(entry.name), here=here, there=there)
        if name in seen:
            raise BadBase(f"{entry.name!r} and {seen[name]!r} are one tensor in the base model: it would change twice.")
        seen[name] = entry.name
        stop = start + entry.num_selected
        matched.append(MappedParameter(name, positions.get(entry.name), start, stop))
        start = stop
    return tuple(matched)


def joined_fingerprint(of_base: str, trained: Trained, mapped: Sequence[MappedParameter]) -> str:
    """sha256 over a base model, as its own fingerprint tells it, a GRADIEND and where that lies in it."""
    digest = hashlib.sha256(of_base.encode())
    digest.update(repr(trained.gradiend.architecture).encode())
    for name, tensor in sorted(trained.gradiend.weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    for part in mapped:
        digest.update(f"{part.name}:{part.start}:{part.stop}".encode())
        if part.positions is not None:
            digest.update(part.positions.contiguous().numpy().data)
    return digest.hexdigest()


def _under_mask_head(name: str, own: Mapping[str, nn.Parameter]) -> str | None:
    """The causal model's own name of a parameter that was named through a mask head; never by a mere suffix, since
    encoder-decoder models have a decoder of their own."""
    stripped = _strip_wrappers(name).removeprefix(MASK_HEAD_PREFIX)
    return stripped if stripped in own else None


def _strip_wrappers(name: str) -> str:
    while name.startswith(WRAPPER_PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _aliases(model: nn.Module) -> dict[str, str]:
    """{spelling: the name in `named_parameters()`}; a tied weight's other names mean the same parameter.

    Exact names win over stripped ones, those over suffixes of at least two pieces that fit one parameter only.
    """
    first_name = {id(parameter): name for name, parameter in model.named_parameters()}
    every = {name: first_name[id(p)] for name, p in model.named_parameters(remove_duplicate=False)}
    aliases = dict(every)
    suffixes: dict[str, set[str]] = {}
    for name, own in every.items():
        stripped = _strip_wrappers(name)
        aliases.setdefault(stripped, own)
        pieces = stripped.split(".")
        for cut in range(1, len(pieces) - 1):
            suffixes.setdefault(".".join(pieces[cut:]), set()).add(own)
    for suffix, names in suffixes.items():
        if len(names) == 1:
            aliases.setdefault(suffix, next(iter(names)))
    return aliases
