"""Between the GRADIEND's flat vector and the base model's named parameters.

Knows modules and tensors, no weights of a GRADIEND. Matching is by name, tolerating the prefixes that training
wrappers add and suffixes that name one parameter only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from gradiend_ui.engine.checkpoint_config import MapEntry
from gradiend_ui.engine.errors import BadBase

WRAPPER_PREFIXES = ("module.", "_orig_mod.")


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
    """Find each mapped parameter in `model`, in map order. Tied weights are one parameter and appear once.

    Raises BadBase when a name is unknown or ambiguous, when a shape differs, or when two names mean one tensor.
    """
    own = dict(model.named_parameters())
    aliases = _aliases(own)
    matched: list[MappedParameter] = []
    seen: dict[str, str] = {}
    start = 0
    for entry in entries:
        name = aliases.get(entry.name) or aliases.get(_strip_wrappers(entry.name))
        if name is None:
            raise BadBase(
                f"The base model has no parameter {entry.name!r}, which the GRADIEND maps: "
                "this GRADIEND was trained on another architecture. Give the base model it was trained on."
            )
        if tuple(own[name].shape) != entry.shape:
            raise BadBase(
                f"Parameter {entry.name!r} has shape {tuple(own[name].shape)} in the base model, "
                f"{entry.shape} in the GRADIEND. Give the base model it was trained on."
            )
        if name in seen:
            raise BadBase(f"{entry.name!r} and {seen[name]!r} are one tensor in the base model: it would change twice.")
        seen[name] = entry.name
        stop = start + entry.num_selected
        matched.append(MappedParameter(name, positions.get(entry.name), start, stop))
        start = stop
    return tuple(matched)


def _strip_wrappers(name: str) -> str:
    while name.startswith(WRAPPER_PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _aliases(own: Mapping[str, nn.Parameter]) -> dict[str, str]:
    """{spelling: the model's own name}; exact names win over stripped ones, those over unambiguous suffixes."""
    aliases = {name: name for name in own}
    suffixes: dict[str, set[str]] = {}
    for name in own:
        stripped = _strip_wrappers(name)
        aliases.setdefault(stripped, name)
        pieces = stripped.split(".")
        for cut in range(1, len(pieces) - 1):
            suffixes.setdefault(".".join(pieces[cut:]), set()).add(name)
    for suffix, names in suffixes.items():
        if len(names) == 1:
            aliases.setdefault(suffix, next(iter(names)))
    return aliases
