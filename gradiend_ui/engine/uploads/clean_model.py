"""What a stranger's model files may say: config.json, generation_config.json and the tokenizer's files, made plain.

A file inside a file is how a model reads what is not its own: transformers opens paths, addresses and names that it
finds in these files. So every field is either known and bounded, left out with a note, or refused with its name; what
comes out names no file. Pure functions of parsed JSON; they open nothing, and know no folder and no weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradiend_ui.engine.errors import BadBase, NotAllowed, shown
from gradiend_ui.engine.files.json_files import MAX_TEXT
from gradiend_ui.engine.uploads.settings import (
    CONFIG_FIELDS,
    GENERATION_FIELDS,
    LABELS,
    OTHER_TOKENIZER_NUMBERS,
    RESERVED,
    TOKENIZER_FIELDS,
    TOKENIZER_NUMBERS,
)
from gradiend_ui.engine.uploads.tokenizer_classes import check_tokenizer_class

WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .,+<>=|()\[\]-]{0,98}[A-Za-z0-9_ ,+<>=|()\[\]-])?")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
MAX_ENTRIES, MAX_LEVELS, MAX_MAGNITUDE = 4096, 4, 1e38
MAX_TOKEN, MAX_TOKENS, MAX_ID, MAX_LISTED = 1000, 20_000, 2**31, 1000
LARGEST_EXACT = 10**18
"""Whole numbers beyond are read as floats; a tokenizer's "no limit" is written as the whole number that it was."""
REFUSED = {
    "transformers_weights": "names the file of its weights",
    "quantization_config": "asks for quantized weights",
    "fusion_config": "asks for another form of the model",
    "configuration_files": "names other files of settings",
    "fast_tokenizer_files": "names other files of the tokenizer",
    "init_inputs": "names files of the tokenizer",
    "gguf_file": "names a file of the tokenizer",
}
"""{field: what it does}: what decides on numbers by naming a file, so that leaving it out could change them."""
ATTENTION = (
    "attn_implementation",
    "_attn_implementation",
    "attn_implementation_internal",
    "_attn_implementation_internal",
)
BUILT_IN_ATTENTION = ("eager", "sdpa")
UNSAID = frozenset(
    {
        "_name_or_path", "name_or_path", "tokenizer_file", "special_tokens_map_file", "is_local", "local_files_only",
        "backend", "processor_class", "transformers_version", "finetuning_task", "_commit_hash", "torchscript",
    }
)  # fmt: skip
"""Left out without a word: where files lay when they were saved, and what is said anew when they are read."""
SPECIAL_TOKENS = frozenset({"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
TOKEN_FLAGS = ("lstrip", "rstrip", "normalized", "single_word", "special")
TOKEN_KINDS = ("BPE", "WordPiece", "WordLevel", "Unigram")


@dataclass(frozen=True)
class Clean:
    """content: what may be written and read; left_out: the fields that are not in it and should be told."""

    content: dict[str, Any]
    left_out: tuple[str, ...] = ()


def clean_config(config: Mapping[str, Any], where: str) -> Clean:
    """A model's config.json. where: such as "config.json of 'base'". Raises BadBase or NotAllowed with the field."""
    return _sorted_out(config, where, _config_field)


def clean_generation_config(config: Mapping[str, Any], where: str) -> Clean:
    """A generation_config.json: its known fields as far as they are numbers. Raises BadBase, NotAllowed."""

    def field(name: str, value: object, place: str) -> object:
        if name not in GENERATION_FIELDS or not _is_numeric(value):
            return _LEFT_OUT
        return bounded(value, place)

    return _sorted_out(config, where, field)


def clean_tokenizer_config(config: Mapping[str, Any], where: str) -> Clean:
    """A tokenizer_config.json: special tokens, lengths, sides, casing; never what names a file.

    Raises BadBase or NotAllowed with the field.
    """
    return _sorted_out(config, where, _tokenizer_field)


def clean_special_tokens(tokens: Mapping[str, Any], where: str) -> Clean:
    """A special_tokens_map.json: tokens by their role and nothing else."""

    def field(name: str, value: object, place: str) -> object:
        if name in TOKEN_LISTS:
            return _token_list(value, place)
        return _token(value, place) if name in SPECIAL_TOKENS or name.endswith("_token") else _LEFT_OUT

    return _sorted_out(tokens, where, field)


def clean_added_tokens(tokens: Mapping[str, Any], where: str) -> Clean:
    """An added_tokens.json: {token: its id}."""
    if len(tokens) > MAX_TOKENS:
        raise BadBase(f"{where} adds {len(tokens):,} tokens; at most {MAX_TOKENS:,} are read.")
    for token, number in tokens.items():
        if len(token) > MAX_TOKEN or type(number) is not int or not 0 <= number < MAX_ID:
            raise BadBase(
                f"{where}: the token {shown(token)} has the id {shown(number)}, which is no number of a token."
            )
    return Clean(dict(tokens))


OF_WORDS: Mapping[str, Callable[[Mapping[str, Any], str], Clean]] = {
    "tokenizer_config.json": clean_tokenizer_config,
    "special_tokens_map.json": clean_special_tokens,
    "added_tokens.json": clean_added_tokens,
}
"""How each file beside a tokenizer.json is made plain."""
OF_MODEL: Mapping[str, Callable[[Mapping[str, Any], str], Clean]] = {
    "config.json": clean_config,
    "generation_config.json": clean_generation_config,
}
"""How each file of settings beside the weights is made plain."""


def check_tokenizer(content: Mapping[str, Any], where: str) -> None:
    """Raises BadBase unless a tokenizer.json holds its words itself: a text in their place is taken for a path."""
    model = content.get("model")
    if not isinstance(model, Mapping):
        raise BadBase(f"{where} describes no tokenizer: it has no model.")
    kind = model.get("type")
    if kind is not None and kind not in TOKEN_KINDS:
        raise BadBase(f"{where}: model.type must be one of {', '.join(TOKEN_KINDS)}, not {shown(kind)}.")
    vocabulary, merges = model.get("vocab"), model.get("merges", [])
    if not _is_vocabulary(vocabulary):
        raise BadBase(f"{where}: model.vocab must hold the words with their numbers, not {shown(vocabulary)}.")
    if merges is not None and not (isinstance(merges, list) and all(map(_is_merge, merges))):
        raise BadBase(f"{where}: model.merges must be a list of pairs of pieces.")
    added = content.get("added_tokens", [])
    if not isinstance(added, list) or len(added) > MAX_TOKENS or not all(isinstance(one, Mapping) for one in added):
        raise BadBase(f"{where}: added_tokens must be a list of at most {MAX_TOKENS:,} tokens.")
    for token in added:
        _token(token, f"{where}: added_tokens", extra=("id",))


def is_word(text: str) -> bool:
    """Whether a text is a plain word or a few of them: no path, no address, no name of somebody's model."""
    return not text or (WORD.fullmatch(text) is not None and ".." not in text)


def bounded(value: object, place: str, level: int = 0) -> object:
    """The same number, word, or nested list and dict of them. Raises BadBase with the place."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        if not math.isfinite(value) or abs(value) > MAX_MAGNITUDE:
            raise BadBase(f"{place} is {shown(value)}, which is no number of a model.")
        return value
    if isinstance(value, str):
        if not is_word(value):
            raise BadBase(
                f"{place} is {shown(value)}: a model's settings are numbers and plain words here, no path, address or "
                "name of another model. Take the field out, or write the word that is meant."
            )
        return value
    if level >= MAX_LEVELS or not isinstance(value, (list, Mapping)) or len(value) > MAX_ENTRIES:
        raise BadBase(f"{place} is nested too deep or too long: at most {MAX_ENTRIES:,} entries are read.")
    if isinstance(value, list):
        return [bounded(item, f"{place}[{number}]", level + 1) for number, item in enumerate(value)]
    for key in value:
        if not is_word(key):
            raise BadBase(f"{place} has an entry called {shown(key)}, which is no plain word.")
    return {key: bounded(item, f"{place}.{key}", level + 1) for key, item in value.items()}


# --- fields ----------------------------------------------------------------------------------------------------------


class _LeftOut:
    """Stands for a field that is not taken over."""


_LEFT_OUT = _LeftOut()
Field = Callable[[str, object, str], object]
"""(name, value, where it stands) -> the value that is taken over, or `_LEFT_OUT`; raises for what is refused."""


def _sorted_out(fields: Mapping[str, Any], where: str, field: Field) -> Clean:
    content: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in fields.items():
        if value is not None and name in REFUSED and value not in ([], {}, ()):
            raise NotAllowed(f"{where}: {name} {REFUSED[name]}, which is not followed: save the plain model again.")
        taken = field(name, value, f"{where}: {name}") if NAME.fullmatch(name.lstrip("_")) else _LEFT_OUT
        if taken is not _LEFT_OUT:
            content[name] = taken
        elif name not in UNSAID and value not in (None, [], {}):
            left_out.append(name[:40] if name.isprintable() else "?")
    return Clean(content, tuple(left_out))


def _config_field(name: str, value: object, place: str) -> object:
    if name in ATTENTION:
        if value is None or value in BUILT_IN_ATTENTION:
            return value
        if isinstance(value, str) and is_word(value):
            return _LEFT_OUT  # of the built-in ones, the quickest is taken
        choices = " or ".join(BUILT_IN_ATTENTION)
        raise BadBase(f"{place} is {shown(value)}: code of its own is never run, so it must be {choices}.")
    if name in LABELS:
        return value if _is_harmless(value) else _LEFT_OUT
    if name == "tokenizer_class":
        check_tokenizer_class(value, place)
    if name in CONFIG_FIELDS or name == "transformers_version":
        return bounded(value, place)
    if not _is_numeric(value) or name.startswith("_") or name in RESERVED:
        return _LEFT_OUT
    return bounded(value, place)  # no field of a listed architecture: kept, as the fingerprint of a base covers it


def _tokenizer_field(name: str, value: object, place: str) -> object:
    if name == "added_tokens_decoder":
        return _numbered_tokens(value, place)
    if name in TOKEN_LISTS:
        return _token_list(value, place)
    if name in SPECIAL_TOKENS or (name.endswith("_token") and isinstance(value, (str, Mapping))):
        return _token(value, place)
    if name == "chat_template":
        return value if isinstance(value, str) and len(value) <= MAX_TEXT else _LEFT_OUT
    if name not in TOKENIZER_FIELDS:
        return _LEFT_OUT
    if name == "tokenizer_class":
        check_tokenizer_class(value, place)
    if (
        name == "never_split"
        and isinstance(value, list)
        and not all(isinstance(one, int) or is_word(str(one)) for one in value)
    ):
        return _LEFT_OUT  # tokens in brackets, which no class with a tokenizer.json reads
    _check_numbers(value, place, TOKENIZER_NUMBERS.get(name, OTHER_TOKENIZER_NUMBERS))
    if isinstance(value, float) and abs(value) >= LARGEST_EXACT:
        return int(value)
    return bounded(value, place)


def _check_numbers(value: object, place: str, limits: tuple[float, float]) -> None:
    """Raises BadBase where a field, or an entry of it, is a number beyond its limits: reading may cost by its size."""
    for inside in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _check_numbers(inside, place, limits)
    if isinstance(value, list) and len(value) > MAX_LISTED:
        raise BadBase(
            f"{place} lists {len(value):,} values; at most {MAX_LISTED:,} are read: take out what is not used."
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = limits
        if not least <= value <= most:
            limit = f"from {least:,} to {most:,}" if most < LARGEST_EXACT else f"of at least {least:,}"
            raise BadBase(f"{place} must be a number {limit}, not {shown(value)}: write what the model has.")


def _token(value: object, place: str, extra: tuple[str, ...] = ()) -> object:
    """A token by its text, or with its flags. Its text is never opened, whatever it looks like."""
    if value is None or (isinstance(value, str) and len(value) <= MAX_TOKEN):
        return value
    if isinstance(value, Mapping):
        text, flags = value.get("content"), {key: item for key, item in value.items() if key in TOKEN_FLAGS}
        own = {key: item for key, item in value.items() if key in extra}
        known = {"content", "__type", *TOKEN_FLAGS, *extra}
        plain = (
            isinstance(text, str) and len(text) <= MAX_TOKEN and all(isinstance(one, bool) for one in flags.values())
        )
        if plain and set(value) <= known and all(type(one) is int and 0 <= one < MAX_ID for one in own.values()):
            kind = {"__type": "AddedToken"} if "__type" in value else {}
            return {**kind, **own, "content": text, **flags}
    raise BadBase(
        f"{place} is {shown(value)}, which is no token: a text, or its content with {', '.join(TOKEN_FLAGS)}."
    )


def _token_list(value: object, place: str) -> object:
    if isinstance(value, (list, Mapping)) and len(value) > MAX_TOKENS:
        raise BadBase(f"{place} holds {len(value):,} tokens; at most {MAX_TOKENS:,} are read.")
    if isinstance(value, list):
        return [_token(item, place) for item in value]
    if isinstance(value, Mapping):
        if not all(NAME.fullmatch(name) for name in value):
            raise BadBase(f"{place} must give each token a plain name.")
        return {name: _token(item, place) for name, item in value.items()}
    if value is None:
        return None
    raise BadBase(f"{place} is {shown(value)}, which is no list of tokens.")


def _numbered_tokens(value: object, place: str) -> object:
    if not isinstance(value, Mapping) or len(value) > MAX_TOKENS:
        raise BadBase(f"{place} must give at most {MAX_TOKENS:,} tokens by their numbers.")
    if not all(
        number.isascii() and number.isdecimal() and int(number) < MAX_ID for number in value if len(number) < 12
    ):
        raise BadBase(f"{place} must name its tokens by their numbers.")
    if not all(len(number) < 12 and isinstance(token, Mapping) for number, token in value.items()):
        raise BadBase(f"{place} must give each token its content and flags.")
    return {number: _token(token, f"{place}.{number}") for number, token in value.items()}


def _is_numeric(value: object) -> bool:
    """Whether nothing in it is a text."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_numeric, value))
    if isinstance(value, Mapping):
        return all(map(_is_numeric, value.values()))
    return not isinstance(value, str)


def _is_harmless(value: object) -> bool:
    """Whether it is made of short labels without a trace of a path or address, and numbers."""
    if isinstance(value, Mapping):
        return len(value) <= MAX_ENTRIES and all(_is_harmless(key) and _is_harmless(one) for key, one in value.items())
    if isinstance(value, list):
        return len(value) <= MAX_ENTRIES and all(map(_is_harmless, value))
    if isinstance(value, str):
        return len(value) <= 200 and value.isprintable() and not any(mark in value for mark in ("/", "\\", "..", "~"))
    return value is None or isinstance(value, bool) or math.isfinite(value)  # type: ignore[arg-type]


def _is_vocabulary(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(type(number) is int and 0 <= number < MAX_ID for number in value.values())
    return isinstance(value, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and type(one[1]) in (int, float)
        for one in value
    )


def _is_merge(value: object) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(isinstance(piece, str) for piece in value)
    return isinstance(value, str)
