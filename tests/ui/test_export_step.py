"""Step Export."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.ui.export import panel as export
from gradiend_ui.ui.tree import text_of


def test_export_gives_a_file_with_its_name_in_the_download_cache(session, downloads: Path) -> None:
    path = Path(export.export(session, "run-1", {"feature_factor": -1.0, "learning_rate": 0.2}, "decoder"))
    assert path.name == "demo_ff-1_lr0.2.zip"
    assert downloads in path.parents
    assert path.read_bytes() == b"zip"
    assert session.calls[-1][2] == {
        "feature_factor": -1.0,
        "learning_rate": 0.2,
        "kind": "checkpoint",
        "part": "decoder",
    }
    assert "demo_ff-1_lr0.2.zip" in text_of(export.build_done(str(path)))


def test_export_without_a_cell_is_refused(session) -> None:
    with pytest.raises(NotFound, match="no cell to export"):
        export.export(session, "", None)
