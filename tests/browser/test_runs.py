"""The drawer of earlier sweeps in a real browser: named, opened in the same page, put side by side, deleted."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SLOW = 60_000


@pytest.fixture(scope="module")
def server(fresh_server: str) -> str:
    """One without sweeps of other tests."""
    return fresh_server


@pytest.fixture(scope="module")
def two_runs(server: str) -> tuple[str, str]:
    """Two finished sweeps of the demo, the second with another neutral set and one more column."""
    from gradio_client import Client

    client = Client(server, verbose=False)
    checkpoint = client.predict("demo", {}, api_name="/load")["checkpoint"]

    def swept(spec: dict[str, Any]) -> str:
        run = client.predict(checkpoint, spec, api_name="/start_sweep")["run"]
        until = time.monotonic() + 180
        while client.predict(run, 0, api_name="/cells")["state"] != "finished":
            assert time.monotonic() < until, "the sweep does not end"
            time.sleep(0.2)
        return str(run)

    options = {"feature_factors": [-1.0, 1.0], "max_rows": 20, "max_neutral": 40}
    first = swept({**options, "learning_rates": [0.1, 0.2], "neutral_set": "pronoun-free"})
    return first, swept({**options, "learning_rates": [0.1, 0.2, 0.5], "neutral_set": "gender-free"})


def entry(page: Page, number: int) -> Locator:
    return page.locator("#runs .runs-entry").nth(number)


def test_earlier_sweeps_are_named_opened_compared_and_deleted(
    watched: Page, server: str, two_runs: tuple[str, str]
) -> None:
    page = watched
    older, newer = two_runs
    page.goto(f"{server}?run={newer}")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=SLOW)
    page.click("#open-runs")
    expect(page.locator("#runs .runs-entry")).to_have_count(2)
    expect(entry(page, 0)).to_contain_text("on the page")

    entry(page, 1).get_by_role("button", name="Name and note").click()
    expect(page.locator("#run-name").locator("input, textarea")).to_be_focused()
    page.locator("#run-name").locator("input, textarea").fill("the <b>first</b> one")
    page.locator("#run-note textarea").fill("kept for the talk")
    page.click("#run-save")
    expect(entry(page, 1).locator("strong").first).to_have_text("the <b>first</b> one")
    expect(entry(page, 1).locator(".note")).to_have_text("kept for the talk")

    entry(page, 1).get_by_role("button", name="Put beside").click()
    expect(page.locator("#runs-pair")).to_contain_text("is chosen")
    entry(page, 0).get_by_role("button", name="Put beside").click()
    grids = page.locator("#runs-pair .pair-grid")
    expect(grids).to_have_count(3)
    assert [grids.nth(k).locator("tbody td").count() for k in range(3)] == [4, 6, 4]
    facts = page.locator("#runs-pair .pair-facts")
    expect(facts).to_contain_text("pronoun-free")
    expect(facts).to_contain_text("gender-free")
    page.locator("#runs-pair").get_by_role("button", name="LMS / base").click()
    expect(page.locator("#runs-pair .pair-difference caption")).to_contain_text("B − A: LMS / base")
    with page.expect_download() as download:
        page.click("#pair-csv")
    lines = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 6 and [line["a"] == "" for line in lines] == [False, False, True] * 2
    assert float(lines[0]["difference"]) == pytest.approx(float(lines[0]["b"]) - float(lines[0]["a"]))

    entry(page, 1).get_by_role("button", name="Open").click()
    expect(page.locator("#drawer-runs")).to_be_hidden(timeout=SLOW)
    page.wait_for_function("run => new URL(location).searchParams.get('run') === run", arg=older)
    expect(page.locator("#maps [data-rev]")).to_have_attribute("data-run", older)

    page.click("#open-runs")
    expect(entry(page, 1)).to_contain_text("on the page")
    entry(page, 1).get_by_role("button", name="Delete").click()
    keep = entry(page, 1).get_by_role("button", name="Keep it")
    expect(keep).to_be_focused()
    page.keyboard.press("Enter")
    expect(keep).to_have_count(0)
    entry(page, 1).get_by_role("button", name="Delete").click()
    entry(page, 1).get_by_role("button", name="Delete for good").click()
    expect(page.locator("#runs-status")).to_contain_text("was deleted", timeout=SLOW)
    expect(page.locator("#runs .runs-entry")).to_have_count(1)
    page.wait_for_function("!new URL(location).searchParams.has('run')")
