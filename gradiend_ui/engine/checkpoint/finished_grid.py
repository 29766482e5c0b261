"""Finished grids that lie beside a checkpoint: their file, finding them, and their cells as the store keeps them.

A run of the reference, or of our trainer, leaves its grid in `decoder_grid_cache.json`:

    part, split, max_size_training_like, max_size_neutral, feature_factors, lrs     what was asked
    selection_context   direction, classes and metrics of the question
    results             one entry per cell, the base first: {id, probs, probs_factual, probs_by_dataset, lms}
    fingerprint         ours only: changes with weights, data and targets; the reference has nothing of the kind

Whether its numbers are still true is for `finished_check`. Knows files and plain values; no model, no store, no page.
Source of the layout: `gradiend` 0.2.3.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.checkpoint import FoundSweep
from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.companions import run_folder_of
from gradiend_ui.engine.checkpoint.run_folder import leads_out
from gradiend_ui.engine.errors import BadData, BadGrid, GradiendUIError, NotFound, TooLarge, shown
from gradiend_ui.engine.files.json_files import read_json
from gradiend_ui.engine.files.whole_or_absent import write_whole
from gradiend_ui.engine.values import MAX_CELLS, PARTS, Cell, CellScore, Grid

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
        "id": "base" if cell is None else cell.as_json(),
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


@dataclass(frozen=True)
class FinishedSweep:
    """A readable grid file; `file` is its name as seen from the run folder."""

    file: str
    cache: GridCache


def finished_sweeps(checkpoint_folder: Path) -> tuple[tuple[FinishedSweep, ...], tuple[str, ...]]:
    """The finished sweeps of a checkpoint, its run's first, and sentences on files that cannot be shown."""
    run = run_folder_of(checkpoint_folder)
    found: list[FinishedSweep] = []
    warnings: list[str] = []
    for folder in (run, checkpoint_folder):
        path = None if folder is None else folder / GRID_CACHE_FILE
        if path is None or not path.is_file():
            continue
        file = path.relative_to(run or checkpoint_folder).as_posix()
        if leads_out(path, path.parent):
            warnings.append(remark("sweep_link", file=file))
            continue
        try:
            cache = read_grid_cache(path)
            _check_shown(file, cache)
        except (BadData, BadGrid, TooLarge) as error:
            warnings.append(remark("sweep_unread", why=error))
            continue
        found.append(FinishedSweep(file, cache))
    return tuple(found), tuple(warnings)


def _check_shown(file: str, cache: GridCache) -> None:
    """Raises BadData for a grid that the page cannot show."""
    if cache.part not in PARTS:
        raise BadData(f"{file} was made with part {shown(cache.part)}; the parts are {', '.join(PARTS)}.")
    if not any(cache.base.probs_by_dataset.values()):
        raise BadData(f"{file} holds no probabilities per dataset.")
    if len(grid_of(cache)) > 2 * len(cache.scores):
        raise BadData(f"{file} holds {len(cache.scores) - 1} scattered cells, which make no grid.")


def sweep_named(sweeps: Sequence[FinishedSweep], file: object = None) -> FinishedSweep:
    """The sweep of this file name, the first for None. Raises NotFound with the names there are."""
    chosen = next((sweep for sweep in sweeps if file is None or sweep.file == file), None)
    if chosen is None:
        known = ", ".join(sweep.file for sweep in sweeps)
        raise NotFound(
            f"There is no finished sweep {shown(file)} beside this checkpoint; there are: {known}."
            if known
            else f"No finished sweep ({GRID_CACHE_FILE}) lies beside this checkpoint: start a sweep."
        )
    return chosen


def describe(sweep: FinishedSweep) -> FoundSweep:
    """What a page and the API's /load tell of it; `cells` counts without the base."""
    cache, grid = sweep.cache, grid_of(sweep.cache)
    return {
        "file": sweep.file,
        "cells": len(cache.scores) - 1,
        "part": cache.part,
        "split": cache.split,
        "goal": cache.goal,
        "classes": list(cache.asked or scored_classes(cache)),
        "feature_factors": list(grid.feature_factors),
        "learning_rates": list(grid.learning_rates),
        "max_rows": cache.max_rows,
        "max_neutral": cache.max_neutral,
        "written_by": "gradiend" if cache.fingerprint is None else "gradiend_ui",
    }


def grid_of(cache: GridCache) -> Grid:
    """The axes that the cells of the file really have."""
    cells = [score.cell for score in cache.scores if score.cell is not None]
    return Grid(tuple(cell.feature_factor for cell in cells), tuple(cell.learning_rate for cell in cells))


def shown_scores(cache: GridCache) -> list[CellScore]:
    """The base, then every cell of the grid ascending, for the store; broken numbers and gaps say what they are."""
    by_cell = {score.cell: score for score in cache.scores}
    return [_shown(cell, by_cell.get(cell)) for cell in (None, *grid_of(cache).cells)]


def _shown(cell: Cell | None, score: CellScore | None) -> CellScore:
    if score is None:
        return CellScore(cell, "skipped", reason="The file holds no such cell.")
    if all(math.isfinite(p) for row in score.probs_by_dataset.values() for p in row.values()):
        return score
    return score.with_status("failed", "The rewritten model's output is not a finite number.")


def scored_classes(cache: GridCache) -> list[str]:
    """Every class that the file has a probability of, sorted."""
    return sorted({name for row in cache.base.probs_by_dataset.values() for name in row})
