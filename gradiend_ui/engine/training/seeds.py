"""Several seeds of one training: each in a folder of its own, a report, and the best one promoted.

Stops early once enough seeds have converged. After an interruption the finished seeds are not trained again.
Layout and choice of the best seed: `gradiend` 0.2.3.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.checkpoint.writing import OWN_FILES, carry_over, checked_place
from gradiend_ui.engine.errors import BadGrid, Failed
from gradiend_ui.engine.files.model_files import CONTEXT, TRAINING
from gradiend_ui.engine.files.whole_or_absent import new_folder
from gradiend_ui.engine.training.loop import NEVER, TrainingPlan, TrainingStep, train_gradiend
from gradiend_ui.engine.training.record import load_training_stats, write_json
from gradiend_ui.engine.training.settings import SAVED, Convergence

KEPT_OF_A_SEED = frozenset({TRAINING, CONTEXT})
UNDER_WAY = ".under_way.json"
SCORES = ("eval_correlation", "convergence_metric_value", "training_score")

Selection = Callable[[Path], float | None]


@dataclass(frozen=True)
class SeedPlan:
    """Which seeds are tried and what stays of them.

    first: the first seed; the others follow it. saved: of which seeds the weights are kept: "best_only" (as the model
    only), "all_convergent", "all_tried". demand: raise Failed when fewer than `Convergence.min_seeds` converged.
    selection: encoder correlation of a finished seed's folder on the rows that choose between seeds; None: the
    correlation of its best step chooses. share_pruning: all seeds pre-prune to the same weights, the first seed's.
    reuse: finished seeds of the very same run are taken over even when that run was not interrupted.
    """

    max_seeds: int = 3
    first: int = 0
    saved: str = "all_convergent"
    demand: bool = False
    folder: Path | None = None
    selection: Selection | None = field(default=None, repr=False)
    share_pruning: bool = False
    reuse: bool = False

    def __post_init__(self) -> None:
        if self.saved not in SAVED:
            raise BadGrid(f"saved_seed_runs must be one of {', '.join(SAVED)}, not {self.saved!r}.")
        if self.max_seeds < 1:
            raise BadGrid(f"max_seeds must be a whole number from 1, not {self.max_seeds!r}.")


def train_seeds(
    base: BaseModel,
    plan: TrainingPlan,
    seeds: SeedPlan,
    experiment_dir: Path,
    *,
    output_dir: Path | None = None,
    should_stop: Callable[[], bool] = NEVER,
) -> Iterator[TrainingStep]:
    """Train seed after seed under `experiment_dir`/seeds/seed_N, write seeds/seed_report.json, copy the best to model/.

    Yields every seed's steps, and a last step whose folder is the promoted model. Goes on where it was stopped.
    Raises what `train_gradiend` raises; Failed when too few seeds converge and `seeds.demand` is set.
    """
    checked_place(output_dir or experiment_dir / "model")  # before the first step
    folder = seeds.folder or experiment_dir / "seeds"
    rule = plan.settings.convergence
    runs: list[dict[str, Any]] = []
    last: TrainingStep | None = None
    under_way = folder / UNDER_WAY
    fingerprints = plan.fingerprints(base)
    reuse = seeds.reuse or _written(under_way) in fingerprints
    write_json(under_way, fingerprints[0])
    for seed in range(seeds.first, seeds.first + seeds.max_seeds):
        own = _plan_of_seed(plan, seed, seeds)
        place = folder / f"seed_{seed}"
        done = reuse and _finished(place, own, base)
        if not done:
            for step in train_gradiend(base, own, place, should_stop=should_stop):
                last = step
                yield step if step.folder is None else replace(step, folder=None)
            if last is None or last.folder is None:
                return
        runs.append(_report_of(place, seed, rule, seeds, runs, used_cache=done))
        if rule.min_seeds is not None and _converged(runs) >= rule.min_seeds:
            break
    best, strategy = best_run(runs, rule.metric)
    report = _report(runs, best, strategy, rule, seeds)
    write_json(folder / "seed_report.json", report)
    model = output_dir or experiment_dir / "model"
    _promote(Path(best["output_dir"]), model, rule, report, best)
    _clean(runs, seeds.saved)
    under_way.unlink(missing_ok=True)
    if seeds.demand and rule.min_seeds is not None and _converged(runs) < rule.min_seeds:
        raise Failed(_too_few(runs, rule, seeds))
    step = last or TrainingStep(int(best["seed"]), 0, 0, None, None, None, None)
    yield replace(step, seed=int(best["seed"]), loss=None, evaluation=None, folder=model)


def _plan_of_seed(plan: TrainingPlan, seed: int, seeds: SeedPlan) -> TrainingPlan:
    settings = plan.settings.with_seed(seed)
    pruning = settings.pre_prune
    if seeds.share_pruning and pruning is not None and pruning.seed is None:
        settings = replace(settings, pre_prune=replace(pruning, seed=seeds.first))
    return replace(plan, settings=settings)


def _written(path: Path) -> object:
    """The JSON value in a small file of ours; None when there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def best_run(runs: Sequence[Mapping[str, Any]], metric: str) -> tuple[Mapping[str, Any], str]:
    """The run to promote and how it was chosen: the converged one that scores highest, else the highest of all."""
    converged = [run for run in runs if run["converged"]]
    if converged:
        return max(converged, key=lambda run: _number(run["selection_score"])), "best_convergent_selection_score"
    if metric == "correlation":
        return max(runs, key=_correlation), "highest_correlation_fallback"
    return max(runs, key=lambda run: _number(run["selection_score"])), "best_available_selection_score"


def _correlation(run: Mapping[str, Any]) -> float:
    return next((float(run[name]) for name in SCORES if run[name] is not None), float("-inf"))


def _number(value: float | None) -> float:
    return float("-inf") if value is None else float(value)


def _converged(runs: Sequence[Mapping[str, Any]]) -> int:
    return sum(bool(run["converged"]) for run in runs)


def _finished(place: Path, plan: TrainingPlan, base: BaseModel) -> bool:
    """Whether `place` already holds this very run, weights and all."""
    if not (place / "config.json").is_file() or not (place / "training.json").is_file():
        return False
    record = load_training_stats(place) or {}
    stored = record.get("cache_fingerprint")
    return isinstance(stored, Mapping) and stored.get("run") in plan.fingerprints(base)


def _report_of(
    place: Path,
    seed: int,
    rule: Convergence,
    seeds: SeedPlan,
    earlier: Sequence[Mapping[str, Any]],
    *,
    used_cache: bool,
) -> dict[str, Any]:
    record = load_training_stats(place) or {}
    best, info = record["best_score_checkpoint"], record["convergence_info"]
    score = best["correlation"]
    needless = bool(earlier) and _converged(earlier) >= 1
    asked = seeds.selection is not None and rule.metric == "correlation" and not needless
    worth = score is not None and (rule.threshold is None or score >= rule.threshold)
    checked = seeds.selection(place) if asked and worth and seeds.selection is not None else None
    losses, step = record["losses"], best["global_step"]
    value = score if rule.metric == "correlation" else (losses[step - 1] if step else None)
    return {
        "seed": seed,
        "output_dir": str(place),
        "trained": not used_cache,
        "used_cache": used_cache,
        "training_score": score,
        "eval_correlation": checked,
        "selection_score": score if checked is None else checked,
        "convergence_metric": rule.metric,
        "convergence_metric_value": value,
        "best_checkpoint_global_step": step,
        "threshold": rule.threshold,
        "convergent_mean_by_class_threshold": rule.mean_threshold,
        "convergent_min_target_class_abs_mean": info["convergent_min_target_class_abs_mean"],
        "converged": bool(info["converged"]) and (rule.metric == "loss" or worth),
        "split_cycle_index": None,
        "split_cycle_length": None,
    }


def _report(
    runs: Sequence[Mapping[str, Any]], best: Mapping[str, Any], strategy: str, rule: Convergence, seeds: SeedPlan
) -> dict[str, Any]:
    count = _converged(runs)
    enough = rule.min_seeds is not None and count >= rule.min_seeds
    reason = f"min_convergent_seeds reached: {count} >= {rule.min_seeds} with metric={rule.metric} " \
             f"threshold={rule.threshold}"  # fmt: skip
    return {
        "convergence_metric": rule.metric,
        "threshold": rule.threshold,
        "convergent_mean_by_class_threshold": rule.mean_threshold,
        "min_convergent_seeds": rule.min_seeds,
        "max_seeds": seeds.max_seeds,
        "seeds_tried": [run["seed"] for run in runs],
        "convergent_count": count,
        "convergent_seeds": [run["seed"] for run in runs if run["converged"]],
        "best_seed": best["seed"],
        "best_selection_score": None if _number(best["selection_score"]) == float("-inf") else best["selection_score"],
        "best_seed_selection_strategy": strategy,
        "early_stop_reason": reason if enough else None,
        "runs": list(runs),
    }


def _promote(chosen: Path, model: Path, rule: Convergence, report: Mapping[str, Any], best: Mapping[str, Any]) -> None:
    """Copy the chosen seed to `model`, with what all seeds say about convergence in its training.json.

    Files in `model` that are no checkpoint's stay there.
    """
    model = checked_place(model)
    try:
        with new_folder(model) as partial:
            shutil.copytree(chosen, partial, dirs_exist_ok=True)
            record = load_training_stats(chosen) or {}
            count = int(report["convergent_count"])
            record["convergence_info"] |= {
                "converged": count > 0 if rule.min_seeds else True,
                "convergent_count": count,
                "convergent_min_target_class_abs_mean": best["convergent_min_target_class_abs_mean"],
            }
            write_json(partial / "training.json", record)
            carry_over(model, partial)
    except OSError as error:
        raise Failed(f"The best seed could not be copied to {model.name}: {error.strerror or error}.") from error


def _clean(runs: Sequence[Mapping[str, Any]], saved: str) -> None:
    """Remove the weights of the seeds that are not kept; their statistics stay."""
    for run in runs:
        if saved == "all_tried" or (saved == "all_convergent" and run["converged"]):
            continue
        for name in OWN_FILES - KEPT_OF_A_SEED:
            (Path(run["output_dir"]) / name).unlink(missing_ok=True)


def _too_few(runs: Sequence[Mapping[str, Any]], rule: Convergence, seeds: SeedPlan) -> str:
    values = ", ".join(f"seed {run['seed']}: {run['convergence_metric_value']}" for run in runs)
    return (
        f"{_converged(runs)} of {len(runs)} seeds converged, {rule.min_seeds} are asked for ({rule.metric} threshold "
        f"{rule.threshold}; {values}). Train longer, raise max_seeds (now {seeds.max_seeds}), or lower "
        "min_convergent_seeds or the threshold."
    )
