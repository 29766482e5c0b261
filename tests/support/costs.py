"""What the slowest of each kind of input took: told when the tests end, never asserted (other work delays them)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST: dict[str, float] = {}


@contextmanager
def timed(kind: str) -> Iterator[None]:
    """Seconds of what stands in it, however it ends."""
    start = time.monotonic()
    try:
        yield
    finally:
        LONGEST[kind] = max(LONGEST.get(kind, 0.0), time.monotonic() - start)


def lines() -> list[str]:
    return [f"{kind:<74} {seconds:>7.2f} s" for kind, seconds in sorted(LONGEST.items())]
