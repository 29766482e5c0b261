"""Request for a sweep: plan it, write the run to the store. The lane takes it from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.bench import Bench, split_options
from gradiend_ui.engine.requests.data import rows_summary
from gradiend_ui.engine.values import spec_from_mapping


def start(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{checkpoint, spec} -> {run, cells, position}; the run is queued."""
    handle = str(request["checkpoint"])
    loaded = bench.checkpoint(handle)
    options, data_options = split_options(request["spec"])
    data_options |= {key: bench.given(data_options, key) for key in ("rows", "neutral") if key in data_options}
    spec = spec_from_mapping(options)
    plan = bench.prepared(loaded, spec, data_options)
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
        "fingerprint": plan.fingerprint,
        "spec": {name: getattr(spec, name) for name in ("goal", "part", "token_boundary", "split", "again")}
        | {"target_classes": list(spec.target_classes or plan.targets.classes)},
    }
    run_id = bench.store.create_run(handle, {**options, **data_options}, info, plan.grid.cells)
    bench.keep_plan(run_id, plan)
    return {"run": run_id, "cells": len(plan.grid), "position": bench.store.position(run_id)}
