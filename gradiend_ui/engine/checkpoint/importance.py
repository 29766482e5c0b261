"""Which of the mapped weights matter: importance per part, the top k, and where in the base model they lie.

    local index    place in the GRADIEND's flat input vector, 0 to input_dim - 1: changes when it is pruned
    global index   place in the concatenation of all mapped parameters, whole, in map order: stays the same, so
                   differently pruned GRADIENDs of one base model can be compared

Pure functions of tensors and map entries; knows no base model. Source of the formulas: `gradiend` 0.2.3.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder, plain_number
from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_WEIGHT, MapEntry
from gradiend_ui.engine.errors import BadGrid, BadName, Failed, shown
from gradiend_ui.engine.files.whole_or_absent import unfinished, with_advice
from gradiend_ui.engine.values import WEIGHT_PARTS, finite

COLUMNS = (
    "rank",
    "part",
    "importance",
    "local_input_index",
    "base_global_index",
    "param_name",
    "flat_index_in_param",
    "param_row",
    "param_col",
    "coords",
    "param_shape",
    "param_numel",
)
"""The columns of an exported csv file, in order."""


def weight_importance(gradiend: Autoencoder, part: str = "decoder-weight") -> Tensor:
    """How much each mapped weight takes part, (input_dim,), on the CPU; at least 0, higher is more.

    "encoder-weight", "decoder-weight": sum of |W| over the latent; "decoder-bias": |b|, zeros without a bias;
    "decoder-sum": |sum of W over the latent + b|. Raises BadGrid for another part.
    """
    name = part.lower()
    if name not in WEIGHT_PARTS:
        raise BadGrid(f"part must be one of {', '.join(WEIGHT_PARTS)}, not {shown(part)}.")
    if name == "encoder-weight":
        return gradiend.weights[ENCODER_WEIGHT].detach().cpu().abs().sum(dim=0)
    if name == "decoder-weight":
        return gradiend.weights[DECODER_WEIGHT].detach().cpu().abs().sum(dim=1)
    if name == "decoder-bias" and DECODER_BIAS not in gradiend.weights:
        return torch.zeros(gradiend.architecture.input_dim)
    return gradiend.update_vector(name).detach().cpu().abs()


def top_indices(importance: Tensor, topk: int | float) -> list[int]:
    """The local indices of the `topk` most important entries of `importance` (input_dim,), most important first.

    topk: a whole number, at least 0 (0 gives one, more than there are gives all), or a share in (0, 1] as a float,
    rounded up. Raises BadGrid for anything else.
    """
    count = _count(topk, importance.numel(), least=0)
    indices: list[int] = torch.topk(importance, k=count, largest=True, sorted=True).indices.tolist()
    return indices


def enhancer_mask(importance: Tensor, topk: int | float) -> Tensor:
    """Which entries of `importance` (size,) are among the top k, bool (size,).

    topk: above 1 a number of entries, up to 1 a share of them, rounded down; 0 gives an empty mask.
    """
    number, size = finite(plain_number(topk), "topk"), importance.numel()
    count = max(0, min(int(number) if number > 1.0 else int(number * size), size))
    mask = torch.zeros(size, dtype=torch.bool)
    if count:
        mask[top_indices(importance, count)] = True
    return mask


def kept_mask(
    size: int,
    *,
    importance: Tensor | None = None,
    topk: int | float | None = None,
    threshold: float | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Which of `size` entries stay, bool (size,): first those of `mask`, then importance >= `threshold`, then top k.

    topk: a whole number from 1, or a share in (0, 1] as a float of what mask and threshold left, rounded up.
    importance (size,) is needed for threshold and topk.
    Raises BadGrid when nothing is asked, when a value is out of range, and when nothing would stay.
    """
    if topk is None and threshold is None and mask is None:
        raise BadGrid("Pruning needs topk, threshold or mask.")
    kept = torch.ones(size, dtype=torch.bool)
    if mask is not None:
        kept &= _checked_mask(mask, size)
    if threshold is not None:
        kept &= _checked_importance(importance, size) >= _checked_threshold(threshold)
    if topk is not None:
        active = kept.nonzero().flatten()
        count = _count(topk, active.numel(), least=1) if active.numel() else 0
        if count < active.numel():
            scores = _checked_importance(importance, size)[active]
            chosen = active[torch.topk(scores, k=count, largest=True, sorted=False).indices]
            kept = torch.zeros(size, dtype=torch.bool)
            kept[chosen] = True
    if not bool(kept.any()):
        raise BadGrid("Pruning would leave nothing: lower the threshold or keep more with the mask.")
    return kept


def index_mask(size: int, indices: Tensor | Sequence[int]) -> Tensor:
    """The bool mask (size,) of the given local indices, each counted once. Raises BadGrid for none or out of range."""
    chosen = torch.as_tensor(indices).detach().cpu().flatten()
    if chosen.is_floating_point() or chosen.dtype == torch.bool or not chosen.numel():
        raise BadGrid(f"keep_idx must hold at least one whole number, not {chosen.numel()} of {chosen.dtype}.")
    if int(chosen.min()) < 0 or int(chosen.max()) >= size:
        raise BadGrid(f"keep_idx goes from {int(chosen.min())} to {int(chosen.max())}; there are 0 to {size - 1:,}.")
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, chosen.long(), True)


@dataclass(frozen=True, eq=False)
class Pruning:
    """What is asked of a pruning; see `ModelWithGradiend.prune_gradiend`. keep_idx: instead of all the others."""

    topk: int | float | None
    threshold: float | None
    mask: Tensor | None
    part: str
    importance: Tensor | None
    keep_idx: Tensor | None

    def kept(self, gradiend: Autoencoder) -> Tensor:
        """Which of the mapped weights stay, bool (input_dim,). Raises BadGrid."""
        size, importance = len(gradiend), self.importance
        if self.keep_idx is not None:
            if any(given is not None for given in (self.topk, self.threshold, self.mask, importance)):
                raise BadGrid(
                    "keep_idx names the weights to keep: give no topk, threshold, mask or importance with it."
                )
            return index_mask(size, self.keep_idx)
        if importance is None and (self.topk is not None or self.threshold is not None):
            importance = weight_importance(gradiend, self.part)
        return kept_mask(size, importance=importance, topk=self.topk, threshold=self.threshold, mask=self.mask)


def global_indices(entries: Sequence[MapEntry], positions: Mapping[str, Tensor]) -> Tensor:
    """The global index of each local one, int64 (input_dim,)."""
    found: list[Tensor] = []
    start = 0
    for entry in entries:
        own = positions.get(entry.name)
        found.append((torch.arange(entry.numel) if own is None else own.cpu().long()) + start)
        start += entry.numel
    return torch.cat(found)


def top_global_indices(
    gradiend: Autoencoder, entries: Sequence[MapEntry], positions: Mapping[str, Tensor], part: str, topk: int | float
) -> list[int]:
    """The global indices of the `topk` most important weights, most important first. Raises BadGrid."""
    local = top_indices(weight_importance(gradiend, part), topk)
    found: list[int] = global_indices(entries, positions)[local].tolist()
    return found


def decode_global_index(entries: Sequence[MapEntry], index: int) -> dict[str, Any]:
    """Parameter and place of a global index: param_name, param_shape, param_numel, flat_index_in_param, coords, ...

    param_row, param_col: the first two coordinates, None where the parameter has fewer dimensions.
    Raises BadGrid when `index` is out of range.
    """
    rest = index
    for entry in entries:
        if 0 <= rest < entry.numel:
            coords = _coordinates(rest, entry.shape)
            return {
                "param_name": entry.name,
                "param_shape": list(entry.shape),
                "param_numel": entry.numel,
                "flat_index_in_param": rest,
                "coords": coords,
                "param_row": coords[0] if coords else None,
                "param_col": coords[1] if len(coords) > 1 else None,
            }
        rest -= entry.numel
    total = sum(entry.numel for entry in entries)
    raise BadGrid(f"There is no global index {index}: the mapped parameters have 0 to {total - 1:,}.")


def feature_rows(
    gradiend: Autoencoder,
    entries: Sequence[MapEntry],
    positions: Mapping[str, Tensor],
    part: str,
    topk: int | float,
) -> list[dict[str, Any]]:
    """One row per top weight, most important first: rank from 1, importance, both indices, parameter and place."""
    importance = weight_importance(gradiend, part)
    everywhere = global_indices(entries, positions)
    return [
        {
            "rank": rank,
            "part": part,
            "importance": float(importance[local]),
            "local_input_index": local,
            "base_global_index": int(everywhere[local]),
            **decode_global_index(entries, int(everywhere[local])),
        }
        for rank, local in enumerate(top_indices(importance, topk), start=1)
    ]


def write_feature_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write `rows` to the .json or .csv file `path`, whole or absent, in the layout of the `gradiend` package.

    In a csv, coords and param_shape are JSON lists. Raises BadName for another suffix, Failed when the disk refuses.
    """
    if path.suffix.lower() not in (".json", ".csv"):
        raise BadName(f"{path.name!r} must end with .json or .csv.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path) as partial:
            with partial.open("w", newline="", encoding="utf-8") as file:
                if path.suffix.lower() == ".json":
                    json.dump([dict(row) for row in rows], file, indent=2)
                else:
                    writer = csv.DictWriter(file, fieldnames=COLUMNS)
                    writer.writeheader()
                    writer.writerows({**row, **{key: json.dumps(row[key]) for key in _LISTS}} for row in rows)
            os.replace(partial, path)
    except OSError as error:
        raise Failed(f"{path.name!r} could not be written: {with_advice(error)}") from error


_LISTS = ("coords", "param_shape")


def _count(topk: object, available: int, *, least: int) -> int:
    number = plain_number(topk)
    if isinstance(number, float) and 0.0 < number <= 1.0:
        return max(1, math.ceil(number * available))
    if isinstance(number, int) and not isinstance(number, bool) and number >= least:
        return min(max(number, 1), available)
    raise BadGrid(f"topk must be a whole number from {least} or a share above 0 and up to 1.0, not {shown(topk)}.")


def _coordinates(flat: int, shape: tuple[int, ...]) -> list[int]:
    coords: list[int] = []
    for size in reversed(shape):
        flat, place = divmod(flat, size)
        coords.insert(0, place)
    return coords


def _checked_mask(mask: Tensor, size: int) -> Tensor:
    try:
        found = torch.as_tensor(mask)
    except (RuntimeError, TypeError, ValueError):
        raise BadGrid(f"mask must be bool with {size:,} entries, not {shown(mask)}.") from None
    if found.dtype != torch.bool or tuple(found.shape) != (size,):
        raise BadGrid(f"mask must be bool with {size:,} entries, not {found.dtype} of shape {tuple(found.shape)}.")
    return found.detach().cpu()


def _checked_importance(importance: Tensor | None, size: int) -> Tensor:
    if not isinstance(importance, Tensor) or tuple(importance.shape) != (size,):
        shape = tuple(importance.shape) if isinstance(importance, Tensor) else None
        raise BadGrid(f"importance must have shape ({size},), not {shape}.")
    return importance.detach().cpu()


def _checked_threshold(threshold: object) -> float:
    number = plain_number(threshold)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number >= 0:
        raise BadGrid(f"threshold must be a number from 0, not {shown(threshold)}.")
    return float(number)
