"""The colours and marks of the Plotly figures, light and dark: the variables of page.css, and the classes' own
(those of the heatmaps on the page are in grid.css).

A class keeps its colour and marker symbol in every figure: both follow from its place in the class order. The
colours are told apart by people with any of the common colour vision deficiencies, and never alone. Knows no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from gradiend_ui.engine.errors import BadData

FONT = '"IBM Plex Sans", Plex, ui-sans-serif, system-ui, sans-serif'
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


@dataclass(frozen=True)
class Palette:
    """Colours as "#rrggbb". kept: the language-modelling score; base: what the base model does; star: the choice."""

    ink: str
    soft: str
    surface: str
    hair: str
    line: str
    kept: str
    base: str
    star: str
    classes: tuple[str, ...]


LIGHT = Palette(
    ink="#16202e",
    soft="#55627a",
    surface="#ffffff",
    hair="#dde3eb",
    line="#b9c3d1",
    kept="#b2600f",
    base="#8b94a3",
    star="#ffc533",
    classes=("#1d5fc4", "#0a4f41", "#d01781", "#7b12f3", "#5a4a0c"),
)
DARK = Palette(
    ink="#e8edf5",
    soft="#a3afc2",
    surface="#161d28",
    hair="#2a3546",
    line="#45546b",
    kept="#f0a252",
    base="#8b96a8",
    star="#ffd257",
    classes=("#6ea8ff", "#6ff0b4", "#f5439f", "#f0c5f7", "#cfe83a"),
)
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Look:
    """How one class is drawn everywhere."""

    color: str
    symbol: str


def palette_named(theme: str) -> Palette:
    """The palette of "light" or "dark". Raises BadData."""
    if theme not in list(THEMES):
        raise BadData(f"theme must be one of {', '.join(THEMES)}, not {theme!r}.")
    return THEMES[theme]


def class_looks(classes: Sequence[str], palette: Palette) -> dict[str, Look]:
    """{class: its look}, by class order. After five classes the colours come again, with the next symbol."""
    count = len(palette.classes)
    return {
        name: Look(palette.classes[place % count], SYMBOLS[place % len(SYMBOLS)]) for place, name in enumerate(classes)
    }


def light_to_dark() -> dict[str, str]:
    """{light colour: dark colour}, for a page that follows the reader's system setting."""
    swaps: dict[str, str] = {}
    for item in fields(Palette):
        light, dark = getattr(LIGHT, item.name), getattr(DARK, item.name)
        pairs = zip(light, dark, strict=True) if item.name == "classes" else ((light, dark),)
        swaps.update(pairs)
    return swaps
