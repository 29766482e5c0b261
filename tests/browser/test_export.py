"""Export in a real browser: another name and dtype, the card before it is written, the lines of Python."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SLOW = 60_000


@pytest.fixture(scope="module")
def run(server: str) -> str:
    """A finished sweep of two cells."""
    from gradio_client import Client

    client = Client(server, verbose=False)
    checkpoint = client.predict("demo", {}, api_name="/load")["checkpoint"]
    spec = {"feature_factors": [-1.0], "learning_rates": [0.1, 0.2], "max_rows": 20, "max_neutral": 40}
    run = client.predict(checkpoint, spec, api_name="/start_sweep")["run"]
    until = time.monotonic() + 180
    while client.predict(run, 0, api_name="/cells")["state"] != "finished":
        assert time.monotonic() < until, "the sweep does not end"
        time.sleep(0.2)
    return str(run)


def test_another_name_and_dtype(watched: Page, context: BrowserContext, server: str, run: str, tmp_path: Path) -> None:
    page = watched
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.rstrip("/"))
    page.goto(f"{server}?run={run}")
    expect(page.locator("#export")).to_be_enabled(timeout=SLOW)
    page.click("#open-card")
    card = page.locator("#card-preview .card-text")
    expect(card.get_by_role("heading", name="Scores")).to_be_visible(timeout=SLOW)
    expect(card).to_contain_text("P(F) on M rows")
    expect(page.locator("#export-dtype")).to_contain_text("float16, 9.80 MB")
    page.locator("#export-dtype").get_by_role("radio", name="bfloat16").check()
    expect(card.get_by_role("row", name="weights stored as bfloat16")).to_be_visible()
    name = page.locator("#export-name").locator("input, textarea")
    name.fill("../up")
    name.press("Tab")
    expect(page.locator("#card-preview")).to_contain_text("cannot be the name of an export")
    name.fill("she-says")
    name.press("Tab")
    expect(page.locator("#export-script")).to_contain_text("she-says")
    page.click("#export-copy")
    expect(page.locator("#export-copied")).to_contain_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "model.to(torch.bfloat16)" in copied and 'folder = "she-says"' in copied

    with page.expect_download(timeout=120_000) as download:
        page.click("#export-options")
    assert download.value.suggested_filename == "she-says.zip"
    expect(page.locator("#export-drawer-note")).to_contain_text("Downloaded she-says.zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    import torch
    from transformers import AutoModelForMaskedLM

    folder = tmp_path / "she-says"
    assert AutoModelForMaskedLM.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16
    assert json.loads((folder / "rewrite.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"


def test_a_card_that_there_was_no_cell_for_comes_with_the_run(watched: Page) -> None:
    """Opened before there is a cell, and left open: the card takes the refusal's place once the run has ended."""
    page = watched
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    page.click("#open-card")
    expect(page.locator("#card-preview [role=alert]")).to_be_visible()
    page.locator("#preset").get_by_label("quick", exact=True).dispatch_event("click")
    page.locator("#start").dispatch_event("click")
    expect(page.locator("#card-preview").get_by_role("heading", name="Scores")).to_be_visible(timeout=180_000)
    expect(page.locator("#card-preview [role=alert]")).to_have_count(0)
