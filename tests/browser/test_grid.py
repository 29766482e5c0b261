"""The grid in a real browser: what the maps show, keyboard and spoken cells, table, files, signed rates."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

SWEEP = 180_000
RATES = "-0.1, 0, 0.1, 0.2"
HELD = r"\"held\":true"
COUNT_ROW_CHARTS = """() => {
  const react = Plotly.react;
  window.drawn = 0;
  Plotly.react = (root, ...rest) => {
    if (root.closest('#row-chart')) window.drawn += 1;
    return react(root, ...rest);
  };
}"""


@pytest.fixture
def page(watched: Page) -> Page:
    """Eight cells on the demo, negative and zero rates among them, finished."""
    page = watched
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    page.locator("#preset label", has_text="typed").click()
    page.locator("#typed-rates").locator("textarea, input").fill(RATES)
    expect(page.locator("#estimate")).to_contain_text("8 cells")
    page.click("#start")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=SWEEP)
    expect(maps(page)).to_have_attribute("data-best", "0,3")
    return page


def maps(page: Page) -> Locator:
    return page.locator("#maps [data-rev]")


def show(page: Page, name: str) -> None:
    page.locator("#maps .shows label", has=page.locator(f"input[value={name}]")).click()
    expect(maps(page)).to_have_attribute("data-shows", name)


def test_the_maps_show_what_is_asked_for(page: Page) -> None:
    titles = page.locator("#maps .map-title")
    expect(titles.first).to_contain_text("P(F) on M rows")
    expect(titles.first).to_contain_text("* cannot win for F")
    show(page, "own")
    expect(titles.first).to_contain_text("P(F) on F rows")
    show(page, "change")
    expect(titles.first).to_contain_text("P(F) on M rows, change against base")
    show(page, "all")
    expect(titles).to_have_text([re.compile(p) for p in (r"M\) on M", r"M\) on F", r"F\) on M", r"F\) on F", "LMS")])
    outlines = page.locator("#maps .cell-outline:visible")
    expect(outlines).to_have_count(5)
    page.reload()
    expect(maps(page)).to_have_attribute("data-shows", "other", timeout=30_000)
    signed_rates_are_right(page)
    page.locator("#reason .pick", has_text="(+1").first.click()
    expect(maps(page)).to_have_attribute("data-sel", re.compile("^1,"))
    page.locator("#goal label", has_text="weaken").click()
    expect(maps(page)).to_have_attribute("data-shows", "own")
    expect(titles.first).to_contain_text("1 − P(F) on F rows")


def test_only_what_changed_is_sent_and_what_is_missing_asked_for(page: Page) -> None:
    answers: list[str] = []

    def on_another_ground(route: Route) -> None:
        """The answer for another class stands on tables that the page does not have."""
        if answers or '"lms_threshold"' not in (route.request.post_data or ""):
            route.continue_()
            return
        answer = route.fetch()
        if "tables_version" not in answer.text():  # the estimate, which is told anew when a sweep has ended
            route.fulfill(response=answer)
            return
        answers.append(answer.text())
        route.fulfill(response=answer, body=re.sub(r'(\\"tables_version\\":\\")[^"\\]+', r"\1gone:1", answers[0]))

    page.route(re.compile("/run/predict"), on_another_ground)
    page.locator("#target-class label", has_text="M").click()
    expect(maps(page)).to_have_attribute("data-best", re.compile("^1,"))
    assert HELD in answers[0] and r"\"tables\":{}" in answers[0], "tables that the page holds are sent again"
    expect(page.locator("#maps .map-title").first).to_contain_text("P(M) on F rows")
    page.locator("#target-class label", has_text="F").click()
    expect(maps(page)).to_have_attribute("data-best", "0,3")


def signed_rates_are_right(page: Page) -> None:
    """Left of zero the rewrite pushes the other way, at zero it is the base."""
    labels = page.locator("#row-chart .xtick text")
    expect(labels).to_have_text(["−0.1", "0", "0.1", "0.2"])
    at_zero = page.locator(
        "#maps [data-map=metric] [role=gridcell]", has_text=re.compile(r"factor −1, learning rate 0\. P")
    )
    base = page.locator("#reason .numbers .base").first.text_content()
    assert base and f"P(F) on M rows {base}" in (at_zero.text_content() or "")
    page.keyboard.press("Escape")


def test_the_grid_by_keyboard_alone(page: Page) -> None:
    grid = page.locator("#maps [role=grid]").first
    expect(grid).to_have_attribute("aria-rowcount", "3")
    expect(grid).to_have_attribute("aria-colcount", "5")
    grid.focus()
    told = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert "best cell" in page.evaluate(f"{told}.textContent")
    page.keyboard.press("Home")
    expect(maps(page)).to_have_attribute("data-sel", "0,0")
    assert "feature factor −1, learning rate −0.1" in page.evaluate(f"{told}.textContent")
    assert page.evaluate(f"{told}.getAttribute('aria-selected')") == "true"
    page.keyboard.press("PageUp")
    page.keyboard.press("Control+End")
    expect(maps(page)).to_have_attribute("data-sel", "0,3")
    chart = page.locator("#row-chart [data-column]")
    expect(chart).to_have_attribute("data-column", "3")
    page.evaluate(COUNT_ROW_CHARTS)
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("data-column", "2")
    assert page.evaluate("window.drawn") == 0, "a move within the row moves the mark alone"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#reason .headline")).to_contain_text("(+1, 0.1)")
    page.keyboard.press("Escape")
    expect(maps(page)).to_have_attribute("data-sel", "0,2")
    expect(page.locator("#reason .headline")).to_contain_text("(−1, 0.1)")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_table_sorts_by_every_column(page: Page) -> None:
    page.locator("#maps .twin summary").click()
    rows = page.locator("#maps .twin tbody tr")
    expect(rows).to_have_count(8)
    heads = page.locator("#maps .twin th")
    gain = heads.filter(has_text="P(F) on M rows")
    gain.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(gain).to_have_attribute("aria-sort", "descending")
    expect(rows.first).to_contain_text("best cell")
    page.keyboard.press("Enter")
    expect(gain).to_have_attribute("aria-sort", "ascending")
    expect(rows.last).to_contain_text("best cell")
    for k in range(heads.count()):
        heads.nth(k).get_by_role("button").click()
        expect(heads.nth(k)).not_to_have_attribute("aria-sort", "none")
    rows.nth(2).click()
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")


def saved(page: Page, what: str, kind: str) -> Path:
    page.locator("#maps .save summary").click()
    line = page.locator("#maps .save li").filter(has_text=what)
    with page.expect_download() as download:
        line.get_by_role("button", name=kind).click()
    name = download.value.suggested_filename
    assert name.startswith("demo_F_strengthen_") and name.endswith(f".{kind}")
    return Path(download.value.path())


def test_everything_shown_can_be_saved(page: Page) -> None:
    lines = list(csv.DictReader(saved(page, "All cells", "csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == 9 and lines[0]["status"] == "base"
    winner = next(line for line in lines if (line["feature_factor"], line["learning_rate"]) == ("-1.0", "0.2"))
    shown = page.locator("#reason .numbers .here").first.text_content()
    assert f"{float(winner['P(F) on M rows']):.3f}" == shown and winner["passes"] == "yes"
    content = json.loads(saved(page, "All cells", "json").read_text(encoding="utf-8"))
    assert len(content["cells"]) == 8 and content["selection"]["learning_rate"] == 0.2

    page.click("#theme")
    svg = saved(page, "P(F) on M rows", "svg").read_text(encoding="utf-8")
    for text in ("P(F) on M rows", "demo, more F", "strength (learning rate)", "factor"):
        assert text in svg
    assert "fill: rgb(255, 255, 255)" in svg or "background: rgb(255, 255, 255)" in svg, "light in a dark page too"
    assert saved(page, "P(F) on M rows", "png").read_bytes().startswith(b"\x89PNG")
    assert "Row of feature factor" in saved(page, "Row chart", "svg").read_text(encoding="utf-8")
    assert saved(page, "Row chart", "png").read_bytes().startswith(b"\x89PNG")
