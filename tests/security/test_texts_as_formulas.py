"""No text becomes a formula in a spreadsheet, through the one writer of all csv files; numbers stay numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from gradiend_ui.engine.files.csv_text import cell, csv_text, harmless

ROOT = Path(__file__).parents[2]
FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  -cmd|' /C calc'!A0", '"=1', "\u201c=1", "`+1",
    "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", "\u22121", "\u00a0=1", "\u3000=1", "\ufeff=1", "\u200b=1",
    "\u202e=1", "\x00=1", "\x0b=1", '=HYPERLINK("http://x","y")', "\ufe62" + "1",
]  # fmt: skip
HARMLESS = ["", " ", "he", "a=b", "'=1", "'", "(-1, 0.2)", "A (-1, 0.2)", "P(=1) on rows", "1-1", "#name", "\u202ehe"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_could_be_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_numbers_stay_numbers_and_what_is_unknown_is_empty() -> None:
    values = [-1.0, -0.5, 1e-07, -3, True, None, float("nan"), float("-inf")]
    assert [cell(value) for value in values] == [-1.0, -0.5, 1e-07, -3, True, "", "", ""]


def test_a_table_comes_back_cell_by_cell() -> None:
    lines = [["=a", "b"], [-0.1, 'x "y", z\nw'], [None, "@z"]]
    assert list(csv.reader(io.StringIO(csv_text(lines)))) == [["'=a", "b"], ["-0.1", 'x "y", z\nw'], ["", "'@z"]]


def test_every_csv_of_the_package_goes_through_the_one_writer() -> None:
    """Data of the bundled demo is made offline and read by programs; importances hold parameter names and numbers."""
    elsewhere = {"engine/files/csv_text.py", "engine/checkpoint/importance.py"}
    for path in sorted((ROOT / "gradiend_ui").rglob("*.py")):
        name = path.relative_to(ROOT / "gradiend_ui").as_posix()
        if name not in elsewhere and not name.startswith("demo/"):
            text = path.read_text(encoding="utf-8")
            assert not any(writer in text for writer in ("csv.writer", "DictWriter", ".to_csv(")), name
