"""A class name means one thing on the whole page: all style sheets are one file in the browser.

A rule of one step's sheet for a bare class reaches every element of that name, so another step uses the name only
where it means the same thing (`SHARED`), or one of page.css.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradiend_ui.ui.kit.routes import ASSETS, STYLES

PACKAGE = Path(__file__).parents[2] / "gradiend_ui" / "ui"
STEPS = ("load", "data", "sweep", "grid", "compare", "export", "runs")
"""The steps that have a sheet and a package each; what page.css styles is the whole page's."""
SHARED = {
    "key": "the sign before a name in a legend, in the row's chart and over the answers",
    "legend": "the line that holds such keys",
    "numbers": "a table of numbers, why a cell won and in the card that goes with an export",
    "spoken": "read aloud and not seen",
    "choices": "a row of buttons of which one is pressed, for two sweeps and for the parts of a preview",
}
BARE = re.compile(r"\.([a-z][\w-]*)(?:::?[\w-]+)*(?:\s+[a-z][\w-]*(?:::?[\w-]+)*)*")
"""A class alone, or what lies in it."""
USED = re.compile(r"(?:cls|elem_classes|class|className)\s*[=:]\s*(?:f?[\"'`]([^\"'`]*)[\"'`]|\[([^\]]*)\])")
LISTED = re.compile(r"classList\.\w+\(([^)]*)\)")


def bare_classes(sheet: str) -> set[str]:
    """The classes that rules of a sheet style wherever they stand."""
    selectors = re.findall(r"([^{};]+)\{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))
    found = (BARE.fullmatch(one.strip()) for selector in selectors for one in selector.split(","))
    return {match[1] for match in found if match}


def used_classes(folder: Path) -> Iterator[str]:
    """The classes that a step's Python and scripts put on elements."""
    for path in (*folder.glob("*.py"), *folder.glob("*.js")):
        text = path.read_text(encoding="utf-8")
        for match in (*USED.finditer(text), *LISTED.finditer(text)):
            yield from re.findall(r"[a-z][\w-]*", " ".join(filter(None, match.groups())))


def crossings() -> set[tuple[str, str, str]]:
    """(class, the step whose sheet styles it, another step that uses it)."""
    used = {step: set(used_classes(PACKAGE / step)) for step in STEPS}
    styled = {step: bare_classes((ASSETS / "css" / f"{step}.css").read_text(encoding="utf-8")) for step in STEPS}
    return {
        (name, of, by) for of in STEPS for by in STEPS if of != by for name in (styled[of] & used[by]) - set(SHARED)
    }


def test_no_step_uses_a_name_that_another_steps_sheet_styles() -> None:
    assert {path.stem for path in STYLES} == {"page", *STEPS}
    assert crossings() == set()


def test_what_is_shared_still_is() -> None:
    """A name that only one step uses is taken off the list."""
    users = {name: [step for step in STEPS if name in set(used_classes(PACKAGE / step))] for name in SHARED}
    assert all(len(steps) > 1 for steps in users.values()), users


@pytest.mark.parametrize(
    ("sheet", "classes"),
    [
        (".answers { top: 0; }", {"answers"}),
        ("@media (max-width: 9px) { .a, #x .b { top: 0; } .c::before { top: 0; } }", {"a", "c"}),
        (".a p, .b td:hover, .c > .d { top: 0; }", {"a", "b"}),
        ("/* .a { top: 0; } */ #x .b { top: 0; }", set()),
    ],
)
def test_bare_classes_are_found(sheet: str, classes: set[str]) -> None:
    assert bare_classes(sheet) == classes
