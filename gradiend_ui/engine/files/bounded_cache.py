"""A bounded memory of what was computed, so that the same question costs nothing the second time.

Values are kept by key up to a number of bytes, the longest unused ones go first. Knows nothing of what it keeps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST_BYTES = 128 * 2**20


class Memory:
    """At most `limit` bytes of values, as their givers count them. Not for several threads at once."""

    def __init__(self, limit: int = MOST_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._used = 0

    def get(self, key: Hashable) -> Any | None:
        """The value kept under `key`, which counts as used now; None where there is none."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: Any, size: int = 0) -> None:
        """Keep `value` of `size` bytes; values that have not been used for long make room."""
        self._used -= self._kept.pop(key, (None, 0))[1]
        self._kept[key] = (value, size)
        self._used += size
        while self._used > self._limit and self._kept:
            _, (_, freed) = self._kept.popitem(last=False)
            self._used -= freed

    def __len__(self) -> int:
        return len(self._kept)
