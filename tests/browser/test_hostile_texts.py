"""Payloads through every place of the page that shows text, in a real browser: nothing runs, everything is literal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from gradiend_ui.figures.probability_shifts import probability_shift_table, probability_shifts
from gradiend_ui.trainer.figures import save_figure
from tests.support import texts_hostile as hostile
from tests.support.served import served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.chromium import Browsers

pytestmark = pytest.mark.security
SLOW = 20_000
WIDTHS = (1400, 800, 360)
MADE_OF_TEXT = (
    "img[src='x'], svg[onload], a[href^='javascript'], a[href*='foreign.example'], img[src*='foreign.example'], "
    "[onerror], [onload], [onfocus], [onmouseover], [autofocus]"
)
SENTENCES = "\n".join(f"{payload} [MASK] was kind" for payload in (*hostile.ALL, hostile.EMOJI[:200])) + "\nno mask <i>"


@pytest.fixture(scope="module")
def run_folder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile.save_run(tiny_bert, tmp_path_factory.mktemp("runs") / hostile.file_name(hostile.IMAGE))


@pytest.fixture(scope="module")
def proto_folder(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes called like what every object of JavaScript has."""
    folder = tmp_path_factory.mktemp("proto") / "proto"
    return hostile.save_run(tiny_bert, folder, (hostile.PROTO, hostile.MAKER), odd=False)


@pytest.fixture(scope="module")
def server(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app on the hostile run folder."""
    with served(tmp_path_factory.mktemp("home") / "data", "--checkpoint", str(run_folder)) as running:
        yield f"{running.url}/"


class Watch:
    """What must not happen while a page is open."""

    def __init__(self, page: Page, server: str) -> None:
        self.page, self.happened = page, []
        self.host = urlsplit(server).netloc
        page.on("dialog", lambda dialog: (self.happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.happened.append(f"error {error}"))
        page.on("popup", lambda other: self.happened.append(f"popup {other.url}"))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        address = urlsplit(request.url)
        is_own = address.scheme in ("data", "blob") or address.netloc == self.host
        if not is_own or address.path in ("/x", "/de/x"):
            self.happened.append(f"request {request.url}")

    def check(self, where: str) -> None:
        assert self.page.evaluate("typeof window.__pwned") == "undefined", where
        assert self.page.evaluate("({}).__pwned === undefined && Object.keys(Object.prototype).length === 0"), where
        made = self.page.locator(MADE_OF_TEXT).evaluate_all("found => found.map(one => one.outerHTML.slice(0, 200))")
        assert made == [], where
        assert self.happened == [], where


@pytest.fixture
def page(browsers: Browsers, server: str) -> Iterator[Page]:
    with browsers.lent(SLOW) as context:
        yield context.new_page()


def fits(page: Page, where: str) -> None:
    """Nothing sticks out at any width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(250)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (where, width, wide)
    page.set_viewport_size({"width": 1400, "height": 900})


def sweep(page: Page) -> None:
    page.locator("#preset label").last.click()
    page.locator("#typed-rates :is(input, textarea)").fill("0.1, 1")
    expect(page.locator("#estimate")).to_contain_text("4 ", timeout=SLOW)
    page.click("#start")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=3 * SLOW)


def hover_everything(page: Page, watch: Watch, where: str) -> None:
    """Every explained word shows its help, every cell of a map its numbers."""
    page.evaluate(
        "document.querySelectorAll('[data-tip]').forEach(one => "
        "one.dispatchEvent(new PointerEvent('pointerover', {bubbles: true})))"
    )
    cells = page.locator("#maps [role=grid]").first
    box = cells.bounding_box()
    if box:
        cells.scroll_into_view_if_needed()
        cells.hover(position={"x": box["width"] / 4, "y": box["height"] / 4}, force=True)
    watch.check(f"{where}: hover")


@pytest.mark.parametrize("language, theme", [("", "light"), ("de", "dark")])
def test_nothing_of_a_hostile_model_runs(page: Page, server: str, language: str, theme: str, tmp_path: Path) -> None:
    watch = Watch(page, server)
    page.goto(f"{server}{language}?__theme={theme}")
    expect(page.locator("#start")).to_be_enabled(timeout=3 * SLOW)
    expect(page.locator("#health")).to_contain_text(hostile.IMAGE)
    for summary in page.locator("#left details > summary").all():
        summary.click()
    watch.check("load")

    walk_data(page, watch)
    sweep(page)
    watch.check("sweep")
    hover_everything(page, watch, "grid")
    for shows in ("own", "change", "all"):
        page.locator(f"#maps .shows input[value={shows}]").check(force=True)
        expect(page.locator("#maps [data-shows]")).to_have_attribute("data-shows", shows)
        watch.check(f"maps: {shows}")
    page.locator("#maps .twin summary").click()
    expect(page.locator("#maps .twin tbody tr")).to_have_count(4)
    expect(page.locator("#maps .twin thead")).to_contain_text(hostile.IMAGE)
    watch.check("table")
    saved_files(page, watch, tmp_path)
    walk_compare(page, watch)
    walk_export(page, watch)
    fits(page, "finished")
    walk_runs(page, watch)


def walk_data(page: Page, watch: Watch) -> None:
    """The drawer of the data: what was read, what was rejected, the words, the sets; then errors."""
    page.click("#change-data")
    expect(page.locator("#data-first tbody tr").first).to_be_visible()
    expect(page.locator("#data-first")).to_contain_text(hostile.IMAGE)
    expect(page.locator("#data-rejected tbody tr").first).to_be_visible()
    expect(page.locator("#data-chips")).to_contain_text(hostile.IMAGE)
    expect(page.locator("#data-sets")).to_contain_text("<img src=x onerror")
    watch.check("data")
    page.locator("#data-new-word :is(input, textarea)").fill(hostile.IMAGE)
    page.click("#data-add-word")
    expect(page.locator("[data-testid=toast-text]").first).to_contain_text(hostile.IMAGE)
    watch.check("message")
    page.locator("#data-paste-more button").first.click()
    names = ["masked", "label", "label_class", "__proto__", "constructor", hostile.IMAGE]
    rows = [[f"{payload} [MASK]", "", hostile.IMAGE, hostile.SVG, "a", "b"] for payload in hostile.ALL]
    table = io.StringIO()
    csv.writer(table, delimiter="\t", lineterminator="\n").writerows([names, *rows])
    page.locator("#data-paste textarea").fill(table.getvalue())
    page.click("#data-read")
    expect(page.locator("#data-first thead")).to_contain_text("__proto__")
    watch.check("pasted rows")
    fits(page, "data")
    page.click("#data-back")
    expect(page.locator("#data-back")).to_be_hidden()
    page.locator("#data-texts-more button").first.click()
    page.locator("#data-texts-more textarea").fill("\n".join(hostile.ALL))
    page.click("#data-read-texts")
    expect(page.locator("#data-sets li")).to_have_count(4)
    watch.check("pasted texts")
    page.locator("#data-sets .pick").first.click()
    page.keyboard.press("Escape")


def saved_files(page: Page, watch: Watch, folder: Path) -> None:
    """csv, json, png and svg of the maps."""

    def save(number: int, button: int) -> Path:
        page.locator("#maps .save summary").click()
        with page.expect_download() as download:
            page.locator("#maps .save li").nth(number).get_by_role("button").nth(button).click()
        name = download.value.suggested_filename
        assert re.fullmatch(r"[\w.-]{1,160}", name), name
        target = folder / name
        download.value.save_as(target)
        return target

    table = save(0, 0).read_text(encoding="utf-8")
    assert hostile.IMAGE in table
    assert hostile.IMAGE in save(0, 1).read_text(encoding="utf-8")
    for place in (1, 2):
        picture = save(place, 1)
        page_of_picture(page, picture)
    watch.check("saved")


def page_of_picture(page: Page, file: Path) -> None:
    """The svg, opened by itself, runs nothing and links nowhere."""
    text = file.read_text(encoding="utf-8")
    assert "<script" not in text and "javascript:" not in re.sub(r"<text.*?</text>", "", text, flags=re.S)
    other = page.context.new_page()
    other.goto(file.as_uri())
    assert other.evaluate("typeof window.__pwned") == "undefined"
    assert other.evaluate("document.querySelectorAll('a, img, script, foreignObject, [onload]').length") == 0
    other.close()


def walk_compare(page: Page, watch: Watch) -> None:
    page.locator("#sentences textarea").fill(SENTENCES)
    expect(page.locator("#answers .problem")).to_contain_text("Sentence 11")
    expect(page.locator("#answers")).to_contain_text("no mask <i>")
    expect(page.locator("#answers")).to_contain_text(hostile.LINK)
    page.click("#pin")
    expect(page.locator("#compare-key .chip-pin")).to_have_count(1)
    watch.check("compare")
    with page.expect_download() as download:
        page.click("#csv-comparison")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert hostile.SCRIPT in text and "\n=" not in text
    watch.check("compare csv")


def walk_export(page: Page, watch: Watch) -> None:
    page.click("#open-card")
    card = page.locator("#card-preview .card-text")
    expect(card).to_be_visible(timeout=SLOW)
    name = page.locator("#export-name").locator("input, textarea")
    name.fill(hostile.IMAGE)
    name.press("Tab")
    expect(page.locator("#card-preview")).to_contain_text(hostile.IMAGE)
    page.click("#export-options")
    expect(page.locator("[data-testid=toast-text]").first).to_contain_text(hostile.IMAGE)
    watch.check("export")
    page.keyboard.press("Escape")


def walk_runs(page: Page, watch: Watch) -> None:
    page.click("#open-runs")
    first = page.locator("#runs .runs-entry").first
    expect(first).to_contain_text(hostile.IMAGE)
    first.locator(".runs-buttons button").nth(2).click()
    name = page.locator("#run-name").locator("input, textarea")
    expect(name).to_be_focused()
    name.fill(hostile.SVG)
    page.locator("#run-note textarea").fill(f"{hostile.IMAGE}\n{hostile.MARKDOWN}{hostile.TURNED}")
    page.click("#run-save")
    expect(first.locator("strong").first).to_have_text(hostile.SVG)
    for entry in page.locator("#runs .runs-entry").all()[:2]:
        entry.locator(".runs-buttons button").nth(1).click()
        page.wait_for_timeout(400)
    watch.check("runs")
    fits(page, "runs")


def test_classes_named_like_properties_of_every_object(page: Page, server: str, proto_folder: Path) -> None:
    watch = Watch(page, server)
    page.goto(server)
    expect(page.locator("#start")).to_be_enabled(timeout=3 * SLOW)
    page.locator("#load-more button.label-wrap").click()
    page.locator("#source input, #source textarea").fill(str(proto_folder))
    page.click("#load")
    expect(page.locator("#health h2")).to_contain_text("proto")
    expect(page.locator("#health")).to_contain_text(f"pushes towards {hostile.PROTO}")
    sweep(page)
    page.locator("#maps .shows input[value=all]").check(force=True)
    expect(page.locator("#maps [data-shows]")).to_have_attribute("data-shows", "all")
    page.locator("#maps .twin summary").click()
    for name in (hostile.PROTO, hostile.MAKER):
        expect(page.locator("#maps .twin thead")).to_contain_text(f"P({name}) on {hostile.MAKER} rows")
    expect(page.locator("#answers .tokens").first).to_be_visible()
    expect(page.locator("#answers")).to_contain_text(f"P({hostile.PROTO})")
    watch.check("classes")


@pytest.mark.parametrize("name", [hostile.IMAGE, hostile.SCRIPT, hostile.LINK, hostile.SVG, hostile.TEMPLATE])
def test_a_downloaded_figure_runs_nothing(browser: Browser, tmp_path: Path, name: str) -> None:
    """Class names in titles, labels and what the pointer shows, opened from disk without the app's own policy."""
    rows = {name: {name: 0.25, "F": 0.75}, "F": {name: 0.5, "F": 0.5}}
    grid: dict[Any, Any] = {
        cell: {"probs_by_dataset": rows, "lms": {"lms": 0.5}} for cell in ("base", (-1.0, 0.1), (-1.0, 1.0))
    }
    chosen = {"feature_factor": -1.0, "learning_rate": 1.0, "fallback": False, "why": name}
    ask: dict[str, Any] = {"target_class": name, "goal": "strengthen", "classes": (name, "F")}
    results = {name: chosen, "grid": grid}
    ask["strengthening"] = {name: -1.0, "F": 1.0}
    figure, table = probability_shifts(results, **ask), probability_shift_table(results, **ask)
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    happened: list[str] = []
    page.on("dialog", lambda dialog: (happened.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("request", lambda request: happened.append(request.url) if "/x" in request.url[-3:] else None)
    page.goto(Path(save_figure(figure, table, tmp_path / "shifts")[0]).as_uri())
    page.wait_for_selector(".gtitle")
    assert name in page.title() and name in page.locator(".gtitle").text_content()
    star = page.locator(".scatterlayer .trace .point").last.bounding_box()
    page.mouse.move(star["x"] + star["width"] / 2, star["y"] + star["height"] / 2)
    page.wait_for_selector(".hovertext")
    assert page.locator(f"#figure :is(a, img, script), svg svg[onload], {MADE_OF_TEXT}").count() == 0
    assert page.evaluate("typeof window.__pwned") == "undefined" and happened == []
    page.close()
