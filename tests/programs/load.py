"""Many visitors click finished cells while a sweep runs: how long a click takes, and what it costs the sweep.

    python -m tests.programs.load [--clients 25] [--cells 96] [--json OUT]

Runs the same sweep (scored again each time) without and with visitors, in turn, on one server. A visitor opens a page,
follows the run by the event stream and clicks a finished cell every one to three seconds; a click is the request that
repaints row and reasons, then the one for the sentences' answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.page_client import FinishedCells, PageClient, api, client, functions_of, visit
from tests.support.served import Served, served

PAUSE = (1.0, 3.0)
MOST_CLICK, MOST_SLOWER = 0.5, 0.25


async def sweep(http: httpx.AsyncClient, url: str, checkpoint: str, cells: int) -> tuple[str, dict[str, Any]]:
    spec = {
        "feature_factors": [-1.0, 1.0],
        "learning_rates": [round(0.01 * 1.12**n, 6) for n in range(cells // 2)],
        "again": True,
    }
    started = await api(http, url, "start_sweep", checkpoint, spec)
    return started["run"], started


async def finish(http: httpx.AsyncClient, url: str, run: str) -> float:
    """Seconds from the first look at a running sweep to its end."""
    began = time.perf_counter()
    while True:
        answer = await api(http, url, "cells", run, 10**9)
        if answer["state"] not in ("queued", "running"):
            assert answer["state"] == "finished", answer
            return time.perf_counter() - began
        await asyncio.sleep(0.5)


async def measured(server: Served, clients: int, cells: int, rounds: int) -> dict[str, Any]:
    async with client() as http:
        functions = functions_of((await http.get(f"{server.url}/config")).json())
        checkpoint = (await api(http, server.url, "load", "demo", {}))["checkpoint"]
        alone, crowded, pages = [], [], []
        for _ in range(rounds):
            run, _started = await sweep(http, server.url, checkpoint, cells)
            alone.append(await finish(http, server.url, run))
            run, _started = await sweep(http, server.url, checkpoint, cells)
            known, over = FinishedCells(), asyncio.Event()
            visitors = [PageClient(server.url, run, functions, http) for _ in range(clients)]
            looking = asyncio.create_task(known.keep_up(http, server.url, run))
            visits = [asyncio.create_task(visit(page, known, over, PAUSE)) for page in visitors]
            crowded.append(await finish(http, server.url, run))
            over.set()
            await asyncio.gather(*visits)
            looking.cancel()
            pages += visitors
    return figures(pages, alone, crowded, clients, cells)


def figures(
    pages: list[PageClient], alone: list[float], crowded: list[float], clients: int, cells: int
) -> dict[str, Any]:
    clicks = sorted(second for page in pages for second in page.clicks)
    answers = sorted(second for page in pages for second in page.answers)
    errors = [error for page in pages for error in page.errors]
    slower = statistics.median(b / a for a, b in zip(alone, crowded, strict=True)) - 1
    return {
        "clients": clients,
        "cells": cells,
        "cores": os.cpu_count(),
        "clicks": len(clicks),
        "click_median_s": percentile(clicks, 0.5),
        "click_p95_s": percentile(clicks, 0.95),
        "answers_median_s": percentile(answers, 0.5),
        "answers_p95_s": percentile(answers, 0.95),
        "messages": sum(page.messages for page in pages),
        "errors": len(errors),
        "first_errors": errors[:3],
        "sweep_alone_s": [round(second, 1) for second in alone],
        "sweep_with_clients_s": [round(second, 1) for second in crowded],
        "sweep_slower": round(slower, 3),
    }


def percentile(ascending: list[float], share: float) -> float | None:
    return round(ascending[int(share * (len(ascending) - 1))], 3) if ascending else None


def kept(found: dict[str, Any]) -> bool:
    """Whether the promises hold."""
    p95 = found["click_p95_s"]
    return p95 is not None and p95 <= MOST_CLICK and not found["errors"] and found["sweep_slower"] <= MOST_SLOWER


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=25)
    parser.add_argument("--cells", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as server:
        found = asyncio.run(measured(server, asked.clients, asked.cells, asked.rounds))
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))
    return 0 if kept(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
