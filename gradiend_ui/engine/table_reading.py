"""From bytes to a table: encoding and delimiter found, damaged rows kept apart, nothing guessed about the columns.

csv, tsv, jsonl, json and parquet. A row whose cells do not fit the header is damaged: it keeps its place in the frame
and has a reason. Knows no role of a column and no model.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadData, TooLarge

MAX_ROWS = 200_000
MAX_FILE_BYTES = 256 * 1024 * 1024
FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
DELIMITERS = (",", ";", "\t", "|")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_CHARACTERS, _SAMPLE_ROWS = 200_000, 200
_EXCERPT = 60


@dataclass(frozen=True)
class ReadTable:
    """A table and how it was read.

    kind: "csv", "jsonl", "json", "parquet", or "" for rows that came as values. encoding: Python's name of it, None
    where there is none. delimiter: of a csv. damaged: {row number, counted from 0: reason}.
    """

    frame: pd.DataFrame
    kind: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    damaged: Mapping[int, str] = field(default_factory=dict)


def read_file(path: Path) -> ReadTable:
    """Read a file by its ending. Raises BadData when it cannot be read, TooLarge over the stated limits."""
    if not path.is_file():
        raise BadData(f"There is no file {path.name!r}.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise TooLarge(f"{path.name} is larger than {MAX_FILE_BYTES // 2**20} MB.")
    try:
        return read_bytes(path.read_bytes(), path.suffix.lower())
    except OSError as error:
        raise BadData(f"{path.name} cannot be read: {error.strerror}.") from error
    except BadData as error:
        raise BadData(f"{path.name} cannot be read as {path.suffix[1:] or 'a table'}: {error}") from error


def read_bytes(content: bytes, suffix: str) -> ReadTable:
    """Read the content of a file with this ending (".csv", ...). Raises BadData or TooLarge."""
    if suffix not in FILE_SUFFIXES:
        raise BadData("tables are read from .csv, .tsv, .jsonl, .json and .parquet files.")
    if suffix == ".parquet":
        return ReadTable(_parquet(content), "parquet")
    text, encoding = decode(content)
    if suffix in (".jsonl", ".json"):
        return _from_records(_json_lines(text) if suffix == ".jsonl" else _json_rows(text), suffix[1:], encoding)
    delimiter = find_delimiter(text, "\t" if suffix == ".tsv" else ",")
    frame, damaged = _csv(text, delimiter)
    return ReadTable(frame, "csv", encoding, delimiter, damaged)


def suffix_of_text(text: str) -> str:
    """Which kind of table a pasted text is: ".jsonl", ".json" or ".csv"."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return ".json"
    return ".jsonl" if start.startswith("{") else ".csv"


def decode(content: bytes) -> tuple[str, str]:
    """(text, encoding): a byte order mark decides, else UTF-16 by its zero bytes, UTF-8, Windows-1252, Latin-1.

    Raises BadData for zero bytes that no encoding explains.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    encoding = encoding or _wide_encoding(content[:4096])
    for name in (encoding,) if encoding else ("utf-8", "cp1252", "latin-1"):
        try:
            text = content.decode(name)
        except UnicodeDecodeError as error:
            if encoding:
                raise BadData(f"it begins as {name} text and breaks off at byte {error.start:,}.") from error
            continue
        if "\x00" in text:
            break
        return text, name
    raise BadData("it holds zero bytes, so it is no text: save it as csv in UTF-8.")


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 without a byte order mark: nearly every second byte of Western text is zero there."""
    zeros = (start[0::2].count(0), start[1::2].count(0))
    pairs = len(start) // 2
    if pairs and zeros[1] > 0.4 * pairs and zeros[0] < 0.05 * pairs:
        return "utf-16-le"
    if pairs and zeros[0] > 0.4 * pairs and zeros[1] < 0.05 * pairs:
        return "utf-16-be"
    return None


def find_delimiter(text: str, first: str = ",") -> str:
    """The delimiter that cuts the header and most of the first rows into the same number of cells; `first` on a tie."""
    best, best_merit = first, (0.0, 1)
    for delimiter in dict.fromkeys((first, *DELIMITERS)):
        rows = list(islice(_cells(text[:_SAMPLE_CHARACTERS], delimiter), _SAMPLE_ROWS))
        if len(text) > _SAMPLE_CHARACTERS and len(rows) > 2:
            rows = rows[:-1]  # the sample may end within a row
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        merit = (sum(len(row) == width for row in rows) / len(rows), width)
        if merit > best_merit and (merit[0] >= 0.5 or best_merit[1] == 1):
            best, best_merit = delimiter, merit
        if delimiter == first and merit[0] == 1.0:
            return first
    return best


def _cells(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows of a csv without its blank lines. Raises BadData."""
    csv.field_size_limit(MAX_FILE_BYTES)
    try:
        yield from filter(None, csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise BadData(f"its rows cannot be told apart: {error}.") from error


def _csv(text: str, delimiter: str) -> tuple[pd.DataFrame, dict[int, str]]:
    rows = _cells(text, delimiter)
    names = _unique_names(next(rows, []))
    if not names:
        raise BadData("it is empty.")
    width, damaged = len(names), {}
    table: list[list[str | None]] = []
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise TooLarge(f"The table has more than {MAX_ROWS:,} rows; at most so many are read.")
        if len(row) > width:
            if width > 1:
                damaged[number] = f"it has {len(row)} cells, the header has {width}: put texts in quotation marks"
            row = [*row[: width - 1], delimiter.join(row[width - 1 :])]
        table.append([*row, *[None] * (width - len(row))])
    if table and text.count('"') % 2 and "\n" in (table[-1][-1] or table[-1][0] or ""):
        raise BadData(f"a quotation mark in row {len(table)} is never closed.")
    return pd.DataFrame(table, columns=pd.Index(names), dtype="str"), damaged


def _unique_names(header: list[str]) -> list[str]:
    """Column names as pandas makes them: unnamed ones are numbered, repeated ones get `.1`, `.2`."""
    names: list[str] = []
    for place, cell in enumerate(header):
        name = cell or f"Unnamed: {place}"
        count = 0
        while (name if not count else f"{name}.{count}") in names:
            count += 1
        names.append(name if not count else f"{name}.{count}")
    return names


def _json_lines(text: str) -> Iterator[Any]:
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield line.strip()


def _json_rows(text: str) -> Iterator[Any]:
    try:
        parsed = json.loads(text.removeprefix("\ufeff"))
        if isinstance(parsed, dict):  # {column: {row: cell}} or {column: [cells]}, as pandas writes them
            parsed = pd.DataFrame(parsed).to_dict(orient="records")
    except (ValueError, TypeError, RecursionError) as error:
        raise BadData(f"{str(error).splitlines()[0]}.") from error
    if not isinstance(parsed, list):
        raise BadData("it holds no list of objects, one per row.")
    return iter(parsed)


def _from_records(found: Iterator[Any], kind: str, encoding: str) -> ReadTable:
    records: list[dict[str, Any]] = []
    damaged: dict[int, str] = {}
    for number, record in enumerate(found):
        if number >= MAX_ROWS:
            raise TooLarge(f"The table has more than {MAX_ROWS:,} rows; at most so many are read.")
        if not isinstance(record, dict):
            damaged[number] = f"it is no JSON object: {str(record)[:_EXCERPT]}"
        records.append(record if isinstance(record, dict) else {})
    if len(damaged) == len(records):
        raise BadData("it holds no JSON object, one per row." if records else "it is empty.")
    frame = pd.DataFrame(records, dtype=object)  # as they are: a missing number must not make 1 into 1.0
    return ReadTable(frame, kind, encoding, None, damaged)


def _parquet(content: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError as error:
        raise BadData("reading parquet needs pyarrow: install it, or save the table as csv.") from error
    except (ValueError, OSError) as error:
        raise BadData(f"{str(error).splitlines()[0]}.") from error
    if len(frame) > MAX_ROWS:
        raise TooLarge(f"The table has {len(frame):,} rows; at most {MAX_ROWS:,} are read.")
    return frame.rename(columns=str)
