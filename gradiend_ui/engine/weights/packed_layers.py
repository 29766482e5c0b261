"""Linear layers whose weight lies in memory as oneDNN multiplies it fastest.

On a CPU the products of a model run 1.1 to 2 times as fast that way, the vocabulary's most; values differ in the last
digits from the plain order of additions. A packed layer keeps the weight once more or, for a weight that it alone
reads, instead of the plain one. Knows modules and tensors, no rewrite.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from gradiend_ui.engine.weights.trial import MISFITS, FewTokens, close, copy_with

Model = Any
INNER_ACTIVATION = "intermediate_act_fn"


class PackedLinear:
    """What a linear layer does in place of its own forward, without gradients."""

    def __init__(self, linear: nn.Linear, then: str = "none") -> None:
        """then: "gelu" for the exact GELU of every product, "none" for the product alone."""
        self._linear = linear
        self._then = then
        self._packed: Tensor | None = None

    def __call__(self, values: Tensor) -> Tensor:
        """`values` (..., in features) -> (..., out features)."""
        if self._packed is None:
            self.pack(self._linear.weight)
        multiply = torch.ops.mkldnn._linear_pointwise
        product: Tensor = multiply(values, self._packed, self._linear.bias, self._then, [], "none")
        return product

    def pack(self, weight: Tensor) -> None:
        """Take over the values of `weight` (out features, in features); it is not needed any more then."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)

    def drop(self) -> None:
        """Forget the packed values; the layer's own weight is packed again when it is next needed."""
        self._packed = None


def pack_linears(model: Model) -> dict[str, list[PackedLinear]]:
    """Let every plain linear layer of `model` multiply packed: {its weight's name in `named_parameters`: the layers}.

    Empty where this machine or model has nothing to gain: another device than the CPU, another type than float32.
    """
    if not torch._C._has_mkldnn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return {}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    with_gelu = _followed_by_gelu(model)
    found: dict[str, list[PackedLinear]] = {}
    for module in model.modules():
        if type(module) is nn.Linear and _packable(module):
            packed = PackedLinear(module, "gelu" if module in with_gelu else "none")
            module.forward = packed  # type: ignore[method-assign, assignment]
            found.setdefault(names[id(module.weight)], []).append(packed)
    return found


def _followed_by_gelu(model: Model) -> set[nn.Module]:
    """The layers whose products go through an exact GELU right away (the BERT family's inner layers); the activation
    itself is taken out of `model`, since the layer does it on the way."""
    found: set[nn.Module] = set()
    for module in model.modules():
        dense, activation = getattr(module, "dense", None), getattr(module, INNER_ACTIVATION, None)
        if type(dense) is nn.Linear and getattr(activation, "act", None) is nn.functional.gelu and _packable(dense):
            setattr(module, INNER_ACTIVATION, nn.Identity())
            found.add(dense)
    return found


def _packable(linear: nn.Linear) -> bool:
    return linear.weight.device.type == "cpu" and linear.weight.dtype == torch.float32


def read_by_linears_only(model: Model, names: set[str]) -> set[str]:
    """Those of the parameters that no other module holds (an embedding that is tied to the output layer is held by
    both)."""
    holders: Counter[int] = Counter()
    linears: Counter[int] = Counter()
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                holders[id(parameter)] += 1
                linears[id(parameter)] += type(module) is nn.Linear and parameter is module.weight
    return {name for name, p in model.named_parameters() if name in names and holders[id(p)] == linears[id(p)]}


def placeholders(model: Model, names: set[str]) -> dict[int, nn.Parameter]:
    """Parameters of the same shapes that take no memory, by the id of the one each stands for. Every number is NaN:
    who reads one notices."""
    return {
        id(p): nn.Parameter(torch.full((1,) * p.dim(), torch.nan, dtype=p.dtype).expand(p.shape), requires_grad=False)
        for name, p in model.named_parameters()
        if name in names
    }


@torch.inference_mode()
def multiplies_packed(model: Model) -> bool:
    """Whether `model` says the same with packed layers whose plain weights are gone; tried on a few tokens."""
    names = {name for name, _ in model.named_parameters()}
    alone = read_by_linears_only(model, names)
    trial = copy_with(model, {})
    layers = pack_linears(trial)
    if not layers:
        return False
    tokens = FewTokens.of(model)
    try:
        plain = tokens.logits(model)
        for name, parameter in model.named_parameters():
            for layer in layers.get(name, ()):
                layer.pack(parameter)
        gone = placeholders(model, alone)
        for module in trial.modules():
            if type(module) is nn.Linear and id(module.weight) in gone:
                module.weight = gone[id(module.weight)]
        return close(tokens.logits(trial), plain, model.dtype)
    except MISFITS:
        return False
