"""Loading a base model with its tokenizer, and deciding how it is scored.

The one place that knows `transformers`' auto classes. Loads float32 unless told otherwise (transformers on its own
keeps the stored dtype). Never runs remote code.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.checkpoint import Checkpoint
from gradiend_ui.engine.errors import BadBase

Model = Any  # a transformers PreTrainedModel
MLM, CLM = "mlm_mask_token", "clm_next_token"
OBJECTIVES = (MLM, CLM)
REFERENCE_MAX_LENGTH = 512


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model: never modified after loading.

    objective: "mlm_mask_token" or "clm_next_token"; max_length: the longest input in tokens that is scored.
    """

    model: Model
    tokenizer: Any
    objective: str
    name: str

    @property
    def max_length(self) -> int:
        positions = getattr(self.model.config, "max_position_embeddings", None)
        offset = 2 if getattr(self.model.config, "model_type", "") in ("roberta", "xlm-roberta", "camembert") else 0
        return REFERENCE_MAX_LENGTH if positions is None else min(REFERENCE_MAX_LENGTH, positions - offset)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    def fingerprint(self) -> str:
        """sha256 over every weight, the vocabulary and the configuration: equal only for equal numbers."""
        digest = hashlib.sha256(self.objective.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        digest.update(self.model.config.to_json_string(use_diff=False).encode())
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        digest.update((backend.to_str() if backend is not None else str(sorted(self.tokenizer.get_vocab()))).encode())
        digest.update(f"{self.tokenizer.padding_side}{self.tokenizer.truncation_side}".encode())
        return digest.hexdigest()


def base_model_location(checkpoint: Checkpoint, given: str | None) -> str:
    """Where the base model is: as given, or as the checkpoint's metadata says (a Hub id or a path).

    A relative path means relative to the checkpoint folder and must stay inside that folder's parent.
    Raises BadBase when the metadata names none or leads elsewhere.
    """
    if given:
        return given
    stated = checkpoint.metadata.get("base_model")
    if not isinstance(stated, str) or not stated.strip():
        raise BadBase("config.json names no base model (metadata.base_model): give one by hand.")
    if Path(stated).is_absolute():
        return stated
    inside = (checkpoint.folder / stated).resolve()
    if inside.is_dir():
        if not inside.is_relative_to(checkpoint.folder.resolve().parent):
            raise BadBase(f"metadata.base_model {stated!r} leads out of the checkpoint's parent: give one by hand.")
        return str(inside)
    if stated.startswith("."):
        raise BadBase(f"metadata.base_model {stated!r} is no folder beside the checkpoint: give one by hand.")
    return stated


def load_base_model(
    location: str, *, tokenizer: str | None = None, torch_dtype: torch.dtype = torch.float32, objective: str = "auto"
) -> BaseModel:
    """Load model and tokenizer from a folder or Hub id, in evaluation mode, as `torch_dtype`.

    Raises BadBase when it cannot be found or read, or is neither a masked nor a causal language model.
    """
    try:
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
        kind = objective_of(config, location) if objective == "auto" else objective
        if kind not in OBJECTIVES:
            raise BadBase(f"The prediction objective {kind!r} is not supported; supported: {', '.join(OBJECTIVES)}.")
        auto = AutoModelForMaskedLM if kind == MLM else AutoModelForCausalLM
        model = auto.from_pretrained(location, config=config, dtype=torch_dtype, trust_remote_code=False)
        loaded_tokenizer = AutoTokenizer.from_pretrained(tokenizer or location, trust_remote_code=False)
    except BadBase:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadBase(_load_failure(location, error)) from error
    if loaded_tokenizer.pad_token is None and loaded_tokenizer.eos_token is not None:
        loaded_tokenizer.pad_token = loaded_tokenizer.eos_token
    if kind == MLM and loaded_tokenizer.mask_token_id is None:
        raise BadBase(f"The tokenizer of {Path(location).name!r} has no mask token: masked scoring is impossible.")
    model.eval()
    model.requires_grad_(False)
    return BaseModel(model, loaded_tokenizer, kind, Path(location).name if os.path.isdir(location) else location)


def _load_failure(location: str, error: Exception) -> str:
    name = Path(location).name if os.path.isabs(location) else location
    if not os.path.isdir(location):
        return (
            f"The base model {name!r} is no local folder and could not be fetched from the Hub "
            "(offline, unknown or gated): give a folder that holds it."
        )
    return f"The base model in {name!r} cannot be loaded: {str(error).strip().splitlines()[0][:300]}"


def objective_of(config: Any, location: str) -> str:
    """The objective that `config.architectures` calls for; raises BadBase when it is no language model."""
    names = config.architectures or []
    if getattr(config, "is_encoder_decoder", False):
        raise BadBase(f"{Path(location).name!r} is an encoder-decoder model: not supported yet.")
    if any(name.endswith("ForMaskedLM") or name.endswith("ForPreTraining") and "Bert" in name for name in names):
        return MLM
    if any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        return CLM
    if any(name.endswith("Model") for name in names) and type(config) in AutoModelForMaskedLM._model_mapping:
        return MLM
    raise BadBase(
        f"{Path(location).name!r} ({', '.join(names) or 'no architecture named'}) is neither a masked nor a causal "
        "language model: give the base model the GRADIEND was trained on."
    )
