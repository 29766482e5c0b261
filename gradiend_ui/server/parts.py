"""What the parts of the session stand on, and the smallest of them: comparing before there is a sweep.

What the parts of the session stand on: one server's store, worker, data folder and limits. Knows no widget.

The session's part for predictions before there is a sweep. Knows the worker; no widget.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import Busy
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.store.made import Made
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import MOST_COMPARED_CELLS, MOST_COMPARED_TEXTS
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.server.quotas import LOCAL, PUBLIC, Hourly, Quotas, Slots
from gradiend_ui.server.roles import Keys


@dataclass(frozen=True)
class Ground:
    """public: visitors are strangers, no server path is read or told. export_dir: where folders that are kept go, None
    means into the data folder."""

    store: Store
    worker: WorkerClient
    data_dir: Path
    public: bool
    export_dir: Path | None = None

    @cached_property
    def made(self) -> Made:
        """The list of what the app makes."""
        return Made(self.store, self.data_dir)

    @property
    def quotas(self) -> Quotas:
        return PUBLIC if self.public else LOCAL

    @cached_property
    def keys(self) -> Keys:
        """Who may control which run."""
        return Keys(self.store, self.public)

    def check_room(self) -> None:
        """Raises Busy where what visitors have uploaded fills the room there is for it."""
        home, most = self.data_dir / UPLOADS, self.quotas.kept_bytes
        if not self.public or not home.is_dir():
            return
        kept = sum(bytes_of(file) for file in home.rglob("*"))
        if kept > most:
            told = f"The room for uploads is full ({kept / 2**30:.1f} GB): it is cleared with time, try tomorrow."
            raise Busy(told).known_as("load.no_room", size=f"{kept / 2**30:.1f}")

    @cached_property
    def exports(self) -> Slots:
        """Places for exports that are being written."""
        return Slots("exports", self.quotas.exports, self.quotas.exports_each)

    @cached_property
    def loads(self) -> Hourly:
        """Models that are read in another way than before, or brought: each leaves a record and costs a read."""
        return Hourly("changed models", self.quotas.loads_each)

    @cached_property
    def uploads(self) -> Slots:
        """Places for uploads that are being taken in."""
        return Slots("uploads", self.quotas.uploads, self.quotas.uploads_each)


def bytes_of(path: Path) -> int:
    """Of a file; 0 for anything else, and for what is just being cleared away."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


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
        if (
            len(cells) > MOST_COMPARED_CELLS
            or len(texts) > MOST_COMPARED_TEXTS
            or not all(isinstance(text, str) for text in texts)
        ):
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
