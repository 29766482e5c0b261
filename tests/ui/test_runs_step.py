"""Earlier sweeps."""

from __future__ import annotations

from gradiend_ui.ui.runs import panel as runs
from gradiend_ui.ui.tree import text_of


def test_a_public_server_lists_no_runs(session, words) -> None:
    assert "demo: finished" in text_of(runs.build_runs(session.runs(), words))
    assert "No earlier sweeps" in text_of(runs.build_runs([], words))
