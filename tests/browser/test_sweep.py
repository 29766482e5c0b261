"""The form of the step Sweep in a real browser: typed ranges, both goals, extending, a closer look, other parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

SLOW = 60_000


@pytest.fixture(scope="module")
def server(fresh_server: str) -> str:
    """One on which no cell is known yet: the estimate counts those that are."""
    return fresh_server


def ready(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#estimate")).to_contain_text("32 cells (2 × 16)")


def choose(page: Page, group: str, name: str) -> None:
    page.locator(f"#{group} label", has_text=name).click()


def typed(page: Page, name: str) -> Locator:
    return page.locator(f"#typed-{name}").locator("textarea, input")


def sweep(page: Page) -> None:
    chip = page.locator("#run-chip .chip")
    before = chip.get_attribute("data-run") or "none"
    page.click("#start")
    another = page.locator(f"#run-chip .chip[data-run]:not([data-run='{before}'])")
    expect(another).to_have_attribute("data-state", "finished", timeout=SLOW)


def write_range(page: Page, **values: str) -> None:
    """Fill the fields and have them read. What is typed into fields that have only just been unfolded, faster than a
    person can, is lost: then it is typed again."""
    for _ in range(20):
        for name, value in values.items():
            page.locator(f"#range-{name} input").fill(value)
        page.click("#range-fill")
        expect(page.locator("#range-note")).not_to_be_empty()
        if all(page.locator(f"#range-{name} input").input_value() == value for name, value in values.items()):
            return


def test_a_typed_grid_is_read_back_swept_extended_and_looked_at_closer(watched: Page) -> None:
    page = watched
    ready(page)
    estimate = page.locator("#estimate")
    expect(page.locator("#typed-rates")).to_be_hidden()
    choose(page, "preset", "typed")
    expect(page.locator("#rates-read")).to_contain_text("16 values: 0.001, 0.002")
    typed(page, "rates").fill("0:1:5 log")
    expect(page.locator("#rates-read [role=alert]")).to_contain_text("cannot touch or cross zero")
    expect(estimate).to_contain_text("cannot be counted until the list above can be read")
    page.click("#range > button")
    write_range(page, first="-0.05", last="0.05", count="3")
    expect(page.locator("#range-note [role=alert]")).to_contain_text("cannot touch or cross zero")
    choose(page, "range-spacing", "even")
    page.click("#range-fill")
    expect(typed(page, "rates")).to_have_value("-0.05:0.05:3")
    expect(page.locator("#rates-read")).to_contain_text("3 values: −0.05, 0, 0.05")
    expect(estimate).to_contain_text("6 cells (2 × 3), about")

    choose(page, "goal", "both")
    expect(page.locator("#winner-goal")).to_be_visible()
    sweep(page)
    best = page.locator("#maps [data-best]")
    expect(best).to_have_attribute("data-best", "0,2", timeout=SLOW)
    choose(page, "winner-goal", "weaken")
    expect(best).to_have_attribute("data-best", "1,2")
    expect(estimate).to_contain_text("all known")
    choose(page, "winner-goal", "strengthen")
    expect(best).to_have_attribute("data-best", "0,2")

    typed(page, "rates").fill("-0.05:0.05:3, 0.2, 0.2")
    expect(page.locator("#rates-read")).to_contain_text("0.2 was given twice and counts once")
    expect(estimate).to_contain_text("8 cells (2 × 4): 6 known, 2 new, about")
    choose(page, "preset", "fine")
    expect(typed(page, "factors")).to_have_value("-1.5, -1, -0.5")
    expect(page.locator("#rates-read")).to_contain_text("9 values: 0, 0.0125")
    expect(estimate).to_contain_text("27 cells (3 × 9): 2 known, 25 new")
    expect(estimate).to_contain_text("2 of 3 rows cannot win")


def test_an_answer_that_a_newer_one_overtook_shows_nothing(watched: Page) -> None:
    """The first estimate is held until the second is there."""
    page = watched
    ready(page)
    choose(page, "preset", "typed")
    typed(page, "rates").fill("0.1, 0.2")
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text("4 cells (2 × 2)")
    page.locator("#sweep-more button").first.click()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held or "predict" not in route.request.url:
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile("/run/predict"), hold)
    page.locator("#again input").check()
    typed(page, "rates").fill("0.1, 0.2, 0.5")
    expect(estimate).to_contain_text("6 cells (2 × 3)")
    answer = held[0].fetch()
    assert "4 cells (2" in answer.text()
    with page.expect_request_finished():
        held[0].fulfill(response=answer)
    page.wait_for_timeout(500)
    expect(estimate).to_contain_text("6 cells (2 × 3)")

    orders = [[5, 1], [4, 9], [5, 0], [5, 1], None, [5, 0], [5, 2], [6], [5, 9], [7, 0]]
    checked = "(orders) => { const check = gradiendPage.inOrder(); return orders.map((order) => check({ order })); }"
    passed = [True, False, False, True, True, False, True, True, False, True]
    assert page.evaluate(checked, orders) == passed, "the first number that differs decides"
    assert page.evaluate("gradiendPage.next()") < page.evaluate("gradiendPage.next()")


def test_another_part_is_other_numbers_and_stays_with_the_run(watched: Page) -> None:
    page = watched
    ready(page)
    choose(page, "preset", "fine")
    expect(page.locator("#estimate [role=alert]")).to_contain_text("no winner to look around yet")
    choose(page, "preset", "quick")
    expect(page.locator("#estimate")).to_contain_text("6 cells (1 × 6)")
    choose(page, "preset", "typed")
    expect(typed(page, "factors")).to_have_value("-1")
    typed(page, "rates").fill("0.1")
    page.click("#sweep-more > button")
    page.locator("#part input").click()
    page.get_by_role("option", name="decoder-bias").click()
    expect(page.locator("#estimate")).to_contain_text("1 cell, about")
    expect(page.locator("#estimate")).to_contain_text("all rows will show the same numbers")
    choose(page, "goal", "weaken")
    expect(page.locator("#estimate")).to_contain_text("No row can win: weakening F takes feature factor +1")
    page.locator("#any-factor input").check()
    expect(page.locator("#estimate")).not_to_contain_text("No row can win")
    sweep(page)
    page.reload()
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    expect(typed(page, "rates")).to_have_value("0.1")
    expect(page.locator("#goal label", has_text="weaken").locator("input")).to_be_checked()
    page.click("#sweep-more > button")
    expect(page.locator("#part input")).to_have_value("constant alone (decoder-bias)")
