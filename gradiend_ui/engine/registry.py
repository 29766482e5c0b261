"""Names and what is registered under them: how an objective, a policy or a language comes from anywhere.

A registration from outside this package is one call at the import of its module; the worker is told these modules and
imports them, too. Knows nothing of what is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from gradiend_ui.engine.errors import BadName, shown

OWN = "gradiend_ui."
MAIN = "__main__"

Entry = TypeVar("Entry")
Reference = str | Callable[..., Any]
"""What does a thing: itself, or "package.module:name" of what is imported when it is first needed."""
Labels = Mapping[str, str]
"""{language: text} of something that the language files do not know, in English ("en") at least."""


class Registry(Generic[Entry]):
    """Entries by name, in the order of their registration."""

    def __init__(self, what: str) -> None:
        """what: what is registered here, for a sentence: "objective"."""
        self._what = what
        self._entries: dict[str, Entry] = {}
        self._homes: dict[str, str] = {}
        _registries.append(self)

    def add(self, name: str, entry: Entry, home: str = OWN) -> Entry:
        """home: the module that registers it. Raises BadName for what is no name and for one that is taken."""
        if not isinstance(name, str) or not name.isidentifier():
            raise BadName(f"{shown(name)} is no name for a new {self._what}: use letters, digits and underscores.")
        if name in self._entries:
            raise BadName(
                f"The name {name!r} is taken by another {self._what}: register the new one under another name."
            )
        self._entries[name], self._homes[name] = entry, home
        return entry

    def remove(self, name: str) -> None:
        """Forget the entry; it may be registered again. Raises KeyError where there is none."""
        del self._entries[name], self._homes[name]

    def get(self, name: object) -> Entry | None:
        return self._entries.get(name) if isinstance(name, str) else None

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))

    @property
    def homes(self) -> tuple[str, ...]:
        """The modules of all entries."""
        return tuple(self._homes.values())


_registries: list[Registry[Any]] = []


def modules_from_outside() -> tuple[str, ...]:
    """The modules outside this package that have registered something, each once; another process imports them to
    know the same names. What a script registers itself is known there already: a spawned process reads it anew. The
    worker of a public server reads what is installed and what PYTHONPATH names, and nothing else."""
    homes = (home for registry in _registries for home in registry.homes)
    return tuple(dict.fromkeys(home for home in homes if not home.startswith(OWN) and home != MAIN))


def import_from_outside(modules: tuple[str, ...]) -> None:
    """Import what another process told (`modules_from_outside`)."""
    for module in modules:
        import_module(module)


def found_at(reference: Reference) -> Any:
    """What a reference stands for."""
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def label_of(labels: Labels, language: str) -> str:
    """The text in this language, else in English."""
    return labels.get(language, labels["en"])
