"""The session's part for predictions before there is a sweep. Knows the worker; no widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradiend_ui.ui.ground import Ground


class CompareDesk:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def base(self, checkpoint: str, texts: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """What the base of a loaded checkpoint predicts, shaped as the answer of /compare without cells.

        Raises NotFound, BadData, BadGrid, TooLarge.
        """
        self._ground.store.checkpoint(checkpoint)
        answer: dict[str, Any] = self._ground.worker.ask(
            "compare_base", checkpoint=checkpoint, texts=list(texts), options=dict(options)
        )
        return answer
