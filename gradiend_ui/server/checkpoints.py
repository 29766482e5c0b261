"""Opening checkpoints: places as people type them, uploads, and the model of the server's owner.

Places are bounded by a look at their text; what lies there is for whoever opens it. Uploaded zips are checked and kept
under the data folder by a confined process, and read by the worker. The model that a server's owner names with
--checkpoint has a name on a public server, "default": visitors ask for it by that, and never see its path; what is
wrong with it stands on the owner's console. Plain JSON-like values in and out; every refusal is a `GradiendUIError`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gradiend_ui.engine.answers.checkpoint import Unpacked
from gradiend_ui.engine.base.hub import fetch_named, is_fetched
from gradiend_ui.engine.base.uploaded import home_of, take_in
from gradiend_ui.engine.checkpoint.demos import DEMO, DEMOS
from gradiend_ui.engine.checkpoint.run_folder import holds_gradiend, is_checkpoint, nothing_found
from gradiend_ui.engine.errors import (
    BadBase,
    BadCheckpoint,
    BadGrid,
    Busy,
    GradiendUIError,
    NotAllowed,
    is_broken,
    shown,
)
from gradiend_ui.engine.files.file_names import (
    LONGEST_PATH,
    LONGEST_PIECE,
    RING,
    followed,
    is_ring,
    is_writable,
    lies_in,
)
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.files.whole_or_absent import noting
from gradiend_ui.engine.worker.client import WorkerEnded
from gradiend_ui.engine.worker.requests import Load, Reload
from gradiend_ui.engine.worker.turns import who_asks
from gradiend_ui.server.shared import Shared


def checked_location(given: object, accepted: str) -> str:
    """The text, where it can be a folder's or a model's name. accepted: how the refusal begins, without a full stop.

    Raises BadGrid for anything but a text, and for one that no system takes for a name.
    """
    if not isinstance(given, str):
        raise BadGrid(f"{accepted}, not {shown(given)}.")
    if not given.strip():
        raise BadGrid(f"{accepted}; it is empty.")
    if len(given) > LONGEST_PATH:
        raise BadGrid(f"{accepted}; this one has {len(given):,} characters, and no path has over {LONGEST_PATH:,}.")
    if any(ord(character) < 32 for character in given) or is_broken(given):
        raise BadGrid(f"{accepted}, not {shown(given)}: it holds characters that no name has.")
    pieces = given.replace("\\", "/").split("/")
    if any(len(os.fsencode(piece)) > LONGEST_PIECE for piece in pieces):
        raise BadGrid(f"{accepted}, not {shown(given)}: no folder's name has over {LONGEST_PIECE} bytes.")
    return given


def absolute(location: str) -> str:
    """The folder by its whole path. Raises BadGrid for the home of a user whom nobody knows, and links in a ring."""
    try:
        return str(followed(Path(location).expanduser()))
    except (OSError, RuntimeError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise BadGrid(f"The folder {shown(location)} cannot be found ({why}): give its whole path.") from error


class Uploads:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def unpack(self, path: str, visitor: str = "") -> Unpacked:
        """{source, name} of an uploaded zip, for `load`; the same file is unpacked once.

        Raises BadCheckpoint, NotAllowed, TooLarge, Busy, Failed.
        """
        if self._shared.public and not was_uploaded(path):
            told = NotAllowed("This server reads no paths of its own: upload the model as a zip.")
            raise told.known_as("load.no_paths")
        checked_location(path, "An upload is the path of its file")
        with self._shared.uploads.held(visitor):
            self._shared.check_room()
            uploads = self._shared.data_dir / UPLOADS
            with noting(self._shared.made):
                source = take_in(Path(path), uploads, strangers=self._shared.public)
        return {"source": str(source), "name": Path(path).stem}

    def load(self, source: str, name: str, options: Mapping[str, object] | None = None) -> str:
        """Load what `unpack` gave, under its zip's name; gives the checkpoint. Raises as `Session.load` does."""
        checked_location(source, "source must be what an upload gave")
        if home_of(Path(source), self._shared.data_dir / UPLOADS) is None:
            told = NotAllowed("Only a model that was uploaded here can be opened this way.")
            raise told.known_as("load.not_uploaded")
        self._shared.loads.count(who_asks())
        kept = self._shared.quotas.kept_loads
        problems = self._fetched(Path(source), who_asks()) if self._shared.public else []
        try:
            card = self._shared.worker.ask(Load(source, dict(options or {}), name, kept=kept))
        except BadBase as error:
            raise (problems[0] if problems else error) from error
        return str(card["checkpoint"])

    def _fetched(self, source: Path, visitor: str) -> list[GradiendUIError]:
        """What went wrong where the upload names models of the Hub; what is here already costs nothing."""
        uploads = self._shared.data_dir / UPLOADS
        if is_fetched(source, uploads):
            return []
        with self._shared.uploads.held(visitor), noting(self._shared.made):
            self._shared.check_room()
            return fetch_named(source, uploads)

    def reload(self, checkpoint: str, changes: Mapping[str, object]) -> str:
        """Read a loaded checkpoint again in another way; gives the new one, the old one stays.

        changes: towards {class: +1 or -1 or 0}, the feature factor that pushes towards it; swap; as_files_say;
        base_model; chat_prompt; seed. Raises BadGrid, BadBase, BadCheckpoint, NotFound, NotAllowed, Busy.
        """
        if self._shared.public and changes.get("base_model"):
            raise NotAllowed("This server does not open other base models.").known_as("load.no_other_base")
        if changes.get("base_model") is not None:
            checked_location(changes["base_model"], "base_model must be a folder or the id of a model, as text")
        self._shared.loads.count(who_asks())
        kept = self._shared.quotas.kept_loads
        card = self._shared.worker.ask(Reload(checkpoint, dict(changes), kept))
        return str(card["checkpoint"])


def was_uploaded(path: object) -> bool:
    """Whether the file lies where Gradio puts what visitors upload."""
    folder = os.environ.get("GRADIO_TEMP_DIR")
    if not folder or not isinstance(path, str) or "\0" in path or not is_writable(path):
        return False
    return lies_in(path, folder)


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
