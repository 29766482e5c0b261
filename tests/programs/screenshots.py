"""Takes the pictures of the documentation from the running app: every step and state, as a visitor sees them.

    python -m tests.programs.screenshots [--only NAME]

Starts `app.py` on the bundled demo with an empty data folder and drives it in Chromium. The pictures go to assets/docs.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.support.chromium import FLAGS, MISSING, chromium
from tests.support.served import ROOT, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / "assets" / "docs"
HEIGHT = 900
PASTED = """text;word;class;other word;other class
the nurse said that [MASK] slept.;she;F;he;M
the soldier said that [MASK] slept.;he;M;she;F
my sister said that [MASK] was late.;she;F;he;M
no mask in this one.;he;M;she;F
my brother said that [MASK] was late.;he;M;she;F"""


def opened(browser: Browser, address: str, width: int, theme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, reduced_motion="reduce")
    page.goto(f"{address}{'&' if '?' in address else '?'}__theme={theme}")
    page.wait_for_selector("#start:not([disabled])", timeout=60_000)
    page.wait_for_selector("#maps [data-rev]")
    page.wait_for_timeout(800)
    return page


def taken(page: Page, name: str, whole: bool = False) -> None:
    """Save the page as assets/docs/<name>.png."""
    page.wait_for_timeout(900)
    target = FOLDER / f"{name}.png"
    page.screenshot(path=str(target), full_page=whole)
    Image.open(target).convert("RGB").save(target, optimize=True)
    print(target.relative_to(ROOT), f"{target.stat().st_size // 1024} kB", flush=True)


def finished(page: Page) -> None:
    page.wait_for_function("document.querySelector('#run-chip .chip')?.dataset.state === 'finished'", timeout=300_000)
    page.wait_for_timeout(800)


def before_a_sweep(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1400, "light")
    taken(page, "loaded-1400-light")
    page.get_by_text("Open another GRADIEND").first.click()
    page.get_by_label("Folder of a trained GRADIEND").fill("/no/such/folder")
    page.get_by_role("button", name="Open folder").click()
    page.wait_for_selector("#load-note [role=alert], #step-load [role=alert]", timeout=30_000)
    taken(page, "load-error-1400-light")
    page.close()


def data(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1400, "light")
    page.click("#change-data")
    page.wait_for_selector("#data-first table", timeout=30_000)
    page.wait_for_timeout(1500)
    taken(page, "data-1400-light")
    page.get_by_text("Or paste rows").click()
    page.locator("#data-paste textarea").fill(PASTED)
    page.get_by_role("button", name="Read the pasted rows").click()
    page.wait_for_selector("#data-rejected table", timeout=30_000)
    taken(page, "data-pasted-1400-light")
    page.close()


def running(browser: Browser, address: str) -> str:
    """Sweep the default grid; gives the address of the finished run."""
    page = opened(browser, address, 1400, "dark")
    page.click("#start")
    page.wait_for_function("document.querySelector('#run-chip .chip')?.dataset.done > 16", timeout=120_000)
    taken(page, "running-1400-dark")
    finished(page)
    found = re.search(r"run=[\w-]+", page.url)
    assert found is not None
    page.close()
    return f"{address}?{found.group()}"


def after_a_sweep(browser: Browser, run: str) -> None:
    page = opened(browser, run, 1400, "light")
    taken(page, "finished-1400-light")
    page.get_by_role("radio", name="all", exact=True).check(force=True)
    taken(page, "matrix-1400-light")
    page.get_by_role("radio", name="change", exact=True).check(force=True)
    taken(page, "change-1400-light")
    page.get_by_role("radio", name="other rows", exact=True).check(force=True)
    page.get_by_role("button", name="Pin this cell").click()
    page.locator("#maps [role=grid]").first.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1200)
    taken(page, "pinned-1400-light")
    page.click("#open-card")
    page.wait_for_selector("#card-preview h3", timeout=60_000)
    taken(page, "export-1400-light")
    page.close()


def two_runs(browser: Browser, run: str) -> None:
    page = opened(browser, run, 1400, "light")
    page.locator("#neutral-set input").click()
    page.get_by_role("option", name=re.compile("gender-free")).click()
    page.wait_for_timeout(1500)
    page.click("#start")
    page.wait_for_timeout(1500)
    finished(page)
    page.click("#open-runs")
    for place in range(2):
        page.get_by_role("button", name=re.compile("Put beside")).nth(place).click()
        page.wait_for_timeout(900)
    page.mouse.move(700, 70)
    taken(page, "two-sweeps-1400-light")
    page.close()


def narrow(browser: Browser, run: str) -> None:
    for width, theme in ((800, "light"), (360, "dark")):
        page = opened(browser, run, width, theme)
        taken(page, f"finished-{width}-{theme}", whole=True)
        page.close()
    page = opened(browser, run.replace("/?", "/de?"), 1400, "dark")
    taken(page, "german-1400-dark")
    page.close()


def other_demo(browser: Browser, address: str) -> None:
    """The other GRADIEND on the same base model, swept."""
    page = opened(browser, address, 1400, "light")
    page.get_by_text("Open another GRADIEND").first.click()
    page.click("#load-other-demo")
    page.wait_for_function("document.querySelector('#health h2')?.textContent.includes('demo-number')", timeout=60_000)
    page.wait_for_timeout(1500)
    page.click("#start")
    page.wait_for_timeout(1500)
    finished(page)
    taken(page, "number-1400-light")
    page.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", choices=["before", "data", "after", "runs", "narrow", "other"], help="take these only"
    )
    only = parser.parse_args().only
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        raise SystemExit(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data") as server,
        sync_playwright() as playwright,
    ):
        address = f"{server.url}/"
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        run = running(browser, address)
        takers: dict[str, Callable[[], None]] = {
            "before": lambda: before_a_sweep(browser, address),
            "data": lambda: data(browser, address),
            "after": lambda: after_a_sweep(browser, run),
            "narrow": lambda: narrow(browser, run),
            "runs": lambda: two_runs(browser, run),
            "other": lambda: other_demo(browser, address),
        }
        for name, take in takers.items():
            if only in (None, name):
                take()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
