"""A run folder with a finished sweep, opened in a real browser without sweeping: while it holds, and when stale."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.served import served

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SLOW = 30_000


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """The demo as the reference leaves a run: model/, its data, and a grid of four cells scored here."""
    from gradiend_ui.engine.checkpoint.finished_grid import GRID_CACHE_FILE, GridCache, write_grid_cache
    from gradiend_ui.engine.data.neutral_texts import read_neutral
    from gradiend_ui.engine.data.rows import read_rows
    from gradiend_ui.engine.model import ModelWithGradiend
    from gradiend_ui.engine.store.store import Store
    from gradiend_ui.engine.sweep.plan import prepare
    from gradiend_ui.engine.sweep.run import run
    from gradiend_ui.engine.sweep.spec import SweepSpec

    folder = tmp_path_factory.mktemp("demo-run") / "run"
    shutil.copytree(demo / "base", folder / "base")
    shutil.copytree(demo / "gradiend", folder / "model")
    shutil.copy(demo / "eval.csv", folder)
    shutil.copy(demo / "neutral_pronoun_free.csv", folder)
    model = ModelWithGradiend.from_pretrained(folder)
    spec = SweepSpec(learning_rates=(0.1, 0.2), max_rows=12, max_neutral=30)
    texts = read_neutral(folder / "neutral_pronoun_free.csv")
    plan = prepare(model, spec, read_rows(folder / "eval.csv"), texts, grid=spec.grid((-1.0, 1.0)))
    store = Store(":memory:")
    run_id = store.create_run("demo", {}, {}, plan.grid.cells)
    for _ in run(plan, model.workspace(), store, run_id):
        pass
    axes = (plan.grid.feature_factors, plan.grid.learning_rates)
    scores = tuple(store.cells(run_id)[1])
    cache = GridCache("decoder", "test", 12, 30, *axes, scores, "strengthen", ("F", "M"))
    write_grid_cache(folder / GRID_CACHE_FILE, cache, ["M", "F"])
    store.close()
    return folder


@pytest.fixture(scope="module")
def address(path: str, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("home") / "data", "--checkpoint", str(run_folder)) as server:
        yield f"{server.url}/"


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    fresh = context.new_page()
    fresh.set_default_timeout(SLOW)
    fresh.goto(address)
    expect(fresh.locator("#start")).to_be_enabled(timeout=60_000)
    yield fresh


def open_it(page: Page) -> None:
    offer = page.locator("#finished li")
    expect(offer).to_have_count(1, timeout=SLOW)
    expect(offer).to_contain_text("4 cells, strengthen F and M, split test, by gradiend")
    offer.locator("button").click()
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=SLOW)


def test_it_opens_without_sweeping(page: Page) -> None:
    open_it(page)
    expect(page.locator("#run-chip")).to_contain_text("4/4")
    expect(page.locator("#run-chip")).to_contain_text("from a file")
    expect(page.locator("#reason .imported.good")).to_contain_text("Verified.")
    expect(page.locator("#reason .headline")).to_contain_text("Best cell")
    expect(page.locator("#finished")).to_be_hidden()
    expect(page.locator("#export")).to_be_enabled()
    expect(page.locator("#answers .tokens").first).to_be_visible(timeout=SLOW)
    page.reload()
    expect(page.locator("#reason .imported.good")).to_contain_text("decoder_grid_cache.json", timeout=SLOW)
    expect(page.locator("#finished")).to_be_hidden()
    for width in (1400, 800, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width, timeout=SLOW)


def test_a_stale_one_is_red_and_says_so(page: Page, run_folder: Path) -> None:
    rows = run_folder / "eval.csv"
    kept = rows.read_text()
    rows.write_text(kept.replace("The ", "A ").replace("the ", "a "))
    try:
        page.reload()
        open_it(page)
        note = page.locator("#reason .imported.danger")
        expect(note).to_contain_text("Stale.")
        expect(note).to_contain_text("Start a new sweep")
    finally:
        rows.write_text(kept)
