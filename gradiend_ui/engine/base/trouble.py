"""Why a base model could not be loaded, told apart: absent, offline, closed, unknown, damaged.

Reads the errors of transformers and of the Hub's client; loads nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from gradiend_ui.engine.files.file_names import RING, is_ring

MAX_REASON = 300
NO_TOKENIZER_MADE = "Couldn't instantiate the backend tokenizer"
NO_WEIGHTS = "Error no file named"
QUANTIZED_TENSOR = "Creation of quantized tensor"
TOKENIZER = "tokenizer"
OTHER_WEIGHTS = (".safetensors", ".bin", ".gguf", ".onnx", ".h5", ".msgpack", ".pt", ".pth", ".ckpt", ".npz")
MOST_NAMED = 3
NAMED_PACKAGE = re.compile(r"(?:install|installing the|pip install) `?([A-Za-z][A-Za-z0-9_-]*)`?")
PANIC = "PanicException"
"""What a library written in Rust raises for a bug of its own: no Exception, so that it would end the whole process."""


def load_failure(location: str, error: Exception, what: str = "base model", *, on_hub: bool = False) -> str:
    """The sentence for a model or tokenizer at `location` that could not be loaded because of `error`.

    on_hub: it is a name of the Hub, whatever lies here under the same name.
    """
    if not on_hub and os.path.isdir(location):
        name = Path(location).name
        lacking = missing_library(error)
        if lacking is not None and what != TOKENIZER:
            return (
                f"The {what} in {name!r} cannot be loaded: it asks for a library that is not installed here"
                f"{lacking and f' ({lacking})'}. {_reason(error)}"
            )
        if lacking is not None:
            return (
                f"The {what} in {name!r} cannot be loaded: its class needs a library that is not installed here"
                f"{lacking and f' ({lacking})'}. Save it with its tokenizer.json, and leave tokenizer_class out of "
                "tokenizer_config.json."
            )
        if NO_WEIGHTS in str(error):
            return _no_weights(Path(location), what)
        told = _reason(error, what).replace(str(Path(location)), name).replace(os.path.realpath(location), name)
        return f"The {what} in {name!r} cannot be loaded: {told}"
    if is_ring(location):
        return f"The {what} {Path(location).name!r} cannot be opened, {RING}: give the folder or the Hub name."
    if os.path.isabs(location):
        return (
            f"The {what} {Path(location).name!r} is no local folder and cannot be loaded: its path is that of another "
            "machine, or the folder has gone. Give the folder or the Hub name."
        )
    causes = list(_causes(error))
    start = f"The {what} {location[:200]!r} is no local folder and"
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return f"{start} is gated on the Hub: accept its licence there and log in, or give a folder that holds it."
    if any(isinstance(cause, (OfflineModeIsEnabled, LocalEntryNotFoundError)) for cause in causes):
        return f"{start} could not be fetched: the Hub cannot be reached (offline?). Give a folder that holds it."
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return f"{start} there is no such model on the Hub, or it is private: check the name, or give a folder."
    if any(isinstance(cause, HFValidationError) for cause in causes):
        return f"{start} is no name of the Hub either: give a folder that holds it, or a name like 'owner/name'."
    lacking = missing_library(error)
    if lacking:
        return f"The {what} {location[:200]!r} needs what is not installed here: pip install {lacking}."
    return f"{start} could not be fetched from the Hub ({_reason(error)}): give a folder that holds it."


def missing_library(error: BaseException) -> str | None:
    """What has to be installed before it works: "sacremoses"; "" where an import failed and nothing tells of what; None
    for any other error. transformers tells of tiktoken where it could not read a SentencePiece file."""
    imports = [cause for cause in _causes(error) if isinstance(cause, ImportError)]
    if not imports:
        return None
    named = (NAMED_PACKAGE.search(str(cause)) for cause in _causes(error))
    found = next((match[1] for match in named if match is not None), "")
    return "sentencepiece protobuf" if found == "tiktoken" else found


@contextmanager
def panics_told() -> Iterator[None]:
    """What is done inside raises RuntimeError where the tokenizers library panics."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise RuntimeError(f"the tokenizer contradicts itself ({error})") from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _no_weights(folder: Path, what: str) -> str:
    """The sentence for a folder without weights that are read, with those of other kinds that lie there."""
    others = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in OTHER_WEIGHTS)
    there = f" There is {', '.join(others[:MOST_NAMED])}, which is not read as it is." if others else ""
    return (
        f"The {what} in {folder.name!r} cannot be loaded: it holds neither model.safetensors nor pytorch_model.bin, "
        f"nor an index of either.{there} Give the folder of the whole model, as save_pretrained writes it."
    )


def _reason(error: Exception, what: str = "") -> str:
    """The first line of the error's own words with what it announces, or its kind where it has none."""
    if what == TOKENIZER and isinstance(error, (TypeError, KeyError, AttributeError, IndexError)):
        return "a file of it is missing or not whole: copy all files of the model, or save it with tokenizer.json."
    if QUANTIZED_TENSOR in str(error):
        return "its file holds quantized tensors of PyTorch: give the model as it was before it was quantized."
    if "weights_only" in str(error):
        return "its file holds more than plain weights, and is not read: save safetensors."
    if NO_TOKENIZER_MADE in str(error):
        return "transformers makes no tokenizer of the files there for this kind of model: save it with tokenizer.json."
    if "ignore_mismatched_sizes" in str(error):
        return (
            "its weights have other shapes than config.json says (such as hidden_size, vocab_size or "
            "max_position_embeddings): give both files as they were saved together."
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = " ".join(lines[:2]) if lines and lines[0].endswith(":") else lines[0] if lines else type(error).__name__
    return told[:MAX_REASON]
