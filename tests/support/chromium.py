"""Where a Chromium lies, and how the tests and programs start it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--no-zygote",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No other machine is found by its name. Without a zygote a page costs a sixth less of two cores."""
MISSING = "No Chromium was found: install one, or name it in the environment variable CHROMIUM."


def chromium(installed: str | None = None) -> str | None:
    """The one named by CHROMIUM, else on the path, else `installed` (Playwright's own); None where there is none."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), installed)
    return path if path and Path(path).exists() else None
