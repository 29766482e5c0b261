"""The rows of JSON, in the shapes that people and programs write: lines, a list, columns, a list within an object.

Knows text; what is no object among the rows is told elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gradiend_ui.engine.errors import BadData


def json_rows(text: str, suffix: str) -> Iterator[Any]:
    """The rows of a `.json` or `.jsonl` file; a line that is no JSON as its text. Raises BadData."""
    return _json_lines(text) if _is_by_line(text, suffix) else _json_rows(text)


def _is_by_line(text: str, suffix: str) -> bool:
    """Whether each line is an object, whatever the ending says: several lines that are objects are no whole, and what
    begins with a bracket is."""
    if suffix == ".jsonl":
        return not text.lstrip().startswith("[")
    lines = [line for line in re.split(r"[\r\n]+", text, maxsplit=2)[:2] if line.strip()]
    return len(lines) == 2 and all(line.strip()[0] + line.strip()[-1] == "{}" for line in lines)


def _json_lines(text: str) -> Iterator[Any]:
    for line in re.split(r"[\r\n]+", text):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                yield line.strip()


def _json_rows(text: str) -> Iterator[Any]:
    try:
        parsed = json.loads(text)
    except RecursionError as error:
        told = BadData("its JSON is nested too deep: save a list of objects, one per row.")
        raise told.known_as("data.json_deep") from error
    except json.JSONDecodeError as error:
        line, place = f"{error.lineno:,}", f"{error.colno:,}"
        told = BadData(f"it is no valid JSON (line {line}, character {place}): save a list of objects, one per row.")
        raise told.known_as("data.no_json", line=line, place=place) from error
    except ValueError as error:  # a number of more digits than are read
        told = BadData("it holds a number that is too long: save a list of objects, one per row.")
        raise told.known_as("data.long_number") from error
    if isinstance(parsed, dict):
        return _by_column(parsed)
    if not isinstance(parsed, list):
        raise BadData("it holds no list of objects, one per row.").known_as("data.no_list")
    return iter(parsed)


def _by_column(parsed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of {column: {row: cell}} or {column: [cells]}, as pandas writes them, or of the only list of objects, as
    in {"data": [...]}. Raises BadData."""
    columns = list(parsed.values())
    listed = [column for column in columns if isinstance(column, list)]
    if len(listed) == 1 and listed[0] and all(isinstance(row, Mapping) for row in listed[0]):
        return iter(listed[0])
    if columns and all(isinstance(column, list) for column in columns):
        if len({len(column) for column in columns}) > 1:
            raise BadData("its columns have different lengths.").known_as("data.uneven_columns")
        numbered = [dict(enumerate(column)) for column in columns]
    elif columns and all(isinstance(column, dict) for column in columns):
        numbered = columns
    else:
        raise BadData("it holds no list of objects, one per row.").known_as("data.no_list")
    rows = dict.fromkeys(row for column in numbered for row in column)
    names = list(parsed)
    return ({name: column.get(row) for name, column in zip(names, numbered, strict=True)} for row in rows)
