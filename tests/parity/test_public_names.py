"""Every public name and argument of the reference is here, or refused in a sentence with the way out; and the page that
lists them is the one that the program writes."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from typing import Any

import pytest

import gradiend_ui
from gradiend_ui.engine.errors import NotAllowed
from gradiend_ui.trainer.arguments import NOT_HERE
from tests.parity.reference import Reference
from tests.programs.public_names import (
    OURS,
    PAGE,
    WORDS,
    Entry,
    entries_of,
    handed_out,
    imported,
    page_of,
    refused_argument,
    refused_member,
)

ODD: dict[str, Any] = {"gradient_timing_steps": 5, "precompute_gradient_buffer_size": 2}
"""Values of settings that are taken at their default only; True for the others."""


@pytest.fixture(scope="module")
def surface(reference: Reference) -> dict[str, Any]:
    found: dict[str, Any] = reference.ask("public_surface")
    return found


@pytest.fixture(scope="module")
def entries(surface: dict[str, Any]) -> list[Entry]:
    return entries_of(surface)


def test_the_page_is_what_the_program_writes(entries: list[Entry]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page_of(entries), "run python -m tests.programs.public_names"


def test_everything_has_a_verdict(surface: dict[str, Any], entries: list[Entry]) -> None:
    counts = Counter(one.verdict for one in entries)
    assert set(counts) == set(WORDS) and counts["same"] > 300 and counts["refused"] > 150
    listed = {(one.owner.removesuffix("()"), one.argument) for one in entries}
    for theirs, members in surface["classes"].items():
        for member, arguments in members.items():
            owner = OURS.get(theirs, theirs)
            place = owner if member == "__init__" else f"{owner}.{member}"
            gone = any(one.owner == owner and one.name == member and one.verdict == "refused" for one in entries)
            for argument in arguments or ():
                assert gone or {(place, argument), (owner, argument)} & listed, f"{place}({argument}=) is not judged"


def test_what_is_refused_says_what_to_do(entries: list[Entry]) -> None:
    refused = [one for one in entries if one.verdict == "refused"]
    untold = [(one.owner, one.name, one.argument) for one in refused if ": " not in one.told or one.told[-1] != "."]
    assert not untold, "a refusal without the way out"
    nearest = [one for one in refused if "Did you mean" in one.told or "There are" in one.told]
    assert not nearest, "a name of the reference is met like a misspelling"


def test_names_and_modules_are_refused_by_the_import_statement(entries: list[Entry]) -> None:
    for one in entries:
        if one.owner == "names":
            assert handed_out(one.name) == (one.told or None), one.name
        if one.owner == "modules":
            assert imported(one.name.partition(".")[2]) == one.told, one.name
    with pytest.raises(NotAllowed, match="TextPredictionTrainer each, in a loop"):
        from gradiend_ui import TrainerSuite  # noqa: F401
    with pytest.raises(NotAllowed, match=r"plot_\.\.\.\(\) methods"):
        from gradiend_ui.visualizer.convergence import plot_training_convergence  # noqa: F401
    with pytest.raises(NotAllowed, match="post_prune_config"):
        from gradiend_ui.trainer import post_prune  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        __import__("gradiend_ui.nothing_of_that_name")
    assert not hasattr(gradiend_ui, "NothingOfThatName")


def test_members_and_arguments_are_refused_when_they_are_used(entries: list[Entry]) -> None:
    for one in entries:
        owner, _, member = one.owner.removesuffix("()").partition(".")
        cls = getattr(gradiend_ui, owner.partition(",")[0], None)
        if one.verdict != "refused" or not inspect.isclass(cls):
            continue
        if one.argument is None:
            assert refused_member(cls, one.name) == one.told, f"{one.owner}.{one.name}"
        else:
            assert refused_argument(cls, member or "__init__", one.argument) == one.told, (
                f"{one.owner}({one.argument}=)"
            )


def test_settings_that_are_taken_at_their_default_only_are_so(entries: list[Entry]) -> None:
    names = {one.name for one in entries if one.verdict == "default only"}
    assert names == set(NOT_HERE)
    for name, (default, _) in NOT_HERE.items():
        gradiend_ui.TrainingArguments(**{name: default})
        with pytest.raises(NotAllowed, match=name):
            gradiend_ui.TrainingArguments(**{name: ODD.get(name, True)})


def test_settings_have_the_defaults_of_the_reference(reference: Reference) -> None:
    """A field that a script leaves out means the same, but for use_cache: coming-from-gradiend.md says so."""
    theirs = reference.ask("default_settings")
    ours = {
        name: {
            field.name: getattr(made, field.name) for field in dataclasses.fields(made) if field.name in theirs[name]
        }
        for name, made in {
            "TrainingArguments": gradiend_ui.TrainingArguments(),
            "TextPredictionConfig": gradiend_ui.TextPredictionConfig(),
            "PrePruneConfig": gradiend_ui.PrePruneConfig(),
            "PostPruneConfig": gradiend_ui.PostPruneConfig(),
        }.items()
    }
    for name, values in theirs.items():
        other = {key: (ours[name][key], value) for key, value in values.items() if ours[name][key] != value}
        assert set(other) == {"use_cache"} & set(values), f"{name}: ours and the reference's: {other}"


def test_arguments_by_place_mean_the_same(surface: dict[str, Any]) -> None:
    """What is not here stands behind everything that a script gives by place."""
    for theirs, members in surface["classes"].items():
        cls = getattr(gradiend_ui, OURS.get(theirs, theirs))
        for member, arguments in members.items():
            function = inspect.getattr_static(cls, member) if arguments and hasattr(cls, member) else None
            function = function.__func__ if isinstance(function, classmethod) else function
            if function is None or dataclasses.is_dataclass(cls):
                continue
            own = inspect.signature(function).parameters.values()
            by_place = [one.name for one in own if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
            by_place = [name for name in by_place if name not in ("self", "cls")]
            shared = [name for name in arguments or () if name in by_place]
            assert [name for name in by_place if name in shared] == shared, f"{theirs}.{member}"
    trainer = list(inspect.signature(gradiend_ui.TextPredictionTrainer.__init__).parameters)
    assert trainer[1:7] == surface["classes"]["TextPredictionTrainer"]["__init__"][:6]
