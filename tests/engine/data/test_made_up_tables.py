"""Made-up csv files, odd in several ways at once: every row is read as it was meant, or told with its reason.

600 tables: encodings, separators, line ends, kinds of quotation marks, stray marks, `sep=`, spaces, names with what
cannot be seen, rows that cannot be scored. No model.
"""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradiend_ui.engine.data.encodings import REPLACED
from gradiend_ui.engine.data.rows import EvalData, as_read, check_rows
from gradiend_ui.engine.data.spelling import same_column
from gradiend_ui.engine.data.table_reading import ReadTable, read_bytes

TABLES = 600
QUIET = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
NAMES = ("masked", "label", "label_class", "alternative", "alternative_class", "split")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp1250", "mac_roman")
TEXTS = (
    "the nurse said that [MASK] slept.",
    "die Müllerin sagte, dass [MASK] schön schläft; größer wird sie | nicht.",
    'he said "no, never" when [MASK] came',
    "[MASK], said the king, is café owner",
    "two lines\nof one text with [MASK]",
    "5\" pipes for [MASK] and a 'mark'",
    "[MASK]",
)
"""Texts with separators, marks and line ends; those are written in quotation marks."""
STRAY = {"opened": '"so [MASK] goes on', "closed": 'he left [MASK]"'}
"""Texts with one mark, written as they are: as the format has it, they swallow the rows behind or between them."""
CLASSES = ("M", "Weiblich é")
BAD = {
    "no_mask": ("no place here", "he", "M"),
    "masks": ("[MASK] and [MASK]", "he", "M"),
    "empty": ("a [MASK]", "", "M"),
    "blank": ("", "", ""),
}
UNSEEN = ("\u200b{}", "{}\u00ad", "\ufeff{}", " {} ", "\u202b{}\u202c", "{}\u3164", "\u2060{}\ufe0f", "\u00a0{}")
"""How a name may be written that is the same one: with marks that are not seen, or white space around it."""
QUOTED = ("'{}'", "“{}”", "„{}“", "« {} »")
"""The same for a class or a word, in marks of a quotation."""
LETTERS_OF_8_BITS = ("\u00ad", "\u00a0")


@dataclass(frozen=True)
class Way:
    """How a table is written. marks: which cells stand in quotation marks, and how a mark within them is written."""

    encoding: str
    delimiter: str
    marks: str
    ends: tuple[str, ...]
    names: int
    numbered: bool
    odd_names: bool
    sep_line: bool
    spaced: bool
    bad_byte: bool
    form: str


WAYS = st.builds(
    Way,
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(",;\t|"),
    marks=st.sampled_from(("all", "needed", "backslash")),
    ends=st.lists(st.sampled_from(("\n", "\r\n", "\r")), min_size=1, max_size=3).map(tuple),
    names=st.integers(0, 3),
    numbered=st.booleans(),
    odd_names=st.booleans(),
    sep_line=st.booleans(),
    spaced=st.booleans(),
    bad_byte=st.booleans(),
    form=st.sampled_from(("NFC", "NFD")),
)
GOOD = st.tuples(st.sampled_from(TEXTS), st.sampled_from(("he", "schön")), st.sampled_from(CLASSES), st.integers(0, 4))
ROWS = st.lists(
    st.one_of(GOOD, GOOD, GOOD, st.sampled_from(sorted(BAD)), st.sampled_from(("opened", "closed", "wide"))), min_size=1
)


def is_narrow(way: Way) -> bool:
    return way.encoding in ("cp1252", "cp1250", "mac_roman")


def written(cell: str, way: Way) -> str:
    """The cell as the table has it."""
    needed = way.marks == "all" or any(mark in cell for mark in (way.delimiter, '"', "\n", "\r"))
    if not needed:
        return cell
    return '"' + cell.replace('"', '\\"' if way.marks == "backslash" else '""') + '"'


def name_of(name: str, place: int, way: Way) -> str:
    """A name as somebody may write it, which is the same one."""
    ways = (*UNSEEN, *QUOTED) if name in CLASSES else UNSEEN
    odd = ways[place % len(ways)].format(unicodedata.normalize(way.form, name)) if way.odd_names else name
    if is_narrow(way):
        odd = "".join(
            letter for letter in unicodedata.normalize("NFC", odd) if letter.isascii() or letter in "éö\u00a0"
        )
    return odd


def line_of(row: object, place: int, way: Way) -> str:
    """One row as the table has it."""
    space = " " if way.spaced else ""
    if isinstance(row, str) and row in STRAY:
        cells = [STRAY[row], "he", "M", "she", CLASSES[1], "test"]
        return (way.delimiter + space).join(cells)
    if row == "wide":
        cells = ["a [MASK]", "he", "M", "she", CLASSES[1], "test", "more"]
        return (way.delimiter + space).join(written(cell, way) for cell in cells)
    masked, word, name = BAD[row] if isinstance(row, str) else row[:3]  # type: ignore[index]
    other = "" if row == "blank" else CLASSES[1 - CLASSES.index(name)]
    cells = [masked, word, name_of(name, place, way) if name else "", "" if row == "blank" else "she"]
    cells += [name_of(other, place + 1, way) if other else "", "" if row == "blank" else "test"]
    return (way.delimiter + space).join(written(cell, way) for cell in cells)


def spelled(name: str, way: Way) -> str:
    """The name of a column: as it is, Label_Class, LABEL-CLASS or labelClass."""
    camel = "".join(part.title() if place else part for place, part in enumerate(name.split("_")))
    return (name, name.title(), name.upper().replace("_", "-"), camel)[way.names]


def table_of(rows: list[object], way: Way) -> bytes:
    space = " " if way.spaced else ""
    header = [name_of(spelled(name, way), place, way) for place, name in enumerate(NAMES)]
    lines = [(way.delimiter + space).join(header), *(line_of(row, place, way) for place, row in enumerate(rows))]
    if way.numbered:
        counted = ["", *map(str, range(len(rows)))]
        lines = [way.delimiter.join((number, line)) for number, line in zip(counted, lines, strict=True)]
    lines = ([f"sep={way.delimiter}"] if way.sep_line else []) + lines
    text = "".join(line + way.ends[place % len(way.ends)] for place, line in enumerate(lines))
    content = text.encode(way.encoding)
    if has_bad_byte(way):
        end = way.ends[(len(lines)) % len(way.ends)].encode()
        cells = [*(["9"] if way.numbered else []), "Ã¤ [MASK]", "he", "M", "she", CLASSES[1], "test"]
        content += way.delimiter.join(cells).encode("latin-1").replace(b"\xe9", "é".encode()) + b"\xff" + end
    return content


def has_bad_byte(way: Way) -> bool:
    return way.bad_byte and way.encoding in ("utf-8", "utf-8-sig")


def expected(row: object, way: Way) -> tuple[str, str, str] | str:
    """(text, word, class) of a row that can be scored, else the kind of its reason."""
    if row == "wide":
        return "unread"
    if isinstance(row, str):
        return (STRAY[row], "he", "M") if row in STRAY else row
    masked, word, name, _ = row  # type: ignore[misc]
    return masked, word, name


def read(rows: list[object], way: Way) -> tuple[ReadTable, EvalData]:
    table = read_bytes(table_of(rows, way), ".csv")
    return table, check_rows(table)


@settings(QUIET, max_examples=TABLES)
@given(rows=ROWS, way=WAYS)
def test_no_row_is_lost_without_a_word(rows: list[object], way: Way) -> None:
    table, data = read(rows, way)
    told = {note.text[0] for note in data.notes}
    count = len(rows) + has_bad_byte(way)
    assert len(table.frame) == len(data.rows) + len(data.rejected) == count, (way, told)
    found = {row.number: (row.masked, row.label, row.label_class) for row in data.rows}
    reasons = {row.number: row.kind for row in data.rejected}
    for number, row in enumerate(rows):
        assert found.get(number, reasons.get(number)) == expected(row, way), (way, row, told)
    assert ("data.sep_line" in told) is way.sep_line
    assert any(key.startswith("data.quote_literal") for key in told) is ("opened" in rows)
    assert any(key.startswith("data.bytes_replaced") for key in told) is has_bad_byte(way)
    if has_bad_byte(way):
        assert table.frame[same_column("split", list(table.frame))].iloc[-1] == f"test{REPLACED}"
    assert sum(data.dropped.values()) == len(data.rejected)


# --- rows that are values: of JSON, parquet and a script's frames ----------------------------------------------------

KEYS = {
    "label_class": ("label_class", "Label Class", "labelClass", "\ufefflabel_class"),
    "masked": ("masked", " Masked", "MASKED\u200b", "ｍａｓｋｅｄ"),
}
"""How a record may spell these keys; one of them for the whole table in a frame."""
KINDS_OF_CELLS: dict[str, tuple[str, ...]] = {
    "1": ("1", "1.0", " 1 "),
    "M": ("M", "M\u00a0", "\ufeffM", "'M'", "“M”", "M\u3164", "\u202eM"),
    "é": ("é", "e\u0301", " é\u00ad"),
}
VALUES: dict[str, tuple[object, ...]] = {
    "1": (1, 1.0, np.int64(1), np.float32(1), b"1"),
    "M": (np.str_("M"), b"M", bytearray(b"M"), np.array("M")),
    "é": ("é".encode(), np.str_("é")),
}
NO_TEXT: tuple[object, ...] = (["M"], {"a": "M"}, [], {})
NO_VALUE: tuple[object, ...] = ([], {"M"}, np.array(["M", "F"]), object(), b"\xff", frozenset("M"), pd.Series(["M"]))
MISSING: tuple[object, ...] = (None, "", " ", "\u200b", float("nan"))
FORMS = ("json", "jsonl", "wrapped", "columns", "parquet", "records", "frame", "categories")

CELLS = st.one_of(
    *[st.tuples(st.just(name), st.sampled_from(cells)) for name, cells in KINDS_OF_CELLS.items()],
    st.tuples(st.just("nested"), st.sampled_from(NO_TEXT)),
    st.tuples(st.just("empty"), st.sampled_from(MISSING)),
    *[st.tuples(st.just(name), st.sampled_from(cells)) for name, cells in VALUES.items()],
    st.tuples(st.just("nested"), st.sampled_from(NO_VALUE)),
)


def as_form(records: list[dict[str, Any]], form: str) -> ReadTable:
    """The records as a table of this form; cells that JSON or parquet cannot hold come as a script has them."""
    names = list(records[0])
    if form == "records":
        return as_read(records)
    if form in ("frame", "categories", "parquet"):
        frame = pd.DataFrame({name: pd.Series([row[name] for row in records], dtype=object) for name in names})
        if form == "categories":
            kept = [name for name in names if all(isinstance(cell, str) for cell in frame[name])]
            frame = frame.astype(dict.fromkeys(kept, "category"))
        if form != "parquet" or not all(is_one_kind(frame[name].tolist()) for name in names):
            return as_read(frame)
        content = io.BytesIO()
        frame.to_parquet(content)
        return read_bytes(content.getvalue(), ".parquet")
    try:
        plain = [json.dumps(row) for row in records]
    except (TypeError, ValueError):
        return as_read(records)
    if form == "columns":
        return read_bytes(json.dumps({name: [row[name] for row in records] for name in names}).encode(), ".json")
    text = "\n".join(plain) if form == "jsonl" else f"[{','.join(plain)}]"
    text = f'{{"rows": {text}}}' if form == "wrapped" else text
    return (
        as_read(records) if form == "records" else read_bytes(text.encode(), ".jsonl" if form == "jsonl" else ".json")
    )


def is_one_kind(cells: list[object]) -> bool:
    """Whether parquet has a column for them; one of empty lists has no kind."""
    kinds = {type(cell) for cell in cells if cell is not None}
    return len(kinds) < 2 and kinds <= {str, int, float, bytes, list} and [] not in cells


@settings(QUIET, max_examples=TABLES)
@given(
    cells=st.lists(CELLS, min_size=1),
    form=st.sampled_from(FORMS),
    keys=st.lists(st.integers(0, 3), min_size=1),
)
def test_no_value_is_lost_without_a_word(cells: list[tuple[str, object]], form: str, keys: list[int]) -> None:
    records = []
    for place, (_, cell) in enumerate(cells):
        spelling = keys[place % len(keys)] if form in ("json", "jsonl", "wrapped", "records") else keys[0]
        row = {KEYS["masked"][spelling]: f"{place} [MASK]", "label": "he", KEYS["label_class"][spelling]: cell}
        records.append(row | {"alternative": "she", "alternative_class": "F"})
    table = as_form(records, form)
    data = check_rows(table)
    assert len(table.frame) == len(data.rows) + len(data.rejected) == len(cells)
    found = {row.number: row.label_class for row in data.rows} | {row.number: row.kind for row in data.rejected}
    assert [found[place] for place in range(len(cells))] == [kind for kind, _ in cells], form
    assert all(row.masked == f"{row.number} [MASK]" for row in data.rows)
