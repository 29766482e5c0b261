"""Tables of strangers, read in a process of their own where reading them could go wrong.

A small csv, tsv, json or jsonl is read in place: its memory and time are bounded by its size and the limits of
`table_reading` (columns, cells, depth). Parquet, whose few bytes may promise anything, and larger files are read by
`confined`; what comes back is columns of plain cells. Knows tables; no role of a column.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.confined import run_confined
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.table_reading import ReadTable, plain_cell, read_file
from gradiend_ui.engine.uploaded_tables import read_upload

IN_PLACE_BYTES = 1024 * 1024
PARQUET = ".parquet"


def read_upload_confined(path: Path) -> ReadTable:
    """As `uploaded_tables.read_upload`. Raises BadData, TooLarge, Failed."""
    return _from_plain(run_confined("read_table", path)) if is_risky(path) else read_upload(path)


def read_file_confined(path: Path) -> ReadTable:
    """As `table_reading.read_file`. Raises BadData, TooLarge, Failed."""
    if not path.is_file() or not is_risky(path):
        return read_file(path)
    try:
        return _from_plain(run_confined("read_table", path))
    except BadData as error:
        raise BadData(f"{path.name} cannot be read as {path.suffix[1:]}: {error}") from error


def is_risky(path: Path) -> bool:
    """Whether reading the table is left to a process of its own."""
    return path.suffix.lower() == PARQUET or path.stat().st_size > IN_PLACE_BYTES


def table_as_plain(path: Path) -> dict[str, Any]:
    """The child's part: the table at `path` as {names, columns, text, kind, encoding, delimiter, damaged}."""
    table = read_upload(path)
    frame = table.frame
    return {
        "names": [str(name) for name in frame.columns],
        "columns": [list(map(plain_cell, frame.iloc[:, place].tolist())) for place in range(frame.shape[1])],
        "text": [str(dtype) == "str" for dtype in frame.dtypes],
        "rows": len(frame),
        "kind": table.kind,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "damaged": {str(number): reason for number, reason in table.damaged.items()},
    }


def _from_plain(plain: dict[str, Any]) -> ReadTable:
    columns = [
        pd.Series(cells, dtype="str" if text else object, index=range(plain["rows"]))
        for cells, text in zip(plain["columns"], plain["text"], strict=True)
    ]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(plain["rows"]))
    frame.columns = pd.Index(plain["names"])
    damaged = {int(number): reason for number, reason in plain["damaged"].items()}
    return ReadTable(frame, plain["kind"], plain["encoding"], plain["delimiter"], damaged)
