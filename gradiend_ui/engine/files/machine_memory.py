"""Memory of the machine: how much is left, and how much a sweep of given sizes takes.

Plain numbers of bytes; None where the system does not tell. Knows no model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
AVAILABLE = "MemAvailable:"
NO_LIMIT = 1 << 60
WIDTHS = 14


@dataclass(frozen=True)
class Sizes:
    """What lies in memory during a sweep, in bytes.

    base: every weight of the base model. gradiend: encoder, decoder and mapped positions. touched: the parameters that
    a rewrite changes, once; mapped: the mapped values of those, kept beside them. update: one update vector. batch: one
    block of rows at work. rounded: the base in a lower precision, where that is asked for.
    """

    base: int
    gradiend: int
    touched: int
    mapped: int
    batch: int
    update: int = 0
    rounded: int = 0

    @property
    def needed(self) -> int:
        return self.base + self.gradiend + self.beyond_loaded

    @property
    def beyond_loaded(self) -> int:
        """What a sweep takes once base model and GRADIEND are in memory."""
        return self.touched + self.mapped + self.update + self.batch + self.rounded


def batch_bytes(tokens: int, hidden: int, vocabulary: int, reads: int, item: int) -> int:
    """A generous estimate of one forward pass without gradients, in bytes.

    tokens: of all rows of a block; hidden: width of a layer; reads: how many positions get logits; item: bytes of a
    number. A layer holds its input, attention's three projections and result, the four times wider inner layer before
    and after its activation, and the output: 14 widths at a time. Logits live twice, once as probabilities.
    """
    return item * (WIDTHS * tokens * hidden + 2 * reads * vocabulary)


def available_bytes(proc: Path = PROC, group: Path = GROUP) -> int | None:
    """What a program may still take without swapping: the system's figure, or less where a container has a limit.

    None on systems that tell neither.
    """
    found = [size for size in (_of_the_system(proc), _of_the_container(group)) if size is not None]
    return min(found) if found else None


def _of_the_system(proc: Path) -> int | None:
    try:
        lines = proc.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return _free_pages()
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == AVAILABLE and words[1].isdecimal():
            return int(words[1]) * 1024
    return None


def _free_pages() -> int | None:
    """Free pages, where the system counts them: less than what is available, since caches can be dropped."""
    try:
        pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return pages * size if pages > 0 and size > 0 else None


def _of_the_container(group: Path) -> int | None:
    """Limit less use of the control group, version 2 or 1; None without a limit."""
    for limit_name, use_name in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit, use = (group / limit_name).read_text().strip(), (group / use_name).read_text().strip()
        except OSError:
            continue
        if limit.isdecimal() and use.isdecimal() and int(limit) < NO_LIMIT:
            return max(0, int(limit) - int(use))
    return None
