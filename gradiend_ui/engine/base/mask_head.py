"""The causal model under a mask head, and how many weights a configuration asks for.

A "clm_mlm_head" GRADIEND was trained through an extra classifier on a causal model whose vocabulary got a mask token.
`gradiend` 0.2.3 leaves it in a run's folder `decoder_mlm_head`: the classifier, the grown embedding, and the name of
the base model that all other weights come from. Rewrites and scores are those of the causal model; the classifier is
not read. How many weights a model has is found out before one is allocated. Knows files, classes of models and auto
classes; loads no GRADIEND.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from gradiend_ui.engine.base.files import check_described
from gradiend_ui.engine.base.hub import opened_at
from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.files.file_names import RING, can_be_location, followed, is_from_a_root
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.files.model_files import MASK_HEAD
from gradiend_ui.engine.uploads.trust import LOCAL, Trust


def check_size(auto_class: Any, config: Any, location: str, trust: Trust) -> None:
    """Raises TooLarge for a model of more weights than are read for `trust`, and BadBase where its `config` describes
    far more of them than the files of the folder `location` hold."""
    with torch.device("meta"):
        model = auto_class.from_config(config)
    numbers = [parameter.numel() for parameter in model.parameters()]
    described = sum(numbers) + sum(buffer.numel() for buffer in model.buffers())
    trust.check_parameters(described, Path(location).name if os.path.isdir(location) else location)
    if os.path.isdir(location):
        check_described(described, len(numbers), Path(location), trust)


Model = Any
WRAPPER_PREFIX = "decoder."
BASE_FOLDER = "base"


def holds_mask_head(location: str) -> bool:
    """Whether the folder holds a mask head rather than a model of its own."""
    return (Path(location) / MASK_HEAD).is_file()


def load_causal_under_mask_head(
    location: str, config: Any, torch_dtype: torch.dtype, device_map: Any | None = None, trust: Trust = LOCAL
) -> Model:
    """The causal model with the vocabulary that the head's folder gives it.

    Rows of an output layer of its own that the folder does not hold are set to the mean of the others, where the
    reference draws them at random. Raises BadBase when a file is missing, damaged or does not fit.
    """
    folder = Path(location)
    weights = {name.removeprefix(WRAPPER_PREFIX): tensor for name, tensor in _weights(folder, trust).items()}
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier.")}
    base = base_under_head(folder, trust)
    if base is None:
        if device_map is not None:
            raise BadBase(f"{folder.name!r} names no base model: it cannot be spread by a device_map. Give a device.")
        try:
            check_size(AutoModelForCausalLM, config, str(folder), trust)
        except BadBase as error:
            raise BadBase(f"{folder.name!r} names no base model and lacks weights of its own. {error}") from error
        model = AutoModelForCausalLM.from_config(config, dtype=torch_dtype)
    else:
        base, trust = opened_at(base, trust)
        own = AutoConfig.from_pretrained(base, dtype=torch_dtype, trust_remote_code=False, token=trust.hub_token)
        check_size(AutoModelForCausalLM, own, base, trust)
        model = AutoModelForCausalLM.from_pretrained(
            base,
            config=own,
            dtype=torch_dtype,
            device_map=device_map,
            trust_remote_code=False,
            token=trust.hub_token,
            use_safetensors=trust.use_safetensors,
        )
    _resize(model, weights)
    known = model.state_dict()
    misfits = [name for name, tensor in weights.items() if name not in known or known[name].shape != tensor.shape]
    if misfits:
        raise BadBase(f"{folder.name!r} holds {misfits[0]!r}, which does not fit its base model.")
    lacking = model.load_state_dict(weights, strict=False).missing_keys
    tied = base is None and {"lm_head.weight"}.issuperset(lacking)
    if base is None and lacking and not tied:
        raise BadBase(f"{folder.name!r} names no base model and lacks the weight {lacking[0]!r}.")
    model.tie_weights()
    return model


def _resize(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Bring embedding and output layer to the number of rows of the stored embedding; new output rows are the mean."""
    embedding = model.get_input_embeddings().weight
    name = next(name for name, parameter in model.named_parameters() if parameter is embedding)
    if name not in weights:
        raise BadBase(f"The mask head does not hold the embedding {name!r} of its base model.")
    before, after = embedding.shape[0], weights[name].shape[0]
    if before == after:
        return
    model.resize_token_embeddings(after, mean_resizing=False)
    output = model.get_output_embeddings()
    if output is None or output.weight is model.get_input_embeddings().weight or after < before:
        return
    with torch.no_grad():
        output.weight[before:] = output.weight[:before].mean(dim=0)
        if output.bias is not None:
            output.bias[before:] = output.bias[:before].mean()


def base_under_head(folder: Path, trust: Trust = LOCAL) -> str | None:
    """The base model the head was put on; None where the folder holds all weights itself.

    Where an upload names it by a path of another machine, the `base/` beside the head. Raises BadBase.
    """
    base = _stated_base(folder)
    if base is None:
        return None
    if _is_elsewhere(base, trust):
        instead = base_instead(folder, trust)
        if instead is None:
            raise BadBase(
                f"{MASK_HEAD} in {folder.name!r}: base_model is the path of a folder on the machine that packed the "
                f"upload, and none is read: put the base model into the upload, as {BASE_FOLDER}/ beside "
                f"{folder.name!r}."
            )
        return str(instead)
    if Path(base).is_absolute():
        return base
    try:
        inside = followed(folder / base)
    except OSError:
        raise BadBase(f"{MASK_HEAD} in {folder.name!r}: base_model {shown(base)} cannot be opened, {RING}.") from None
    if not inside.is_relative_to(followed(folder).parent):  # whether or not there is something
        raise BadBase(f"{MASK_HEAD} in {folder.name!r}: base_model {shown(base)} leads out of the folder around it.")
    return str(inside) if inside.is_dir() else base


def base_instead(folder: Path, trust: Trust) -> Path | None:
    """The model `base/` in or beside a head that names its own by a path of the machine that packed the upload; None
    where it names another, or there is none."""
    base = _stated_base(folder)
    if base is None or not _is_elsewhere(base, trust):
        return None
    for place in (folder / BASE_FOLDER, folder.parent / BASE_FOLDER):
        if trust.may_look_into(place) and (place / "config.json").is_file():
            found = followed(place)
            if found != followed(folder):
                return found
    return None


def _is_elsewhere(base: str, trust: Trust) -> bool:
    """Whether it is a path of a machine that an upload may not lead to."""
    inside = Path(base).is_absolute() and trust.may_look_into(Path(base))
    return bool(trust.homes) and is_from_a_root(base) and not inside


def _stated_base(folder: Path) -> str | None:
    """What the head says of its base model. Raises BadBase for what can be no folder and no Hub name."""
    try:
        stated = read_json(folder / MASK_HEAD)
    except (OSError, ValueError) as error:
        raise BadBase(f"{MASK_HEAD} in {folder.name!r} cannot be read: {error}") from error
    base = stated.get("base_model") or stated.get("base_model_id") if isinstance(stated, dict) else None
    if base is None:
        return None
    if not isinstance(base, str):
        raise BadBase(f"{MASK_HEAD} in {folder.name!r}: base_model must be text, not {shown(base)}.")
    if not base or not can_be_location(base):
        raise BadBase(f"{MASK_HEAD} in {folder.name!r}: base_model {shown(base)} is no folder and no Hub name.")
    return base


def _weights(folder: Path, trust: Trust) -> dict[str, Tensor]:
    try:
        if (folder / "model.safetensors").is_file():
            return dict(load_file(folder / "model.safetensors"))
        trust.check_pickle(folder / "pytorch_model.bin")
        loaded: dict[str, Tensor] = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise BadBase(f"The weights of the mask head in {folder.name!r} cannot be read: {error}") from error
    return loaded
