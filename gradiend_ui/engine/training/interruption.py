"""What an interrupted training needs to go on: weights, optimiser, statistics, in one file, whole or absent.

The file belongs to one run: it names what it was made for, and a run that differs in anything starts anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.checkpoint.writing import save_pickled
from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files.whole_or_absent import unfinished, with_advice
from gradiend_ui.engine.training.record import History

STATE_FILE = "state.pt"
BEST_FOLDER = "best"


@dataclass(frozen=True)
class Interrupted:
    """A run between two steps. positions: of parameters that pre-pruning left mapped in part."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    history: History
    positions: dict[str, Tensor]


def working_folder(output_dir: Path) -> Path:
    """Where a run that will end in `output_dir` keeps its state until then."""
    return output_dir.parent / f".{output_dir.name}.training"


def save_interrupted(folder: Path, fingerprint: str, run: Interrupted) -> None:
    """Write the state of a run. Raises Failed when the disk refuses; the old state stays then."""
    content = {
        "fingerprint": fingerprint,
        "weights": run.weights,
        "optimizer": run.optimizer,
        "history": vars(run.history),
        "positions": run.positions,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unfinished(folder / STATE_FILE) as partial:
            save_pickled(content, partial)
            os.replace(partial, folder / STATE_FILE)
    except OSError as error:
        raise Failed(f"The state of the training could not be written: {with_advice(error)}") from error


def load_interrupted(folder: Path, fingerprints: Container[object]) -> Interrupted | None:
    """The state a run left in `folder`; None when there is none, it is damaged, or it belongs to another run.

    fingerprints: of this run, as today and as versions before this one spelled it.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for a damaged file; the run starts anew then
        return None
    if not isinstance(content, dict) or content.get("fingerprint") not in fingerprints:
        return None
    return Interrupted(content["weights"], content["optimizer"], History(**content["history"]), content["positions"])


def forget(folder: Path) -> None:
    """Remove a working folder."""
    shutil.rmtree(folder, ignore_errors=True)
