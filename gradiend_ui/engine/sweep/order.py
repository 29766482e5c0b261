"""In which order the cells of a plan are scored, block by block, and when the winner is certain without the rest.

An order asks for steps and is told what came out; it may ask for other steps then. `WinnerSearch` ends as soon as the
winner is certain, and leaves cells that cannot win any more unfinished. Its bounds are exact, so the winner is that of
the whole grid: the LMS of a cell is at most that of the known texts with every token left right, its metric at most
that of the known rows with every probability left at its best. Where to look next is guessed from a first look; a wrong
guess costs time, never the result. Knows plans, questions and raw results; runs no model and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gradiend_ui.engine.selection.policies import LMSThresholdPolicy
from gradiend_ui.engine.selection.winner import Question
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.values import DEFAULT_PRECISION, Cell, finite_or_none, lms_ratio

MOST_SHARE = 1 / 3
"""Where a first look would take more than this of the work, it is left out: the cells are done soon anyway."""
Results = Mapping[int, NDArray[Any]]


@dataclass(frozen=True)
class Step:
    """Blocks to be known of the cell at `place` (0 is the base); those that are known already cost nothing.

    precision: None is that of the sweep. Without blocks the cell's score is told again, from what is known by then.
    """

    place: int
    blocks: tuple[int, ...]
    precision: str | None = None


class CellOrder(Protocol):
    """The steps of one run, made while it goes.

    knows_the_end: whether every cell will be finished. tells_known: whether a score is told when nothing new was scored
    for it.
    """

    knows_the_end: bool
    tells_known: bool

    def steps(self) -> Iterator[Step]: ...

    def learn(self, place: int, results: Results) -> None:
        """Everything that is known of the cell at `place`, in the sweep's precision, after each step."""
        ...

    def skipped(self) -> Mapping[int, str]:
        """{place: why}: the cells that were left unfinished, asked for when the steps have come to their end."""
        ...


class WholeGrid:
    """Every block of every cell: a first look at all cells, then the base, then cell by cell.

    known: how many blocks of each place are known from before; a cell that is known whole is told at once.
    first_look: the precision of the first look, None for none.
    """

    knows_the_end = True
    tells_known = True

    def __init__(self, prepared: PreparedSweep, known: Sequence[int], first_look: str | None) -> None:
        self._prepared = prepared
        self._known = known
        self._first_look = first_look

    def steps(self) -> Iterator[Step]:
        everything = tuple(range(len(self._prepared.block_sizes)))
        first = first_blocks(self._prepared) if self._first_look else ()
        whole = {place for place, count in enumerate(self._known) if count == len(everything)}
        places = range(len(self._prepared.cells))
        own = self._prepared.spec.precision
        for place in places if first else ():
            if place not in whole or (place == 0 and self._first_look != own):
                yield Step(place, first, self._first_look)
            if place in whole:
                yield Step(place, everything)
        yield from base_steps(self._prepared)
        if first and self._first_look == own:
            for place in places[1:]:
                if place not in whole:
                    yield Step(place, ())
        for place in places[1:]:
            if not first or place not in whole:
                yield Step(place, everything)

    def learn(self, place: int, results: Results) -> None:
        pass

    def skipped(self) -> Mapping[int, str]:
        return {}


def base_steps(prepared: PreparedSweep) -> Iterator[Step]:
    """The base whole; in another precision than float32 also in float32, to tell what the rounding costs."""
    everything = tuple(range(len(prepared.block_sizes)))
    yield Step(0, everything)
    if prepared.spec.precision != DEFAULT_PRECISION:
        yield Step(0, everything, DEFAULT_PRECISION)


def first_blocks(prepared: PreparedSweep) -> tuple[int, ...]:
    """The blocks of a first look, of rows and of texts; none where it is not worth it."""
    first_text, sizes = len(prepared.objective.blocks), prepared.block_sizes
    chosen = (*prepared.objective.first_look, *(first_text + block for block in prepared.lms.first_look))
    return chosen if sum(sizes[block] for block in chosen) <= MOST_SHARE * sum(sizes) else ()


SLACK = 1e-6
"""How far a mean of probabilities may lie above its bound by rounding."""
PORTION = 4
"""A step takes this share of what is left to be known of a cell: changing the cell costs time, too."""


@dataclass(frozen=True)
class Known:
    """What is certain of a cell for one question: the metric's and the LMS's bounds, and guesses at both.

    exact: all rows of the metric are scored; finite: no number is broken so far; lms_guess: as a share of the base's
    on the same texts.
    """

    least: float
    most: float
    exact: bool
    finite: bool
    lms_least: float
    lms_most: float
    guess: float
    lms_guess: float


class Race:
    """The cells that one question considers, and which of them can still win."""

    def __init__(self, prepared: PreparedSweep, question: Question, ratio: float) -> None:
        self._prepared = prepared
        self.question = question
        self._policy = LMSThresholdPolicy(ratio)
        self._dataset = read_dataset(prepared, question)
        cells = prepared.cells
        considered = [place for place, cell in enumerate(cells) if cell is not None and question.considers(cell)]
        self.places = considered if self._dataset is not None else []
        self.known: dict[int, Known] = {}
        self._open: list[int] = list(self.places)
        self._best_before: int | None = None
        self._base_lms = 0.0
        self._base: Results = {}

    @cached_property
    def row_blocks(self) -> tuple[int, ...]:
        """The blocks with rows that the metric reads."""
        rows = self._prepared.rows
        return tuple(
            number
            for number, block in enumerate(self._prepared.objective.blocks)
            if any(rows[place].label_class == self._dataset for place in block.rows)
        )

    @property
    def text_blocks(self) -> tuple[int, ...]:
        return tuple(range(len(self._prepared.objective.blocks), len(self._prepared.block_sizes)))

    def learn(self, place: int, results: Results) -> None:
        if place == 0:
            self._base = results
            self._base_lms = self._prepared.summarise(None, results).lms_value or 0.0
        elif place in self.places:
            self.known[place] = self._known(self._prepared.cells[place], results)

    def _known(self, cell: Cell | None, results: Results) -> Known:
        plan, first_text = self._prepared, len(self._prepared.objective.blocks)
        name, weaken = self.question.target_class, self.question.goal == "weaken"
        values = [
            by_class[name]
            for row, by_class in plan.row_scores(results)
            if row.label_class == self._dataset and name in by_class
        ]
        exact = all(block in results for block in self.row_blocks)
        left = 0 if exact else plan.rows_by_dataset[self._dataset or ""] - len(values)
        count, total = len(values) + left, float(np.sum(values))
        least, most = (total / count, (total + left) / count) if count else (0.0, 1.0)
        score = plan.summarise(cell, results)
        guess = self.question.metric(score)
        if exact and guess is not None:
            least = most = guess
        elif weaken:
            least, most = 1.0 - most, 1.0 - least
        texts = {block - first_text: result for block, result in results.items() if block >= first_text}
        lms_least, lms_most = plan.lms.bounds(texts)
        part = plan.summarise(None, {block: self._base[block] for block in results}).lms_value
        share = (score.lms_value or 0.0) / part if part else 1.0
        finite = score.status != "failed" and (guess is None or finite_or_none(guess) is not None)
        return Known(least, most, exact, finite, lms_least, lms_most, 0.5 if guess is None else guess, share)

    @property
    def best(self) -> int | None:
        """The best cell that is certain to pass with a metric that is certain; the first of equals."""
        sure = [
            p for p in self.places if (k := self.known.get(p)) and k.exact and k.finite and self._passes(k.lms_least)
        ]
        return max(sure, key=lambda place: self.known[place].most, default=None)

    def reason(self, place: int, best: int | None) -> str | None:
        """Why the cell cannot win, in a sentence, when `best` is the best so far; None while it can."""
        known = self.known.get(place)
        if known is None:
            return None
        if not known.finite:
            return "The rewritten model's output is not a finite number."
        if not self._passes(known.lms_most):
            share = lms_ratio(known.lms_most, self._base_lms) or 0.0
            return f"Cannot win: its LMS is at most {share:.3f} of the base's."
        if best is None or best == place:
            return None
        value, what = self.known[best].most, f"P({self.question.target_class})"
        beaten = known.most + SLACK < value
        if known.exact:
            beaten = known.most < value or (known.most == value and place > best)
        shown = what if self.question.goal == "strengthen" else f"1 - {what}"
        return f"Cannot win: {shown} is at most {known.most:.3f}, the winner's is {value:.3f}." if beaten else None

    def _passes(self, lms: float) -> bool:
        return self._policy.passes(lms, self._base_lms)

    def next_step(self) -> Step | None:
        """What tells most: the likeliest winner until it is certain, then whatever could still beat it; None once
        nothing can."""
        best = self.best
        if best != self._best_before:
            self._open, self._best_before = list(self.places), best
        self._open = [place for place in self._open if place != best and self.reason(place, best) is None]
        if not self._open:
            return None
        place = max(self._open, key=lambda p: (self._likely(p), self.known[p].guess, -p))
        known = self.known[place]
        beaten = best is not None and known.guess < self.known[best].most
        rows_first = not known.exact and (self._likely(place) or beaten)
        return Step(place, self.row_blocks if rows_first else self.text_blocks)

    def _likely(self, place: int) -> bool:
        return self._passes(self.known[place].lms_guess * self._base_lms)

    def fallback(self) -> list[int]:
        """The cells that a policy falls back to when none passes, the likeliest first."""
        cells = self._prepared.cells
        moving = [place for place in self.places if (cell := cells[place]) is not None and cell.learning_rate]
        return sorted(moving, key=lambda place: (abs(getattr(cells[place], "learning_rate", 0.0)), place))


class WinnerSearch:
    """Scores the base, a first look at the cells that can win, then what it takes to be sure of each question."""

    knows_the_end = False

    def __init__(
        self,
        prepared: PreparedSweep,
        questions: Sequence[Question],
        ratio: float,
        wanted: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        """ratio: the share of the base's LMS that must stay. wanted: gives the places of cells that are finished in any
        case, after the search; asked again after each. With some from the start the search has been made before."""
        self._prepared = prepared
        self._races = [race for q in questions if (race := Race(prepared, q, ratio)).places]
        self._blocks_of: dict[int, frozenset[int]] = {}
        self._wanted = wanted
        self.tells_known = not wanted()

    def steps(self) -> Iterator[Step]:
        everything = tuple(range(len(self._prepared.block_sizes)))
        yield from base_steps(self._prepared)
        look = set(first_blocks(self._prepared))
        for race in self._races:
            first = tuple(sorted(look & {*race.row_blocks, *race.text_blocks}))
            for place in race.places:
                yield Step(place, first)
        for race in self._races:
            yield from self._run(race, everything)
        while missing := [place for place in self._wanted() if self._unknown(place, everything)]:
            yield Step(missing[0], everything)

    def _run(self, race: Race, everything: tuple[int, ...]) -> Iterator[Step]:
        while True:
            step = race.next_step()
            if step is not None:
                left = self._unknown(step.place, step.blocks) or self._unknown(step.place, everything)
                yield Step(step.place, tuple(left[: max(1, len(left) // PORTION)]))
            elif race.best is None:
                yield from self._fall_back(race, everything)
                return
            elif self._unknown(race.best, everything):
                yield Step(race.best, everything)  # its other numbers may be broken: then the race goes on
            else:
                return

    def _fall_back(self, race: Race, everything: tuple[int, ...]) -> Iterator[Step]:
        for place in race.fallback():
            yield Step(place, everything)
            if race.known[place].finite:
                return

    def _unknown(self, place: int, blocks: Sequence[int]) -> list[int]:
        return [block for block in blocks if block not in self._blocks_of.get(place, ())]

    def learn(self, place: int, results: Results) -> None:
        self._blocks_of[place] = frozenset(results)
        for race in self._races:
            race.learn(place, results)

    def skipped(self) -> Mapping[int, str]:
        everything = len(self._prepared.block_sizes)
        unfinished = [p for p in range(1, len(self._prepared.cells)) if len(self._blocks_of.get(p, ())) < everything]
        return {place: self._reason(place) for place in unfinished}

    def _reason(self, place: int) -> str:
        found = [race.reason(place, race.best) for race in self._races if place in race.places]
        told = [reason for reason in found if reason is not None]
        return told[0] if told else "Its feature factor points away from what is looked for."


def read_dataset(prepared: PreparedSweep, question: Question) -> str | None:
    """The dataset whose rows the question's metric reads; None when there are none that say anything."""
    name = question.target_class
    wanted = [other for other in question.classes if (other == name) == (question.goal == "weaken")]
    scored = [prepared.rows[place] for block in prepared.objective.blocks for place in block.rows]
    told = {row.label_class for row in scored if name in prepared.present_classes(row)}
    return next((dataset for dataset in wanted if dataset in told), None)
