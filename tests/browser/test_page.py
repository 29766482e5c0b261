"""The page in a real browser, on the real demo: the whole loop, what survives a reload, how narrow it may be."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support import demo_facts

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

SWEEP_SECONDS = 180
A_NUMBER = re.compile(r"\d")
SLOW = 20_000
LITTLE_RATES = (0.1, 0.2)
LITTLE_GRID = ", ".join(map(str, LITTLE_RATES))
LITTLE_BEST = demo_facts.spoken(demo_facts.best("F", rates=LITTLE_RATES))
HOLD_NEXT_SELECTION = """() => {
  const plain = window.fetch;
  window.fetch = async (...request) => {
    if (String(request[1]?.body).includes('"nth"')) {
      window.fetch = plain;
      await new Promise((done) => setTimeout(done, 1200));
      window.wasHeld = true;
    }
    return plain(...request);
  };
}"""


@pytest.fixture(scope="module")
def server(fresh_server: str) -> str:
    """One on which no cell is known yet: a sweep lasts long enough to be paused."""
    return fresh_server


def maps(page: Page) -> Locator:
    return page.locator("#maps [data-rev]")


def chip(page: Page) -> Locator:
    return page.locator("#run-chip .chip")


def headline(page: Page) -> Locator:
    return page.locator("#reason .headline")


def center(
    page: Page, row: int, column: int, name: str = "metric", rows: int = 2, columns: int = 16
) -> tuple[float, float]:
    box = page.locator(f"[data-map={name}] .cells").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * (column + 0.5) / columns, box["y"] + box["height"] * (rows - row - 0.5) / rows


def ready(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    expect(maps(page)).to_have_count(1)


def start(page: Page) -> None:
    ready(page)
    page.click("#start")
    expect(maps(page)).to_have_attribute("data-best", A_NUMBER, timeout=60_000)


def start_small(page: Page) -> None:
    """A sweep of four cells, finished."""
    ready(page)
    page.locator("#preset label", has_text="typed").click()
    page.locator("#typed-rates").locator("textarea, input").fill(LITTLE_GRID)
    expect(page.locator("#estimate")).to_contain_text("4 cells")
    page.click("#start")
    expect(chip(page)).to_have_attribute("data-state", "finished", timeout=SWEEP_SECONDS * 1000)
    page.evaluate("scrollTo(0, 0)")  # with the typed lists open the start lies below the fold: pressing it scrolled


def test_the_whole_loop(watched: Page, context: BrowserContext) -> None:
    page = watched
    start(page)
    assert "run=" in page.url
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height <= 900, "the loop needs scrolling at 1400 x 900"

    page.mouse.click(*center(page, 0, 2))
    expect(maps(page)).to_have_attribute("data-sel", "0,2")
    expect(headline(page)).to_contain_text("(−1, 0.005)")
    expect(page.locator("#answers .answers")).to_have_attribute("data-cell", "(−1, 0.005)")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(maps(page)).to_have_attribute("data-sel", "1,3")
    expect(headline(page)).to_contain_text("(+1, 0.01)")
    page.mouse.move(*center(page, 0, 1))
    expect(page.locator("#maps .tip")).to_contain_text("LMS / base")
    page.mouse.move(*center(page, 1, 15))
    expect(page.locator("#maps .tip")).to_contain_text("learning rate 100")

    page.click("#pause")
    expect(chip(page)).to_have_attribute("data-state", "paused")
    page.click("#resume")
    expect(chip(page)).to_have_attribute("data-state", re.compile("running|finished"))

    second = context.new_page()
    second.goto(page.url)
    expect(maps(second)).to_have_attribute("data-best", A_NUMBER, timeout=SLOW)

    expect(chip(page)).to_have_attribute("data-state", "finished", timeout=SWEEP_SECONDS * 1000)
    for each in (page, second):
        expect(each.locator("#estimate")).to_contain_text("32 cells (2 × 16), all known")
    second.close()
    page.click("#best")
    expect(headline(page)).to_contain_text(demo_facts.spoken(demo_facts.best("F")))
    expect(headline(page)).to_contain_text("Best cell")
    expect(page.locator("#reason .why")).to_contain_text("wins")

    page.locator("#ratio input[type=number]").fill("0.95")
    page.locator("#ratio input[type=number]").press("Enter")
    expect(headline(page)).to_contain_text(demo_facts.spoken(demo_facts.best("F", ratio=0.95)))
    page.locator("#target-class label", has_text="M").click()
    expect(headline(page)).to_contain_text("(+1")


def test_a_selection_that_the_network_overtakes_is_not_shown(watched: Page) -> None:
    page = watched
    start_small(page)
    page.mouse.click(*center(page, 1, 0, columns=2))
    expect(headline(page)).to_contain_text("(+1, 0.1)")
    page.evaluate(HOLD_NEXT_SELECTION)
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    page.keyboard.press("ArrowDown")
    expect(headline(page)).to_contain_text("(−1, 0.2)")
    page.wait_for_function("window.wasHeld === true")
    page.wait_for_timeout(600)
    expect(headline(page)).to_contain_text("(−1, 0.2)")
    expect(page.locator("#answers .answers")).to_have_attribute("data-cell", "(−1, 0.2)")


def test_own_sentences_and_export(watched: Page) -> None:
    page = watched
    start_small(page)
    expect(headline(page)).to_contain_text(LITTLE_BEST)
    page.locator("#sentences textarea").fill("the <b>engineer</b> said that [MASK] was tired.")
    answers = page.locator("#answers")
    expect(answers).to_contain_text("<b>engineer</b>")
    assert answers.locator("b").count() == 0
    expect(answers.locator(".tokens tbody tr").first).to_contain_text("she")
    page.locator("#sentences textarea").fill("no mask")
    expect(answers).to_contain_text("[MASK]")

    with page.expect_download(timeout=120_000) as download:
        page.click("#export")
    assert download.value.suggested_filename.endswith(".zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        names = [name.rsplit("/", 1)[-1] for name in archive.namelist()]
    assert {"model.safetensors", "config.json", "README.md"} <= set(names)
    expect(page.locator("#export-note")).to_contain_text("Downloaded")


def test_a_reload_comes_back_to_the_run(watched: Page) -> None:
    page = watched
    start_small(page)
    page.reload()
    expect(maps(page)).to_have_attribute("data-best", "0,1", timeout=SLOW)
    expect(chip(page)).to_have_attribute("data-state", "finished")
    expect(page.locator("#answers .answers")).to_have_attribute("data-cell", A_NUMBER)
    page.locator("#maps .twin summary").click()
    expect(page.locator("#maps .twin tbody tr")).to_have_count(4)


def test_an_unknown_run_leaves_a_working_page(watched: Page, server: str) -> None:
    watched.goto(f"{server}?run=nonsense")
    expect(watched.locator(".toast-wrap")).to_contain_text("cannot be opened")
    ready(watched)


def test_a_list_that_cannot_be_read_says_so(watched: Page) -> None:
    ready(watched)
    watched.locator("#preset label", has_text="typed").click()
    watched.locator("#typed-rates").locator("textarea, input").fill("0.1, x")
    expect(watched.locator("#rates-read")).to_contain_text("'x' among the learning rates is not a number")


def test_nothing_scrolls_sideways_in_either_theme(watched: Page) -> None:
    ready(watched)
    for width in (1400, 800, 360):
        watched.set_viewport_size({"width": width, "height": 900})
        watched.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=SLOW)
        before = watched.evaluate("getComputedStyle(document.body).backgroundColor")
        watched.click("#theme")
        assert watched.evaluate("getComputedStyle(document.body).backgroundColor") != before
        watched.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=SLOW)
