"""One sweep, in a process of its own, by ours or by the reference: seconds, peak memory and every number.

`python -m tests.programs.sweep_once SIDE WORKLOAD FOLDER`; prints one JSON line at the end.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

from tests.programs.workloads import Workload, build

KILOBYTE = 1024
FACTORS = (-1.0, 1.0)


def main() -> None:
    side, name, folder = sys.argv[1:4]
    workload = build(name, Path(folder))
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the numbers
    answer = SIDES[side](workload)
    answer["peak_mb"] = peak_mb()
    channel.write(json.dumps(answer) + "\n")
    channel.close()


def ours(workload: Workload) -> dict[str, Any]:
    from gradiend_ui.trainer import TextPredictionTrainer, TrainingArguments

    trainer = TextPredictionTrainer(
        model=str(workload.checkpoint), data=workload.table, eval_neutral_data=workload.texts,
        target_classes=["M", "F"], args=TrainingArguments(experiment_dir=None),
    )  # fmt: skip
    return measured(trainer, workload)


def peer(workload: Workload) -> dict[str, Any]:
    import pandas as pd
    from gradiend import TextPredictionTrainer, TrainingArguments

    trainer = TextPredictionTrainer(
        model=str(workload.checkpoint), data=workload.table, target_classes=["M", "F"],
        eval_neutral_data=pd.DataFrame({"text": workload.texts}), args=TrainingArguments(experiment_dir=None),
    )  # fmt: skip
    return measured(trainer, workload)


def measured(trainer: Any, workload: Workload) -> dict[str, Any]:
    """Both sides have the same method; base model and GRADIEND are loaded before the clock starts."""
    trainer.get_model()
    loaded = peak_mb()
    options = {} if workload.rates is None else {"lrs": list(workload.rates)}
    began = time.perf_counter()
    result = trainer.evaluate_decoder(feature_factors=list(FACTORS), use_cache=False, **options)
    seconds = time.perf_counter() - began
    grid = result.pop("grid")
    cells = {key if key == "base" else f"{key[0]:g} {key[1]:g}": numbers(cell) for key, cell in grid.items()}
    chosen = {name: [result[name]["feature_factor"], result[name]["learning_rate"]] for name in ("M", "F")}
    return {"seconds": seconds, "loaded_mb": loaded, "cells": cells, "chosen": chosen}


def peak_mb() -> float:
    """The most memory that this process has held so far; what `getrusage` tells begins with the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * KILOBYTE / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE / 1e6


def numbers(cell: dict[str, Any]) -> dict[str, float]:
    found = {f"{d}|{c}": float(p) for d, row in cell["probs_by_dataset"].items() for c, p in row.items()}
    return {**found, "lms": float(cell["lms"]["lms"])}


SIDES = {"ours": ours, "peer": peer}

if __name__ == "__main__":
    main()
