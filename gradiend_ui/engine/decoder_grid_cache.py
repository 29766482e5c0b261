"""`decoder_grid_cache.json`: a finished grid in the layout of the `gradiend` package.

    part, split, max_size_training_like, max_size_neutral, feature_factors, lrs     what was asked
    selection_context   direction, classes and metrics of the question
    results             one entry per cell, the base first: {id, probs, probs_factual, probs_by_dataset, lms}
    fingerprint         ours only: changes with weights, data and targets; the reference has nothing of the kind

Knows files and plain values; no model. Source of the layout: `gradiend` 0.2.3.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.checked_json import read_json
from gradiend_ui.engine.durable import write_whole
from gradiend_ui.engine.errors import BadData, GradiendUIError
from gradiend_ui.engine.values import MAX_CELLS, Cell, CellScore

GRID_CACHE_FILE = "decoder_grid_cache.json"
MAX_BYTES, MAX_CACHE_VALUES = 64 * 1024 * 1024, 1_000_000
_NAMES = {"max_rows": "max_size_training_like", "max_neutral": "max_size_neutral"}


@dataclass(frozen=True)
class GridCache:
    """A finished grid with the request it answers.

    split: as the reference spells it ("test", "train_test" for two); max_rows, max_neutral: caps, None for all;
    goal, asked: what the grid was scored for, None where the file does not tell; fingerprint: None when the
    reference wrote the file; scores: the base first, then every cell.
    """

    part: str
    split: str
    max_rows: int | None
    max_neutral: int | None
    feature_factors: tuple[float, ...]
    learning_rates: tuple[float, ...]
    scores: tuple[CellScore, ...]
    goal: str | None = None
    asked: tuple[str, ...] | None = None
    prob_on_other_class: bool = True
    fingerprint: str | None = None

    @property
    def base(self) -> CellScore:
        return self.scores[0]

    def answers(self, wanted: GridCache) -> str | None:
        """None when this grid answers the request of `wanted` (whose scores do not matter), else the difference."""
        for name in ("part", "split", "max_rows", "max_neutral", "goal", "asked", "prob_on_other_class"):
            mine, other = getattr(self, name), getattr(wanted, name)
            unknown = name in ("goal", "asked") and mine is None
            if not unknown and _plain(mine) != _plain(other):
                return f"{_NAMES.get(name, name)} was {mine!r}, now {other!r}"
        if sorted(self.feature_factors) != sorted(wanted.feature_factors):
            return "other feature factors"
        if sorted(self.learning_rates) != sorted(wanted.learning_rates):
            return "other learning rates"
        return None


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, tuple) else value


def split_key(split: str | Sequence[str]) -> str:
    """One split or several as the reference names them in its files."""
    return split if isinstance(split, str) else "_".join(split)


def score_entry(score: CellScore, classes: Sequence[str], *, prob_on_other_class: bool = True) -> dict[str, Any]:
    """One cell in the reference's shape; `classes` in class order.

    probs: the selection metric of "strengthen" per class; probs_factual: P(class) on its own rows.
    """
    metric = {name: score.strengthen_metric(name, classes, prob_on_other_class) for name in classes}
    own = {name: score.own_probability(name) for name in classes}
    cell = score.cell
    return {
        "probs": {name: p for name, p in metric.items() if p is not None},
        "probs_factual": {name: p for name, p in own.items() if p is not None},
        "probs_by_dataset": {dataset: dict(row) for dataset, row in score.probs_by_dataset.items()},
        "lms": dict(score.lms),
        "id": "base" if cell is None else {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate},
    }


def write_grid_cache(path: Path, cache: GridCache, classes: Sequence[str]) -> None:
    """Write the file whole or not at all; `classes` in class order. Raises Failed when the disk refuses."""
    strengthen = cache.goal == "strengthen"
    asked = sorted(cache.asked or ())
    content = {
        "part": cache.part,
        "split": cache.split,
        "max_size_training_like": cache.max_rows,
        "max_size_neutral": cache.max_neutral,
        "feature_factors": list(cache.feature_factors),
        "lrs": list(cache.learning_rates),
        "results": [
            score_entry(score, classes, prob_on_other_class=cache.prob_on_other_class)
            | {"_probs_by_dataset_grouping": "factual_id"}
            for score in cache.scores
        ],
        "selection_context": {
            "prob_on_other_class": cache.prob_on_other_class,
            "increase_target_probabilities": strengthen,
            "metrics_for_summary": asked if strengthen else [f"{name}_weaken" for name in asked],
            "classes_to_eval": asked,
        },
        "fingerprint": cache.fingerprint,
    }
    write_whole(path, json.dumps(content, indent=2))


def read_grid_cache(path: Path) -> GridCache:
    """Read a finished grid that we or the reference wrote. Raises BadData naming the file and the field."""
    try:
        content = read_json(path, max_bytes=MAX_BYTES, max_values=MAX_CACHE_VALUES)
    except (OSError, ValueError) as error:
        raise BadData(f"{path.name} cannot be read as JSON: {str(error).splitlines()[0]}.") from error
    try:
        return _parsed(content)
    except GradiendUIError as error:
        raise BadData(f"{path.name}: {error}") from error
    except KeyError as error:
        raise BadData(f"{path.name} is no finished grid: it lacks {error}.") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadData(f"{path.name} is no finished grid: its content has another shape than such a file.") from error


def _parsed(content: Mapping[str, Any]) -> GridCache:
    entries = content["results"]
    if not isinstance(entries, list) or not 1 < len(entries) <= MAX_CELLS + 1:
        raise ValueError(f"results, which holds {len(entries)} entries")
    scores = sorted((_score(entry) for entry in entries), key=_grid_order)
    cells = [score.cell for score in scores]
    if cells.count(None) != 1 or len(set(cells)) != len(cells):
        raise ValueError("results, which must hold the base once and each cell once")
    context = content.get("selection_context") or {}
    increase = context.get("increase_target_probabilities")
    asked = context.get("classes_to_eval")
    return GridCache(
        part=str(content["part"]),
        split=str(content.get("split", "test")),
        max_rows=_cap(content, "max_rows"),
        max_neutral=_cap(content, "max_neutral"),
        feature_factors=tuple(float(value) for value in content["feature_factors"]),
        learning_rates=tuple(float(value) for value in content["lrs"]),
        scores=tuple(scores),
        goal=None if increase is None else "strengthen" if increase else "weaken",
        asked=None if asked is None else tuple(str(name) for name in asked),
        prob_on_other_class=bool(context.get("prob_on_other_class", True)),
        fingerprint=content.get("fingerprint"),
    )


def _cap(content: Mapping[str, Any], name: str) -> int | None:
    cap = content.get(_NAMES[name])
    if cap is not None and (type(cap) is not int or cap < 0):
        raise ValueError(f"{_NAMES[name]} {cap!r}")
    return cap


def _score(entry: Mapping[str, Any]) -> CellScore:
    place = entry["id"]
    cell = None if place == "base" else Cell(place["feature_factor"], place["learning_rate"])
    by_dataset = entry.get("probs_by_dataset") or {}
    lms = {str(name): float(value) for name, value in entry["lms"].items() if isinstance(value, (int, float))}
    if "lms" not in lms:
        raise KeyError("lms")
    return CellScore(
        cell=cell,
        status="final",
        probs_by_dataset={str(d): {str(c): _probability(p) for c, p in row.items()} for d, row in by_dataset.items()},
        lms=lms,
        rows_done=1,
        rows_total=1,
    )


def _probability(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not (0.0 <= number <= 1.000001 or math.isnan(number)):
        raise ValueError(f"probability {number}")
    return number


def _grid_order(score: CellScore) -> tuple[float, float]:
    return (-math.inf, 0.0) if score.cell is None else (score.cell.feature_factor, score.cell.learning_rate)
