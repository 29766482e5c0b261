"""The two axes of a grid as people describe them: typed lists with ranges, and grids built from a goal or a winner.

Pure functions of numbers and text. Knows no form, no model and no store.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from gradiend_ui.engine.errors import BadGrid, TooLarge, shown
from gradiend_ui.engine.selection.winner import goal_feature_factors
from gradiend_ui.engine.values import MAX_CELLS

QUICK_LEARNING_RATES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
FINE_STEPS = 4
RANGE = re.compile(r"^(?P<first>[^:]*):(?P<last>[^:]*):(?P<count>[^:]*?)(?P<spacing>lin|linear|log|logarithmic)?$")
EXAMPLE = "0.01:1:9 log"
_CHAIN = re.compile(r"(?<![\w.,+-])[+-]?[\d.]+(?:,[\d.]+)+|(?<![^;\n,:]),\d+")
"""Digits with commas right between them, or a comma before the first: no space tells that they are several."""
_COMMA_NUMBER = r"[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?"
_COMMA_NUMBERS = re.compile(rf"{_COMMA_NUMBER}(?:\s*:\s*{_COMMA_NUMBER}\s*:\s*\d+\s*(?:lin\w*|log\w*)?)?")
"""A number, or a range of numbers, with decimal commas or none."""
_ZERO_FIRST = re.compile(r"0\d")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:,\d{3})+\.\d+")
Axes = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Axis:
    """values: ascending, each once; repeated: those that were given more than once, ascending."""

    values: tuple[float, ...]
    repeated: tuple[float, ...] = ()


def read_axis(text: str, what: str) -> Axis:
    """The numbers of a typed list: `-1, 1`, also with ranges `from:to:how many`, evenly spaced or, with `log`, by a
    factor: `0.01:1:9 log, 2`. Commas, semicolons and line ends separate. A comma within a number is read as its point
    where semicolons or line ends separate (`0,01; 0,05`), and refused where it may as well separate (`0,05`).

    what: how a refusal calls the list, such as "learning rates". Raises BadGrid and TooLarge in a sentence.
    """
    numbers: list[float] = []
    for item in _items(text.replace("\u2212", "-"), what):
        numbers += _range(item, what) if ":" in item else [_number(word, what) for word in item.split()]
        if len(numbers) > MAX_CELLS:
            raise TooLarge(
                f"More than {MAX_CELLS:,} {what} are too many: at most {MAX_CELLS:,} cells are swept in one run."
            )
    if not numbers:
        raise BadGrid(f"The list of {what} is empty. Give at least one number, for example: 0.1")
    counted = Counter(numbers)
    return Axis(tuple(sorted(counted)), tuple(sorted(value for value, times in counted.items() if times > 1)))


def _items(text: str, what: str) -> list[str]:
    """The items of a typed list, their numbers with points. Raises BadGrid where a comma can be read in two ways."""
    groups = [group.strip() for group in re.split(r"[;\n]", text) if group.strip()]
    if len(groups) > 1 and "." not in text and all(_COMMA_NUMBERS.fullmatch(group) for group in groups):
        return [group.replace(",", ".") for group in groups]
    for chain in _CHAIN.findall(text):
        if _is_unclear(chain):
            _refuse(chain, what)
    return [item for group in groups for item in map(str.strip, group.split(",")) if item]


def _is_unclear(chain: str) -> bool:
    """Whether digits with commas right between them may be a number with a decimal comma or thousands, not a list."""
    parts = chain.lstrip("+-").split(",")
    if not parts[0] or any(_ZERO_FIRST.match(part) for part in parts):
        return True
    if any("." in part for part in parts):
        return _THOUSANDS.fullmatch(chain.lstrip("+-")) is not None
    return len(parts) == 2 or _are_pairs(parts) or all(len(part) == 3 for part in parts[1:])


def _are_pairs(parts: list[str]) -> bool:
    """Whether all of them look like numbers below 1 with a decimal comma: `0,1,0,2`."""
    return len(parts) % 2 == 0 and set(parts[::2]) == {"0"}


def _refuse(chain: str, what: str) -> NoReturn:
    plain, parts = chain.lstrip("+-"), chain.split(",")
    if _are_pairs(plain.split(",")):
        point = "; ".join(f"{whole}.{rest}" for whole, rest in zip(parts[::2], parts[1::2], strict=True))
    elif "." in chain:
        point = chain.replace(",", "") if chain.rfind(",") < chain.rfind(".") else _with_point(chain)
    else:
        point = "".join(parts) if len(parts) > 2 else f"{parts[0] or 0}.{parts[1]}"
    apart = "; ".join(f"{float(part):g}" for part in parts if part.strip("+-."))
    told = BadGrid(
        f"{shown(chain)} among the {what} can be one number with a decimal comma or several. Write {point} with a "
        f"point, or {apart} with semicolons between them."
    )
    raise told.known_as("sweep.decimal_comma", given=shown(chain), point=point, apart=apart)


def _with_point(number: str) -> str:
    """`1.000,5 -> 1000.5`"""
    return number.replace(".", "").replace(",", ".")


def range_values(first: float, last: float, count: int, logarithmic: bool) -> tuple[float, ...]:
    """`count` numbers from `first` to `last`, both ends exact, evenly spaced or each a constant factor from the next.

    What lies between is rounded to six significant digits, where that keeps the numbers apart. Raises BadGrid and
    TooLarge for ends and counts that make no range.
    """
    if count > MAX_CELLS:
        raise TooLarge(f"A range of {count:,} numbers is too long: at most {MAX_CELLS:,} cells are swept in one run.")
    if count < 2 or first == last:
        raise BadGrid(f"A range needs two different ends and at least 2 numbers, for example {EXAMPLE}.")
    if logarithmic and not first * last > 0:
        raise BadGrid(
            f"A logarithmic range cannot touch or cross zero, as {spelled([first])} to {spelled([last])} does: write "
            "its two sides apart, for example -1:-0.01:5 log, 0, 0.01:1:5 log."
        )
    if logarithmic:
        step = math.log(last / first) / (count - 1)
        inner = [first * math.exp(step * place) for place in range(1, count - 1)]
    else:
        start, width = Fraction(repr(first)), Fraction(repr(last)) - Fraction(repr(first))
        inner = [float(start + width * place / (count - 1)) for place in range(1, count - 1)]
    return (first, *_rounded(inner, 6), last)


def range_text(first: float, last: float, count: int, logarithmic: bool) -> str:
    """The spelling that `read_axis` reads as this range. Raises as `range_values` does."""
    range_values(first, last, count, logarithmic)
    return f"{spelled([first])}:{spelled([last])}:{count}" + (" log" if logarithmic else "")


def spelled(values: Sequence[float]) -> str:
    """A list as it is typed, exact: `[0.05, 1.0] -> "0.05, 1"`."""
    return ", ".join(repr(float(value)).removesuffix(".0") for value in values)


def quick_axes(strengthening: Mapping[str, float], goal: str, target_class: str) -> Axes:
    """Few cells that answer one question: the feature factors that the goal needs for one class, six learning rates."""
    return goal_feature_factors(strengthening, goal, [target_class]), QUICK_LEARNING_RATES


def fine_axes(feature_factor: float, learning_rate: float, learning_rates: Sequence[float]) -> Axes:
    """A closer look around a winner: its feature factor and half of it more and less, and nine learning rates between
    the rates beside the winner's own. learning_rates: the axis it was found on, ascending.
    """
    factors = {feature_factor * share + 0.0 for share in (0.5, 1.0, 1.5)}
    low, high = _neighbours(learning_rate, learning_rates)
    rates = {low, learning_rate, high}
    for end in (low, high):
        inner = range_values(learning_rate, end, FINE_STEPS + 1, logarithmic=end * learning_rate > 0)[1:-1]
        rates |= set(_rounded(inner, 3))
    return tuple(sorted(factors)), tuple(sorted(rates))


def _neighbours(rate: float, rates: Sequence[float]) -> tuple[float, float]:
    """The rates beside `rate`; where the axis ends, as far again on that side, or half and twice when it is alone."""
    low = max((value for value in rates if value < rate), default=None)
    high = min((value for value in rates if value > rate), default=None)
    if low is None and high is None:
        return (min(rate / 2, rate * 2), max(rate / 2, rate * 2)) if rate else (-0.01, 0.01)
    if low is None:
        low = _mirrored(rate, high or 0.0)
    if high is None:
        high = _mirrored(rate, low)
    return low, high


def _mirrored(rate: float, other: float) -> float:
    """As far on the other side of `rate` as `other` is: by the same factor, or the same difference around zero."""
    value = rate * rate / other if rate * other > 0 else 2 * rate - other
    return _rounded([value], 3)[0]


def _range(item: str, what: str) -> tuple[float, ...]:
    match = RANGE.match(item)
    count = match["count"].strip() if match else ""
    if match is None or not count.isascii() or not count.isdigit():
        raise BadGrid(
            f"{shown(item)} among the {what} is not a range. Write from:to:how many, evenly spaced, or with log behind "
            f"it, for example: -2:2:9 or {EXAMPLE}"
        )
    first, last = _number(match["first"].strip(), what), _number(match["last"].strip(), what)
    number = int(count) if len(count) < 12 else MAX_CELLS + 1
    return range_values(first, last, number, (match["spacing"] or "").startswith("log"))


def _number(word: str, what: str) -> float:
    is_plain = word.isascii() and "_" not in word and _ZERO_FIRST.match(word.lstrip("+-")) is None
    try:
        number = float(word if is_plain else "")  # of other scripts' digits, 1_0 and 007 only Python knows
    except ValueError:
        raise BadGrid(
            f"{shown(word)} among the {what} is not a number. Write numbers with a point, separated by commas, for "
            f"example: 0.05, 0.1, 0.2, or a range: {EXAMPLE}"
        ) from None
    if not math.isfinite(number):
        raise BadGrid(f"{shown(word)} among the {what} is not a finite number. Give numbers such as 0.05, 0.1, 0.2")
    return number + 0.0  # -0.0 and 0.0 are one value


def _rounded(values: Sequence[float], digits: int) -> tuple[float, ...]:
    """The values with so many significant digits, unless two of them would become one."""
    short = tuple(float(f"{value:.{digits}g}") + 0.0 for value in values)
    return short if len(set(short)) == len(set(values)) else tuple(values)
