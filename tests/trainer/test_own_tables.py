"""What is said of rows that cannot be scored, and which columns the rows of a single call need."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui import TextPredictionTrainer, TrainingArguments
from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.own_tables import names_labels, own_rows
from gradiend_ui.engine.scoring.targets import ClassTargets

WORDS = ClassTargets({"M": ("he",), "F": ("she",)}, ("M", "F"))
ROW_WISE = ClassTargets(None, ("M", "F"))
ODD: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "two masks": ("masked", lambda text: f"{text} {MASK}", f"it has 2 times {MASK} instead of once"),
    "no mask": ("masked", lambda text: text.replace(MASK, "someone"), f"it has 0 times {MASK} instead of once"),
    "no label": ("label", lambda text: None, "its label is empty"),
    "empty label": ("label", lambda text: "  ", "its label is empty"),
    "no class": ("label_class", lambda text: None, "its label_class is empty"),
    "no alternative": ("alternative", lambda text: None, "its alternative is empty"),
}


@pytest.mark.parametrize("kind", ODD)
def test_rows_that_are_left_out_are_told_with_their_reason(
    kind: str, rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    column, change, reason = ODD[kind]
    odd = rows.copy()
    places = odd.index[[0, 3, 7]]
    odd.loc[places, column] = odd.loc[places, column].map(change)
    with caplog.at_level(logging.WARNING):
        kept = TextPredictionTrainer("base", data=odd, target_classes=["M", "F"]).combined_data
    assert len(kept) == len(rows) - 3
    assert f"The data: 3 of {len(rows)} rows are left out: 3 because {reason} (row 1, 4, 8)." in caplog.text


def test_reasons_are_counted_apart_and_a_whole_table_says_nothing(
    rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    odd = rows.copy()
    odd.loc[odd.index[:8], "masked"] = "no mask"
    odd.loc[odd.index[8], "label"] = ""
    trainer = TextPredictionTrainer("base", data=odd, target_classes=["M", "F"])
    with caplog.at_level(logging.WARNING):
        assert len(trainer.combined_data) == len(rows) - 9
    assert (
        "8 because it has 0 times [MASK] instead of once (row 1, 2, 3, 4, 5, ...); 1 because its label" in caplog.text
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert len(TextPredictionTrainer("base", data=rows, target_classes=["M", "F"]).combined_data) == len(rows)
    assert "left out" not in caplog.text


def test_rows_that_stand_in_no_pair_are_told(rows: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    """Labels only: rows of a third class have no partner. A frame per class: an empty cell names no word."""
    plain = rows[["masked", "label", "label_class", "split"]]
    third = pd.concat([plain, plain.iloc[:4].assign(label="they", label_class="N")], ignore_index=True)
    cells = {
        name: rows[rows["label_class"] == name].assign(**{name: rows["label"], other: rows["alternative"]})
        for name, other in (("M", "F"), ("F", "M"))
    }
    cells["M"].loc[cells["M"].index[:3], "F"] = ""
    for data, lost, kept in ((third, 4, len(rows)), (cells, 3, len(rows) - 3), (rows, 0, len(rows))):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert len(TextPredictionTrainer("base", data=data, target_classes=["M", "F"]).combined_data) == kept
        assert (f"The data: {lost} of {kept + lost} rows stand in no pair" in caplog.text) == bool(lost)
        assert ("stand in no pair" in caplog.text) == bool(lost)


def test_a_training_on_rows_that_choose_the_best_step_says_so(
    rows: pd.DataFrame, tiny_bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sentence = "the best step is chosen on the rows that are trained on"
    steps: dict[str, Any] = {"max_steps": 1, "eval_steps": 1, "train_batch_size": 4, "max_seeds": 1}
    for only_train, evaluates in ((True, True), (True, False), (False, True)):
        caplog.clear()
        data = rows.assign(split="train") if only_train else rows
        args = TrainingArguments(experiment_dir=tmp_path / f"{only_train}{evaluates}", do_eval=evaluates, **steps)
        with caplog.at_level(logging.WARNING):
            TextPredictionTrainer(str(tiny_bert), data=data, target_classes=["M", "F"], args=args).train()
        assert (sentence in caplog.text) == (only_train and evaluates)


@pytest.mark.parametrize(
    "columns", [["masked", "label_class"], ["masked", "label", "label_class"], ["masked", "label_class", "alternative"]]
)
def test_a_text_and_its_class_are_enough_where_the_classes_have_their_words(
    columns: list[str], rows: pd.DataFrame
) -> None:
    found = own_rows(rows[columns], WORDS)
    assert [(row.masked, row.label_class) for row in found] == list(
        rows[["masked", "label_class"]].itertuples(index=False, name=None)
    )
    assert {(row.label_class, row.label.lower(), row.alternative.lower(), row.alternative_class) for row in found} == {
        ("M", "he", "she", "F"),
        ("F", "she", "he", "M"),
    }
    assert names_labels(rows[columns]) == ("label" in columns)


def test_other_spellings_of_the_columns(rows: pd.DataFrame) -> None:
    """The reference's own tables have the class as factual_id, and a number as label beside the token."""
    theirs = rows.rename(columns={"label": "factual", "label_class": "factual_id"})[["masked", "factual", "factual_id"]]
    numbered = theirs.assign(label=1)
    assert own_rows(numbered, WORDS) == own_rows(theirs, WORDS)
    assert {row.label.lower() for row in own_rows(numbered, WORDS)} == {"he", "she"}


def test_columns_and_classes_in_another_spelling(rows: pd.DataFrame) -> None:
    odd = rows.rename(columns={"label": "Label", "label_class": " labelClass"})[["masked", "Label", " labelClass"]]
    odd[" labelClass"] = [f"{name}\u00a0" for name in odd[" labelClass"]]
    assert own_rows(odd, WORDS) == own_rows(rows[["masked", "label", "label_class"]], WORDS)
    assert names_labels(odd)


def test_what_rows_cannot_do_without(rows: pd.DataFrame) -> None:
    with pytest.raises(BadData, match="no column for alternative: the rows are scored one by one"):
        own_rows(rows[["masked", "label", "label_class"]], ROW_WISE)
    with pytest.raises(BadData, match="No column looks like 'label'"):
        own_rows(rows[["masked"]], WORDS)
    with pytest.raises(BadData, match="No column looks like 'masked'"):
        own_rows(rows[["label_class"]], WORDS)


def test_rows_of_a_call_that_are_left_out_are_told(rows: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    odd = rows[["masked", "label_class"]].copy()
    odd.loc[odd.index[1], "masked"] = "nothing masked"
    with caplog.at_level(logging.WARNING):
        assert len(own_rows(odd, WORDS)) == len(rows) - 1
    assert f"training_like_df: 1 of {len(rows)} rows are left out: 1 because it has 0 times" in caplog.text
