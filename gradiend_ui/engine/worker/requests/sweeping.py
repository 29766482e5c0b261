"""Request for a sweep: plan it, write the run to the store. The lane takes it from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gradiend_ui.engine.errors import BadGrid, NotFound, TooLarge
from gradiend_ui.engine.selection.winner import Question
from gradiend_ui.engine.store.store import cell_key
from gradiend_ui.engine.store.turns import check_turn
from gradiend_ui.engine.sweep.order import Course, WholeGrid, WinnerSearch
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.provenance import provenance
from gradiend_ui.engine.uploads.limits import check_size
from gradiend_ui.engine.values import (
    DEFAULT_LIMITS,
    GIGABYTE,
    PRECISIONS,
    WINNER_GOALS,
    BatchLimits,
    SweepSpec,
    spec_from_mapping,
)
from gradiend_ui.engine.weights.workspace import free_bytes
from gradiend_ui.engine.worker.bench import Bench, asked_options, cell_of
from gradiend_ui.engine.worker.health_card import Loaded, sizes_of
from gradiend_ui.engine.worker.requests.data import rows_summary

KEPT_OPTIONS = (
    "goal", "part", "token_boundary", "split", "again", "precision", "first_look", "winner_only", "winner_ratio",
)  # fmt: skip
GPU_LIMITS = BatchLimits(rows=256, tokens=32_768, points=8192)


def start(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{checkpoint, spec, visitor?, key_hash?, most?} -> {run, cells, position}; the run is queued.

    visitor: whose turn it takes. key_hash: of the key that controls the run; the key itself is not known here. most:
    the largest sweep that is taken (cells, rows, texts), and how many may be queued or going on (runs, runs_each).
    Raises TooLarge, Busy.
    """
    handle = str(request["checkpoint"])
    loaded = bench.checkpoint(handle)
    options, data_options = asked_options(request["spec"])
    data_options |= {key: bench.given(data_options, key) for key in ("rows", "neutral") if key in data_options}
    spec = spec_from_mapping(options)
    limits = limits_for(loaded, spec)
    most = request.get("most") or {}
    bench.check_extent(loaded, spec, data_options, most)
    plan = bench.prepared(loaded, spec, data_options, limits=limits)
    check_size(most, cells=len(plan.grid), rows=len(plan.rows), texts=sum(plan.lms.block_texts))
    info = {
        "classes": list(plan.targets.classes),
        "strengthening": loaded.model.strengthening_feature_factor,
        "feature_factors": list(plan.grid.feature_factors),
        "learning_rates": list(plan.grid.learning_rates),
        "neutral_set": bench.neutral_name(loaded, data_options),
        "rows": len(plan.rows),
        **rows_summary(loaded, bench.rows(loaded, data_options), plan.targets.words),
        "neutral_tokens": plan.lms.tokens,
        "warnings": list(plan.warnings),
        **planned_info(plan),
        "spec": {name: getattr(spec, name) for name in KEPT_OPTIONS}
        | {"target_classes": list(spec.target_classes or plan.targets.classes)},
    }
    visitor, key_hash = str(request.get("visitor", "")), str(request.get("key_hash", ""))
    check_turn(bench.store.active_runs(visitor), bench.store.active_runs(), most)  # one lane: nobody comes in between
    run_id = bench.store.create_run(handle, {**options, **data_options}, info, plan.grid.cells, visitor, key_hash)
    bench.keep_plan(run_id, plan)
    return {"run": run_id, "cells": len(plan.grid), "position": bench.store.position(run_id)}


def planned_info(plan: PreparedSweep) -> dict[str, Any]:
    """What is noted of a plan with its run: under which names its results are kept, how it is cut into blocks, and what
    makes its numbers."""
    names = {plan.fingerprint_in(precision) for precision in PRECISIONS}
    return {
        "fingerprint": plan.fingerprint,
        "other_fingerprints": sorted(names - {plan.fingerprint}),
        "batches": asdict(plan.limits),
        "made_by": provenance(plan),
    }


def limits_for(loaded: Loaded, spec: SweepSpec) -> BatchLimits:
    """The most that is scored at once: what suits the device, less where its memory is short.

    Raises TooLarge when not even single rows fit.
    """
    device = loaded.model.base_model.device
    limits: BatchLimits | None = GPU_LIMITS if device.type == "cuda" else DEFAULT_LIMITS
    free = free_bytes(device)
    needed = 0
    while limits is not None:
        needed = sizes_of(loaded.model, limits, spec.precision).beyond_loaded
        if free is None or needed <= free:
            return limits
        limits = limits.halved()
    raise TooLarge(
        f"This sweep needs {needed / GIGABYTE:.1f} GB of memory beside the loaded model, and "
        f"{(free or 0) / GIGABYTE:.1f} GB are free: close other programs, or sweep on a machine with more."
    )


def plan_smaller(bench: Bench, run_id: str) -> bool:
    """Plan a run that ran out of memory again, with half as much at once; False when it is single rows already.

    The run begins anew: results of different blocks are not mixed.
    """
    record = bench.store.run(run_id)
    limits = BatchLimits(**record.info["batches"]).halved()
    if limits is None:
        return False
    plan = bench.planned(record, limits)
    bench.keep_plan(run_id, plan)
    info = {**record.info, **planned_info(plan)}
    info["other_fingerprints"] += [record.info["fingerprint"], *record.info["other_fingerprints"]]
    said = f"The memory was too small for the blocks of this sweep: it began anew with {limits.rows} rows at a time."
    info["warnings"] = [*(text for text in record.info["warnings"] if not text.startswith(said[:20])), said]
    bench.store.plan_again(run_id, info)
    return True


def course_of(bench: Bench, run_id: str, plan: PreparedSweep) -> Course:
    """In which order the cells of a run are scored, as its spec asks for."""
    spec = plan.spec
    if spec.winner_only:
        return WinnerSearch(plan, winner_questions(plan), spec.winner_ratio, lambda: _wanted(bench, run_id, plan))
    fingerprint = f"{plan.fingerprint}/{run_id}" if spec.again else plan.fingerprint
    counts = bench.store.block_counts(fingerprint)
    known = [counts.get(cell_key(cell), 0) for cell in plan.cells]
    first_look = {"same": spec.precision, "bfloat16": "bfloat16", "off": None}[spec.first_look]
    return WholeGrid(plan, known, first_look)


def finish_cell(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{run, cell} -> {state}: score a cell that a search for the winner skipped. Raises NotFound, BadGrid.

    The run goes on for it; nothing else of it is computed again.
    """
    record, cell = bench.store.run(str(request["run"])), cell_of(request["cell"])
    plan = bench.plan(record.id)
    if cell not in plan.grid.cells:
        raise NotFound(f"({cell.feature_factor:g}, {cell.learning_rate:g}) is no cell of this sweep.")
    if not plan.spec.winner_only:
        raise BadGrid("This sweep scores every cell by itself: only one that looks for the winner skips cells.")
    asked = {"feature_factor": cell.feature_factor, "learning_rate": cell.learning_rate}
    wanted = list(record.info.get("wanted", ()))
    if asked not in wanted:
        bench.store.set_info(record.id, {**record.info, "wanted": [*wanted, asked]})
    return {"state": bench.store.set_state(record.id, "queued", only_from=("finished",))}


def _wanted(bench: Bench, run_id: str, plan: PreparedSweep) -> list[int]:
    """The places of the cells that were asked for by themselves, so far."""
    wanted = {cell_of(cell) for cell in bench.store.run(run_id).info.get("wanted", ())}
    return [place for place, cell in enumerate(plan.cells) if cell in wanted]


def winner_questions(plan: PreparedSweep) -> list[Question]:
    """Whose winners a sweep is to find: the spec's classes, for its goal or for both."""
    spec, classes = plan.spec, plan.targets.classes
    goals = WINNER_GOALS if spec.goal == "both" else (spec.goal,)
    factors = plan.model.strengthening_feature_factor
    known = {name: factors[name] for name in classes if name in factors}
    return [Question(name, classes, known, goal) for goal in goals for name in spec.target_classes or classes]
