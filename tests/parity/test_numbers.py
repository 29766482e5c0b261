"""evaluate_decoder beside the reference's, on the same checkpoints and data: every number, every winner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.comparison import assert_same_result, evaluate_ours
from tests.parity.reference import Reference
from tests.support import tiny_text

LEARNING_RATES = [0.01, 0.5, 5]
STRENGTHEN: dict[str, Any] = {"lrs": LEARNING_RATES}
WEAKEN: dict[str, Any] = {"lrs": LEARNING_RATES, "increase_target_probabilities": False}
TIMES: dict[str, Any] = {**STRENGTHEN, "selector": "LMSTimesMetricPolicy"}
WEAKEN_TIMES: dict[str, Any] = {**WEAKEN, "selector": "LMSTimesMetricPolicy"}
CAPPED: dict[str, Any] = {"lrs": [0.5], "max_size_training_like": 13, "max_size_neutral": 15}
CLASSES = ["M", "F"]


@dataclass(frozen=True)
class Case:
    """One comparison: a checkpoint, a rows table by name, the calls made on it."""

    checkpoint: str
    table: str = "plain"
    neutral: bool = True
    calls: tuple[Mapping[str, Any], ...] = (STRENGTHEN,)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    row_wise: bool = False

    def __str__(self) -> str:
        words = [self.checkpoint, self.table, "neutral" if self.neutral else "rows-only", *self.trainer]
        return "-".join(words)


WORDS = {"M": ["he", "himself"], "F": ["she", "herself"]}
CASES = [
    Case("bert-all", calls=(STRENGTHEN, WEAKEN, TIMES, WEAKEN_TIMES)),
    Case("bert-mixed", neutral=False, calls=(STRENGTHEN, WEAKEN)),
    Case("bert-mask", calls=({**STRENGTHEN, "target_class": "F"}, {**WEAKEN, "target_class": ["M"]})),
    Case("bert-indices-bin", table="reflexive"),
    Case("bert-all", table="reflexive", neutral=False),
    Case("bert-mixed", trainer={"decoder_eval_targets": WORDS}),
    Case("gpt2-all", table="even", calls=(STRENGTHEN, WEAKEN, TIMES, WEAKEN_TIMES)),
    Case("gpt2-all", calls=(STRENGTHEN, WEAKEN)),
    Case("gpt2-all", calls=({**STRENGTHEN, "target_class": "F"},), neutral=False),
    Case("gpt2-indices", neutral=False, calls=(STRENGTHEN, TIMES)),
    Case("gpt2-indices-bin", table="reflexive"),
    Case("gpt2-indices", table="even", trainer={"decoder_eval_targets": WORDS}),
]
CAPPED_CASES = [
    Case("bert-mixed", table="capped", calls=(CAPPED,)),
    Case("bert-mixed", table="capped", neutral=False, calls=(CAPPED,)),
    Case("gpt2-all", table="capped", neutral=False, calls=(CAPPED,)),
]
ROW_WISE_CASES = [
    Case("bert-all", table="shared", row_wise=True),
    Case("bert-mixed", table="reflexive", trainer={"decoder_eval_targets": "label"}, row_wise=True),
    Case("bert-mask-bin", table="shared", neutral=False, row_wise=True),
]


@pytest.fixture(scope="module")
def tables(rows: pd.DataFrame, tiny_gpt2: Path) -> dict[str, pd.DataFrame]:
    """The rows tables by name; "even": left contexts of one length, so that no causal batch is padded."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    lengths = rows["masked"].map(lambda text: len(tokenizer(text.split(tiny_text.MASK)[0])["input_ids"]))
    test = rows["split"] == "test"
    even = rows[test & (lengths == lengths[test].mode()[0])]
    assert set(even["label_class"]) == set(CLASSES) and len(even) >= 6
    return {
        "plain": rows,
        "capped": rows,
        "even": even,
        "reflexive": tiny_text.build_reflexive_rows(),
        "shared": tiny_text.build_shared_rows(),
    }


@pytest.mark.parametrize("case", CASES + CAPPED_CASES + ROW_WISE_CASES, ids=str)
def test_grid_and_selection_are_the_reference_s(
    case: Case,
    reference: Reference,
    checkpoints: dict[str, Path],
    tables: dict[str, pd.DataFrame],
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    table, neutral = tables[case.table], neutral_texts if case.neutral else None
    shared = dict(target_classes=CLASSES, **case.trainer)
    checkpoint = checkpoints[case.checkpoint]
    theirs = reference.evaluate(checkpoint, table, neutral, case.calls, **shared)
    ours = evaluate_ours(checkpoint, table, neutral, case.calls, tmp_path, **shared)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted, row_wise=case.row_wise)


def test_the_cases_say_something(
    reference: Reference, checkpoints: dict[str, Path], tables: dict[str, pd.DataFrame], neutral_texts: list[str]
) -> None:
    """Guards the guard: the base tells the classes apart, the grid moves it, and a winner passes the threshold."""
    (result,) = reference.evaluate(
        checkpoints["bert-all"], tables["plain"], neutral_texts, [STRENGTHEN], target_classes=CLASSES
    )
    base = result["grid"]["base"]["probs_by_dataset"]
    assert base["M"]["M"] > 0.6 > 0.4 > base["F"]["M"] and base["F"]["F"] > 0.6
    moved = [abs(cell["probs"]["F"] - result["grid"]["base"]["probs"]["F"]) for cell in result["grid"].values()]
    assert max(moved) > 0.05
    passing = [result[name]["lms"] >= 0.99 * result[name]["base_lms"] for name in CLASSES]
    assert any(passing)
