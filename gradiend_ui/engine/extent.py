"""How much data one request may have planned, so that it keeps nobody waiting: a number of items and of characters.

Knows sequences; not what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gradiend_ui.engine.errors import TooLarge

Item = TypeVar("Item")
SIZE_WORDS = {
    "cells": "cells", "rows": "evaluation rows", "texts": "neutral texts",
    "characters": "characters in its rows and texts",
}  # fmt: skip


@dataclass(frozen=True)
class Extent:
    """items: rows, or texts. characters: of all of them."""

    items: int
    characters: int

    def part_of(self, items: Sequence[Item], length: Callable[[Item], int]) -> tuple[Item, ...]:
        """At most so many of the items, at equal distances, and of those at most so many characters; one at least."""
        count = min(self.items, len(items))
        chosen = [items[int((place + 0.5) * len(items) / count)] for place in range(count)]
        taken: list[Item] = []
        left = self.characters
        for item in chosen:
            left -= length(item)
            if left < 0 and taken:
                break
            taken.append(item)
        return tuple(taken)


PLANNED = Extent(1000, 200_000)
"""Of a stranger's rows and of their texts, before a sweep."""


def check_size(most: Mapping[str, Any], **counts: int) -> None:
    """Whether a sweep is of a size that this server takes; a kind without a limit may be any. Raises TooLarge."""
    for kind, count in counts.items():
        if count > most.get(kind, count):
            raise TooLarge(
                f"The sweep has {count:,} {SIZE_WORDS[kind]}, and this server takes at most {most[kind]:,}: take "
                "fewer, or run the app on your own machine."
            )
