"""Watching and controlling in real browsers on a server for strangers: who started a sweep, who only has its link, a
second device with the control link, a browser without storage, and stopping while others watch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.conftest import SIZE
from tests.support.page_client import functions_of
from tests.support.served import Served, ask

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.support.chromium import Browsers

SLOW = 60_000
LONG = {
    "feature_factors": [-0.1 * n for n in range(1, 5)],
    "learning_rates": [0.01 * n for n in range(1, 60)],
    "again": True,
}
"""A sweep that ends in none of these tests: it takes minutes on the fastest machine, and is stopped after the test."""
SKIPPING = {"feature_factors": [-1.0], "learning_rates": [0.1, 0.5, 20.0], "winner_only": True}
CONTROLS = ("#pause", "#resume", "#stop")
NO_STORAGE = """for (const name of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(window, name, { get() { throw new DOMException('closed', 'SecurityError'); } });
}"""
Device = Any
Sweep = dict[str, Any]


@pytest.fixture(scope="module")
def checkpoint(public: Served) -> str:
    return str(ask(public, "load", "demo", {})["checkpoint"])


@pytest.fixture
def sweep(public: Served, checkpoint: str) -> Iterator[Sweep]:
    """{run, key} of a sweep that goes on for the whole test."""
    started = ask(public, "start_sweep", checkpoint, LONG)
    yield started
    ask(public, "stop", started["run"], started["key"])


@pytest.fixture
def held(public: Served, sweep: Sweep) -> Sweep:
    """{run, key} of a sweep that is paused: for tests that it need not go on for, it would only take the processor."""
    ask(public, "pause", sweep["run"], sweep["key"])
    return sweep


@pytest.fixture
def device(browsers: Browsers, browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a browser of somebody: nothing is shared with another one."""
    with ExitStack() as made:

        def make(script: str = "") -> BrowserContext:
            if not script:
                return made.enter_context(browsers.lent(SLOW))
            context = made.enter_context(browser.new_context(viewport=SIZE))
            context.set_default_timeout(SLOW)
            context.add_init_script(script)
            return context

        yield make


def at(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    return page


def is_watching(page: Page, words: str = "You are watching:") -> None:
    expect(page.locator("#control .watcher")).to_contain_text(words, timeout=SLOW)
    for button in CONTROLS:
        expect(page.locator(button)).to_be_hidden()
        expect(page.locator(button)).to_be_disabled()


def is_in_control(page: Page) -> None:
    expect(page.locator("#control .holder")).to_be_visible(timeout=SLOW)
    expect(page.locator("#control .watcher")).to_have_count(0)
    expect(page.locator("#take-control")).to_be_hidden()


def state_of(server: Served, run: str) -> str:
    return str(ask(server, "cells", run, 0)["state"])


def kept(page: Page) -> dict[str, str]:
    return dict(json.loads(page.evaluate("localStorage.getItem('gradiend-keys') || '{}'")))


def test_who_starts_controls_and_who_has_the_link_watches(public: Served, device: Device) -> None:
    page = at(device(), f"{public.url}/")
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    page.locator("#preset label", has_text="dense").click()
    page.locator("#sweep-more button").first.click()
    page.locator("#again input").check()
    page.click("#start")
    expect(page.locator("#stop")).to_be_enabled(timeout=SLOW)
    is_in_control(page)
    page.wait_for_url(re.compile(r"run="))
    run = page.url.partition("run=")[2]
    key = kept(page)[run]
    assert len(key) >= 16 and key not in page.url and key not in page.content()

    watcher = at(device(), page.url)
    is_watching(watcher)
    assert kept(watcher) == {} and key not in watcher.content()
    for name in ("goal", "target-class"):
        expect(watcher.locator(f"#{name} input").first).to_be_enabled()
    expect(watcher.locator("#maps .cells").first).to_be_visible()
    watcher.click("#open-runs")
    expect(watcher.locator("#runs")).to_contain_text("This browser has started no sweep here yet.")

    for reopen in (lambda: page.reload(), lambda: page.click("#theme"), lambda: page.click("#language")):
        reopen()
        is_in_control(page)
        expect(page.locator("#stop")).to_be_enabled()
    assert "/de?" in page.url and key not in page.url
    watcher.click(".drawer-close:visible")
    watcher.click("#language")
    is_watching(watcher, "Sie sehen zu:")
    watcher.close()

    page.click("#pause")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "paused", timeout=SLOW)
    page.click("#resume")
    expect(page.locator("#pause")).to_be_enabled(timeout=SLOW)
    page.click("#open-runs")
    expect(page.locator("#runs .runs-entry")).to_have_count(1)
    page.locator("#runs [data-pick^='edit:']").click()
    page.locator("#run-name").locator("input, textarea").fill("mine")
    page.click("#run-save")
    expect(page.locator("#runs .runs-entry strong").first).to_have_text("mine")
    page.locator("#runs [data-pick^='delete:']").click()
    page.locator("#runs [data-pick^='sure:']").click()
    expect(page.locator("#runs-status")).to_contain_text("mine")
    with pytest.raises(RuntimeError, match="not_found"):
        ask(public, "cells", run, 0)


def test_the_control_link_makes_a_second_device(public: Served, device: Device, held: Sweep) -> None:
    run, key = held["run"], held["key"]
    asked: list[str] = []
    context = device()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.on("request", lambda request: asked.append(f"{request.url} {request.headers}"))
    page = at(context, f"{public.url}/?run={run}#key={key}")
    is_in_control(page)
    expect(page.locator("#stop")).to_be_enabled()
    assert page.url == f"{public.url}/?run={run}" and kept(page) == {run: key}
    assert not any(key in told for told in asked), "no address and no header has it"

    page.locator("[data-copy=control]").click()
    expect(page.locator("#control [data-copied]")).to_contain_text("Copied.")
    control = page.evaluate("navigator.clipboard.readText()")
    page.locator("[data-copy=watch]").click()
    expect(page.locator("#control [data-copied]")).to_contain_text("Copy watch link")
    watch = page.evaluate("navigator.clipboard.readText()")
    assert control == f"{public.url}/?run={run}#key={key}" and watch == f"{public.url}/?run={run}"
    is_watching(at(device(), watch))

    page.reload()
    is_in_control(page)
    page.click("#stop")
    page.locator("#stop-question").get_by_role("button", name="Stop for all").click()
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "stopped", timeout=SLOW)


def test_a_watcher_takes_control_with_a_link(public: Served, device: Device, sweep: Sweep) -> None:
    run, key = sweep["run"], sweep["key"]
    page = at(device(), f"{public.url}/?run={run}")
    is_watching(page)
    page.locator("#take-control > button").click()
    field = page.locator("#control-link").locator("input, textarea")
    for wrong in (f"{public.url}/?run={run}", f"{public.url}/?run={run}#key={key[:-2]}", "nonsense"):
        field.fill(wrong)
        page.click("#take-control-go")
        expect(page.locator(".toast-body").last).to_be_visible()
        is_watching(page)
        page.locator(".toast-close").last.click()
        expect(page.locator(".toast-body")).to_have_count(0)
    assert kept(page) == {}
    field.fill(f"{public.url}/?run={run}#key={key}")
    page.click("#take-control-go")
    is_in_control(page)
    expect(page.locator("#stop")).to_be_enabled()
    page.wait_for_function("(run) => JSON.parse(localStorage.getItem('gradiend-keys') || '{}')[run]", arg=run)
    page.click("#pause")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "paused", timeout=SLOW)


def test_a_key_that_comes_into_an_open_page_is_taken(public: Served, device: Device, held: Sweep) -> None:
    """The control link in the address bar of the page that watches: only its fragment changes, nothing is loaded."""
    page = at(device(), f"{public.url}/?run={held['run']}")
    is_watching(page)
    page.evaluate("(key) => { location.hash = `key=${key}`; }", held["key"])
    is_in_control(page)
    expect(page.locator("#stop")).to_be_enabled()
    assert held["key"] not in page.url
    page.evaluate("() => { location.hash = 'step-load'; }")
    is_in_control(page)


def test_a_wrong_control_link_only_watches(public: Served, device: Device, held: Sweep) -> None:
    for key in ("nonsense", "", "%00%FF<img src=x onerror=alert(1)>" + "A" * 4000):
        page = at(device(), f"{public.url}/?run={held['run']}#key={key}")
        is_watching(page)
        assert "#" not in page.url
        alert = page.locator("#control [role=alert]")
        if key:
            expect(alert).to_contain_text("The key in the link does not fit this sweep", timeout=SLOW)
            page.wait_for_function("() => gradiendPage.ring() === '{}'")
        if key == "nonsense":
            page.reload()
            is_watching(page)
        if key in ("nonsense", ""):
            expect(alert).to_have_count(0)
        assert state_of(public, held["run"]) == "paused"
        page.close()


def test_a_key_that_is_given_up_takes_no_other_with_it(public: Served, device: Device, held: Sweep) -> None:
    """What the server says of a key may come when another one has taken its place, or of another sweep."""
    run, key = held["run"], held["key"]
    page = at(device(), f"{public.url}/de?run={run}#key=wrong")
    expect(page.locator("#control [role=alert]")).to_contain_text("passt nicht zu diesem Durchlauf", timeout=SLOW)
    page.wait_for_function("() => gradiendPage.ring() === '{}'")
    page.evaluate(
        "([run, key]) => { const p = gradiendPage; p.keep(run, key); p.keep('other', 'wrong'); p.drop(run, 'wrong'); }",
        [run, key],
    )
    assert kept(page) == {run: key, "other": "wrong"}
    page.evaluate("(run) => gradiendPage.drop('other', 'wrong')", run)
    assert kept(page) == {run: key}
    page.reload()
    is_in_control(page)
    tab = at(device(NO_STORAGE), f"{public.url}/?run={run}#key=wrong")
    expect(tab.locator("#control [role=alert]")).to_be_visible(timeout=SLOW)
    tab.wait_for_function("() => gradiendPage.ring() === '{}'")


def test_a_link_with_a_wrong_key_takes_no_control_away(public: Served, device: Device, held: Sweep) -> None:
    """Whoever has the watch link can send the one who controls a control link that is none."""
    run, key = held["run"], held["key"]
    context = device()
    is_in_control(at(context, f"{public.url}/?run={run}#key={key}"))
    page = at(context, f"{public.url}/?run={run}#key=wrongwrongwrongwrongwrong")
    is_in_control(page)
    assert kept(page) == {run: key}
    other = at(device(), f"{public.url}/?run={run}#key=wrongwrongwrongwrongwrong")
    is_watching(other)
    other.evaluate("(key) => { location.hash = `key=${key}`; }", key)
    is_in_control(other)
    assert kept(other) == {run: key}, "one that fits replaces one that does not"


def test_a_browser_without_storage_controls_in_its_tab(public: Served, device: Device, sweep: Sweep) -> None:
    page = at(device(NO_STORAGE), f"{public.url}/?run={sweep['run']}#key={sweep['key']}")
    is_in_control(page)
    page.reload()
    is_in_control(page)
    page.click("#language")
    page.wait_for_url(re.compile("/de"))
    is_in_control(page)
    assert sweep["key"] not in page.url
    page.click("#pause")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "paused", timeout=SLOW)


def test_a_browser_keeps_so_many_keys_and_reads_only_its_own(public: Served, device: Device) -> None:
    page = at(device(), f"{public.url}/")
    page.wait_for_function("Boolean(globalThis.gradiendPage)")
    for broken in ("[1", '"x"', "[1,2]", '{"a": 5, "b": ["x"], "c": null}', "null"):
        page.evaluate("(text) => localStorage.setItem('gradiend-keys', text)", broken)
        assert page.evaluate("gradiendPage.ring()") == "{}"
    page.evaluate(
        "for (let n = 0; n < 130; n += 1) gradiendPage.keep(`run${n}`, `key${n}`); gradiendPage.keep('run40', 'new')"
    )
    ring = kept(page)
    assert len(ring) == 100 and list(ring)[0] == "run30" and list(ring)[-1] == "run40" and ring["run40"] == "new"


def test_stopping_asks_while_others_watch(public: Served, device: Device, sweep: Sweep) -> None:
    run, key = sweep["run"], sweep["key"]
    page = at(device(), f"{public.url}/?run={run}#key={key}")
    is_in_control(page)
    watchers = [at(device(), f"{public.url}/{place}?run={run}") for place in ("", "de")]
    for watcher in watchers:
        expect(watcher.locator("#control .watcher")).to_be_visible(timeout=SLOW)
        expect(watcher.locator("#run-chip .chip")).to_have_attribute("data-state", re.compile("queued|running"))
    question = page.locator("#stop-question .stop-question")
    asked = "2 others are watching. Stop for all?"
    expect(page.locator("#stop")).to_be_enabled(timeout=SLOW)

    def press_until_all_are_counted() -> None:
        """Each watcher counts from its first look at the run on, which may come after its page has been painted."""
        for _ in range(50):
            page.click("#stop")
            expect(question).to_be_visible(timeout=SLOW)
            if asked in question.inner_text():
                return
            page.wait_for_timeout(200)

    press_until_all_are_counted()
    expect(question).to_contain_text(asked)
    assert state_of(public, run) in ("queued", "running"), "a second press does not stop either"
    for width in (390, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        heights = question.locator("button").evaluate_all("buttons => buttons.map((button) => button.offsetHeight)")
        assert len(heights) == 2 and all(32 <= height <= 52 for height in heights), (width, heights)
    question.get_by_role("button", name="Go on").click()
    expect(question).to_have_count(0)
    assert state_of(public, run) in ("queued", "running")
    page.click("#stop")
    question.get_by_role("button", name="Stop for all").click()
    for everybody in (page, *watchers):
        expect(everybody.locator("#run-chip .chip")).to_have_attribute("data-state", "stopped", timeout=SLOW)
    expect(question).to_have_count(0)


def test_who_asked_for_the_run_and_never_listened_is_not_watching(public: Served, device: Device, sweep: Sweep) -> None:
    """A page that closes just between the two, which Gradio does not notice before the sweep's end."""
    follow = functions_of(httpx.get(f"{public.url}/config").json()).follow
    for session in ("gone1", "gone2"):
        call = {"data": [sweep["run"]], "fn_index": follow, "session_hash": session}
        assert httpx.post(f"{public.url}/gradio_api/queue/join", json=call, headers={"origin": public.url}).is_success
    page = at(device(), f"{public.url}/?run={sweep['run']}#key={sweep['key']}")
    is_in_control(page)
    expect(page.locator("#stop")).to_be_enabled(timeout=SLOW)
    page.click("#stop")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "stopped", timeout=SLOW)


def test_stopping_asks_nothing_once_the_others_have_gone(public: Served, device: Device, sweep: Sweep) -> None:
    page = at(device(), f"{public.url}/?run={sweep['run']}#key={sweep['key']}")
    is_in_control(page)
    watcher = at(device(), f"{public.url}/?run={sweep['run']}")
    is_watching(watcher)
    watcher.close()
    chip, question = page.locator("#run-chip .chip"), page.locator("#stop-question .stop-question")
    for _ in range(100):  # a page's end is noticed when its connection has ended
        expect(page.locator("#stop")).to_be_enabled(timeout=SLOW)
        page.click("#stop")
        expect(question.or_(page.locator("#run-chip .chip.stopped")).first).to_be_visible(timeout=SLOW)
        if question.count() == 0:
            break
        question.get_by_role("button", name="Go on").click()
        expect(question).to_have_count(0)
        page.wait_for_timeout(300)
    expect(chip).to_have_attribute("data-state", "stopped", timeout=SLOW)


def test_a_watchers_click_on_a_skipped_cell_scores_nothing(public: Served, device: Device, checkpoint: str) -> None:
    started = ask(public, "start_sweep", checkpoint, SKIPPING)
    run = started["run"]
    page = at(device(), f"{public.url}/?run={run}")
    expect(page.locator("#run-chip .chip")).to_have_attribute("data-state", "finished", timeout=SLOW)
    is_watching(page)
    before = ask(public, "cells", run, 0)
    skipped = [cell["learning_rate"] for cell in before["cells"] if cell["status"] == "skipped"]
    assert skipped
    cells = page.locator("#maps .cells").first
    place = [0.1, 0.5, 20.0].index(skipped[-1])
    expect(cells.locator(f"[id$='-0-{place}']")).to_contain_text("skipped")
    expect(cells.locator(f"[id$='-0-{place}']")).not_to_contain_text("scores it")
    box = cells.bounding_box()
    assert box is not None
    cells.click(position={"x": (place + 0.5) / 3 * box["width"], "y": box["height"] / 2})
    expect(page.locator("#reason")).to_contain_text("−1")
    assert page.locator(".toast-body").count() == 0
    assert ask(public, "cells", run, 0) == before


def test_the_person_at_a_local_server_notices_nothing(watched: Page) -> None:
    page = watched
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)
    page.locator("#preset label", has_text="dense").click()
    page.click("#start")
    expect(page.locator("#stop")).to_be_enabled(timeout=SLOW)
    page.wait_for_url(re.compile("run="))
    beside = page.context.new_page()
    beside.goto(page.url)
    expect(beside.locator("#stop")).to_be_enabled(timeout=SLOW)
    for mine in (page, beside):
        assert mine.locator("#control .role").count() == 0
        expect(mine.locator("#take-control")).to_be_hidden()
    page.evaluate("localStorage.removeItem('gradiend-keys')")
    beside.click("#stop")
    for mine in (page, beside):
        expect(mine.locator("#run-chip .chip")).to_have_attribute("data-state", "stopped", timeout=SLOW)
        expect(mine.locator("#resume")).to_be_enabled()
    beside.close()
