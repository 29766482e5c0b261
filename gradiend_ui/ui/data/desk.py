"""The session's part for data: what an upload holds, what words resolve to, what a threshold is worth.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. The worker reads and scores.
"""

from __future__ import annotations

from gradiend_ui.ui.ground import Ground


class DataDesk:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
