"""Which weights are kept before a training: those whose gradients, averaged over a few rows, are largest.

The rows are half of one class and half of the other. Source: pre-pruning of `gradiend` 0.2.3, its order of draws and
its rule for ties (the earlier weight stays).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.training.batches import Example, training_schedule
from gradiend_ui.engine.training.gradients import ALTERNATIVE, DIFF, FACTUAL, GradientReader
from gradiend_ui.engine.training.settings import PrePruneConfig


def sampled_examples(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` examples in a seeded order; a class with few rows is drawn from again.

    The draw takes as many places of each direction of the pair in the table, and then the examples at these places of
    the training's schedule, where the classes take turns: the reference's rule. In a table whose classes alternate
    the two are the same.
    """
    pools = [[place for place, one in enumerate(examples) if one.transition == side] for side in (0, 1)]
    pools = [pool for pool in pools if pool]
    if not pools:
        raise BadData("Pre-pruning needs rows of the two classes.")
    generator = random.Random(seed)
    for pool in pools:
        generator.shuffle(pool)
    chosen: list[int] = []
    for number, pool in enumerate(pools):
        wanted = count // len(pools) + (1 if number < count % len(pools) else 0)
        chosen += pool[:wanted]
        if len(pool) < wanted:
            chosen += generator.choices(pool, k=wanted - len(pool))
    generator.shuffle(chosen)
    schedule = training_schedule(examples, 1, seed)
    return [schedule[place][0] for place in chosen]


def mean_gradient(reader: GradientReader, examples: Sequence[Example], source: str) -> Tensor:
    """The mean gradient (size,) over single examples, on the CPU."""
    total = torch.zeros(0)
    for number, example in enumerate(examples):
        sides = reader.sides((example,), (source,))
        first = sides[ALTERNATIVE] if source == ALTERNATIVE else sides[FACTUAL]
        total = first.clone() if number == 0 else total.add_(first)
        if source == DIFF:  # one after the other, as in the reference: rounding decides which of two equals is kept
            total.sub_(sides[ALTERNATIVE])
    if not total.numel():
        raise BadData("Pre-pruning needs at least one row.")
    return (total / len(examples)).float().cpu()


def kept_entries(importance: Tensor, config: PrePruneConfig) -> Tensor:
    """Which entries stay, bool (size,): importance at least the threshold, then the top k; of equals the earlier.

    Raises BadGrid when the threshold leaves nothing.
    """
    kept = torch.ones(importance.numel(), dtype=torch.bool)
    if config.threshold is not None:
        kept = importance >= config.threshold
    active = kept.nonzero().flatten()
    if not active.numel():
        largest = float(importance.max())
        raise BadGrid(
            f"No weight reaches the threshold {config.threshold}; the largest mean gradient is {largest:.3g}."
        )
    if config.topk is None:
        return kept
    wanted = _count(config, active.numel())
    if wanted >= active.numel():
        return kept
    scores = importance[active]
    least = torch.topk(scores, wanted).values[-1]
    above = active[scores > least]
    equal = active[scores == least][: wanted - above.numel()]
    return torch.zeros_like(kept).index_fill_(0, torch.cat([above, equal]), True)


def _count(config: PrePruneConfig, size: int) -> int:
    if isinstance(config.topk, int):
        return config.topk
    share = (config.topk or 1.0) * size
    # Without a threshold the reference rounds up a float32: the same count, also beyond 2^24 weights.
    return max(1, math.ceil(share if config.threshold is not None else float(torch.tensor(share))))
