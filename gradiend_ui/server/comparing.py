"""The session's part for predictions in one's own sentences: of the base before a sweep, and large ones in pieces.

Knows the worker; no widget.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradiend_ui.engine.answers.model import CompareAnswer
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge, shown
from gradiend_ui.engine.values import MOST_COMPARED_CELLS, MOST_COMPARED_TEXTS, Cell
from gradiend_ui.engine.worker.requests import CompareAhead, CompareBase
from gradiend_ui.server.shared import Shared

PIECE_CHARACTERS, FEW_PIECES = 1000, 4
"""A comparison of fewer pieces is not cut: it costs less than the asking."""


def check_compared(cells: object, texts: object) -> None:
    """Refuse what no comparison takes, with the limits in the sentence. Raises BadData, BadGrid, TooLarge."""
    if isinstance(cells, str) or not isinstance(cells, Sequence):
        raise BadGrid(f"The cells to compare are a list of {{feature_factor, learning_rate}}, not {shown(cells)}.")
    if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
        raise BadData(f"The texts to compare are a list of at least one sentence, not {shown(texts)}.")
    if len(cells) > MOST_COMPARED_CELLS:
        raise TooLarge(f"These are {len(cells)} cells; at most {MOST_COMPARED_CELLS} can be compared at once.")
    if len(texts) > MOST_COMPARED_TEXTS:
        raise TooLarge(f"These are {len(texts)} texts; at most {MOST_COMPARED_TEXTS} can be compared at once.")


class Comparisons:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def base(self, checkpoint: str, texts: Sequence[Any], options: Mapping[str, object]) -> CompareAnswer:
        """What the base of a loaded checkpoint predicts, shaped as the answer of /compare without cells.

        Raises NotFound, BadData, BadGrid, TooLarge.
        """
        self._shared.store.checkpoint(checkpoint)
        return self._shared.worker.ask(CompareBase(checkpoint, tuple(texts), dict(options)))

    def ahead(self, run: str, cells: Sequence[Cell], texts: Sequence[Any], options: Mapping[str, object]) -> None:
        """Have a large comparison worked out in pieces, each in its visitor's turn; a small one is asked for at once.

        What is refused, is so by the comparison itself. Raises as it does.
        """
        if not all(isinstance(text, str) for text in texts):
            return
        pieces = list(pieces_of(texts))
        if len(pieces) * (len(cells) + 1) < FEW_PIECES:
            return
        for cell in (None, *cells):
            for piece in pieces:
                self._shared.worker.ask(CompareAhead(run, cell, piece, options))


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
