"""From the results of `evaluate_decoder` to rewritten models, in memory or saved. Chooses nothing itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadGrid, BadName, NotFound
from gradiend_ui.engine.export.checkpoint import save_rewritten
from gradiend_ui.engine.export.model_card import Rewrite, broken_sentence
from gradiend_ui.engine.files.file_names import without_device
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell, Part, finite

log = logging.getLogger(__name__)
OTHER_FOLDERS = frozenset({"model", "seeds", "cache", "decoder"})
NOT_CHOICES = frozenset({"grid", "plot_path", "plot_paths"})


@dataclass(frozen=True)
class RewriteRequest:
    """keys: of the choices to apply ("F", "F_weaken", ...); output_dir: None keeps the models in memory; several are
    saved below experiment_dir."""

    keys: tuple[str, ...]
    part: Part
    output_dir: Path | None
    experiment_dir: Path | None


def rewrite(model: ModelWithGradiend, results: Mapping[str, Any], request: RewriteRequest) -> list[Any]:
    """One rewritten model, or its folder as text, per key.

    All keys are looked up before anything is written. Raises NotFound for a key without a choice, BadName for an
    unusable folder, BadGrid for a choice that is not a number.
    """
    several = len(request.keys) > 1
    if request.output_dir is not None and several and request.experiment_dir is None:
        raise BadName("Several models are saved under experiment_dir: set it in TrainingArguments.")
    cells = [chosen_cell(results, key) for key in request.keys]
    folders = _folders(request)
    done: list[Any] = []
    for key, folder, cell in zip(request.keys, folders, cells, strict=True):
        broken = _choices_of(results)[key].get("degenerate")
        if broken is not None:
            log.warning("The model rewritten for %r is broken. %s", key, broken_sentence(broken, repr(broken["token"])))
        rewritten = model.rewrite_base_model(cell.learning_rate, cell.feature_factor, request.part)
        if folder is None:
            done.append(rewritten)
            continue
        facts = {
            "scores": score_rows(results, cell),
            "data": "rows given to TextPredictionTrainer",
            "degenerate": broken,
        }
        saved = save_rewritten(model, rewritten, Rewrite(cell, request.part, facts), folder, replace_own=True)
        done.append(str(saved))
    return done


def chosen_cell(results: Mapping[str, Any], key: str) -> Cell:
    """The cell that `results` chose for `key`; results may hold the choices under "summary", as older files do."""
    choices = _choices_of(results)
    chosen = choices.get(key)
    if not isinstance(chosen, Mapping) or not {"feature_factor", "learning_rate"} <= set(chosen):
        known = ", ".join(str(name) for name in choices if name not in NOT_CHOICES) or "none"
        hint = (
            " Choices to weaken come from evaluate_decoder(increase_target_probabilities=False)."
            if key.endswith("_weaken")
            else ""
        )
        raise NotFound(f"decoder_results holds no choice for {key!r}; it has: {known}.{hint}")
    factor = chosen["feature_factor"]
    if isinstance(factor, (list, tuple)):
        raise BadGrid(f"The choice for {key!r} has several feature factors: use ModelWithGradiend.rewrite_base_model.")
    return Cell(
        finite(factor, f"feature_factor of {key!r}"), finite(chosen["learning_rate"], f"learning_rate of {key!r}")
    )


def _choices_of(results: Mapping[str, Any]) -> Mapping[str, Any]:
    return results["summary"] if isinstance(results.get("summary"), Mapping) else results


def score_rows(results: Mapping[str, Any], cell: Cell) -> list[list[Any]]:
    """[name, before, after] of every number the grid holds for the cell; [] when it holds none."""
    grid = results.get("grid") or {}
    base, found = grid.get("base"), grid.get((cell.feature_factor, cell.learning_rate))
    if not base or not found:
        return []
    rows = [
        [f"P({name}) on {dataset} rows", before, found["probs_by_dataset"].get(dataset, {}).get(name)]
        for dataset, by_class in base["probs_by_dataset"].items()
        for name, before in by_class.items()
    ]
    return [*(row for row in rows if row[2] is not None), ["LMS", base["lms"]["lms"], found["lms"]["lms"]]]


def _folders(request: RewriteRequest) -> list[Path | None]:
    """Where each key's model goes. Raises BadName before anything is written when two would share a folder."""
    if request.output_dir is None or request.experiment_dir is None or len(request.keys) == 1:
        return [request.output_dir] * len(request.keys)
    names = [_safe(key) for key in request.keys]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadName(f"Two of {', '.join(request.keys)} would be saved as {twice!r}: save them one at a time.")
    return [request.experiment_dir / name for name in names]


def _safe(key: str) -> str:
    """The key as the name of a folder that is nothing else in an experiment."""
    name = "".join("_" if character in '/\\:*?"<>|\0' else character for character in key).strip(". ") or "class"
    return f"{name}_rewrite" if name.lower() in OTHER_FOLDERS else without_device(name)
