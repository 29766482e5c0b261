"""The model that a server's owner names with --checkpoint: what its owner is told of it, and what visitors are not.

On a public server it has a name, "default": visitors ask for it by that, and never see or guess its path. What is wrong
with it stands on the owner's console. Knows files by their names only; the worker reads them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradiend_ui.engine.archives import holds_gradiend
from gradiend_ui.engine.demos import DEMO, DEMOS
from gradiend_ui.engine.errors import BadCheckpoint, Busy, GradiendUIError
from gradiend_ui.engine.file_names import RING, is_ring
from gradiend_ui.engine.run_folder import is_checkpoint, nothing_found
from gradiend_ui.engine.worker_client import WorkerEnded
from gradiend_ui.ui.locations import absolute

log = logging.getLogger(__name__)
OWN = "default"
CLOSED = (
    "This server's own model cannot be opened; its owner's console says why. Open the demo, or upload a model as a zip."
)


class OwnModel:
    """source: what --checkpoint named, a demo or a folder; nothing is the demo. public: visitors are strangers."""

    def __init__(self, source: str, public: bool) -> None:
        self._source = source.strip() or DEMO
        self._public = public
        self._said = ""

    @property
    def folders(self) -> tuple[Path, ...]:
        """What the owner opens for everybody; nothing where it is a demo."""
        if self._source in DEMOS:
            return ()
        try:
            return (Path(self._source).expanduser(),)
        except RuntimeError:  # "~somebody" who has no home here
            return (Path(self._source),)

    @property
    def name(self) -> str:
        """What the page asks for when it opens: on a public server no path."""
        return OWN if self._public and self._source not in DEMOS else self._source

    def is_meant(self, source: str) -> bool:
        """Whether a visitor who asks for `source` means it. A path never does: who guesses it learns nothing."""
        return self._public and source == OWN

    @property
    def source(self) -> str:
        """What the worker is asked for."""
        return self._source if self._source in DEMOS else absolute(self._source)

    def problem(self) -> str | None:
        """A sentence for the owner where a look at the folder shows that it cannot be opened; else None."""
        for folder in self.folders:
            try:
                reason = _nothing_there(folder)
            except OSError as error:
                reason = f"it cannot be read ({error.strerror})"
            except (ValueError, RuntimeError) as error:
                reason = f"it is no folder's name ({error})"
            if reason:
                return f"--checkpoint {self._source!r} cannot be opened: {reason}. The demo is there."
        return None

    @contextmanager
    def kept_from_visitors(self) -> Iterator[None]:
        """What goes wrong inside is told to the owner's console, and to visitors without a word of where and what.

        Raises BadCheckpoint; Busy and the worker's end as they are: they will pass, and tell nothing.
        """
        try:
            yield
        except (Busy, WorkerEnded):
            raise
        except GradiendUIError as error:
            said = f"--checkpoint {self._source!r} cannot be opened: {error}"
            if said != self._said:
                self._said = said  # once: every visitor's page asks for it
                log.warning("%s", said)
            raise BadCheckpoint(CLOSED).known_as("load.own_closed") from None


def _nothing_there(folder: Path) -> str | None:
    """Why the folder stands for no GRADIEND; None where it may."""
    if folder.is_file():
        return "it is a file; a GRADIEND is a folder"
    if not folder.is_dir():
        return RING if is_ring(folder) else "there is no such folder"
    if holds_gradiend(folder):
        return None
    return "its config.json describes no GRADIEND" if is_checkpoint(folder) else nothing_found(folder).rstrip(".")
