"""The session's part for opening: uploaded zips, checked and kept under the data folder, and reading a model again.

Plain JSON-like values in and out; every refusal is a `GradiendUIError`. A confined process unpacks, the worker reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradiend_ui.engine.asking import who_asks
from gradiend_ui.engine.durable import noting
from gradiend_ui.engine.errors import BadBase, GradiendUIError, NotAllowed
from gradiend_ui.engine.file_names import is_writable, lies_in
from gradiend_ui.engine.hub_base import fetch_named, is_fetched
from gradiend_ui.engine.taken_in import home_of, take_in
from gradiend_ui.ui.ground import Ground
from gradiend_ui.ui.locations import checked_location

FOLDER = "uploads"


class Uploads:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def unpack(self, path: str, visitor: str = "") -> dict[str, str]:
        """{source, name} of an uploaded zip, for `load`; the same file is unpacked once.

        Raises BadCheckpoint, NotAllowed, TooLarge, Busy, Failed.
        """
        if self._ground.public and not was_uploaded(path):
            told = NotAllowed("This server reads no paths of its own: upload the model as a zip.")
            raise told.known_as("load.no_paths")
        checked_location(path, "An upload is the path of its file")
        with self._ground.uploads.held(visitor):
            self._ground.check_room()
            uploads = self._ground.data_dir / FOLDER
            with noting(self._ground.made):
                source = take_in(Path(path), uploads, strangers=self._ground.public)
        return {"source": str(source), "name": Path(path).stem}

    def load(self, source: str, name: str, options: Mapping[str, Any] | None = None) -> str:
        """Load what `unpack` gave, under its zip's name; gives the checkpoint. Raises as `Session.load` does."""
        checked_location(source, "source must be what an upload gave")
        if home_of(Path(source), self._ground.data_dir / FOLDER) is None:
            told = NotAllowed("Only a model that was uploaded here can be opened this way.")
            raise told.known_as("load.not_uploaded")
        self._ground.loads.count(who_asks())
        kept = self._ground.quotas.kept_loads
        problems = self._fetched(Path(source), who_asks()) if self._ground.public else []
        try:
            card = self._ground.worker.ask("load", source=source, options=dict(options or {}), name=name, kept=kept)
        except BadBase as error:
            raise (problems[0] if problems else error) from error
        return str(card["checkpoint"])

    def _fetched(self, source: Path, visitor: str) -> list[GradiendUIError]:
        """What went wrong where the upload names models of the Hub; what is here already costs nothing."""
        uploads = self._ground.data_dir / FOLDER
        if is_fetched(source, uploads):
            return []
        with self._ground.uploads.held(visitor), noting(self._ground.made):
            self._ground.check_room()
            return fetch_named(source, uploads)

    def reload(self, checkpoint: str, changes: Mapping[str, Any]) -> str:
        """Read a loaded checkpoint again in another way; gives the new one, the old one stays.

        changes: towards {class: +1 or -1 or 0}, the feature factor that pushes towards it; swap; as_files_say;
        base_model; chat_prompt; seed. Raises BadGrid, BadBase, BadCheckpoint, NotFound, NotAllowed, Busy.
        """
        if self._ground.public and changes.get("base_model"):
            raise NotAllowed("This server does not open other base models.").known_as("load.no_other_base")
        if changes.get("base_model") is not None:
            checked_location(changes["base_model"], "base_model must be a folder or the id of a model, as text")
        self._ground.loads.count(who_asks())
        kept = self._ground.quotas.kept_loads
        card = self._ground.worker.ask("reload", checkpoint=checkpoint, changes=dict(changes), kept=kept)
        return str(card["checkpoint"])


def was_uploaded(path: object) -> bool:
    """Whether the file lies where Gradio puts what visitors upload."""
    folder = os.environ.get("GRADIO_TEMP_DIR")
    if not folder or not isinstance(path, str) or "\0" in path or not is_writable(path):
        return False
    return lies_in(path, folder)
