"""Requests for a sweep: plan it, write the run to the store. The worker takes it from there."""

from __future__ import annotations

from dataclasses import asdict, replace

from gradiend_ui.engine.answers.run import DataOfSweep, StartedSweep, StateAnswer
from gradiend_ui.engine.errors import BadGrid, NotFound, TooLarge
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.selection.winner import Question
from gradiend_ui.engine.store.queue import check_turn
from gradiend_ui.engine.store.results import cell_key
from gradiend_ui.engine.store.run_info import KeptInfo
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.sweep.known_cells import with_tables
from gradiend_ui.engine.sweep.order import CellOrder, WholeGrid, WinnerSearch
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.provenance import provenance
from gradiend_ui.engine.sweep.spec import AskedSweep, SweepSpec
from gradiend_ui.engine.uploads.request_limits import check_size
from gradiend_ui.engine.values import (
    DEFAULT_LIMITS,
    GIGABYTE,
    PRECISIONS,
    STOPPABLE_STATES,
    WINNER_GOALS,
    BatchLimits,
    Cell,
)
from gradiend_ui.engine.weights.workspace import free_bytes
from gradiend_ui.engine.worker.handlers.data import rows_summary, unknown_in
from gradiend_ui.engine.worker.health_card import Loaded, sizes_of
from gradiend_ui.engine.worker.requests import DeleteRun, FinishCell, StartSweep, Wake
from gradiend_ui.engine.worker.resources import Resources

GPU_LIMITS = BatchLimits(rows=256, tokens=32_768, points=8192)


def start(resources: Resources, request: StartSweep) -> StartedSweep:
    """Raises TooLarge, Busy, and as planning does."""
    loaded, most = resources.checkpoint(request.checkpoint), request.most
    asked = replace(request.asked, data=with_tables(resources.store, request.asked.data))
    limits = limits_for(loaded, asked.spec)
    resources.check_extent(loaded, asked, most)
    plan = resources.prepared(loaded, asked, limits=limits)
    check_size(most, cells=len(plan.grid), rows=len(plan.rows), texts=sum(plan.lms.block_texts))
    info, told = _info(resources, loaded, asked, plan), _data_told(resources, request.checkpoint, loaded, asked, plan)
    visitor, store = request.visitor, resources.store
    check_turn(store.active_runs(visitor), store.active_runs(), most)  # one worker: nobody comes in between
    cells = plan.grid.cells
    run_id = store.create_run(request.checkpoint, asked.as_json(whole=True), info, cells, visitor, request.key_hash)
    resources.keep_plan(run_id, plan)
    return {"run": run_id, "cells": len(cells), "position": store.position(run_id), **told}


def _data_told(
    resources: Resources, checkpoint: str, loaded: Loaded, asked: AskedSweep, plan: PreparedSweep
) -> DataOfSweep:
    """What became of the rows and texts, as a page tells it; read before there is a run, since that may take time."""
    rows, texts = resources.data.rows(loaded, asked.data), resources.data.own_neutral(asked.data)
    notes = (*rows.notes, *(() if texts is None else texts.notes))
    return {
        "rows_used": len(plan.rows),
        "rows_dropped": rows.dropped,
        "unknown_classes": unknown_in(resources, checkpoint, asked.data),
        "notes": [str(note) for note in notes],
    }


def _info(resources: Resources, loaded: Loaded, asked: AskedSweep, plan: PreparedSweep) -> KeptInfo:
    """What is noted with a run: what a page tells of it, and what plans it again."""
    spec, words, data = asked.spec, plan.targets.words, resources.data.rows(loaded, asked.data)
    return {
        "classes": list(plan.targets.classes),
        "strengthening": loaded.model.strengthening_feature_factor,
        "feature_factors": list(plan.grid.feature_factors),
        "learning_rates": list(plan.grid.learning_rates),
        "neutral_set": resources.data.neutral_name(loaded, asked.data),
        "rows": len(plan.rows),
        "rows_left_out": len(data.rejected),
        **rows_summary(loaded, data, words),
        "neutral_tokens": plan.lms.tokens,
        "warnings": list(plan.warnings),
        "behind_padding": plan.objective.after_padding if isinstance(plan.objective, ClmNextToken) else 0,
        **planned_info(plan),
        "spec": {
            "goal": spec.goal,
            "part": spec.part,
            "token_boundary": spec.token_boundary,
            "split": spec.split,
            "again": spec.again,
            "target_classes": list(spec.target_classes or plan.targets.classes),
            "precision": spec.precision,
            "first_look": spec.first_look,
            "winner_only": spec.winner_only,
            "winner_ratio": spec.winner_ratio,
        },
    }


def planned_info(plan: PreparedSweep) -> KeptInfo:
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


def plan_smaller(resources: Resources, run_id: str) -> bool:
    """Plan a run that ran out of memory again, with half as much at once; False when it is single rows already.

    The run begins anew: results of different blocks are not mixed.
    """
    record = resources.store.run(run_id)
    limits = BatchLimits(**record.info["batches"]).halved()
    if limits is None:
        return False
    said = f"The memory was too small for the blocks of this sweep: it began anew with {limits.rows} rows at a time."
    _begin_anew(resources, record, resources.planned(record, limits), said)
    return True


def plan_by_todays_scorer(resources: Resources, run_id: str, plan: PreparedSweep) -> bool:
    """Let a run that an earlier version began wait for its turn anew: numbers of two scorers never meet. False for a
    run of today's."""
    record = resources.store.run(run_id)
    if plan.is_called(record.info["fingerprint"]):
        return False
    said = "A version before this one began this sweep and scored a little differently: it began anew."
    _begin_anew(resources, record, plan, said)
    return True


def _begin_anew(resources: Resources, record: Run, plan: PreparedSweep, said: str) -> None:
    resources.keep_plan(record.id, plan)
    info: KeptInfo = {**record.info, **planned_info(plan)}
    info["other_fingerprints"] += [record.info["fingerprint"], *record.info.get("other_fingerprints", ())]
    info["warnings"] = [*(text for text in record.info["warnings"] if not text.startswith(said[:20])), said]
    resources.store.plan_again(record.id, info)


def order_of(resources: Resources, run_id: str, plan: PreparedSweep) -> CellOrder:
    """In which order the cells of a run are scored, as its spec asks for."""
    spec = plan.spec
    if spec.winner_only:
        return WinnerSearch(plan, winner_questions(plan), spec.winner_ratio, lambda: _wanted(resources, run_id, plan))
    fingerprint = f"{plan.fingerprint}/{run_id}" if spec.again else plan.fingerprint
    counts = resources.store.block_counts(fingerprint)
    known = [counts.get(cell_key(cell), 0) for cell in plan.cells]
    first_look = {"same": spec.precision, "bfloat16": "bfloat16", "off": None}[spec.first_look]
    return WholeGrid(plan, known, first_look)


def wake(resources: Resources, request: Wake) -> None:
    """A request is enough: the worker looks for work after it."""


def finish_cell(resources: Resources, request: FinishCell) -> StateAnswer:
    """The run goes on for it; nothing else of it is computed again. Raises NotFound, BadGrid."""
    record = resources.store.run(request.run)
    plan = resources.plan(record.id)
    cell = request.cell.in_sweep_of(plan.spec.part)
    if cell not in plan.grid.cells:
        raise NotFound(f"({cell.feature_factor:g}, {cell.learning_rate:g}) is no cell of this sweep.")
    if not plan.spec.winner_only:
        raise BadGrid("This sweep scores every cell by itself: only one that looks for the winner skips cells.")
    wanted = list(record.info.get("wanted", ()))
    if cell.as_json() not in wanted:
        resources.store.set_info(record.id, {**record.info, "wanted": [*wanted, cell.as_json()]})
    return {"state": resources.store.set_state(record.id, "queued", only_from=("finished",))}


def _wanted(resources: Resources, run_id: str, plan: PreparedSweep) -> list[int]:
    """The places of the cells that were asked for by themselves, so far."""
    wanted = {Cell.of(cell) for cell in resources.store.run(run_id).info.get("wanted", ())}
    return [place for place, cell in enumerate(plan.cells) if cell in wanted]


def winner_questions(plan: PreparedSweep) -> list[Question]:
    """Whose winners a sweep is to find: the spec's classes, for its goal or for both."""
    spec, classes = plan.spec, plan.targets.classes
    goals = WINNER_GOALS if spec.goal == "both" else (spec.goal,)
    factors = plan.model.strengthening_feature_factor
    known = {name: factors[name] for name in classes if name in factors}
    return [Question(name, classes, known, goal) for goal in goals for name in spec.target_classes or classes]


def delete_run(resources: Resources, request: DeleteRun) -> None:
    """In the process that sweeps: so nothing is written to the run afterwards."""
    resources.store.set_state(request.run, "stopped", only_from=STOPPABLE_STATES)
    resources.store.delete_run(request.run)
