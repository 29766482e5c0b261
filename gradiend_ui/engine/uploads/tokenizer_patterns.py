"""What a stranger's regular expression may cost: read and bounded before the library has it.

Tokenizers run them on Oniguruma, which backtracks: what it does on a text that does not fit can grow with any power of
its length, or exponentially. So each expression is read here as Oniguruma reads it, and only those are let through
whose work grows with the square of a text at most, and that by small numbers: see `_Cost`. What this reader does not
know is refused. Knows expressions; no tokenizer, no text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gradiend_ui.engine.errors import BadBase

MOST_PATTERN, MOST_LEVELS = 10_000, 12
"""Characters of one expression, and groups in one another. DeepSeek's longest has some 500."""
MOST_TIMES, MOST_WAYS, MOST_STEPS = 64, 64, 1000
"""In {n,m}; the ways in which one place of a text may be tried; characters of what has a bounded length."""
MOST_FIXED = 8
"""Characters of a group that may be repeated without bound, as (?:\\d{3})* is."""
SHOWN = 60
SETS = {"d": "1", "D": "a .", "s": " \n", "S": "a.\u2603", "w": "a1", "W": " .", "h": "af1", "H": "g.", "O": "a \u2603",
        "R": "\n"}  # fmt: skip
CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}
OTHERS = "a1. \u2603"
"""Members of what is told by what is not in it."""
PROPERTIES = {
    "L": "aA\u4e2d", "Lu": "A", "Ll": "a", "Lt": "\u01c5", "Lm": "\u02b0", "Lo": "\u4e2d", "M": "\u0301",
    "N": "1\u00b2", "P": ".", "S": "+\u2603", "Z": " ", "C": "\x07", "Alpha": "a", "Alnum": "a1", "Digit": "1",
    "Punct": ".",
    "Space": " \n", "Upper": "A", "Lower": "a", "Cntrl": "\x07", "Han": "\u4e2d", "Hiragana": "\u3042",
    "Katakana": "\u30a2", "Hangul": "\uac00", "Arabic": "\u0627", "Cyrillic": "\u0436", "Greek": "\u03b1",
    "Hebrew": "\u05d0", "Thai": "\u0e01", "Devanagari": "\u0905", "Latin": "a", "Emoji": "\U0001f600",
}  # fmt: skip
PROPERTY = re.compile(r"\{\^?([A-Za-z][A-Za-z0-9_ =-]{0,40})\}")
HEX = re.compile(r"\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{1,2})")
TIMES = re.compile(r"\{(?:(\d{1,6})(,(\d{1,6})?)?|,(\d{1,6}))\}")
POSIX = re.compile(r"\[:\^?([a-z]{1,10}):\]")
OPTIONS = re.compile(r"\?([im]*)(?:-([im]*))?([:)])")
GROUP = re.compile(r"\?(:|>|=|!|<=|<!|<[A-Za-z_]\w{0,30}>)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is known of an expression that was let through.

    scans: how many of its ways may read to the end of a run and begin anew at the next character, so that its work
    grows with the square of the text. matches_nothing: whether it fits an empty text. samples: characters, and short
    texts, that such ways repeat or begin with: what it is to be tried with.
    """

    scans: int
    matches_nothing: bool
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of a part: at one place of a text, at most ways * length ** power tries.

    least: fewest characters that it takes; may_fail: whether what comes before may have to be tried again for it.
    steps: characters of its bounded parts. single: it takes one character exactly; literal: that character.
    """

    power: int = 0
    ways: int = 1
    least: int = 0
    may_fail: bool = False
    steps: int = 0
    single: bool = False
    literal: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of an expression: kind "one" (a character of a set), "mark" (a place), "sequence", "choice", "repeat",
    "look" (around). most: -1 is without bound. folds: case is ignored, so that one of a set may be two characters."""

    kind: str
    parts: tuple[_Part, ...] = ()
    samples: str = ""
    literal: str = ""
    least: int = 1
    most: int = 1
    folds: bool = False


class _Refused(Exception):
    """Why an expression is not let through, in a few words."""


def read_pattern(pattern: str, place: str) -> Pattern:
    """What an expression may cost. Raises BadBase for one that may cost more than a square, or is not understood."""
    try:
        if len(pattern) > MOST_PATTERN:
            raise _Refused(f"it has {len(pattern):,} characters, and at most {MOST_PATTERN:,} are read")
        whole = _Reader(pattern).whole()
        ways = whole.parts if whole.kind == "choice" else (whole,)
        costs = [_bounded(_cost(way, tail=False)) for way in ways]
    except _Refused as refusal:
        short = pattern if len(pattern) <= SHOWN else f"{pattern[: SHOWN - 3]}..."
        raise BadBase(
            f"{place}: the regular expression {short!r} is not certain to be quick with every text: {refusal}. Take "
            "the tokenizer of a published model, or a simpler expression."
        ) from None
    slow = [way for way, cost in zip(ways, costs, strict=True) if cost.power]
    samples = tuple(dict.fromkeys(sample for way in slow for sample in _samples(way)))
    return Pattern(sum(cost.ways for cost in costs if cost.power), any(not cost.least for cost in costs), samples)


# --- what it costs ----------------------------------------------------------------------------------------------------


def _bounded(cost: _Cost) -> _Cost:
    if cost.power > 1:
        raise _Refused("it repeats without bound more than once before something that need not come")
    if cost.ways > MOST_WAYS:
        raise _Refused(f"it tries more than {MOST_WAYS} ways at one place")
    if cost.steps > MOST_STEPS:
        raise _Refused(f"it is longer than {MOST_STEPS:,} characters written out")
    return cost


def _cost(part: _Part, *, tail: bool) -> _Cost:
    """tail: whether what comes after the part may fail, so that all its ways are tried."""
    if part.kind == "one":
        ways = 2 if part.folds and tail and not part.literal else 1
        return _Cost(0, ways, 1, True, 1, not part.folds, part.literal)
    if part.kind == "mark":
        return _Cost(may_fail=True)
    if part.kind == "look":
        inside = _cost(part.parts[0], tail=True)  # nothing is taken, so that the next place begins anew
        return _bounded(_Cost(inside.power, inside.ways, 0, True, inside.steps))
    if part.kind == "sequence":
        return _sequence(part.parts, tail)
    if part.kind == "choice":
        return _choice(part.parts, tail)
    return _repeated(part, tail)


def _sequence(parts: tuple[_Part, ...], tail: bool) -> _Cost:
    power, ways, least, steps = 0, 1, 0, 0
    fails, single = False, len(parts) == 1
    last = _Cost()
    for part in reversed(parts):
        last = _cost(part, tail=tail)
        power, ways, least, steps = power + last.power, ways * last.ways, least + last.least, steps + last.steps
        fails = fails or last.may_fail
        tail = tail or last.may_fail
        _bounded(_Cost(power, ways, steps=steps))
    return _Cost(power, ways, least, fails, steps, single and last.single, last.literal if single else "")


def _choice(parts: tuple[_Part, ...], tail: bool) -> _Cost:
    costs = [_cost(part, tail=tail) for part in parts]
    letters = [cost.literal for cost in costs if cost.single and cost.literal]
    if len(set(letters)) == len(costs):  # a set of characters, written as a choice
        return _Cost(least=1, may_fail=True, steps=1, single=True)
    power, may_fail = max(cost.power for cost in costs), all(cost.may_fail for cost in costs)
    slowest = [cost.ways for cost in costs if cost.power == power]
    ways = sum(slowest) if tail or power else max(slowest)
    return _bounded(_Cost(power, ways, min(cost.least for cost in costs), may_fail, max(cost.steps for cost in costs)))


def _repeated(part: _Part, tail: bool) -> _Cost:
    inside, least, most = part.parts[0], part.least, part.most
    again = _cost(inside, tail=True if most != 1 else tail)
    if most < 0:
        fixed = _fixed(inside)
        if fixed is None or fixed > MOST_FIXED or least > MOST_TIMES:
            raise _Refused("it repeats a group, or what stands where case is ignored, without bound")
        return _Cost(1 if tail else 0, max(1, again.ways), least * again.least, least > 0, fixed * max(1, least))
    if most > MOST_TIMES or least > most:
        raise _Refused(f"it repeats {{{least},{most}}} times, and at most {MOST_TIMES} are read")
    if most > 1 and again.power:
        raise _Refused("it repeats what repeats without bound")
    counts = range(least, most + 1) if tail else range(most, most + 1)
    ways = 0
    for count in counts:
        ways += min(again.ways, MOST_WAYS + 1) ** count
        _bounded(_Cost(ways=ways))
    steps = again.steps * most
    single = again.single and least == most == 1
    fails = least > 0 and again.may_fail
    return _bounded(_Cost(again.power if most else 0, max(1, ways), again.least * least, fails, steps, single))


def _fixed(part: _Part) -> int | None:
    """How many characters a part takes where that is always the same and in one way; None otherwise."""
    if part.kind == "one":
        return None if part.folds else 1
    if part.kind == "sequence" and part.parts:
        lengths = [_fixed(one) for one in part.parts]
        return None if None in lengths else sum(length for length in lengths if length)
    if part.kind == "repeat" and part.least == part.most >= 1:
        length = _fixed(part.parts[0])
        return None if length is None else length * part.most
    if part.kind == "choice":
        cost = _cost(part, tail=True)
        return 1 if cost.single else None
    return None


def _samples(part: _Part) -> list[str]:
    """Characters that the part takes, in their order, and the written-out beginnings of what it repeats."""
    if part.kind == "one":
        return list(part.samples)
    found = [sample for one in part.parts for sample in _samples(one)]
    if part.kind == "repeat" and part.most < 0 and part.parts[0].kind != "one":
        found.append(_written(part.parts[0])[:MOST_FIXED])
    return [sample for sample in found if sample]


def _written(part: _Part) -> str:
    if part.kind == "one":
        return part.samples[:1]
    if part.kind == "choice":
        return _written(part.parts[0])
    return "".join(map(_written, part.parts)) * (part.least if part.kind == "repeat" else 1)


# --- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads an expression from left to right as Oniguruma's Ruby syntax has it. folds: whether case is ignored;
    behind: whether it looks back."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.folds = False
        self.behind = False

    def whole(self) -> _Part:
        part = self._choice(0)
        if self.at < len(self.text):
            raise _Refused("it closes a group that was not opened")
        return part

    def _choice(self, level: int) -> _Part:
        if level > MOST_LEVELS:
            raise _Refused(f"its groups are nested deeper than {MOST_LEVELS} levels")
        folds, ways = self.folds, [self._sequence(level)]
        while self._next("|"):
            ways.append(self._sequence(level))
        self.folds = folds
        return ways[0] if len(ways) == 1 else _Part("choice", tuple(ways))

    def _sequence(self, level: int) -> _Part:
        parts: list[_Part] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._times(self._atom(level)))
        return _Part("sequence", tuple(parts))

    def _next(self, text: str) -> bool:
        found = self.text.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def _match(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        found = expression.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def _atom(self, level: int) -> _Part:
        character = self.text[self.at]
        self.at += 1
        if character == "(":
            return self._group(level)
        if character == "[":
            return _Part("one", samples=self._set(level), folds=self.folds)
        if character == "\\":
            return self._escape()
        if character in "^$":
            return _Part("mark")
        if character == ".":
            return _Part("one", samples=OTHERS, folds=self.folds)
        if character in "*+?":
            raise _Refused("it repeats nothing, or what is repeated already")
        return _Part("one", samples=character, literal=character, folds=self.folds)

    def _group(self, level: int) -> _Part:
        if self.text.startswith("*", self.at):
            raise _Refused("it calls something by (*")
        if options := self._match(OPTIONS):
            before = self.folds
            self.folds = ("i" in options[1] or self.folds) and "i" not in (options[2] or "")
            part = self._choice(level + 1)  # of "(?i)", the rest of the group it stands in
            self.folds = before
            if options[3] == ":":
                self._close()
            return part
        group = self._match(GROUP)
        if group is None and self.text.startswith("?", self.at):
            raise _Refused(f"it has a group {self.text[self.at - 1 : self.at + 3]!r}, which is not read here")
        look = group is not None and group[1] in ("=", "!", "<=", "<!")
        before, self.behind = self.behind, self.behind or (group is not None and group[1] in ("<=", "<!"))
        part = self._choice(level + 1)
        self.behind = before
        self._close()
        return _Part("look", (part,)) if look else part

    def _close(self) -> None:
        if not self._next(")"):
            raise _Refused("it opens a group and does not close it")

    def _escape(self) -> _Part:
        character = self.text[self.at : self.at + 1]
        if character and character in "bBAzZG":
            self.at += 1
            return _Part("mark")
        if character == "R":
            self.at += 1
            return _Part("choice", (_Part("one", samples="\r"), _Part("one", samples="\n")))
        samples, literal = self._escaped()
        return _Part("one", samples=samples, literal=literal, folds=self.folds)

    def _escaped(self) -> tuple[str, str]:
        """The members of what stands behind a backslash, and the character where it is one."""
        character = self.text[self.at : self.at + 1]
        self.at += 1
        if character in ("p", "P"):
            return self._property(character == "P"), ""
        if character in ("x", "u"):
            found = self._match(HEX) if character == "x" else self._match(re.compile("()([0-9A-Fa-f]{4})"))
            number = int(found[1] or found[2], 16) if found else -1
            if not 0 <= number < 0x110000 or 0xD800 <= number < 0xE000:
                raise _Refused(f"\\{character} stands for no character")
            return chr(number), chr(number)
        if character in CONTROLS:
            return CONTROLS[character], CONTROLS[character]
        if character in SETS and character != "R":
            return SETS[character], ""
        if not character or character.isalnum():
            raise _Refused(f"\\{character} is not read here")
        return character, character

    def _property(self, is_not: bool) -> str:
        found = self._match(PROPERTY)
        if found is None:
            raise _Refused("\\p must name a property, as \\p{L} does")
        is_not = is_not or found[0].startswith("{^")
        return OTHERS if is_not else PROPERTIES.get(found[1]) or PROPERTIES.get(found[1][:1].upper()) or "a"

    def _set(self, level: int) -> str:
        """The members of a set whose bracket is open already: single ones, and the ends of ranges."""
        if level > MOST_LEVELS:
            raise _Refused(f"its sets are nested deeper than {MOST_LEVELS} levels")
        is_not, members = self._next("^"), ""
        if self.text.startswith("]", self.at):
            raise _Refused("it has an empty set: write \\] for a bracket")
        while not self._next("]"):
            if self.at >= len(self.text):
                raise _Refused("it opens a set and does not close it")
            if posix := self._match(POSIX):
                members += PROPERTIES.get(posix[1].capitalize(), "a")
            elif self._next("["):
                members += self._set(level + 1)
            elif self._next("\\"):
                members += "\b" if self._next("b") else self._escaped()[0]
            else:
                members += self.text[self.at]
                self.at += 1
        return OTHERS if is_not else members.replace("&&", "") or OTHERS

    def _times(self, part: _Part) -> _Part:
        """The part with what says how often it comes."""
        if (bounds := self._bounds()) is None:
            return part
        least, most, in_braces = bounds
        if in_braces and least == most and self._next("?"):
            least = 0  # of "{n}?", Ruby has an optional "{n}"
        elif not self._next("?") and not in_braces:
            self._next("+")
        if self.text.startswith("+", self.at) or self._bounds() is not None:
            raise _Refused("it repeats what is repeated already")
        if part.kind in ("mark", "look"):
            raise _Refused("it repeats a place")
        if self.behind and least != most:
            raise _Refused("it looks back for a text without a fixed length")
        return _Part("repeat", (part,), least=least, most=most)

    def _bounds(self) -> tuple[int, int, bool] | None:
        """(least, most, whether in braces) of what says how often."""
        for mark, least, most in (("*", 0, -1), ("+", 1, -1), ("?", 0, 1)):
            if self._next(mark):
                return least, most, False
        found = self._match(TIMES)
        if found is None:
            return None
        if found[4]:
            return 0, int(found[4]), True
        least = int(found[1])
        return least, (int(found[3]) if found[3] else -1) if found[2] else least, True
