"""What a process of its own does with a table that takes its time: report it, check its rows, list the rejected ones.

Called by name through `confined.TASKS`; plain JSON-like values in and out. The other half turns the answers into what
the process that sweeps works with. Knows tables and rows; imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from gradiend_ui.engine.companions import Companions, find_companions
from gradiend_ui.engine.data_report import rejected_csv
from gradiend_ui.engine.eval_data import EvalData, EvalRow, RejectedRow, check_rows, read_neutral, read_rows
from gradiend_ui.engine.table_reading import ReadTable, read_file
from gradiend_ui.engine.table_report import report_table as report
from gradiend_ui.engine.text_limit import keep_text
from gradiend_ui.engine.trust import Trust
from gradiend_ui.engine.uploaded_tables import read_upload

Columns = Mapping[str, str]
ROW = tuple(field.name for field in fields(EvalRow))


def report_table(
    path: Path, given: Columns | None, direction: Mapping[str, float], known: Sequence[str]
) -> dict[str, Any]:
    """See `table_report.report_table`."""
    return report(read_upload(path), given, direction, known)


def rejected_rows(path: Path, given: Columns | None) -> str:
    """Every row of the table that cannot be scored, as csv."""
    read = read_upload(path)
    return rejected_csv(check_rows(read, given, fill_alternatives=True).rejected, read)


def checked_rows(path: Path, given: Columns) -> dict[str, Any]:
    """The checked rows of an uploaded table, for `rows_from`."""
    return _plain(read_rows(read_upload(path), given, fill_alternatives=True))


def neutral_texts(path: Path) -> list[str]:
    """The neutral texts of an uploaded table or text file."""
    return list(read_neutral(read_upload(path).frame))


def companions(path: Path, source: str | None, homes: Sequence[str]) -> dict[str, Any]:
    """What lies beside a stranger's checkpoint (see `companions.find_companions`), for `companions_from`.

    homes: the folders that may be looked into.
    """
    trust = Trust(public=True, homes=tuple(map(Path, homes)))
    found = find_companions(path, source, trust, read=_read_and_kept)
    return {
        "rows": None if found.rows is None else _plain(found.rows),
        "neutral": {name: list(texts) for name, texts in found.neutral.items()},
        "neutral_set": found.neutral_set,
        "examples": list(found.examples),
        "warnings": list(found.warnings),
        "recovered": found.recovered,
    }


def rows_from(plain: Mapping[str, Any]) -> EvalData:
    """Checked rows from what the child gave."""
    return EvalData(
        tuple(EvalRow(*row) for row in plain["rows"]),
        tuple(RejectedRow(*row) for row in plain["rejected"]),
        tuple(plain["notes"]),
    )


def companions_from(plain: Mapping[str, Any]) -> Companions:
    """What lies beside a checkpoint from what the child gave."""
    return Companions(
        rows=None if plain["rows"] is None else rows_from(plain["rows"]),
        neutral={name: tuple(texts) for name, texts in plain["neutral"].items()},
        neutral_set=plain["neutral_set"],
        examples=tuple(plain["examples"]),
        warnings=tuple(plain["warnings"]),
        recovered=bool(plain["recovered"]),
    )


def _read_and_kept(path: Path) -> ReadTable:
    """A table whose text counts with that of the others. Raises BadData, TooLarge."""
    table = read_file(path)
    keep_text(table.text_bytes)
    return table


def _plain(data: EvalData) -> dict[str, Any]:
    return {
        "rows": [[getattr(row, name) for name in ROW] for row in data.rows],
        "rejected": [[row.number, row.reason] for row in data.rejected],
        "notes": list(data.notes),
    }
