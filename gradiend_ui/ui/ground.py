"""What the parts of the session stand on: one server's store, worker and data folder. Knows no widget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gradiend_ui.engine.store import Store
from gradiend_ui.engine.worker_client import WorkerClient


@dataclass(frozen=True)
class Ground:
    """public: visitors are strangers, no server path is read or told."""

    store: Store
    worker: WorkerClient
    data_dir: Path
    public: bool
