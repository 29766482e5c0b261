"""Calls with arguments, and names, that are not here are refused in a sentence; all others go through unchanged."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.other_names import UnlikeTheReference
from gradiend_ui.engine.errors import BadGrid, NotAllowed, nearest, refuse_name, refusing, refusing_class


@refusing({"gone": "leave it out"})
def add(first: int, second: int = 2, *, third: int = 0) -> int:
    """The sum."""
    return first + second + third


@refusing_class({"__init__": {"colour": "it is grey"}, "made": {"colour": "it is grey"}})
@dataclass(frozen=True)
class Thing:
    size: int = 1

    @classmethod
    def made(cls, size: int) -> Thing:
        return cls(size)

    def grown(self, by: int) -> Thing:
        return replace(self, size=self.size + by)

    def _own(self, by: int) -> int:
        return by


class Model(UnlikeTheReference):
    here = 1

    @property
    def broken(self) -> int:
        raise AttributeError("the reason")


def test_calls_that_fit_go_through() -> None:
    assert add(1) == 3 and add(1, 3, third=4) == 8 and add.__doc__ == "The sum."
    assert list(inspect.signature(add).parameters) == ["first", "second", "third"]
    assert Thing(size=2) == Thing.made(2) == Thing(1).grown(by=1) and Thing.__name__ == "Thing"
    assert list(inspect.signature(Thing).parameters) == ["size"]


def test_arguments_that_are_not_here_are_refused_by_name() -> None:
    with pytest.raises(NotAllowed, match=r"^add\(\) has no argument 'gone' here: leave it out\.$"):
        add(1, gone=2)  # type: ignore[call-arg]
    with pytest.raises(BadGrid, match=r"^add\(\) has no argument 'secnd'\. Did you mean 'second'\?$"):
        add(1, secnd=2)  # type: ignore[call-arg]
    with pytest.raises(BadGrid, match=r"'zz'\. There are first, second, third\.$"):
        add(1, zz=2)  # type: ignore[call-arg]
    with pytest.raises(NotAllowed, match=r"^Thing\(\) has no argument 'colour' here: it is grey\.$"):
        Thing(colour=2)  # type: ignore[call-arg]
    with pytest.raises(NotAllowed, match=r"^made\(\) has no argument 'colour'"):
        Thing.made(colour=2)  # type: ignore[call-arg]
    with pytest.raises(BadGrid, match=r"^grown\(\) has no argument 'bye'\. Did you mean 'by'\?$"):
        Thing().grown(bye=2)  # type: ignore[call-arg]


def test_arguments_that_are_missing_or_too_many_are_told() -> None:
    with pytest.raises(BadGrid, match=r"^add\(\) cannot be called so: missing a required argument: 'first'\."):
        add()  # type: ignore[call-arg]
    with pytest.raises(BadGrid, match=r"too many positional arguments\. Its arguments are first, second, third\.$"):
        add(1, 2, 3, 4)  # type: ignore[call-arg, misc]
    with pytest.raises(BadGrid, match="multiple values for argument 'first'"):
        add(1, first=2)  # type: ignore[misc]


@refusing()
def write(
    place: str | Path,
    names: Mapping[str, str] | None = None,
    title: str = "",
    size: tuple[float, float] | None = None,
) -> str:
    return f"{place} {names} {title} {size}"


def test_values_of_another_kind_are_refused() -> None:
    assert write(Path("a"), {"b": "c"}, "d", (1, 2)) and write("a", None, size=[1, 2])  # type: ignore[arg-type]
    wrong: dict[str, Any] = {"place": (3, "a path"), "names": ("x", "a dictionary or None"), "title": (None, "a text")}
    for argument, (value, called) in {**wrong, "size": (3, "two numbers or None")}.items():
        given: dict[str, Any] = {"place": "a", argument: value}
        with pytest.raises(BadGrid, match=rf"^write\(\): {argument} must be {called}, not {value!r}\.$"):
            write(**given)


def test_an_error_inside_a_call_stays_what_it_is() -> None:
    @refusing()
    def broken(value: int) -> int:
        raise TypeError("inside")

    with pytest.raises(TypeError, match="^inside$"):
        broken(1)
    with pytest.raises(TypeError):
        Thing()._own()  # type: ignore[call-arg]


def test_names_that_are_not_here_are_refused_and_unknown_ones_are_not() -> None:
    refuse_name("thing", "b", {"a": "take c"})
    with pytest.raises(NotAllowed, match=r"^thing has no a here: take c\.$"):
        refuse_name("thing", "a", {"a": "take c"})
    model = copy.copy(Model())
    assert model.here == 1 and not hasattr(model, "nothing_like_it")
    assert not hasattr(model, "state_dict"), "code that tries what an object can is told no"
    with pytest.raises(NotAllowed, match="ModelWithGradiend has no state_dict here: it is no torch module"):
        model.state_dict()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="^the reason$"):
        _ = model.broken


def test_the_nearest_name() -> None:
    assert nearest("lerning_rate", ["learning_rate", "seed"]) == "Did you mean 'learning_rate'?"
    assert nearest("x", ["learning_rate", "seed"]) == "There are learning_rate, seed."
    assert nearest("x", []) == "There are none."
