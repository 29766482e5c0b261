"""A script written for the reference finds every argument here, by name and by place, but for the few named below."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import gradiend_ui
from tests.parity.reference import Reference

LEFT_OUT: dict[str, dict[str, str]] = {
    "TextPredictionTrainer": {"evaluator_class": "evaluation is not a class to be replaced here"},
    "train": {"model_with_gradiend_cls": "there is one class"},
    "evaluate_encoder": {
        "is_decoder_only_model": "the model's own configuration tells",
        "pre_load_gradients": "gradients are never stored",
        "use_all_transitions": "deprecated there; its successor include_other_classes is here",
        "transition_selection": "probing chosen transitions takes the reference's classes for them",
        "kwargs": "no pass-through",
    },
    "rewrite_base_model": {
        "decoder_stats_metric_name": "names a file that the reference never writes",
        "decoder_stats_kwargs": "the same",
    },
    "get_model": {"kwargs": "no pass-through"},
    "plot_probability_shifts": {"kwargs": "no pass-through"},
    "plot_training_convergence": {"kwargs": "no pass-through"},
    "plot_encoder_distributions": {
        "include_neutral": "target_and_neutral_only is here",
        "output_dir": "output takes a folder",
        "split_plot_mode": "one figure per call",
        "kwargs": "no pass-through",
    },
}
OURS: dict[str, Callable[..., Any]] = {
    "TextPredictionTrainer": gradiend_ui.TextPredictionTrainer.__init__,
    "TrainingArguments": gradiend_ui.TrainingArguments,
    "TextPredictionConfig": gradiend_ui.TextPredictionConfig,
}


@pytest.fixture(scope="module")
def theirs(reference: Reference) -> dict[str, list[str]]:
    """{callable: the reference's parameters in order}."""
    found: dict[str, list[str]] = reference.ask("signatures")
    return found


def ours(name: str) -> list[str]:
    return list(inspect.signature(OURS.get(name) or getattr(gradiend_ui.TextPredictionTrainer, name)).parameters)


def test_every_argument_is_here(theirs: dict[str, list[str]]) -> None:
    assert len(theirs) == 11 and sum(map(len, theirs.values())) > 200
    missing = {name: set(names) - set(ours(name)) for name, names in theirs.items()}
    assert {name: names for name, names in missing.items() if names} == {
        name: set(reasons) for name, reasons in LEFT_OUT.items()
    }


def test_arguments_by_place_mean_the_same(theirs: dict[str, list[str]]) -> None:
    """What is left out stands behind everything a script would give by place."""
    for name, names in theirs.items():
        known = [entry for entry in names if entry not in LEFT_OUT.get(name, {})]
        mine = [entry for entry in ours(name) if entry in known]
        if name not in ("TextPredictionTrainer", "TextPredictionConfig", "TrainingArguments"):
            assert mine == known, name
    assert ours("TextPredictionTrainer")[:7] == theirs["TextPredictionTrainer"][:7]
    leading = ["lrs", "feature_factors", "use_cache", "split"]
    assert theirs["evaluate_decoder"][1:5] == leading and ours("evaluate_decoder")[1:5] == leading
