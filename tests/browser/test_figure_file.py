"""A saved figure in a real browser: opens from disk without a network, answers the pointer, follows light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradiend_ui.figures.probability_shifts import probability_shift_table, probability_shifts
from gradiend_ui.trainer.figures import save_figure

if TYPE_CHECKING:
    from playwright.sync_api import Browser


INK = {"light": "rgb(22, 32, 46)", "dark": "rgb(232, 237, 245)"}


@pytest.fixture
def saved(tmp_path: Path) -> str:
    def entry(p: float) -> dict[str, Any]:
        return {"probs_by_dataset": {"M": {"M": 1 - p, "F": p}}, "lms": {"lms": 0.5}}

    grid: dict[Any, Any] = {"base": entry(0.1), (-1.0, 0.1): entry(0.25), (-1.0, 1.0): entry(0.75)}
    results = {"F": {"feature_factor": -1.0, "learning_rate": 1.0, "fallback": False, "why": ""}, "grid": grid}
    ask: dict[str, Any] = {"target_class": "F", "goal": "strengthen", "classes": ("M", "F")}
    ask["strengthening"] = {"M": 1.0, "F": -1.0}
    figure, table = probability_shifts(results, **ask), probability_shift_table(results, **ask)
    return Path(save_figure(figure, table, tmp_path / "shifts")[0]).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_file_opens_offline_in_light_and_dark(browser: Browser, saved: str, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(saved)
    page.wait_for_selector(".gtitle")
    page.wait_for_function(f"getComputedStyle(document.querySelector('.gtitle')).fill === '{INK[scheme]}'")
    star = page.locator(".scatterlayer .trace .point").last.bounding_box()
    assert star is not None
    page.mouse.move(star["x"] + star["width"] / 2, star["y"] + star["height"] / 2)
    page.wait_for_selector(".hovertext")
    assert "P(F) 0.750000 on M rows" in " ".join(page.locator(".hovertext").all_text_contents())
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
