"""One visitor asks for the heaviest that is allowed, in a loop, while another compares: how long the other waits.

    python -m tests.programs.fair_share [--seconds 60] [--hostile 8] [--json OUT]

Runs a public server behind a pretended proxy, so that the two have addresses of their own. The other compares two
sentences under two cells every half a second, alone first, then beside the hostile one, whose requests are several at
a time: loads with ever new options, sweeps over the largest tables that are taken, comparisons of 20 long sentences
under four cells. Tells the median, the 95th percentile and the worst of the other's answers, and what became of the
hostile requests; asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.programs.load import percentile
from tests.support.page_client import client
from tests.support.served import Served, served

PAUSE = 0.5
OTHER, HOSTILE = "203.0.113.1", "203.0.113.2"
SENTENCES = ["The nurse said that [MASK] would be late.", "The engineer said that [MASK] was tired."]
LONG = "the nurse said that she would be late and " * 12 + "then [MASK] slept."


async def called(http: httpx.AsyncClient, url: str, address: str, name: str, *data: Any) -> dict[str, Any]:
    """The answer of a public function for the visitor at `address`. Raises RuntimeError with its refusal."""
    headers = {"origin": url, "x-forwarded-for": address}
    started = await http.post(f"{url}/gradio_api/call/{name}", json={"data": list(data)}, headers=headers)
    if started.status_code != 200:
        raise RuntimeError(f"{started.status_code} {started.text[:100]}")
    event = started.json()["event_id"]
    async with http.stream("GET", f"{url}/gradio_api/call/{name}/{event}", headers=headers) as stream:
        failed = False
        async for line in stream.aiter_lines():
            failed = failed or line == "event: error"
            if line.startswith("data:") and line[5:].strip() != "null":
                told = json.loads(line[5:])
                if failed:
                    raise RuntimeError(str(told)[:100])
                answer: dict[str, Any] = told[0]
                return answer
    raise RuntimeError("no answer")


async def comparing(http: httpx.AsyncClient, url: str, run: str, seconds: float) -> list[float]:
    """How long each of the other's comparisons took; no two ask for the same."""
    took, until = [], time.perf_counter() + seconds
    for number in itertools.count():
        if time.perf_counter() > until:
            return sorted(took)
        cells = [{"feature_factor": factor, "learning_rate": 0.1} for factor in (-1.0, 1.0)]
        texts = [f"{number} {sentence}" for sentence in SENTENCES]
        began = time.perf_counter()
        await called(http, url, OTHER, "compare", run, cells, texts, {})
        took.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    raise AssertionError


def table(number: int) -> list[dict[str, str]]:
    """As many rows as a request may bring, each time others."""
    words = {"M": "he", "F": "she"}
    return [
        {
            "masked": f"{number} {place} so [MASK] said " + "and slept " * 40,
            "label": words[own], "label_class": own, "alternative": words[other], "alternative_class": other,
        }
        for place in range(2000)
        for own, other in (("M", "F") if place % 2 else ("F", "M"),)
    ]  # fmt: skip


async def asking_much(http: httpx.AsyncClient, url: str, run: str, number: int, came: Counter[str]) -> None:
    """The heaviest requests in turn, until cancelled."""
    for turn in itertools.count(number * 100_000):
        kind = ("load", "start_sweep", "compare")[turn % 3]
        try:
            if kind == "load":
                direction = {"M": turn // 3 % 3 - 1, "F": turn // 9 % 3 - 1}
                await called(http, url, HOSTILE, kind, "demo", {"encoding_direction": direction})
            elif kind == "start_sweep":
                checkpoint = (await called(http, url, HOSTILE, "load", "demo", {}))["checkpoint"]
                spec = {"rows": table(turn), "learning_rates": [0.1], "feature_factors": [1.0], "split": "all"}
                await called(http, url, HOSTILE, kind, checkpoint, spec)
            else:
                cells = [{"feature_factor": 1.0, "learning_rate": 0.1 + turn + place} for place in range(4)]
                texts = [f"{turn} {place} {LONG}" for place in range(20)]
                await called(http, url, HOSTILE, kind, run, cells, texts, {})
            came[f"{kind}: answered"] += 1
        except (RuntimeError, httpx.HTTPError) as error:
            refused = str(error).partition("[")[2].partition("]")[0] or type(error).__name__
            came[f"{kind}: {refused}"] += 1
            await asyncio.sleep(0.1)


async def measured(server: Served, seconds: float, hostile: int) -> dict[str, Any]:
    async with client() as http:
        url = server.url
        checkpoint = (await called(http, url, OTHER, "load", "demo", {}))["checkpoint"]
        spec = {"learning_rates": [0.1], "feature_factors": [-1.0, 1.0], "max_rows": 20}
        run = (await called(http, url, OTHER, "start_sweep", checkpoint, spec))["run"]
        while (await called(http, url, OTHER, "cells", run, 0))["state"] != "finished":
            await asyncio.sleep(0.5)
        alone = await comparing(http, url, run, seconds / 3)
        came: Counter[str] = Counter()
        tasks = [asyncio.create_task(asking_much(http, url, run, number, came)) for number in range(hostile)]
        beside = await comparing(http, url, run, seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {"cores": os.cpu_count(), "alone": told(alone), "beside": told(beside), "hostile": dict(came)}


def told(took: list[float]) -> dict[str, Any]:
    return {
        "answers": len(took),
        "median_s": percentile(took, 0.5),
        "p95_s": percentile(took, 0.95),
        "worst_s": round(took[-1], 3) if took else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--hostile", type=int, default=8)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data", "--public", "--proxies", "1") as server:
        found = asyncio.run(measured(server, asked.seconds, asked.hostile))
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
