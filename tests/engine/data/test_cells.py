"""Cells and names of values that a script gives: what has a text is read, what has none is told, nothing ends raw."""

from __future__ import annotations

import enum
from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradiend_ui.engine.data.columns import ordered_classes
from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.unified import unify
from gradiend_ui.engine.data.rows import EvalData, check_rows
from gradiend_ui.engine.data.spelling import class_name, same_class, same_column, suggested_class, word
from gradiend_ui.engine.data.table_reading import read_bytes
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.scoring.targets import resolve_targets
from gradiend_ui.trainer.decoder_plan import asked_classes

NAMES = ("masked", "label", "label_class", "alternative", "alternative_class")
GOOD = {"masked": "a [MASK]", "label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F"}


class Kind(enum.Enum):
    FIRST = "M"


class Spelled(enum.StrEnum):
    FIRST = "M"


def frame_of(cell: Any, role: str = "label_class") -> pd.DataFrame:
    cells = [GOOD | {role: cell}, GOOD | {"label": "she", "label_class": "F", "alternative": "he", role: cell}]
    return pd.DataFrame({name: pd.Series([row[name] for row in cells], dtype=object) for name in NAMES})


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (1, "1"), (1.0, "1"), (np.int64(1), "1"), (np.float32(1), "1"), ("1.0", "1"), ("01", "01"), (1.5, "1.5"),
        (True, "True"), (np.True_, "True"), (np.str_("M"), "M"), (b"M", "M"), (bytearray(b"M"), "M"),
        (np.bytes_(b"M"), "M"), (np.array("M"), "M"), (Kind.FIRST, "M"), (Spelled.FIRST, "M"), ("'M'", "M"),
        ("„M“", "M"), ('="M"', "M"), ("M\u3164", "M"), ("M\ufe0f", "M"), ("\u034fM\u2800", "M"), ('"M"', "M"),
    ],
)  # fmt: skip
def test_a_value_with_a_text_names_one_class(cell: Any, name: str) -> None:
    assert {row.label_class for row in check_rows(frame_of(cell)).rows} == {name}


@pytest.mark.parametrize("cell", [None, pd.NA, pd.NaT, float("nan"), np.float32("nan"), "", " ", "\u200b"])
def test_a_value_that_is_missing_is_told(cell: Any) -> None:
    assert check_rows(frame_of(cell)).dropped == {"empty": 2}


@pytest.mark.parametrize(
    "cell",
    [
        ["M"], {"M"}, frozenset("M"), {"M": 1}, np.array(["M"]), pd.Series(["M"]), deque("M"), range(2),
        {"M": 1}.keys(), (letter for letter in "M"), object(), len, b"\xff",
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", NAMES)
def test_a_value_without_a_text_is_set_aside(cell: Any, role: str) -> None:
    frame = frame_of(cell, role)
    assert check_rows(frame).dropped == check_rows(frame.to_dict("records")).dropped == {"nested": 2}


def test_a_missing_number_makes_no_other_classes_of_the_rest() -> None:
    rows = pd.DataFrame([GOOD, GOOD, GOOD]).assign(label_class=[1, 2, 1], alternative_class=[2, 1, None])
    data = check_rows(rows)
    assert data.classes == ("1", "2") and data.dropped == {"empty": 1}
    unified = unify(rows, DataForm(split_col=None, target_classes=("1.0", "2")))
    assert unified.target_classes == unified.all_classes == ("1", "2") and len(unified.rejected) == 1


@pytest.mark.parametrize("cell", [["F"], {"F": 1}, b"\xff", None])
def test_an_odd_class_in_training_data_is_left_out(cell: Any) -> None:
    frame = pd.DataFrame([GOOD, GOOD | {"label": "she", "label_class": "F", "alternative_class": "M"}, GOOD])
    frame["label_class"] = pd.Series(["M", "F", cell], dtype=object)
    assert [row.number for row in unify(frame, DataForm(split_col=None)).rejected] == [2]
    found = unify(frame[["masked", "label", "label_class"]], DataForm(split_col=None, target_classes=("M", "F")))
    assert len(found.rows) == 2 and found.all_classes == ("F", "M")


def test_names_of_columns_that_are_no_texts() -> None:
    frame = pd.DataFrame([GOOD])
    numbered = frame.set_axis(range(5), axis=1)
    assert len(check_rows(numbered, {name: str(place) for place, name in enumerate(NAMES)}).rows) == 1
    several = frame.set_axis(pd.MultiIndex.from_tuples([(name, "") for name in NAMES]), axis=1)
    assert len(check_rows(several).rows) == 1
    with pytest.raises(BadData, match="No column looks like 'masked'"):
        check_rows(numbered)


@pytest.mark.parametrize(
    "name",
    [
        "labelClass",
        "Labelclass",
        "LABEL-CLASS",
        "ｌａｂｅｌ_class",
        "label  class",
        "\ufefflabel.class",
        "__Label_class",
    ],
)
def test_a_column_is_known_however_it_is_written(name: str) -> None:
    assert same_column("label_class", ["label", name]) == name


def test_turkish_letters_are_the_same_letters() -> None:
    assert same_column("alternative", ["ALTERNATİVE"]) and same_column("alternative", ["alternatıve"])


def test_records_whose_keys_differ_only_in_spelling_are_one_table() -> None:
    lines = (
        b'{"Masked": "a [MASK]", "Label ": "he", "label_class": "M", "alternative": "she", "alternativeClass": "F"}\n'
    )
    lines += (
        b'{"masked": "b [MASK]", "label": "she", "label_class": "F", "alternative": "he", "alternative_class": "M"}\n'
    )
    data = check_rows(read_bytes(lines, ".jsonl"))
    assert [row.label for row in data.rows] == ["he", "she"] and not data.rejected
    both = read_bytes(b'[{"text": "a", "Text": "b"}]', ".json").frame
    assert both.iloc[0].to_dict() == {"text": "a", "Text": "b"}


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b'{"masked": "a [MASK]"}\n{"masked": "b [MASK]"}\n', ".json"),
        (b'[{"masked": "a [MASK]"},\n {"masked": "b [MASK]"}]', ".jsonl"),
        (b'{"version": 1, "data": [{"masked": "a [MASK]"}, {"masked": "b [MASK]"}]}', ".json"),
        (b'{"masked": ["a [MASK]", "b [MASK]"]}', ".json"),
    ],
)
def test_json_is_read_whatever_its_ending_says(content: bytes, suffix: str) -> None:
    assert read_bytes(content, suffix).frame["masked"].tolist() == ["a [MASK]", "b [MASK]"]


def csv(*lines: str) -> EvalData:
    return check_rows(read_bytes("\n".join(lines).encode(), ".csv"))


ROW, OTHER = ",".join(GOOD.values()), "b [MASK],she,F,he,M"


def test_a_column_that_stands_there_twice_is_refused_where_it_matters() -> None:
    header = ",".join(NAMES)
    assert len(csv(f"{header},note,note", f"{ROW},x,y").rows) == len(csv(f"{header},label", f"{ROW},he").rows) == 1
    for unclear in ([f"{header},label", f"{ROW},him"], [f"label,{header}", f"him,{ROW}"]):
        with pytest.raises(BadData, match="Two columns of the table have the same name"):
            csv(*unclear)
    frame = pd.DataFrame([[*GOOD.values(), "x", "y"]], columns=[*NAMES, "note", "note"])
    assert len(check_rows(frame).rows) == 1
    with pytest.raises(BadData, match="Two columns of the table have the same name"):
        check_rows(frame.set_axis([*NAMES, "label", "note"], axis=1))
    chosen = check_rows(read_bytes(f"{header},label\n{ROW},him".encode(), ".csv"), {"label": "label.1"})
    assert chosen.rows[0].label == "him"


def test_numbers_of_rows_need_no_name_above_them() -> None:
    for first in (0, 1):
        data = csv(",".join(NAMES), f"{first},{ROW}", f"{first + 1},{OTHER}")
        assert [row.label for row in data.rows] == ["he", "she"]
    assert csv(",".join(NAMES), f"7,{ROW}", f"7,{OTHER}").dropped == {"unread": 2}


def test_a_table_whose_lines_stand_in_marks_is_a_table() -> None:
    data = csv(*(f'"{line}"' for line in (",".join(NAMES), ROW, '""Yes, [MASK]"",he,M,she,F')))
    assert [row.masked for row in data.rows] == ["a [MASK]", "Yes, [MASK]"]
    assert read_bytes(b'"a, b"\n"one, two"\nthree\n', ".csv").frame.columns.tolist() == ["a, b"]


# --- names of classes that a call gives ------------------------------------------------------------------------------


def test_a_class_is_found_by_any_of_its_spellings_and_only_where_that_is_clear() -> None:
    assert [same_class(name, ("M", "e\u0301t")) for name in ("M\u00a0", "\u00e9t", "M", "m")] == [
        "M", "e\u0301t", "M", "m",
    ]  # fmt: skip
    assert same_class("M", ("M ", " M")) == "M"
    assert asked_classes("M\u200b", ("M", "F")) == ("M",) and asked_classes(["F ", "M"], ("M", "F")) == ("F", "M")


def rows() -> EvalData:
    other = {"label": "she", "label_class": "F", "alternative": "he", "alternative_class": "M"}
    return check_rows([GOOD, GOOD | other])


def test_words_are_given_by_class_as_tables_name_them() -> None:
    found = resolve_targets(rows().rows, ("M", "F"), {"M ": ["he"], "\ufeffF": ["she"]})
    assert found.words == {"M": ("he",), "F": ("she",)}
    with pytest.raises(BadData, match="targets names the class 'M' twice"):
        resolve_targets(rows().rows, ("M", "F"), {"M ": ["he"], "M": ["him"], "F": ["she"]})
    with pytest.raises(BadData, match="targets names the class 'm'"):
        resolve_targets(rows().rows, ("M", "F"), {"m": ["he"], "F": ["she"]})


def test_a_direction_names_classes_as_tables_do() -> None:
    assert ordered_classes({"F\u00a0": -1.0, " M": 1.0}, rows()) == ("M", "F")


def test_classes_of_a_form_are_those_of_its_tables() -> None:
    frame = pd.DataFrame([GOOD, GOOD | {"label_class": "F\u00a0", "alternative_class": "'M'"}])
    assert unify(frame, DataForm(split_col=None, target_classes=(" F", "M\u200b"))).target_classes == ("F", "M")
    merged = DataForm(class_merge_map={"all ": ["M ", "\u200bF"]}, class_merge_transition_groups=[["M ", "F"]])
    assert merged.class_merge_map == {"all": ["M", "F"]} and merged.class_merge_transition_groups == [["M", "F"]]
    with pytest.raises(BadData, match="target_classes names 'M' twice"):
        DataForm(target_classes=("M", "M "))
    with pytest.raises(BadData, match="class_merge_map names a class twice"):
        DataForm(class_merge_map={"a": ["M"], "a ": ["F"]})
    one = pd.DataFrame({"masked": ["a [MASK]"], "label": ["he"]})
    with pytest.raises(BadData, match="Two tables are of the class 'M'"):
        unify({"M": one, "M ": one}, DataForm())
    columns = pd.DataFrame({"masked": ["a [MASK]"], "M ": ["he"], "F\ufeff": ["she"]})
    assert len(unify({"M": columns, "F": columns}, DataForm(target_classes=("M", "F"))).rows) == 2


def test_marks_of_a_quotation_belong_to_no_word_and_selectors_to_the_character_before_them() -> None:
    assert [word(text) for text in ("'he'", "“he”", "« il »", "'em", "'a' 'b'", "''", "\u2764\ufe0f", "a\ufe0f")] == [
        "he", "he", "il", "'em", "'a' 'b'", "''", "\u2764\ufe0f", "a",
    ]  # fmt: skip
    assert class_name("‘two  words’") == "two words"


def test_a_class_in_wide_letters_is_suggested_and_a_number_that_only_begins_alike_is_not() -> None:
    assert suggested_class("Ｍ", ["M", "F"], {}) == "M"
    assert suggested_class("10", ["1", "2"], {}) is None
