"""Tables that visitors uploaded: kept under the data folder by the hash of their content, so that a run can be resumed.

An upload's id is `<sha256>.<ending>`. Knows files; not what they hold.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

import pandas as pd

from gradiend_ui.engine.durable import reason_of, replace_file, touch
from gradiend_ui.engine.errors import BadData, Failed, TooLarge
from gradiend_ui.engine.table_reading import FILE_SUFFIXES, MAX_FILE_BYTES, MAX_ROWS, ReadTable, decode, read_bytes

FOLDER = "uploads"
TEXT_SUFFIX = ".txt"
"""Neutral texts, one a line."""
SUFFIXES = (*FILE_SUFFIXES, TEXT_SUFFIX)
MAX_KEPT_BYTES = 4 * 1024**3
GONE = "The uploaded table is not on this server any more: upload it again."
_ID = re.compile(r"[0-9a-f]{64}\.(csv|tsv|jsonl|json|parquet|txt)")


def is_upload_id(given: object) -> bool:
    return isinstance(given, str) and _ID.fullmatch(given) is not None


def upload_path(data_dir: Path, upload: object) -> Path:
    """Where an upload lies; it counts as used now. Raises BadData when it is not kept (any more)."""
    if not is_upload_id(upload):
        raise BadData(f"{upload!r} is no id of an upload.")
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
    if path.suffix != TEXT_SUFFIX:
        return read_bytes(content, path.suffix)
    text, encoding = decode(content)
    lines = [line.strip() for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
    if len(lines) > MAX_ROWS:
        raise TooLarge(f"These are {len(lines):,} texts; at most {MAX_ROWS:,} are read.")
    return ReadTable(pd.DataFrame({"text": lines}, dtype="str"), "text", encoding)


def keep_upload(data_dir: Path, content: bytes, suffix: str, *, drops: bool = True) -> str:
    """Keep the content and give its id. drops: whether the oldest tables make room for it.

    Raises BadData, TooLarge, or Failed when the disk takes no more."""
    if suffix not in SUFFIXES:
        raise BadData(f"Tables are read from {', '.join(SUFFIXES)} files, not from {suffix or 'one without ending'}.")
    if len(content) > MAX_FILE_BYTES:
        raise TooLarge(f"The table is larger than {MAX_FILE_BYTES // 2**20} MB.")
    if not content.strip():
        raise BadData("The table is empty.")
    upload = f"{hashlib.sha256(content).hexdigest()}{suffix}"
    path = data_dir / FOLDER / upload
    try:
        if path.is_file() and path.stat().st_size == len(content):
            touch(path)
            return upload
        replace_file(path, content)
    except OSError as error:
        raise Failed(f"The table could not be kept: {reason_of(error)}. Free disk space and try again.") from error
    if drops:
        with suppress(OSError):  # the upload is kept; the next one makes room
            _drop_oldest(path.parent, upload)
    return upload


def _drop_oldest(folder: Path, newest: str) -> None:
    """Keep at most MAX_KEPT_BYTES, whatever was used longest ago goes first."""
    kept = [(path.stat(), path) for path in folder.iterdir() if is_upload_id(path.name) and path.name != newest]
    total = sum(status.st_size for status, _ in kept)
    for status, path in sorted(kept, key=lambda item: item[0].st_mtime):
        if total <= MAX_KEPT_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
