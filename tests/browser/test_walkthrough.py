"""assets/docs/walkthrough.md, followed to the letter with a run folder that the reference made."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.instructions import follow, instructions_of

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

if TYPE_CHECKING:
    import pandas as pd
    from playwright.sync_api import Page

PAGE = Path(__file__).parents[2] / "assets" / "docs" / "walkthrough.md"
PLACE = "~/runs/gender"


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path, rows: pd.DataFrame, neutral_texts: list[str]
) -> Path:
    """A run folder as the reference leaves it: model/, encoded values, a finished grid; no table of ours beside it."""
    if importlib.util.find_spec("gradiend") is None:
        pytest.skip("The walk-through needs the reference: pip install -r tests/requirements.txt")
    from tests.parity.reference import Reference

    folder = tmp_path_factory.mktemp("runs") / "gender"
    with Reference(folder.parent / "reference.log") as reference:
        reference.ask(
            "experiment",
            base=str(tiny_bert),
            out=str(folder),
            rows=rows.to_dict("records"),
            neutral=neutral_texts,
            arguments={"source": "alternative"},
            calls=[{"lrs": [0.01, 0.1, 0.5]}],
            encode=True,
        )
    return folder


def test_the_walk_through_works_as_written(watched: Page, run: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    markdown = PAGE.read_text(encoding="utf-8")
    instructions = instructions_of(markdown)
    assert len(instructions) > 20 and any(instruction.text == PLACE for instruction in instructions)
    from playwright.sync_api import expect

    expect(watched.locator("#start")).to_be_enabled(timeout=60_000)
    files = follow(watched, instructions, {PLACE: str(run)}, tmp_path)
    assert [file.name for file in files] == ["my-rewrite.zip"]
    with zipfile.ZipFile(files[0]) as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = next((tmp_path / "unpacked").rglob("config.json")).parent
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer)
    shutil.rmtree(tmp_path / "unpacked")
