"""Twelve architectures beside the reference, each trained by it in one of three ways; all in tests/slow/test_zoo.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.reference import Reference
from tests.parity.zoo import WAYS, compared
from tests.programs.zoo import lines_of, write
from tests.support.zoo import ZOO

FEW = (
    "bert-left",
    "convbert",
    "deberta",
    "albert",
    "funnel",
    "modernbert",
    "mamba2",
    "lfm2",
    "qwen3_next",
    "llama-left",
    "gpt2",
    "bart",
)
BY_NAME = {str(kept): kept for kept in ZOO}
CASES = [(name, list(WAYS)[(number + 1) % len(WAYS)]) for number, name in enumerate(FEW)]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_numbers_winners_tensors_and_export_are_the_reference_s(
    name: str, way: str, reference: Reference, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outcome = compared(BY_NAME[name], way, reference, tmp_path_factory.mktemp("kind"))
    assert outcome.same, outcome


def test_the_table_keeps_what_else_the_page_says(
    reference: Reference, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path / "models.md"
    page.write_text("# Models\n\nA sentence.\n\n## Other\n\nMore.\n", encoding="utf-8")
    outcome = compared(BY_NAME["bert"], "params", reference, tmp_path_factory.mktemp("kind"))
    write([outcome], page)
    write([outcome], page)
    text = page.read_text(encoding="utf-8")
    assert text.count("## Tried") == text.count("| bert | masked |") == 1 and "A sentence." in text and "More." in text
    assert lines_of([outcome])[2].split(" | ")[2:5] == ["", "", "same"]
