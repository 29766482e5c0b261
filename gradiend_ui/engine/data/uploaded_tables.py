"""Tables that visitors uploaded: kept, and read in a process of their own where reading them could go wrong.

They lie under the data folder by the hash of their content, so that a run can be resumed; an upload's id is
`<sha256>.<ending>`. A small csv, tsv, json or jsonl is read in place: its memory and time are bounded by its size and
the limits of `table_reading` (columns, cells, depth). Parquet, whose few bytes may promise anything, and larger files
are read by `confined`; what comes back is columns of plain cells. Knows tables; no role of a column.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.data.encodings import decode
from gradiend_ui.engine.data.notes import notes_from
from gradiend_ui.engine.data.table_reading import (
    FILE_SUFFIXES,
    MAX_FILE_BYTES,
    MAX_ROWS,
    Nested,
    ReadTable,
    plain_cell,
    read_bytes,
    read_file,
)
from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, TooLarge, error_from, shown
from gradiend_ui.engine.files.confined import run_confined
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.files.whole_or_absent import (
    advice_for,
    keep_whole,
    reason_of,
    touch,
    unfinished,
    with_advice,
    write_durably,
)

TEXT_SUFFIX = ".txt"
"""Neutral texts, one a line."""
SUFFIXES = (*FILE_SUFFIXES, TEXT_SUFFIX)
MAX_KEPT_BYTES = 4 * 1024**3
"""On a local server the tables that were used longest ago make room for new ones."""
GONE = "The uploaded table is not on this server any more: upload it again."
LONGEST_NAME = 120
UNREADABLE = "data.unreadable"
"""The text of a file that cannot be read, with its `name` and `why`."""
LINE_ENDS = re.compile(r"\r\n|\r|\n")
_ID = re.compile(r"[0-9a-f]{64}\.(csv|tsv|jsonl|json|parquet|txt)")


def is_upload_id(given: object) -> bool:
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def upload_path(data_dir: Path, upload: object) -> Path:
    """Where an upload lies; it counts as used now. Raises BadData when it is not kept (any more)."""
    if not is_upload_id(upload):
        raise BadData(f"{shown(upload)} is no id of an upload.").known_as("data.gone")
    path = data_dir / UPLOADS / str(upload)
    if not path.is_file():
        raise BadData(GONE).known_as("data.gone")
    touch(path)
    return path


def read_upload(path: Path, encoding: str | None = None) -> ReadTable:
    """A kept upload as a table; a text file is a table with one column, `text`. encoding: as a person says it.

    Raises BadData, TooLarge, Failed.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BadData(GONE).known_as("data.gone") from error
    except OSError as error:
        told = Failed(f"The uploaded table could not be read: {reason_of(error)}. Upload it again.")
        raise told.known_as("data.not_read", why=reason_of(error)) from error
    try:
        if path.suffix != TEXT_SUFFIX:
            return read_bytes(content, path.suffix, encoding)
        found = decode(content, encoding)
    except BadData as error:
        unread = BadData(f"{_unnamed(path.suffix)} cannot be read: {error}")
        raise unread.known_as(UNREADABLE, name=("data.unnamed", {"kind": path.suffix}), why=error.part) from error
    lines = [line.strip() for line in LINE_ENDS.split(found.text) if line.strip()]
    if len(lines) > MAX_ROWS:
        much = TooLarge(f"These are {len(lines):,} texts; at most {MAX_ROWS:,} are read.")
        raise much.known_as("data.too_many_texts", count=f"{len(lines):,}", most=f"{MAX_ROWS:,}")
    frame = pd.DataFrame({"text": lines}, dtype="str")
    return ReadTable(frame, "text", found.encoding, text_bytes=len(found.text), notes=found.notes)


@contextmanager
def told_by_name(given: object) -> Iterator[None]:
    """What the block refuses about an upload is told with the name of its file, which only the spec knows: beside it
    there may be another upload."""
    try:
        yield
    except GradiendUIError as error:
        named = _by_name(error, given)
        if named is None:
            raise
        raise named from error


def _by_name(error: GradiendUIError, given: object) -> GradiendUIError | None:
    """The refusal with the name that `given` has for its upload; None where it has none."""
    if not isinstance(given, Mapping) or not is_upload_id(given.get("upload")):
        return None
    name, suffix = given.get("name"), Path(str(given["upload"])).suffix
    if not isinstance(name, str) or not name.strip():
        return None
    name = name if len(name) <= LONGEST_NAME and name.isprintable() else shown(name)
    start = f"{_unnamed(suffix)} cannot"
    if str(error).startswith(start):
        named = error_from(error.code, f"{name} cannot{str(error).removeprefix(start)}")
        return named if error.text is None else named.known_as(error.text[0], **{**error.text[1], "name": name})
    return error_from(error.code, f"{name}: {error}").known_as("data.of_file", name=name, why=error.part)


def _unnamed(suffix: str) -> str:
    return f"The {suffix} file"


def keep_upload(data_dir: Path, content: bytes, suffix: str) -> str:
    """Keep the content and give its id. Raises BadData, TooLarge, or Failed when the disk takes no more."""
    if suffix not in SUFFIXES:
        kinds = ", ".join(SUFFIXES)
        told = BadData(f"Tables are read from {kinds} files, not from {suffix or 'one without ending'}.")
        raise told.known_as("data.wrong_ending", kinds=kinds, kind=suffix or ("data.no_ending", {}))
    if len(content) > MAX_FILE_BYTES:
        large = TooLarge(f"The table is larger than {MAX_FILE_BYTES // 2**20} MB.")
        raise large.known_as("data.table_large", most=MAX_FILE_BYTES // 2**20)
    if not content.strip():
        raise BadData("The table is empty.").known_as("data.table_empty")
    upload = f"{hashlib.sha256(content).hexdigest()}{suffix}"
    path = data_dir / UPLOADS / upload
    try:
        if os.path.lexists(path):
            _check_same(path, content)
            touch(path)
            return upload
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path) as partial:
            write_durably(partial, content)
            keep_whole(partial, path)
    except OSError as error:
        unkept = Failed(f"The table could not be kept: {with_advice(error)}")
        raise unkept.known_as("data.not_kept", why=reason_of(error), advice=advice_for(error)) from error
    return upload


def _check_same(path: Path, content: bytes) -> None:
    """Whether what bears the upload's name is the upload. Whose it is otherwise nobody knows, so it is not replaced."""
    if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
        raise Failed(
            f"{path.name[:12]}… in the data folder's {UPLOADS!r} is not the table of that name, but changed or "
            "somebody else's: move it away, then upload the table again."
        )


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
    """The child's part: the table at `path` as {names, columns, text, nested, kind, encoding, delimiter, damaged,
    notes}; nested: per column the rows whose cell is no text."""
    table = read_upload(path)
    frame = table.frame
    nested = [[row for row, cell in enumerate(column) if isinstance(cell, Nested)] for column in _columns(frame)]
    return {
        "names": [str(name) for name in frame.columns],
        "columns": [list(map(plain_cell, column)) for column in _columns(frame)],
        "nested": nested,
        "text": [str(dtype) == "str" for dtype in frame.dtypes],
        "rows": len(frame),
        "kind": table.kind,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "damaged": {str(number): reason for number, reason in table.damaged.items()},
        "notes": [note.to_json() for note in table.notes],
    }


def _columns(frame: pd.DataFrame) -> list[list[Any]]:
    return [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]


def _from_plain(plain: dict[str, Any]) -> ReadTable:
    for cells, rows in zip(plain["columns"], plain["nested"], strict=True):
        for row in rows:
            cells[row] = Nested(cells[row])
    columns = [
        pd.Series(cells, dtype="str" if text else object, index=range(plain["rows"]))
        for cells, text in zip(plain["columns"], plain["text"], strict=True)
    ]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(plain["rows"]))
    frame.columns = pd.Index(plain["names"])
    damaged = {int(number): reason for number, reason in plain["damaged"].items()}
    notes = notes_from(plain["notes"])
    return ReadTable(frame, plain["kind"], plain["encoding"], plain["delimiter"], damaged, notes=notes)
