"""A real server on the bundled demo and a real Chromium; without one the tests skip, or fail where it is required."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "No Chromium was found: install one, or name it in the environment variable CHROMIUM, to test the page."
REQUIRED = "GRADIEND_UI_REQUIRE_BROWSER"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def no_browser() -> None:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        no_browser()
    expect.set_options(timeout=30_000)  # the other half of the suite runs on the same cores
    with sync_playwright() as playwright:
        installed = playwright.chromium.executable_path
        path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None) or installed
        if not Path(path).exists():
            no_browser()
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `python app.py` on a free port with an empty data folder; it must end cleanly."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("data")
    command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, line + process.stdout.read()
        yield f"http://127.0.0.1:{port}/"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    yield fresh
    fresh.close()


@pytest.fixture
def watched(context: BrowserContext, server: str) -> Iterator[Page]:
    """A page on the demo; afterwards: no request left the machine, and the page raised no error."""
    foreign: list[str] = []
    errors: list[str] = []

    def route(handler: Any, request: Any) -> None:
        if request.url.startswith((server, "data:", "blob:")):
            handler.continue_()
        else:
            foreign.append(request.url)
            handler.abort()

    context.route("**/*", route)
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server)
    yield page
    assert foreign == []
    assert errors == []
