"""What a table of encoded rows says about an encoder: correlation with the labels, means per class.

Names and formulas are the reference's. Knows numbers and labels only; no tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradiend_ui.engine.errors import BadData, listed
from gradiend_ui.engine.values import SPLITS

NEUTRAL_TYPES = ("neutral_training_masked", "neutral_dataset")
BOUNDARIES = {"neg_boundary": -0.5, "pos_boundary": 0.5, "neutral_boundary": 0.0}
STATISTICS: Mapping[str, Callable[[pd.Series], float]] = {
    "mean": lambda values: float(values.mean()),
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
    "q1": lambda values: float(values.quantile(0.25)),
    "q3": lambda values: float(values.quantile(0.75)),
    "std": lambda values: float(values.std(ddof=1)) if len(values) > 1 else 0.0,
    "n": lambda values: int(len(values)),
}


def correlation(encoded: Sequence[float], labels: Sequence[float]) -> float:
    """Pearson's correlation in [-1, 1]; 0 when one side does not vary or there are less than two values."""
    x, y = np.asarray(labels, dtype=float), np.asarray(encoded, dtype=float)
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    value = float(np.corrcoef(x, y)[0, 1])
    return 0.0 if np.isnan(value) else value


def encoder_metrics(table: pd.DataFrame, pair: tuple[str, str] | None = None) -> dict[str, Any]:
    """The measures of an encoder in the reference's shape.

    table: columns encoded (a float, or a list per latent value), label (+1, -1, 0), and, where known, type, source_id,
    target_id, feature_class_id, eval_group, source_token, factual_token, data_split.
    `correlation` counts rows of the data, not neutral ones; with several latent values it is the first's, and the
    others come under the keys 0, 1, ... Raises BadData when it is not defined.
    """
    if table.empty:
        raise BadData("There is no encoded row: nothing can be measured.")
    missing = [name for name in ("encoded", "label") if name not in table.columns]
    if missing:
        have = listed(table.columns) or "none"
        raise BadData(f"A table of encoded rows needs the columns encoded and label; {missing[0]} is not in: {have}.")
    rows = table.copy()
    if "type" not in rows:
        rows["type"] = ["neutral" if label == 0 else "training" for label in rows["label"]]
    rows["label"] = rows["label"].astype(float)
    rows["type"] = rows["type"].astype(str)
    latent = np.array([np.atleast_1d(value) for value in rows["encoded"]], dtype=float)
    own = ~rows["type"].str.contains("neutral", case=False)
    _check_defined(rows[own])
    dimensions = {place: _scores(latent[:, place], rows["label"].to_numpy(), own.to_numpy()) for place in
                  range(latent.shape[1])}  # fmt: skip
    rows["encoded"] = latent[:, 0]
    counted = rows[own]
    result: dict[str, Any] = {
        "n_samples": len(rows),
        "sample_counts": {"by_type": _counts(rows["type"]), **_group_counts(counted)},
        **dimensions[0],
        "boundaries": dict(BOUNDARIES),
        "correlation": dimensions[0]["training_only"]["correlation"],
        **_statistics(counted, "label", "class", float),
        **_by_type(rows),
        **_by_feature_class(counted),
    }
    generalisation = split_generalization(counted, pair)
    if generalisation:
        result["split_generalization"] = generalisation
    more: dict[Any, Any] = dict(dimensions) if len(dimensions) > 1 else {}
    return {**result, **more}


def _check_defined(rows: pd.DataFrame) -> None:
    if len(rows) < 2:
        raise BadData(f"The encoder's correlation needs at least 2 rows of the data, there are {len(rows)}.")
    if rows["label"].nunique() < 2:
        raise BadData("All rows have the same label: the encoder's correlation needs rows of both classes.")


def _scores(encoded: np.ndarray, labels: np.ndarray, own: np.ndarray) -> dict[str, dict[str, float]]:
    """correlation and accuracy over all rows, those of the data, and those with a class of the pair."""

    def three(values: np.ndarray) -> np.ndarray:
        return np.where(values <= BOUNDARIES["neg_boundary"], -1, np.where(values >= BOUNDARIES["pos_boundary"], 1, 0))

    def two(values: np.ndarray) -> np.ndarray:
        return np.where(values >= BOUNDARIES["neutral_boundary"], 1, -1)

    subsets = {
        "all_data": (np.ones_like(own), three),
        "training_only": (own, three),
        "target_classes_only": (own & (labels != 0), two),
    }
    return {
        name: {
            "correlation": correlation(encoded[chosen], labels[chosen]),
            "accuracy": float((kind(encoded[chosen]) == kind(labels[chosen])).mean()) if chosen.any() else 0.0,
        }
        for name, (chosen, kind) in subsets.items()
    }


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(name): int(count) for name, count in values.value_counts().items()}


def _group_counts(rows: pd.DataFrame) -> dict[str, Any]:
    if "eval_group" in rows:
        names = _group_names(rows)
        counts = rows["eval_group"].dropna().value_counts()
        return {"training_by_eval_group": {names.get(name, str(name)): int(count) for name, count in counts.items()}}
    if "source_id" in rows:
        found: dict[str, Any] = {"training_by_feature_class": _counts(rows["source_id"])}
        if "target_id" in rows:
            pairs = pd.Series(list(zip(rows["source_id"], rows["target_id"], strict=True)))
            found["training_by_transition"] = _counts(pairs)
        return found
    return {}


def _group_basis(rows: pd.DataFrame) -> str | None:
    """Which column `eval_group` repeats."""
    if "eval_group" not in rows or rows["eval_group"].isna().all():
        return None
    groups = rows[rows["eval_group"].notna()]
    for column, name in (("feature_class_id", "feature_class_id"), ("source_id", "factual_id")):
        if column in groups and list(map(str, groups[column])) == list(map(str, groups["eval_group"])):
            return name
    return None


def _group_names(rows: pd.DataFrame) -> dict[object, str]:
    """{eval_group: a name to read}: the class, or "source->target" for a transition."""
    basis = _group_basis(rows)
    names: dict[object, str] = {}
    for group, inside in rows.groupby("eval_group") if basis else ():
        sources = inside["source_id"].dropna().astype(str).unique()
        targets = inside["target_id"].dropna().astype(str).unique() if "target_id" in inside else []
        if basis == "factual_id" and len(sources) == 1:
            names[group] = sources[0]
        elif len(sources) == 1 and len(targets) == 1:
            same = sources[0] == targets[0]
            names[group] = f"{sources[0]} (identity)" if same else f"{sources[0]}->{targets[0]}"
        else:
            names[group] = str(group)
    return names


def _statistics(rows: pd.DataFrame, column: str, suffix: str, key: Callable[[Any], Any]) -> dict[str, Any]:
    groups = {key(name): values for name, values in rows.groupby(column)["encoded"]}
    return {
        f"{name}_by_{suffix}": {group: measure(values) for group, values in groups.items()}
        for name, measure in STATISTICS.items()
    }


def _by_type(rows: pd.DataFrame) -> dict[str, Any]:
    means = {str(name): float(values.mean()) for name, values in rows.groupby("type")["encoded"]}
    sizes = {str(name): float(values.abs().mean()) for name, values in rows.groupby("type")["encoded"]}
    neutral = {name: means[name] for name in NEUTRAL_TYPES if name in means}
    return {
        "mean_by_type": means,
        "abs_mean_by_type": sizes,
        **({"neutral_mean_by_type": neutral} if neutral else {}),
    }


def _by_feature_class(rows: pd.DataFrame) -> dict[str, Any]:
    if "source_id" not in rows:
        return {}
    found = _statistics(rows, "source_id", "feature_class", str)
    basis = _group_basis(rows)
    if basis:
        names = _group_names(rows)
        found["mean_by_eval_group"] = {
            names[group]: float(values.mean()) for group, values in rows.groupby("eval_group")["encoded"]
        }
        found["eval_group_basis"] = basis
    found["label_value_to_class_name"] = {
        float(label): _label_name(float(label), inside["source_id"]) for label, inside in rows.groupby("label")
    }
    column = "source_token" if "source_token" in rows else "factual_token"
    by_word = _by_word(rows, column) if column in rows else {}
    return {**found, **({"mean_by_target": by_word} if by_word else {})}


def _label_name(label: float, sources: pd.Series) -> str:
    if label == 0:
        return "neutral"
    names: list[str] = [str(name) for name in sources.dropna().unique() if str(name)]
    if len(names) == 1 and not names[0].isdigit():
        return names[0]
    return ("positive" if label > 0 else "negative") if len(names) > 1 else str(label)


def _by_word(rows: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """{class: {word: mean}}, words in the order they first appear."""
    spelled = rows[rows[column].notna() & (rows[column].astype(str).str.strip() != "")]
    found: dict[str, dict[str, float]] = {}
    for (name, word), inside in spelled.groupby(
        [spelled["source_id"].astype(str), spelled[column].astype(str)], sort=False
    ):
        found.setdefault(name, {})[word] = float(inside["encoded"].mean())
    return found


def split_generalization(rows: pd.DataFrame, pair: tuple[str, str] | None) -> dict[str, Any] | None:
    """How far the class means of two splits agree, in [0, 1], 1 is equal; None without two splits.

    agreement of a class: 1 - |difference of its means| / (sum of their absolute values).
    """
    if "data_split" not in rows or "source_id" not in rows:
        return None
    if pair is not None and "target_id" in rows:
        rows = rows[(rows["label"] != 0) & rows["source_id"].isin(pair) & rows["target_id"].isin(pair)]
    present = set(rows["data_split"].dropna().astype(str))
    splits = [name for name in SPLITS if name in present] + sorted(present - set(SPLITS))
    if len(splits) < 2:
        return None
    first, second = ("train", "test") if {"train", "test"} <= present else (splits[0], splits[-1])
    spread = float(rows["encoded"].std()) if len(rows) > 1 else 1.0
    epsilon = max(1e-8, 1e-6 * max(1.0, spread))
    means = {
        str(name): {str(split): float(values.mean()) for split, values in inside.groupby("data_split")["encoded"]}
        for name, inside in rows.groupby("source_id")
    }
    means = {name: by_split for name, by_split in means.items() if len(by_split) > 1}
    both = {name: (one[first], one[second]) for name, one in means.items() if first in one and second in one}
    if not both:
        return None
    spreads = {str(name): float(values.std()) for name, values in rows.groupby("source_id")["encoded"]}
    agreement = {
        name: min(1.0, max(0.0, 1.0 - abs(a - b) / (abs(a) + abs(b) + epsilon))) for name, (a, b) in both.items()
    }
    return {
        "agreement": float(np.mean(list(agreement.values()))),
        "agreement_worst": min(agreement.values()),
        "agreement_by_feature_class": agreement,
        "mean_by_feature_class_by_split": means,
        "shift_by_feature_class": {name: abs(a - b) for name, (a, b) in both.items()},
        "smd_by_feature_class": {name: (a - b) / spreads[name] if spreads[name] > 0 else 0.0 for name, (a, b) in
                                 both.items()},
        "epsilon": epsilon,
        "splits_compared": [first, second],
        "splits_present": splits,
    }  # fmt: skip
