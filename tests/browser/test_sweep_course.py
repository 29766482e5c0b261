"""What a sweep shows while it runs: the first look at every cell, a search for the winner, a skipped cell that is asked
for; and that another question repaints the maps of a finished run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SLOW = 60_000


@pytest.fixture(scope="module")
def server(fresh_server: str) -> str:
    """One on which no cell is known yet: there is a first look, and there are cells to skip."""
    return fresh_server


def ready(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#estimate")).to_contain_text("32 cells (2 × 16)")


def cell(page: Page, row: int, column: int) -> Locator:
    """What a screen reader says of a cell of the first map; rows from the smallest feature factor."""
    return page.locator("#maps .cells").first.locator(f"[id$='-{row}-{column}']")


def numbers(page: Page) -> list[str]:
    return page.locator("#maps .map").first.locator(".textpoint text").all_text_contents()


def test_a_first_look_is_told_from_final_numbers(watched: Page) -> None:
    page = watched
    ready(page)
    page.click("#start")
    chip = page.locator("#run-chip .chip")
    expect(chip).to_have_attribute("data-phase", "look", timeout=SLOW)
    expect(chip).to_contain_text("every cell from 7 % of the data")
    expect(cell(page, 0, 0)).to_contain_text("standard error", timeout=SLOW)
    expect(cell(page, 0, 0)).to_contain_text("LMS / base")
    assert page.locator("#maps .overlay .dots").first.get_attribute("d") != ""
    page.click("#stop")
    expect(chip).to_have_attribute("data-state", "stopped", timeout=SLOW)


def test_a_search_skips_cells_and_a_click_scores_one(watched: Page) -> None:
    page = watched
    ready(page)
    page.locator("#preset label", has_text="typed").click()  # no cell that another test's sweep may have finished
    page.locator("#typed-factors").locator("textarea, input").fill("-1")
    page.locator("#typed-rates").locator("textarea, input").fill("0.011, 0.11, 11")
    page.locator("#winner-only input").check()
    expect(page.locator("#estimate")).to_contain_text("3 cells (1 × 3), at most")
    page.click("#start")
    chip = page.locator("#run-chip .chip")
    expect(chip).to_have_attribute("data-state", "finished", timeout=SLOW)
    expect(chip).to_contain_text("3/3")
    why = page.locator("#reason")
    expect(why).to_contain_text("Found without finishing 2 of 3 cells.")
    expect(cell(page, 0, 2)).to_contain_text("skipped: Cannot win")
    expect(page.locator("#maps .legend .struck")).to_be_visible()
    expect(page.locator("#maps [data-best]")).to_have_attribute("data-best", "0,1")

    page.locator("#policy input").click()
    page.get_by_role("option", name="best value × LMS").click()
    expect(why).to_contain_text("skipped cells might win here")
    page.locator("#policy input").click()
    page.get_by_role("option", name="best above threshold").click()
    expect(why).not_to_contain_text("might win here")

    cells = page.locator("#maps .cells").first
    box = cells.bounding_box()
    assert box is not None
    cells.click(position={"x": 0.9 * box["width"], "y": box["height"] / 2})
    expect(why).to_contain_text("Found without finishing 1 of 3 cells.", timeout=SLOW)
    expect(chip).to_have_attribute("data-state", "finished", timeout=SLOW)
    expect(chip).to_contain_text("3/3")
    expect(cell(page, 0, 2)).not_to_contain_text("skipped")
    expect(cell(page, 0, 0)).to_contain_text("skipped")
    expect(page.locator("#start")).to_be_enabled()

    page.reload()
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#winner-only input")).to_be_checked()
    expect(page.locator("#maps .map").first.locator(".textpoint text")).to_have_count(3)
    before = numbers(page)
    page.locator("#goal label", has_text="weaken").click()
    expect(page.locator("#maps .map-title").first).to_contain_text("1 − P(F) on F rows")
    page.wait_for_function(
        "(before) => [...document.querySelector('#maps .map').querySelectorAll('.textpoint text')].map((text) => "
        "text.textContent).join() !== before",
        arg=",".join(before),
    )
