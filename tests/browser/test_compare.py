"""Compare in a real browser: the base before a sweep, pins, several masks, a bad sentence, copy and csv."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import demo_facts

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

SLOW = 60_000
RATES = (0.1, 0.2)
BEST = demo_facts.spoken(demo_facts.best("F", rates=RATES))
SENTENCES = "the nurse said that [MASK] was tired.\nno mask here\nwhen [MASK] came home, [MASK] slept."


def answers(page: Page) -> Locator:
    return page.locator("#answers .answers")


def start_four_cells(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    page.locator("#preset label", has_text="typed").click()
    page.locator("#typed-rates").locator("textarea, input").fill(", ".join(map(str, RATES)))
    expect(page.locator("#estimate")).to_contain_text("4 cells")
    page.click("#start")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=180_000)


def select(page: Page, key: str, name: str) -> None:
    """Move the selected cell by keyboard."""
    page.locator("#maps [role=grid]").first.focus()
    page.keyboard.press(key)
    expect(answers(page)).to_have_attribute("data-cell", name)


def test_pins_masks_errors_copy_and_csv(watched: Page, context: BrowserContext) -> None:
    page = watched
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(page.locator("#answers .tokens").first).to_contain_text("she", timeout=SLOW)
    expect(page.locator("#compare-key")).to_contain_text("first finished cell")
    expect(page.locator("#answers .here")).to_have_count(0)
    expect(page.locator("#pin")).to_be_disabled()

    start_four_cells(page)
    expect(answers(page)).to_have_attribute("data-cell", BEST, timeout=SLOW)
    page.locator("#sentences textarea").fill(SENTENCES)
    expect(page.locator("#answers .problem")).to_contain_text("Sentence 2 has no [MASK]")
    expect(page.locator("#answers .tokens")).to_have_count(3)
    expect(page.locator("#answers .mask-number").last).to_have_text("[MASK] 2 of 2")

    page.locator("#pin").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-key .chip-pin")).to_have_count(1)
    expect(page.locator("#pin")).to_have_text("Unpin this cell")
    select(page, "ArrowUp", "(+1, 0.2)")
    page.click("#pin")
    expect(page.locator("#compare-key .chip-pin")).to_have_count(2)
    heads = page.locator("#answers .tokens").first.locator("thead th")
    expect(heads).to_have_text(["word", "base", "A", "B"])
    page.locator("#compare-key .remove").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#compare-key .chip-pin")).to_have_count(1)
    expect(page.locator("#compare-key .chip-pin")).to_have_text(re.compile(r"A\(\+1, 0.2\)"))
    expect(page.locator("#compare-key .remove")).to_be_focused()
    select(page, "ArrowLeft", "(+1, 0.1)")
    expect(heads).to_have_text(["word", "base", "A", "here"])

    page.click("#copy-comparison")
    expect(page.locator("#compare-told")).to_contain_text("Copied")
    copied = [line.split("\t") for line in page.evaluate("navigator.clipboard.readText()").splitlines()]
    with page.expect_download(timeout=SLOW) as download:
        page.click("#csv-comparison")
    assert download.value.suggested_filename == "comparison.csv"
    saved = list(csv.reader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
    assert saved[0][-4:] == ["A (1, 0.2)", "change A (1, 0.2)", "(1, 0.1)", "change (1, 0.1)"]
    assert [len(saved), saved[0]] == [len(copied), copied[0]]
    shown = page.locator("#answers .many tbody:not(.of-classes) tr").first.inner_text().split()
    written = next(line for line in saved if line[3] == "token")
    assert shown[0] == written[4] and float(shown[1]) == pytest.approx(float(written[6]), abs=6e-4)


def test_it_fits_a_narrow_page_and_speaks_german(watched: Page, server: str) -> None:
    page = watched
    page.set_viewport_size({"width": 360, "height": 900})
    page.goto(f"{server}de")
    expect(page.locator("#answers .tokens").first).to_contain_text("Basis", timeout=SLOW)
    page.locator("#examples input").click()
    page.get_by_role("option", name="Mehrere Masken").click()
    expect(page.locator("#answers .mask-number").first).to_have_text("[MASK] 1 von 2")
    width = page.locator("#answers .answers").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert width[0] <= width[1], "the answers scroll sideways"
