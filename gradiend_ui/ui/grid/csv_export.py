"""All cells of a run as csv and json: every number exactly, the base first, no text that begins a formula.

Pure functions of one picture. Knows no page and no disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypedDict

from gradiend_ui.engine.answers.checkpoint import Number
from gradiend_ui.engine.answers.run import ByDataset, Picture
from gradiend_ui.engine.files.csv_text import csv_text
from gradiend_ui.engine.selection.winner_sentences import explain_degenerate

FORMATS = ("csv", "json")
HEAD = ("feature_factor", "learning_rate", "status", "lms", "lms_ratio", "passes", "can_win", "precision")
SHOWN_OF_RUN, LONGEST_WORD = 6, 24


def stem_of(model: str, target_class: str | None, goal: str, run: str) -> str:
    """What files of this view are called: model, class, goal and the start of the run's id, without odd characters
    and short enough for any disk."""
    parts = (model, target_class, goal, run[:SHOWN_OF_RUN])
    words = (re.sub(r"[^\w.-]+", "-", part).strip("-.")[:LONGEST_WORD].strip("-.") for part in parts if part)
    return "_".join(filter(None, words)) or "grid"


class SavedCell(TypedDict):
    """One line of the files; the base has no place."""

    feature_factor: Number
    learning_rate: Number
    status: str
    metric: Number
    lms: Number
    lms_ratio: Number
    passes: bool | None
    can_win: bool | None
    precision: str | None
    probs_by_dataset: ByDataset
    reason: str | None


def grid_csv(picture: Picture) -> str:
    """One line per cell after the base's: place, status, LMS, every class on the rows of every class, and why."""
    pairs = _pairs(picture)
    names = [f"P({name}) on {dataset} rows" for name, dataset in pairs]
    lines: list[list[object]] = [[*HEAD, *names, "reason"]]
    for cell in _cells(picture):
        numbers = [cell["probs_by_dataset"].get(dataset, {}).get(name) for name, dataset in pairs]
        place = [cell["feature_factor"], cell["learning_rate"], cell["status"]]
        head = [*place, cell["lms"], cell["lms_ratio"]]
        flags = [_flag(cell["passes"]), _flag(cell["can_win"])]
        flags.append(cell["precision"] or "")
        lines.append([*head, *flags, *numbers, cell["reason"]])
    return csv_text(lines)


def grid_json(picture: Picture, about: Mapping[str, object]) -> str:
    """{**about, state, feature_factors, learning_rates, selection, winners, base, cells}; unknown numbers are null."""
    base, *cells = _cells(picture)
    content = {
        **about,
        "state": picture["state"],
        "feature_factors": picture["feature_factors"],
        "learning_rates": picture["learning_rates"],
        "metric": picture["metric_label"],
        "selection": picture["selection"],
        "winners": picture["winners"],
        "precision": picture["precision"],
        "precision_error": picture["precision_error"],
        "base": base,
        "cells": cells,
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _cells(picture: Picture) -> list[SavedCell]:
    """The base, then all cells ascending in (feature factor, learning rate)."""
    rows, columns = range(len(picture["feature_factors"])), range(len(picture["learning_rates"]))
    return [_base(picture), *(_cell(picture, row, column) for row in rows for column in columns)]


def _base(picture: Picture) -> SavedCell:
    base = picture["base"]
    return {
        "feature_factor": None,
        "learning_rate": None,
        "status": "base",
        "metric": base and base["metric"],
        "lms": base and base["lms"],
        "lms_ratio": None if base is None or base["lms"] is None else 1.0,
        "passes": None,
        "can_win": None,
        "precision": base and base["precision"],
        "probs_by_dataset": base["probs_by_dataset"] if base else {},
        "reason": None,
    }


def _cell(picture: Picture, row: int, column: int) -> SavedCell:
    is_scored = picture["rows_done"][row][column] > 0
    broken = picture["degenerate"][row][column]
    return {
        "feature_factor": picture["feature_factors"][row],
        "learning_rate": picture["learning_rates"][column],
        "status": picture["status"][row][column],
        "metric": picture["metric"][row][column],
        "lms": picture["lms"][row][column],
        "lms_ratio": picture["lms_ratio"][row][column],
        "passes": picture["passes"][row][column],
        "can_win": picture["can_win"][row],
        "precision": picture["precisions"][row][column] if is_scored else None,
        "probs_by_dataset": {
            dataset: {name: values[row][column] for name, values in classes.items()}
            for dataset, classes in picture["by_dataset"].items()
        },
        "reason": picture["reason"][row][column] or (explain_degenerate(broken) if broken else None),
    }


def _pairs(picture: Picture) -> list[tuple[str, str]]:
    return [(name, dataset) for dataset, classes in picture["by_dataset"].items() for name in classes]


def _flag(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
