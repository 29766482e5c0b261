"""A GRADIEND before its training: its map, its first weights, and which of them are kept.

By default the whole backbone of the base model is mapped, without heads (in a tied model the shared matrix belongs to
the backbone). The first weights are the reference's, drawn in its order. Where it is pruned before the training, those
weights stay whose gradients, averaged over a few rows (half of one class, half of the other), are largest. Source:
pre-pruning of `gradiend` 0.2.3, its order of draws and its rule for ties (the earlier weight stays). Trains nothing.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradiend_ui.engine.base.base_model import BaseModel, Model
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_NORM,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid
from gradiend_ui.engine.training.batches import Example, training_schedule
from gradiend_ui.engine.training.gradients import GradientReader
from gradiend_ui.engine.training.settings import PrePruneConfig, TrainingSettings
from gradiend_ui.engine.values import ALTERNATIVE, DIFF, FACTUAL
from gradiend_ui.engine.weights.parameter_map import MappedParameter

TEXT_TOWERS = ("language_model", "text_model", "text_tower", "text_encoder", "decoder", "transformer")
VISION_TOWERS = ("vision_tower", "vision_model", "visual", "vision_encoder")
ENCODER_SIDE = ("shared", "encoder", "lm_head", "model.shared", "model.encoder", "model.embed_tokens",
                "model.embed_positions")  # fmt: skip


@dataclass(frozen=True)
class ParameterMap:
    """Which weights are mapped: {parameter: shape} in the model's order; positions of those that are mapped in part."""

    shapes: Mapping[str, tuple[int, ...]]
    positions: Mapping[str, Tensor]

    @property
    def mapped(self) -> tuple[MappedParameter, ...]:
        """Every parameter with its stretch of the flat vector."""
        found: list[MappedParameter] = []
        start = 0
        for name, shape in self.shapes.items():
            positions = self.positions.get(name)
            stop = start + (torch.Size(shape).numel() if positions is None else positions.numel())
            found.append(MappedParameter(name, positions, start, stop))
            start = stop
        return tuple(found)

    @property
    def size(self) -> int:
        """How many weights are mapped."""
        return self.mapped[-1].stop

    def keeping(self, kept: Tensor) -> ParameterMap:
        """Only the entries that `kept`, bool (size,), marks; parameters that lose all stay, with nothing selected."""
        positions: dict[str, Tensor] = {}
        for part in self.mapped:
            chosen = kept[part.start : part.stop].nonzero().flatten()
            if part.positions is not None:
                positions[part.name] = part.positions[chosen]
            elif chosen.numel() < part.stop - part.start:
                positions[part.name] = chosen
        return ParameterMap(self.shapes, positions)


def parameter_map(base: BaseModel, params: Sequence[str] | None = None) -> ParameterMap:
    """The map over the backbone's parameters, all or those that `params` (names, or wildcards with `*`) name.

    Raises BadBase when a pattern names nothing.
    """
    wanted = {id(parameter) for parameter in _backbone_parameters(base)}
    shapes = {name: tuple(one.shape) for name, one in base.model.named_parameters() if id(one) in wanted}
    if params is None:
        return ParameterMap(shapes, {})
    chosen: set[str] = set()
    for pattern in params:
        expression = re.compile(".*".join(re.escape(piece) for piece in pattern.split("*")))
        found = {name for name in shapes if name == pattern or expression.fullmatch(name)}
        if not found:
            raise BadBase(
                f"params names {pattern!r}, and no parameter of the backbone is called so. "
                f"There are for example: {', '.join(list(shapes)[:4])}."
            )
        chosen |= found
    return ParameterMap({name: shape for name, shape in shapes.items() if name in chosen}, {})


def _backbone_parameters(base: BaseModel) -> list[nn.Parameter]:
    if base.facts.at_encoder:
        modules = dict(base.model.named_modules())
        return [one for name in ENCODER_SIDE if name in modules for one in modules[name].parameters()]
    return list(_text_backbone(base.model).parameters())


def _text_backbone(model: Model) -> nn.Module:
    """The model without its head; of a model that also sees, the part that reads."""
    children = dict(model.named_children())
    backbone: nn.Module = children.get(model.base_model_prefix, model.base_model)
    inside = dict(backbone.named_children())
    if not any(name in inside for name in VISION_TOWERS):
        return backbone
    return next((inside[name] for name in TEXT_TOWERS if name in inside), backbone)


def architecture_for(settings: TrainingSettings, size: int) -> Architecture:
    """The autoencoder's shape over `size` mapped weights."""
    return Architecture(
        input_dim=size,
        latent_dim=settings.latent_dim,
        activation_encoder=settings.activation_encoder,
        activation_decoder=settings.activation_decoder,
        bias_decoder=settings.bias_decoder,
        torch_dtype=settings.torch_dtype,
    )


def initial_weights(architecture: Architecture, dtype: torch.dtype, seed: int) -> dict[str, Tensor]:
    """The first weights by state name, drawn from a private seeded generator: the encoder as a linear layer starts,
    the decoder uniformly in the range of the encoder's largest weight."""
    n, latent = architecture.input_dim, architecture.latent_dim
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = nn.Linear(n, latent, dtype=dtype)
        decoder = nn.Linear(latent, n, bias=architecture.bias_decoder, dtype=dtype)
        bound = float(encoder.weight.detach().max())
        nn.init.uniform_(decoder.weight, -bound, bound)
        if architecture.bias_decoder:
            nn.init.uniform_(decoder.bias, -bound, bound)
    weights = {
        ENCODER_WEIGHT: encoder.weight.detach(),
        ENCODER_BIAS: encoder.bias.detach(),
        DECODER_WEIGHT: decoder.weight.detach(),
    }
    if architecture.bias_decoder:
        weights[DECODER_BIAS] = decoder.bias.detach()
    if architecture.activation_encoder == "id":
        scale, shift = ENCODER_NORM
        weights |= {scale: torch.ones(1, dtype=dtype), shift: torch.zeros(1, dtype=dtype)}
    return weights


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
