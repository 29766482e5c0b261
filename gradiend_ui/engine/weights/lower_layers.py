"""What a model says below the lowest layer that a rewrite touches: the same for every cell, so computed once.

A GRADIEND that was trained on chosen parameters often touches the upper layers only. Which modules run before a layer
is watched, not guessed from names. Knows modules and batches; no GRADIEND.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Model = Any
FEW_TOKENS = 4


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
    """What can be remembered when only the `touched` parameters change; None where the first layer changes already,
    and for models whose layers are not found or do not run one after the other."""
    layers = _layers_of(model)
    if layers is None:
        return None
    changed = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if name in touched}
    before = _entered_before(model, layers)
    if len(before) != len(layers):
        return None
    first = 0
    for number, modules in enumerate(before):
        if any(id(p) in changed for module in modules for p in module.parameters(recurse=False)):
            break
        first = number
    return LowerLayers(layers, first, most_bytes) if first else None


def _layers_of(model: Model) -> nn.ModuleList | None:
    """The one list of the model's layers; None for encoder-decoder models, which have two."""
    count = getattr(model.config, "num_hidden_layers", 0)
    if model.config.is_encoder_decoder:
        return None
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
    return lists[0] if len(lists) == 1 else None


@torch.inference_mode()
def _entered_before(model: Model, layers: nn.ModuleList) -> list[list[nn.Module]]:
    """For each layer in the order they run, the modules that were entered before it; [] where the order is another."""
    entered: list[nn.Module] = []
    before: list[list[nn.Module]] = []
    order: list[nn.Module] = []
    own = set(layers)

    def enter(module: nn.Module, _args: Any) -> None:
        if module in own:
            before.append(list(entered))
            order.append(module)
        entered.append(module)

    handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
    try:
        ids = torch.arange(FEW_TOKENS, device=model.device).unsqueeze(0)
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return []
    finally:
        for handle in handles:
            handle.remove()
    return before if order == list(layers) else []


def _passing(width: int) -> Any:
    """A layer's forward that gives its input back, as a tuple of `width` where the layer gives one."""

    def forward(hidden: Tensor, *_args: Any, **_options: Any) -> Any:
        return (hidden, *[None] * (width - 1)) if width else hidden

    return forward


def _giving(hidden: Tensor) -> Any:
    def give(_module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return ((hidden, *args[1:]), options) if args else (args, {**options, "hidden_states": hidden})

    return give
