"""Two sweeps side by side: the same number over both grids on one colour scale, their difference, winners, settings.

Pure functions of two pictures (`Session.picture`) and two entries (`Runs.entry`): trees and CSV. Starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradiend_ui.engine.answers.run import Picture, RunEntry, SelectionAnswer
from gradiend_ui.engine.files.csv_text import csv_text
from gradiend_ui.engine.selection.winner_facts import facts_of
from gradiend_ui.figures.numbers import MISSING, cell_name, plain, signed, six_digits, three_digits
from gradiend_ui.ui.kit.tree import Node, explained, node, pick
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.runs.listing import moment, title_of

Table = Sequence[Sequence[float | None]]
Paint = Callable[[float, float, float | None], Node]
"""A table's cell from its feature factor, its learning rate and its number."""
MANY_COLUMNS = 10
SETTINGS = (
    "checkpoint", "classes", "goal", "part", "token_boundary", "split", "rows", "neutral_set", "neutral_tokens",
    "feature_factors", "learning_rates", "file", "weights_and_data",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the two runs: what the list tells of it, and its picture."""

    letter: str
    entry: RunEntry
    picture: Picture


@dataclass(frozen=True)
class Number:
    """What is shown of every cell: the LMS relative to the base, or P(name) on the rows of `dataset`."""

    dataset: str = ""
    name: str = ""

    def label(self, words: Words) -> str:
        return words("runs.number_p", name=self.name, dataset=self.dataset) if self.name else words("runs.number_lms")

    def table(self, picture: Picture) -> Table:
        table: Table = picture["by_dataset"][self.dataset][self.name] if self.name else picture["lms_ratio"]
        return table

    def base(self, picture: Picture) -> float | None:
        if not picture["base"]:
            return None
        return picture["base"]["probs_by_dataset"].get(self.dataset, {}).get(self.name) if self.name else 1.0


def numbers_of(first: Side, second: Side) -> list[Number]:
    """What both runs have: probabilities of a class on other classes' rows first, then the LMS, then on own rows."""
    there = second.picture["by_dataset"]
    found = [
        Number(dataset, name)
        for dataset, by_class in first.picture["by_dataset"].items()
        for name in by_class
        if name in there.get(dataset, {})
    ]
    order = {name: place for place, name in enumerate(first.entry["classes"])}
    found.sort(key=lambda number: order.get(number.name, len(order)))
    return [*(n for n in found if n.name != n.dataset), Number(), *(n for n in found if n.name == n.dataset)]


def asked_number(numbers: Sequence[Number], target_class: object, goal: object) -> Number:
    """The number that decides a question: P(class) on another class's rows, or on its own rows to weaken it."""
    is_own = goal == "weaken"
    fitting = (n for n in numbers if n.name == target_class and (n.name == n.dataset) == is_own)
    return next(fitting, numbers[0])


def build_pair(first: Side, second: Side, number: Number, words: Words) -> Node:
    """The whole comparison."""
    low, high = scale(number, first, second)
    values = three_digits(low), three_digits(high)
    return node(
        "div",
        node("h3", words("runs.pair_title")),
        _build_choice(numbers_of(first, second), number, words),
        node(
            "div",
            *(_build_map(side, number, (low, high), words) for side in (first, second)),
            cls="pair-maps",
        ),
        node("p", words("runs.scale", low=values[0], high=values[1]), cls="quiet"),
        _build_difference(first, second, number, words),
        _build_facts(first, second, words),
        cls="pair",
        role="group",
        aria_label=words("runs.pair_title"),
    )


def build_half(entry: RunEntry, words: Words) -> Node:
    """One run is chosen, the second is not."""
    return node("p", words("runs.second", name=f"{title_of(entry)}, {moment(entry['created'])}"), cls="quiet half")


def scale(number: Number, first: Side, second: Side) -> tuple[float, float]:
    """(low, high) of the colours, the same for both grids; probabilities begin at 0."""
    known = [v for side in (first, second) for row in number.table(side.picture) for v in row if v is not None]
    high = max(known, default=1.0)
    low = 0.0 if number.name else min(known, default=0.0)
    return (low, high) if high > low else (low, low + 1.0)


def difference(first: Side, second: Side, number: Number) -> tuple[list[float], list[float], list[list[float | None]]]:
    """(feature factors, learning rates, second - first) where the two grids have the same cells, ascending."""
    pictures = first.picture, second.picture
    factors, rates = (
        [value for value in pictures[0][axis] if value in pictures[1][axis]]
        for axis in ("feature_factors", "learning_rates")
    )
    left, right = (_by_cell(number.table(picture), picture) for picture in pictures)
    table = [[_minus(right[factor, rate], left[factor, rate]) for rate in rates] for factor in factors]
    return factors, rates, table


def csv_of(first: Side, second: Side, number: Number) -> str:
    """Every cell of either grid: feature_factor, learning_rate, a, b, difference; empty where there is no number."""
    left, right = (_by_cell(number.table(side.picture), side.picture) for side in (first, second))
    lines: list[list[object]] = [["feature_factor", "learning_rate", "a", "b", "difference"]]
    for cell in sorted({*left, *right}):
        a, b = left.get(cell), right.get(cell)
        lines.append([*cell, a, b, _minus(b, a)])
    return csv_text(lines)


def _by_cell(table: Table, picture: Picture) -> dict[tuple[float, float], float | None]:
    return {
        (factor, rate): table[row][column]
        for row, factor in enumerate(picture["feature_factors"])
        for column, rate in enumerate(picture["learning_rates"])
    }


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _build_choice(numbers: Sequence[Number], chosen: Number, words: Words) -> Node:
    buttons = (
        pick(f"number:{place}", number.label(words), aria_pressed="true" if number == chosen else "false")
        for place, number in enumerate(numbers)
    )
    return node("div", *buttons, pick("apart:", words("runs.apart"), cls="apart"), cls="choices")


def _build_map(side: Side, number: Number, limits: tuple[float, float], words: Words) -> Node:
    picture = side.picture
    low, high = limits
    winner = picture["selection"]
    passes = _by_cell(picture["passes"], picture)

    def cell(factor: float, rate: float, value: float | None) -> Node:
        is_best = winner is not None and (winner["feature_factor"], winner["learning_rate"]) == (factor, rate)
        notes = [words("runs.best")] if is_best else []
        notes += [words("runs.fails")] if passes[factor, rate] is False else []
        share = 0.0 if value is None else (value - low) / (high - low)
        return _build_cell(
            factor, rate, value, share, notes, len(picture["learning_rates"]), fails=len(notes) > is_best, best=is_best
        )

    base = words("runs.base", value=three_digits(number.base(picture)))
    caption = node(
        "caption", node("strong", f"{side.letter} · {title_of(side.entry)}"), node("span", base, cls="quiet")
    )
    return _build_grid(
        caption,
        picture["feature_factors"],
        picture["learning_rates"],
        number.table(picture),
        cell,
        words,
        f"{side.letter}: {number.label(words)}",
    )


def _build_difference(first: Side, second: Side, number: Number, words: Words) -> Node:
    factors, rates, table = difference(first, second, number)
    if not factors or not rates:
        return node("p", words("runs.no_common"), cls="quiet")
    largest = max((abs(v) for row in table for v in row if v is not None), default=0.0)

    def cell(factor: float, rate: float, value: float | None) -> Node:
        share = 0.0 if value is None or not largest else abs(value) / largest
        less = value is not None and value < 0
        return _build_cell(factor, rate, value, share, [], len(rates), change=True, less=less)

    label = words("runs.difference", number=number.label(words))
    caption = node(
        "caption", node("strong", label), node("span", words("runs.largest", value=three_digits(largest)), cls="quiet")
    )
    return node("div", _build_grid(caption, factors, rates, table, cell, words, label), cls="pair-difference")


def _build_cell(
    factor: float, rate: float, value: float | None, share: float, notes: Sequence[str], columns: int, *,
    fails: bool = False, best: bool = False, change: bool = False, less: bool = False,
) -> Node:  # fmt: skip
    text = short(value, columns > MANY_COLUMNS, change)
    names = [name for name, on in (("fails", fails), ("best", best), ("less", less), ("none", value is None)) if on]
    tip = f"{cell_name(factor, rate)}: {six_digits(value)}" + "".join(f", {note}" for note in notes)
    spoken = node("span", "".join(f" {note}" for note in notes), cls="spoken") if notes else None
    return node(
        "td",
        node("span", "★", aria_hidden="true", cls="mark") if best else None,
        text,
        spoken,
        cls=" ".join(["num", *names]),
        style=f"--p: {100 * min(max(share, 0.0), 1.0):.1f}%",
        data_tip=tip,
    )


def short(value: float | None, narrow: bool, change: bool = False) -> str:
    """Three digits, two where there is little room; a change has its sign."""
    if value is None:
        return MISSING
    text = f"{value:.2f}" if narrow else f"{value:.3f}"
    if float(text) == 0.0:
        return "0"
    return ("+" if change and value > 0 else "") + text.replace("-", "\u2212")


def _build_grid(
    caption: Node, factors: Sequence[float], rates: Sequence[float], table: Table, cell: Paint, words: Words, label: str
) -> Node:
    """Feature factors downwards from the largest, learning rates to the right."""
    head = node(
        "tr",
        node("th", explained("±", words("runs.axes")), scope="col"),
        *(node("th", plain(rate), scope="col") for rate in rates),
    )
    lines = [
        node(
            "tr",
            node("th", signed(factor), scope="row"),
            *(cell(factor, rate, value) for rate, value in zip(rates, row, strict=True)),
        )
        for factor, row in reversed(list(zip(factors, table, strict=True)))
    ]
    grid = node(
        "table", caption, node("thead", head), node("tbody", *lines), cls="pair-grid", style=f"--n: {len(rates)}"
    )
    return node("div", grid, cls="pair-scroll", tabindex="0", role="region", aria_label=label)


def _build_facts(first: Side, second: Side, words: Words) -> Node:
    """Winners of both, then every setting that is not the same."""
    sides = (first, second)
    head = node(
        "tr",
        node("th", "", scope="col"),
        *(node("th", f"{s.letter} · {title_of(s.entry)}", scope="col") for s in sides),
    )
    rows = [
        _row(words("runs.swept"), [moment(side.entry["created"]) for side in sides]),
        _row(words("runs.best"), [_winner(side.picture["selection"], words) for side in sides]),
        *(
            _row(
                words(f"runs.set_{key}"),
                [_said(key, side.entry["settings"][key], words) for side in sides],
                words.help(f"runs.set_{key}"),
            )
            for key in differing(first.entry, second.entry)
        ),
    ]
    same = [words(f"runs.set_{key}") for key in SETTINGS if key not in differing(first.entry, second.entry)]
    return node(
        "div",
        node(
            "table",
            node("caption", words("runs.differences")),
            node("thead", head),
            node("tbody", *rows),
            cls="pair-facts",
        ),
        node("p", words("runs.same", names=", ".join(same)), cls="quiet") if same else None,
    )


def differing(first: RunEntry, second: RunEntry) -> list[str]:
    """The settings of two entries that are not the same, in the order in which they are told."""
    return [key for key in SETTINGS if first["settings"][key] != second["settings"][key]]


def _row(label: str, texts: Sequence[str], tip: str | None = None) -> Node:
    name = explained(label, tip) if tip else label
    return node("tr", node("th", name, scope="row"), *(node("td", text, cls="num") for text in texts))


def _said(key: str, value: object, words: Words) -> str:
    """A setting as text; what is absent has a word of its own."""
    if value is not None:
        return words(f"runs.goal_{value}") if key == "goal" else str(value)
    absent = {"neutral_set": "runs.no_neutral", "file": "runs.swept_here"}
    return words(absent.get(key, "runs.not_known"))


def _winner(selection: SelectionAnswer | None, words: Words) -> str:
    if selection is None:
        return words("runs.no_winner")
    won = facts_of(selection, None)
    place = cell_name(won.feature_factor, won.learning_rate)
    text = f"{place}: P {three_digits(won.probability)}, LMS {three_digits(won.lms_ratio)}"
    return f"{text} ({words('runs.is_fallback')})" if won.fallback else text
