"""Where a trainer's trained GRADIEND lies. Knows folders and config files; loads nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.checkpoint.config import describes_gradiend
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.checkpoint.run_folder import read_run_folder
from gradiend_ui.engine.errors import BadCheckpoint
from gradiend_ui.engine.files.file_names import followed
from gradiend_ui.engine.model import ModelWithGradiend


@dataclass(frozen=True)
class ModelFolder:
    """A folder that holds a trained GRADIEND: a checkpoint, or a run folder with one."""

    folder: Path

    @staticmethod
    def holds_gradiend(given: object) -> bool:
        """Whether `given` is a checkpoint folder or a run folder (and not a base model or a Hub id)."""
        if not isinstance(given, (str, Path)) or not Path(given).is_dir():
            return False
        if (Path(given) / "config.json").is_file():
            return _is_gradiend(Path(given))
        inside = read_run_folder(Path(given)).checkpoint
        return inside is not None and _is_gradiend(inside)

    def stands_on(self, base_model: str) -> bool:
        """Whether the GRADIEND in the folder was trained on this base model (folder or Hub id)."""
        return bool(_base_name(self.folder) == _place(base_model))


def _is_gradiend(folder: Path) -> bool:
    """Whether config.json describes a GRADIEND; that of a base model has no mapping."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return describes_gradiend(config)


def find_model(
    given: str | Path | ModelWithGradiend, experiment_dir: str | None, output_dir: str | Path | None
) -> ModelFolder | None:
    """The trained GRADIEND of a trainer: the one given, else the one that this experiment trained on the given base.

    An experiment folder that holds a GRADIEND of another base model is no answer: training there would replace it.
    """
    if isinstance(given, ModelWithGradiend):
        return ModelFolder(Path(given.name_or_path))
    if ModelFolder.holds_gradiend(given):
        return ModelFolder(Path(given))
    trained = Path(output_dir) if output_dir is not None else Path(experiment_dir or "") / "model"
    if (output_dir is None and experiment_dir is None) or not ModelFolder.holds_gradiend(trained):
        return None
    return ModelFolder(trained) if _base_name(trained) == _place(given) else None


def _base_name(folder: Path) -> Any:
    try:
        stated = read_checkpoint(folder).metadata.get("base_model")
    except BadCheckpoint:
        return None
    return _place(stated) if isinstance(stated, str) else None


def _place(name: str | Path) -> str:
    return str(followed(name)) if Path(name).is_dir() else str(name)
