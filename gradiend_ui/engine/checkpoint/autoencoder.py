"""The GRADIEND itself: a linear encoder and decoder between gradient space and a tiny latent space.

Pure functions of tensors; knows no parameter names and no base model.
Source: GRADIEND, arXiv 2502.01406, section 3 (encoder, decoder); semantics of the five parts: `gradiend` 0.2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_NORM,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.errors import BadData, BadGrid, shown
from gradiend_ui.engine.values import PARTS, finite

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


def plain_number(value: object) -> object:
    """What numpy or torch hold in a scalar or a single entry, as Python's number; anything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, np.ndarray) and value.size == 1:
        single: object = value.item()
        return single
    return value


def latent_point(feature_factor: object, latent_dim: int) -> list[float]:
    """The latent point that `feature_factor` spells: a number, or `latent_dim` of them (list, tuple, array, tensor).

    Numbers may be Python's, numpy's or torch's. Raises BadGrid when one is not finite or the count does not fit.
    """
    single = plain_number(feature_factor)
    if isinstance(single, (int, float, str)) or not isinstance(single, Iterable):
        given: list[object] = [single]
    else:
        given = single.tolist() if isinstance(single, (np.ndarray, Tensor)) else list(single)
    point = [finite(plain_number(number), "feature_factor") for number in given]
    if len(point) != latent_dim:
        numbers = "a number" if latent_dim == 1 else f"a list of {latent_dim} numbers"
        raise BadGrid(f"This GRADIEND has latent_dim {latent_dim}: feature_factor must be {numbers}, not {len(point)}.")
    return point


@dataclass(frozen=True, eq=False)
class LinearLayer:
    """A linear map and its activation, to be read: `layer.weight`, `layer.bias`, `layer(x)`.

    Indexing and `.linear` answer as in the reference, where a layer is reached as `gradiend.encoder[0].linear`.
    weight: (outputs, inputs); bias: (outputs,) or None.
    """

    weight: Tensor
    bias: Tensor | None
    activation: Callable[[Tensor], Tensor]

    @property
    def linear(self) -> LinearLayer:
        return self

    def __getitem__(self, place: int) -> LinearLayer | Callable[[Tensor], Tensor]:
        return (self, self.activation)[place]

    def __call__(self, values: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs), in the weight's dtype and on its device."""
        return self.activation(functional.linear(values.to(self.weight), self.weight, self.bias))


class GradientCreator(Protocol):
    """Whatever turns a masked text and its label into a flat gradient (mapped weights,); the trainer brings one."""

    def create_gradients(self, text: str, label: str) -> Tensor: ...


def gradients_of_text(creator: GradientCreator | None, text: str, label: str | None) -> Tensor:
    """The gradient (mapped weights,) of predicting `label` in a masked text. Raises BadData without one
    of them."""
    if label is None:
        raise BadData("encode needs a label for a text: the gradient is that of predicting the label.")
    if creator is None:
        raise BadData("encode takes gradients here; for texts set gradient_creator or use the trainer.")
    return creator.create_gradients(text, label)


class Autoencoder:
    """encoder: gradients (input_dim,) -> latent (latent_dim,); decoder: latent -> update (input_dim,).

    weights: {state name: tensor} as in the checkpoint's weights file; never changed here.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
        self.architecture = architecture
        self.weights = dict(weights)

    @property
    def input_dim(self) -> int:
        """How many base-model weights are mapped."""
        return self.architecture.input_dim

    @property
    def latent_dim(self) -> int:
        return self.architecture.latent_dim

    def __len__(self) -> int:
        return self.input_dim

    @property
    def device(self) -> torch.device:
        return self.weights[ENCODER_WEIGHT].device

    @property
    def torch_dtype(self) -> torch.dtype:
        return self.weights[ENCODER_WEIGHT].dtype

    @property
    def encoder(self) -> LinearLayer:
        """weight (latent_dim, input_dim), bias (latent_dim,)."""
        if self.architecture.activation_encoder == "id":
            return LinearLayer(self.weights[ENCODER_WEIGHT], self.weights[ENCODER_BIAS], self._normalised)
        activation = _ACTIVATIONS[self.architecture.activation_encoder]
        return LinearLayer(self.weights[ENCODER_WEIGHT], self.weights[ENCODER_BIAS], activation)

    @property
    def decoder(self) -> LinearLayer:
        """weight (input_dim, latent_dim), bias (input_dim,) or None."""
        activation = _ACTIVATIONS[self.architecture.activation_decoder]
        return LinearLayer(self.weights[DECODER_WEIGHT], self._decoder_bias(), activation)

    @property
    def encoder_norm(self) -> float:
        """L2 norm of the encoder's weight."""
        return float(torch.linalg.vector_norm(self.weights[ENCODER_WEIGHT]))

    @property
    def decoder_norm(self) -> float:
        """L2 norm of the decoder's weight."""
        return float(torch.linalg.vector_norm(self.weights[DECODER_WEIGHT]))

    def encode(self, gradients: Tensor) -> Tensor:
        """Latent values (..., latent_dim) of flat gradients (..., input_dim); with tanh in [-1, 1].

        Gradients of another dtype or device are brought to the encoder's. Raises BadData for another length.
        """
        if gradients.dim() == 0 or gradients.shape[-1] != self.input_dim:
            raise BadData(
                f"Gradients of shape {tuple(gradients.shape)} cannot be encoded: the last dimension must be "
                f"{self.input_dim:,}, one value for each mapped weight."
            )
        return self.encoder(gradients)

    def decode(self, latent: Tensor) -> Tensor:
        """The update (input_dim,) of a latent point (latent_dim,), in float32."""
        weight = self.weights[DECODER_WEIGHT].float()
        bias = self._decoder_bias()
        values = functional.linear(latent.to(weight), weight, None if bias is None else bias.float())
        return _ACTIVATIONS[self.architecture.activation_decoder](values)

    def update_vector(self, part: str, feature_factor: float | Sequence[float] = 1.0) -> Tensor:
        """The update u(part, feature_factor), shape (input_dim,), before any learning rate.

        part "decoder": decoder(feature_factor), so feature_factor * W + b with the usual identity activation.
        The other parts ignore the feature factor: "decoder-weight" W, "decoder-bias" b (zeros without one),
        "decoder-sum" W + b (W summed over the latent), "encoder-weight" the encoder's W.
        feature_factor: a number, or latent_dim numbers (see `latent_point`).
        Raises BadGrid for an unknown part, for a feature factor that is not finite or of the wrong length, and for
        the two weight parts when latent_dim > 1: they have latent_dim values for each weight then, and no rule says
        which to add (the reference refuses them too).
        """
        if part not in PARTS:
            raise BadGrid(f"part must be one of {', '.join(PARTS)}, not {shown(part)}.")
        if part == "decoder":
            return self.decode(torch.tensor(latent_point(feature_factor, self.latent_dim), dtype=torch.float32))
        if part == "decoder-bias":
            bias = self._decoder_bias()
            return torch.zeros_like(self.weights[DECODER_WEIGHT][:, 0]) if bias is None else bias
        if part == "decoder-sum":
            total = self.weights[DECODER_WEIGHT].sum(dim=1)
            bias = self._decoder_bias()
            return total if bias is None else total + bias
        if self.latent_dim != 1:
            raise BadGrid(
                f"part {shown(part)} is one update only for latent_dim 1; this GRADIEND has {self.latent_dim}."
            )
        return self.weights[DECODER_WEIGHT if part == "decoder-weight" else ENCODER_WEIGHT].flatten()

    def point_for(self, part: str, feature_factor: object) -> list[float]:
        """The latent point of a feature factor; where the part ignores it, a single number is welcome too."""
        single = isinstance(plain_number(feature_factor), (int, float))
        return latent_point(feature_factor, 1 if part != "decoder" and single else self.latent_dim)

    def get_update_vector(self, part: str = "decoder-weight") -> Tensor:
        """`update_vector` by the reference's name and with its default part."""
        return self.update_vector(part)

    def _decoder_bias(self) -> Tensor | None:
        return self.weights[DECODER_BIAS] if self.architecture.bias_decoder else None

    def _normalised(self, hidden: Tensor) -> Tensor:
        scale, shift = (self.weights.get(name) for name in ENCODER_NORM)
        return functional.layer_norm(hidden, (1,), scale, shift)
