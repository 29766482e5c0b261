"""Loading a base model with its tokenizer from a folder or the Hub, after a look at its files.

Loads float32 unless told otherwise (transformers on its own keeps the stored dtype). Never runs remote code. Knows no
GRADIEND.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.models.auto.tokenization_auto import get_tokenizer_config, tokenizer_class_from_name
from transformers.utils.peft_utils import find_adapter_config_file

from gradiend_ui.engine.base.base_model import (
    WHOLE_RIGHT_CONTEXT,
    BaseModel,
    DeviceMap,
    Model,
    Tokenizer,
    base_around,
    chosen_objective,
    vocabulary_size,
)
from gradiend_ui.engine.base.chat_prompt import named_instruct
from gradiend_ui.engine.base.files import (
    check_base_folder,
    check_clean,
    check_config,
    check_tokenizer_folder,
    pickled,
    read_object,
    told_by_settings,
)
from gradiend_ui.engine.base.hub import opened_at
from gradiend_ui.engine.base.kinds import AUTO_CLASSES, kind_of, name_of
from gradiend_ui.engine.base.mask_head import base_under_head, check_size, holds_mask_head, load_causal_under_mask_head
from gradiend_ui.engine.base.trouble import NO_TOKENIZER_MADE, TOKENIZER, load_failure, panics_told
from gradiend_ui.engine.base.unfit import (
    ADAPTER_CONFIG,
    check_finite_weights,
    check_no_adapter,
    check_no_quantized_files,
    check_nothing_passed_over,
)
from gradiend_ui.engine.errors import BadBase, GradiendUIError, NotAllowed, shown
from gradiend_ui.engine.files.model_files import ANY_WEIGHTS, CONFIG
from gradiend_ui.engine.files.safetensors_header import TensorInfo
from gradiend_ui.engine.files.sentence_pieces import check_sentence_pieces
from gradiend_ui.engine.uploads.trust import LOCAL, Trust

ModelReader: TypeAlias = "Callable[[str, Any, torch.dtype, DeviceMap | None, Trust], Model]"
WRITES_TO_ITSELF = "rwkv"
"""It halves the weights of its upper layers in place when it first reads a text, against overflows of float16, and
fails where it is trained so. Without that it says the same, and its weights stay those of its files."""
TRIAL_LENGTH = 8
TRIAL_TEXTS = ["a", "a b\n", "\U0001f9d1 \u202e", "x" * 300]
FORMATS = {
    torch.int8: "I8", torch.uint8: "U8", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64", torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
}  # fmt: skip
"""What a safetensors file calls the formats that quantized weights have."""
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


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
    drawn at random, and those that are no finite numbers never taken. Raises BadBase, and as transformers does.
    """
    if holds_mask_head(location):
        model = load_causal_under_mask_head(location, config, torch_dtype, device_map, trust)
        check_finite_weights(model, name_of(location))
        return model
    auto_class = AUTO_CLASSES[kind_of(config, location)]
    check_size(auto_class, config, location, trust)
    if os.path.isdir(location) and not trust.public:
        _check_pickled(Path(location))
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
    check_nothing_passed_over(told["unexpected_keys"], told["missing_keys"], name_of(location))
    lacking = sorted(told["missing_keys"])
    if lacking:
        raise BadBase(
            f"The weights of the base model {name_of(location)!r} lack {lacking[0]!r} (of {len(lacking)} that its "
            f"language model needs): give the whole model, with its language modelling head."
            f"{_under_other_names(lacking, told['unexpected_keys'])}"
        )
    check_finite_weights(model, name_of(location))
    if config.model_type == WRITES_TO_ITSELF:
        model.config.rescale_every = 0
    return model


def _under_other_names(lacking: Sequence[str], unexpected: Iterable[str]) -> str:
    """The sentence on weights that are there with something before their names, as a wrapper around the model saved
    them; "" where they are not."""
    ends = tuple(f".{name}" for name in lacking)
    found = next((name for name in sorted(unexpected) if name.endswith(ends)), None)
    return "" if found is None else f" They hold {shown(found)}: save the model itself, without what was around it."


def _check_pickled(folder: Path) -> None:
    """Raises BadBase where weights in PyTorch's own format are what is read and are quantized."""
    if any(folder.glob(ANY_WEIGHTS)):
        return
    for path in sorted(pickled(folder)):
        formats = pickled_formats(path).items()
        stored = ((name, TensorInfo(FORMATS.get(dtype, ""), ())) for name, dtype in formats)
        check_no_quantized_files((), stored, folder.name)


def pickled_formats(path: Path) -> dict[str, torch.dtype]:
    """{weight: its dtype} of a file in PyTorch's own format, {} for a damaged one: whoever reads it says why.

    Of a file as PyTorch writes it today no number is read, of one of long ago (before 1.6) all are.
    """
    try:
        zipped = zipfile.is_zipfile(path)
        content = torch.load(path, map_location="meta" if zipped else "cpu", weights_only=True, mmap=zipped)
    except Exception:  # it raises many kinds
        return {}
    tensors = content.items() if isinstance(content, dict) else ()
    return {name: tensor.dtype for name, tensor in tensors if isinstance(tensor, torch.Tensor)}


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
        config = AutoConfig.from_pretrained(
            location, dtype=torch_dtype, trust_remote_code=False, token=trust.hub_token
        )  # whatever dtype config.json states: it may be no name of one
        scored_by = chosen_objective(config, location, objective)
        model = read(location, config, torch_dtype, device_map, trust)
        if device is not None:
            model.to(device)
    except (GradiendUIError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers raises many kinds for files that are not its own
        raise BadBase(_odd_setting(location, trust) or load_failure(location, error)) from error
    return base_around(
        model,
        load_tokenizer(tokenizer or location, trust),
        scored_by,
        name=name_of(location),
        rhs_window=rhs_window,
        chat_prompt=named_instruct(tokenizer or location) if chat_prompt is None else chat_prompt,
    )


def check_source(location: str, trust: Trust) -> None:
    """Look at the config.json of a folder or Hub id before it is built. Raises BadBase, NotAllowed, TooLarge."""
    trust.check_place(location, "The base model")
    if os.path.isfile(location):
        raise BadBase(f"The base model {name_of(location)!r} is a file: give the folder that holds its config.json.")
    if not os.path.isdir(location):
        if trust.public:
            raise NotAllowed(f"The base model {location[:200]!r} was not taken in by this server: it is not opened.")
        config = _fetched_config(location, trust)
        check_config(config, location, trust)
        check_shipped(config, location)
        if find_adapter_config_file(location, token=trust.hub_token) is not None:
            check_no_adapter((ADAPTER_CONFIG,), location)
        return
    check_base_folder(Path(location), trust)
    check_shipped(read_object(Path(location) / CONFIG, Path(location).name), location)
    under = base_under_head(Path(location), trust) if holds_mask_head(location) else None
    if under is not None:
        under, trust = opened_at(under, trust)
        if holds_mask_head(under):
            raise BadBase(f"{Path(location).name!r} is a mask head on a mask head: give the base model.")
        check_source(under, trust)


def _odd_setting(location: str, trust: Trust) -> str | None:
    """The sentence on a setting in config.json that no model is known to have; None where all are usual."""
    if os.path.isdir(location):
        config: Mapping[str, Any] = read_object(Path(location) / CONFIG, Path(location).name)
    else:
        config = _fetched_config(location, trust)
    return told_by_settings(config, name_of(location))


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
        f"config.json of the base model {name_of(location)!r}: the model_type {shown(config['model_type'])} needs "
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
        else:
            check_sentence_pieces(Path(location))
    elif trust.public:
        raise NotAllowed(f"The tokenizer {location[:200]!r} was not taken in by this server: it is not opened.")
    try:
        with panics_told():
            tokenizer = _opened_tokenizer(location, trust)
        _try_out(tokenizer)
    except (MemoryError, NotAllowed):
        raise
    except Exception as error:  # transformers and tokenizers raise many kinds for files that are not their own
        raise BadBase(load_failure(location, error, TOKENIZER)) from error
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise BadBase(f"The tokenizer of {name_of(location)!r} cannot be used: give the base model's own.")
    _check_knows_words(tokenizer, name_of(location))
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _opened_tokenizer(location: str, trust: Trust) -> Tokenizer:
    """The tokenizer of the class that transformers takes; where that makes none of the files (of umT5 as a
    SentencePiece file), that of the class which tokenizer_config.json names. Raises whatever it raises."""
    options = {"trust_remote_code": False, "token": trust.hub_token}
    try:
        return AutoTokenizer.from_pretrained(location, **options)
    except ValueError as error:
        named = named_class(location) if NO_TOKENIZER_MADE in str(error) and not trust.public else None
        if named is None:
            raise
        return named.from_pretrained(location, **options)


def named_class(location: str) -> Any:
    """The class of transformers that the tokenizer's own settings name; None where they name none."""
    settings = get_tokenizer_config(location)
    stated = settings.get("tokenizer_class")
    return tokenizer_class_from_name(stated) if isinstance(stated, str) else None


def _check_knows_words(tokenizer: Tokenizer, name: str) -> None:
    """Raises BadBase for a tokenizer of special tokens alone, as transformers makes one where the vocabulary lies in a
    file that its class does not read."""
    special = {*tokenizer.all_special_tokens, *tokenizer.added_tokens_encoder}
    if special.issuperset(tokenizer.get_vocab()):
        kind = type(tokenizer).__name__
        raise BadBase(
            f"The tokenizer of {name!r} knows no word: {kind} of transformers does not read the vocabulary that lies "
            "there. Save it with its tokenizer.json, or correct tokenizer_class in tokenizer_config.json."
        ).known_as("load.base_knows_no_word", name=name, kind=kind)


def pads_with_end_only(tokenizer: Tokenizer) -> bool:
    """Whether its padding token is the end token that `load_tokenizer` gave it: its files name none."""
    own = tokenizer.init_kwargs.get("pad_token")
    return own is None and tokenizer.pad_token is not None and tokenizer.pad_token == tokenizer.eos_token


def _try_out(tokenizer: Tokenizer) -> None:
    """A tokenizer with odd settings fails here, not within a sweep; raises whatever it raises."""
    with panics_told():
        for limit in (None, TRIAL_LENGTH):
            for special in (True, False):
                tokenizer(TRIAL_TEXTS, truncation=limit is not None, max_length=limit, add_special_tokens=special)
        vocabulary_size(tokenizer)


def check_dtype(torch_dtype: torch.dtype) -> None:
    """Raises BadBase for anything but a dtype that weights can be computed in."""
    if not isinstance(torch_dtype, torch.dtype) or torch_dtype not in DTYPES:
        raise BadBase(f"torch_dtype must be one of {', '.join(map(str, DTYPES))}, not {shown(torch_dtype)}.")


def check_is_model(model: object, argument: str, *, to_load: bool = False) -> None:
    """Raises BadBase for anything but a loaded model; to_load: whose configuration is read, too."""
    if not isinstance(model, torch.nn.Module) or (to_load and not hasattr(model, "config")):
        raise BadBase(f"{argument} must be a loaded model of transformers, not {shown(model)}.")


def _check_placement(torch_dtype: torch.dtype, device: str | torch.device | None, device_map: DeviceMap | None) -> None:
    """Raises BadBase for a dtype, device or device map that cannot work here."""
    check_dtype(torch_dtype)
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
    except (RuntimeError, TypeError, ValueError) as error:
        raise BadBase(f"There is no device {shown(device)}: give 'cpu', 'cuda' or 'cuda:1', for example.") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise BadBase(f"device {str(device)!r} needs a GPU that PyTorch can use, and there is none: give 'cpu'.")
    return found


def move_model(model: Model, device: torch.device | None, dtype: torch.dtype | None) -> None:
    """Move and convert a loaded model in place; None leaves that as it is. One spread over several devices stays."""
    if isinstance(vars(model).get("hf_device_map"), dict):
        return
    if dtype is not None:
        model.to(dtype)
    if device is not None:
        model.to(device)
