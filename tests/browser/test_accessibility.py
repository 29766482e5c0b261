"""axe-core on every step and drawer, in both themes and both languages: nothing serious or critical."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
PACKAGE = find_spec("axe_playwright_python")
if PACKAGE is None or PACKAGE.origin is None:
    pytest.skip("axe-playwright-python is not installed", allow_module_level=True)
AXE = Path(PACKAGE.origin).with_name("axe.min.js").read_text(encoding="utf-8")

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRAVE = ("serious", "critical")
RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


def grave(page: Page) -> list[str]:
    """What axe-core calls serious or critical, one line each with the first places."""
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return [
        f"{item['id']} ({item['impact']}): " + "; ".join(node["html"][:160] for node in item["nodes"][:4])
        for item in found
        if item["impact"] in GRAVE
    ]


def open_drawer(page: Page, name: str) -> None:
    page.evaluate("name => globalThis.gradiendPage.openDrawer(name)", name)
    expect(page.locator(f"#drawer-{name}")).to_be_visible()


@pytest.mark.parametrize(("language", "theme"), [("", "light"), ("", "dark"), ("de", "light")])
def test_nothing_serious_on_any_step(watched: Page, server: str, language: str, theme: str) -> None:
    """Colours depend on the theme and words on the language, none on both."""
    page = watched
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.rstrip(chr(47))}/{language}?__theme={theme}")
    expect(page.locator("#start")).to_be_enabled(timeout=180_000)
    assert page.evaluate("document.documentElement.lang") == (language or "en")
    assert grave(page) == []
    for fold in page.locator("button.label-wrap:visible").all():
        fold.click()
    assert grave(page) == []
    for name in ("data", "runs", "card"):
        open_drawer(page, name)
        assert grave(page) == []
        page.keyboard.press("Escape")
    if language:
        return
    page.click("#start")
    page.wait_for_function("document.querySelector('#run-chip .chip')?.dataset.done > 2", timeout=180_000)
    assert grave(page) == []
    page.evaluate("document.querySelector('#stop').click()")  # it may have ended meanwhile
