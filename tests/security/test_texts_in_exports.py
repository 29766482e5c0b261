"""What leaves with an export: the card stays Markdown of ours, its script differs in literals only, its YAML parses."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.model_card import Rewrite, model_card, script
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell
from gradiend_ui.figures.panels import escaped
from gradiend_ui.server.exports import checked_name, safe
from gradiend_ui.ui.export.panel import build_card
from gradiend_ui.ui.grid.csv_export import stem_of
from tests.support import texts_hostile as hostile

CELL = Cell(-1.0, 0.5)
NASTY = (
    *hostile.ALL, "---\nname: x\n---", "a\n```\nimport os\n```", 'quote " and \' and \\', "line\nbreak\r\x85\u2028end",
    "\ud800 half", "\x00\x1b[31m", hostile.EMOJI, '"""', "{folder}", "\\", "\\u0041\\N{DEGREE SIGN}", "*a* _b_ #c | d",
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelWithGradiend:
    folder = tmp_path_factory.mktemp("runs") / hostile.file_name(hostile.IMAGE)
    return ModelWithGradiend.from_pretrained(hostile.save_run(tiny_bert, folder))


def facts(text: str) -> dict[str, object]:
    scores = [[f"P({text}) on {text} rows", 0.1, 0.2]]
    made = {
        "versions": {"torch": text}, "scorer": 2, "precision": text, "weights_dtype": text, "device": text,
        "threads": 1, "sha256": {"rows": text}, "blocks": {"rows": 1, "texts": 1, "most_rows": 32},
    }  # fmt: skip
    return {"scores": scores, "chosen_for": text, "data": text, "neutral_set": text, "made_by": made,
            "data_fingerprint": text}  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
def test_the_card_holds_no_markup_but_its_own(model: ModelWithGradiend, text: str) -> None:
    card, plain = (model_card(model, Rewrite(CELL, "decoder", facts(given))) for given in (text, "plain"))
    card.encode("utf-8")
    shape = [line.count("|") if line.startswith("|") else line[:3] in ("---", "```") for line in plain.splitlines()]
    assert shape == [
        line.count("|") if line.startswith("|") else line[:3] in ("---", "```") for line in card.splitlines()
    ]
    outside = card.split("```")[0::2]
    assert not any(sign in part for part in outside for sign in ("<", "](", "![", "&#"))
    front = card.split("---\n")[1]
    assert yaml.safe_load(front) == yaml.safe_load(plain.split("---\n")[1])
    assert build_card(card)["tag"] == "div"


@pytest.mark.parametrize("text", NASTY)
def test_a_name_in_the_script_is_a_literal_and_the_same_text(model: ModelWithGradiend, text: str) -> None:
    code = script(model, Rewrite(CELL, "decoder", {}), text, text, text)
    assert all(letter.isprintable() or letter == "\n" for letter in code)
    ours, plain = (ast.parse(given) for given in (code, script(model, Rewrite(CELL, "decoder", {}), "a", "b", "c")))
    found = [node.value for node in ast.walk(ours) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert found.count(text) == 3
    for tree in (ours, plain):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
    assert ast.dump(ours) == ast.dump(plain)


def test_a_whole_export_of_a_hostile_model(model: ModelWithGradiend, tmp_path: Path) -> None:
    folder = export_checkpoint(model, Rewrite(CELL, "decoder", facts(hostile.IMAGE)), tmp_path / "new")
    recipe = json.loads((folder / "rewrite.json").read_text(encoding="utf-8"))
    assert recipe["chosen_for"] == hostile.IMAGE and set(recipe["versions"]) >= {"torch", "python"}
    assert "<" not in (folder / "README.md").read_text(encoding="utf-8").split("```")[0]


@pytest.mark.parametrize("text", [*NASTY, "..", ".", "", "a/../b", "CON", "-rf"])
def test_names_of_files_lead_nowhere(text: str) -> None:
    assert checked_name(safe(text)) == safe(text)
    stem = stem_of(text, text, "strengthen", "run")
    assert "/" not in stem and "\\" not in stem and stem.strip(".-") and len(stem.encode()) < 200
    assert all(letter.isprintable() for letter in stem)


@pytest.mark.parametrize("text", NASTY)
def test_texts_of_figures_are_no_markup(text: str) -> None:
    assert "<" not in escaped(text) and "&" not in escaped(text).replace("&lt;", "").replace("&gt;", "").replace(
        "&amp;", ""
    )
