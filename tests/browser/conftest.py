"""A real server on the bundled demo and a real Chromium; without one the tests skip, or fail where it is required.

Chromium and two servers, one for the person at the machine and one for strangers, are started once for the folder: who
needs a server on which nothing has been swept yet takes `fresh_server`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import FLAGS, MISSING, chromium
from tests.support.served import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

REQUIRED = "GRADIEND_UI_REQUIRE_BROWSER"


def no_browser() -> None:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture(scope="package")  # not the session: Playwright's loop would run under the tests of other folders
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        no_browser()
    expect.set_options(timeout=30_000)  # the other half of the suite runs on the same cores
    with sync_playwright() as playwright:
        path = chromium(playwright.chromium.executable_path)
        if path is None:
            no_browser()
        launched = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that the tests of this folder share; it must end cleanly."""
    with served(tmp_path_factory.mktemp("shared") / "data") as running:
        yield f"{running.url}/"


@pytest.fixture(scope="package")
def public(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for strangers that the tests of this folder share."""
    with served(tmp_path_factory.mktemp("public") / "data", "--public") as running:
        yield running


@pytest.fixture(scope="module")
def fresh_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the test file's own."""
    with served(tmp_path_factory.mktemp("fresh") / "data") as running:
        yield f"{running.url}/"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    yield fresh
    fresh.close()


@pytest.fixture
def watched(context: BrowserContext, server: str) -> Iterator[Page]:
    """A page on the demo; afterwards: no request left the machine, and the page raised no error."""
    with watching(context, server) as page:
        yield page


@contextmanager
def watching(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page at this address; afterwards: no request left the machine, and the page raised no error."""
    foreign: list[str] = []
    errors: list[str] = []

    def noted(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            foreign.append(request.url)

    context.on("request", noted)  # nothing else is found by its name: see the flags of Chromium
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    assert foreign == []
    assert errors == []
