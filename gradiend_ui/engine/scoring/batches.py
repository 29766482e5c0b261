"""How rows and texts are cut into blocks, the unit of scoring, of the store and of a first look.

A block is little padded, small enough for a device, and the same for the same lengths and limits. Of every group a
part that is spread evenly over all lengths comes in blocks of its own: what a first look at a cell takes. Where padding
moves the numbers, texts stay in the reference's chunks. Plain numbers; knows no tokenizer and no tensor.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from gradiend_ui.engine.values import BatchLimits

FIRST_SHARE = 0.07
"""Which part of the rows and texts a first look takes."""
REFERENCE_CHUNK = 16
"""How many rows the reference scores at once, in the order of the table."""


@dataclass(frozen=True)
class Blocks:
    """chunks: places of rows or texts, each once; first_look: the numbers of the chunks that a first look takes."""

    chunks: tuple[tuple[int, ...], ...]
    first_look: tuple[int, ...]


def cut(costs: Sequence[int], groups: Sequence[Hashable], limits: BatchLimits, most_cost: int | None = None) -> Blocks:
    """Blocks of one group each, in order of cost, the parts for a first look in front.

    costs: tokens of each row or text; groups: what must not share a block, a row's class for example. most_cost: the
    most that a block costs when it is padded to its dearest row; None takes limits.tokens.
    """
    most = limits.tokens if most_cost is None else most_cost
    first: list[tuple[int, ...]] = []
    rest: list[tuple[int, ...]] = []
    of_group: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        of_group.setdefault(group, []).append(place)
    for members in of_group.values():
        own = sorted(members, key=lambda place: costs[place])
        sample = set(spread_over(own, FIRST_SHARE))
        first += _chunks([place for place in own if place in sample], costs, limits.rows, most)
        rest += _chunks([place for place in own if place not in sample], costs, limits.rows, most)
    return Blocks((*first, *rest), tuple(range(len(first))))


def spread_over(places: Sequence[int], share: float) -> list[int]:
    """`share` of the places, rounded up, at equal distances; none of none."""
    count = math.ceil(share * len(places))
    return [places[int((k + 0.5) * len(places) / count)] for k in range(count)]


def spread_blocks(groups: Sequence[Sequence[Hashable]]) -> tuple[int, ...]:
    """Which of some given blocks a first look takes: spread evenly, and at least one with each group.

    groups: the groups of each block's rows.
    """
    chosen = spread_over(range(len(groups)), FIRST_SHARE)
    seen = {name for number in chosen for name in groups[number]}
    for block, own in enumerate(groups):
        if not seen.issuperset(own):
            chosen.append(block)
            seen.update(own)
    return tuple(sorted(chosen))


def _chunks(places: Sequence[int], costs: Sequence[int], most_rows: int, most_cost: int) -> list[tuple[int, ...]]:
    """`places`, ascending in cost, cut at most_rows rows or most_cost padded tokens; at least one row in each."""
    chunks: list[tuple[int, ...]] = []
    current: list[int] = []
    for place in places:
        if current and (len(current) == most_rows or (len(current) + 1) * costs[place] > most_cost):
            chunks.append(tuple(current))
            current = []
        current.append(place)
    return [*chunks, tuple(current)] if current else chunks


def cut_within_chunks(texts: int, texts_per_chunk: int, limits: BatchLimits) -> Blocks:
    """Places 0 to texts - 1 in their order; no block crosses the border of a chunk."""
    pieces = [
        tuple(range(start, min(start + limits.rows, chunk + texts_per_chunk, texts)))
        for chunk in range(0, texts, texts_per_chunk)
        for start in range(chunk, min(chunk + texts_per_chunk, texts), limits.rows)
    ]
    return Blocks(tuple(pieces), spread_blocks([[None]] * len(pieces)))


def widths_of_chunks(encoded: Sequence[Sequence[int]], texts_per_chunk: int) -> list[int]:
    """For each text the length that its chunk is padded to."""
    chunks = [encoded[start : start + texts_per_chunk] for start in range(0, len(encoded), texts_per_chunk)]
    return [max(1, *(len(ids) for ids in chunk)) for chunk in chunks for _ in chunk]


def reference_chunks(rows: int) -> list[range]:
    """The places of the rows that the reference scores together, and pads to the longest of them."""
    return [range(start, min(start + REFERENCE_CHUNK, rows)) for start in range(0, rows, REFERENCE_CHUNK)]


def parts_of(chunk: Sequence[int], limits: BatchLimits) -> list[Sequence[int]]:
    """A chunk in parts of at most limits.rows."""
    return [chunk[start : start + limits.rows] for start in range(0, len(chunk), limits.rows)]
