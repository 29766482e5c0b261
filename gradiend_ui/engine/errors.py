"""The one exception tree: every refusal a person can meet, each with a short code and a sentence; how a sentence
quotes a value, and how a call of a script refuses an argument or a name that is not here.

Knows nothing else. A sentence says what failed, the value seen, what is accepted and what to do next; the
code is what scripts test for (assets/docs/api.md).

    GradiendUIError
    ├── BadCheckpoint   bad_checkpoint   the GRADIEND folder is incomplete, damaged or contradicts itself
    ├── BadBase         bad_base         the base model is missing, unreadable or does not fit the GRADIEND
    ├── BadData         bad_data         rows, neutral texts, columns or targets cannot be scored
    ├── BadGrid         bad_grid         feature factors, learning rates or another sweep option is out of range
    ├── BadName         bad_name         an output name or folder cannot be used
    ├── NotFound        not_found        no such run, checkpoint or cell
    ├── NotAllowed      not_allowed      this server does not do that (for example: read server paths on a Space)
    ├── Busy            busy             something else is in the way; try again later
    ├── TooLarge        too_large        over a stated limit
    └── Failed          failed           our side broke: a worker died, a file could not be written
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, ParamSpec, Self, TypeVar

LONGEST_SENTENCE = 800
SHOWN = 80
LONGEST_LISTED, MOST_LISTED = 40, 12

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

Text = tuple[str, dict[str, Any]]
"""The key and the values of a sentence in a page's languages; a value may be such a text itself, a part of it."""


class GradiendUIError(Exception):
    """Base of all refusals; `str(error)` is the sentence, `error.code` the short code.

    The kinds, such as BadData ("bad_data") and NotFound ("not_found"), are listed in `gradiend_ui.engine.errors`.
    """

    code: ClassVar[str] = "failed"
    text: Text | None = None
    """The same sentence in a page's languages; None where it is in English only."""

    def known_as(self, key: str, **values: Any) -> Self:
        """The same refusal, which pages tell by their text `key` with these values."""
        self.text = key, values
        return self

    @property
    def part(self) -> Text | str:
        """The sentence as a value of another one's text."""
        return self.text or str(self)

    def __str__(self) -> str:
        """The sentence; of a value too long to be read only its beginning and what follows it."""
        sentence = super().__str__()
        if len(sentence) <= LONGEST_SENTENCE:
            return sentence
        half = LONGEST_SENTENCE // 2
        return f"{sentence[:half]} … {sentence[-half:]}"


class BadCheckpoint(GradiendUIError):
    code = "bad_checkpoint"


class BadBase(GradiendUIError):
    code = "bad_base"


class CannotRun(BadBase):
    """A base model that could be built, and reads no text."""


class BadData(GradiendUIError):
    code = "bad_data"


class BadGrid(GradiendUIError):
    code = "bad_grid"


class BadName(GradiendUIError):
    code = "bad_name"


class NotFound(GradiendUIError):
    code = "not_found"


class NotAllowed(GradiendUIError):
    code = "not_allowed"


class Busy(GradiendUIError):
    code = "busy"


class TooLarge(GradiendUIError):
    code = "too_large"


class Failed(GradiendUIError):
    code = "failed"


_BY_CODE: dict[str, type[GradiendUIError]] = {
    kind.code: kind
    for kind in (BadCheckpoint, BadBase, BadData, BadGrid, BadName, NotFound, NotAllowed, Busy, TooLarge, Failed)
}


def error_from(code: str, sentence: str, text: Text | None = None) -> GradiendUIError:
    """Rebuild an error that crossed a process border as `(code, sentence, text)`; an unknown code becomes `Failed`."""
    error = _BY_CODE.get(code, Failed)(sentence)
    error.text = text
    return error


def shown(value: object) -> str:
    """A value as a sentence may quote it: its repr, cut off after some 80 characters."""
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}" if value else repr(value)
    text = repr(value[: SHOWN + 1]) if isinstance(value, str) else " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def listed(names: Iterable[object]) -> str:
    """Names as a sentence may list them: each cut off where it is long, and not all of very many."""
    told = [name if len(name) <= LONGEST_LISTED else f"{name[: LONGEST_LISTED - 1]}…" for name in map(str, names)]
    more = [f"and {len(told) - MOST_LISTED:,} more"] if len(told) > MOST_LISTED else []
    return ", ".join(told[:MOST_LISTED] + more)


def nearest(name: object, known: Iterable[str]) -> str:
    """A sentence that leads from a name that nobody knows to the known one that is spelled most like it, or to all."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are {listed(names) or 'none'}."


def is_broken(text: str) -> bool:
    """Whether the text holds a lone surrogate: half of a character, which no encoding and no tokenizer takes."""
    if text.isascii():
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


# --- calls of scripts ------------------------------------------------------------------------------------------------

NONE: Mapping[str, str] = MappingProxyType({})


def refusing(not_here: Mapping[str, str] = NONE) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: the call refuses arguments that the function does not have in a sentence, not with a TypeError.

    not_here: {argument of the reference that is not here: what to do instead}. Raises NotAllowed for one of these,
    BadGrid for any other name (with the nearest one that is known), and where an argument is missing.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            made = type(args[0]).__name__ if function.__name__ == "__init__" and args else function.__name__
            check_call(made, signature, args, kwargs, not_here)
            bound = signature.bind(*args, **kwargs)
            if function.__name__ != "__init__":
                check_kinds(made, bound)
            for argument, value in bound.arguments.items():
                check_truth(made, argument, value, str(signature.parameters[argument].annotation))
            return function(*args, **kwargs)

        return call

    return decorated


def refusing_class(not_here: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> Callable[[type[C]], type[C]]:
    """The same for all that a class defines and a script calls: its making and its public methods.

    not_here: {method, or "__init__": its arguments of the reference that are not here}.
    """

    def decorated(cls: type[C]) -> type[C]:
        for name, member in list(vars(cls).items()):
            function = member.__func__ if isinstance(member, classmethod) else member
            if not inspect.isfunction(function) or (name.startswith("_") and name != "__init__"):
                continue
            told = refusing(not_here.get(name, NONE))(function)
            type.__setattr__(cls, name, classmethod(told) if isinstance(member, classmethod) else told)
        return cls

    return decorated


def check_call(
    name: str,
    signature: inspect.Signature,
    args: Iterable[object],
    kwargs: Mapping[str, object],
    not_here: Mapping[str, str] = NONE,
) -> None:
    """Raises NotAllowed or BadGrid unless the call fits the signature; see `refusing`."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        known = [one for one in signature.parameters if one not in ("self", "cls")]
        unknown = next((one for one in kwargs if one not in signature.parameters), None)
        if unknown is None:
            told = f"{name}() cannot be called so: {error}. Its arguments are {listed(known) or 'none'}."
        elif unknown in not_here:
            raise NotAllowed(f"{name}() has no argument {unknown!r} here: {not_here[unknown]}.") from None
        else:
            told = f"{name}() has no argument {unknown!r}. {nearest(unknown, known)}"
        raise BadGrid(told) from None


KINDS: Mapping[str, tuple[tuple[type, ...], str]] = MappingProxyType(
    {
        "str": ((str,), "a text"),
        "Path": ((os.PathLike,), "a path"),
        "str | Path": ((str, os.PathLike), "a path"),
        "Mapping": ((Mapping,), "a dictionary"),
        "tuple[float, float]": ((tuple, list), "two numbers"),
        "bool": ((bool, int, type(None)), "True or False"),
        "None": ((type(None),), "None"),
    }
)
"""What an argument with such an annotation may be, and how a sentence calls it."""


def check_kinds(name: str, bound: inspect.BoundArguments) -> None:
    """Raises BadGrid for a value of another kind than its annotation says, as far as `KINDS` knows it, and for a text
    that no file, tokenizer or page takes."""
    for argument, value in bound.arguments.items():
        check_text(argument, value)
        annotation = str(bound.signature.parameters[argument].annotation)
        told = annotation.replace("str | Path", "str|Path").split(" | ")
        kinds = [KINDS.get("Mapping" if one.startswith("Mapping[") else one.replace("|", " | ")) for one in told]
        known = [kind for kind in kinds if kind is not None]
        fits = any(isinstance(value, accepted) for accepted, _ in known) or _is_flag(value, told)
        if fits or len(known) < len(kinds):
            continue
        raise BadGrid(f"{name}(): {argument} must be {' or '.join(word for _, word in known)}, not {shown(value)}.")


def check_truth(name: str, argument: str, value: object, annotation: str) -> None:
    """Raises BadGrid for a table or an array, which is neither true nor false, where the argument takes none."""
    if not hasattr(type(value), "__bool__") or any(word in annotation for word in TAKES_TABLES):
        return
    try:
        bool(value)
    except Exception:  # what a library raises for its tables and tensors is of no common kind
        raise BadGrid(f"{name}(): {argument} cannot be {shown(value)}: it must be {annotation}.") from None


TAKES_TABLES = ("Any", "DataFrame", "Sequence", "Tensor", "object", "Split", "Names")
"""Annotations that a table, a series or an array may fit."""


def check_text(argument: str, value: object) -> None:
    """Raises BadName for a text with a zero byte or half a character in it."""
    if isinstance(value, str) and ("\0" in value or is_broken(value)):
        raise BadName(f"{argument} {shown(value)} holds a character that no file, tokenizer or page takes: remove it.")


def items_of(value: object) -> tuple[Any, ...] | None:
    """The items of a list, tuple, set, array or series; None for a text, a mapping, or what has no items."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        return None
    try:
        return tuple(value)
    except TypeError:  # an array or tensor of no dimension
        return None


def options_of(argument: str, given: Mapping[str, Any] | None, taken: Iterable[str] = ()) -> dict[str, Any]:
    """The keyword arguments that an argument holds for another call; `taken`: those that this call gives itself.

    Raises BadGrid for a key that is no text, NotAllowed for one that is taken.
    """
    options = dict(given or {})
    for name in options:
        if not isinstance(name, str):
            raise BadGrid(f"{argument} holds arguments by their names, and {shown(name)} is no name.")
        if name in taken:
            raise NotAllowed(f"{argument} cannot hold {name!r}: the call itself decides it. Leave it out.")
    return options


def stated_path(path: str | os.PathLike[str], argument: str) -> Path:
    """The path of an argument. Raises BadName for an empty one, which would mean the working directory."""
    if not str(path).strip():
        raise BadName(f"{argument} is empty: give a folder or a file name.")
    return Path(path)


def _is_flag(value: object, told: Iterable[str]) -> bool:
    """Whether it is numpy's True or False, where a flag is asked for."""
    return "bool" in told and type(value).__name__ in ("bool", "bool_")


class NotHere(NotAllowed, AttributeError):
    """What an object of the reference has and ours has not: `hasattr` says no."""


def refuse_name(owner: str, name: str, not_here: Mapping[str, str], error: type[NotAllowed] = NotAllowed) -> None:
    """Raises `error`, with what to do instead, when `name` is one of the reference's that `owner` does not have.

    A module's must be no AttributeError: `from module import name` would put a sentence of its own in its place.
    """
    if name in not_here:
        raise error(f"{owner} has no {name} here: {not_here[name]}.")
