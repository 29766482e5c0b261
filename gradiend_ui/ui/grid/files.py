"""All cells of a run as csv and json: every number exactly, the base first, no text that begins a formula.

Pure functions of one picture. Knows no page and no disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.files.csv_text import csv_text

FORMATS = ("csv", "json")
HEAD = ("feature_factor", "learning_rate", "status", "lms", "lms_ratio", "passes", "can_win", "precision")
SHOWN_OF_RUN, LONGEST_WORD = 6, 24


def stem_of(model: str, target_class: str, goal: str, run: str) -> str:
    """What files of this view are called: model, class, goal and the start of the run's id, without odd characters
    and short enough for any disk."""
    parts = (model, target_class, goal, run[:SHOWN_OF_RUN])
    words = (re.sub(r"[^\w.-]+", "-", part).strip("-.")[:LONGEST_WORD].strip("-.") for part in parts)
    return "_".join(filter(None, words)) or "grid"


def grid_csv(picture: Mapping[str, Any]) -> str:
    """One line per cell after the base's: place, status, LMS, every class on the rows of every class, and why."""
    pairs = _pairs(picture)
    names = [f"P({name}) on {dataset} rows" for name, dataset in pairs]
    lines: list[list[Any]] = [[*HEAD, *names, "reason"]]
    for cell in _cells(picture):
        numbers = [cell["probs_by_dataset"].get(dataset, {}).get(name) for name, dataset in pairs]
        head = [cell[key] for key in ("feature_factor", "learning_rate", "status", "lms", "lms_ratio")]
        flags = [_flag(cell["passes"]), _flag(cell["can_win"])]
        flags.append(cell["precision"] or "")
        lines.append([*head, *flags, *numbers, cell["reason"]])
    return csv_text(lines)


def grid_json(picture: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """{**about, state, feature_factors, learning_rates, selection, winners, base, cells}; unknown numbers are null."""
    base, *cells = _cells(picture)
    content = {
        **about,
        "state": picture["state"],
        "feature_factors": picture["feature_factors"],
        "learning_rates": picture["learning_rates"],
        "metric": picture["metric_label"],
        "selection": picture["selection"],
        "winners": picture.get("winners"),
        "precision": picture["precision"],
        "precision_error": picture["precision_error"],
        "base": base,
        "cells": cells,
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _cells(picture: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The base, then all cells ascending in (feature factor, learning rate)."""
    rows, columns = range(len(picture["feature_factors"])), range(len(picture["learning_rates"]))
    return [_base(picture), *(_cell(picture, row, column) for row in rows for column in columns)]


def _base(picture: Mapping[str, Any]) -> dict[str, Any]:
    base = picture["base"] or {"lms": None, "metric": None, "probs_by_dataset": {}, "precision": None}
    return {
        "feature_factor": None,
        "learning_rate": None,
        "status": "base",
        "metric": base["metric"],
        "lms": base["lms"],
        "lms_ratio": None if base["lms"] is None else 1.0,
        "passes": None,
        "can_win": None,
        "precision": base["precision"],
        "probs_by_dataset": base["probs_by_dataset"],
        "reason": None,
    }


def _cell(picture: Mapping[str, Any], row: int, column: int) -> dict[str, Any]:
    def at(key: str) -> Any:
        return picture[key][row][column]

    return {
        "feature_factor": picture["feature_factors"][row],
        "learning_rate": picture["learning_rates"][column],
        "status": at("status"),
        "metric": at("metric"),
        "lms": at("lms"),
        "lms_ratio": at("lms_ratio"),
        "passes": at("passes"),
        "can_win": (picture.get("can_win") or [True] * len(picture["feature_factors"]))[row],
        "precision": at("precisions") if at("rows_done") else None,
        "probs_by_dataset": {
            dataset: {name: values[row][column] for name, values in classes.items()}
            for dataset, classes in picture["by_dataset"].items()
        },
        "reason": at("reason"),
    }


def _pairs(picture: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, dataset) for dataset, classes in picture["by_dataset"].items() for name in classes]


def _flag(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
