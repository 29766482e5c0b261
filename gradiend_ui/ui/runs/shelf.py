"""The session's part for earlier runs: list, name, note, delete, tables of their numbers.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`.
"""

from __future__ import annotations

from gradiend_ui.ui.ground import Ground


class RunShelf:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
