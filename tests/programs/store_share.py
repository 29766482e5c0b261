"""The share of a sweep's time that its store takes: `python -m tests.programs.store_share FOLDER`.

Sweeps the demo's default grid in this process, as the worker would, over a store on the disk whose methods are timed.
Prints seconds in the store divided by seconds of the sweep.
"""

from __future__ import annotations

import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any

from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.worker.requests import Load, StartSweep
from gradiend_ui.engine.worker.worker import Worker

ROOT = Path(__file__).parents[2]


class TimedStore(Store):
    """Counts the seconds of its outermost calls."""

    seconds = 0.0
    depth = 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found):
            return found

        @wraps(found)
        def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            self.depth += 1
            try:
                return found(*arguments, **options)
            finally:
                self.depth -= 1
                if not self.depth:
                    self.seconds += time.perf_counter() - begin

        return timed


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    store = TimedStore(folder / "runs.sqlite")
    worker = Worker(store, folder, ROOT / "assets" / "demo")
    card = worker.answer(Load("demo", {}))
    run = worker.answer(StartSweep(card["checkpoint"], AskedSweep.of({})))["run"]
    store.seconds, begin = 0.0, time.perf_counter()
    while worker.step():
        pass
    total = time.perf_counter() - begin
    if store.run(run).state != "finished":
        raise SystemExit(f"the sweep ended as {store.run(run).state}: {store.run(run).error}")
    print(store.seconds / total)
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
