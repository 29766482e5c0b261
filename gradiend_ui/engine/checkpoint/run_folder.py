"""What a run of the `gradiend` package leaves in its folder (`experiment_dir` or `experiment_dir/run_id`).

    model/                     the chosen GRADIEND
    seeds/seed_report.json     every seed tried: correlation, converged, which was chosen
    seeds/seed_<N>/            the checkpoint of seed N (without weights where only the best was kept)
    encoded_values*.csv        encoder outputs of rows
    decoder_grid_cache.json    a finished sweep

Finds and lists, also in what was unpacked from a zip; opens no checkpoint. Knows names and JSON, no tensors. The
report's own paths are those of the machine that trained: only their last part is used, below `seeds/` of this folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradiend_ui.engine.answers.remarks import remark
from gradiend_ui.engine.checkpoint.config import describes_gradiend
from gradiend_ui.engine.errors import BadCheckpoint, Text
from gradiend_ui.engine.files.file_names import can_be_name, followed
from gradiend_ui.engine.files.json_files import object_at, read_json
from gradiend_ui.engine.files.model_files import WEIGHTS_FILES

HUB_CACHE_LEVELS = 8
MAX_SEEDS = 1000
"""Of a report, and of the folders beside it; later ones are not looked at."""


@dataclass(frozen=True, slots=True)
class SeedRun:
    """One seed of a run.

    folder: its checkpoint, None when its files were not kept
    correlation: encoder correlation in [-1, 1] on the evaluation rows, None when nothing records it
    converged: None when nothing records it
    score: what the run chose the best seed by (higher is better), None when nothing records it
    best: the one seed that the run chose; False everywhere when no report tells and none can be told apart
    """

    seed: int
    folder: Path | None
    correlation: float | None
    converged: bool | None
    score: float | None
    best: bool = False


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What was found in a run folder; every path exists.

    seeds: ascending by seed. warnings: sentences on files that could not be read.
    """

    folder: Path
    model: Path | None
    seeds: tuple[SeedRun, ...]
    encoded_values: tuple[Path, ...]
    decoder_grid_cache: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def best_seed(self) -> SeedRun | None:
        return next((seed for seed in self.seeds if seed.best), None)

    @property
    def checkpoint(self) -> Path | None:
        """The GRADIEND that stands for the run: `model/`, else the best seed's folder, else the only seed's."""
        if self.model is not None:
            return self.model
        if self.best_seed is not None:
            return self.best_seed.folder
        kept = [seed.folder for seed in self.seeds if seed.folder is not None]
        return kept[0] if len(kept) == 1 else None


def leads_out(path: Path, folder: Path) -> bool:
    """Whether `path` is or goes through a link that leaves `folder`; a Hub cache's blobs beside it count as inside."""
    try:
        target, home = followed(path), followed(folder)
    except OSError:  # links in a ring
        return True
    if target.is_relative_to(home):
        return False
    caches = [place.parent for place in list(home.parents)[:HUB_CACHE_LEVELS] if place.name == "snapshots"]
    return not any(target.is_relative_to(cache / "blobs") for cache in caches)


def is_checkpoint(folder: Path) -> bool:
    """Whether `folder` holds a config.json and weights: what a checkpoint cannot do without."""
    return (folder / "config.json").is_file() and any((folder / name).is_file() for name in WEIGHTS_FILES)


def read_run_folder(folder: Path) -> RunFolder:
    """List what `folder` holds of a run; everything may be absent. Never raises for a damaged report: it warns."""
    warnings: list[str] = []
    report = _read_report(folder / "seeds" / "seed_report.json", warnings)
    cache = folder / "decoder_grid_cache.json"
    return RunFolder(
        folder=folder,
        model=folder / "model" if is_checkpoint(folder / "model") else None,
        seeds=_seeds(folder / "seeds", report),
        encoded_values=tuple(sorted(path for path in folder.glob("encoded_values*.csv") if path.is_file())),
        decoder_grid_cache=cache if cache.is_file() else None,
        warnings=tuple(warnings),
    )


def runs_below(folder: Path) -> tuple[Path, ...]:
    """The run folders directly inside `folder` (an `experiment_dir` that holds one folder per run id), sorted."""
    inside = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(sorted(path for path in inside if is_checkpoint(path) or read_run_folder(path).checkpoint is not None))


NO_CHECKPOINT = "holds no config.json with weights, no model/ and no seeds/: it is no GRADIEND checkpoint."


def nothing_found(folder: Path) -> str:
    """The sentence for a folder that stands for no single checkpoint: what was looked for, and what there is."""
    run, name = read_run_folder(folder), folder.name or str(folder)
    if run.seeds:
        kept = ", ".join(f"seeds/{seed.folder.name}" for seed in run.seeds if seed.folder is not None)
        return f"{name} holds no model/ and " + (
            f"seed_report.json does not say which seed is the best: give one of {kept}."
            if kept and run.best_seed is None
            else "the checkpoint of its best seed was not kept" + (f": give one of {kept}." if kept else ".")
        )
    runs = runs_below(folder)
    if runs:
        return f"{name} holds {len(runs)} run(s): give one of {', '.join(path.name for path in runs)}."
    return f"{name} {NO_CHECKPOINT}"


def _seeds(folder: Path, report: Mapping[str, Any]) -> tuple[SeedRun, ...]:
    """Seeds of the report and of the disk together."""
    entries = report.get("runs")
    listed = entries[:MAX_SEEDS] if isinstance(entries, list) else ()
    found = {run.seed: run for entry in listed if (run := _run(folder, entry))}
    for path in sorted(folder.glob("seed_*"))[:MAX_SEEDS] if folder.is_dir() else ():
        number = path.name.removeprefix("seed_")
        if is_checkpoint(path) and number.isascii() and number.isdecimal() and int(number) not in found:
            found[int(number)] = SeedRun(int(number), path, _trained_correlation(path), None, None)
    best = report.get("best_seed")
    chosen = best if isinstance(best, int) and not isinstance(best, bool) else _best_of(found)
    return tuple(replace(found[seed], best=seed == chosen) for seed in sorted(found))


def _run(folder: Path, entry: object) -> SeedRun | None:
    if not isinstance(entry, Mapping):
        return None
    seed, stated = entry.get("seed"), entry.get("output_dir")
    if isinstance(seed, bool) or not isinstance(seed, int):
        return None
    last = stated.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] if isinstance(stated, str) else ""
    names = [name for name in (last, f"seed_{seed}") if can_be_name(name)]
    kept = next((folder / name for name in names if is_checkpoint(folder / name)), None)
    correlation = _number(entry.get("eval_correlation"))
    if correlation is None and entry.get("convergence_metric") == "correlation":
        correlation = _number(entry.get("convergence_metric_value"))
    if correlation is None and kept is not None:
        correlation = _trained_correlation(kept)
    converged = entry.get("converged")
    score = _number(entry.get("selection_score"))
    return SeedRun(seed, kept, correlation, converged if isinstance(converged, bool) else None, score)


def _best_of(runs: Mapping[int, SeedRun]) -> int | None:
    """The reference's choice: the converged seed with the highest score, else the one that correlates most."""
    by_score = [(run.score, run.seed) for run in runs.values() if run.converged and run.score is not None]
    by_correlation = [(run.correlation, run.seed) for run in runs.values() if run.correlation is not None]
    ranked = by_score or by_correlation
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _trained_correlation(folder: Path) -> float | None:
    content = _read_report(folder / "training.json", [])
    best = content.get("best_score_checkpoint")
    return _number(best.get("correlation")) if isinstance(best, Mapping) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _read_report(path: Path, warnings: list[str]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        if leads_out(path, path.parent):
            raise ValueError("it is a link that leads out of its folder")
        content = read_json(path)
        if not isinstance(content, Mapping):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError) as error:
        warnings.append(remark("report_unread", file=f"{path.parent.name}/{path.name}", why=error))
        return {}
    return content


def checkpoint_in(folder: Path) -> Path:
    """The GRADIEND or run folder in an unpacked zip: at its root or one folder down.

    A config.json at the root makes it the root, whatever it says: reading it refuses with what is wrong.
    Raises BadCheckpoint when there is none, or more than one.
    """
    if (folder / "config.json").is_file() or holds_gradiend(folder):
        return folder
    found = [inside for inside in sorted(folder.iterdir()) if inside.is_dir() and holds_gradiend(inside)]
    if len(found) > 1:
        names = ", ".join(inside.name for inside in found)
        several = BadCheckpoint(f"The zip holds several GRADIENDs ({names}): pack and upload one of them.")
        raise several.known_as("load.zip_several", names=names)
    if not found:
        bases = [item.name for item in sorted(folder.iterdir()) if item.is_dir() and holds_base(item)]
        if bases:
            names = ", ".join(bases)[:200]
            raise BadCheckpoint(
                f"The zip holds a base model ({names}) and no GRADIEND: pack the folder with the "
                "GRADIEND's config.json and weights, and the base model beside it."
            ).known_as("load.zip_base", names=names)
        inside = [item for item in sorted(folder.iterdir()) if item.is_dir()]
        one = inside[0] if len(inside) == 1 else None
        told = nothing_found(one or folder).replace(folder.name, "The zip", 1)
        pack = "Pack the folder that holds the GRADIEND's config.json and weights, or its run."
        none = BadCheckpoint(f"{told} {pack}")
        name: Text | str = one.name if one else ("load.the_zip", {})
        raise none.known_as("load.zip_no_gradiend", name=name) if told.endswith(NO_CHECKPOINT) else none
    return found[0]


def holds_base(folder: Path) -> bool:
    """Whether its config.json is that of a model, and of no GRADIEND."""
    config = object_at(folder / "config.json")
    return "model_type" in config and not describes_gradiend(config)


def holds_gradiend(folder: Path) -> bool:
    """Whether it can be opened: a GRADIEND (a base model is none) or the folder of a run that kept one."""
    config = folder / "config.json"
    if config.is_file():
        if not is_checkpoint(folder):
            return False
        try:
            return describes_gradiend(read_json(config))
        except (OSError, ValueError):
            return False
    run = read_run_folder(folder)
    return run.checkpoint is not None or bool(run.seeds)
