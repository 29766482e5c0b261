"""Looking at a base model's files before transformers does: what its config.json asks for and what its weights hold.

transformers builds whatever a config.json describes; here a folder is refused in a sentence when it is no base model,
asks for code of its own, or describes far more weights than it holds. Knows JSON and headers; builds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gradiend_ui.engine.base.unfit import (
    ADAPTER_FILE,
    check_no_adapter,
    check_no_quantized_files,
    check_not_quantized,
)
from gradiend_ui.engine.checkpoint.config import describes_gradiend
from gradiend_ui.engine.checkpoint.run_folder import leads_out
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, NotAllowed, shown
from gradiend_ui.engine.files.file_names import can_be_name, check_stored, is_pointer
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.files.model_files import ANY_PICKLED_WEIGHTS, CONFIG, SENTENCE_PIECES
from gradiend_ui.engine.files.safetensors_header import (
    LIMITS,
    STRANGERS_LIMITS,
    HeaderLimits,
    TensorInfo,
    header_bytes,
    read_header,
)
from gradiend_ui.engine.uploads.clean_model import OF_MODEL, OF_WORDS
from gradiend_ui.engine.uploads.settings import CONFIG_FIELDS, LABELS, check_ranges
from gradiend_ui.engine.uploads.tokenizer import MAX_TOKENIZER_BYTES
from gradiend_ui.engine.uploads.trust import LOCAL, Trust, check_no_remote_name

GENERATION = "generation_config.json"
TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
JSON_FILES = (TOKENIZER_CONFIG, SPECIAL_TOKENS, ADDED_TOKENS, GENERATION)
INDEX, PICKLED_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
ORDER = ("model.safetensors", INDEX, "pytorch_model.bin", PICKLED_INDEX)
"""In which transformers looks for weights."""
INDEXED = {INDEX: ".safetensors", PICKLED_INDEX: ".bin"}
"""{index: the ending of the files that it may name}."""
CODE_FIELDS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
SIZES = dict.fromkeys((
    "vocab_size", "hidden_size", "n_embd", "d_model", "dim", "embedding_size", "intermediate_size", "d_ff", "ffn_dim",
    "num_attention_heads", "n_head", "n_heads", "num_heads", "max_position_embeddings", "n_positions", "head_dim",
    "word_embed_proj_dim",
), 1) | {"type_vocab_size": 0}  # fmt: skip
"""{setting: its least value}: DeBERTa has no types of tokens. Strangers' settings keep to them; those of one's own
model are the library's to judge (Gemma 3n has a list of widths, XLNet positions without end), and these only say what
may be wrong where it failed."""
DEPTHS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers",
)  # fmt: skip
MAX_LAYERS, MAX_NUMBER, MAX_LEVELS = 256, 2**27, 4
OWNERS_LAYERS, OWNERS_LEVELS = 10_000, 32
"""Of one's own model: more would take minutes to lay out, and no library has them."""
STRANGERS_LAYERS = 64
"""Models of 1.5 billion weights have at most 48; each layer costs time, however narrow it is."""
MAX_VALUES = 200_000
STRANGERS_TOKENIZER_BYTES = 40 * 1024 * 1024
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "tekken.json")
ACTIVATIONS = frozenset(
    {
        "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
        "gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "prelu", "quick_gelu", "relu",
        "relu2", "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh", "xielu",
    }
)  # fmt: skip
"""Those of transformers: any other name is looked up where it means something else, or nothing."""
ACTIVATION_FIELDS = (
    "activation", "activation_function", "hidden_act", "hidden_activation", "pooler_hidden_act", "dense_act_fn",
    "feed_forward_proj", "classifier_activation", "conv_act", "act_fn",
)  # fmt: skip
NUMBER_FIELDS = ("dtype", "torch_dtype")
NUMBER_KINDS = (
    "float32", "float16", "bfloat16", "float64", "float", "half", "double", "float8_e4m3fn", "float8_e5m2", "auto",
)  # fmt: skip
OF_A_MODEL = (".safetensors", ".bin", ".json", ".txt", *SENTENCE_PIECES)
"""How files end that a model and its tokenizer are read from."""
SPARE_TENSORS, SPARE_WEIGHTS = 20, 50_000_000
"""Buffers and tied copies that a model has and its files need not hold."""


def check_base_folder(folder: Path, trust: Trust) -> None:
    """Raises BadBase, NotAllowed or TooLarge with the file and field for a folder that is no readable base model."""
    name = folder.name
    if not trust.public:
        check_no_adapter((path.name for path in folder.iterdir()), name)
    if not (folder / CONFIG).is_file():
        raise BadBase(f"The base model folder {name!r} holds no config.json: give the folder of the whole model.")
    _check_stored(folder)
    config = read_object(folder / CONFIG, name)
    if describes_gradiend(config):
        raise BadBase(f"{name!r} is itself a GRADIEND, not a base model: give the model it was trained on.")
    check_config(config, name, trust)
    for path in (folder / file for file in JSON_FILES):
        if path.is_file():
            read_object(path, name)
    tokenizer = folder / "tokenizer.json"
    most = STRANGERS_TOKENIZER_BYTES if trust.public else MAX_TOKENIZER_BYTES
    if tokenizer.is_file() and tokenizer.stat().st_size > most:
        raise BadBase(f"tokenizer.json of the base model {name!r} is larger than {most // 2**20} MB.")
    check_indices(folder)
    if trust.public:
        _check_strangers_files(folder, trust)
    promised = _promised(folder, trust)
    check_no_quantized_files((path.name for path in folder.iterdir()), promised or (), name)
    if promised is not None:
        stored = [info for _, info in promised]
        trust.check_parameters(sum(info.numel for info in stored), name)
        if trust.public:
            check_ranges(config, stored, STRANGERS_LAYERS, f"config.json of the base model {name!r}")
    elif trust.public:
        raise BadBase(f"The base model {name!r} holds no weights that are read: upload it with its model.safetensors.")
    if trust.public:
        check_clean(folder)


def read_object(path: Path, name: str) -> dict[str, Any]:
    """A JSON object among the files of the base model `name`. Raises BadBase."""
    try:
        content = read_json(path, max_values=MAX_VALUES)
    except OSError as error:
        raise BadBase(f"{path.name} of the base model {name!r} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadBase(f"{path.name} of the base model {name!r} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BadBase(f"{path.name} of the base model {name!r} must hold a JSON object.")
    return content


def check_config(config: Mapping[str, Any], name: str, trust: Trust) -> None:
    """Raises BadBase or NotAllowed for a config.json that no language model of transformers itself can have.

    On one's own machine nothing is refused that the library takes; see `told_by_settings` for what it does not.
    """
    model_type, classes = config.get("model_type"), config.get("architectures")
    where = f"config.json of the base model {name!r}"
    if not isinstance(model_type, str) or not model_type:
        raise BadBase(f"{where} names no model_type, but {shown(model_type)}: give the folder of a whole model.")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(one, str) for one in classes)):
        raise BadBase(f"{where}: architectures must be a list of names, not {shown(classes)}.")
    trust.check_architecture(model_type, name)
    if trust.public and config.get("quantization_config") is not None:
        raise NotAllowed(f"{where}: quantized models are not opened (quantization_config): take the plain model.")
    check_not_quantized(config, name)
    if trust.public:
        _check_fields(config, where, 0, STRANGERS_LAYERS)
    else:
        _check_own_fields(config, where, 0)


def told_by_settings(config: Mapping[str, Any], name: str) -> str | None:
    """For a model that the library could not build: the sentence on a setting that no model is known to have; None
    where all are of the usual kind. Lists, and settings inside others, are passed over: some models have them."""
    plain = {key: value for key, value in config.items() if not isinstance(value, (list, dict))}
    try:
        _check_fields(plain, f"config.json of the base model {name!r}", 0, OWNERS_LAYERS)
    except BadBase as error:
        return str(error)
    return None


def _check_own_fields(config: Mapping[str, Any], where: str, level: int) -> None:
    """Of one's own model: no code from elsewhere, no name that is looked up where it means something else, and no more
    layers than can be laid out."""
    if level > OWNERS_LEVELS:
        raise BadBase(f"{where} is nested too deep to be a model's.")
    for key, value in config.items():
        _check_name(key, value, where)
        if (key in DEPTHS or "layers" in key) and type(value) in (int, float) and value > OWNERS_LAYERS:
            raise BadBase(f"{where}: {key} must be at most {OWNERS_LAYERS:,} layers, not {shown(value)}.")
        if isinstance(value, dict) and key not in LABELS:
            _check_own_fields(value, where, level + 1)


def _check_fields(config: Mapping[str, Any], where: str, level: int, deepest: int) -> None:
    if level > MAX_LEVELS:
        raise BadBase(f"{where} is nested too deep to be a model's.")
    for key, value in config.items():
        _check_name(key, value, where)
        if key in NUMBER_FIELDS and isinstance(value, str) and value.removeprefix("torch.") not in NUMBER_KINDS:
            raise BadBase(f"{where}: {key} must be one of {', '.join(NUMBER_KINDS)}, not {shown(value)}.")
        if key in SIZES and value is not None and (type(value) is not int or not SIZES[key] <= value <= MAX_NUMBER):
            raise BadBase(
                f"{where}: {key} must be a whole number from {SIZES[key]} to {MAX_NUMBER:,}, not {shown(value)}."
            )
        if key in DEPTHS and type(value) in (int, float) and value > deepest:
            raise BadBase(f"{where}: {key} must be at most {deepest} layers, not {shown(value)}.")
        if "layers" in key and type(value) in (int, float) and not 0 <= value <= MAX_LAYERS:
            raise BadBase(f"{where}: {key} must be at most {MAX_LAYERS} layers, not {shown(value)}.")
        if type(value) is int and abs(value) > MAX_NUMBER and key in CONFIG_FIELDS and "theta" not in key:
            raise BadBase(f"{where}: {key} is {value:,}, which no model needs.")
        if isinstance(value, dict) and key not in LABELS:
            _check_fields(value, where, level + 1, deepest)


def _check_name(key: str, value: object, where: str) -> None:
    """Raises BadBase for a setting that names code from elsewhere, or a function that there is not."""
    if key in CODE_FIELDS:
        check_no_remote_name(value, f"{where}: {key}")
    elif key in ACTIVATION_FIELDS and isinstance(value, str) and _activation(value) not in ACTIVATIONS:
        raise BadBase(f"{where}: {key} must be one of {', '.join(sorted(ACTIVATIONS))}, not {shown(value)}.")


def _activation(value: str) -> str:
    """The function in a setting such as "gated-gelu", as T5 has it."""
    return value.removeprefix("gated-")


def _check_strangers_files(folder: Path, trust: Trust) -> None:
    """What a stranger's folder may not hold besides: pickled weights alone, adapters, links to elsewhere."""
    files = sorted(folder.iterdir())
    for path in files:
        if leads_out(path, folder):
            raise NotAllowed(f"{path.name} of the base model {folder.name!r} is a link that leads out of its folder.")
    adapter = next((path.name for path in files if ADAPTER_FILE.fullmatch(path.name)), None)
    if adapter is not None:
        told = NotAllowed(f"The base model in {folder.name!r} is an adapter ({adapter}): merge it first.")
        raise told.known_as("load.base_is_adapter", name=repr(folder.name), file=adapter)
    if not any(path.suffix == ".safetensors" for path in files):
        for path in files:
            trust.check_pickle(path)


def check_clean(folder: Path) -> None:
    """Raises NotAllowed where a file of settings says more than strangers' may: it was not taken in here."""
    for file, make in {**OF_MODEL, **OF_WORDS}.items():
        if (folder / file).is_file():
            content = read_object(folder / file, folder.name)
            if make(content, f"{file} of {folder.name!r}").content != content:
                raise NotAllowed(
                    f"{file} of {folder.name!r} holds settings that are not read here: pack the model again "
                    "as it was saved."
                )


def check_indices(folder: Path) -> None:
    """Raises BadBase where the index that transformers would follow names a file outside of the folder."""
    names = frozenset(path.name for path in folder.iterdir() if path.is_file())
    followed = next((file for file in ORDER if file in names), "")
    if followed in INDEXED:
        where = f"{followed} of the base model {folder.name!r}"
        for shard in shards_of(read_object(folder / followed, folder.name), names, where, INDEXED[followed]):
            if leads_out(folder / shard, folder):
                raise BadBase(
                    f"{where} names {shown(shard)}, a link that leads out of its folder: copy the weights into it."
                )


def shards_of(index: Mapping[str, Any], names: frozenset[str], where: str, suffix: str) -> tuple[str, ...]:
    """The files that an index of weights names, each of which must be one of `names`. Raises BadBase."""
    places = index.get("weight_map")
    if not isinstance(places, Mapping) or not places:
        raise BadBase(f"{where} has no weight_map that tells where each tensor lies.")
    for place in places.values():
        if isinstance(place, str) and place not in names and can_be_name(place) and place.endswith(suffix):
            raise BadBase(f"{where} names {shown(place)}, which is not there: copy all files of the model.").known_as(
                "load.base_shard_missing", where=where, file=shown(place)
            )
        if not isinstance(place, str) or place not in names or not place.endswith(suffix):
            raise BadBase(f"{where} puts a tensor into {shown(place)}: only {suffix} files of its own folder are read.")
    return tuple(sorted(set(places.values())))


def _promised(folder: Path, trust: Trust) -> list[tuple[str, TensorInfo]] | None:
    """The tensors that the folder's safetensors files hold, every header checked; None when it has none. A stranger's
    tables are bounded over all files together."""
    files = sorted(path for path in folder.glob("model*.safetensors") if path.is_file())
    limits, found = STRANGERS_LIMITS if trust.public else LIMITS, list[tuple[str, TensorInfo]]()
    for path in files:
        header = _header(path, limits)
        found += header.items()
        if trust.public:
            limits = limits.less(header_bytes(path), len(header))
    return found if files else None


def _header(path: Path, limits: HeaderLimits) -> Mapping[str, TensorInfo]:
    try:
        return read_header(path, limits)
    except BadCheckpoint as error:
        bad = BadBase(f"The base model in {path.parent.name!r} cannot be loaded: {error}")
        raise bad.known_as("load.base_not_loaded", name=repr(path.parent.name), why=error.part) from error


def check_described(described: int, tensors: int, folder: Path, trust: Trust = LOCAL) -> None:
    """Raises BadBase where config.json describes far more weights than the files hold: the rest would be invented.

    described: weights and buffer entries; tensors: how many parameters they are. trust: a stranger's files may not hold
    far more tensors than are described either: each one that belongs to nothing costs time.
    """
    promised = _promised(folder, trust)
    stored, held = (None, 0) if promised is None else (sum(info.numel for _, info in promised), len(promised))
    if trust.public and held > 2 * tensors + SPARE_TENSORS:
        raise BadBase(
            f"The files of the base model {folder.name!r} hold {held:,} tensors, and its config.json describes "
            f"{tensors:,} parameters: save the model anew with save_pretrained."
        )
    if held and tensors > 2 * held + SPARE_TENSORS:
        raise BadBase(
            f"config.json of the base model {folder.name!r} describes {tensors:,} parameters, and its files hold "
            f"{held:,}: give the folder of the whole model."
        )
    if stored is None:
        stored = sum(path.stat().st_size for path in pickled(folder))
    if described > 1.1 * stored + SPARE_WEIGHTS:
        raise BadBase(
            f"config.json of the base model {folder.name!r} describes {described:,} weights, and its files hold "
            f"{stored:,}: give the folder of the whole model."
        )


def check_tokenizer_folder(folder: Path) -> None:
    """Raises BadBase for a folder without a vocabulary: transformers would make up a tokenizer that knows no word."""
    if not holds_tokenizer(folder):
        raise BadBase(
            f"The folder {folder.name!r} holds no tokenizer ({', '.join(VOCABULARIES)}): give the whole model."
        )
    _check_stored(folder)


def _check_stored(folder: Path) -> None:
    """Raises BadBase where a file that transformers may open by itself lies on no disk, so that reading it may not end,
    or is a pointer to one that was not fetched."""
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            continue
        try:
            check_stored(path.stat())
        except ValueError as error:
            raise BadBase(f"{path.name} of the base model {folder.name!r} cannot be read: {error}.") from error
        if path.suffix in OF_A_MODEL and is_pointer(path):
            raise BadBase(
                f"{path.name} of the base model {folder.name!r} is a pointer of Git LFS and not the file itself: fetch "
                "it (git lfs pull), or download it again."
            ).known_as("load.base_pointer", file=path.name, name=folder.name)


def holds_tokenizer(folder: Path) -> bool:
    """Whether there is a vocabulary in the folder."""
    return any(path.name in VOCABULARIES or path.suffix in SENTENCE_PIECES for path in folder.iterdir())


def pickled(folder: Path) -> Iterator[Path]:
    """The folder's weights in PyTorch's own format."""
    return (path for path in folder.glob(ANY_PICKLED_WEIGHTS) if path.is_file())
