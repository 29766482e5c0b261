"""Tables become rows; what cannot be scored is set aside with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.checkpoint.companions import find_companions
from gradiend_ui.engine.data.neutral_texts import capped_neutral, read_neutral, texts_from_rows
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.data.spelling import cased_like
from gradiend_ui.engine.errors import BadData
from tests.support import demo_facts

ROW = {
    "masked": "x [MASK] y",
    "label": "he",
    "label_class": "M",
    "alternative": "she",
    "alternative_class": "F",
    "split": "val",
}


def test_files_and_frames_give_the_same_rows(demo: Path, tmp_path: Path) -> None:
    from_csv = read_rows(demo / "eval.csv")
    frame = pd.read_csv(demo / "eval.csv")
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    assert read_rows(frame) == read_rows(tmp_path / "rows.jsonl") == from_csv
    assert from_csv.counts()["M"] == {s: demo_facts.row_count(s, "M") for s in ("test", "validation", "train")}


def test_splits_have_one_spelling() -> None:
    assert read_rows([ROW]).rows[0].split == "validation"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"masked": "no mask"}, "0 times"),
        ({"masked": "[MASK] [MASK]"}, "2 times"),
        ({"label": " "}, "label is empty"),
        ({"alternative_class": None}, "alternative_class is empty"),
        ({"label": float("nan")}, "label is empty"),
        ({"label": pd.NA}, "label is empty"),
        ({"masked": "[MASK]" + "a" * 30_000}, "longer than"),
    ],
)
def test_rows_that_cannot_be_scored_are_set_aside(change: dict[str, Any], reason: str) -> None:
    data = read_rows([ROW, {**ROW, **change}])
    assert len(data.rows) == 1
    assert data.rejected[0].number == 1 and reason in data.rejected[0].reason
    with pytest.raises(BadData, match="None of the 1 rows"):
        read_rows([{**ROW, **change}])


def test_columns_are_guessed_mapped_and_missed() -> None:
    renamed = {
        "template": "x [MASK]",
        "token": "he",
        "label_class": "M",
        "alternative": "she",
        "alternative_class": "F",
    }
    assert read_rows([renamed]).rows[0].label == "he"
    assert read_rows([{**renamed, "satz": "[MASK]!"}], {"masked": "satz"}).rows[0].masked == "[MASK]!"
    with pytest.raises(BadData, match="no column 'nothing'"):
        read_rows([ROW], {"masked": "nothing"})
    with pytest.raises(BadData, match="alternative"):
        read_rows([{k: v for k, v in ROW.items() if not k.startswith("alternative")}])
    with pytest.raises(BadData, match="role"):
        read_rows([ROW], {"mask": "masked"})


def test_the_alternative_takes_the_casing() -> None:
    assert [cased_like("she", pattern) for pattern in ("he", "He", "HE", "hE")] == ["she", "She", "SHE", "she"]


def test_choosing_rows(demo: Path) -> None:
    data = read_rows(demo / "eval.csv")
    assert len(data.chosen("test", ("M", "F"))) == demo_facts.row_count("test")
    assert len(data.chosen("ALL", ("M", "F"))) == len(data.rows)
    assert data.chosen(["test", "val", "train"], ("M", "F")) == data.rows
    assert {row.split for row in data.chosen(["val"], ("M", "F"))} == {"validation"}
    capped = data.chosen("test", ("M", "F"), max_rows=10)
    assert len(capped) == 20 and capped == data.chosen("test", ("M", "F"), max_rows=10)
    with pytest.raises(BadData, match="Splits in the data: test, train, validation"):
        data.chosen("dev2", ("M", "F"))


def test_neutral_texts(demo: Path) -> None:
    assert len(read_neutral(demo / "neutral.csv")) == demo_facts.neutral(demo_facts.GENDER_FREE)["texts"]
    assert read_neutral(["a", " ", "b"]) == ("a", "b")
    assert read_neutral(["a", " ", "b"], keep_empty=True) == ("a", " ", "b")
    assert read_neutral([{"text": "a"}, {"text": None}], keep_empty=True) == ("a", "")
    assert capped_neutral(["a", "b", "c"], 2) == capped_neutral(["a", "b", "c"], 2)
    for keep_empty in (True, False):
        with pytest.raises(BadData, match="no text"):
            read_neutral([" "], keep_empty=keep_empty)
    with pytest.raises(BadData, match="column 'text'"):
        read_neutral([{"words": "a"}])


def test_rows_stand_in_for_neutral_texts() -> None:
    rows = read_rows([ROW]).rows
    assert texts_from_rows(rows, "[MASK]") == ("x he y",)
    assert texts_from_rows(rows, "<mask>") == texts_from_rows(rows, None) == ("x [MASK] y",)


@pytest.mark.parametrize("name", ["missing.csv", "notes.txt"])
def test_unreadable_files_are_sentences(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadData):
        read_rows(tmp_path / name)


def test_companions_of_the_demo(demo: Path, tmp_path: Path) -> None:
    found = find_companions(demo / "gradiend")
    assert found.rows is not None and found.neutral_set == "pronoun-free"
    told = {name: demo_facts.neutral(name)["texts"] for name in (demo_facts.PRONOUN_FREE, demo_facts.GENDER_FREE)}
    assert {name: len(texts) for name, texts in found.neutral.items()} == told
    assert find_companions(tmp_path / "gradiend").rows is None
    (tmp_path / "eval.csv").write_text("a,b\n1,2\n")
    assert "eval.csv was not read" in find_companions(tmp_path / "gradiend").warnings[0]
