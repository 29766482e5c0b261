"""How the running app feels: cold start, painted page, load, switch, first picture, sweep, a click; and what it costs.

    python -m tests.programs.app [--json OUT] [--without-page]

Starts `app.py` as a user would, on a free port with an empty data folder, opens the page in Chromium and asks through
the public API. Seconds, MiB and shares. Run it on a quiet machine; quote it together with the number of cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from gradio_client import Client

from tests.support.served import ROOT, free_port, started

if TYPE_CHECKING:
    from playwright.sync_api import Page

CLICKED = [{"feature_factor": -1, "learning_rate": 0.001}]
SENTENCES = ["the engineer said that [MASK] was tired.", "the nurse said that [MASK] was tired."]
IMPORT = "import time; begin = time.perf_counter(); import gradiend_ui; print(time.perf_counter() - begin)"
MIB = 2**20
TICKS = os.sysconf("SC_CLK_TCK")
Figures = dict[str, Any]


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


# --- what a process costs --------------------------------------------------------------------------------------------


def cpu_seconds(process: int) -> float:
    """Processor time that a process has used, its own threads included, its children not (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(process: int) -> dict[str, float]:
    """MiB of a process: all that is resident, and what only it has and no file holds (Linux)."""
    found = dict[str, float]()
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        found[name.rstrip(":")] = int(size) * 1024 / MIB
    return {"resident": found["Rss"], "own": found["Anonymous"]}


def worker_of(server: int) -> int:
    """The server's worker: the largest of its child processes."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    threads = (Path(f"/proc/{server}/task")).iterdir()
    every = {child for thread in threads for child in (thread / "children").read_text().split()} | set(children)
    return max(map(int, every), key=lambda child: memory_of(child)["resident"])


# --- the figures -----------------------------------------------------------------------------------------------------


def import_seconds(times: int = 5) -> float:
    """The median time of `import gradiend_ui` in a fresh interpreter."""
    command = [sys.executable, "-c", IMPORT]
    runs = (subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(times))
    return statistics.median(float(run.stdout) for run in runs)


def cold_start(url: str, server: int, started: float, page: Page | None) -> Figures:
    """From the start of the process; painted: the button that starts a sweep is there to be seen."""
    wait_for(lambda: answers(url))
    found: Figures = {
        "server ready after the start": time.monotonic() - started,
        "processor time of the server until then": cpu_seconds(server),
    }
    if page is not None:
        page.goto(url)
        page.wait_for_selector("#start", timeout=120_000)
        found["page painted after the start"] = time.monotonic() - started
        page.wait_for_selector("#start:enabled", timeout=120_000)
        found["page can start a sweep after the start"] = time.monotonic() - started
    return found


def switching(client: Client, server: int) -> tuple[str, Figures]:
    """The handle of the demo, and the times of loading it, the other demo on the same base, and it again."""
    found: Figures = {}
    sources = {"demo loaded, models ready": "demo", "switch to demo-number": "demo-number", "switch back": "demo"}
    for name, source in sources.items():
        asked = time.monotonic()
        handle = str(client.predict(source, {}, api_name="/load")["checkpoint"])
        found[name] = time.monotonic() - asked
        for kind, size in memory_of(worker_of(server)).items():
            found[f"{name}: worker, {kind} MiB"] = size
    return handle, found


def sweeping(client: Client, checkpoint: str) -> Figures:
    """A default sweep with clicks in between. A cell counts as seen once some of its rows are scored."""
    clicked = time.monotonic()
    started = client.predict(checkpoint, {"again": True}, api_name="/start_sweep")
    run, cells, rev, scored = started["run"], started["cells"], 0, set[tuple[float, float]]()
    found: Figures = {}
    clicks: list[float] = []
    for answer in answers_of(client, run):
        now = time.monotonic() - clicked
        rev = answer["rev"]
        scored |= {(c["feature_factor"], c["learning_rate"]) for c in answer["cells"] if c["rows_done"] > 0}
        for name, reached in (
            ("first value after the click", bool(scored)),
            ("first complete heatmap after the click", len(scored) == cells),
            ("first finished cell after the click", bool(answer["done"])),
        ):
            if reached:
                found.setdefault(name, now)
        if answer["done"] and len(clicks) < 20:
            asked = time.monotonic()
            client.predict(run, CLICKED, SENTENCES, {}, api_name="/compare")
            clicks.append(time.monotonic() - asked)
    clicks.sort()
    return found | {
        "default sweep (all cells and base)": now,
        "revisions of the picture": rev,
        "first complete heatmap, share of the sweep": found["first complete heatmap after the click"] / now,
        "click during the sweep, median": statistics.median(clicks),
        "click during the sweep, 95th percentile": clicks[int(0.95 * (len(clicks) - 1))],
        "state": answer["state"],
    }


def answers_of(client: Client, run: str, pause: float = 0.1) -> Iterator[dict[str, Any]]:
    """What /cells says of a run, only what is new each time, until the run has ended."""
    answer: dict[str, Any] = {"state": "queued", "rev": 0}
    while answer["state"] in ("queued", "running"):
        time.sleep(pause)
        answer = client.predict(run, answer["rev"], api_name="/cells")
        yield answer


def watched_sweep(client: Client, checkpoint: str, server: int, page: Page | None, url: str) -> Figures:
    """What the server takes of the processor while a sweep goes on that one page follows, and nobody else asks."""
    run = client.predict(checkpoint, {"again": True}, api_name="/start_sweep")["run"]
    if page is not None:
        page.goto(f"{url}/?run={run}")
        page.wait_for_selector("#maps [role=grid]", timeout=120_000)
    worker, begin = worker_of(server), time.monotonic()
    before = cpu_seconds(server), cpu_seconds(worker)
    for _ in answers_of(client, run, pause=2.0):
        pass
    used = cpu_seconds(server) - before[0], cpu_seconds(worker) - before[1]
    whose = "server alone" if page is None else "server with an open page"
    return {
        f"{whose}, share of the processor time of a sweep": used[0] / sum(used),
        f"{whose}, share of one core": used[0] / (time.monotonic() - begin),
    }


def store_share(folder: Path) -> Figures:
    """The share of a sweep's time that the worker spends in its store, by the clock, in a process of its own."""
    command = [sys.executable, "-m", "tests.programs.store_share", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {"store, share of the sweep": float(done.stdout)}


@contextmanager
def running_app(port: int, data: Path) -> Iterator[tuple[int, float]]:
    """(process id, when it was started) of the app on an empty data folder, not yet ready; it ends with the context."""
    begin = time.monotonic()
    process = started(port, data, data.with_suffix(".log"))
    try:
        yield process.pid, begin
    finally:
        process.terminate()
        process.wait(timeout=30)


def measure(page: Page | None) -> Figures:
    """All figures of one start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    found: Figures = {"cores": os.cpu_count(), "import gradiend_ui": import_seconds()}
    with tempfile.TemporaryDirectory() as data:
        with running_app(port, Path(data) / "app") as (server, begin):
            found |= cold_start(url, server, begin, page)
            client = Client(url, verbose=False)
            checkpoint, times = switching(client, server)
            found |= times | sweeping(client, checkpoint)
            found |= watched_sweep(client, checkpoint, server, page, url)
        return found | store_share(Path(data) / "store")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--without-page", action="store_true", help="measure the server only; needs no Chromium")
    options = parser.parse_args()
    if options.without_page:
        figures = measure(None)
    else:
        from tests.programs.interaction import with_page  # which takes the start of the app from here

        figures = with_page(measure)
    for name, value in figures.items():
        print(f"{name:66} {value:.3f}" if isinstance(value, float) else f"{name:66} {value}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
