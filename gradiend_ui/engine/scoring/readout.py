"""Logits at chosen positions only.

A sweep reads few positions, yet a vocabulary head at every position, and the last layer too, are much of a small
model's work. `Readout` narrows the hidden states to the points that are read as late in the model as it must and as
early as it may: before the feed-forward part of the last layer (BERT family), or before the head. What a model
allows is tried once against the plain path; models that differ are read the plain way. `EncoderReadout` reads an
encoder-decoder model at its encoder. Knows no tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gradiend_ui.engine.errors import CannotRun, GradiendUIError
from gradiend_ui.engine.weights.trial import MISFITS, close, shaken_copy

Model = Any
TRIED_ROWS = 4
MAX_REASON = 160


@contextmanager
def running(model: Model) -> Iterator[None]:
    """What a model is run in: raises CannotRun where its settings let it be built and no text be read."""
    try:
        yield
    except (GradiendUIError, torch.OutOfMemoryError):
        raise
    except MISFITS as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise CannotRun(
            f"The base model ({getattr(model.config, 'model_type', 'of no known kind')}) cannot be run: "
            f"{reason[:MAX_REASON].rstrip('.')}. The numbers in its config.json do not go together: give the model as "
            "it was saved."
        ) from error


@dataclass(frozen=True)
class Batch:
    """Padded inputs and the points to read.

    input_ids, attention_mask: int64 (rows, length); point_rows, point_positions: int64 (points,).
    decoder_input_ids: int64 (rows, decoder length), for encoder-decoder models read at their decoder.
    position_ids: int64 (rows, length), None for 0, 1, 2, ...
    token_type_ids: int64 (rows, length), None for what the model takes by itself (see `token_types`).
    """

    input_ids: Tensor
    attention_mask: Tensor
    point_rows: Tensor
    point_positions: Tensor
    decoder_input_ids: Tensor | None = None
    position_ids: Tensor | None = None
    token_type_ids: Tensor | None = None

    def inputs(self, device: torch.device) -> dict[str, Tensor]:
        """What a transformers model takes, on `device`."""
        found = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if self.decoder_input_ids is not None:
            found["decoder_input_ids"] = self.decoder_input_ids
        if self.position_ids is not None:
            found["position_ids"] = self.position_ids
        if self.token_type_ids is not None:
            found["token_type_ids"] = self.token_type_ids
        return {name: tensor.to(device) for name, tensor in found.items()}

    def first_rows(self, count: int) -> Batch:
        """The same for the first rows only."""
        return self.chosen_rows(torch.arange(min(count, len(self.input_ids))))

    def chosen_rows(self, rows: Tensor) -> Batch:
        """The same for some rows only; rows: int64 (chosen,), ascending."""
        kept = torch.isin(self.point_rows, rows)
        rest = (self.decoder_input_ids, self.position_ids, self.token_type_ids)
        return Batch(
            self.input_ids[rows],
            self.attention_mask[rows],
            torch.searchsorted(rows, self.point_rows[kept]),
            self.point_positions[kept],
            *(None if tensor is None else tensor[rows] for tensor in rest),
        )

    def at_points(self, values: Tensor) -> Tensor:
        """`values` (rows, length, ...) at the points: (points, ...)."""
        return values[self.point_rows.to(values.device), self.point_positions.to(values.device)]


@dataclass(frozen=True)
class Apart:
    """Batches that are run one by one, as their model says something else of a row beside others. Their points follow
    each other."""

    batches: tuple[Batch, ...]


def padded(sequences: list[list[int]], pad_id: int, side: str = "right", width: int = 0) -> tuple[Tensor, Tensor]:
    """input_ids and attention_mask, int64 (rows, longest or `width`), of token-id lists, filled up on one side."""
    longest = max(width, *(len(ids) for ids in sequences))
    input_ids = torch.full((len(sequences), longest), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(sequences):
        start = longest - len(ids) if side == "left" else 0
        input_ids[row, start : start + len(ids)] = torch.tensor(ids, dtype=torch.int64)
        attention_mask[row, start : start + len(ids)] = 1
    return input_ids, attention_mask


@dataclass(frozen=True)
class Placed:
    """A row of tokens, each at its position; attended: 1 where other tokens may look at it, else 0."""

    ids: list[int]
    positions: list[int]
    attended: list[int]

    @classmethod
    def without_padding(cls, ids: list[int], width: int, pad_id: int, side: str) -> Placed:
        """What a causal model's last position depends on when `ids` is padded to `width` tokens on one side.

        Padding is never looked at: on the left it only moves the positions, on the right only the last one is read.
        """
        count = len(ids)
        if side == "left" or count == width:
            return cls(ids, list(range(width - count, width)), [1] * count)
        return cls([*ids, pad_id], [*range(count), width - 1], [*[1] * count, 0])


def placed(rows: list[Placed], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """input_ids, attention_mask and position_ids, int64 (rows, longest), filled up on the right."""
    input_ids, _ = padded([row.ids for row in rows], pad_id)
    positions, _ = padded([row.positions for row in rows], 0)
    attended, _ = padded([row.attended for row in rows], 0)
    return input_ids, attended, positions


def says_the_same(model: Model, batch: Batch, other: Batch) -> bool:
    """Whether the model's logits at the points of both batches are the same but for the order of sums."""
    plain = Readout("nowhere")
    try:
        first, second = plain.logits(model, batch), plain.logits(model, other)
    except (CannotRun, *MISFITS):
        return False
    return close(second, first, model.dtype)


def _few_rows(batch: Batch) -> Batch:
    """Rows with points, from the first one on, the shortest and the longest of the batch among them."""
    lengths = batch.attention_mask.sum(dim=1)
    asked = torch.tensor(sorted(set(batch.point_rows.tolist())), dtype=torch.int64)
    if len(asked) == 0:
        return batch.first_rows(TRIED_ROWS)
    order = asked[lengths[asked].argsort(stable=True)]
    places = torch.linspace(0, len(order) - 1, min(TRIED_ROWS, len(order))).long()
    return batch.chosen_rows(order[places].sort().values)


def _in_company(batch: Batch) -> Batch:
    """A row by itself twice: a model that tells rows apart (XMOD by their language) may be narrowed for one alone."""
    if len(batch.input_ids) != 1:
        return batch
    rest = (batch.decoder_input_ids, batch.position_ids, batch.token_type_ids)
    return Batch(
        batch.input_ids.repeat(2, 1),
        batch.attention_mask.repeat(2, 1),
        torch.cat([batch.point_rows, batch.point_rows + 1]),
        batch.point_positions.repeat(2),
        *(None if tensor is None else tensor.repeat(2, 1) for tensor in rest),
    )


def _one_narrower(batch: Batch) -> Batch:
    """The batch without its last column: a model that fills its texts up to a multiple (Longformer) takes back as much
    of what is narrowed, which does not show where nothing is filled up. The same batch where no point is left."""
    width = batch.input_ids.shape[1] - 1
    kept = batch.point_positions < width
    if batch.decoder_input_ids is not None or not kept.any():
        return batch
    rest = (batch.position_ids, batch.token_type_ids)
    return Batch(
        batch.input_ids[:, :width],
        batch.attention_mask[:, :width],
        batch.point_rows[kept],
        batch.point_positions[kept],
        None,
        *(None if tensor is None else tensor[:, :width] for tensor in rest),
    )


def _cut_short(batch: Batch) -> Batch:
    """Every second row without what stands right of its last point: as if it were shorter, and padded."""
    mask = batch.attention_mask.clone()
    for row in range(1, len(mask), 2):
        points = batch.point_positions[batch.point_rows == row]
        if batch.decoder_input_ids is None and len(points):
            mask[row, int(points.max()) + 1 :] = 0
    return replace(batch, attention_mask=mask)


@dataclass(frozen=True)
class Readout:
    """Reads logits of any weights of one architecture; `narrow_at` is "last layer", "head" or "nowhere"."""

    narrow_at: str

    @classmethod
    def trying(cls, model: Model, batch: Batch, shaken: Model | None = None) -> Readout:
        """The earliest narrowing that gives this model's plain logits, on some rows of `batch` with points.

        The model itself is run once: raises CannotRun where that fails. The narrowing is tried on a copy whose numbers
        are shaken (`shaken`, where there is one already), with some rows cut short as padding does.
        """
        batch = _few_rows(batch)
        cls("nowhere").logits(model, batch)
        tried = shaken_copy(model) if shaken is None else shaken
        batch = _cut_short(_in_company(batch))
        batches = (batch, _one_narrower(batch))
        for place in ("last layer", "head"):
            if _narrowing_module(model, place) is not None and all(cls(place)._holds(tried, own) for own in batches):
                return cls(place)
        return cls("nowhere")

    def _holds(self, tried: Model, batch: Batch) -> bool:
        """Whether the narrowing gives the plain logits of `tried` in this batch."""
        try:
            return close(self.logits(tried, batch), Readout("nowhere").logits(tried, batch), tried.dtype)
        except (CannotRun, *MISFITS):
            return False

    @torch.inference_mode()
    def logits(self, model: Model, batch: Batch) -> Tensor:
        """float32 logits (points, vocabulary) at the batch's points."""
        return self.logits_with_graph(model, batch)

    def logits_with_graph(self, model: Model, batch: Batch) -> Tensor:
        """The same, differentiable: what a training's loss is computed from."""
        lower = getattr(model, "lower_layers", None)
        with nullcontext() if lower is None else lower.reading(batch):
            return self._logits(model, batch)

    def _logits(self, model: Model, batch: Batch) -> Tensor:
        inputs = batch.inputs(model.device)
        module = _narrowing_module(model, self.narrow_at)
        if module is None:
            with running(model):
                return batch.at_points(model(**inputs).logits).float()

        def keep_points_of_inputs(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(batch.at_points(hidden).unsqueeze(0) for hidden in args)

        def keep_points_of_output(_module: nn.Module, _args: Any, output: Any) -> Any:
            output.last_hidden_state = batch.at_points(output.last_hidden_state).unsqueeze(0)
            return output

        if self.narrow_at == "last layer":
            handle = module.register_forward_pre_hook(keep_points_of_inputs)
        else:
            handle = module.register_forward_hook(keep_points_of_output)
        try:
            with running(model):
                logits: Tensor = model(**inputs).logits[0].float()
        finally:
            handle.remove()
        return logits


@dataclass(frozen=True)
class EncoderReadout:
    """Reads an encoder-decoder model at its encoder: the output layer on the encoder's hidden states.

    The decoder does not run; scaling and biases that a model adds behind its output layer are left out, as in the
    reference's encoder-side masked scoring.
    """

    narrow_at: str = "encoder"

    @torch.inference_mode()
    def logits(self, model: Model, batch: Batch) -> Tensor:
        """float32 logits (points, vocabulary) at the batch's points."""
        return self.logits_with_graph(model, batch)

    def logits_with_graph(self, model: Model, batch: Batch) -> Tensor:
        """The same, differentiable: what a training's loss is computed from."""
        with running(model):
            hidden = model.get_encoder()(**batch.inputs(model.device)).last_hidden_state
            logits: Tensor = model.get_output_embeddings()(batch.at_points(hidden)).float()
        return logits


def _narrowing_module(model: Model, place: str) -> nn.Module | None:
    """Where the points are picked: the output projection of the last attention (its input and its residual), or the
    backbone's output (the decoder's, where a model has no backbone of its own). None when there is no such part."""
    if place == "nowhere":
        return None
    backbone = model.base_model
    if backbone is model and model.config.is_encoder_decoder:
        backbone = model.get_decoder()
    if not isinstance(backbone, nn.Module) or backbone is model:
        return None
    if place == "head":
        return backbone
    modules = dict(backbone.named_modules())
    last = getattr(model.config, "num_hidden_layers", 0) - 1
    return modules.get(f"encoder.layer.{last}.attention.output")
