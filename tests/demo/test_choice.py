"""Which cell a seed reaches, what the page makes of it, and how a heatmap is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from assets.demo.build.gradiend_step import reached_by_class, without_paths
from assets.demo.build.heatmap_svg import colour, heatmap_svg
from assets.demo.build.page import _plain, cell_name, table
from assets.demo.build.recipe import DEFAULT
from assets.demo.build.steps import Place


def grid(kept: dict[tuple[float, float], float], she: dict[tuple[float, float], float]) -> dict[str, Any]:
    def cell(lms: float, p_she: float) -> dict[str, Any]:
        return {"lms": {"lms": lms}, "probs_by_dataset": {"M": {"F": p_she}, "F": {"M": 0.05}}}

    return {"grid": {"base": cell(0.4, 0.1), **{key: cell(0.4 * kept[key], she[key]) for key in kept}}}


def test_a_cell_must_keep_the_lms_on_every_set() -> None:
    she = {(-1.0, 0.1): 0.4, (-1.0, 0.2): 0.7, (-1.0, 0.5): 0.9}
    first = grid({(-1.0, 0.1): 1.0, (-1.0, 0.2): 0.99, (-1.0, 0.5): 0.99}, she)
    second = grid({(-1.0, 0.1): 1.0, (-1.0, 0.2): 0.981, (-1.0, 0.5): 0.97}, she)
    found = reached_by_class([first, second], ("M", "F"))
    assert (found["F"]["learning_rate"], found["F"]["probability"]) == (0.2, 0.7)
    assert found["F"]["kept"] == pytest.approx([0.99, 0.981])
    assert found["M"]["feature_factor"] is None and found["M"]["probability"] == 0.05


def test_paths_of_the_build_are_shortened(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "out", tmp_path / "docs", DEFAULT)
    content = {"a": [f"{tmp_path}/base", str(tmp_path), "text", 3], "b": {"c": f"{tmp_path}/x/y"}}
    assert without_paths(content, place) == {"a": ["base", ".", "text", 3], "b": {"c": "x/y"}}


def test_a_heatmap_is_well_formed_and_strikes_what_does_not_pass() -> None:
    svg = heatmap_svg("P(she) < 1 & more", [[0.0, 1.0], [0.25, 0.5]], [-1.0, 1.0], [0.1, 0.2], lambda r, c: r == c)
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == 1 + 4 and len(root.findall(f"{space}path")) == 2
    assert [text.text for text in root.findall(f"{space}text")][0] == "P(she) < 1 & more"
    assert colour(-1) == colour(0) != colour(1) == colour(7)


def test_markdown_survives_any_token() -> None:
    assert (_plain("|"), _plain("`"), _plain("she")) == ("(bar)", "(backtick)", "`she`")
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n|---|---:|\n| 1 | 2 |"
    assert cell_name({"feature_factor": -1.0, "learning_rate": 0.2}) == "(−1, 0.2)"
    assert cell_name({"feature_factor": None, "learning_rate": None}) == "–"
