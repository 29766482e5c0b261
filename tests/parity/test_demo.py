"""The bundled demo beside the reference, and against the numbers written down in the design."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.comparison import assert_same_result, evaluate_ours
from tests.parity.reference import Reference

CLASSES = ["M", "F"]
NEUTRAL = ["neutral.csv", "neutral_pronoun_free.csv"]
# learning rate 0.2 for F (feature factor -1), 0.05 for M (+1): the winners with the pronoun-free set.
CALLS: list[dict[str, Any]] = [
    {"lrs": [0.2], "feature_factors": [-1.0], "target_class": "F"},
    {"lrs": [0.05], "feature_factors": [1.0], "target_class": "M"},
]


@pytest.fixture(scope="module")
def demo_rows(demo: Path) -> pd.DataFrame:
    return pd.read_csv(demo / "eval.csv").drop(columns=["source"])


def first_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first ``count`` test rows of each class: the reference needs seconds per cell for all of them."""
    return table[table["split"] == "test"].groupby("label_class").head(count)


@pytest.mark.parametrize("name", NEUTRAL)
def test_demo_cells_are_the_reference_s(
    name: str, demo: Path, demo_rows: pd.DataFrame, demo_checkpoint: Path, reference: Reference, tmp_path: Path
) -> None:
    neutral = pd.read_csv(demo / name)["text"].tolist()[:80]
    table = first_rows(demo_rows, 24)
    theirs = reference.evaluate(demo_checkpoint, table, neutral, CALLS, target_classes=CLASSES)
    ours = evaluate_ours(demo / "gradiend", table, neutral, CALLS, tmp_path, target_classes=CLASSES)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted)
