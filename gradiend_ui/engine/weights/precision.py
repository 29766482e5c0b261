"""In which precision weights are, and whether they are numbers: a step that is too large makes them infinite, or none.

A model whose weights are no numbers predicts nothing, so that none is given away. Knows weights and the cell they were
made for; no disk.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.values import exact

Model = Any
DTYPES: Mapping[str, torch.dtype] = {"bfloat16": torch.bfloat16}
"""What a model is rounded to for each precision but the default one, which takes it as it was loaded."""


def check_finite(model: nn.Module, feature_factor: float | Sequence[float], learning_rate: float) -> None:
    """Raises BadGrid with the first tensor that holds a number which is not finite, and the cell it was made for."""
    broken = first_broken(model)
    if broken is not None:
        factors = [feature_factor] if isinstance(feature_factor, (int, float)) else feature_factor
        raise BadGrid(
            f"The rewritten model's weights are not finite numbers, first those of {broken!r}, at feature_factor "
            f"{', '.join(map(exact, factors))} and learning_rate {exact(learning_rate)}: take a smaller step."
        )


def first_broken(model: nn.Module) -> str | None:
    """The name of the first parameter that is not finite throughout."""
    with torch.no_grad():
        return next((name for name, weights in model.named_parameters() if not is_finite(weights)), None)


def is_finite(weights: torch.Tensor) -> bool:
    """Whether every number of the tensor is finite. The extremes tell: no second tensor of its size is made."""
    if not weights.is_floating_point() or not weights.numel():
        return True
    low, high = torch.aminmax(weights.detach())
    return bool(low.isfinite() and high.isfinite())


def rounded(model: Model, dtype: torch.dtype) -> Model:
    """A copy of `model` with every parameter in `dtype`; buffers (positions, rotary frequencies) are shared as they
    are, since rounding them would move whole positions."""
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
    return copy.deepcopy(model, memo)
