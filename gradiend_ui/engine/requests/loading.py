"""Requests about checkpoints: load one, open a finished sweep that lies beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradiend_ui.engine.bench import DEMO, Bench
from gradiend_ui.engine.finished_check import check, opened_info
from gradiend_ui.engine.finished_sweeps import finished_sweeps, shown_scores, sweep_named
from gradiend_ui.engine.health_card import card_of, probe


def load(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{source, options} -> the health card with its handle; the checkpoint stays in memory."""
    source, options = str(request["source"]), dict(request["options"])
    handle = "ck_" + hashlib.sha256(json.dumps([source, options], sort_keys=True).encode()).hexdigest()[:20]
    loaded = bench.read_checkpoint(source, options)
    bench.keep_checkpoint(handle, loaded)
    card = {"checkpoint": handle, **card_of(loaded, "demo" if source == DEMO else Path(source).name)}
    seconds, warnings = probe(loaded)
    card |= {"seconds_per_cell": seconds, "warnings": [*card["warnings"], *warnings]}
    bench.store.save_checkpoint(handle, source, options, card)
    return card


def open_finished(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """A finished sweep that lies beside a loaded checkpoint as a run of the store; nothing is swept."""
    handle = str(request["checkpoint"])
    loaded = bench.checkpoint(handle)
    sweeps, _ = finished_sweeps(loaded.model.checkpoint.folder)
    sweep = sweep_named(sweeps, dict(request.get("options") or {}).get("file"))
    checked = check(sweep, loaded.model, loaded.workspace, loaded.companions)
    info, scores = opened_info(sweep, loaded.model, checked), shown_scores(sweep.cache)
    run_id = bench.store.create_finished_run(handle, {}, info, scores)
    imported = info["imported"]
    return {"run": run_id, "cells": len(scores) - 1, "check": imported["check"], "note": imported["note"]}
