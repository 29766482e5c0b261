"""A GRADIEND before its training: which parameters it maps, and its first weights.

By default the whole backbone of the base model is mapped, without heads (in a tied model the shared matrix belongs to
the backbone). The first weights are the reference's, drawn in its order. Knows no data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradiend_ui.engine.base_model import ENCODER_MLM, BaseModel, Model
from gradiend_ui.engine.checkpoint_config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_NORM,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.param_map import MappedParameter
from gradiend_ui.engine.training.settings import TrainingSettings

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
    if base.objective == ENCODER_MLM:
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
