"""What the parts of the session stand on: one server's store, worker, data folder and limits. Knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gradiend_ui.engine.store import Store
from gradiend_ui.engine.worker_client import WorkerClient
from gradiend_ui.ui.quotas import LOCAL, PUBLIC, Quotas, Slots


@dataclass(frozen=True)
class Ground:
    """public: visitors are strangers, no server path is read or told. export_dir: where folders that are kept go, None
    means into the data folder."""

    store: Store
    worker: WorkerClient
    data_dir: Path
    public: bool
    export_dir: Path | None = None

    @property
    def quotas(self) -> Quotas:
        return PUBLIC if self.public else LOCAL

    @cached_property
    def exports(self) -> Slots:
        """Places for exports that are being written."""
        return Slots("exports", self.quotas.exports, self.quotas.exports_each)

    @cached_property
    def uploads(self) -> Slots:
        """Places for uploads that are being taken in."""
        return Slots("uploads", self.quotas.uploads, self.quotas.uploads_each)
