"""Touches every parameter of a model in turn and looks whether a sweep's score is that of the plain path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from gradiend_ui.engine.weights.parameter_map import MappedParameter
from gradiend_ui.engine.weights.workspace import Workspace, rewritten_copy
from tests.support.plain_path import plain, prepared, quick
from tests.support.zoo import Kept, build

SEED = 3
STEP = 0.3
MOST_PROBABILITY, MOST_LMS = 1e-5, 1e-6
"""The first is a share of the largest probability, which is about a hundredth: 1e-7 of a probability."""


@dataclass(frozen=True)
class Difference:
    """Of one touched parameter: the largest difference of a probability, as a share of the largest probability (so that
    a model that is sure of nothing hides nothing), and that of the LMS; skipped: how many lower
    layers were remembered; moved: by how much the touch moved a probability."""

    parameter: str
    probability: float
    lms: float
    skipped: int
    moved: float


def differences(kept: Kept) -> Iterator[Difference]:
    """One for each parameter of the architecture, tied ones once."""
    base = build(kept)
    objective, lms = prepared(base)
    before, _ = plain(base, base.model)
    generator = torch.Generator().manual_seed(SEED)
    for name, parameter in base.model.named_parameters():
        mapped = [MappedParameter(name, None, 0, parameter.numel())]
        workspace = Workspace(base.model, mapped)
        for _ in range(2):
            update = torch.randn(parameter.numel(), generator=generator)
            weights = workspace.rewritten(update, STEP)
            ours, own_lms = quick(objective, lms, weights)
        wanted, wanted_lms = plain(base, rewritten_copy(base.model, mapped, update, STEP))
        lower = weights.lower_layers
        yield Difference(
            name,
            float((ours - wanted).abs().max() / wanted.max()),
            abs(own_lms - wanted_lms),
            0 if lower is None else lower.first,
            float((wanted - before).abs().max()),
        )


def wrong(found: Sequence[Difference]) -> list[Difference]:
    """Those that are not the same: also what is not a number."""
    return [one for one in found if not (one.probability <= MOST_PROBABILITY and one.lms <= MOST_LMS)]
