"""The data that lies beside a checkpoint: evaluation rows, neutral sets and example sentences.

A folder may say so in a `demo.json`; otherwise `eval.*` and `neutral*.*` in the checkpoint folder or its parent are
taken. Knows files and tables; no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import EvalData, read_neutral, read_rows

MANIFEST = "demo.json"
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Companions:
    """rows: None when none were found; neutral: {name of the set: texts}; neutral_set: the one to start with."""

    rows: EvalData | None = None
    neutral: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    neutral_set: str | None = None
    examples: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_companions(checkpoint_folder: Path) -> Companions:
    """Read what lies beside the checkpoint. Files that cannot be read become warnings, never errors."""
    for folder in (checkpoint_folder, checkpoint_folder.parent):
        manifest = _manifest(folder)
        if manifest or _tables(folder, "eval"):
            return _read(folder, manifest)
    return Companions()


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _tables(folder: Path, stem: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{stem}*") if p.suffix in TABLE_SUFFIXES and p.is_file())


def _read(folder: Path, manifest: Mapping[str, Any]) -> Companions:
    warnings: list[str] = []
    rows_files = [folder / Path(manifest["rows"]).name] if manifest.get("rows") else _tables(folder, "eval")[:1]
    rows: EvalData | None = None
    for path in rows_files:
        try:
            rows = read_rows(path)
        except BadData as error:
            warnings.append(f"{path.name} was not read: {error}")
    named = manifest.get("neutral") or {path.stem: path.name for path in _tables(folder, "neutral")}
    neutral: dict[str, tuple[str, ...]] = {}
    for name, file_name in named.items():
        try:
            neutral[str(name)] = read_neutral(folder / Path(file_name).name)
        except BadData as error:
            warnings.append(f"{file_name} was not read: {error}")
    chosen = manifest.get("neutral_set")
    examples = manifest.get("examples") or [row.masked for row in (rows.rows[:3] if rows else ())]
    return Companions(
        rows=rows,
        neutral=neutral,
        neutral_set=chosen if chosen in neutral else next(iter(neutral), None),
        examples=tuple(str(text) for text in examples),
        warnings=tuple(warnings),
    )
