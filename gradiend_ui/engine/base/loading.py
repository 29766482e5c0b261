"""Loading a base model with its tokenizer, and deciding how it is scored.

The one place that knows `transformers`' auto classes. Loads float32 unless told otherwise (transformers on its own
keeps the stored dtype). Never runs remote code. Knows what objectives need, not what they compute.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from gradiend_ui.engine.base.chat_prompt import in_chat_prompt, named_instruct
from gradiend_ui.engine.base.files import (
    check_base_folder,
    check_clean,
    check_config,
    check_tokenizer_folder,
    read_object,
)
from gradiend_ui.engine.base.hub import opened_at
from gradiend_ui.engine.base.mask_head import base_under_head, check_size, holds_mask_head, load_causal_under_mask_head
from gradiend_ui.engine.base.objectives import (
    AUTO,
    CAUSAL,
    KIND_WORDS,
    MASKED,
    SEQ2SEQ,
    Kind,
    ObjectiveFacts,
    objective_named,
    objectives_of,
)
from gradiend_ui.engine.base.trouble import load_failure, panics_told
from gradiend_ui.engine.checkpoint.reading import Checkpoint
from gradiend_ui.engine.errors import BadBase, BadData, GradiendUIError, NotAllowed
from gradiend_ui.engine.files.file_names import RING, can_be_location, followed
from gradiend_ui.engine.files.json_files import is_broken, shown
from gradiend_ui.engine.files.model_files import CONFIG
from gradiend_ui.engine.uploads.limits import encoded_in_turn
from gradiend_ui.engine.uploads.tokenizer import SPARE_IDS
from gradiend_ui.engine.uploads.trust import LOCAL, Trust

Model = Any  # a transformers PreTrainedModel
Tokenizer = Any  # a transformers tokenizer
DeviceMap: TypeAlias = "str | Mapping[str, int | str]"
ModelReader: TypeAlias = "Callable[[str, Any, torch.dtype, DeviceMap | None, Trust], Model]"
AUTO_CLASSES = {MASKED: AutoModelForMaskedLM, CAUSAL: AutoModelForCausalLM, SEQ2SEQ: AutoModelForSeq2SeqLM}
TRIAL_LENGTH = 8
TRIAL_TEXTS = ["a", "a b\n", "\U0001f9d1 \u202e", "x" * 300]
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
REFERENCE_MAX_LENGTH = 512
WHOLE_RIGHT_CONTEXT = -1


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model: never modified after loading.

    objective: how it is scored, one of `objective_names` ("clm_mlm_head" has become "clm_next_token" here).
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
    def facts(self) -> ObjectiveFacts:
        """What its objective is."""
        return objective_named(self.objective)

    @property
    def kind(self) -> Kind:
        """ "masked", "causal" or "seq2seq"."""
        return self.facts.kind

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
        `max_length` tokens on the tokenizer's truncation side. Raises BadData, BadBase; TooLarge where its time is
        limited (see `extent`)."""
        if not texts:
            return []
        if any(map(is_broken, texts)):
            raise BadData("A text holds half a character (a lone surrogate), which no model reads: type it again.")
        prepared = [in_chat_prompt(text) for text in texts] if self.chat_prompt else list(texts)
        ids = encoded_in_turn(prepared, lambda part: self._ids(part, max_length))
        self._check_known(max((max(row) for row in ids if row), default=0))
        return ids

    def _ids(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        try:
            with panics_told():
                encoded = self.tokenizer(
                    list(texts),
                    add_special_tokens=not self.chat_prompt,
                    truncation=max_length is not None,
                    max_length=max_length,
                )
        except Exception as error:  # tokenizers raises plain Exceptions for a vocabulary that contradicts itself
            raise BadBase(f"The tokenizer of {self.name!r} failed: {str(error)[:200]}.") from error
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _check_known(self, highest: int) -> None:
        """Raises BadBase for a token id beyond the model's embedding: the tokenizer belongs to another model."""
        known = embedding_rows(self.model)
        if known is not None and highest >= known:
            raise BadBase(
                f"The tokenizer of {self.name!r} uses the token id {highest:,}, and the model knows {known:,} tokens: "
                "give the base model with its own tokenizer."
            )

    def fingerprint(self) -> str:
        """sha256 over every weight, the vocabulary and the configuration: equal only for equal numbers.

        The same wherever the model lies: an upload's is that of the user's own copy.
        """
        return self.fingerprints()[0]

    def fingerprints(self) -> tuple[str, str]:
        """The fingerprint, and as versions before this one spelled it: with the place that it was loaded from."""
        digest = hashlib.sha256(self.objective.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        former = digest.copy()
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        words = backend.to_str() if backend is not None else str(sorted(self.tokenizer.get_vocab()))
        settings = self.model.config.to_json_string(use_diff=False)
        sides = f"{self.tokenizer.padding_side}{self.tokenizer.truncation_side}"
        prompt = in_chat_prompt("") if self.chat_prompt else ""
        former.update(f"{settings}{words}{sides}{prompt}".encode())
        if backend is not None:  # without the cutting and filling of the last call
            words = _sorted({**json.loads(words), "truncation": None, "padding": None})
        digest.update(f"{_sorted(_without_place(json.loads(settings)))}{words}{sides}{prompt}".encode())
        return digest.hexdigest(), former.hexdigest()


def _sorted(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _without_place(settings: Any) -> Any:
    """The settings of a model, and of the models in it, without the place that they were loaded from."""
    if not isinstance(settings, dict):
        return settings
    return {key: _without_place(value) for key, value in settings.items() if key != "_name_or_path"}


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


def read_model(
    location: str,
    config: Any,
    torch_dtype: torch.dtype,
    device_map: DeviceMap | None = None,
    trust: Trust = LOCAL,
) -> Model:
    """The weights at a folder or Hub id in the class that their `config` asks for.

    Weights of a safetensors file that are stored as `torch_dtype` stay where they are: mapped, read when first used
    and shared with other processes; others are converted, which copies them. Weights that the files lack are never
    drawn at random. Raises BadBase, and as transformers does.
    """
    if holds_mask_head(location):
        return load_causal_under_mask_head(location, config, torch_dtype, device_map, trust)
    auto_class = AUTO_CLASSES[kind_of(config, location)]
    check_size(auto_class, config, location, trust)
    model, told = auto_class.from_pretrained(
        location,
        config=config,
        dtype=torch_dtype,
        device_map=device_map,
        trust_remote_code=False,
        token=trust.hub_token,
        use_safetensors=trust.use_safetensors,
        output_loading_info=True,
    )
    lacking = sorted(told["missing_keys"])
    if lacking:
        raise BadBase(
            f"The weights of the base model {_name_of(location)!r} lack {lacking[0]!r} (of {len(lacking)} that its "
            f"language model needs): give the whole model, with its language modelling head."
        )
    return model


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
    trust: Trust = LOCAL,
) -> BaseModel:
    """Load model and tokenizer from a folder or Hub id, in evaluation mode, as `torch_dtype`.

    tokenizer: where it lies when not with the model. chat_prompt: None decides by the tokenizer's path or name.
    device: where the model goes, None leaves it on the CPU. device_map: handed to transformers (needs accelerate).
    read: what brings the weights, for one who has them already. trust: for whom.
    Raises BadBase when it cannot be found or read, is no language model, or the objective does not fit its kind;
    NotAllowed and TooLarge for what strangers may not bring.
    """
    _check_placement(torch_dtype, device, device_map)
    check_source(location, trust)
    try:
        config = AutoConfig.from_pretrained(location, trust_remote_code=False, token=trust.hub_token)
        scored_by = chosen_objective(config, location, objective)
        model = read(location, config, torch_dtype, device_map, trust)
        if device is not None:
            model.to(device)
    except (GradiendUIError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers raises many kinds for files that are not its own
        raise BadBase(load_failure(location, error)) from error
    return base_around(
        model,
        load_tokenizer(tokenizer or location, trust),
        scored_by,
        name=_name_of(location),
        rhs_window=rhs_window,
        chat_prompt=named_instruct(tokenizer or location) if chat_prompt is None else chat_prompt,
    )


def check_source(location: str, trust: Trust) -> None:
    """Look at the config.json of a folder or Hub id before it is built. Raises BadBase, NotAllowed, TooLarge."""
    trust.check_place(location, "The base model")
    if os.path.isfile(location):
        raise BadBase(f"The base model {_name_of(location)!r} is a file: give the folder that holds its config.json.")
    if not os.path.isdir(location):
        if trust.public:
            raise NotAllowed(f"The base model {location[:200]!r} was not taken in by this server: it is not opened.")
        config = _fetched_config(location, trust)
        check_config(config, location, trust)
        check_shipped(config, location)
        return
    check_base_folder(Path(location), trust)
    check_shipped(read_object(Path(location) / CONFIG, Path(location).name), location)
    under = base_under_head(Path(location), trust) if holds_mask_head(location) else None
    if under is not None:
        under, trust = opened_at(under, trust)
        if holds_mask_head(under):
            raise BadBase(f"{Path(location).name!r} is a mask head on a mask head: give the base model.")
        check_source(under, trust)


def _fetched_config(location: str, trust: Trust) -> Mapping[str, Any]:
    """The config.json of a Hub id as it is written. Raises BadBase."""
    try:
        config: Mapping[str, Any] = PreTrainedConfig.get_config_dict(location, token=trust.hub_token)[0]
    except Exception as error:  # transformers and the Hub's client raise many kinds
        raise BadBase(load_failure(location, error)) from error
    return config


def check_shipped(config: Mapping[str, Any], location: str) -> None:
    """Raises BadBase for a model that transformers has no class for: code that comes with a model is never run."""
    if config["model_type"] in CONFIG_MAPPING:
        return
    own = "code of its own (auto_map), which is never run" if "auto_map" in config else "no class of transformers"
    raise BadBase(
        f"config.json of the base model {_name_of(location)!r}: the model_type {shown(config['model_type'])} needs "
        f"{own}: take a model that transformers has itself."
    )


def load_tokenizer(location: str, trust: Trust = LOCAL) -> Tokenizer:
    """The tokenizer in a folder or of a Hub id; one without a padding token pads with its end token."""
    trust.check_place(location, "The tokenizer")
    if os.path.exists(location):
        if not os.path.isdir(location):
            raise BadBase(
                f"The tokenizer {Path(location).name!r} is no folder: give the one that holds tokenizer.json."
            )
        check_tokenizer_folder(Path(location))
        if trust.public:
            check_clean(Path(location))
    elif trust.public:
        raise NotAllowed(f"The tokenizer {location[:200]!r} was not taken in by this server: it is not opened.")
    try:
        with panics_told():
            tokenizer = AutoTokenizer.from_pretrained(location, trust_remote_code=False, token=trust.hub_token)
        _try_out(tokenizer)
    except (MemoryError, NotAllowed):
        raise
    except Exception as error:  # transformers and tokenizers raise many kinds for files that are not their own
        raise BadBase(load_failure(location, error, "tokenizer")) from error
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise BadBase(f"The tokenizer of {_name_of(location)!r} cannot be used: give the base model's own.")
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _try_out(tokenizer: Tokenizer) -> None:
    """A tokenizer with odd settings fails here, not within a sweep; raises whatever it raises."""
    with panics_told():
        for limit in (None, TRIAL_LENGTH):
            for special in (True, False):
                tokenizer(TRIAL_TEXTS, truncation=limit is not None, max_length=limit, add_special_tokens=special)
        vocabulary_size(tokenizer)


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
    needs_mask = objective_named(scored_by).needs_mask
    if needs_mask and tokenizer.mask_token_id is None:
        raise BadBase(f"The tokenizer of {own_name!r} has no mask token: masked scoring is impossible.")
    rows = embedding_rows(model)
    special = [one for one in (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) if one]
    foreign = rows is not None and vocabulary_size(tokenizer) > rows + SPARE_IDS
    if rows is not None and (foreign or (needs_mask and max(special, default=0) >= rows)):
        raise BadBase(f"The tokenizer of {own_name!r} belongs to another model: it knows more than {rows:,} tokens.")
    if isinstance(rhs_window, bool) or not isinstance(rhs_window, int):
        raise BadBase(f"rhs_window must be a whole number of tokens, -1 for all of them, not {shown(rhs_window)}.")
    model.eval()
    model.requires_grad_(False)
    return BaseModel(model, tokenizer, scored_by, own_name, rhs_window, chat_prompt)


def objective_of(config: Any, location: str) -> str:
    """The objective that "auto" takes for `config`; raises BadBase when it is no language model."""
    return objectives_of(kind_of(config, location))[0].name


def chosen_objective(config: Any, location: str, asked: str = AUTO) -> str:
    """How a model is scored: `asked` where it fits the kind of the model, its first objective for "auto".

    "clm_mlm_head" is scored as "clm_next_token". Raises BadBase with the choices that fit.
    """
    wanted = None if asked == AUTO else objective_named(asked)
    kind = kind_of(config, location)
    fitting = objectives_of(kind)
    if wanted is None:
        return fitting[0].name
    if wanted.kind != kind:
        choices = ", ".join(f"{facts.name!r} ({facts.about})" for facts in fitting)
        raise BadBase(
            f"The prediction objective {shown(asked)} needs {KIND_WORDS[wanted.kind]} language model, and "
            f"{_name_of(location)!r} is {KIND_WORDS[kind]} one. Choose 'auto' or {choices}."
        )
    return wanted.scored_as or wanted.name


def kind_of(config: Any, location: str) -> Kind:
    """ "masked", "causal" or "seq2seq", by the configuration alone (a path with "t5" in it says nothing)."""
    names = [name for name in config.architectures or [] if isinstance(name, str)]
    if getattr(config, "is_encoder_decoder", False):
        if type(config) in AutoModelForSeq2SeqLM._model_mapping:
            return SEQ2SEQ
    elif any(name.endswith("ForMaskedLM") or name.endswith("ForPreTraining") and "Bert" in name for name in names):
        if type(config) in AutoModelForMaskedLM._model_mapping:
            return MASKED
    elif any(name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in names):
        if type(config) in AutoModelForCausalLM._model_mapping:
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
        raise BadBase(f"torch_dtype must be one of {', '.join(map(str, DTYPES))}, not {shown(torch_dtype)}.")
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
        raise BadBase(f"There is no device {shown(device)}: give 'cpu', 'cuda' or 'cuda:1', for example.") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise BadBase(f"device {str(device)!r} needs a GPU that PyTorch can use, and there is none: give 'cpu'.")
    return found


def _name_of(location: str) -> str:
    """The last part of a path, or a Hub id as it is."""
    return Path(location).name if os.path.isabs(location) or os.path.isdir(location) else location


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """One more than the highest token id that the tokenizer can give."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def embedding_rows(model: Model) -> int | None:
    """How many tokens the model's embedding knows; None where it has none of the usual kind."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return int(weight.shape[0]) if isinstance(weight, torch.Tensor) else None
