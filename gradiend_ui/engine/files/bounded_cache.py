"""A bounded memory of what was computed or read, so that the same question costs nothing the second time.

Values are kept by key up to a number of bytes, or of values; the longest unused ones go first. Knows nothing of what it
keeps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

MOST_BYTES = 128 * 2**20

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """At most `limit` of values, as their givers count them: in bytes, or one each. Not for several threads at once."""

    def __init__(self, limit: int = MOST_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._used = 0

    def get(self, key: Hashable) -> Value | None:
        """The value kept under `key`, which counts as used now; None where there is none."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def look(self, key: Hashable) -> Value | None:
        """The same; it does not count as used."""
        return self._kept[key][0] if key in self._kept else None

    def keep(self, key: Hashable, value: Value, size: int = 1) -> None:
        """Keep `value` of `size`; values that have not been used for long make room."""
        self.drop(key)
        self._kept[key] = (value, size)
        self._used += size
        while self._used > self._limit and self._kept:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Hashable) -> None:
        """Forget the value, if there is one."""
        if key in self._kept:
            self._used -= self._kept.pop(key)[1]

    def drop_unless(self, wanted: Callable[[Value], bool]) -> None:
        """Forget all values but the wanted ones."""
        for key in [key for key, (value, _) in self._kept.items() if not wanted(value)]:
            self.drop(key)

    def clear(self) -> None:
        self._kept.clear()
        self._used = 0

    def values(self) -> Iterator[Value]:
        """The longest unused one first."""
        return (value for value, _ in self._kept.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)
