"""A server in use for half an hour: pages come and go, sweeps, exports, other models. Does its memory stay?

    python -m tests.programs.soak [--minutes 30] [--json OUT]

Within the time: 100 pages in all, 10 sweeps, 10 exports, 10 changes of the model, evenly spread. Memory is read every
few seconds (server and worker, without file pages). Promise: it grows by at most 150 MB after the first third, and the
folder of downloads and uploads holds at most 50 MB once it was cleaned.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.page_client import FinishedCells, Functions, PageClient, api, client, functions_of, visit
from tests.support.served import Served, folder_bytes, resident_bytes, served

PAGES, SWEEPS, EXPORTS, SWAPS = 100, 10, 10, 10
DEMOS = ("demo", "demo-number")
MEGABYTE = 2**20
MOST_GROWTH, MOST_LEFT = 150 * MEGABYTE, 50 * MEGABYTE
EVERY = 5.0
TIDY_SECONDS = 3.0


@dataclass
class Soak:
    """What happens on one server. memory: (seconds since the start, bytes of the server, bytes of the worker)."""

    server: Served
    http: httpx.AsyncClient
    functions: Functions
    seconds: float
    began: float = field(default_factory=time.monotonic)
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=lambda: {"pages": 0, "sweeps": 0, "exports": 0, "swaps": 0})
    runs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    async def until(self, share: float) -> None:
        """Wait for this share of the time."""
        await asyncio.sleep(max(0.0, share * self.seconds - self.now))

    async def watch_memory(self) -> None:
        while True:
            self.memory.append((self.now, resident_bytes(self.server.pid), resident_bytes(self.server.worker)))
            await asyncio.sleep(EVERY)

    async def sweep(self) -> None:
        for number in range(SWEEPS):
            await self.until(number / SWEEPS)
            checkpoint = (await api(self.http, self.url, "load", DEMOS[0], {}))["checkpoint"]
            spec = {"feature_factors": [-1.0, 1.0], "learning_rates": [0.01, 0.05, 0.1, 0.5], "again": True}
            run = (await api(self.http, self.url, "start_sweep", checkpoint, spec))["run"]
            self.runs.append(run)
            while (await api(self.http, self.url, "cells", run, 10**9))["state"] in ("queued", "running"):
                await asyncio.sleep(1.0)
            self.done["sweeps"] += 1

    async def export(self) -> None:
        for number in range(EXPORTS):
            await self.until((number + 0.6) / EXPORTS)
            run = await self._some_run()
            await api(self.http, self.url, "export", run, {"feature_factor": -1.0, "learning_rate": 0.1})
            self.done["exports"] += 1

    async def swap(self) -> None:
        for number in range(SWAPS):
            await self.until((number + 0.3) / SWAPS)
            await api(self.http, self.url, "load", DEMOS[(number + 1) % 2], {})
            self.done["swaps"] += 1

    async def visits(self) -> None:
        """Pages, each open for a tenth of the time."""
        await asyncio.gather(*(self._one_visit(number) for number in range(PAGES)))

    async def _one_visit(self, number: int) -> None:
        await self.until(0.9 * number / PAGES)
        run = await self._some_run()
        known, over = FinishedCells(), asyncio.Event()
        page = PageClient(self.url, run, self.functions, self.http)
        looking = asyncio.create_task(known.keep_up(self.http, self.url, run, pause=10.0))
        going = asyncio.get_running_loop().call_later(0.1 * self.seconds, over.set)
        try:
            await visit(page, known, over, (2.0, 8.0))
            self.done["pages"] += 1
        finally:
            going.cancel()
            looking.cancel()
            self.errors += page.errors

    async def _some_run(self) -> str:
        while not self.runs:
            await asyncio.sleep(0.5)
        return self.runs[-1]


async def soaked(server: Served, minutes: float) -> dict[str, Any]:
    async with client() as http:
        functions = functions_of((await http.get(f"{server.url}/config")).json())
        soak = Soak(server, http, functions, minutes * 60)
        watching = asyncio.create_task(soak.watch_memory())
        try:
            await asyncio.gather(soak.sweep(), soak.export(), soak.swap(), soak.visits())
            await soak.until(1.0)
        finally:
            watching.cancel()
    return figures(soak)


def figures(soak: Soak) -> dict[str, Any]:
    third = soak.seconds / 3
    total = [(second, server + worker) for second, server, worker in soak.memory]
    early = max(size for second, size in total if second <= third)
    late = max(size for second, size in total if second > third)
    return {
        **soak.done,
        "minutes": round(soak.now / 60, 1),
        "errors": len(soak.errors),
        "first_errors": soak.errors[:3],
        "memory_first_third_mb": round(early / MEGABYTE),
        "memory_after_mb": round(late / MEGABYTE),
        "memory_end_mb": round(total[-1][1] / MEGABYTE),
        "server_end_mb": round(soak.memory[-1][1] / MEGABYTE),
        "worker_end_mb": round(soak.memory[-1][2] / MEGABYTE),
        "growth_mb": round((late - early) / MEGABYTE),
    }


def kept(found: dict[str, Any]) -> bool:
    return (
        found["growth_mb"] * MEGABYTE <= MOST_GROWTH
        and found["left_mb"] * MEGABYTE <= MOST_LEFT
        and not found["errors"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with served(data) as server:
            found = asyncio.run(soaked(server, asked.minutes))
            found["used_mb"] = round(folder_bytes(data) / MEGABYTE, 1)
        with served(data):  # a start cleans up
            time.sleep(TIDY_SECONDS)
            found["left_mb"] = round(
                sum(folder_bytes(data / name) for name in ("downloads", "exports", "uploads")) / MEGABYTE, 1
            )
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))
    return 0 if kept(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
