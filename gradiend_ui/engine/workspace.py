"""The rewritten twin of a base model, for any cell, without ever touching the base.

A twin shares every untouched tensor with the base and owns copies of the touched ones only. Each write starts from
the base's values: nothing accumulates, nothing has to be restored. Knows parameters and updates, no scoring.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradiend_ui.engine.param_map import MappedParameter

Model = Any


class Workspace:
    """One scratch copy of the touched parameters of `base_model`.

    Memory beyond the base: the touched parameters once, and the mapped base values once for pruned GRADIENDs.
    """

    def __init__(self, base_model: Model, mapped: Sequence[MappedParameter]) -> None:
        self.base_model = base_model
        self._mapped = tuple(mapped)
        self._twin = twin_of(base_model, {parameter.name for parameter in mapped})
        self._originals = mapped_values(dict(base_model.named_parameters()), mapped)
        self._written: tuple[int, float] | None = None
        self._update: Tensor | None = None

    def rewritten(self, update: Tensor, learning_rate: float) -> Model:
        """The twin holding `base + learning_rate * update`; valid until the next call. `update` is (input_dim,)."""
        if self._written != (id(update), learning_rate):
            self._written = None  # an interrupted write leaves no claim behind
            write_update(dict(self._twin.named_parameters()), self._originals, self._mapped, update, learning_rate)
            self._update = update  # kept alive, so that its id cannot be reused
            self._written = (id(update), learning_rate)
        return self._twin


def twin_of(model: Model, touched: set[str]) -> Model:
    """A copy of `model` that owns its `touched` parameters and shares all other parameters and buffers."""
    shared: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    shared |= {id(p): p for name, p in model.named_parameters() if name not in touched}
    twin = copy.deepcopy(model, shared)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name in touched:
                parameter.add_(0.0)  # -0.0 becomes 0.0, as adding a zero update does in the reference
    return twin


def mapped_values(parameters: Mapping[str, nn.Parameter], mapped: Sequence[MappedParameter]) -> tuple[Tensor, ...]:
    """The mapped entries of each parameter, flat (stop - start,); views where the whole parameter is mapped."""
    with torch.no_grad():
        return tuple(
            parameters[part.name].reshape(-1)
            if part.positions is None
            else parameters[part.name].reshape(-1)[part.positions.to(parameters[part.name].device)]
            for part in mapped
        )


@torch.no_grad()
def write_update(
    parameters: Mapping[str, nn.Parameter],
    originals: Sequence[Tensor],
    mapped: Sequence[MappedParameter],
    update: Tensor,
    learning_rate: float,
) -> None:
    """Set the mapped entries to `original + learning_rate * update`: product first, then one addition.

    The order of operations and the dtypes are the reference's, so that float32 results are bit-identical to it.
    """
    for part, original in zip(mapped, originals, strict=True):
        parameter = parameters[part.name]
        step = update[part.start : part.stop].to(parameter.device) * learning_rate
        values = (original + step).to(parameter.dtype)
        if part.positions is None:
            parameter.copy_(values.view(parameter.shape))
        else:
            parameter.view(-1).index_copy_(0, part.positions.to(parameter.device), values)
