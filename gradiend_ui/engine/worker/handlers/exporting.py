"""Requests for rewritten models: what one would be, its folder, a zip of folders."""

from __future__ import annotations

from pathlib import Path

from gradiend_ui.engine.answers.model import RewriteAnswer
from gradiend_ui.engine.errors import BadGrid, shown
from gradiend_ui.engine.export.checkpoint import export_checkpoint, written_bytes, zip_folder
from gradiend_ui.engine.export.dtypes import stored_dtypes, usual_dtype
from gradiend_ui.engine.export.model_card import Rewrite, dtype_name, model_card, script
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.runs import Run
from gradiend_ui.engine.values import AS_BASE, EXPORT_DTYPES
from gradiend_ui.engine.worker.health_card import export_facts
from gradiend_ui.engine.worker.requests import DescribeExport, Export, Pack, Rewriting
from gradiend_ui.engine.worker.resources import Resources


def export(resources: Resources, request: Export) -> str:
    record = resources.store.run(request.run)
    model = resources.checkpoint(record.checkpoint).model
    return str(export_checkpoint(model, _rewrite(resources, record, request.rewriting), Path(request.folder)))


def pack(resources: Resources, request: Pack) -> str:
    return str(zip_folder(Path(request.folder), Path(request.zip)))


def describe(resources: Resources, request: DescribeExport) -> RewriteAnswer:
    record = resources.store.run(request.run)
    model = resources.checkpoint(record.checkpoint).model
    rewrite = _rewrite(resources, record, request.rewriting)
    stored = _stored_dtype(model)
    source = str(model.checkpoint.folder) if request.tells_paths else f"path/to/{model.checkpoint.folder.name}"
    base = resources.store.checkpoint(record.checkpoint)[1].get("base_model")
    if base and Path(base).is_absolute() and not request.tells_paths:
        base = f"path/to/{Path(base).name}"
    return {
        "card": model_card(model, rewrite),
        "script": script(model, rewrite, source, request.name, base),
        "degenerate": rewrite.facts["degenerate"],
        "bytes": {name: written_bytes(model.base_model, name) for name in (*EXPORT_DTYPES, stored)},
        "stored": stored,
        "scored": dtype_name(model.base_model.dtype),
    }


def _rewrite(resources: Resources, record: Run, asked: Rewriting) -> Rewrite:
    loaded = resources.checkpoint(record.checkpoint)
    spec = resources.unchanged(record, loaded)
    part = asked.cell.part or spec["part"]
    cell = asked.cell.in_sweep_of(part)
    _, scores = resources.store.cells(record.id)
    facts = export_facts(record.info, scores, cell if part == spec["part"] else None)
    if asked.chosen_for:
        facts["chosen_for"] = asked.chosen_for
    return Rewrite(cell, part, facts, dtype=_dtype(loaded.model, asked.dtype), as_stored=asked.dtype == AS_BASE)


def _dtype(model: ModelWithGradiend, asked: object) -> str | None:
    """The name of the dtype to write; None for the one that was scored. Raises BadGrid."""
    if asked not in (None, AS_BASE, *EXPORT_DTYPES):
        raise BadGrid(f"dtype must be one of {', '.join(EXPORT_DTYPES)} or {AS_BASE}, not {shown(asked)}.")
    name = _stored_dtype(model) if asked == AS_BASE else None if asked is None else str(asked)
    return None if name == dtype_name(model.base_model.dtype) else name


def _stored_dtype(model: ModelWithGradiend) -> str:
    """The dtype that most weights have in the base model's files; the loaded one where they do not tell."""
    return usual_dtype(model.base_model, stored_dtypes(model.base_model))
