"""What "same numbers" means, as assertions: probabilities 1e-5, hit counts equal, causal LMS 1e-6, same selection."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.own_choices import EXTRACTORS, POLICIES

Result = Mapping[str, Any]
PROBABILITY = 1e-5
CAUSAL_LMS = 1e-6


class Measured:
    """How many numbers a test compared, and the largest difference among them, per kind of number."""

    def __init__(self) -> None:
        self.largest: dict[tuple[str, str], float] = {}
        self.count: Counter[tuple[str, str]] = Counter()

    def note(self, kind: str, difference: float, numbers: int = 1) -> None:
        """Of the running test, parameters left away."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "outside").split("/")[-1].split("[")[0].split(" ")[0]
        self.count[test, kind] += numbers
        self.largest[test, kind] = max(self.largest.get((test, kind), 0.0), difference)

    def lines(self) -> list[str]:
        """A line per test and kind."""
        return [
            f"{test:<74} {kind:<20} {self.count[test, kind]:>7,} compared, largest difference {largest:.1e}"
            for (test, kind), largest in sorted(self.largest.items())
        ]


MEASURED = Measured()


def evaluate_ours(
    checkpoint: Path,
    rows: pd.DataFrame,
    neutral: Sequence[str] | None,
    calls: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    arguments: Mapping[str, Any] | None = None,
    **trainer: Any,
) -> list[Result]:
    """Our evaluate_decoder for every entry of ``calls``, written as for the reference (see ``our_options``)."""
    subject = our_trainer(checkpoint, rows, neutral, folder, arguments=arguments, **trainer)
    return [subject.evaluate_decoder(**{"use_cache": False, **our_options(call)}) for call in calls]


def our_trainer(
    checkpoint: Path,
    rows: pd.DataFrame,
    neutral: Sequence[str] | None,
    folder: Path,
    *,
    arguments: Mapping[str, Any] | None = None,
    **trainer: Any,
) -> Any:
    """Our trainer on a checkpoint, with its results in ``folder``."""
    import gradiend_ui

    return gradiend_ui.TextPredictionTrainer(
        model=str(checkpoint),
        data=rows,
        eval_neutral_data=None if neutral is None else pd.DataFrame({"text": list(neutral)}),
        args=gradiend_ui.TrainingArguments(**{"experiment_dir": str(folder), **(arguments or {})}),
        **trainer,
    )


def our_options(call: Mapping[str, Any]) -> dict[str, Any]:
    """The call's keyword arguments: policies and extractors by name, tables as records, as the worker takes them."""
    import gradiend_ui

    options = dict(call)
    policy = options.pop("selector", "LMSThresholdPolicy")
    options["selector"] = POLICIES[policy]() if policy in POLICIES else getattr(gradiend_ui, policy)()
    if "summary_extractor" in options:
        make = EXTRACTORS[options["summary_extractor"]]
        options["summary_extractor"] = make(gradiend_ui.Candidate, gradiend_ui.BaseContext)
    tables = {"training_like_df", "neutral_df"} & set(options)
    return options | {name: pd.DataFrame(options[name]) for name in tables}


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
        assert_close(ours, theirs, 1e-12, f"{where}, lms", kind="masked-LM score")
        return
    assert ours["total_tokens"] == theirs["total_tokens"], f"{where}: other number of scored tokens"
    MEASURED.note("causal LMS", abs(ours["lms"] - theirs["lms"]))
    assert ours["lms"] == pytest.approx(theirs["lms"], abs=CAUSAL_LMS), f"{where}, lms"
    for key in ("perplexity", "total_log_likelihood"):
        assert ours[key] == pytest.approx(theirs[key], rel=1e-5), f"{where}, {key}"


def assert_same_selection(ours: Result, theirs: Result) -> None:
    """The same winner for every summary key the reference gives, with the same facts about it."""
    keys = [key for key in theirs if key != "grid"]
    assert [key for key in ours if key != "grid"] == keys, "other summary keys"
    for key in keys:
        MEASURED.note("selected value", abs(ours[key]["value"] - theirs[key]["value"]))
        for name in ("feature_factor", "learning_rate", "id", "strengthen"):
            assert ours[key][name] == theirs[key][name], (
                f"{key}: {name} {ours[key][name]}, reference {theirs[key][name]}"
            )
        assert ours[key]["value"] == pytest.approx(theirs[key]["value"], abs=PROBABILITY), f"{key}: value"
        for name in ("lms", "base_lms"):
            assert ours[key][name] == pytest.approx(theirs[key][name], abs=CAUSAL_LMS), f"{key}: {name}"


def assert_close(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    tolerance: float,
    where: str,
    kind: str = "probability",
) -> None:
    """Every key of the reference is in ours with a value within ``tolerance``."""
    for key, value in theirs.items():
        assert key in ours, f"{where}: {key!r} is missing"
        assert math.isfinite(ours[key]), f"{where}: {key!r} is {ours[key]}"
        MEASURED.note(kind, abs(ours[key] - value))
        assert abs(ours[key] - value) <= tolerance, f"{where}: {key!r} is {ours[key]}, reference {value}"
