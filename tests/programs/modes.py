"""What the ways to sweep cost beside the whole float32 grid: first look, winner only, bfloat16.

    python -m tests.programs.modes [--workload demo mini] [--rounds 3] [--json OUT]

Every way runs in this process, one after the other, on a store in memory; quoted is the median of the ratios of the
rounds. Every answer is compared with that of the whole grid.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.winner import select
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.order import CellOrder, WholeGrid, WinnerSearch
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, CellScore
from gradiend_ui.engine.worker.handlers.sweeping import winner_questions
from tests.programs.workloads import Workload, build

FACTORS = (-1.0, 1.0)
Timed = dict[str, Any]


def plan_of(workload: Workload) -> PreparedSweep:
    model = ModelWithGradiend.from_pretrained(workload.checkpoint)
    spec = SweepSpec(feature_factors=FACTORS, learning_rates=workload.rates or DEFAULT_LEARNING_RATES)
    return prepare(model, spec, read_rows(workload.table), read_neutral(workload.texts))


def timed(plan: PreparedSweep, order: Callable[[PreparedSweep], CellOrder]) -> Timed:
    """One sweep: seconds in all, seconds until every cell has a value, blocks scored, the last score of each cell."""
    store, complete, last = Store(":memory:"), None, dict[int, CellScore]()
    run_id = store.create_run("benchmark", {}, {"fingerprint": plan.fingerprint}, plan.grid.cells)
    began = time.perf_counter()
    for step in run(plan, plan.model.workspace(), store, run_id, order=order(plan)):
        last[step.place] = step.score
        seen = len(last) == len(plan.cells) and all(s.probs_by_dataset and s.lms for s in last.values())
        complete = complete or (time.perf_counter() - began if seen else None)
    seconds = time.perf_counter() - began
    blocks = sum(store.block_counts(plan.fingerprint).values())
    store.close()
    return {"seconds": seconds, "complete": complete, "blocks": blocks, "scores": [last[k] for k in range(len(last))]}


def whole(plan: PreparedSweep, first_look: str | None = None) -> CellOrder:
    return WholeGrid(plan, [0] * len(plan.cells), first_look)


def winner(plan: PreparedSweep) -> CellOrder:
    return WinnerSearch(plan, winner_questions(plan), plan.spec.winner_ratio)


def answers(plan: PreparedSweep, scores: Sequence[CellScore]) -> list[tuple[float, float]]:
    chosen = [select(question, scores[0], scores[1:]) for question in winner_questions(plan)]
    return [(choice.feature_factor, choice.learning_rate) for choice in chosen]


def compared(workload: Workload, rounds: int) -> dict[str, Any]:
    plan = plan_of(workload)
    low = replace(plan, spec=replace(plan.spec, precision="bfloat16"))
    found: dict[str, list[Timed]] = {"whole": [], "first look": [], "winner": [], "bfloat16": [], "bfloat16 look": []}
    for _ in range(rounds):
        found["whole"].append(timed(plan, whole))
        found["first look"].append(timed(plan, lambda p: whole(p, "float32")))
        found["winner"].append(timed(plan, winner))
        found["bfloat16"].append(timed(low, whole))
        found["bfloat16 look"].append(timed(plan, lambda p: whole(p, "bfloat16")))

    def share(name: str, key: str = "seconds") -> float:
        pairs = zip(found[name], found["whole"], strict=True)
        return statistics.median(one[key] / other["seconds"] for one, other in pairs)

    base = found["bfloat16"][0]["scores"][0].errors
    exact = found["whole"][0]["scores"]
    return {
        "workload": workload.name,
        "cells": len(plan.cells),
        "whole seconds": statistics.median(one["seconds"] for one in found["whole"]),
        "first look, complete heatmap": share("first look", "complete"),
        "first look, whole sweep": share("first look"),
        "first look in bfloat16, complete heatmap": share("bfloat16 look", "complete"),
        "first look in bfloat16, whole sweep": share("bfloat16 look"),
        "final numbers equal": found["first look"][0]["scores"] == exact,
        "winner only": share("winner"),
        "winner only, blocks": found["winner"][0]["blocks"] / found["whole"][0]["blocks"],
        "winner equal": answers(plan, found["winner"][0]["scores"]) == answers(plan, exact),
        "bfloat16": share("bfloat16"),
        "bfloat16, error of a probability on the base": max(e for key, e in base.items() if key != "lms"),
        "bfloat16, error of the LMS on the base": base["lms"],
        "bfloat16, same winners": answers(plan, found["bfloat16"][0]["scores"]) == answers(plan, exact),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", default=["demo", "mini"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every number there")
    options = parser.parse_args(arguments)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workload:
            table.append(compared(build(name, Path(folder)), options.rounds))
            for key, value in table[-1].items():
                print(f"{key:45} {value:.4f}" if isinstance(value, float) else f"{key:45} {value}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
