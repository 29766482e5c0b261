"""What a reader notes and what it drops is told to a script, once: in the log, as the page tells it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui import TextPredictionTrainer, TrainingArguments
from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.unified import unify
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import check_rows
from gradiend_ui.engine.data.table_reading import read_file
from tests.support.cases import case

TABLES = (
    "open_quote_midfile.csv", "class_space.csv", "utf8_one_bad_byte.csv", "macroman.csv", "backslash_only.csv",
    "sep_line.csv", "quotes_space_comma.csv",
)  # fmt: skip
GIVEN, SILENT = "golden/0.2.3", "gradiends/same_sign"
UNKNOWN = "16 of 32 rows are of classes that the GRADIEND does not know and are left out: f (16), m (16)."
MERGED = {"M": ["M", "m"], "F": ["F", "f"]}


def golden(name: str) -> Path:
    return next(case(name).rglob("gradiend_context.json")).parent


def trainer(checkpoint: str, data: Any, **more: Any) -> TextPredictionTrainer:
    base = case("bases/gpt2_tiny")
    return TextPredictionTrainer(golden(checkpoint), data=data, base_model=base, args=TrainingArguments(), **more)


def evaluated(found: TextPredictionTrainer, **more: Any) -> dict[str, Any]:
    return found.evaluate_decoder(lrs=[0.1], feature_factors=[1.0, -1.0], max_size=4, **more)


@pytest.mark.parametrize("name", TABLES)
def test_what_the_reader_notes_is_logged_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    notes = [str(note) for note in check_rows(read_file(case(name))).notes]
    assert bool(notes) == (name != "quotes_space_comma.csv")
    found = trainer(GIVEN, case(name))
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        assert len(found.data.rows) and found.combined_data is not None and found.data is not None
    for note in notes:
        (record,) = (one for one in caplog.records if one.getMessage() == f"The data: {note}")
        assert record.name.startswith("gradiend_ui")


@pytest.mark.parametrize("name", ["neutral_open_quote.csv", "neutral_Text_caps.csv"])
def test_notes_on_neutral_texts_are_logged_once(name: str, caplog: pytest.LogCaptureFixture) -> None:
    found = trainer(SILENT, case("class_space.csv"), eval_neutral_data=case(name))
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        evaluated(found)
        evaluated(found, use_cache=False)
    told = [one.getMessage() for one in caplog.records if one.getMessage().startswith("eval_neutral_data: ")]
    assert told == [f"eval_neutral_data: {note}" for note in check_neutral(read_file(case(name))).notes]


def test_tables_of_one_call_tell_their_notes(caplog: pytest.LogCaptureFixture) -> None:
    found = trainer(SILENT, case("quotes_space_comma.csv"))
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        evaluated(found, training_like_df=case("open_quote_midfile.csv"), neutral_df=case("neutral_open_quote.csv"))
    for what in ("training_like_df: In line 5 a quotation mark", "neutral_df: In 2 lines (6, 32) a quotation mark"):
        assert caplog.text.count(what) == 1


@pytest.mark.parametrize("checkpoint", [GIVEN, SILENT])
def test_classes_that_the_checkpoint_does_not_know_are_counted_and_can_be_mapped(
    checkpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = trainer(checkpoint, case("class_case.csv"))
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        first = evaluated(found)
        evaluated(found)
    (told,) = (one.getMessage() for one in caplog.records if UNKNOWN in one.getMessage())
    assert set(first["grid"]["base"]["probs"]) == {"M", "F"}
    assert "class_merge_map={" in told and "'f'" in told and "count_as" in told
    caplog.clear()
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        merged = trainer(checkpoint, case("class_case.csv"), class_merge_map=MERGED)
        evaluated(merged)
    assert len(merged.data.rows) == 32 and "are left out" not in caplog.text and "does not know" not in caplog.text


def test_classes_that_are_no_targets_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        assert trainer(GIVEN, case("class_case.csv"), target_classes=["M", "F"]).data
    assert "16 of 32 rows are of classes that are no target classes and are left out: f (16), m (16)." in caplog.text


def test_a_table_of_other_classes_alone_says_that_the_checkpoint_does_not_know_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = read_file(case("class_case.csv")).frame[16:]
    with caplog.at_level(logging.WARNING, "gradiend_ui"):
        evaluated(trainer(SILENT, frame))
    assert caplog.text.count("The GRADIEND does not know f, m (it knows F, M)") == 1


def test_words_and_tables_per_class_in_one_spelling_are_told() -> None:
    frame = read_file(case("class_space.csv")).frame.drop(columns=["alternative", "alternative_class"])
    frame.loc[frame.index[5], "label"] += "\u200b"
    for data in (frame, {name: frame[frame["label"].str.startswith(name)] for name in ("he", "she")}):
        told = unify(data, DataForm()).notes
        assert any(text.startswith("1 word is read in one spelling") for text in told), told
