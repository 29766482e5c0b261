"""A real server on the bundled demo and a real Chromium; without one the tests skip, or fail where it is required.

Chromium and two servers, one for the person at the machine and one for strangers, are started once for the folder: who
needs a server on which nothing has been swept yet takes `fresh_server`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.support.chromium import FLAGS, MISSING, Browsers, chromium
from tests.support.served import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Request, ViewportSize

REQUIRED = "GRADIEND_UI_REQUIRE_BROWSER"
PATIENCE = 30_000
"""Milliseconds: the rest of the suite runs on the same cores."""
SIZE: ViewportSize = {"width": 1400, "height": 900}


def no_browser() -> NoReturn:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture(scope="package")  # not the session: Playwright's loop would run under the tests of other folders
def kind() -> Iterator[BrowserType]:
    """What starts a Chromium."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        no_browser()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="package")
def path(kind: BrowserType) -> str:
    return chromium(kind.executable_path) or no_browser()


@pytest.fixture(scope="package")
def browser(kind: BrowserType, path: str) -> Iterator[Browser]:
    """For contexts with settings of their own."""
    launched = kind.launch(executable_path=path, args=list(FLAGS))
    yield launched
    launched.close()


@pytest.fixture(scope="package")
def browsers(kind: BrowserType, path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    def start() -> BrowserContext:
        folder = tmp_path_factory.mktemp("browser")
        return kind.launch_persistent_context(folder, executable_path=path, args=list(FLAGS), viewport=SIZE)

    made = Browsers(start)
    yield made
    made.close()


@pytest.fixture(scope="package")
def server(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server that the tests of this folder share; it must end cleanly."""
    with served(tmp_path_factory.mktemp("shared") / "data") as running:
        yield f"{running.url}/"


@pytest.fixture(scope="package")
def public(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for strangers that the tests of this folder share."""
    with served(tmp_path_factory.mktemp("public") / "data", "--public") as running:
        yield running


@pytest.fixture(scope="module")
def fresh_server(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server of the test file's own."""
    with served(tmp_path_factory.mktemp("fresh") / "data") as running:
        yield f"{running.url}/"


@pytest.fixture
def context(browsers: Browsers) -> Iterator[BrowserContext]:
    """The browser of somebody who has never been here."""
    with browsers.lent(PATIENCE) as lent:
        yield lent


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
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    context.remove_listener("request", noted)
    assert foreign == []
    assert errors == []
