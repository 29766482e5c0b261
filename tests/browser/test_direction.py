"""A GRADIEND that tells no direction, on the real page: why, what can be done, and a sweep of both signs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tests.browser.conftest import watching
from tests.support import tiny_text
from tests.support.cases import case

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

try:
    from playwright.sync_api import expect
except ImportError:
    pytest.skip("Needs playwright.", allow_module_level=True)

SLOW = 120_000


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case same_sign as a run with its data, its base named by path."""
    run = tmp_path_factory.mktemp("direction") / "collapsed"
    shutil.copytree(case("gradiends/same_sign"), run / "model")
    config = json.loads((run / "model" / "config.json").read_text())
    config["metadata"]["base_model"] = str(case("bases/gpt2_tiny"))
    (run / "model" / "config.json").write_text(json.dumps(config))
    tiny_text.build_rows().to_csv(run / "eval.csv", index=False)
    pd.DataFrame({"text": tiny_text.build_neutral_texts()[:20]}).to_csv(run / "neutral.csv", index=False)
    return run


@pytest.fixture
def page(context: BrowserContext, server: str, collapsed: Path) -> Iterator[Page]:
    with watching(context, server) as page:
        expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
        page.locator("#load-more button.label-wrap").click()
        page.locator("#source input, #source textarea").fill(str(collapsed))
        page.click("#load")
        expect(page.locator("#load-question")).to_contain_text("Which way does it push?", timeout=SLOW)
        yield page


def test_it_says_why_and_both_signs_are_swept(page: Page) -> None:
    card = page.locator("#health")
    expect(card).to_contain_text("not known")
    expect(card).to_contain_text("its means have the same sign (M +0.352, F +0.431, training.json)")
    expect(card).not_to_contain_text("pushes towards F")
    expect(page.locator("#ask-signs [aria-pressed=true]")).to_have_count(0)
    expect(page.locator("#estimate")).to_contain_text("the winner is the best cell of both signs")
    page.click("#ask-close")
    expect(page.locator("#load-question")).to_be_hidden()
    page.locator("#preset label", has_text="quick").click()
    expect(page.locator("#estimate")).to_contain_text("12 cells (2 × 6)")
    page.click("#start")
    reason = page.locator(".reason")
    expect(reason).to_contain_text("not known: cells of every feature factor took part", timeout=SLOW)


def test_who_knows_the_direction_gives_it(page: Page) -> None:
    page.locator("#ask-signs .sign-row", has_text="F").locator("button").nth(2).click()
    expect(page.locator("#ask-signs [aria-pressed=true]")).to_have_count(2)
    page.click("#ask-go")
    card = page.locator("#health")
    expect(card).to_contain_text("feature factor −1 pushes towards F", timeout=SLOW)
    expect(card).not_to_contain_text("not known")
    expect(page.locator("#load-question")).to_be_hidden()
    expect(page.locator("#estimate")).not_to_contain_text("not known")
    page.locator("#preset label", has_text="quick").click()
    expect(page.locator("#estimate")).to_contain_text("6 cells (1 × 6)")
