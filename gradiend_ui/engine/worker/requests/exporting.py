"""Requests for rewritten models: what one would be, its folder, a zip of folders. And for forgetting a run.

A run is deleted here, in the process that sweeps: so nothing is written to it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.export.checkpoint import export_checkpoint, written_bytes, zip_folder
from gradiend_ui.engine.export.model_card import DTYPES, Rewrite, dtype_name, model_card, script
from gradiend_ui.engine.files.json_files import shown
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.store import Run
from gradiend_ui.engine.values import AS_BASE, EXPORT_DTYPES, PARTS, STOPPABLE_STATES
from gradiend_ui.engine.worker.bench import Bench, cell_of
from gradiend_ui.engine.worker.health_card import export_facts


def export(bench: Bench, request: Mapping[str, Any]) -> str:
    """{run, cell, part, dtype, chosen_for, folder} -> the folder of the finished checkpoint.

    folder: where it goes, new, below the data folder. cell: {feature_factor, learning_rate}; part: None for the run's;
    dtype: one of `EXPORT_DTYPES`, "base" or None for the one that was scored; chosen_for: a sentence for the card, or
    None.
    """
    record = bench.store.run(str(request["run"]))
    model = bench.checkpoint(record.checkpoint).model
    return str(export_checkpoint(model, _rewrite(bench, record, request), Path(request["folder"])))


def pack(bench: Bench, request: Mapping[str, Any]) -> str:
    """{folder, zip} -> the path of the finished zip."""
    return str(zip_folder(Path(request["folder"]), Path(request["zip"])))


def describe(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """As for `export`, with "shown_source" (None or the GRADIEND's folder as told) -> what would be written.

    {"card": Markdown, "script": Python, "bytes": {dtype: bytes of the weights}, "stored": the dtype of the base's
    files, "scored": the dtype of the sweep}.
    """
    record = bench.store.run(str(request["run"]))
    model = bench.checkpoint(record.checkpoint).model
    rewrite = _rewrite(bench, record, request)
    stored = _stored_dtype(model)
    source = str(model.checkpoint.folder) if request.get("tells_paths") else f"path/to/{model.checkpoint.folder.name}"
    base = bench.store.checkpoint(record.checkpoint)[1].get("base_model")
    if base and Path(base).is_absolute() and not request.get("tells_paths"):
        base = f"path/to/{Path(base).name}"
    return {
        "card": model_card(model, rewrite),
        "script": script(model, rewrite, source, str(request["name"]), base),
        "bytes": {name: written_bytes(model.base_model, name) for name in (*EXPORT_DTYPES, stored)},
        "stored": stored,
        "scored": dtype_name(model.base_model.dtype),
    }


def delete_run(bench: Bench, request: Mapping[str, Any]) -> None:
    """{run} -> nothing; the run is stopped first."""
    run = str(request["run"])
    bench.store.set_state(run, "stopped", only_from=STOPPABLE_STATES)
    bench.store.delete_run(run)


def _rewrite(bench: Bench, record: Run, request: Mapping[str, Any]) -> Rewrite:
    loaded = bench.checkpoint(record.checkpoint)
    spec = bench.unchanged(record, loaded)
    part = spec["part"] if request.get("part") is None else request["part"]
    if part not in PARTS:
        raise BadGrid(f"part must be one of {', '.join(PARTS)}, not {shown(part)}.")
    cell = cell_of(request["cell"])
    _, scores = bench.store.cells(record.id)
    facts = export_facts(record.info, scores, cell if part == spec["part"] else None)
    if request.get("chosen_for"):
        facts["chosen_for"] = str(request["chosen_for"])
    return Rewrite(cell, part, facts, dtype=_dtype(loaded.model, request.get("dtype")))


def _dtype(model: ModelWithGradiend, asked: object) -> str | None:
    """The name of the dtype to write; None for the one that was scored. Raises BadGrid."""
    if asked not in (None, AS_BASE, *EXPORT_DTYPES):
        raise BadGrid(f"dtype must be one of {', '.join(EXPORT_DTYPES)} or {AS_BASE}, not {shown(asked)}.")
    name = _stored_dtype(model) if asked == AS_BASE else None if asked is None else str(asked)
    return None if name == dtype_name(model.base_model.dtype) else name


def _stored_dtype(model: ModelWithGradiend) -> str:
    """The dtype that the base model's files name; the loaded one where they name none."""
    try:
        config = AutoConfig.from_pretrained(model.base_model.name_or_path, trust_remote_code=False)
    except (OSError, ValueError):
        return dtype_name(model.base_model.dtype)
    stored = getattr(config, "dtype", None)
    stored = getattr(torch, stored, None) if isinstance(stored, str) else stored
    name = dtype_name(stored) if isinstance(stored, torch.dtype) else ""
    return name if name in DTYPES else dtype_name(model.base_model.dtype)
