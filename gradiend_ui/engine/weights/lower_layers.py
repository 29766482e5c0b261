"""What a model says below the lowest layer that a rewrite touches: the same for every cell, so computed once.

A GRADIEND that was trained on chosen parameters often touches the upper layers only. Which is the lowest one is read
off the module that holds a parameter, and tried before it is believed: a weight may be read past its module, by other
layers, or by what runs before them. Knows modules and batches; no GRADIEND.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from gradiend_ui.engine.weights.trial import MISFITS, FewTokens, same

Model = Any


class LowerLayers:
    """Remembers the hidden states that go into layer `first` of `layers`, and skips the layers below.

    most_bytes: how much is remembered; batches beyond it are computed whole each time.
    """

    def __init__(self, layers: nn.ModuleList, first: int, most_bytes: int) -> None:
        self.first = first
        self._layers = layers
        self._most_bytes = most_bytes
        self._known: dict[int, tuple[weakref.ref[object], Tensor, int]] = {}
        self._used = 0

    @contextmanager
    def reading(self, batch: object) -> Iterator[None]:
        """While the model reads `batch`: with what is remembered of it, or remembering it."""
        known = self._known.get(id(batch))
        if known is None:
            with self._remembering(batch):
                yield
            return
        _, hidden, width = known
        below = list(self._layers)[: self.first]
        plain = [layer.__dict__.get("forward") for layer in below]
        for layer in below:
            layer.forward = _passing(width)
        handle = self._layers[self.first].register_forward_pre_hook(_giving(hidden), with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
            for layer, forward in zip(below, plain, strict=True):
                if forward is None:
                    del layer.forward
                else:
                    layer.forward = forward

    @contextmanager
    def _remembering(self, batch: object) -> Iterator[None]:
        seen: dict[str, Any] = {}

        def look(_module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            seen["hidden"] = args[0] if args else options["hidden_states"]

        def count(_module: nn.Module, _args: Any, output: Any) -> None:
            seen["width"] = len(output) if isinstance(output, tuple) else 0

        handles = [
            self._layers[self.first].register_forward_pre_hook(look, with_kwargs=True),
            self._layers[self.first - 1].register_forward_hook(count),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        hidden = seen["hidden"]
        if self._used + hidden.nbytes <= self._most_bytes:
            gone = weakref.ref(batch, partial(self._forget, id(batch)))
            self._known[id(batch)] = (gone, hidden, seen["width"])
            self._used += hidden.nbytes

    def _forget(self, key: int, _gone: object) -> None:
        self._used -= self._known.pop(key)[1].nbytes


def lower_layers_of(model: Model, touched: set[str], most_bytes: int) -> LowerLayers | None:
    """What could be remembered when only the `touched` parameters change: everything below the lowest layer that holds
    one of them. None where the first layer does, and for models whose layers are not found.

    That nothing touched outside of the layers is read further down has to be proven: see `is_proven`.
    """
    layers = _layers_of(model)
    if layers is None:
        return None
    changed = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if name in touched}
    holding = [number for number, layer in enumerate(layers) if any(id(p) in changed for p in layer.parameters())]
    first = min(holding, default=len(layers) - 1)
    return LowerLayers(layers, first, most_bytes) if first > 0 else None


def is_proven(lower: LowerLayers, model: Model, shake: Callable[[int], None]) -> bool:
    """Whether `model`, whose layers they are, says with what `lower` remembers what it says without it.

    shake: gives all touched parameters of the model other values, by a number. What was remembered under the first
    values is used under the second ones, and once more under the first: a layer may have written into it.
    """
    tokens = FewTokens.of(model)
    try:
        for seed in (1, 2, 1):
            shake(seed)
            whole = tokens.logits(model)
            with lower.reading(tokens):
                quick = tokens.logits(model)
            if not same(quick, whole, model.dtype):
                return False
    except MISFITS:
        return False
    return True


def _layers_of(model: Model) -> nn.ModuleList | None:
    """The one list of the model's layers; None for encoder-decoder models, which have two."""
    count = getattr(model.config, "num_hidden_layers", 0)
    if model.config.is_encoder_decoder:
        return None
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
    return lists[0] if len(lists) == 1 else None


def _passing(width: int) -> Any:
    """A layer's forward that gives its input back, as a tuple of `width` where the layer gives one."""

    def forward(hidden: Tensor, *_args: Any, **_options: Any) -> Any:
        return (hidden, *[None] * (width - 1)) if width else hidden

    return forward


def _giving(hidden: Tensor) -> Any:
    def give(_module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return ((hidden, *args[1:]), options) if args else (args, {**options, "hidden_states": hidden})

    return give
