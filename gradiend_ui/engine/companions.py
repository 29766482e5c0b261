"""The data that lies beside a checkpoint: evaluation rows, neutral sets and example sentences.

A folder may say so in a `demo.json`; otherwise `eval.*` and `neutral*.*` in the checkpoint folder or its parent are
taken, for a checkpoint of a run also in the run folder. Where there are no rows at all they are recovered from the
run's `encoded_values*.csv`. Knows files and tables; no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import EvalData, read_neutral, read_rows
from gradiend_ui.engine.recovered_rows import recover

MANIFEST = "demo.json"
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
EXAMPLES = 3
RECOVERED = "recovered"


@dataclass(frozen=True)
class Companions:
    """rows: None when none were found; neutral: {name of the set: texts}; neutral_set: the one to start with.

    recovered: the rows come from `encoded_values*.csv` and may be fewer than the data the run was made with.
    """

    rows: EvalData | None = None
    neutral: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    neutral_set: str | None = None
    examples: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    recovered: bool = False


def run_folder_of(checkpoint_folder: Path) -> Path | None:
    """The run folder that a checkpoint is the `model/` or a `seeds/seed_<N>/` of; None for one that stands alone."""
    parent = checkpoint_folder.parent
    if checkpoint_folder.name == "model":
        return parent
    return parent.parent if parent.name == "seeds" and checkpoint_folder.name.startswith("seed_") else None


def find_companions(checkpoint_folder: Path, source: str | None = None) -> Companions:
    """Read what lies beside the checkpoint. Files that cannot be read become warnings, never errors.

    source: what the GRADIEND was trained on, for a run's csv that does not tell (see `recovered_rows`).
    """
    run = run_folder_of(checkpoint_folder)
    folders = tuple(dict.fromkeys((checkpoint_folder, checkpoint_folder.parent, run or checkpoint_folder)))
    found = Companions()
    for folder in folders:
        manifest = _manifest(folder)
        if manifest or _tables(folder, "eval"):
            found = _read(folder, manifest)
            break
    return found if found.rows is not None else _with_recovered(found, run or checkpoint_folder, source)


def _with_recovered(found: Companions, run: Path, source: str | None) -> Companions:
    """The same with rows out of the run's csv, where it has one, and the neutral texts that lie beside it."""
    recovered, warnings = recover(run, source)
    if recovered is None:
        return replace(found, warnings=(*found.warnings, *warnings))
    beside = found if found.neutral else _read(run, {})
    if not beside.neutral and recovered.neutral:
        beside = replace(beside, neutral={RECOVERED: recovered.neutral}, neutral_set=RECOVERED)
    return replace(
        beside,
        rows=recovered.rows,
        examples=beside.examples or tuple(row.masked for row in recovered.rows.rows[:EXAMPLES]),
        warnings=tuple(dict.fromkeys((*found.warnings, *beside.warnings, *warnings))),
        recovered=True,
    )


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
    examples = manifest.get("examples") or [row.masked for row in (rows.rows[:EXAMPLES] if rows else ())]
    return Companions(
        rows=rows,
        neutral=neutral,
        neutral_set=chosen if chosen in neutral else next(iter(neutral), None),
        examples=tuple(str(text) for text in examples),
        warnings=tuple(warnings),
    )
