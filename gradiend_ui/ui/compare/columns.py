"""The columns of a comparison, and all its numbers as one table.

Columns: the base, the pinned cells A to D, and the selected cell where it is not one of them; pins are plain (feature
factor, learning rate) pairs of a page's view. The table is for a spreadsheet, comma-separated to download and
tab-separated to copy; no text in it begins a formula (see `engine.files.csv_text`). Knows answers; no model, no widget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradiend_ui.engine.answers.model import CompareAnswer, ComparedText
from gradiend_ui.engine.files.csv_text import cell, csv_text
from gradiend_ui.engine.values import CellPlace
from gradiend_ui.figures.numbers import cell_name
from gradiend_ui.ui.kit.tree import Node, explained, node, pick
from gradiend_ui.ui.kit.words import Words

Pair = tuple[float, float]
LETTERS = "ABCD"
MOST_PINNED = len(LETTERS)
UNPIN, UNPIN_ALL = "unpin", "unpin-all"
SELECTED = "here"


@dataclass(frozen=True)
class Column:
    """One rewritten model. letter: "" for the selected cell that is not pinned."""

    cell: Pair
    letter: str
    is_selected: bool

    @property
    def name(self) -> str:
        """As it heads a column: `A (−1, 0.2)`, `(−1, 0.2)`."""
        return f"{self.letter} {cell_name(*self.cell)}".strip()

    @property
    def style(self) -> str:
        """The class of its bars and lines; each looks different without its colour too."""
        return f"pin-{self.letter.lower()}" if self.letter else SELECTED


def columns_of(pinned: Sequence[Pair], selected: CellPlace | None) -> tuple[Column, ...]:
    """Pinned cells in their order, then the selected one where it is no pin and there is room: at most four."""
    chosen = None if selected is None else pair_of(selected)
    columns = [Column(cell, LETTERS[place], cell == chosen) for place, cell in enumerate(pinned[:MOST_PINNED])]
    if chosen is not None and chosen not in pinned and len(columns) < MOST_PINNED:
        columns.append(Column(chosen, "", True))
    return tuple(columns)


def pair_of(cell: CellPlace) -> Pair:
    return cell["feature_factor"], cell["learning_rate"]


def toggled(pinned: Sequence[Pair], cell: Pair) -> tuple[Pair, ...]:
    """The pins with `cell` added, or without it where it is one; unchanged where there is no room."""
    if cell in pinned:
        return tuple(pin for pin in pinned if pin != cell)
    return (*pinned, cell) if len(pinned) < MOST_PINNED else tuple(pinned)


def without(pinned: Sequence[Pair], picked: str) -> tuple[Pair, ...]:
    """The pins after a press in `build_key`; a press that names no pin changes nothing."""
    if picked == UNPIN_ALL:
        return ()
    return tuple(pin for pin in pinned if picked != _value(pin))


def _value(pin: Pair) -> str:
    return f"{UNPIN} {pin[0]!r} {pin[1]!r}"


def build_key(columns: Sequence[Column], pinned: Sequence[Pair], selected: CellPlace | None, words: Words) -> Node:
    """Which line is which model; pinned ones can be removed."""
    base = explained(words("compare.base"), words.help("compare.base"), cls="key base")
    parts: list[Node | None] = [base, *(_chip(column, words) for column in columns)]
    if len(pinned) > 1:
        parts.append(pick(UNPIN_ALL, words("compare.unpin_all"), cls="unpin-all"))
    if selected is None and not columns:
        parts.append(node("span", words("compare.no_cell"), cls="quiet"))
    return node("p", *parts, cls="legend columns")


def is_left_out(columns: Sequence[Column], selected: CellPlace | None) -> bool:
    """Whether the selected cell has no column because all places are pinned."""
    return selected is not None and pair_of(selected) not in {column.cell for column in columns}


def _chip(column: Column, words: Words) -> Node:
    name = cell_name(*column.cell)
    if not column.letter:
        return node("span", words("compare.rewritten_at", cell=name), cls=f"key {column.style}")
    label = words("compare.unpin", letter=column.letter, cell=name)
    return node(
        "span",
        node("strong", column.letter),
        node("span", name, cls="num"),
        node("span", words("compare.selected") if column.is_selected else "", cls="quiet"),
        pick(_value(column.cell), "✕", cls="remove", aria_label=label, title=label),
        cls=f"key chip-pin {column.style}",
    )


Line = list[str | float | int | None]
HEAD = ("sentence_number", "sentence", "mask", "kind", "item", "vocabulary_id", "base")
TOKEN, CLASS, CONTINUATION, ERROR = "token", "class", "continuation", "error"
CSV_NAME = "comparison.csv"


def table(answer: CompareAnswer, columns: Sequence[Column]) -> list[Line]:
    """A head and one line per class, token, continuation or error; `change` is p minus the base's p."""
    head: Line = list(HEAD)
    for column in columns:
        factor, rate = column.cell
        place = f"{column.letter} ({factor:g}, {rate:g})".strip()
        head += [place, f"change {place}"]
    lines = (line for number, item in enumerate(answer["texts"], 1) for line in _lines(number, item))
    width = len(head)
    return [head, *([*line, *[None] * (width - len(line))] for line in lines)]


def _lines(number: int, item: ComparedText) -> Iterator[Line]:
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
