"""Which base model a checkpoint asks for, or is given, and where it can be found again.

Knows the checkpoint's metadata and how base models are loaded; no mapped parameter and no rewrite.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.base.base_model import WHOLE_RIGHT_CONTEXT, BaseModel, DeviceMap, Model, Tokenizer, base_around
from gradiend_ui.engine.base.chat_prompt import named_instruct
from gradiend_ui.engine.base.files import holds_tokenizer
from gradiend_ui.engine.base.hub import opened_at
from gradiend_ui.engine.base.loading import check_dtype, check_is_model, load_base_model, load_tokenizer
from gradiend_ui.engine.base.mask_head import BASE_FOLDER, base_instead, holds_mask_head
from gradiend_ui.engine.base.objectives import AUTO, OBJECTIVES, objective_names
from gradiend_ui.engine.base.unfit import check_finite_weights, check_loaded
from gradiend_ui.engine.checkpoint.companions import run_folder_of
from gradiend_ui.engine.checkpoint.context import value_at
from gradiend_ui.engine.checkpoint.reading import Checkpoint
from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.files.file_names import MAX_LOCATION, RING, can_be_location, followed, is_from_a_root
from gradiend_ui.engine.files.model_files import MASK_HEAD
from gradiend_ui.engine.uploads.trust import LOCAL, Trust

WINDOW_FIELD = "decoder_sequence_cloze_rhs_window"
MAX_WINDOW = 1_000_000


@dataclass(frozen=True)
class Scoring:
    """How a base model is to be scored, as far as the user says.

    objective: one of `objectives.objective_names`, or "auto" for what suits the kind of the model.
    rhs_window: tokens right of the mask that the cloze objectives see, -1 for all.
    chat_prompt: whether texts are put into a chat prompt; None when the stated path or name holds "instruct".
    """

    objective: str | None = None
    rhs_window: int | None = None
    chat_prompt: bool | None = None

    def prompted(self, stated: str) -> bool:
        return named_instruct(stated) if self.chat_prompt is None else self.chat_prompt


SCORED_AS_TRAINED = Scoring()


class BaseLoader(Protocol):
    """Whatever brings a base model from a folder or Hub id: `load_base_model`, or one who keeps what was loaded."""

    def __call__(
        self,
        location: str,
        *,
        tokenizer: str | None,
        torch_dtype: torch.dtype,
        objective: str,
        rhs_window: int,
        chat_prompt: bool | None,
        device: str | torch.device | None,
        device_map: DeviceMap | None,
        trust: Trust,
    ) -> BaseModel: ...


def load_base(
    checkpoint: Checkpoint,
    given: str | Path | Model | None,
    tokenizer: str | Tokenizer | None,
    torch_dtype: torch.dtype,
    device: str | torch.device | None,
    device_map: DeviceMap | None,
    scoring: Scoring = SCORED_AS_TRAINED,
    load: BaseLoader = load_base_model,
    trust: Trust = LOCAL,
) -> tuple[BaseModel, str]:
    """The base model of `checkpoint`, and where it can be found again: an absolute path or a Hub id.

    given: a folder, a Hub id or a loaded model; None is what metadata.base_model says. tokenizer: None is what
    metadata.tokenizer says of that one, else the base model's own. scoring: what is None there is as the checkpoint
    says, and the chat prompt by the stated path or name. load: what brings a base model that is not given.
    Raises BadBase when it is named nowhere, cannot be loaded, or does not suit metadata.prediction_objective.
    """
    if tokenizer is None and given is None:
        tokenizer = _stated_tokenizer(checkpoint, trust)
    objective = scoring.objective or _stated_objective(checkpoint)
    window = _stated_window(checkpoint) if scoring.rhs_window is None else scoring.rhs_window
    if given is not None and not isinstance(given, (str, Path)):
        return _base_given(checkpoint, unwrapped(given), tokenizer, objective, window, scoring, device)
    location = base_model_location(checkpoint, None if given is None else str(given), trust)
    if not trust.public:
        location = _absolute(location)
        trust = LOCAL if given is not None and not trust.may_look_into(Path(location)) else trust  # the owner's choice
    stated_base = checkpoint.metadata.get("base_model")
    place, trust = opened_at(location, trust)
    words = tokenizer if isinstance(tokenizer, str) else None
    if words is not None:
        words, trust = opened_at(words, trust, "The tokenizer")
    base = load(
        place,
        tokenizer=words,
        torch_dtype=torch_dtype,
        objective=objective,
        rhs_window=window,
        chat_prompt=scoring.prompted(tokenizer if isinstance(tokenizer, str) else str(given or stated_base)),
        device=device,
        device_map=device_map,
        trust=trust,
    )
    if place != location:
        base = replace(base, name=location)
    if tokenizer is not None and not isinstance(tokenizer, str):
        base = replace(base, tokenizer=tokenizer)
    return base, location


def _base_given(
    checkpoint: Checkpoint,
    model: Model,
    tokenizer: str | Tokenizer | None,
    objective: str,
    window: int,
    scoring: Scoring,
    device: str | torch.device | None,
) -> tuple[BaseModel, str]:
    location = _absolute(base_model_location(checkpoint, model.name_or_path or None))
    source = tokenizer if isinstance(tokenizer, str) else location
    loaded = load_tokenizer(source) if tokenizer is None or isinstance(tokenizer, str) else tokenizer
    if device is not None:
        model.to(device)
    name = Path(location).name if os.path.isabs(location) else location
    check_loaded(model, name)
    check_finite_weights(model, name)
    base = base_around(
        model,
        loaded,
        objective,
        name=name,
        rhs_window=window,
        chat_prompt=scoring.prompted(source),
    )
    return base, location


def _stated_objective(checkpoint: Checkpoint) -> str:
    stated = checkpoint.metadata.get("prediction_objective")
    stated = AUTO if stated in (None, "") else stated
    if not isinstance(stated, str) or len(stated) > MAX_LOCATION:
        raise BadBase(f"config.json: metadata.prediction_objective must be a short text, not {shown(stated)}.")
    if stated != AUTO and stated not in OBJECTIVES:
        raise BadBase(
            f"config.json: metadata.prediction_objective: there is no prediction objective {shown(stated)}; "
            f"there are auto, {', '.join(objective_names())}."
        )
    return stated


def _stated_tokenizer(checkpoint: Checkpoint, trust: Trust) -> str | None:
    """Where `metadata.tokenizer` leads: a path relative to the checkpoint stays in that folder's parent."""
    stated = checkpoint.metadata.get("tokenizer")
    if stated is not None and not isinstance(stated, str):
        raise BadBase(f"config.json: metadata.tokenizer must be a folder or a Hub name, not {shown(stated)}.")
    if not isinstance(stated, str) or not stated.strip():
        return None
    if not can_be_location(stated):
        raise BadBase(f"config.json: metadata.tokenizer {shown(stated)} is no folder and no Hub name.")
    if tokenizer_left_aside(checkpoint, trust) is not None:
        return None
    if Path(stated).is_absolute():
        return stated
    try:
        inside = followed(checkpoint.folder / stated)
    except OSError:
        raise BadBase(f"config.json: metadata.tokenizer {shown(stated)} cannot be opened, {RING}.") from None
    beside = inside.is_relative_to(widest_folder(checkpoint.folder, trust))
    if beside and not inside.is_dir() and not stated.startswith((".", "~")):
        return stated
    if not beside or not inside.is_dir():
        raise BadBase(f"config.json: metadata.tokenizer {shown(stated)} is no folder beside the checkpoint.")
    return str(inside)


def tokenizer_left_aside(checkpoint: Checkpoint, trust: Trust) -> str | None:
    """The sentence for a tokenizer that an upload names by a path of the machine it was packed on, where its base model
    has one that is read instead; None where none is left aside."""
    stated = checkpoint.metadata.get("tokenizer")
    if not trust.homes or not isinstance(stated, str) or not can_be_location(stated) or not is_from_a_root(stated):
        return None
    if Path(stated).is_absolute() and trust.may_look_into(Path(stated)):
        return None
    place = stated_location(checkpoint, trust)
    beside = base_beside(checkpoint.folder)
    around = [beside] if beside is not None else []
    if place is not None and os.path.isdir(place) and trust.may_look_into(Path(place)):
        around = [Path(place)]
    if not any(map(holds_tokenizer, around)):
        return None
    return remark("tokenizer_aside", name=repr(_last_of(stated)))


def head_left_aside(checkpoint: Checkpoint, trust: Trust) -> str | None:
    """The sentence for a mask head that names its base model by a path of the machine it was packed on, where the
    upload holds one that is read instead; None where none is left aside."""
    place = stated_location(checkpoint, trust)
    if place is None or not trust.may_look_into(Path(place)) or not holds_mask_head(place):
        return None
    instead = base_instead(Path(place), trust)
    if instead is None:
        return None
    return remark("head_aside", file=MASK_HEAD, name=repr(Path(place).name), other=repr(instead.name))


def _last_of(stated: str) -> str:
    """The last part of a path of any system."""
    return stated.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _stated_window(checkpoint: Checkpoint) -> int:
    """The window it was trained with: from config.json, else training.json, else the whole right context."""
    trained = value_at(checkpoint.training, "training_args", WINDOW_FIELD)
    stated = checkpoint.metadata.get(WINDOW_FIELD, WHOLE_RIGHT_CONTEXT if trained is None else trained)
    if isinstance(stated, bool) or not isinstance(stated, int) or not WHOLE_RIGHT_CONTEXT <= stated <= MAX_WINDOW:
        file = "config.json: metadata" if WINDOW_FIELD in checkpoint.metadata else "training.json: training_args"
        raise BadBase(f"{file}.{WINDOW_FIELD} must be a whole number of tokens, -1 for all, not {shown(stated)}.")
    return stated


def check_given(base_model: object, tokenizer: object, torch_dtype: torch.dtype) -> None:
    """Raises BadBase for a base model, tokenizer or dtype of a script that cannot be one, before anything is loaded."""
    check_dtype(torch_dtype)
    if not isinstance(base_model, (str, Path, type(None))):
        check_is_model(unwrapped(base_model), "base_model, unless it is a folder or a Hub id,", to_load=True)
    if tokenizer is not None and not isinstance(tokenizer, (str, Path)) and not callable(tokenizer):
        raise BadBase(f"tokenizer must be a folder, a Hub id or a loaded tokenizer, not {shown(tokenizer)}.")


def unwrapped(model: Model) -> Model:
    """The model inside the wrappers of parallel training and compilation."""
    while isinstance(model, nn.Module):
        inside = [child for name, child in model.named_children() if name in ("module", "_orig_mod")]
        if not inside:
            break
        model = inside[0]
    return model


def _absolute(location: str) -> str:
    """A folder by its absolute path, so that it means the same from anywhere; a Hub id as it is."""
    return str(followed(location)) if os.path.isdir(location) else location


def stated_location(checkpoint: Checkpoint, trust: Trust = LOCAL) -> str | None:
    """Where `metadata.base_model` leads, as `load_base` would tell it; None when it leads nowhere."""
    try:
        return _absolute(base_model_location(checkpoint, None, trust))
    except BadBase:
        return None


def base_beside(checkpoint_folder: Path) -> Path | None:
    """A folder `base/` in or beside a checkpoint, or in its run, that holds a model; None without one."""
    run = run_folder_of(checkpoint_folder)
    for folder in (checkpoint_folder, checkpoint_folder.parent, run or checkpoint_folder):
        if (folder / BASE_FOLDER / "config.json").is_file():
            return followed(folder / BASE_FOLDER)
    return None


def base_model_location(checkpoint: Checkpoint, given: str | None, trust: Trust = LOCAL) -> str:
    """Where the base model is: as given, or as the checkpoint's metadata says (a Hub id or a path).

    A relative path means relative to the checkpoint folder and must stay inside that folder's parent.
    Raises BadBase when the metadata names none or leads elsewhere.
    """
    if given:
        return given
    stated = checkpoint.metadata.get("base_model")
    if stated is not None and not isinstance(stated, str):
        raise BadBase(f"config.json: metadata.base_model must be a folder or a Hub name, not {shown(stated)}.")
    if stated is None or not stated.strip():
        raise BadBase("config.json names no base model (metadata.base_model): give one by hand.")
    if not can_be_location(stated):
        raise BadBase(f"config.json: metadata.base_model {shown(stated)} is no folder and no Hub name.")
    if Path(stated).is_absolute():
        return stated
    try:
        inside = followed(checkpoint.folder / stated)
    except OSError:
        raise BadBase(
            f"config.json: metadata.base_model {shown(stated)} cannot be opened, {RING}: give one by hand."
        ) from None
    if not inside.is_relative_to(widest_folder(checkpoint.folder, trust)):  # whether or not there is something
        raise BadBase(
            f"config.json: metadata.base_model {shown(stated)} leads out of the checkpoint's parent: give one by hand."
        )
    if inside.is_dir():
        return str(inside)
    if stated.startswith((".", "~")):
        raise BadBase(
            f"config.json: metadata.base_model {shown(stated)} is no folder beside the checkpoint: give one by hand."
        )
    return stated


def widest_folder(folder: Path, trust: Trust) -> Path:
    """Where a checkpoint's relative paths may lead: its parent, or itself where that is all of an upload."""
    place = followed(folder)
    return place if any(place == followed(home) for home in trust.homes) else place.parent
