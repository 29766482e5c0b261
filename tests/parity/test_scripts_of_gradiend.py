"""Scripts written for the reference tell the same with one import changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.parity.reference import Reference
from tests.support.scripts import SCRIPTS, run_script


def alike(ours: Any, theirs: Any) -> bool:
    """Equal structures, numbers within 1e-3."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(alike(ours[k], theirs[k]) for k in ours)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(alike, ours, theirs))
    if isinstance(theirs, float):
        return bool(ours == pytest.approx(theirs, abs=1e-3))
    return bool(ours == theirs)


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if script.alike])
def test_scripts_tell_the_same(
    name: str,
    reference: Reference,
    tiny_bert: Path,
    tiny_gpt2: Path,
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    places = {"base": str(tiny_bert), "causal": str(tiny_gpt2)}
    found = {**places, "rows": rows, "texts": pd.DataFrame({"text": neutral_texts})}
    ours = run_script(name, "gradiend_ui", {**found, "folder": str(tmp_path / "ours")})
    given = {"rows": rows.to_dict("records"), "texts": neutral_texts, "folder": str(tmp_path / "theirs")}
    theirs = reference.ask("script", name=name, **places, **given)
    assert alike(json.loads(json.dumps(ours)), theirs), f"ours {ours}, the reference's {theirs}"
