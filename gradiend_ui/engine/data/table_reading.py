"""From bytes to a table: encoding and delimiter found, damaged rows kept apart, nothing guessed about the columns.

csv, tsv, jsonl, json and parquet. A row whose cells do not fit the header is damaged: it keeps its place in the frame
and has a reason. Knows no role of a column and no model.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradiend_ui.engine.data.csv_rows import (
    DELIMITERS,
    SAMPLE_CHARACTERS,
    SAMPLE_ROWS,
    CsvRows,
    find_delimiter,
    named_delimiter,
)
from gradiend_ui.engine.data.encodings import decode
from gradiend_ui.engine.data.json_rows import json_rows
from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.data.parquet_text import check_parquet_text
from gradiend_ui.engine.data.spelling import column_key, word
from gradiend_ui.engine.errors import BadData, TooLarge, is_broken, shown
from gradiend_ui.engine.files.file_names import RING, is_ring, regular_bytes
from gradiend_ui.engine.files.text_limit import check_text, is_bounded

MAX_ROWS = 200_000
MAX_COLUMNS = 1000
MAX_CELLS = 5_000_000
MAX_FILE_BYTES = 256 * 1024 * 1024
FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
AGAIN = ".1"
"""Behind the name of a column that stands there a second time."""
HALF_CHARACTER = Note("it holds half a character (a lone surrogate)", ("data.reason_broken", {}))
_EXCERPT = 60
LEAST_ROLES = 3
"""So many columns a table of rows has at least: a text, a word and its class."""
MAX_NAME, MAX_NESTED = 500, 2000


@dataclass(frozen=True)
class ReadTable:
    """A table and how it was read.

    kind: "csv", "jsonl", "json", "parquet", or "" for rows that came as values. encoding: Python's name of it, None
    where there is none. delimiter: of a csv. damaged: {row number, counted from 0: reason}. text_bytes: of text that it
    was read from, or holds where it was packed. notes: what was not as it should be, and how it was read.
    """

    frame: pd.DataFrame
    kind: str = ""
    encoding: str | None = None
    delimiter: str | None = None
    damaged: Mapping[int, Note] = field(default_factory=dict)
    text_bytes: int = 0
    notes: tuple[Note, ...] = ()


def read_file(path: Path, encoding: str | None = None) -> ReadTable:
    """Read a file by its ending. encoding: see `read_bytes`. Raises BadData when it cannot be read, TooLarge over the
    stated limits."""
    if _size_of(path) > MAX_FILE_BYTES:
        raise TooLarge(f"{path.name} is larger than {MAX_FILE_BYTES // 2**20} MB.")
    try:
        _check_suffix(path.suffix.lower())
        return read_bytes(_content(path), path.suffix.lower(), encoding)
    except BadData as error:
        raise BadData(f"{path.name} cannot be read as {path.suffix[1:] or 'a table'}: {error}") from error


def _content(path: Path) -> bytes:
    try:
        return regular_bytes(path, MAX_FILE_BYTES)
    except OSError as error:
        raise BadData(f"{error.strerror}.") from error
    except ValueError as error:
        raise BadData(f"{error}.") from error


def _size_of(path: Path) -> int:
    """Bytes of the file. Raises BadData where there is none, or no name could mean one."""
    try:
        if path.is_file():
            return path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadData(f"There is no file {path.name[:MAX_NAME]!r}: {reason}.") from error
    raise BadData(f"There is no file {path.name[:MAX_NAME]!r}{f': {RING}' if is_ring(path) else ''}.")


def read_bytes(content: bytes, suffix: str, encoding: str | None = None) -> ReadTable:
    """Read the content of a file with this ending (".csv", ...). encoding: as a person says, see `encodings.CHOICES`.

    Raises BadData or TooLarge.
    """
    _check_suffix(suffix)
    if suffix == ".parquet":
        frame = _parquet(content)
        return ReadTable(frame, "parquet", text_bytes=_text_in(frame))
    found = decode(content, encoding)
    if suffix in (".jsonl", ".json"):
        read = replace(from_records(json_rows(found.text, suffix), suffix[1:]), text_bytes=len(found.text))
    else:
        read = _csv(found.text, suffix)
    return replace(read, encoding=found.encoding, notes=(*found.notes, *read.notes))


def _check_suffix(suffix: str) -> None:
    if suffix not in FILE_SUFFIXES:
        told = BadData("tables are read from .csv, .tsv, .jsonl, .json and .parquet files.")
        raise told.known_as("data.no_table_kind")


def _text_in(frame: pd.DataFrame) -> int:
    """Characters of all texts in it, counted where they are bounded. Raises TooLarge."""
    if not is_bounded():
        return 0
    count = 0
    for name in frame.columns:
        count += sum(len(cell) for cell in frame[name] if isinstance(cell, str))
        check_text(count)
    return count


def suffix_of_text(text: str) -> str:
    """Which kind of table a pasted text is: ".jsonl", ".json" or ".csv"."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        return ".json"
    return ".jsonl" if start.startswith("{") else ".csv"


def _csv(text: str, suffix: str) -> ReadTable:
    """A csv whose separator the first line names or the rows tell. Raises BadData, TooLarge."""
    delimiter, rest = named_delimiter(text)
    notes: list[Note] = []
    first_line = 1
    if delimiter is not None:
        first_line += text[: len(text) - len(rest)].count("\n") or 1
        told = "\\t" if delimiter == "\t" else delimiter
        sentence = f"The first line, sep={told}, names the separator and is no row."
        notes.append(Note(sentence, ("data.sep_line", {"delimiter": told})))
    if delimiter is None or delimiter not in rest.lstrip("\r\n").partition("\n")[0]:  # none is named, or a wrong one
        delimiter = find_delimiter(rest, delimiter or ("\t" if suffix == ".tsv" else ","))
    inner = _within_marks(rest, delimiter)
    if inner is not None:
        rest, delimiter = inner, find_delimiter(inner, delimiter)
    rows = CsvRows(rest, delimiter, first_line)
    frame, damaged = _csv_frame(rows, delimiter)
    return ReadTable(frame, "csv", None, delimiter, damaged, len(text), (*notes, *rows.notes))


def _within_marks(text: str, delimiter: str) -> str | None:
    """The text without the marks around whole lines, as Excel saves a table that it took for one column; None where the
    header is no such line, or what is within has no columns."""
    header = next(iter(CsvRows(text[:SAMPLE_CHARACTERS], delimiter)), [])
    if len(header) != 1 or not any(mark in header[0] for mark in DELIMITERS):
        return None
    lines = [row[0] if len(row) == 1 else delimiter.join(row) for row in CsvRows(text, delimiter)]
    inner = "\n".join(lines)
    sample = list(islice(CsvRows(inner, find_delimiter(inner, delimiter)), SAMPLE_ROWS))
    is_table = len(sample[0]) >= LEAST_ROLES and 2 * sum(len(row) == len(sample[0]) for row in sample) > len(sample)
    return inner if is_table else None


def _csv_frame(found: CsvRows, delimiter: str) -> tuple[pd.DataFrame, dict[int, Note]]:
    rows = iter(found)
    header = next(rows, [])
    first = list(islice(rows, SAMPLE_ROWS))
    if header and header[0] and first and _are_numbered(first, len(header)):
        header = ["", *header]
    names = _unique_names(header)
    if not names:
        raise BadData("it is empty.").known_as("data.is_empty")
    width = len(names)
    damaged: dict[int, Note] = {}
    check_size(0, width)
    table: list[list[str | None]] = []
    for number, row in enumerate(chain(first, rows)):
        check_size(number + 1, width)
        if len(row) > width:
            if any(cell.strip() for cell in row[width:]):
                sentence = f"it has {len(row)} cells, the header has {width}: put texts in quotation marks"
                damaged[number] = Note(sentence, ("data.reason_cells", {"count": len(row), "width": width}))
                row = [*row[: width - 1], delimiter.join(row[width - 1 :])]
            row = row[:width]
        table.append([*row, *[None] * (width - len(row))])
    return pd.DataFrame(table, columns=pd.Index(names), dtype="str"), damaged


def _are_numbered(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether each row has one cell more than the header, which counts the rows: R writes no name above them."""
    if any(len(row) != width + 1 or not row[0].strip().isdecimal() for row in rows):
        return False
    numbers = [int(row[0]) for row in rows]
    return numbers == list(range(numbers[0], numbers[0] + len(rows))) and numbers[0] in (0, 1)


def check_size(rows: int, columns: int) -> None:
    """Raises TooLarge for more rows, columns or cells than are read."""
    if rows > MAX_ROWS:
        told = TooLarge(f"The table has more than {MAX_ROWS:,} rows; at most so many are read.")
        raise told.known_as("data.too_many_rows", most=f"{MAX_ROWS:,}")
    if columns > MAX_COLUMNS:
        told = TooLarge(f"The table has {columns:,} columns; at most {MAX_COLUMNS:,} are read.")
        raise told.known_as("data.too_many_columns", count=f"{columns:,}", most=f"{MAX_COLUMNS:,}")
    if rows * columns > MAX_CELLS:
        told = TooLarge(f"The table has more than {MAX_CELLS:,} cells; at most so many are read: leave columns out.")
        raise told.known_as("data.too_many_cells", most=f"{MAX_CELLS:,}")


def _unique_names(header: Sequence[str]) -> list[str]:
    """Column names as pandas makes them: unnamed ones are numbered, repeated ones get `.1`, `.2`."""
    names: dict[str, None] = {}
    counts: dict[str, int] = {}
    for place, cell in enumerate(header):
        name = word(whole_text(cell))[:MAX_NAME] or f"Unnamed: {place}"
        own, count = name, counts.get(name, 0)
        while own in names:
            count += 1
            own = f"{name}.{count}"
        counts[name] = count
        names[own] = None
    return list(names)


def whole_text(text: str) -> str:
    """The same text; half a character becomes the replacement character, so that it can be shown and sent."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if is_broken(text) else text


class Nested(str):
    """The text of a cell that was a list or an object: it can be shown, and no row can be scored with it."""

    __slots__ = ()


def is_nested(cell: object) -> bool:
    """Whether a cell holds several values, or none that has a text: a list, an object, an array, a function."""
    return isinstance(cell, Nested) or not (isinstance(cell, str) or pd.api.types.is_scalar(cell))


def single_value(cell: object) -> object:
    """What a cell really holds: the value of an array without dimensions or of an Enum, the text of bytes in UTF-8."""
    if isinstance(cell, np.ndarray) and not cell.ndim:
        cell = cell.item()
    if isinstance(cell, Enum):
        cell = cell.value
    if isinstance(cell, (bytes, bytearray)):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return Nested(f"{len(cell)} bytes that are no UTF-8")
    return cell


def plain_cell(cell: object) -> str | int | float | bool | None:
    """A cell as JSON has it: texts and numbers as they are, everything else as text."""
    if cell is None or isinstance(cell, (bool, int, float)):
        return cell
    cell = single_value(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or isinstance(cell, (bool, int, float)):
        return cell
    if isinstance(cell, str):
        return cell if isinstance(cell, Nested) else whole_text(cell)
    try:
        text = str(cell)
    except (RecursionError, ValueError):
        text = "..."
    if is_nested(cell):
        return Nested(whole_text(text[:MAX_NESTED]))
    return None if text in ("NaT", "<NA>") else whole_text(text[:MAX_NESTED])


class _OneSpelling:
    """Keys of records that mean one column, such as "Label" in one and "label" in another, by the first spelling."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._first: dict[str, str] = {}

    def of(self, record: Mapping[Any, Any]) -> Mapping[str, Any]:
        """The record by these names; one that holds both spellings as it is."""
        names = [self._name(str(key)) for key in record]
        if len(set(names)) < len(names):
            return {str(key): cell for key, cell in record.items()}
        return dict(zip(names, record.values(), strict=True))

    def _name(self, key: str) -> str:
        if key not in self._names:
            self._names[key] = self._first.setdefault(column_key(key) or key, key)
        return self._names[key]


def from_records(found: Iterable[Any], kind: str = "") -> ReadTable:
    """Objects, one per row, as a table; what is no object, or holds half a character, is damaged.

    Raises BadData where no row is an object, TooLarge over the stated limits.
    """
    records: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    damaged: dict[int, Note] = {}
    spelled = _OneSpelling()
    for number, record in enumerate(found):
        if isinstance(record, Mapping):
            record = spelled.of(record)
            names.update(dict.fromkeys(map(str, record)))
        else:
            excerpt = shown(record)[:_EXCERPT]
            damaged[number] = Note(f"it is no JSON object: {excerpt}", ("data.reason_object", {"cell": excerpt}))
            record = {}
        if any(isinstance(cell, str) and is_broken(cell) for cell in record.values()):
            damaged[number] = HALF_CHARACTER
        check_size(number + 1, len(names))
        records.append({str(name): plain_cell(cell) for name, cell in record.items()})
    if not names:
        if not records:
            raise BadData("it is empty.").known_as("data.is_empty")
        raise BadData("it holds no JSON object, one per row.").known_as("data.no_objects")
    columns = {
        own: [record.get(name) for record in records]
        for own, name in zip(_unique_names(list(names)), names, strict=True)
    }
    frame = pd.DataFrame(columns, dtype=object)  # as they are: a missing number must not make 1 into 1.0
    return ReadTable(frame, kind, None, None, damaged)


def _parquet(content: bytes) -> pd.DataFrame:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]  # an extra that not everybody has
    except ImportError as error:
        told = BadData("reading parquet needs pyarrow: install it, or save the table as csv.")
        raise told.known_as("data.no_pyarrow") from error
    try:
        told = parquet.ParquetFile(io.BytesIO(content)).metadata
        check_size(told.num_rows, told.num_columns)
        if is_bounded():
            check_parquet_text(io.BytesIO(content))
        frame = pd.read_parquet(io.BytesIO(content))
        check_size(*frame.shape)
        columns = [list(map(plain_cell, frame.iloc[:, place].tolist())) for place in range(frame.shape[1])]
    except (MemoryError, TooLarge):
        raise
    except Exception as error:  # pyarrow and pandas raise many kinds for a file that is not their own
        told = BadData("it is damaged, cut off, or no parquet file: save the table again, as parquet or csv.")
        raise told.known_as("data.bad_parquet") from error
    names = _unique_names([str(name) for name in frame.columns])
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=range(len(frame)), dtype=object)
