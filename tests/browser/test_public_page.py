"""The page of a server for strangers, behind its content policy: a sweep, a download; no paths, no others' sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.served import Served

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from tests.support.chromium import Browsers

SLOW = 60_000


def test_a_visitor_sweeps_and_downloads(context: BrowserContext, browsers: Browsers, public: Served) -> None:
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{public.url}/")
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    for hidden in ("#source", "#base", "#load"):
        expect(page.locator(hidden)).to_be_hidden()
    assert str(public.data) not in page.content()

    page.locator("#preset label", has_text="typed").click()
    page.locator("#typed-factors").locator("textarea, input").fill("-1")
    page.locator("#typed-rates").locator("textarea, input").fill("0.1, 0.5")
    expect(page.locator("#estimate")).to_contain_text("2 cells (1 × 2)")
    page.click("#start")
    chip = page.locator("#run-chip .chip")
    expect(chip).to_have_attribute("data-state", "finished", timeout=SLOW)
    with page.expect_download(timeout=120_000) as download:
        page.click("#export")
    assert download.value.suggested_filename.endswith(".zip")

    page.click("#open-runs")
    expect(page.locator("#runs .runs-entry")).to_have_count(1)
    expect(page.locator("#runs")).to_contain_text("Everybody else's are reached by their link only")
    run = page.url.partition("run=")[2]
    with browsers.lent(SLOW) as stranger:
        other = stranger.new_page()
        other.goto(f"{public.url}/")
        expect(other.locator("#start")).to_be_enabled(timeout=SLOW)
        other.click("#open-runs")
        expect(other.locator("#runs")).to_contain_text("This browser has started no sweep here yet.")
        assert run and run not in other.content() and other.locator("#runs .runs-entry").count() == 0
    blocked = [text for text in said if "Content Security Policy" in text or "Refused to" in text]
    assert blocked == []
