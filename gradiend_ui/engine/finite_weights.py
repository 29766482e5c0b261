"""Whether the weights of a rewritten model are numbers: a step that is too large makes them infinite, or no number.

Such a model predicts nothing, so that none is given away. Knows weights and the cell they were made for; no disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.values import exact


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
