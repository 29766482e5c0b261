"""Where evaluate_decoder means to differ from the reference: what agrees still, and what is chosen instead.

The choice in row-wise scoring, the choice without ``decoder_eval_prob_on_other_class``, three target classes, of which
the reference silently keeps two, and the rounding of probabilities in half precision.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.comparison import assert_same_cell, assert_same_result, assert_same_selection, evaluate_ours
from tests.parity.reference import Reference, result_of
from tests.parity.test_arguments import CLASSES, LRS, WEAKEN, with_third_class
from tests.support import tiny_text


def test_without_the_other_class_ours_chooses_by_the_class_itself(
    reference: Reference, checkpoints: dict[str, Path], rows: pd.DataFrame, neutral_texts: list[str], tmp_path: Path
) -> None:
    """decoder_eval_prob_on_other_class=False: per dataset the same numbers. The reference then gives one dataset's
    numbers as ``probs`` and answers "strengthen F" with the best cell for M; ours takes P(F) over all datasets."""
    options = {"target_classes": CLASSES, "decoder_eval_prob_on_other_class": False}
    data = (checkpoints["bert-all"], rows, neutral_texts, [LRS, WEAKEN])
    theirs = reference.evaluate(*data, **options)
    ours = evaluate_ours(*data, tmp_path, **options)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted, row_wise=True)
    strengthen, weaken = ours
    for name in CLASSES:
        cell = strengthen["grid"][strengthen[name]["feature_factor"], strengthen[name]["learning_rate"]]
        mean = sum(row[name] for row in cell["probs_by_dataset"].values()) / 2
        assert strengthen[name]["value"] == pytest.approx(mean)
        assert weaken[f"{name}_weaken"]["value"] == pytest.approx(theirs[1][f"{name}_weaken"]["value"], abs=1e-5)
    assert {theirs[0]["F"]["feature_factor"], theirs[0]["M"]["feature_factor"]} == {-1.0, 1.0}
    assert theirs[0]["F"]["feature_factor"] == strengthen["M"]["feature_factor"], "the reference chooses for M"


def test_row_wise_ours_chooses_by_the_class_itself(
    reference: Reference, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    options = {"target_classes": CLASSES, "decoder_eval_targets": "label"}
    data = (checkpoints["bert-mask"], tiny_text.build_reflexive_rows(), None, [LRS])
    (theirs,), (ours,) = reference.evaluate(*data, **options), evaluate_ours(*data, tmp_path, **options)
    assert theirs["F"]["feature_factor"] == -ours["F"]["feature_factor"]
    for name, other in (("M", "F"), ("F", "M")):
        cell = ours["grid"][ours[name]["feature_factor"], ours[name]["learning_rate"]]
        assert ours[name]["value"] == cell["probs_by_dataset"][other][name]


@pytest.mark.parametrize("known", [True, False], ids=["three-directions", "two-directions"])
def test_three_target_classes(
    known: bool,
    reference: Reference,
    checkpoints: dict[str, Path],
    model_folder: Path,
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    """The reference scores the first transition's two classes and chooses nothing; the numbers it has agree.

    Ours chooses for the two classes that the GRADIEND was trained on; where its directions do not know the third, that
    one's rows count as rows of another class.
    """
    rows = with_third_class(rows)
    rows = rows[rows["alternative_class"] != "N"]
    folder = model_folder / f"bert-three-{known}"
    shutil.copytree(checkpoints["bert-all"], folder)
    context = json.loads((folder / "gradiend_context.json").read_text())
    context["feature_class_encoding_direction"] = {"M": 1, "F": -1, **({"N": 0} if known else {})}
    (folder / "gradiend_context.json").write_text(json.dumps(context))
    options = {"target_classes": ["M", "F", "N"]}
    axes = {**LRS, "feature_factors": [-1, 1]}
    calls = [{**axes, "target_class": "M"}, {**axes, "target_class": ["M", "F"]}]
    only_m, everything = (
        reference.answers(folder, rows, neutral_texts, [call], **options)[0] for call in (calls[0], axes)
    )
    assert "refused" in only_m and everything["summary"] == {}, "the reference chooses nothing"
    mine, both = evaluate_ours(folder, rows, neutral_texts, calls, tmp_path, **options)
    assert set(mine["grid"]["base"]["probs_by_dataset"]) == ({"F"} if known else {"F", "N"})
    for key, cell in result_of(everything)["grid"].items():
        assert set(cell["probs_by_dataset"]) == {"M", "F"}
        assert_same_cell(both["grid"][key], cell, where=f"cell {key}")
    (two,) = reference.evaluate(folder, rows, neutral_texts, [LRS], target_classes=CLASSES)
    assert_same_selection({name: both[name] for name in CLASSES}, {name: two[name] for name in CLASSES})
    assert mine["M"]["value"] == pytest.approx(both["M"]["value"], abs=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["bert-mixed", "gpt2-all"])
def test_half_precision_is_rounded_less(
    name: str,
    dtype: str,
    reference: Reference,
    checkpoints: dict[str, Path],
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    """The same logits, but the reference rounds every probability and every sum of losses to the model's precision;
    ours takes them in float32. They are apart by that rounding, and the winners are the same."""
    data = (checkpoints[name], rows, neutral_texts, [LRS])
    options: dict[str, Any] = {"arguments": {"torch_dtype": dtype}, "target_classes": CLASSES}
    (theirs,), (ours,) = reference.evaluate(*data, **options), evaluate_ours(*data, tmp_path, **options)
    rounding = {"bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    for key, cell in theirs["grid"].items():
        mine = ours["grid"][key]
        assert mine["lms"]["lms"] == pytest.approx(cell["lms"]["lms"], rel=2 * rounding)
        for dataset, means in cell["probs_by_dataset"].items():
            assert mine["probs_by_dataset"][dataset] == pytest.approx(means, abs=rounding)
    assert {name: ours[name]["id"] for name in CLASSES} == {name: theirs[name]["id"] for name in CLASSES}
