"""A trained GRADIEND as one frozen value, and which of two files of weights it was read from.

The value holds the checkpoint's facts, the autoencoder and its mapped positions. Every change (inverting, pruning,
moving) is a pure function that returns a new value; the old one stays whole. A folder may hold model.safetensors and
pytorch_model.bin, whole or in shards: the first is read, and where the other says something else, that is told.
Tensors are compared, not bytes. Knows no base model and no parameter of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    MapEntry,
    representation,
)
from gradiend_ui.engine.checkpoint.direction import why_undirected
from gradiend_ui.engine.checkpoint.reading import DTYPES, Checkpoint, load_tensors, read_checkpoint, read_tensors
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.errors import BadCheckpoint, BadGrid, shown
from gradiend_ui.engine.files.model_files import ANY_PICKLED_WEIGHTS, ANY_WEIGHTS, TRAINING
from gradiend_ui.engine.uploads.trust import LOCAL, Trust


@dataclass(frozen=True, eq=False)
class Trained:
    """A GRADIEND without its base model.

    checkpoint: where it came from, architecture, map entries, source, directions; its files are as they were read
    positions: {parameter name: flat int64 positions}, on the CPU; parameters that are mapped whole have none
    """

    checkpoint: Checkpoint
    gradiend: Autoencoder
    positions: Mapping[str, Tensor]

    @property
    def entries(self) -> tuple[MapEntry, ...]:
        return self.checkpoint.entries


def read_trained(path: Path | str, trust: Trust = LOCAL) -> Trained:
    """The GRADIEND at `path`, a checkpoint or run folder. Raises BadCheckpoint with the file and field in question."""
    checkpoint = read_checkpoint(path, trust)
    weights, positions = load_tensors(checkpoint)
    return Trained(checkpoint, Autoencoder(checkpoint.architecture, weights), positions)


def inverted(trained: Trained, *, update_direction: bool = True) -> Trained:
    """Encoder and decoder with the opposite sign, weights and biases: u(part, feature_factor) becomes its negative.

    So the same cell rewrites as the negated learning rate did before. With an odd encoder activation (tanh) the
    encoding is negated too. update_direction: negate the direction of each class with it.
    """
    signed = (ENCODER_WEIGHT, ENCODER_BIAS, DECODER_WEIGHT, DECODER_BIAS)
    weights = {name: -tensor if name in signed else tensor for name, tensor in trained.gradiend.weights.items()}
    changed = replace(trained, gradiend=Autoencoder(trained.gradiend.architecture, weights))
    direction = trained.checkpoint.encoding_direction
    if update_direction and direction:
        return directed(changed, {name: -sign + 0.0 for name, sign in direction.items()}, "inverted")
    return changed


def directed(trained: Trained, direction: Mapping[str, float], direction_from: str = "given") -> Trained:
    """The same weights with another direction of each class: positive counts as +1, negative as -1, 0 as neutral.

    Raises BadGrid for a direction that is no number.
    """
    signs: dict[str, float] = {}
    for name, value in direction.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise BadGrid(f"The direction of class {name!r} must be a number (+1, -1 or 0), not {value!r}.")
        signs[str(name)] = float((value > 0) - (value < 0))
    former, note = trained.checkpoint.direction_note, why_undirected(signs, "encoding_direction")
    told = [text for text in trained.checkpoint.warnings if former is None or text != former.sentence]
    checkpoint = replace(
        trained.checkpoint,
        encoding_direction=signs,
        direction_from=direction_from,
        direction_note=note,
        warnings=(*told, *([] if note is None else [note.sentence])),
    )
    return replace(trained, checkpoint=checkpoint)


def pruned(trained: Trained, kept: Tensor) -> Trained:
    """Only the mapped weights that `kept`, bool (input_dim,), marks; their order and their values stay.

    Parameters that lose every weight stay in the map with an empty selection, so global indices stay what they are.
    """
    gradiend = trained.gradiend
    keep = kept.cpu().nonzero().flatten()
    weights = dict(gradiend.weights)
    for name, dimension in ((ENCODER_WEIGHT, 1), (DECODER_WEIGHT, 0), (DECODER_BIAS, 0)):
        if name in weights:
            weights[name] = weights[name].index_select(dimension, keep.to(weights[name].device))
    entries: list[MapEntry] = []
    positions: dict[str, Tensor] = {}
    start = 0
    for number, entry in enumerate(trained.entries):
        chosen = kept[start : start + entry.num_selected].cpu().nonzero().flatten()
        start += entry.num_selected
        own = trained.positions.get(entry.name)
        kind = representation(entry.numel, chosen.numel())
        if kind != "all" or own is not None:
            kind = "indices" if kind == "all" else kind
            positions[entry.name] = chosen if own is None else own[chosen]
        key = None if kind == "all" else f"L{number}"
        entries.append(MapEntry(entry.name, entry.shape, kind, key, chosen.numel()))
    architecture = replace(gradiend.architecture, input_dim=keep.numel())
    checkpoint = replace(trained.checkpoint, architecture=architecture, entries=tuple(entries))
    return Trained(checkpoint, Autoencoder(architecture, weights), positions)


def converted(
    trained: Trained,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    device_decoder: torch.device | str | None = None,
) -> Trained:
    """The same on another device or in another dtype; None leaves that as it is. The decoder may lie elsewhere."""
    if device is None and dtype is None and device_decoder is None:
        return trained
    weights = {
        name: tensor.to(device=device_decoder or device if name.startswith("decoder.") else device, dtype=dtype)
        for name, tensor in trained.gradiend.weights.items()
    }
    architecture = trained.gradiend.architecture
    if dtype is not None:
        architecture = replace(architecture, torch_dtype=_dtype_name(dtype))
    checkpoint = replace(trained.checkpoint, architecture=architecture)
    return Trained(checkpoint, Autoencoder(architecture, weights), trained.positions)


def save_trained(
    trained: Trained, folder: Path, *, base_model: str, keep_tokenizer: bool = True, use_safetensors: bool = True
) -> None:
    """Write the checkpoint to `folder` in the format of the `gradiend` package, whole or absent.

    base_model: what `metadata.base_model` will say, an absolute path or a Hub id: it must mean the same from anywhere.
    keep_tokenizer: False drops `metadata.tokenizer`, which belongs to another base model then.
    Directions that were only read off training.json are not written as facts: training.json comes along and tells.
    """
    checkpoint = trained.checkpoint
    metadata = {name: value for name, value in checkpoint.metadata.items() if keep_tokenizer or name != "tokenizer"}
    context: dict[str, object] = {"source": checkpoint.source, "target": checkpoint.target}
    if checkpoint.encoding_direction and checkpoint.direction_from != TRAINING:
        signs = {name: int(sign) for name, sign in checkpoint.encoding_direction.items()}
        context["feature_class_encoding_direction"] = signs
    save_checkpoint(
        folder,
        architecture=trained.gradiend.architecture,
        weights=trained.gradiend.weights,
        shapes={entry.name: entry.shape for entry in trained.entries},
        positions=trained.positions,
        metadata={**metadata, "base_model": base_model},
        context=context,
        training=checkpoint.training,
        use_safetensors=use_safetensors,
    )


def param_map_hash(trained: Trained) -> str:
    """md5 of names, shapes and selections, equal to the reference's hash of the same map: a key, not a protection."""
    digest = hashlib.md5(usedforsecurity=False)
    for entry in trained.entries:
        own = trained.positions.get(entry.name)
        kind = representation(entry.numel, entry.num_selected)
        digest.update(f"{entry.name}{entry.shape}{kind}".encode())
        if own is None or kind == "all":
            continue
        if kind == "indices":
            digest.update(own.to(torch.int64).numpy().tobytes())
        else:
            digest.update(torch.zeros(entry.numel, dtype=torch.uint8).index_fill_(0, own, 1).numpy().tobytes())
    return digest.hexdigest()


def _dtype_name(dtype: torch.dtype) -> str:
    names = [name for name, known in DTYPES.items() if known == dtype]
    if not names:
        raise BadGrid(f"A GRADIEND can be {', '.join(DTYPES)}, not {dtype}.")
    return names[0]


MOST_BYTES = 32 * 1024**3


def twin_warning(folder: Path, what: str, *, public: bool) -> str | None:
    """A sentence where `folder` holds weights twice and they may differ; None where they do not, or there is one.

    what: how the sentence calls the folder. public: pickled files are not opened, so that only their presence is told.
    """
    read, other = _files(folder, ANY_WEIGHTS), _files(folder, ANY_PICKLED_WEIGHTS)
    if not read or not other:
        return None
    both = {"place": what, "read": read[0].name, "other": other[0].name, "taken": read[0].name}
    if public:
        return remark("twins_unseen", **both)
    if sum(path.stat().st_size for path in (*read, *other)) > MOST_BYTES:
        return remark("twins_large", **both)
    try:
        difference = first_difference(_tensors(read), _tensors(other))
    except BadCheckpoint as error:
        return remark("twins_unread", **both, why=error)
    if difference is None:
        return None
    return remark("twins_differ", **both, tensor=shown(difference))


def first_difference(read: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first tensor that is not the same in both; None where all are.

    One that only one side names is no difference where it is a copy of another tensor (weights that are tied are stored
    once in the one format, twice in the other) or holds no weights (position numbers).
    """
    for name in sorted({*read, *other}):
        if name in read and name in other:
            if not _same(read[name], other[name]):
                return name
            continue
        alone, known = (read[name], other) if name in read else (other[name], read)
        if alone.is_floating_point() and not any(_same(alone, tensor) for tensor in known.values()):
            return name
    return None


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors hold the same numbers, in whatever precision they are stored; NaN equals NaN."""
    if left.shape != right.shape:
        return False
    kind = torch.promote_types(left.dtype, right.dtype)
    a, b = left.to(kind), right.to(kind)
    return bool(((a == b) | ((a != a) & (b != b))).all())


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except OSError:
        return []


def _tensors(files: list[Path]) -> dict[str, torch.Tensor]:
    return {name: tensor for path in files for name, tensor in read_tensors(path).items()}
