"""The rewritten twin of a base model, for any cell, without ever touching the base.

A twin shares every untouched tensor with the base and owns copies of the touched ones only. Each write starts from
the base's values: nothing accumulates, nothing has to be restored. In a lower precision base and twin are rounded
copies, each number rounded once, from its float32 value. Knows parameters and updates, no scoring.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from gradiend_ui.engine.files.machine_memory import available_bytes
from gradiend_ui.engine.values import DEFAULT_PRECISION
from gradiend_ui.engine.weights.lower_layers import LowerLayers, is_proven, lower_layers_of
from gradiend_ui.engine.weights.packed_layers import (
    PackedLinear,
    multiplies_packed,
    pack_linears,
    placeholders,
    read_by_linears_only,
)
from gradiend_ui.engine.weights.parameter_map import MappedParameter
from gradiend_ui.engine.weights.precision import DTYPES, rounded
from gradiend_ui.engine.weights.trial import MISFITS, FewTokens, close, copy_with, shaken

Model = Any


REMEMBERED_SHARE = 4
"""What is computed once below the lowest touched layer takes at most this part of the free memory."""

TRIALS = (1, 2)
"""How often a twin is tried before it is believed, each time with other values in the touched parameters."""
APART = 5  # neighbours get other noise in the second trial, too

PACKING_TAKES = 2
"""How often a model's weights must fit into the free memory for its layers to be packed."""


class Workspace:
    """One scratch copy of the touched parameters of `base_model`, made when it is first needed.

    Memory beyond the base: the touched parameters once, and the mapped base values once for pruned GRADIENDs; what is
    multiplied packed (see `packed_layers`) and not touched lies there once more. In another precision the whole base,
    rounded, instead of sharing it.
    """

    def __init__(
        self,
        base_model: Model,
        mapped: Sequence[MappedParameter],
        precision: str = DEFAULT_PRECISION,
        *,
        plain: bool = False,
    ) -> None:
        """plain: nothing packed and nothing remembered, as a model is used outside of a sweep."""
        self._loaded_model = base_model
        self._mapped = tuple(mapped)
        self._precision = precision
        self._plain = plain
        self._written: tuple[int, float] | None = None
        self._update: Tensor | None = None
        self._base_layers: list[PackedLinear] = []

    @cached_property
    def base_model(self) -> Model:
        """The base model as it is scored: a copy with the loaded model's own tensors, or rounded ones."""
        if self._precision != DEFAULT_PRECISION:
            return copy_with(rounded(self._loaded_model, DTYPES[self._precision]), {})
        model = copy_with(self._loaded_model, {})
        self._base_layers = [layer for own in self._packable(model).values() for layer in own]
        return model

    @property
    def twin(self) -> Model:
        """The model that `rewritten` gives; its touched parameters are those of the cell asked for last."""
        return self._made.model

    @cached_property
    def _made(self) -> _Twin:
        packed = self._packed_twin() if self._may_pack else None
        twin = packed if packed is not None and self._says_what_it_holds(packed) else self._plain_twin()
        twin.model.lower_layers = self._lower_layers(twin)
        self._settle(twin)
        return twin

    def _plain_twin(self) -> _Twin:
        source = self._loaded_model if self._precision == DEFAULT_PRECISION else self.base_model
        return _Twin(copy_with(source, own_copies(source, self._touched)), {}, frozenset())

    def _packed_twin(self) -> _Twin:
        alone = read_by_linears_only(self._loaded_model, self._touched)
        copies = own_copies(self._loaded_model, self._touched - alone) | placeholders(self._loaded_model, alone)
        model = copy_with(self._loaded_model, copies)
        return _Twin(model, pack_linears(model), frozenset(alone))

    @cached_property
    def _touched(self) -> set[str]:
        return {part.name for part in self._mapped}

    def _says_what_it_holds(self, twin: _Twin) -> bool:
        """Whether a packed twin says what a plain one does, with two other values in every touched parameter."""
        plain, tokens = self._plain_twin(), FewTokens.of(twin.model)
        try:
            for seed in TRIALS:
                for one in (twin, plain):
                    self._shake(one, seed)
                if not close(tokens.logits(twin.model), tokens.logits(plain.model), twin.model.dtype):
                    return False
        except MISFITS:
            return False
        return True

    def _lower_layers(self, twin: _Twin) -> LowerLayers | None:
        if self._plain:
            return None
        most = (free_bytes(twin.model.device) or 0) // REMEMBERED_SHARE
        found = lower_layers_of(twin.model, self._touched, most)
        proven = found is not None and is_proven(found, twin.model, partial(self._shake, twin))
        return found if proven else None

    @torch.no_grad()
    def _shake(self, twin: _Twin, seed: int) -> None:
        """Give every touched parameter of a twin other values than the base's."""
        parameters = dict(twin.model.named_parameters())
        for number, name in enumerate(sorted(self._touched)):
            values = shaken(self._base_parameters[name], seed * APART + number)
            for layer in twin.layers.get(name, ()):
                layer.drop()
                if name in twin.packed_only:
                    layer.pack(values)
            if name not in twin.packed_only:
                parameters[name].copy_(values)

    @torch.no_grad()
    def _settle(self, twin: _Twin) -> None:
        """Give the touched parameters the base's values back; packed ones get theirs with the next cell."""
        parameters = dict(twin.model.named_parameters())
        for name in self._touched:
            for layer in twin.layers.get(name, ()):
                layer.drop()
            if name not in twin.packed_only:
                parameters[name].copy_(self._base_parameters[name]).add_(0.0)

    @cached_property
    def _may_pack(self) -> bool:
        if self._plain or self._precision != DEFAULT_PRECISION:
            return False
        free = free_bytes(self._loaded_model.device)
        enough = free is None or PACKING_TAKES * sum(p.nbytes for p in self._loaded_model.parameters()) < free
        return enough and multiplies_packed(self._loaded_model)

    def _packable(self, model: Model) -> dict[str, list[PackedLinear]]:
        return pack_linears(model) if self._may_pack else {}

    @cached_property
    def _base_parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._loaded_model.named_parameters())

    @cached_property
    def _scratch(self) -> Tensor:
        """Room for the largest weight that is packed, used again for each."""
        sizes = [self._base_parameters[name].numel() for name in self._made.packed_only]
        return torch.empty(max(sizes, default=0))

    @cached_property
    def _originals(self) -> tuple[Tensor, ...]:
        return mapped_values(self._base_parameters, self._mapped)

    def rewritten(self, update: Tensor, learning_rate: float) -> Model:
        """The twin holding `base + learning_rate * update`; valid until the next call. `update` is (input_dim,)."""
        if self._written != (id(update), learning_rate):
            self._written = None  # an interrupted write leaves no claim behind
            for layer in self._base_layers:
                layer.drop()
            self._write(update, learning_rate)
            self._update = update  # kept alive, so that its id cannot be reused
            self._written = (id(update), learning_rate)
        return self.twin

    @torch.no_grad()
    def _write(self, update: Tensor, learning_rate: float) -> None:
        made = self._made
        parameters = dict(made.model.named_parameters())
        for part, original in zip(self._mapped, self._originals, strict=True):
            layers = made.layers.get(part.name, ())
            if part.name not in made.packed_only:
                write_update(parameters, (original,), (part,), update, learning_rate)
                for layer in layers:
                    layer.drop()
                continue
            base = self._base_parameters[part.name]
            weight = self._scratch[: base.numel()].view(base.shape)
            if part.positions is not None:
                weight.copy_(base)
            write_update(
                {part.name: nn.Parameter(weight, requires_grad=False)}, (original,), (part,), update, learning_rate
            )
            for layer in layers:
                layer.pack(weight)

    def in_precision(self, precision: str) -> Workspace:
        """A workspace over the same loaded model in another precision; this one where it is the default."""
        return self if precision == DEFAULT_PRECISION else Workspace(self._loaded_model, self._mapped, precision)


def free_bytes(device: torch.device) -> int | None:
    """What is free on the device that a model lies on: of the GPU's memory, or of the machine's; None when unknown."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else available_bytes()


@dataclass(frozen=True)
class _Twin:
    """A model to write cells into. layers: by the name of the weight they multiply; packed_only: weights that lie in
    the layers alone, their parameters are placeholders."""

    model: Model
    layers: Mapping[str, list[PackedLinear]]
    packed_only: frozenset[str]


def own_copies(model: Model, names: set[str]) -> dict[int, nn.Parameter]:
    """A copy of each of these parameters, by the id of the one it stands for; -0.0 becomes 0.0, as adding a zero
    update does in the reference."""
    return {
        id(parameter): nn.Parameter(parameter.detach() + 0.0, requires_grad=False)
        for name, parameter in model.named_parameters()
        if name in names
    }


def rewritten_copy(model: Model, mapped: Sequence[MappedParameter], update: Tensor, learning_rate: float) -> Model:
    """A copy of `model` with the weights `base + learning_rate * update`; update: (mapped weights,)."""
    own = copy.deepcopy(model)
    parameters = dict(own.named_parameters())
    with torch.no_grad():
        for part in mapped:
            parameters[part.name].add_(0.0)  # -0.0 becomes 0.0, as in the reference and in a sweep
    write_update(parameters, mapped_values(parameters, mapped), mapped, update, learning_rate)
    return own


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
        own = update[part.start : part.stop].to(parameter.device)
        if part.positions is None and own.dtype == original.dtype == parameter.dtype and parameter.is_contiguous():
            if original.data_ptr() == parameter.data_ptr():
                parameter.view(-1).add_(own * learning_rate)
            else:
                torch.mul(own, learning_rate, out=parameter.view(-1))  # in place: new memory costs more than the sums
                parameter.view(-1).add_(original)
            continue
        values = (original + own * learning_rate).to(parameter.dtype)
        if part.positions is None:
            parameter.copy_(values.view(parameter.shape))
        else:
            parameter.view(-1).index_copy_(0, part.positions.to(parameter.device), values)
