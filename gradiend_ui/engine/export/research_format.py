"""From the checkpoint format of the papers' research code to today's: a function, and a command.

    config.json          flat: input_dim, latent_dim, layers, activation, bias_decoder, training
    pytorch_model.bin    encoder.0.linear.*, in older files encoder.0.*
    layers.pth           {parameter: bool mask}, where not every weight of the parameters is mapped

For files of one's own, on one's own machine: both pickled files are read as plain tensors only. Knows no page and no
server. Source of the layout: the repositories aieng-lab/gradiend-german-articles and aieng-lab/gradiend-bias.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_BIAS, ENCODER_WEIGHT
from gradiend_ui.engine.checkpoint.config import parse_architecture as parsed
from gradiend_ui.engine.checkpoint.context import value_at
from gradiend_ui.engine.checkpoint.formats import is_research_format
from gradiend_ui.engine.checkpoint.loaded import read_trained, save_trained
from gradiend_ui.engine.checkpoint.reading import DTYPES, read_tensors
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, GradiendUIError, refusing, shown, stated_path
from gradiend_ui.engine.files.file_names import followed
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.files.model_files import CONFIG
from gradiend_ui.engine.values import ALTERNATIVE, FACTUAL, SOURCES

DESCRIPTION = "Convert a GRADIEND of the papers' research code to today's checkpoint format."
LAYERS, WEIGHTS = "layers.pth", "pytorch_model.bin"
OLD_NAMES = {
    "encoder.0.weight": ENCODER_WEIGHT,
    "encoder.0.bias": ENCODER_BIAS,
    "decoder.0.weight": DECODER_WEIGHT,
    "decoder.0.bias": DECODER_BIAS,
}
GRADIENTS = {
    **{name: name for name in SOURCES},
    "gradient": FACTUAL,
    "inv_gradient": ALTERNATIVE,
    "counterfactual": ALTERNATIVE,
}
"""What the research code calls the gradients it trains on, and what they are called since."""
BASE_FIELDS = (("base_model",), ("training", "config", "base_model"), ("training", "base_model"))
Shapes = dict[str, tuple[int, ...]]


@refusing()
def convert_research_checkpoint(source: str | Path, target: str | Path, base_model: str | Path | None = None) -> Path:
    """Write the GRADIEND at `source` to the folder `target` in today's format, with the same weights, and return it.

    base_model: a folder or Hub id, None for the one that its config.json names. It is written into the checkpoint, and
    loaded only where parameters are mapped whole, for their shapes. The direction of the classes is not told by these
    files: it is asked for, or given, when the checkpoint is opened.
    Raises BadCheckpoint and BadBase with the file and field that do not fit, Failed when the disk refuses; `target` is
    whole or absent.
    """
    stated_path(target, "target")
    folder = stated_path(source, "source").expanduser()
    config = _config(folder)
    weights = {OLD_NAMES.get(name, name): tensor for name, tensor in read_tensors(_file(folder, WEIGHTS)).items()}
    base = _base(config, base_model)
    shapes, positions = _mapping(folder, config, base)
    mapped = sum(positions[name].numel() if name in positions else _size(shape) for name, shape in shapes.items())
    architecture = parsed(
        {
            "input_dim": config["input_dim"],
            "latent_dim": config["latent_dim"],
            "activation_encoder": config.get("activation"),
            "activation_decoder": config.get("activation_decoder", "id"),
            "bias_decoder": config.get("bias_decoder", True),
            "torch_dtype": _dtype(weights),
        }
    )
    if mapped != architecture.input_dim:
        raise BadCheckpoint(f"{folder.name} maps {mapped:,} weights, and its input_dim is {architecture.input_dim:,}.")
    with TemporaryDirectory() as beside:
        draft = Path(beside) / "gradiend"
        save_checkpoint(
            draft,
            architecture=architecture,
            weights=weights,
            shapes=shapes,
            positions=positions,
            metadata={"base_model": base, "converted_from": "research format"},
            context={"source": _gradients(config, "source", FACTUAL), "target": _gradients(config, "target", "diff")},
        )
        trained = read_trained(draft)  # what does not fit together is said before anything is there
    save_trained(trained, Path(target), base_model=base)
    return Path(target)


def _config(folder: Path) -> Mapping[str, Any]:
    path = _file(folder, CONFIG)
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path.name} cannot be read as JSON: {str(error).splitlines()[0]}.") from error
    if not is_research_format(config):
        raise BadCheckpoint(
            f"{folder.name}/{CONFIG} is not in the format of the research code: it needs input_dim, latent_dim and "
            "layers, and no mapping. A GRADIEND of the `gradiend` package needs no conversion."
        )
    fields: dict[str, Any] = dict(config)
    layers = fields["layers"]
    if not isinstance(layers, list) or not layers or not all(isinstance(name, str) for name in layers):
        raise BadCheckpoint(f"{CONFIG}: layers must be a list of parameter names, not {shown(layers)}.")
    return fields


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise BadCheckpoint(f"{str(folder)!r} holds no {name}: give the folder that the research code saved.")
    return folder / name


def _base(config: Mapping[str, Any], given: str | Path | None) -> str:
    """A Hub id or an absolute path: the new folder may lie elsewhere."""
    stated = [value_at(config, *names) for names in BASE_FIELDS]
    base = next((str(name) for name in (given, *stated) if isinstance(name, (str, Path)) and str(name).strip()), "")
    if not base:
        raise BadBase("config.json names no base model: give one, a folder or a Hub id (--base-model).")
    place = Path(base).expanduser()
    return str(followed(place)) if place.is_dir() else base


def _mapping(folder: Path, config: Mapping[str, Any], base: str) -> tuple[Shapes, dict[str, torch.Tensor]]:
    """({parameter: shape}, {parameter: mapped positions}) in the order of the update; without positions all count."""
    if "layers_path" in config or (folder / LAYERS).is_file():
        masks = read_tensors(_file(folder, LAYERS))
        for name, mask in masks.items():
            if mask.dtype != torch.bool:
                raise BadCheckpoint(f"{LAYERS}: the mask of {name!r} is {mask.dtype}, and not true or false.")
        positions = {name: mask.flatten().nonzero().flatten() for name, mask in masks.items()}
        return {name: tuple(mask.shape) for name, mask in masks.items()}, positions
    parameters = dict(load_base_model(base).model.named_parameters())
    missing = next((name for name in config["layers"] if name not in parameters), None)
    if missing is not None:
        raise BadBase(f"The base model {shown(base)} has no parameter {missing!r}, which {CONFIG} names.")
    return {name: tuple(parameters[name].shape) for name in config["layers"]}, {}


def _size(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def _dtype(weights: Mapping[str, torch.Tensor]) -> str:
    found = weights.get(ENCODER_WEIGHT)
    return next((name for name, dtype in DTYPES.items() if found is not None and found.dtype == dtype), "float32")


def _gradients(config: Mapping[str, Any], name: str, default: str) -> str:
    training = config.get("training")
    inner = value_at(training, "config", name) if isinstance(training, Mapping) else None
    stated = inner if inner is not None else value_at(training, name) if isinstance(training, Mapping) else None
    if stated is None:
        return default
    if not isinstance(stated, str) or stated not in GRADIENTS:
        raise BadCheckpoint(f"{CONFIG}: training.{name} is {shown(stated)}, none of {', '.join(GRADIENTS)}.")
    return GRADIENTS[stated]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives 0, or 2 with the refusal's sentence."""
    parser = argparse.ArgumentParser("python -m gradiend_ui.engine.export.research_format", description=DESCRIPTION)
    parser.add_argument("old", help="the folder with the research code's config.json and pytorch_model.bin")
    parser.add_argument("new", help="the folder to write")
    parser.add_argument("--base-model", help="a folder or Hub id, where config.json names none that is still there")
    given = parser.parse_args(arguments)
    try:
        print(convert_research_checkpoint(given.old, given.new, given.base_model))
    except GradiendUIError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
