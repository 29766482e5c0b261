"""Finished sweeps that lie beside a checkpoint: finding them, describing them, and their cells as the store keeps them.

A run of the reference, or of our trainer, leaves its grid in `decoder_grid_cache.json`. Whether its numbers are still
true is for `finished_check`. Knows files and plain values; no weights, no store, no page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.companions import run_folder_of
from gradiend_ui.engine.decoder_grid_cache import GRID_CACHE_FILE, GridCache, read_grid_cache
from gradiend_ui.engine.errors import BadData, BadGrid, NotFound, TooLarge
from gradiend_ui.engine.run_folder import leads_out
from gradiend_ui.engine.values import PARTS, Cell, CellScore, Grid


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
            warnings.append(f"The finished sweep was not read: {file} is a link that leads out of its folder.")
            continue
        try:
            cache = read_grid_cache(path)
            _check_shown(file, cache)
        except (BadData, BadGrid, TooLarge) as error:
            warnings.append(f"The finished sweep was not read: {error}")
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


def describe(sweep: FinishedSweep) -> dict[str, Any]:
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
