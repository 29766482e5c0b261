"""Loading a base model with its tokenizer, and deciding how it is scored.

The one place that knows `transformers`' auto classes. Loads float32 unless told otherwise (transformers on its own
keeps the stored dtype). Never runs remote code. Knows names of objectives, not what they compute.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

from gradiend_ui.engine.chat_prompt import in_chat_prompt, named_instruct
from gradiend_ui.engine.checkpoint import Checkpoint
from gradiend_ui.engine.errors import BadBase, GradiendUIError
from gradiend_ui.engine.mask_head import holds_mask_head, load_causal_under_mask_head

Model = Any  # a transformers PreTrainedModel
Tokenizer = Any  # a transformers tokenizer
DeviceMap: TypeAlias = "str | Mapping[str, int | str]"
ModelReader: TypeAlias = "Callable[[str, Any, torch.dtype, DeviceMap | None], Model]"
MLM, CLM, CLOZE, MASK_HEAD = "mlm_mask_token", "clm_next_token", "clm_sequence_cloze", "clm_mlm_head"
ENCODER_MLM, DECODER, DECODER_CLOZE = "seq2seq_encoder_mlm", "seq2seq_decoder", "seq2seq_decoder_sequence_cloze"
MASKED, CAUSAL, SEQ2SEQ = "masked", "causal", "seq2seq"
OBJECTIVES_OF: Mapping[str, Mapping[str, str]] = {
    MASKED: {MLM: "the mask of a masked model"},
    CAUSAL: {
        CLM: "the next token",
        CLOZE: "whole continuations, with the text right of the mask",
        MASK_HEAD: "for GRADIENDs trained through a mask head; scored as the next token",
    },
    SEQ2SEQ: {
        ENCODER_MLM: "the mask, read at the encoder",
        DECODER: "what the decoder says, experimental",
        DECODER_CLOZE: "what the decoder says between sentinels, experimental",
    },
}
"""Per kind of model: its objectives with a few words, the one that "auto" takes first."""
AUTO_CLASSES = {MASKED: AutoModelForMaskedLM, CAUSAL: AutoModelForCausalLM, SEQ2SEQ: AutoModelForSeq2SeqLM}
KIND_WORDS = {MASKED: "a masked", CAUSAL: "a causal", SEQ2SEQ: "an encoder-decoder"}
WINDOWED = (CLOZE, DECODER, DECODER_CLOZE)
"""The objectives that look at the text right of the mask through `rhs_window`."""
OBJECTIVES = tuple(name for names in OBJECTIVES_OF.values() for name in names)
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
REFERENCE_MAX_LENGTH = 512
WHOLE_RIGHT_CONTEXT = -1


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model: never modified after loading.

    objective: how it is scored, one of `OBJECTIVES` ("clm_mlm_head" has become "clm_next_token" here).
    rhs_window: tokens right of the mask that the cloze objectives see; -1 is all of them.
    chat_prompt: whether texts are put into a chat prompt before they are scored.
    """

    model: Model
    tokenizer: Tokenizer
    objective: str
    name: str
    rhs_window: int = WHOLE_RIGHT_CONTEXT
    chat_prompt: bool = False

    @property
    def kind(self) -> str:
        """ "masked", "causal" or "seq2seq"."""
        return next(kind for kind, names in OBJECTIVES_OF.items() if self.objective in names)

    @property
    def auto_class(self) -> str:
        """The name of the class of `transformers` that loads this model."""
        return str(AUTO_CLASSES[self.kind].__name__)

    @property
    def positions(self) -> int | None:
        """The longest input in tokens that the model takes; None when nothing limits it."""
        limit = getattr(self.model.config, "max_position_embeddings", None)
        offset = 2 if getattr(self.model.config, "model_type", "") in ("roberta", "xlm-roberta", "camembert") else 0
        return None if limit is None else int(limit) - offset

    @property
    def max_length(self) -> int:
        """The longest input in tokens that is scored."""
        return REFERENCE_MAX_LENGTH if self.positions is None else min(REFERENCE_MAX_LENGTH, self.positions)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def pad_id(self) -> int:
        """What fills up shorter rows of a batch: for causal models the end token, even beside a padding token of their
        own (the reference's rule; its next-token numbers depend on it)."""
        end = self.tokenizer.eos_token_id
        own = self.tokenizer.pad_token_id
        return int((end if self.kind == CAUSAL and end is not None else own) or 0)

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """The token ids of each text as the model reads it: with special tokens or in its chat prompt, cut off after
        `max_length` tokens on the tokenizer's truncation side."""
        if not texts:
            return []
        prepared = [in_chat_prompt(text) for text in texts] if self.chat_prompt else list(texts)
        encoded = self.tokenizer(
            prepared,
            add_special_tokens=not self.chat_prompt,
            truncation=max_length is not None,
            max_length=max_length,
        )
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def fingerprint(self) -> str:
        """sha256 over every weight, the vocabulary and the configuration: equal only for equal numbers."""
        digest = hashlib.sha256(self.objective.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        digest.update(self.model.config.to_json_string(use_diff=False).encode())
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        digest.update((backend.to_str() if backend is not None else str(sorted(self.tokenizer.get_vocab()))).encode())
        digest.update(f"{self.tokenizer.padding_side}{self.tokenizer.truncation_side}".encode())
        if self.chat_prompt:
            digest.update(in_chat_prompt("").encode())
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


def read_model(location: str, config: Any, torch_dtype: torch.dtype, device_map: DeviceMap | None = None) -> Model:
    """The weights at a folder or Hub id in the class that their `config` asks for.

    Weights of a safetensors file that are stored as `torch_dtype` stay where they are: mapped, read when first used
    and shared with other processes; others are converted, which copies them. Raises BadBase, and as transformers does.
    """
    if holds_mask_head(location):
        return load_causal_under_mask_head(location, config, torch_dtype, device_map)
    return AUTO_CLASSES[kind_of(config, location)].from_pretrained(
        location, config=config, dtype=torch_dtype, device_map=device_map, trust_remote_code=False
    )


def load_base_model(
    location: str,
    *,
    tokenizer: str | None = None,
    torch_dtype: torch.dtype = torch.float32,
    objective: str = "auto",
    rhs_window: int = WHOLE_RIGHT_CONTEXT,
    chat_prompt: bool | None = None,
    device: str | torch.device | None = None,
    device_map: DeviceMap | None = None,
    read: ModelReader = read_model,
) -> BaseModel:
    """Load model and tokenizer from a folder or Hub id, in evaluation mode, as `torch_dtype`.

    tokenizer: where it lies when not with the model. chat_prompt: None decides by the tokenizer's path or name.
    device: where the model goes, None leaves it on the CPU. device_map: handed to transformers (needs accelerate).
    read: what brings the weights, for one who has them already.
    Raises BadBase when it cannot be found or read, is no language model, or the objective does not fit its kind.
    """
    _check_placement(torch_dtype, device, device_map)
    try:
        config = AutoConfig.from_pretrained(location, trust_remote_code=False)
        scored_by = chosen_objective(config, location, objective)
        model = read(location, config, torch_dtype, device_map)
        if device is not None:
            model.to(device)
    except GradiendUIError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadBase(_load_failure(location, error)) from error
    return base_around(
        model,
        load_tokenizer(tokenizer or location),
        scored_by,
        name=_name_of(location),
        rhs_window=rhs_window,
        chat_prompt=named_instruct(tokenizer or location) if chat_prompt is None else chat_prompt,
    )


def load_tokenizer(location: str) -> Tokenizer:
    """The tokenizer in a folder or of a Hub id; one without a padding token pads with its end token."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise BadBase(_load_failure(location, error)) from error
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def base_around(
    model: Model,
    tokenizer: Tokenizer,
    objective: str = "auto",
    *,
    name: str | None = None,
    rhs_window: int = WHOLE_RIGHT_CONTEXT,
    chat_prompt: bool = False,
) -> BaseModel:
    """A base model from a loaded transformers model and tokenizer; the model is set to evaluation, without gradients.

    Raises BadBase when the objective does not fit the model or the tokenizer has nothing to mark the mask with.
    """
    own_name = name or _name_of(model.name_or_path or type(model).__name__)
    scored_by = chosen_objective(model.config, own_name, objective)
    if scored_by == MLM and tokenizer.mask_token_id is None:
        raise BadBase(f"The tokenizer of {own_name!r} has no mask token: masked scoring is impossible.")
    if isinstance(rhs_window, bool) or not isinstance(rhs_window, int):
        raise BadBase(f"rhs_window must be a whole number of tokens, -1 for all of them, not {rhs_window!r}.")
    model.eval()
    model.requires_grad_(False)
    return BaseModel(model, tokenizer, scored_by, own_name, rhs_window, chat_prompt)


def objective_of(config: Any, location: str) -> str:
    """The objective that "auto" takes for `config`; raises BadBase when it is no language model."""
    return next(iter(OBJECTIVES_OF[kind_of(config, location)]))


def chosen_objective(config: Any, location: str, asked: str = "auto") -> str:
    """How a model is scored: `asked` where it fits the kind of the model, its first objective for "auto".

    "clm_mlm_head" is scored as "clm_next_token". Raises BadBase with the choices that fit.
    """
    if asked != "auto" and asked not in OBJECTIVES:
        raise BadBase(f"There is no prediction objective {asked!r}; choose auto or one of: {', '.join(OBJECTIVES)}.")
    kind = kind_of(config, location)
    fitting = OBJECTIVES_OF[kind]
    if asked == "auto":
        return next(iter(fitting))
    if asked not in fitting:
        needed = next(other for other, names in OBJECTIVES_OF.items() if asked in names)
        choices = ", ".join(f"{name!r} ({words})" for name, words in fitting.items())
        raise BadBase(
            f"The prediction objective {asked!r} needs {KIND_WORDS[needed]} language model, and "
            f"{_name_of(location)!r} is {KIND_WORDS[kind]} one. Choose 'auto' or {choices}."
        )
    return CLM if asked == MASK_HEAD else asked


def kind_of(config: Any, location: str) -> str:
    """ "masked", "causal" or "seq2seq", by the configuration alone (a path with "t5" in it says nothing)."""
    names = config.architectures or []
    if getattr(config, "is_encoder_decoder", False):
        if type(config) in AutoModelForSeq2SeqLM._model_mapping:
            return SEQ2SEQ
    elif any(name.endswith("ForMaskedLM") or name.endswith("ForPreTraining") and "Bert" in name for name in names):
        return MASKED
    elif any(name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in names):
        return CAUSAL
    elif not names or any(name.endswith("Model") for name in names):
        if type(config) in AutoModelForMaskedLM._model_mapping:
            return MASKED
        if type(config) in AutoModelForCausalLM._model_mapping:
            return CAUSAL
    raise BadBase(
        f"{_name_of(location)!r} ({', '.join(names) or 'no architecture named'}) is neither a masked nor a causal nor "
        "an encoder-decoder language model: give the base model the GRADIEND was trained on."
    )


def _check_placement(torch_dtype: torch.dtype, device: str | torch.device | None, device_map: DeviceMap | None) -> None:
    """Raises BadBase for a dtype, device or device map that cannot work here."""
    if torch_dtype not in DTYPES:
        raise BadBase(f"torch_dtype must be one of {', '.join(map(str, DTYPES))}, not {torch_dtype!r}.")
    if device is not None and device_map is not None:
        raise BadBase("Give device or device_map, not both: a device map places the model by itself.")
    if device_map is not None and importlib.util.find_spec("accelerate") is None:
        raise BadBase("device_map needs the package accelerate: pip install accelerate, or give device instead.")
    if device is not None:
        checked_device(device)


def checked_device(device: str | torch.device) -> torch.device:
    """The device by its name. Raises BadBase for a name PyTorch does not know and for a GPU that is not there."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise BadBase(f"There is no device {device!r}: give 'cpu', 'cuda' or 'cuda:1', for example.") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise BadBase(f"device {str(device)!r} needs a GPU that PyTorch can use, and there is none: give 'cpu'.")
    return found


def _name_of(location: str) -> str:
    """The last part of a path, or a Hub id as it is."""
    return Path(location).name if os.path.isabs(location) or os.path.isdir(location) else location


def _load_failure(location: str, error: Exception) -> str:
    name = Path(location).name if os.path.isabs(location) else location
    if not os.path.isdir(location):
        return (
            f"The base model {name!r} is no local folder and could not be fetched from the Hub "
            "(offline, unknown or gated): give a folder that holds it."
        )
    return f"The base model in {name!r} cannot be loaded: {str(error).strip().splitlines()[0][:300]}"
