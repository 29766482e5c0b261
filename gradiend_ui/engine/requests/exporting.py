"""Request for one rewritten model as a zip."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.bench import Bench, cell_of
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.export import Rewrite, export_checkpoint, zip_folder
from gradiend_ui.engine.health_card import export_facts
from gradiend_ui.engine.values import PARTS


def export(bench: Bench, request: Mapping[str, Any]) -> str:
    """{run, options} -> path of the finished zip under the data folder."""
    record = bench.store.run(str(request["run"]))
    loaded = bench.checkpoint(record.checkpoint)
    spec = bench.unchanged(record, loaded)
    options = dict(request["options"])
    if options.get("kind", "checkpoint") != "checkpoint":
        raise BadGrid(f"kind must be checkpoint, not {options['kind']!r}.")
    part = options.get("part") or spec["part"]
    if part not in PARTS:
        raise BadGrid(f"part must be one of {', '.join(PARTS)}, not {part!r}.")
    cell = cell_of(options)
    _, scores = bench.store.cells(record.id)
    facts = export_facts(record.info, scores, cell if part == spec["part"] else None)
    card = bench.store.checkpoint(record.checkpoint)[2]
    name = f"{card['name']}-ff{cell.feature_factor:g}-lr{cell.learning_rate:g}"
    name = "".join(c if c.isalnum() or c in "-._" else "_" for c in name)[:100].lstrip(".")
    stage = bench.data_dir / "exports" / secrets.token_urlsafe(12)
    folder = export_checkpoint(loaded.model, Rewrite(cell, part, facts), stage / name)
    try:
        return str(zip_folder(folder, stage / f"{name}.zip"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
