"""A scripted double of Session for callback tests: two classes, a 2 x 3 grid, answers as values, calls written down."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before anything imports gradio

from gradiend_ui.engine.answers.checkpoint import About, Card
from gradiend_ui.engine.answers.model import CompareAnswer, TokenLine, TopToken
from gradiend_ui.engine.answers.run import (
    CellsAnswer,
    OpenedSweep,
    Picture,
    RunInfo,
    RunSpec,
    SelectionAnswer,
    SelectOptions,
    StartedRun,
    StateAnswer,
)
from gradiend_ui.engine.errors import BadCheckpoint, BadData, NotFound
from gradiend_ui.server.door.visitors import THIS_MACHINE, Asker
from gradiend_ui.ui.kit.words import Words

RUN = "run-1"
KEY = "key-of-run-1"
CARD: Card = {
    "checkpoint": "ck-1",
    "run": "demo",
    "name": "demo",
    "base_model": "base",
    "objective": "mlm_mask_token",
    "classes": ["M", "F"],
    "encoding_direction": {"M": 1.0, "F": -1.0},
    "strengthening_feature_factor": {"M": 1.0, "F": -1.0},
    "source": "alternative",
    "latent_dim": 1,
    "mapped_weights": 50,
    "base_weights": 1000,
    "base_parameters": 1000,
    "correlation": 0.998,
    "converged": True,
    "rows": {"M": {"train": 4, "test": 2}, "F": {"train": 4, "test": 2}},
    "neutral_sets": {"pronoun-free": 7, "gender-free": 9},
    "neutral_set": "pronoun-free",
    "warnings": [],
    "finished_sweeps": [],
    "seeds": [],
    "memory": {"needed": 3 * 2**29, "free": 12 * 2**30},
    "assumed": [],
    "missing": [],
    "rows_recovered": None,
    "two_boundaries": False,
    "row_classes": ["F", "M"],
    "notes": [],
    "presets": {
        "default": {"feature_factors": [-1.0, 1.0], "learning_rates": [0.1, 0.2, 0.5]},
        "dense": {"feature_factors": [-2.0, -1.0, 0.0, 1.0, 2.0], "learning_rates": [0.1, 0.2, 0.5]},
    },
    "examples": ["the nurse said [MASK] slept.", "the <b>doctor</b> said [MASK] slept.", "a [MASK].", "b [MASK]."],
    "seconds_per_cell": 0.5,
    "row_counts": [],
    "target_words": {},
}
SPEC: RunSpec = {
    "target_classes": ["M", "F"],
    "goal": "strengthen",
    "feature_factors": [-1.0, 1.0],
    "learning_rates": [0.1, 0.2, 0.5],
    "part": "decoder",
    "token_boundary": "reference",
    "split": "test",
    "again": False,
    "neutral_set": "pronoun-free",
}
SELECTION: SelectionAnswer = {
    "feature_factor": -1.0,
    "learning_rate": 0.2,
    "value": 0.71,
    "base_value": 0.11,
    "probability": 0.71,
    "base_probability": 0.11,
    "lms": 0.39,
    "base_lms": 0.387,
    "fallback": False,
    "why": "(-1, 0.2) wins.",
    "runner_up": {"feature_factor": -1.0, "learning_rate": 0.1, "value": 0.47, "lms": 0.393},
    "rejected": {"feature_factor": -1.0, "learning_rate": 0.5, "value": 0.76, "lms": 0.371},
    "threshold_tokens": 1.92,
    "decided_by_tokens": None,
    "decision": None,
    "degenerate": None,
}


def picture(**changes: Any) -> Picture:
    """A half-finished sweep: row -1 has a final, a best and a rejected cell, row +1 a provisional and a failed one."""
    values = [[0.47, 0.71, 0.76], [0.09, None, None]]
    ratios = [[1.016, 1.008, 0.958], [0.99, None, None]]
    return {
        "rev": 5,
        "state": "running",
        "done": 4,
        "total": 6,
        "eta_seconds": 72.0,
        "position": 0,
        "error": None,
        "imported": None,
        "earlier_scorer": False,
        "neutral_set": "pronoun-free",
        "feature_factors": [-1.0, 1.0],
        "learning_rates": [0.1, 0.2, 0.5],
        "metric": values,
        "metric_label": "P(F) on M rows",
        "classes": ["M", "F"],
        "other": "M",
        "lms": [[None if x is None else 0.387 * x for x in row] for row in ratios],
        "lms_ratio": ratios,
        "status": [["final", "final", "final"], ["provisional", "failed", "pending"]],
        "reason": [[None, None, None], [None, "not finite", None]],
        "passes": [[True, True, False], [True, None, None]],
        "metric_error": [[None, None, None], [0.0234, None, None]],
        "lms_error": [[None, None, None], [0.011, None, None]],
        "rows_done": [[4, 4, 4], [2, 1, 0]],
        "precisions": [["float32"] * 3] * 2,
        "rows_total": 4,
        "degenerate": [[None] * 3] * 2,
        "by_dataset": {d: {"M": values, "F": values} for d in ("M", "F")},
        "base": {
            "metric": 0.11,
            "lms": 0.387,
            "probs_by_dataset": {"M": {"M": 0.86, "F": 0.11}, "F": {"M": 0.08, "F": 0.9}},
            "status": "final",
            "precision": "float32",
            "degenerate": None,
        },
        "precision": "float32",
        "precision_error": None,
        "search": None,
        "skipped": 0,
        "selection": SELECTION,
        "can_win": [True, True],
        "winners": [],
        **changes,
    }


class ScriptedSession:
    """Answers from `pictures` one after the other, the last one for good."""

    def __init__(self, folder: Path, public: bool = False) -> None:
        self.folder, self.public = folder, public
        self.pictures = [picture()]
        self.calls: list[tuple[Any, ...]] = []

    def about(self) -> About:
        return {
            "public": self.public,
            "allows_paths": not self.public,
            "default_source": "demo",
            "data_dir": str(self.folder),
            "notices": (),
        }

    def load(self, source: str, options: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("load", source, options))
        if source != "demo":
            raise BadCheckpoint(f"There is no folder {source!r}.")
        return {key: CARD[key] for key in CARD if key not in ("presets", "examples")}

    def card(self, checkpoint: str) -> Card:
        return CARD

    def start_sweep(self, checkpoint: str, spec: dict[str, Any], visitor: str = "") -> StartedRun:
        self.calls.append(("start_sweep", checkpoint, spec))
        return {
            "run": RUN, "cells": 6, "position": 0, "key": KEY,
            "rows_used": 12, "rows_dropped": {}, "unknown_classes": [], "notes": [],
        }  # fmt: skip

    def open_finished(self, checkpoint: str, options: dict[str, Any] | None = None) -> OpenedSweep:
        self.calls.append(("open_finished", checkpoint, options))
        return {"run": RUN, "cells": 6, "check": "verified", "note": "Opened from decoder_grid_cache.json."}

    def run_info(self, run: str) -> RunInfo:
        if run != RUN:
            raise NotFound(f"There is no run {run!r}.")
        return {
            "run": run,
            "checkpoint": "ck-1",
            "card": CARD,
            "spec": SPEC,
            "data": {"spec": {"neutral_set": "pronoun-free"}, "row_counts": [], "rows_left_out": 0, "target_words": {}},
            "warnings": [],
            "classes": ["M", "F"],
            "imported": None,
            "neutral_tokens": 192,
            "created": 0.0,
            "made_by": None,
        }

    def revision(self, run: str) -> tuple[int, str, int]:
        now = self.pictures[0]
        return now["rev"], now["state"], now["position"]

    def picture(self, run: str, options: dict[str, Any]) -> Picture:
        self.calls.append(("picture", run, options))
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]

    def cells(self, run: str, rev: int) -> CellsAnswer:
        return {
            "state": "running",
            "rev": 5,
            "done": 4,
            "total": 6,
            "eta_seconds": float("nan"),
            "base": {
                "feature_factor": None,
                "learning_rate": None,
                "status": "final",
                "probs": {},
                "probs_factual": {},
                "probs_by_dataset": {},
                "lms": {"lms": 0.387},
                "rows_done": 4,
                "reason": None,
                "errors": {},
                "precision": "float32",
                "most_said": None,
            },
            "cells": [],
            "error": None,
            "earlier_scorer": False,
        }

    def select(self, run: str, options: dict[str, Any]) -> SelectionAnswer:
        return SELECTION

    def pause(self, run: str, asker: Asker = THIS_MACHINE) -> StateAnswer:
        return {"state": "paused"}

    resume = stop = pause

    def finish_cell(self, run: str, cell: dict[str, Any], asker: Asker = THIS_MACHINE) -> StateAnswer:
        self.calls.append(("finish_cell", run, cell))
        return {"state": "queued"}

    def compare(self, run: str, cells: list[Any], texts: list[str], options: dict[str, Any]) -> CompareAnswer:
        self.calls.append(("compare", run, cells, texts, options))
        if any("[MASK]" not in text for text in texts):
            raise BadData("A sentence has no [MASK].")
        base = {"top": [token("he", 1, 0.8, 0.0), token("she", 2, 0.1, 0.0)], "classes": {"M": 0.8, "F": 0.1}}
        here = {"top": [token("she", 2, 0.9, 0.8), token("it", 3, 0.05, 0.04)], "classes": {"M": 0.04, "F": 0.9}}
        mask = {"position": 3, "base": base, "cells": [{**cell, **here} for cell in cells], "tokens": union(len(cells))}
        return {"texts": [{"text": text, "masks": [mask] * text.count("[MASK]")} for text in texts]}

    @property
    def compared(self) -> ScriptedSession:
        return self

    def base(self, checkpoint: str, texts: list[str], options: dict[str, Any]) -> CompareAnswer:
        return self.compare(checkpoint, [], texts, options)

    def export(self, run: str, options: dict[str, Any], visitor: str = "") -> str:
        self.calls.append(("export", run, options))
        path = self.folder / "demo_ff-1_lr0.2.zip"
        path.write_bytes(b"zip")
        return str(path)

    def runs(self) -> list[dict[str, Any]]:
        return [{"run": RUN, "name": "demo", "state": "finished", "done": 6, "total": 6, "created": 0.0}]


def token(word: str, number: int, p: float, change: float) -> TopToken:
    return {"token": word, "id": number, "p": p, "change": change}


def union(cells: int) -> list[TokenLine]:
    """The words of all columns with their probability in each."""
    rows = [("she", 2, 0.1, 0.9), ("he", 1, 0.8, 0.06), ("it", 3, 0.01, 0.05)]
    return [{"token": word, "id": n, "base": base, "cells": [here] * cells} for word, n, base, here in rows]


@pytest.fixture
def session(tmp_path: Path) -> ScriptedSession:
    return ScriptedSession(tmp_path)


@pytest.fixture
def words() -> Words:
    return Words("en")


@pytest.fixture
def make_picture() -> Callable[..., Picture]:
    return picture


@pytest.fixture
def card() -> Card:
    return CARD


@pytest.fixture
def options() -> SelectOptions:
    return {
        "target_class": "F",
        "goal": "strengthen",
        "policy": "lms_threshold",
        "ratio": 0.99,
        "any_feature_factor": False,
    }


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradio's download cache, in this test's folder."""
    folder = tmp_path / "downloads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder
