"""The session's part for predictions before there is a sweep. Knows the worker; no widget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradiend_ui.ui.ground import Ground

MOST_CELLS, MOST_TEXTS = 4, 20
PIECE_CHARACTERS, FEW_PIECES = 1000, 4
"""A comparison of fewer pieces is not cut: it costs less than the asking."""


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

    def ahead(
        self, run: str, cells: Sequence[Any], texts: Sequence[str], options: Mapping[str, Any] | None = None
    ) -> None:
        """Have a large comparison worked out in pieces, each in its visitor's turn; a small one is asked for at once.

        What is refused, is so by the comparison itself. Raises as it does.
        """
        if len(cells) > MOST_CELLS or len(texts) > MOST_TEXTS or not all(isinstance(text, str) for text in texts):
            return
        pieces = list(pieces_of(texts))
        if len(pieces) * (len(cells) + 1) < FEW_PIECES:
            return
        for cell in (None, *cells):
            for piece in pieces:
                self._ground.worker.ask("compare_ahead", run=run, cell=cell, texts=piece, options=dict(options or {}))


def pieces_of(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in pieces of some characters each; a longer text is one of its own."""
    piece: list[str] = []
    for text in texts:
        if piece and sum(map(len, piece)) + len(text) > PIECE_CHARACTERS:
            yield piece
            piece = []
        piece.append(text)
    if piece:
        yield piece
