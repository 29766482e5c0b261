"""The rows of a csv, as people and programs really write them: which lines and cells belong together.

A cell in quotation marks may hold separators and line ends. A mark that opens a cell and would swallow lines that are
rows themselves, or is followed by more than its cell, is a character like any other; `\\"` is the mark that somebody
meant. `sep=;` in the first line names the separator, as Excel writes it. Knows text; no limit and no column.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

from gradiend_ui.engine.data.notes import Note

DELIMITERS = (",", ";", "\t", "|")
MARK, ESCAPED_MARK = '"', '\\"'
SHOWN_LINES = 5
ENOUGH_COLUMNS = 4
"""From so many cells on, two lines that both have exactly as many are rows and no text."""
SAMPLE_CHARACTERS, SAMPLE_ROWS = 200_000, 200
_LINE = re.compile(r"([^\r\n]*+)(?:\r\n|\r|\n|\Z)")
_SEP_LINE = re.compile(r"[ \t\r\n]*\"?sep=(\\t|[^\w\s\"]|\t)\"?[ ,;\t|]*(?:\r\n|\r|\n|\Z)", re.IGNORECASE)


@dataclass(frozen=True)
class _Record:
    """cells; end: where in the text the next one begins."""

    cells: list[str]
    end: int


@dataclass(frozen=True)
class _Marks:
    """How cells are found: opens: a mark at the beginning of a cell; quoted: such a cell up to its separator, also over
    several lines; backslashed: the same with \\" for a mark; in_line: within one line; plain: a cell without marks.
    Each gives the cell and what ends it. spaced: spaces may stand around the marks."""

    opens: re.Pattern[str]
    plain: re.Pattern[str]
    quoted: re.Pattern[str]
    in_line: re.Pattern[str]
    backslashed: re.Pattern[str]

    @classmethod
    @cache
    def of(cls, delimiter: str, *, spaced: bool) -> _Marks:
        space = "[ \u00a0]*+" if delimiter == "\t" else "[ \t\u00a0]*+"
        before, named = space if spaced else "", re.escape(delimiter)
        end = rf"{space}({named}|\r\n|\r|\n|\Z)"
        return cls(
            opens=re.compile(rf'{before}"'),
            plain=re.compile(rf"([^{named}\r\n]*+)({named}|\r\n|\r|\n|\Z)"),
            quoted=re.compile(rf'{before}"([^"]*+(?:""[^"]*+)*+)"{end}'),
            in_line=re.compile(rf'{before}"([^"\r\n]*+(?:""[^"\r\n]*+)*+)"{end}'),
            backslashed=re.compile(rf'{before}"([^"\\]*+(?:(?:""|\\[\s\S])[^"\\]*+)*+)"{end}'),
        )


@dataclass
class CsvRows:
    """The rows of `text`, header first, without blank lines; after they were gone through, `notes` tells what was odd.

    first_line: the number of the text's first line, from 1.
    """

    text: str
    delimiter: str
    first_line: int = 1
    literal: list[int] = field(default_factory=list)
    escaped: list[int] = field(default_factory=list)
    spanning: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._is_spaced = self._header_is_spaced()
        self._marks = _Marks.of(self.delimiter, spaced=self._is_spaced)
        self._loose = _Marks.of(self.delimiter, spaced=True)

    def __iter__(self) -> Iterator[list[str]]:
        begin, taken, number, width = 0, 0, self.first_line - 1, 0
        for line in io.StringIO(self.text, newline=""):
            place, begin, number = begin, begin + len(line), number + 1
            raw = line.rstrip("\r\n")
            if place < taken or not raw:  # a part of the record before it, or blank
                continue
            if MARK not in raw:
                cells = [raw] if width == 1 else raw.split(self.delimiter)
            else:
                found = self._usual(raw, width)
                if found is None:
                    record = self._record(place, raw, begin, number, width)
                    found, taken = record.cells, record.end
                cells = found
            width = width or len(cells)
            yield list(map(_trimmed, cells)) if self._is_spaced else cells

    def _usual(self, raw: str, width: int) -> list[str] | None:
        """The cells of a line that is a row to the letter of the format; None where it takes a closer look."""
        if width == 1 or self._is_spaced or ESCAPED_MARK in raw:
            return None
        try:
            cells = next(csv.reader((raw,), delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        return cells if len(cells) == width else None

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was not read as the letter of the format has it, with the numbers of the first lines."""
        found = []
        if self.literal:
            told, count = _listed(self.literal), len(self.literal)
            where = f"In line {told}" if count == 1 else f"In {count:,} lines ({told})"
            sentence = (
                f"{where} a quotation mark belongs to no cell: it is read as a character, and every line as a row."
            )
            found.append(
                Note(sentence, (_counted("data.quote_literal", count), {"count": f"{count:,}", "lines": told}))
            )
        if self.escaped:
            told, count = _listed(self.escaped), len(self.escaped)
            where = f"In line {told}" if count == 1 else f"In {count:,} lines ({told})"
            sentence = f'{where} \\" stands for a quotation mark: it is read without the backslash.'
            found.append(
                Note(sentence, (_counted("data.quote_escaped", count), {"count": f"{count:,}", "lines": told}))
            )
        if self.spanning:
            count, (begin, end) = len(self.spanning), self.spanning[0]
            more = "" if count == 1 else f", and {count - 1:,} more such"
            sentence = f"One cell in quotation marks goes from line {begin:,} to line {end:,}{more}: it is read as one."
            values = {"count": f"{count - 1:,}", "begin": f"{begin:,}", "end": f"{end:,}"}
            found.append(Note(sentence, ("data.spanning_one" if count == 1 else "data.spanning_many", values)))
        return tuple(found)

    def _header_is_spaced(self) -> bool:
        """Whether spaces stand around the cells of the first line: then they do around all of them."""
        found = next((match[1] for match in _LINE.finditer(self.text) if match[1].strip()), "")
        cells = found.split(self.delimiter)
        return len(cells) > 1 and any(cell.strip() and cell != cell.strip() for cell in cells[1:])

    def _record(self, place: int, raw: str, line_end: int, line: int, width: int) -> _Record:
        """The record that begins at `place`, in the reading that makes rows of its lines."""
        if width == 1:
            return self._only_cell(place, raw, line_end, line)
        whole = self._cells(place, self._marks.quoted)
        if whole is None or (width and len(whole.cells) != width):
            whole = self._of_width(self._cells(place, self._loose.quoted), width) or whole
        spans = whole is not None and whole.end > line_end
        if ESCAPED_MARK in raw and (whole is None or spans or self._leaves_marks(whole, width)):
            other = self._cells(place, self._loose.backslashed)
            if other is not None and (not width or len(other.cells) == width):
                return self._unescaped(other, line)
        if whole is not None and not (spans and self._swallows(place, whole.end, width)):
            if spans and self._holds_rows(place, whole.end, width):
                self.spanning.append((line, line + _count_lines(self.text, place, whole.end) - 1))
            return self._unescaped(whole, line)
        self.literal.append(line)
        return self._unescaped(self._literally(place, width), line)

    def _only_cell(self, place: int, raw: str, line_end: int, line: int) -> _Record:
        """The record of a table of one column, where a line is a text, whatever separators it holds."""
        if not raw.startswith(MARK):
            return self._unescaped(_Record([raw], line_end), line)
        for quoted in (self._marks.quoted, self._marks.backslashed):
            whole = self._cells(place, quoted)
            if whole is None or any(whole.cells[1:]):
                continue
            if whole.end > line_end:
                self.spanning.append((line, line + _count_lines(self.text, place, whole.end) - 1))
            return self._unescaped(_Record(whole.cells[:1], whole.end), line)
        self.literal.append(line)
        return self._unescaped(_Record([raw], line_end), line)

    def _of_width(self, record: _Record | None, width: int) -> _Record | None:
        return record if record is not None and width and len(record.cells) == width else None

    def _leaves_marks(self, record: _Record, width: int) -> bool:
        """Whether a reading without backslashes leaves marks in the cells, or another number of cells."""
        return bool(width and len(record.cells) != width) or any(ESCAPED_MARK in cell for cell in record.cells)

    def _unescaped(self, record: _Record, line: int) -> _Record:
        if not any(ESCAPED_MARK in cell for cell in record.cells):
            return record
        self.escaped.append(line)
        return _Record([cell.replace(ESCAPED_MARK, MARK) for cell in record.cells], record.end)

    def _cells(self, place: int, quoted: re.Pattern[str]) -> _Record | None:
        """The cells from `place` to the end of the record; None where a cell in marks does not end as it should."""
        marks = self._loose if quoted in (self._loose.quoted, self._loose.backslashed) else self._marks
        cells: list[str] = []
        while True:
            in_marks = marks.opens.match(self.text, place) is not None
            found = (quoted if in_marks else marks.plain).match(self.text, place)
            if found is None:
                return None
            cells.append(found[1].replace('""', MARK) if in_marks else found[1])
            place = found.end()
            if found[2] != self.delimiter:
                return _Record(cells, place)

    def _literally(self, place: int, width: int) -> _Record:
        """One line as one row: a mark that opens no whole cell of this line is a character. Where that makes too many
        cells, the separators behind the first such mark belong to its cell."""
        cells: list[str] = []
        stray: int | None = None
        while True:
            in_marks = self._loose.opens.match(self.text, place) is not None
            found = self._loose.in_line.match(self.text, place) if in_marks else None
            if found is None:
                stray = len(cells) if in_marks and stray is None else stray
                found = self._loose.plain.match(self.text, place)
                cells.append(found[1] if found else "")
            else:
                cells.append(found[1].replace('""', MARK))
            place = found.end() if found else len(self.text)
            if found is None or found[2] != self.delimiter:
                break
        extra = len(cells) - width
        if width and extra > 0 and stray is not None:
            joined = self.delimiter.join(cells[stray : stray + extra + 1])
            if joined.count(MARK) % 2:
                joined = joined.replace(MARK, "", 1)
            cells = [*cells[:stray], joined, *cells[stray + extra + 1 :]]
        return _Record(list(map(_without_stray, cells)), place)

    def _swallows(self, begin: int, end: int, width: int) -> bool:
        """Whether the lines of a record look like rows of their own, by their number of cells; a text with so many
        separators in each of its lines is none in a table of some columns."""
        if width < 2:
            return False
        first, *inner, last = _lines(self.text[begin:end])
        inner = [line for line in inner if line.strip()]
        ends = len(first.split(self.delimiter)) >= width and len(last.split(self.delimiter)) == width
        if not inner:
            return ends and width >= ENOUGH_COLUMNS
        if width >= ENOUGH_COLUMNS:
            return 2 * sum(len(line.split(self.delimiter)) >= width for line in inner) > len(inner)
        return ends and all(len(line.split(self.delimiter)) == width for line in inner)

    def _holds_rows(self, begin: int, end: int, width: int) -> bool:
        """Whether a line within a record could be a row, whole or cut short, so that the record is worth a word."""
        return any(2 * line.count(self.delimiter) >= width - 1 for line in _lines(self.text[begin:end])[1:-1])


def named_delimiter(text: str) -> tuple[str | None, str]:
    """(the separator that a first line `sep=;` names, the text without that line); None where there is no such line."""
    found = _SEP_LINE.match(text)
    if found is None:
        return None, text
    return "\t" if found[1] == "\\t" else found[1], text[found.end() :]


def find_delimiter(text: str, first: str = ",") -> str:
    """The delimiter that cuts the header and most of the first rows into the same number of cells; `first` on a tie."""
    best, best_merit = first, (0.0, 1)
    for delimiter in dict.fromkeys((first, *DELIMITERS)):
        rows = list(islice(CsvRows(text[:SAMPLE_CHARACTERS], delimiter), SAMPLE_ROWS))
        if len(text) > SAMPLE_CHARACTERS and len(rows) > 2:
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


def _trimmed(cell: str) -> str:
    """Without the spaces around it; a text of several lines as it is."""
    return cell if "\n" in cell or "\r" in cell else cell.strip(" \t\u00a0")


def _without_stray(cell: str) -> str:
    """A single word without the mark before it that closes nothing; in a text the mark may be meant."""
    is_word = cell.startswith(MARK) and cell.count(MARK) == 1 and not any(map(str.isspace, cell))
    return cell[1:] if is_word else cell


def _lines(text: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


def _count_lines(text: str, begin: int, end: int) -> int:
    return max(1, len(_lines(text[begin:end])))


def _listed(lines: list[int]) -> str:
    more = ", …" if len(lines) > SHOWN_LINES else ""
    return ", ".join(f"{line:,}" for line in lines[:SHOWN_LINES]) + more


def _counted(key: str, count: int) -> str:
    return f"{key}_one" if count == 1 else f"{key}_many"
