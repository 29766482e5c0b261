"""Gradients of a base model as flat vectors over the mapped parameters: of training rows, and of one masked text.

Only mapped parameters get a gradient, and only while one is computed: between two calls the base model is as it was.
The model runs in evaluation mode (the reference never switches dropout on). The gradient of one text for one word is
what `ModelWithGradiend.encode` needs to take texts. Knows no autoencoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.batches import Example
from gradiend_ui.engine.training.losses import TrainingInput, batch_of, loss_of, prepare_for, readout_for, tokens_of
from gradiend_ui.engine.values import ALTERNATIVE, DIFF, FACTUAL
from gradiend_ui.engine.weights.parameter_map import MappedParameter


class GradientReader:
    """Computes gradients of batches of examples for one base model and one parameter map."""

    def __init__(self, base: BaseModel, mapped: Sequence[MappedParameter], probe: Example) -> None:
        """probe: any example; the way logits are read is tried on it. Raises BadBase, BadData."""
        self._base = base
        self._mapped = tuple(part for part in mapped if part.stop > part.start)
        parameters = dict(base.model.named_parameters())
        self._parameters = [parameters[part.name] for part in self._mapped]
        self._positions = [
            None if part.positions is None else part.positions.to(parameter.device)
            for part, parameter in zip(self._mapped, self._parameters, strict=True)
        ]
        self._prepare = prepare_for(base)
        self._inputs: dict[tuple[str, str], TrainingInput] = {}
        self._readout = readout_for(base, self.input_of(probe, ALTERNATIVE))
        self.size = self._mapped[-1].stop if self._mapped else 0

    def input_of(self, example: Example, side: str) -> TrainingInput:
        """The prepared input of an example with its factual or its alternative word."""
        word = example.row.label if side == FACTUAL else example.row.alternative
        key = (example.row.masked, word)
        if key not in self._inputs:
            self._inputs[key] = self._prepare(self._base, example.row, word)
        return self._inputs[key]

    def sides(self, examples: Sequence[Example], wanted: Sequence[str]) -> dict[str, Tensor]:
        """{"factual" or "alternative": gradient (size,)} for the sides that `wanted` kinds need.

        Sides whose inputs differ in the asked tokens only share one forward pass.
        """
        needed = [side for side in (FACTUAL, ALTERNATIVE) if any(kind in (side, DIFF) for kind in wanted)]
        inputs = {side: [self.input_of(example, side) for example in examples] for side in needed}
        with _tracked(self._base, self._parameters):
            first, *others = needed
            if others and [one.places for one in inputs[first]] == [one.places for one in inputs[others[0]]]:
                logits = self._logits(inputs[first])
                return {side: self._gradient(logits, inputs[side], keep=side != needed[-1]) for side in needed}
            return {side: self._gradient(self._logits(inputs[side]), inputs[side], keep=False) for side in needed}

    def gradient(self, examples: Sequence[Example], kind: str) -> Tensor:
        """The gradient of one kind, "factual", "alternative" or "diff" (factual - alternative), (size,)."""
        return of_kind(self.sides(examples, (kind,)), kind)

    def _logits(self, inputs: Sequence[TrainingInput]) -> Tensor:
        return self._readout.logits_with_graph(self._base.model, batch_of(self._base, inputs))

    def _gradient(self, logits: Tensor, inputs: Sequence[TrainingInput], *, keep: bool) -> Tensor:
        if not logits.requires_grad:
            raise BadBase(
                f"The gradients of the base model {self._base.name!r} cannot be read: its layers "
                f"({self._base.model.config.model_type}) keep no record of what they compute, or none of the mapped "
                "parameters takes part in it. Its GRADIENDs can be scored, not trained here."
            )
        found = torch.autograd.grad(
            loss_of(logits, tokens_of(inputs)), self._parameters, retain_graph=keep, allow_unused=True
        )
        flat = torch.empty(self.size, dtype=self._parameters[0].dtype, device=logits.device)
        for part, positions, gradient in zip(self._mapped, self._positions, found, strict=True):
            if gradient is None:
                raise BadBase(
                    f"The parameter {part.name!r} takes no part in the model's loss: leave it out with params, "
                    "for example by naming those that do."
                )
            values = gradient.reshape(-1)
            flat[part.start : part.stop] = values if positions is None else values[positions]
        return flat


def of_kind(sides: dict[str, Tensor], kind: str) -> Tensor:
    """ "factual" or "alternative" as they are, "diff" as factual - alternative."""
    return sides[FACTUAL] - sides[ALTERNATIVE] if kind == DIFF else sides[kind]


@dataclass(frozen=True)
class _Before:
    training: bool
    tracked: tuple[bool, ...]


@contextmanager
def _tracked(base: BaseModel, parameters: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Evaluation mode, and gradients for `parameters` only; everything as before afterwards."""
    everything = list(base.model.parameters())
    before = _Before(base.model.training, tuple(parameter.requires_grad for parameter in everything))
    wanted = set(map(id, parameters))
    try:
        if before.training:
            base.model.eval()
        for parameter in everything:
            parameter.requires_grad_(id(parameter) in wanted)
        with torch.enable_grad():
            yield
    finally:
        for parameter, tracked in zip(everything, before.tracked, strict=True):
            parameter.requires_grad_(tracked)
        if before.training:
            base.model.train()


class TextGradients:
    """Gradients with respect to the mapped weights of `model`, as they are mapped when it is asked."""

    def __init__(self, model: ModelWithGradiend) -> None:
        self._model = model

    def create_gradients(self, text: str, label: str) -> Tensor:
        """The flat gradient (mapped weights,) of predicting `label` at the `[MASK]` of `text`.

        Raises BadData for a text without exactly one mask.
        """
        if text.count(MASK) != 1:
            raise BadData(f"The text has {text.count(MASK)} times {MASK} instead of once: {text[:80]!r}.")
        example = Example(EvalRow(0, text, label, "", label, "", ""), 0, 0)
        reader = GradientReader(self._model.base, self._model.mapped, example)
        return reader.sides([example], [FACTUAL])[FACTUAL]
