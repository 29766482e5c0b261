"""What the parts of the session share: one server's store, worker, data folder and limits. Knows no widget."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gradiend_ui.engine.errors import Busy
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.server.door.quotas import LOCAL, PUBLIC, Hourly, Quotas, Slots
from gradiend_ui.server.door.roles import Keys


@dataclass(frozen=True)
class Shared:
    """public: visitors are strangers, no server path is read or told. export_dir: where folders that are kept go, None
    means into the data folder."""

    store: Store
    worker: WorkerClient
    data_dir: Path
    public: bool
    export_dir: Path | None = None

    @cached_property
    def made(self) -> Inventory:
        """The list of what the app makes."""
        return Inventory(self.store, self.data_dir)

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
