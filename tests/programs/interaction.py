"""How fast the page answers on a finished grid, in milliseconds: threshold, class, metric, colours, cell.

    python -m tests.programs.interaction [--json OUT] [--times N]

Starts `app.py` on the demo with an empty data folder, writes three finished sweeps with made-up but consistent numbers
into its store (144, 576 and 2,500 cells: nothing is swept), and acts in Chromium as a hand would. A time runs from the
input until the frame with the last change of the maps and of the reason card is painted. `metric` shows the own rows or
the other class's, `colour scale` the change against the base (other colours, ends that clip) or back, `theme` dark or
light.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradio_client import Client

from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.axes import read_axis
from gradiend_ui.engine.values import DEFAULT_LEARNING_RATES, DENSE_FEATURE_FACTORS, Cell, CellScore, Grid
from tests.support.chromium import FLAGS, MISSING, chromium
from tests.support.served import served

if TYPE_CHECKING:
    from playwright.sync_api import Page

RATES = "learning rates"
GRIDS = {
    "dense, 9 x 16": Grid(DENSE_FEATURE_FACTORS, DEFAULT_LEARNING_RATES),
    "typed, 24 x 24": Grid(read_axis("-3:2.75:24", RATES).values, read_axis("0.001:100:23 log, 0.15", RATES).values),
    "typed, 50 x 50": Grid(read_axis("-3:3:49, 1.05", RATES).values, read_axis("0.001:100:49 log, 0.15", RATES).values),
}
TOTAL, BASE_HITS = 500, 200
QUIET_MS = 250
RATIOS = (0.95, 0.99, 0.92, 0.97, 0.9, 0.985, 0.94, 1.0)
SHOWS = "#maps .shows input[value={}]"
FIGURE = f"{'grid':16} {'action':18} {'median':>8} {'95 %':>8}"

TIME_AN_ACTION = """
async ([selector, kind, value]) => {
  const watched = ['#maps', '#reason'].map((name) => document.querySelector(name));
  const target = document.querySelector(selector);
  let last = 0, changed = false, watching = true;
  const painted = new MessageChannel();
  const frame = () => painted.port2.postMessage(null);
  painted.port1.onmessage = () => {
    if (changed) last = performance.now();
    changed = false;
    if (watching) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const observer = new MutationObserver(() => { changed = true; });
  const everything = { subtree: true, childList: true, attributes: true, characterData: true };
  for (const element of watched) observer.observe(element, everything);
  const begin = performance.now();
  if (kind === 'drag') {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(target, value);
    target.dispatchEvent(new Event('input', { bubbles: true }));
  } else if (kind === 'key') {
    target.focus();
    target.dispatchEvent(new KeyboardEvent('keydown', { key: value, bubbles: true, cancelable: true }));
  } else target.click();
  while (performance.now() - Math.max(begin + 600, last) < QUIET) await new Promise((done) => setTimeout(done, 20));
  observer.disconnect();
  watching = false;
  return last ? last - begin : null;
}
""".replace("QUIET", str(QUIET_MS))


def made_up(cell: Cell | None, classes: Sequence[str]) -> CellScore:
    """A score as a sweep might give: the further the update, the likelier its class and the worse the LMS."""
    step = 0.0 if cell is None else cell.feature_factor * math.log1p(20 * cell.learning_rate)
    towards = 1 / (1 + math.exp(step))
    hits = int(BASE_HITS * (1 + 0.02 * math.sin(3 * step) - 0.012 * step * step)) if cell else BASE_HITS
    first, second = classes[0], classes[1]
    probs = {
        first: {first: 1 - 0.9 * towards, second: 0.9 * towards},
        second: {first: 0.9 * (1 - towards), second: 1 - 0.9 * (1 - towards)},
    }
    hits = max(0, min(TOTAL, hits))
    lms = {"lms": hits / TOTAL, "accuracy": hits / TOTAL, "hits": float(hits), "total": float(TOTAL)}
    return CellScore(cell, "final", probs, lms, 300, 300)


def finished_run(client: Client, store: Store, checkpoint: str, grid: Grid) -> str:
    """A finished run of the grid that nobody swept: planned by the app, stopped, filled with made-up numbers."""
    spec = {"feature_factors": list(grid.feature_factors), "learning_rates": list(grid.learning_rates)}
    planned = client.predict(checkpoint, spec, api_name="/start_sweep")["run"]
    client.predict(planned, api_name="/stop")
    record = store.run(planned)
    scores = [made_up(cell, record.info["classes"]) for cell in (None, *grid.cells)]
    return store.create_finished_run(checkpoint, record.request, record.info, scores)


def timed(page: Page, actions: Sequence[tuple[str, str, Any]]) -> list[float]:
    """Milliseconds of each action that changed anything, ascending; the first one is for warming up."""
    found = [page.evaluate(TIME_AN_ACTION, list(action)) for action in actions]
    return sorted(value for value in found[1:] if value is not None)


def measure(page: Page, address: str, times: int) -> dict[str, list[float]]:
    page.goto(address)
    page.wait_for_selector("#maps [data-best]:not([data-best=''])", timeout=120_000)
    page.wait_for_timeout(3_000)
    drags = [("#ratio input[type=range]", "drag", RATIOS[k % len(RATIOS)]) for k in range(times + 1)]
    classes = [(f"#target-class label:nth-of-type({1 + k % 2}) input", "click", None) for k in range(times + 1)]
    keys = [("#maps [role=grid]", "key", "ArrowLeft" if k % 6 < 3 else "ArrowRight") for k in range(times + 1)]
    metrics = [(SHOWS.format(("own", "other")[k % 2]), "click", None) for k in range(times + 1)]
    scales = [(SHOWS.format(("change", "other")[k % 2]), "click", None) for k in range(times + 1)]
    themes = [("#theme", "click", None)] * (times + 1)
    return {
        "threshold drag": timed(page, drags),
        "class switch": timed(page, classes),
        "metric": timed(page, metrics),
        "colour scale": timed(page, scales),
        "theme": timed(page, themes),
        "cell move": timed(page, keys),
    }


def figures_of(times: Mapping[str, list[float]]) -> dict[str, tuple[float, float]]:
    """{action: (median, 95th percentile)}."""
    return {
        name: (statistics.median(values), values[int(0.95 * (len(values) - 1))])
        for name, values in times.items()
        if values
    }


def with_page(act: Callable[[Page], Any]) -> Any:
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise SystemExit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        answer = act(page)
        browser.close()
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--times", type=int, default=20, help="how often each action is timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as server:
        client, store = Client(server.url, verbose=False), Store(server.data / "runs.sqlite")
        checkpoint = client.predict("demo", {}, api_name="/load")["checkpoint"]
        runs = {name: finished_run(client, store, checkpoint, grid) for name, grid in GRIDS.items()}
        time.sleep(1.0)
        figures = with_page(
            lambda page: {
                name: figures_of(measure(page, f"{server.url}/?run={run}", options.times)) for name, run in runs.items()
            }
        )
        store.close()
    print(FIGURE)
    for name, actions in figures.items():
        for action, (median, high) in actions.items():
            print(f"{name:16} {action:18} {median:8.0f} {high:8.0f}")
    if options.json:
        options.json.write_text(json.dumps({"cores": os.cpu_count(), **figures}, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
