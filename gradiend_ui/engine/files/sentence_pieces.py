"""Tokenizers that are a SentencePiece file and nothing else: what they need, told before transformers looks for it.

T5, DeBERTa-v3, XLM-RoBERTa, CamemBERT, Llama and Gemma are often stored so. transformers turns the file into a fast
tokenizer with two packages; where one is missing, or the file is none of its kind, it asks for a third (tiktoken) that
has nothing to do with it. Knows files and packages; reads no model.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.files.model_files import SENTENCE_PIECES

NEEDED = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
"""{module: the package that brings it}."""
TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")
READ_INSTEAD = "tokenizer.json"


def check_sentence_pieces(folder: Path) -> None:
    """Raises BadBase where the tokenizer in `folder` is a SentencePiece file that cannot be read here: a package is
    missing, or it is damaged."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SENTENCE_PIECES and path.is_file())
    if not files or (folder / READ_INSTEAD).is_file():
        return
    if _is_tiktoken(files[0]):
        _check_installed({"tiktoken": "tiktoken"}, files[0], "tiktoken")
        return
    _check_installed(NEEDED, files[0], "SentencePiece")
    from sentencepiece import SentencePieceProcessor

    for path in files:
        try:
            SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:
            raise BadBase(
                f"{path.name} in {folder.name!r} is no whole SentencePiece model: copy it again, or save the tokenizer "
                f"with its {READ_INSTEAD}."
            ).known_as("load.base_pieces_damaged", file=path.name, name=folder.name, instead=READ_INSTEAD) from error


def _check_installed(modules: dict[str, str], path: Path, what: str) -> None:
    missing = [package for module, package in modules.items() if not is_installed(module)]
    if missing:
        packages = " ".join(missing)
        raise BadBase(
            f"The tokenizer in {path.parent.name!r} is a {what} file ({path.name}), which needs what is not installed "
            f"here: pip install {packages}, or save it with its {READ_INSTEAD}."
        ).known_as(
            "load.base_needs_packages", name=path.parent.name, what=what, file=path.name, packages=packages,
            instead=READ_INSTEAD,
        )  # fmt: skip


def is_installed(module: str) -> bool:
    """Whether a module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def _is_tiktoken(path: Path) -> bool:
    """Whether the file is lines of a word in base 64 and its number, as Llama 3 came at first."""
    with path.open("rb") as file:
        return TIKTOKEN_LINE.match(file.read(1000)) is not None
