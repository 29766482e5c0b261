"""A GRADIEND whose encoder tells no direction: the reference sweeps both signs, in the order of the pair; so do we."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.parity.comparison import assert_same_cell, assert_same_selection, evaluate_ours
from tests.parity.reference import Reference
from tests.support.cases import case

CLASSES = ["M", "F"]
RATES = [0.01, 0.1, 1.0]


@pytest.fixture(scope="module")
def collapsed(model_folder: Path) -> Path:
    """The case with its base beside it, as the reference needs it."""
    folder = model_folder / "collapsed" / "same_sign"
    shutil.copytree(case("gradiends/same_sign"), folder)
    shutil.copytree(case("bases/gpt2_tiny"), folder.parent / "base-gpt2")
    config = json.loads((folder / "config.json").read_text())
    config["metadata"]["base_model"] = str(folder.parent / "base-gpt2")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_both_signs_are_swept_with_the_numbers_of_the_reference(
    reference: Reference, collapsed: Path, rows: pd.DataFrame, neutral_texts: list[str], tmp_path: Path
) -> None:
    calls = [{"lrs": RATES}, {"lrs": RATES, "increase_target_probabilities": False}]
    theirs = reference.evaluate(collapsed, rows, neutral_texts, calls, target_classes=CLASSES)
    ours = evaluate_ours(collapsed, rows, neutral_texts, calls, tmp_path / "ours", target_classes=CLASSES)
    for mine, expected in zip(ours, theirs, strict=True):
        assert set(mine["grid"]) == {"base", *((sign, rate) for sign in (-1.0, 1.0) for rate in RATES)}
        assert set(mine["grid"]) == set(expected["grid"])
        for key, cell in expected["grid"].items():
            assert_same_cell(mine["grid"][key], cell, where=f"cell {key}")
        assert_same_selection(mine, expected)


def test_without_target_classes_every_cell_of_both_signs_takes_part(
    collapsed: Path, rows: pd.DataFrame, neutral_texts: list[str], tmp_path: Path
) -> None:
    (named,) = evaluate_ours(collapsed, rows, neutral_texts, [{"lrs": RATES}], tmp_path / "n", target_classes=CLASSES)
    (ours,) = evaluate_ours(collapsed, rows, neutral_texts, [{"lrs": RATES}], tmp_path / "o")
    assert set(ours["grid"]) == set(named["grid"])
    for name in CLASSES:
        assert "direction of" in ours[name]["why"] and "every feature factor took part" in ours[name]["why"]
        assert "took part" not in named[name]["why"], "the order of the target classes says it"
        assert ours[name]["value"] >= named[name]["value"]
