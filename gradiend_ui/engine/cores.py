"""How many cores this process may use: what the system grants it, not what the machine has.

A container on a large machine often may use few of its cores; a thread for each of the others only gets in the way.
Knows files of the system; no torch.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

GROUP = Path("/sys/fs/cgroup")
NAMES = ("quota", "period")


def usable_cores(group: Path = GROUP) -> int:
    """The cores of this process's affinity, or fewer where its container has a quota; at least 1."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(group)
    return max(1, own if quota is None else min(own, math.ceil(quota)))


def _quota(group: Path) -> float | None:
    """Cores' worth of time that the control group grants, version 2 or 1; None without a limit."""
    try:
        words = (group / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            words = [(group / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii").strip() for name in NAMES]
        except (OSError, ValueError):
            return None
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])
