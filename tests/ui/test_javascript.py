"""The page's JavaScript: syntax of every file and the Node tests of its pure functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE.parents[1] / "gradiend_ui" / "ui").rglob("*.js"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed: the JavaScript is not tested here.")


@needs_node
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_syntax(script: Path) -> None:
    answer = subprocess.run([str(NODE), "--check", str(script)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@needs_node
def test_pure_functions() -> None:
    answer = subprocess.run([str(NODE), "--test", str(HERE / "heatmap.test.mjs")], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
