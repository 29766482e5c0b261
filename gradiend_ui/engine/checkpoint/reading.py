"""Reading and checking a GRADIEND checkpoint folder (the format of the `gradiend` package).

    config.json                    architecture, parameter map, metadata (base model, objective)
    model.safetensors              encoder.0.linear.{weight, bias}, decoder.0.linear.{weight, bias}
      or pytorch_model.bin         the same, read with weights_only=True
    mapping_indices.* / mapping_masks.*   which entries of a parameter are mapped, for pruned GRADIENDs
    gradiend_context.json          source, target, direction of each class
    training.json                  statistics and arguments of the training

`read_checkpoint` looks at JSON and headers only; `load_tensors` allocates. Knows no base model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.config import (
    ENCODER_BIAS,
    Architecture,
    MapEntry,
    check_shapes,
    describes_gradiend,
    parse_architecture,
    parse_entries,
)
from gradiend_ui.engine.checkpoint.context import source_of, target_of, value_at
from gradiend_ui.engine.checkpoint.direction import DirectionNote, direction_of
from gradiend_ui.engine.checkpoint.formats import (
    CONVERT,
    NO_ENCODER_BIAS,
    check_signal,
    is_research_format,
    notes_on_format,
    stated_encoder_bias,
)
from gradiend_ui.engine.checkpoint.run_folder import leads_out, nothing_found, read_run_folder
from gradiend_ui.engine.errors import BadCheckpoint, shown
from gradiend_ui.engine.files.file_names import can_be_name, is_pointer
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.files.model_files import CONFIG, CONTEXT, TRAINING, WEIGHTS_FILES
from gradiend_ui.engine.files.safetensors_header import (
    FLOATS,
    LIMITS,
    STRANGERS_LIMITS,
    HeaderLimits,
    TensorInfo,
    read_header,
)
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.values import ENOUGH_CLASSES

MAX_FILE_NAME = 200
DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint folder; no tensor has been read yet.

    encoding_direction: {class: +1, -1 or 0}, empty when neither gradiend_context.json nor training.json tells
    direction_from: the file the directions were taken from, "" when there are none
    direction_note: why a direction is not known, or where it comes from; None where the files state it
    encoder_bias: whether the encoder has one, None where config.json does not say
    warnings: sentences on what was assumed
    """

    folder: Path
    architecture: Architecture
    entries: tuple[MapEntry, ...]
    weights_file: Path
    indices_file: Path | None
    masks_file: Path | None
    metadata: Mapping[str, Any]
    source: str
    target: str
    encoding_direction: Mapping[str, float]
    direction_from: str
    training: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())
    direction_note: DirectionNote | None = None
    encoder_bias: bool | None = None

    @property
    def mapped_weights(self) -> int:
        """How many base-model weights the GRADIEND maps: the length of its update vector."""
        return self.architecture.input_dim

    @property
    def known_classes(self) -> dict[str, float]:
        """`encoding_direction`; where no direction is known, the classes that the files name all the same, each at 0.

        Empty where they do not name two."""
        named = () if self.direction_note is None else self.direction_note.classes
        zeros = dict.fromkeys(named, 0.0) if len(named) >= ENOUGH_CLASSES else {}
        return dict(self.encoding_direction) or zeros

    @property
    def correlation(self) -> float | None:
        """Encoder correlation at the best step, in [-1, 1], when training.json records it."""
        value = value_at(self.training, "best_score_checkpoint", "correlation")
        value = value_at(self.training, "training_stats", "correlation") if value is None else value
        known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if known else None

    @property
    def converged(self) -> bool | None:
        value = value_at(self.training, "convergence_info", "converged")
        return value if isinstance(value, bool) else None


def find_checkpoint_folder(path: Path) -> Path:
    """The checkpoint folder that `path` stands for.

    That is `path` itself, the `model/` of a run folder, or else the best seed of its seeds/seed_report.json.
    Raises BadCheckpoint with what was found instead, for example several runs.
    """
    if not path.is_dir():
        raise BadCheckpoint(f"There is no folder {str(path)!r}. Give the folder that holds the GRADIEND's config.json.")
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    found = read_run_folder(path).checkpoint
    if found is None:
        raise BadCheckpoint(nothing_found(path))
    return found


def read_checkpoint(path: Path | str, trust: Trust = LOCAL) -> Checkpoint:
    """Read and check the checkpoint at `path`: a checkpoint folder, or a run folder (see `find_checkpoint_folder`).

    Names, shapes, counts and file sizes are compared before any tensor is allocated. trust: for whom.
    Raises BadCheckpoint with the file and the field that do not fit, NotAllowed for pickled files of strangers.
    """
    folder = find_checkpoint_folder(Path(path))
    config = _gradiend_config(folder)
    architecture = parse_architecture(config["architecture"])
    metadata = {} if config.get("metadata") is None else config["metadata"]
    if not isinstance(metadata, Mapping):
        raise BadCheckpoint("config.json: metadata must be an object.")
    check_signal(metadata)
    mapping = config["mapping"]
    entries = parse_entries(mapping, architecture.input_dim)
    weights_file, encoder_bias = _checked_weights(folder, config, architecture, trust)
    indices_file = _mapping_file(folder, mapping, "indices_file", entries, "indices", trust)
    masks_file = _mapping_file(folder, mapping, "masks_file", entries, "mask", trust)
    warnings = _warnings_of(config, architecture, encoder_bias)
    training = _optional_json(folder, TRAINING, warnings)
    context = _optional_json(folder, CONTEXT, warnings)
    direction = direction_of(context, training, warnings)
    warnings += [] if direction.note is None else [direction.note.sentence]
    return Checkpoint(
        folder=folder,
        architecture=architecture,
        entries=entries,
        weights_file=weights_file,
        indices_file=indices_file,
        masks_file=masks_file,
        metadata=metadata,
        source=source_of(context, training, warnings),
        target=target_of(context, warnings),
        encoding_direction=direction.signs,
        direction_from=direction.file,
        training=training,
        warnings=tuple(warnings),
        direction_note=direction.note,
        encoder_bias=encoder_bias,
    )


def _gradiend_config(folder: Path) -> dict[str, Any]:
    """The content of config.json. Raises BadCheckpoint where it is not that of a GRADIEND in today's format."""
    config = _read_json(_member(folder, CONFIG))
    if is_research_format(config):
        told = BadCheckpoint(
            f"{folder.name} is a GRADIEND in the format of the papers' research code. Convert it on your own machine: "
            f"{CONVERT}"
        )
        raise told.known_as("load.research_format", name=folder.name, command=CONVERT)
    if not describes_gradiend(config):
        is_base, name = "model_type" in config, f"{folder.name}/config.json"
        hint = " (it looks like a plain base model)" if is_base else ""
        told = BadCheckpoint(f"{name} describes no GRADIEND{hint}: it has no architecture or mapping.")
        raise told.known_as("load.plain_base" if is_base else "load.no_gradiend", name=name)
    return config


def _checked_weights(
    folder: Path, config: Mapping[str, Any], architecture: Architecture, trust: Trust
) -> tuple[Path, bool | None]:
    """The weights' file, and whether the encoder has a bias; of a pickled file that may be told by its tensors only."""
    stated = stated_encoder_bias(config["architecture"])
    path = _weights_file(folder)
    trust.check_pickle(path)
    if path.suffix != ".safetensors":
        return path, stated
    header = read_header(path, _limits(trust))
    has_bias = ENCODER_BIAS in header if stated is None else stated
    check_shapes(path.name, {name: info.shape for name, info in header.items()}, architecture, has_bias)
    _check_floats(path.name, {name: info.dtype for name, info in header.items()})
    return path, has_bias


def _warnings_of(config: Mapping[str, Any], architecture: Architecture, encoder_bias: bool | None) -> list[str]:
    """Sentences on what config.json leaves open, or says in a way that is not known here."""
    warnings = [] if encoder_bias is not False else [NO_ENCODER_BIAS]
    warnings += notes_on_format(config)
    if architecture.torch_dtype not in DTYPES:
        stated, known = shown(architecture.torch_dtype), ", ".join(DTYPES)
        warnings.append(remark("dtype_unknown", stated=stated, known=known))
    return warnings


def load_tensors(checkpoint: Checkpoint) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The weights {state name: tensor} and the mapped positions {parameter name: int64 tensor (num_selected,)}.

    Weights have the dtype that the architecture names, whatever the file holds; an encoder without a bias gets one of
    zeros, so that what is saved is a checkpoint for every version of `gradiend`. Positions are flat, ascending for
    masks and in stored order for indices; parameters of kind "all" have none.
    Raises BadCheckpoint for weights that are not finite and positions out of range or repeated.
    """
    file = checkpoint.weights_file.name
    weights = read_tensors(checkpoint.weights_file)
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    check_shapes(file, shapes, checkpoint.architecture, checkpoint.encoder_bias)
    _check_floats(file, {name: tensor.dtype for name, tensor in weights.items()})
    dtype = _dtype(checkpoint.architecture)
    for name, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise BadCheckpoint(f"{file}: {name} holds NaN or infinite weights.")
        weights[name] = tensor.to(dtype, copy=True)  # not mapped: nobody can change it by writing to the file
        if tensor.dtype != dtype and not bool(torch.isfinite(weights[name]).all()):
            raise BadCheckpoint(f"{file}: {name} holds weights too large for {dtype} (architecture.torch_dtype).")
    weights.setdefault(ENCODER_BIAS, torch.zeros(checkpoint.architecture.latent_dim, dtype=dtype))
    indices = read_tensors(checkpoint.indices_file) if checkpoint.indices_file else {}
    masks = read_tensors(checkpoint.masks_file) if checkpoint.masks_file else {}
    positions: dict[str, torch.Tensor] = {}
    for entry in checkpoint.entries:
        if entry.kind != "all":
            stored = indices if entry.kind == "indices" else masks
            path = checkpoint.indices_file if entry.kind == "indices" else checkpoint.masks_file
            positions[entry.name] = _positions(entry, stored, "the mapping file" if path is None else path.name)
    return weights, positions


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except OSError as error:
        unread = BadCheckpoint(f"{path.name} cannot be read: {error.strerror}.")
        raise unread.known_as("load.file_unread", name=path.name, why=str(error.strerror)) from error
    except ValueError as error:
        bad = BadCheckpoint(f"{path.name} is not valid JSON: {error}.")
        raise bad.known_as("load.file_no_json", name=path.name, why=str(error)) from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path.name} must hold a JSON object.").known_as("load.file_no_object", name=path.name)
    return content


def _optional_json(folder: Path, name: str, warnings: list[str]) -> dict[str, Any]:
    if not (folder / name).is_file():
        return {}
    try:
        return _read_json(_member(folder, name))
    except BadCheckpoint as error:
        warnings.append(remark("file_ignored", why=error))
        return {}


def _weights_file(folder: Path) -> Path:
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return _member(folder, name)
    told = BadCheckpoint(f"{folder.name} holds neither model.safetensors nor pytorch_model.bin.")
    raise told.known_as("load.no_weights", name=folder.name)


def _member(folder: Path, name: object) -> Path:
    """The file `name` of the folder; links may lead nowhere but into the folder or a Hub cache's blobs beside it."""
    plain = isinstance(name, str) and len(name) <= MAX_FILE_NAME and can_be_name(name)
    if not isinstance(name, str) or not plain:
        raise BadCheckpoint(f"config.json: a file is named by its plain name inside the folder, not by {shown(name)}.")
    path = folder / name
    if not path.is_file():
        raise BadCheckpoint(
            f"{name} is missing from the checkpoint folder {folder.name} (named in config.json), or is no plain file."
        ).known_as("load.file_missing", name=name, folder=folder.name)
    if leads_out(path, folder):
        raise BadCheckpoint(f"{name} is a link that leads out of the checkpoint folder.")
    if is_pointer(path):
        raise BadCheckpoint(
            f"{name} in {folder.name} is a pointer of Git LFS and not the file itself: fetch it (git lfs pull), or "
            "download it again."
        ).known_as("load.pointer", name=name, folder=folder.name)
    return path


def _mapping_file(
    folder: Path, mapping: Mapping[str, Any], field_name: str, entries: tuple[MapEntry, ...], kind: str, trust: Trust
) -> Path | None:
    wanted = [entry for entry in entries if entry.kind == kind]
    if not wanted:
        return None
    path = _member(folder, mapping.get(field_name))
    trust.check_pickle(path)
    if path.suffix == ".safetensors":
        header = read_header(path, _limits(trust))
        for entry in wanted:
            _check_mapping_header(path, entry, header.get(str(entry.key)))
    return path


def _limits(trust: Trust) -> HeaderLimits:
    return STRANGERS_LIMITS if trust.public else LIMITS


def _check_mapping_header(path: Path, entry: MapEntry, info: TensorInfo | None) -> None:
    if info is None:
        raise BadCheckpoint(f"{path.name} has no tensor {shown(entry.key)} for parameter {entry.name!r}.")
    expected = entry.num_selected if entry.kind == "indices" else entry.numel
    if info.numel != expected or info.dtype not in ("I32", "I64", *(("U8", "BOOL") if entry.kind == "mask" else ())):
        raise BadCheckpoint(
            f"{path.name}: {shown(entry.key)} has {info.numel:,} entries of {info.dtype}; "
            f"parameter {entry.name!r} needs {expected:,} {'positions' if entry.kind == 'indices' else 'mask bytes'}."
        )


def _check_floats(file: str, dtypes: Mapping[str, object]) -> None:
    for name, dtype in dtypes.items():
        if dtype not in (*FLOATS, *DTYPES.values()):
            raise BadCheckpoint(f"{file}: {name} is stored as {dtype}; weights must be floating-point numbers.")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a weights file, mapped from it where it can be; of a pickled one plain tensors and nothing else.

    Raises BadCheckpoint.
    """
    if path.suffix == ".safetensors":
        try:
            loaded: dict[str, torch.Tensor] = load_file(path)
        except (SafetensorError, OSError, RuntimeError) as error:
            unread = BadCheckpoint(f"{path.name} cannot be read: {str(error)[:200]}.")
            raise unread.known_as("load.file_unread", name=path.name, why=str(error)[:200]) from error
        return loaded
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise BadCheckpoint(
            f"{path.name} cannot be read as plain weights ({_reason(error)}): save the GRADIEND as safetensors, or "
            "copy the file again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise BadCheckpoint(f"{path.name} must hold a table of tensors and nothing else.")
    size = path.stat().st_size
    for name, tensor in content.items():
        _check_stored(path.name, name, tensor, size)
    return content


def _reason(error: Exception) -> str:
    """Why torch reads no plain tensors out of a file, in a few words."""
    told = next(iter(str(error).splitlines()), "")
    known = {
        "Weights only load failed": "it holds more than tensors",
        "mmap can only be used": "it is of an old format",
    }
    return next((words for start, words in known.items() if told.startswith(start)), told[:200] or type(error).__name__)


def _check_stored(file: str, name: str, tensor: object, size: int) -> None:
    """Raises BadCheckpoint unless it is a plain tensor whose values the file really holds: a pickle may claim any."""
    if not isinstance(tensor, torch.Tensor):
        raise BadCheckpoint(f"{file} must hold a table of tensors and nothing else.")
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not plain or tensor.numel() * tensor.element_size() > size:
        raise BadCheckpoint(f"{file}: {shown(name)} is no plain tensor that the file holds whole: save safetensors.")


def _dtype(architecture: Architecture) -> torch.dtype:
    """The dtype of the weights; float32 where the name means none to torch, as in the reference."""
    return DTYPES.get(architecture.torch_dtype, torch.float32)


def _positions(entry: MapEntry, tensors: Mapping[str, torch.Tensor], file: str) -> torch.Tensor:
    stored = tensors.get(str(entry.key))
    if stored is None:
        raise BadCheckpoint(f"{file} has no tensor {shown(entry.key)} for parameter {entry.name!r}.")
    if entry.kind == "mask":
        if stored.numel() != entry.numel:
            raise BadCheckpoint(f"{file}: {entry.name!r} has {stored.numel():,} mask entries, not {entry.numel:,}.")
        flat = stored.reshape(-1).ne(0).nonzero().reshape(-1)
    else:
        if stored.dtype not in (torch.int64, torch.int32):
            raise BadCheckpoint(f"{file}: the positions of {entry.name!r} are {stored.dtype}, not whole numbers.")
        flat = stored.reshape(-1).to(torch.int64, copy=True)
    if flat.numel() != entry.num_selected:
        raise BadCheckpoint(f"{file}: {entry.name!r} selects {flat.numel():,} weights, not {entry.num_selected:,}.")
    if flat.numel() and (int(flat.min()) < 0 or int(flat.max()) >= entry.numel):
        raise BadCheckpoint(
            f"{file}: {entry.name!r} maps position {int(flat.min())} to {int(flat.max())}; "
            f"it has 0 to {entry.numel - 1}."
        )
    if torch.unique(flat).numel() != flat.numel():
        raise BadCheckpoint(f"{file}: {entry.name!r} maps one of its weights twice.")
    return flat
