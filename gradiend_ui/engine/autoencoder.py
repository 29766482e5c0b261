"""The GRADIEND itself: a linear encoder and decoder between gradient space and a tiny latent space.

Pure functions of tensors; knows no parameter names and no base model.
Source: GRADIEND, arXiv 2502.01406, section 3 (encoder, decoder); semantics of the five parts: `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from gradiend_ui.engine.checkpoint_config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_NORM,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.values import PARTS

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": functional.relu,
    "leakyrelu": functional.leaky_relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "sigmoid": torch.sigmoid,
    "smht": functional.hardtanh,
    "id": lambda x: x,
}


class Autoencoder:
    """encoder: gradients (input_dim,) -> latent (latent_dim,); decoder: latent -> update (input_dim,)."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
        self.architecture = architecture
        self.weights = dict(weights)

    def encode(self, gradients: Tensor) -> Tensor:
        """Latent values (..., latent_dim) of flat gradients (..., input_dim); with tanh in [-1, 1]."""
        hidden = functional.linear(gradients, self.weights[ENCODER_WEIGHT], self.weights[ENCODER_BIAS])
        if self.architecture.activation_encoder == "id":
            scale, shift = (self.weights.get(name) for name in ENCODER_NORM)
            return functional.layer_norm(hidden, (1,), scale, shift)
        return _ACTIVATIONS[self.architecture.activation_encoder](hidden)

    def decode(self, latent: Tensor) -> Tensor:
        """The update (input_dim,) of a latent point (latent_dim,), in float32."""
        weight = self.weights[DECODER_WEIGHT].float()
        bias = self.weights[DECODER_BIAS].float() if self.architecture.bias_decoder else None
        return _ACTIVATIONS[self.architecture.activation_decoder](functional.linear(latent, weight, bias))

    def update_vector(self, part: str, feature_factor: float | Sequence[float] = 1.0) -> Tensor:
        """The update u(part, feature_factor), shape (input_dim,), before any learning rate.

        part "decoder": decoder(feature_factor), so feature_factor * W + b with the usual identity activation.
        The other parts ignore the feature factor: "decoder-weight" W, "decoder-bias" b (zeros without one),
        "decoder-sum" W + b (W summed over the latent), "encoder-weight" the encoder's W.
        Raises BadGrid for an unknown part, for a feature factor of the wrong length, and for the two weight
        parts when latent_dim > 1 (they have one value per latent and weight then).
        """
        if part not in PARTS:
            raise BadGrid(f"part must be one of {', '.join(PARTS)}, not {part!r}.")
        latent_dim = self.architecture.latent_dim
        if part == "decoder":
            point = [feature_factor] if isinstance(feature_factor, (int, float)) else list(feature_factor)
            if len(point) != latent_dim:
                raise BadGrid(f"This GRADIEND has latent_dim {latent_dim}: feature_factor needs as many numbers.")
            return self.decode(torch.tensor(point, dtype=torch.float32))
        if part == "decoder-bias":
            bias = self.weights.get(DECODER_BIAS)
            return torch.zeros(self.architecture.input_dim) if bias is None else bias
        if part == "decoder-sum":
            total = self.weights[DECODER_WEIGHT].sum(dim=1)
            bias = self.weights.get(DECODER_BIAS)
            return total if bias is None else total + bias
        if latent_dim != 1:
            raise BadGrid(f"part {part!r} is one update only for latent_dim 1; this GRADIEND has {latent_dim}.")
        return self.weights[DECODER_WEIGHT if part == "decoder-weight" else ENCODER_WEIGHT].flatten()
