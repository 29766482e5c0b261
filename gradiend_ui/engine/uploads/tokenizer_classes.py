"""Whether the class that a stranger's tokenizer states reads the tokenizer.json that was tried, and that alone.

transformers asks its own names what a class is, and takes one that it does not know for a plain reader of
tokenizer.json. So a name is kept as it stands where it leads to such a reader, and refused otherwise: leaving it out
would let the model's kind decide, which may split texts in another way. Knows names of classes; reads no file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.uploads.settings import TOKENIZER_CLASSES

CLASS_NAME = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)
PLAIN = "PythonBackend"
"""The parent of tokenizers in Python (PreTrainedTokenizer): transformers takes the reader of tokenizer.json for it."""


@contextmanager
def without_torch() -> Iterator[None]:
    """Inside, transformers finds no PyTorch, unless it is here already: tokenizers need none, and it takes 400 MB."""
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch"]


def check_tokenizer_class(stated: object, place: str) -> None:
    """place: such as "tokenizer_config.json of 'base': tokenizer_class". Raises BadBase."""
    if stated is None or (isinstance(stated, str) and stated in TOKENIZER_CLASSES):
        return
    if not isinstance(stated, str) or not CLASS_NAME.fullmatch(stated):
        raise BadBase(f"{place} is {shown(stated)}: it must be the name of a tokenizer's class, such as BertTokenizer.")
    if not _reads_tokenizer_json(stated):
        raise BadBase(
            f"{place} is {shown(stated)}, which reads more than a tokenizer.json, or reads it in a way of its own: "
            "save the tokenizer as a PreTrainedTokenizerFast, whose tokenizer.json says all."
        )


def _reads_tokenizer_json(name: str) -> bool:
    """By the installed version of transformers, in the order in which it looks for the class itself."""
    with without_torch():
        import transformers
        from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

        try:
            for candidate in (name, f"{name}Fast"):
                if (found := tokenizer_class_from_name(candidate)) is not None:  # an empty table is something, too
                    return getattr(found, "__name__", "") in (*TOKENIZER_CLASSES, PLAIN)
            # a name of its own that stands for nothing here stands for something where PyTorch is
            return not any(hasattr(transformers, own) for own in (name, name.removesuffix("Fast")))
        except (ImportError, RuntimeError):  # a name of its own for what needs a library that is not here
            return False
