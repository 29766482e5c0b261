"""How the running app feels, in seconds: cold start, load, first cell, whole sweep, a click during the sweep.

    python -m tests.benchmarks.app [--json OUT]

Starts `app.py` as a user would, on a free port with an empty data folder, and asks it through its public API. Run it
on a quiet machine; quote it together with the number of cores.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from gradio_client import Client

ROOT = Path(__file__).parents[2]
CLICKED = [{"feature_factor": -1, "learning_rate": 0.001}]
SENTENCES = ["the engineer said that [MASK] was tired.", "the nurse said that [MASK] was tired."]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 300.0, pause: float = 0.02) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the app did not get there in time")
        time.sleep(pause)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as reply:
            return int(reply.status) == 200
    except (URLError, ConnectionError, TimeoutError):
        return False


def measure(url: str, started: float) -> dict[str, Any]:
    """All figures of one start; `started` is when the process was launched."""
    wait_for(lambda: answers(url))
    ready = time.monotonic() - started
    client = Client(url, verbose=False)
    asked = time.monotonic()
    checkpoint = client.predict("demo", {}, api_name="/load")["checkpoint"]
    load = time.monotonic() - asked
    clicked = time.monotonic()
    run = client.predict(checkpoint, {}, api_name="/start_sweep")["run"]
    first_value = first_cell = None
    clicks: list[float] = []
    while True:
        answer = client.predict(run, 0, api_name="/cells")
        now = time.monotonic() - clicked
        if first_value is None and answer["cells"]:
            first_value = now
        if answer["done"]:
            first_cell = first_cell or now
        if answer["state"] not in ("queued", "running"):
            break
        if answer["done"] and len(clicks) < 20:
            asked = time.monotonic()
            client.predict(run, CLICKED, SENTENCES, {}, api_name="/compare")
            clicks.append(time.monotonic() - asked)
        time.sleep(0.1)
    clicks.sort()
    return {
        "cores": os.cpu_count(),
        "server ready after the start": ready,
        "demo loaded, models ready": load,
        "first value after the click": first_value,
        "first finished cell after the click": first_cell,
        "default sweep (32 cells and base)": now,
        "click during the sweep, median": statistics.median(clicks),
        "click during the sweep, 95th percentile": clicks[int(0.95 * (len(clicks) - 1))],
        "state": answer["state"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        started = time.monotonic()
        command = [sys.executable, "app.py", "--port", str(port), "--data-dir", data]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            figures = measure(f"http://127.0.0.1:{port}", started)
        finally:
            process.terminate()
            process.wait(timeout=30)
    for name, value in figures.items():
        print(f"{name:42} {value:.3f}" if isinstance(value, float) else f"{name:42} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
