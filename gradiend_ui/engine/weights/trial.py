"""How a shortcut is tried on the model at hand: a few made-up tokens, shaken weights, and what counts as the same.

A shortcut is taken only where a model says with it what it says without it. A loaded model may hide a difference, a
bias or a padding row that is zero for example; so it is tried with every number shaken. Knows models; no shortcut.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

Model = Any
LENGTHS = (9, 6, 3)
STRIDE = 7
SHAKEN = 0.1
"""By which part of its own standard deviation a parameter is shaken."""
SHAKEN_CONSTANT = 0.02
"""How much where all its numbers are the same."""
CONSTANT = 1e-3
"""Numbers are the same when they spread by no more than this part of the largest."""
MOST_SHAKEN = 1 << 26
"""How many numbers `shaken_copy` shakes: what fits, small parameters first. Large ones are seldom constant."""
NOISE = 8191  # a prime: rows of a matrix get different parts of it
NOISES = 31
ROUNDINGS = 8
CLOSE = 3e-5
MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a model raises that is run in a way that it does not take."""


@dataclass(frozen=True, eq=False)
class FewTokens:
    """Made-up rows of several lengths, padded on the right.

    input_ids, attention_mask: int64 (rows, longest).
    """

    input_ids: Tensor
    attention_mask: Tensor

    @classmethod
    def of(cls, model: Model) -> FewTokens:
        """Tokens that the model's embedding knows, no two of a row the same."""
        weight = getattr(model.get_input_embeddings(), "weight", None)
        known = int(weight.shape[0]) if isinstance(weight, Tensor) else max(LENGTHS)
        ids = (torch.arange(len(LENGTHS) * max(LENGTHS)) * STRIDE + 1).remainder(known).view(len(LENGTHS), -1)
        mask = torch.arange(max(LENGTHS)).unsqueeze(0) < torch.tensor(LENGTHS).unsqueeze(1)
        return cls(ids.masked_fill(~mask, 0).to(model.device), mask.long().to(model.device))

    @torch.inference_mode()
    def logits(self, model: Model) -> Tensor:
        """float32 logits (positions that are no padding, vocabulary); raises one of MISFITS."""
        inputs = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if model.config.is_encoder_decoder:
            inputs["decoder_input_ids"] = self.input_ids
        logits: Tensor = model(**inputs).logits
        return logits[self.attention_mask.bool()].float()


def same(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether the same sums made both logits: to the bit, or within a few roundings of `dtype`, where a device adds in
    any order."""
    return _within(one, other, ROUNDINGS * torch.finfo(dtype).eps)


def close(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether both logits mean the same when sums were made in another order: within 3e-5 of the largest logit, so
    that a probability moves by less than 1e-5; in half precision within its roundings."""
    return _within(one, other, max(CLOSE, ROUNDINGS * torch.finfo(dtype).eps if dtype.itemsize < 4 else 0.0))


def _within(one: Tensor, other: Tensor, share: float) -> bool:
    if one.shape != other.shape:
        return False
    if one.numel() == 0 or torch.equal(one, other):
        return True
    largest = float(other.abs().max())
    return bool((one - other).abs().max() <= share * largest) if largest < float("inf") else False


@torch.no_grad()
def shaken(values: Tensor, seed: int) -> Tensor:
    """A copy of `values` with noise in every number; the same seed gives the same."""
    spread = float(values.float().std()) if values.numel() > 1 else 0.0
    constant = spread <= CONSTANT * float(values.abs().max()) if values.numel() else True
    size = SHAKEN_CONSTANT if constant else SHAKEN * spread
    noise = _noise(seed % NOISES).to(values.device)
    found = values.detach().clone(memory_format=torch.contiguous_format)
    flat = found.view(-1)
    whole = flat[: flat.numel() // NOISE * NOISE].view(-1, NOISE)
    whole.add_((noise * size).to(values.dtype))
    rest = flat[whole.numel() :]
    rest.add_((noise[: rest.numel()] * size).to(values.dtype))
    return found


@cache
def _noise(seed: int) -> Tensor:
    return torch.randn(NOISE, generator=torch.Generator().manual_seed(seed))


def shaken_copy(model: Model, seed: int = 1) -> Model:
    """A copy of `model` whose parameters are shaken, and whose tokens are, too: a row of zeros for the padding hides
    nothing. The largest matrices are shared with it as they are."""
    own = sorted(model.parameters(), key=lambda parameter: parameter.numel())
    sizes = itertools.accumulate(parameter.numel() for parameter in own)
    chosen = [parameter for parameter, size in zip(own, sizes, strict=True) if size <= MOST_SHAKEN]
    own_noise = {id(p): nn.Parameter(shaken(p, seed + n % NOISES), requires_grad=False) for n, p in enumerate(chosen)}
    found = copy_with(model, own_noise)
    embedding = found.get_input_embeddings()
    weight = getattr(embedding, "weight", None)
    if isinstance(embedding, nn.Module) and isinstance(weight, Tensor):
        size = SHAKEN * float(weight[:NOISE].float().std())
        embedding.register_forward_hook(partial(_shake_tokens, size))
    return found


def _shake_tokens(size: float, _module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Noise for every token by its id: the same in every batch."""
    if not args or not isinstance(args[0], Tensor) or not isinstance(output, Tensor) or args[0].is_floating_point():
        return output
    places = args[0].unsqueeze(-1) * STRIDE + torch.arange(output.shape[-1], device=output.device)
    return output + (_noise(1).to(output.device)[places.remainder(NOISE)] * size).to(output.dtype)


def copy_with(model: Model, replaced: dict[int, nn.Parameter]) -> Model:
    """A copy of `model` that shares all its tensors but the parameters that `replaced` has by their id."""
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    memo |= {id(parameter): parameter for parameter in model.parameters()}
    found = copy.deepcopy(model, memo | replaced)
    found.config.use_cache = False  # nothing is continued from what is scored
    return found
