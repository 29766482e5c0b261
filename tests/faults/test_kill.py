"""A short kill loop: server and worker are killed twice while they sweep (the long one is a command of its own)."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")

from tests.programs import kill_loop  # noqa: E402


def test_a_sweep_outlives_its_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_loop, "ORPHAN_SECONDS", 120.0)  # the program measures how soon; here it is waited for
    found = kill_loop.loops(tmp_path, kills=2, seed=1, cells=8)
    assert found["broken"] == [] and found["kills"] == 2 and found["doubled"] == 0
    assert found["blocks"] > 8
