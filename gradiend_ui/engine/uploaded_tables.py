"""Tables that visitors uploaded: kept under the data folder by the hash of their content, so that a run can be resumed.

An upload's id is `<sha256>.<ending>`. Knows files; not what they hold.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pandas as pd

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.engine.durable import keep_whole, reason_of, touch, unfinished, with_advice, write_durably
from gradiend_ui.engine.errors import BadData, Failed, TooLarge
from gradiend_ui.engine.table_reading import FILE_SUFFIXES, MAX_FILE_BYTES, MAX_ROWS, ReadTable, decode, read_bytes

FOLDER = "uploads"
TEXT_SUFFIX = ".txt"
"""Neutral texts, one a line."""
SUFFIXES = (*FILE_SUFFIXES, TEXT_SUFFIX)
MAX_KEPT_BYTES = 4 * 1024**3
"""On a local server the tables that were used longest ago make room for new ones."""
GONE = "The uploaded table is not on this server any more: upload it again."
_ID = re.compile(r"[0-9a-f]{64}\.(csv|tsv|jsonl|json|parquet|txt)")


def is_upload_id(given: object) -> bool:
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def upload_path(data_dir: Path, upload: object) -> Path:
    """Where an upload lies; it counts as used now. Raises BadData when it is not kept (any more)."""
    if not is_upload_id(upload):
        raise BadData(f"{shown(upload)} is no id of an upload.")
    path = data_dir / FOLDER / str(upload)
    if not path.is_file():
        raise BadData(GONE)
    touch(path)
    return path


def read_upload(path: Path) -> ReadTable:
    """A kept upload as a table; a text file is a table with one column, `text`. Raises BadData, TooLarge, Failed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise BadData(GONE) from error
    except OSError as error:
        raise Failed(f"The uploaded table could not be read: {reason_of(error)}. Upload it again.") from error
    try:
        if path.suffix != TEXT_SUFFIX:
            return read_bytes(content, path.suffix)
        text, encoding = decode(content)
    except BadData as error:
        raise BadData(f"The {path.suffix} file cannot be read: {error}") from error
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
    if len(lines) > MAX_ROWS:
        raise TooLarge(f"These are {len(lines):,} texts; at most {MAX_ROWS:,} are read.")
    return ReadTable(pd.DataFrame({"text": lines}, dtype="str"), "text", encoding, text_bytes=len(text))


def keep_upload(data_dir: Path, content: bytes, suffix: str) -> str:
    """Keep the content and give its id. Raises BadData, TooLarge, or Failed when the disk takes no more."""
    if suffix not in SUFFIXES:
        raise BadData(f"Tables are read from {', '.join(SUFFIXES)} files, not from {suffix or 'one without ending'}.")
    if len(content) > MAX_FILE_BYTES:
        raise TooLarge(f"The table is larger than {MAX_FILE_BYTES // 2**20} MB.")
    if not content.strip():
        raise BadData("The table is empty.")
    upload = f"{hashlib.sha256(content).hexdigest()}{suffix}"
    path = data_dir / FOLDER / upload
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
        raise Failed(f"The table could not be kept: {with_advice(error)}") from error
    return upload


def _check_same(path: Path, content: bytes) -> None:
    """Whether what bears the upload's name is the upload. Whose it is otherwise nobody knows, so it is not replaced."""
    if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
        raise Failed(
            f"{path.name[:12]}… in the data folder's {FOLDER!r} is not the table of that name, but changed or somebody "
            "else's: move it away, then upload the table again."
        )
