"""The figures' colours: those of the style sheet, readable on either page, told apart by everybody."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from gradiend_ui.figures.palette import DARK, LIGHT, Palette, class_looks, light_to_dark
from gradiend_ui.figures.panels import spread

SHEET = (Path(__file__).parents[2] / "assets" / "css" / "page.css").read_text(encoding="utf-8")
VARIABLES = {"ink": "ink", "soft": "ink-soft", "surface": "surface", "hair": "line", "line": "line-strong"}
VARIABLES |= {"kept": "kept", "base": "base", "star": "star"}
# What people without one kind of cone see of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(color: str) -> np.ndarray:
    parts = np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 1e-4))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(color))) + 0.05 for color in (one, other))
    return high / low


@pytest.mark.parametrize(("palette", "selector"), [(LIGHT, ":root"), (DARK, "body.dark")])
def test_shared_colours_are_the_style_sheets(palette: Palette, selector: str) -> None:
    block = SHEET[SHEET.index(f"\n{selector}") :]
    for name, variable in VARIABLES.items():
        found = re.search(rf"--{variable}: (#[0-9a-f]{{6}});", block)
        assert found is not None
        assert getattr(palette, name) == found[1], name


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_names_in_these_colours_can_be_read(palette: Palette) -> None:
    for color in (*palette.classes, palette.kept, palette.ink, palette.soft):
        assert contrast(color, palette.surface) >= 4.5, color


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("eyes", SEEN)
def test_curves_are_told_apart_with_any_colour_vision(palette: Palette, eyes: str) -> None:
    for one, other in itertools.combinations((*palette.classes, palette.kept), 2):
        distance = np.linalg.norm(lab(np.array(SEEN[eyes]) @ linear(one)) - lab(np.array(SEEN[eyes]) @ linear(other)))
        assert distance >= 15, (one, other)


def test_no_two_of_thirty_classes_look_alike() -> None:
    looks = class_looks([str(k) for k in range(30)], LIGHT).values()
    assert len({(look.color, look.symbol) for look in looks}) == 30


def test_every_light_colour_has_one_dark_one() -> None:
    assert len(light_to_dark()) == len(fields(Palette)) - 1 + len(LIGHT.classes)


def test_labels_are_moved_apart_and_stay_inside() -> None:
    placed = spread([50.0, 52.0, 51.0, 98.0], 0, 100, step=10)
    ordered = sorted(placed)
    assert all(after - before >= 10 - 1e-9 for before, after in zip(ordered, ordered[1:], strict=False))
    assert placed[0] < placed[2] < placed[1]
    assert max(spread([99.0, 99.0], 0, 100, step=10)) == 100
    assert spread([20.0, 60.0], 0, 100, step=10) == [20.0, 60.0]
