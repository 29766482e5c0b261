"""All numbers of a comparison as one table, for a spreadsheet: comma-separated to download, tab-separated to copy.

No text begins a formula (see `engine.spreadsheet`). Knows answers; no widget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradiend_ui.engine.spreadsheet import cell, csv_text
from gradiend_ui.ui.compare.columns import Column

Line = list[str | float | int | None]
HEAD = ("sentence_number", "sentence", "mask", "kind", "item", "vocabulary_id", "base")
TOKEN, CLASS, CONTINUATION, ERROR = "token", "class", "continuation", "error"
CSV_NAME = "comparison.csv"


def table(answer: Mapping[str, Any], columns: Sequence[Column]) -> list[Line]:
    """A head and one line per class, token, continuation or error; `change` is p minus the base's p."""
    head: Line = list(HEAD)
    for column in columns:
        factor, rate = column.cell
        place = f"{column.letter} ({factor:g}, {rate:g})".strip()
        head += [place, f"change {place}"]
    lines = (line for number, item in enumerate(answer["texts"], 1) for line in _lines(number, item))
    width = len(head)
    return [head, *([*line, *[None] * (width - len(line))] for line in lines)]


def _lines(number: int, item: Mapping[str, Any]) -> Iterator[Line]:
    begin: Line = [number, item["text"]]
    if item.get("error"):
        yield [*begin, None, ERROR, item["error"]]
    for place, mask in enumerate(item["masks"], 1):
        for name, base in mask["base"]["classes"].items():
            here = [cell["classes"].get(name) for cell in mask["cells"]]
            yield [*begin, place, CLASS, name, None, base, *_with_changes(base, here)]
        for row in mask["tokens"]:
            numbers = _with_changes(row["base"], row["cells"])
            yield [*begin, place, TOKEN, row["token"], row["id"], row["base"], *numbers]
    said = item.get("continuation")
    if said:
        texts = [part for cell in said["cells"] for part in (cell["text"], None)]
        yield [*begin, None, CONTINUATION, None, None, said["base"]["text"], *texts]


def _with_changes(base: float | None, here: Sequence[float | None]) -> Iterator[float | None]:
    for value in here:
        yield value
        yield None if value is None or base is None else value - base


def as_csv(lines: Sequence[Line]) -> str:
    return csv_text([_rounded(value) for value in line] for line in lines)


def as_tabs(lines: Sequence[Line]) -> str:
    """Lines of tab-separated values; tabs and line ends inside of a text become spaces."""
    joined = [
        [" ".join(value.split()) if isinstance(value, str) else _rounded(value) for value in line] for line in lines
    ]
    return "\n".join("\t".join(str(cell(value)) for value in line) for line in joined)


def _rounded(value: str | float | int | None) -> str | float | int | None:
    """Six significant digits: all that the model's precision is good for."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
