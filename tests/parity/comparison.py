"""What "same numbers" means, as assertions: probabilities 1e-5, hit counts equal, causal LMS 1e-6, same selection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Result = Mapping[str, Any]
PROBABILITY = 1e-5
CAUSAL_LMS = 1e-6


def evaluate_ours(
    checkpoint: Path,
    rows: pd.DataFrame,
    neutral: Sequence[str] | None,
    calls: Sequence[Mapping[str, Any]],
    folder: Path,
    **trainer: Any,
) -> list[Result]:
    """Our evaluate_decoder for every entry of ``calls``; ``selector`` by class name, as for the reference."""
    import gradiend_ui

    subject = gradiend_ui.TextPredictionTrainer(
        model=str(checkpoint),
        data=rows,
        eval_neutral_data=None if neutral is None else pd.DataFrame({"text": list(neutral)}),
        args=gradiend_ui.TrainingArguments(experiment_dir=str(folder)),
        **trainer,
    )
    results = []
    for call in calls:
        options = dict(call)
        options["selector"] = getattr(gradiend_ui, options.pop("selector", "LMSThresholdPolicy"))()
        results.append(subject.evaluate_decoder(use_cache=False, **options))
    return results


def assert_same_result(ours: Result, theirs: Result, *, row_wise: bool = False) -> None:
    """The same cells with the same numbers and, except in row-wise mode, the same winners."""
    assert list(ours["grid"]) == list(theirs["grid"]), "other cells, or in another order"
    for key, cell in theirs["grid"].items():
        assert_same_cell(ours["grid"][key], cell, where=f"cell {key}", row_wise=row_wise)
    if not row_wise:
        assert_same_selection(ours, theirs)


def assert_same_cell(ours: Result, theirs: Result, *, where: str, row_wise: bool = False) -> None:
    """Every number of the reference's cell is in ours. Row-wise: only probs_by_dataset has a defined meaning there."""
    assert ours["id"] == theirs["id"], where
    for dataset, means in theirs["probs_by_dataset"].items():
        assert_close(ours["probs_by_dataset"][dataset], means, PROBABILITY, f"{where}, probs_by_dataset[{dataset}]")
    if not row_wise:
        assert_close(ours["probs"], theirs["probs"], PROBABILITY, f"{where}, probs")
        assert_close(ours["probs_factual"], theirs["probs_factual"], PROBABILITY, f"{where}, probs_factual")
    assert_same_lms(ours["lms"], theirs["lms"], where)


def assert_same_lms(ours: Result, theirs: Result, where: str) -> None:
    """Masked-LM scores are shares of the same hits: equal. Causal ones are means of float sums: 1e-6."""
    if "perplexity" not in theirs:
        assert ours["lms"] == theirs["lms"], f"{where}: masked-LM LMS {ours['lms']} instead of {theirs['lms']}"
        assert_close(ours, theirs, 1e-12, f"{where}, lms")
        return
    assert ours["total_tokens"] == theirs["total_tokens"], f"{where}: other number of scored tokens"
    assert ours["lms"] == pytest.approx(theirs["lms"], abs=CAUSAL_LMS), f"{where}, lms"
    for key in ("perplexity", "total_log_likelihood"):
        assert ours[key] == pytest.approx(theirs[key], rel=1e-5), f"{where}, {key}"


def assert_same_selection(ours: Result, theirs: Result) -> None:
    """The same winner for every summary key the reference gives, with the same facts about it."""
    keys = [key for key in theirs if key != "grid"]
    assert [key for key in ours if key != "grid"] == keys, "other summary keys"
    for key in keys:
        for name in ("feature_factor", "learning_rate", "id", "strengthen"):
            assert ours[key][name] == theirs[key][name], (
                f"{key}: {name} {ours[key][name]}, reference {theirs[key][name]}"
            )
        assert ours[key]["value"] == pytest.approx(theirs[key]["value"], abs=PROBABILITY), f"{key}: value"
        for name in ("lms", "base_lms"):
            assert ours[key][name] == pytest.approx(theirs[key][name], abs=CAUSAL_LMS), f"{key}: {name}"


def assert_close(ours: Mapping[str, float], theirs: Mapping[str, float], tolerance: float, where: str) -> None:
    """Every key of the reference is in ours with a value within ``tolerance``."""
    for key, value in theirs.items():
        assert key in ours, f"{where}: {key!r} is missing"
        assert math.isfinite(ours[key]), f"{where}: {key!r} is {ours[key]}"
        assert abs(ours[key] - value) <= tolerance, f"{where}: {key!r} is {ours[key]}, reference {value}"
