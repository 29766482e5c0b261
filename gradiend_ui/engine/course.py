"""In which order the cells of a plan are scored, block by block.

A course asks for steps and is told what came out; it may ask for other steps then. Knows plans and raw results; runs
no model and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from gradiend_ui.engine.plan import PreparedSweep
from gradiend_ui.engine.values import DEFAULT_PRECISION

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


class Course(Protocol):
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
