"""Scripts written for the `gradiend` package run with one import changed; tests/parity compares what they tell."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.support.scripts import SCRIPTS, run_script


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_run_with_one_import_changed(
    name: str, tiny_bert: Path, tiny_gpt2: Path, rows: pd.DataFrame, neutral_texts: list[str], tmp_path: Path
) -> None:
    found = {"base": str(tiny_bert), "causal": str(tiny_gpt2), "rows": rows, "folder": str(tmp_path / "experiment")}
    assert run_script(name, "gradiend_ui", {**found, "texts": pd.DataFrame({"text": neutral_texts})})
