"""Bytes become tables: encodings, delimiters, damaged rows; columns guessed; alternatives filled in where clear."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from gradiend_ui.engine.data import table_reading
from gradiend_ui.engine.data.columns import guess_columns
from gradiend_ui.engine.data.csv_rows import find_delimiter
from gradiend_ui.engine.data.rows import check_rows, read_rows, read_table
from gradiend_ui.engine.data.table_reading import read_bytes, read_file, suffix_of_text
from gradiend_ui.engine.data.uploaded_tables import is_upload_id, keep_upload, read_upload, upload_path
from gradiend_ui.engine.errors import BadData, TooLarge
from gradiend_ui.engine.files.model_files import UPLOADS as FOLDER
from gradiend_ui.engine.sweep.data_report import chosen_count, count_rows, default_split, scaled_seconds, splits_of
from tests.support import demo_facts

CSV = "masked;label;label_class\nDie Krankenschwester sagte, [MASK] schläft.;sie;F\n"


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-32-le", "utf-32-le"),
        ("utf-32-be", "utf-32-be"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_found(encoding: str, found: str) -> None:
    read = read_bytes(CSV.encode(encoding), ".csv")
    assert (read.encoding, read.delimiter) == (found, ";")
    assert list(read.frame.columns) == ["masked", "label", "label_class"]
    assert read.frame["masked"][0] == "Die Krankenschwester sagte, [MASK] schläft."


@pytest.mark.parametrize("content", [b"a,b\n1,\x002\n", b"\x00\x00\x00\x00\x00\x00"])
def test_zero_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(BadData, match="zero bytes"):
        read_bytes(content, ".csv")
    with pytest.raises(BadData, match="breaks off at byte"):
        read_bytes("a,b".encode("utf-16") + b"x", ".csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = [["text", "word", "class"], ["a; b, c | d\te", "he", "M"], ["x", "she", "F"]]
    text = "\n".join(delimiter.join(f'"{cell}"' if len(cell) > 6 else cell for cell in row) for row in rows)
    assert find_delimiter(text) == delimiter
    assert read_bytes(text.encode(), ".csv").frame.shape == (2, 3)


def test_a_single_column_and_commas_in_texts_keep_their_commas() -> None:
    read = read_bytes(b"text\nfirst, second; third\n\nplain\n", ".csv")
    assert read.frame["text"].tolist() == ["first, second; third", "plain"] and not read.damaged


def test_rows_with_too_many_cells_are_kept_apart() -> None:
    read = read_bytes(b'a,b,c\n1,2,3\n1,2,3,4\n1,2\n"x, y",2,3\n', ".csv")
    assert list(read.damaged) == [1] and "4 cells, the header has 3" in str(read.damaged[1])
    assert read.frame.iloc[1].tolist() == ["1", "2", "3,4"] and pd.isna(read.frame.iloc[2, 2])
    assert read.frame.iloc[3, 0] == "x, y"


def test_an_open_quotation_mark_is_a_character_and_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,2\n"open,3\n4,5\n')
    read = read_file(path)
    assert read.frame.values.tolist() == [["1", "2"], ["open", "3"], ["4", "5"]]
    assert [note.sentence[:9] for note in read.notes] == ["In line 3"]
    with pytest.raises(BadData, match="it is empty"):
        read_bytes(b"\n", ".csv")


def test_columns_are_named_as_pandas_names_them() -> None:
    assert list(read_bytes(b"a,a,,a\n1,2,3,4\n", ".csv").frame.columns) == ["a", "a.1", "Unnamed: 2", "a.2"]


def test_json_lines_keep_numbers_and_set_bad_lines_apart() -> None:
    read = read_bytes(b'{"id": 1, "x": "a\xe2\x80\xa8b"}\n[2]\nnot json\n{"x": null}\n', ".jsonl")
    assert read.frame["id"][0] == 1 and read.frame["x"][0] == "a\u2028b"
    assert list(read.damaged) == [1, 2] and "not json" in str(read.damaged[2])
    assert read_bytes(b'[{"a": 1}, {"a": 2}]', ".json").frame["a"].tolist() == [1, 2]
    assert read_bytes(b'{"a": {"0": 1, "1": 2}}', ".json").frame["a"].tolist() == [1, 2]
    for content in (b"[" * 100_000, b"3", b"[1, 2]"):
        with pytest.raises(BadData):
            read_bytes(content, ".json")


def test_a_damaged_row_refuses_a_frame_and_is_set_aside_among_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "masked,label,label_class,alternative,alternative_class\na [MASK],he,M,she,F\nb, [MASK],he,M,she,F\n"
    )
    with pytest.raises(BadData, match=r"rows\.csv, row 2 cannot be read: it has 6 cells"):
        read_table(path)
    data = read_rows(path)
    assert len(data.rows) == 1 and data.rejected[0].number == 1 and "6 cells" in data.rejected[0].reason


def test_long_tables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_reading, "MAX_ROWS", 2)
    for content, suffix in ((b"a\n1\n2\n3\n", ".csv"), (b'{"a":1}\n' * 3, ".jsonl")):
        with pytest.raises(TooLarge, match="more than 2 rows"):
            read_bytes(content, suffix)


def test_parquet_is_read_or_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": ["x"]}).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["a"].tolist() == ["x"]
    with pytest.raises(BadData):
        read_bytes(b"no parquet", ".parquet")

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadData, match="needs pyarrow"):
        read_bytes(b"PAR1", ".parquet")


def test_pasted_text_tells_its_kind() -> None:
    assert [suffix_of_text(text) for text in ("\n [1]", '{"a": 1}', "a;b")] == [".json", ".jsonl", ".csv"]


def table(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


ODD = {
    "Nr": [str(number) for number in range(8)],
    "Satz": ["the nurse said [MASK] slept"] * 8,
    "Wie oft": ["1", "2"] * 4,
    "Wort": ["she", "he"] * 4,
    "Sorte": ["F", "M"] * 4,
    "Gegenwort": ["he", "she"] * 4,
    "Gegensorte": ["M", "F"] * 4,
    "Teil": ["train", "test"] * 4,
}


def test_columns_are_guessed_by_name_then_by_content() -> None:
    guess = guess_columns(table(**ODD), ["M", "F"], ["he", "she"])
    assert guess.columns == {
        "masked": "Satz",
        "label": "Wort",
        "label_class": "Sorte",
        "alternative": "Gegenwort",
        "alternative_class": "Gegensorte",
        "split": "Teil",
    }
    assert set(guess.how.values()) == {"content"} and guess_columns(table(**ODD), ["M", "F"]) == guess
    named = guess_columns(table(Masked=["x [MASK]"], TOKEN=["he"], note=["[MASK]"]))
    assert named.columns["masked"] == "Masked" and named.columns["label"] == "TOKEN"
    assert named.how == {"masked": "name", "label": "name"}


def test_what_cannot_be_told_is_left_open() -> None:
    guess = guess_columns(table(text=["no mask", "none either"], length=["11", "12"]))
    assert set(guess.columns.values()) == {""}


TWO = {"masked": ["a [MASK]"] * 3, "label": ["He", "she", "he"], "label_class": ["M", "F", "M"]}


def test_the_other_word_is_filled_in_where_it_is_clear() -> None:
    data = read_rows(table(**TWO), fill_alternatives=True)
    assert [(row.alternative, row.alternative_class) for row in data.rows] == [("She", "F"), ("he", "M"), ("she", "F")]
    assert len(data.notes) == 2 and "M: he" in str(data.notes[1])
    with pytest.raises(BadData, match="alternative"):
        read_rows(table(**TWO))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": ["he", "she", "him"]}, "class M has several words"),
        ({"label_class": ["M", "F", "N"]}, "3 classes"),
        ({"label_class": ["M", "M", "M"]}, "1 classes"),
    ],
)
def test_the_other_word_is_never_invented(change: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        read_rows(table(**TWO | change), fill_alternatives=True)


def test_a_role_without_a_column_is_said_with_an_empty_name() -> None:
    frame = table(**TWO, split=["train"] * 3, alternative=["x"] * 3)
    data = check_rows(frame, {"split": "", "alternative": ""}, fill_alternatives=True)
    assert {row.split for row in data.rows} == {"test"} and data.rows[1].alternative == "he"
    with pytest.raises(BadData, match="'masked'"):
        check_rows(frame, {"masked": ""}, fill_alternatives=True)


def test_counts_follow_split_and_limit(demo: Path) -> None:
    data = read_rows(demo / "eval.csv")
    counts, classes = count_rows(data.rows), ("M", "F")
    told = {split: demo_facts.row_count(split) for split in ("test", "validation", "train")}
    assert splits_of(counts, classes) == {**told, "all": sum(told.values())}
    assert default_split({"train": 3, "all": 3}) == "all"
    for split, limit in (("test", None), ("test", 72), ("test", 10), ("all", 100), ("train", 500)):
        assert chosen_count(counts, classes, split, limit) == len(data.chosen(split, classes, limit))
    assert chosen_count(counts, ("M",), "test", None) == 0
    assert scaled_seconds(2.0, 10, 5) == 1.0 and scaled_seconds(None, 10, 5) is None is scaled_seconds(1.0, 0, 5)


def test_uploads_are_kept_by_their_content(tmp_path: Path) -> None:
    upload = keep_upload(tmp_path, b"a,b\n1,2\n", ".csv")
    assert is_upload_id(upload) and keep_upload(tmp_path, b"a,b\n1,2\n", ".csv") == upload
    assert read_upload(upload_path(tmp_path, upload)).frame["b"].tolist() == ["2"]
    texts = keep_upload(tmp_path, "one, two\n\n drei\n".encode("utf-16"), ".txt")
    assert read_upload(upload_path(tmp_path, texts)).frame["text"].tolist() == ["one, two", "drei"]
    assert not is_upload_id(upload + "/../x") and not is_upload_id(None)
    for bad in ("../secret.csv", "/etc/passwd", None, upload + "x", "0" * 64 + ".csv"):
        with pytest.raises(BadData):
            upload_path(tmp_path, bad)
    for content, suffix in ((b" \n", ".csv"), (b"x", ".exe")):
        with pytest.raises(BadData):
            keep_upload(tmp_path, content, suffix)
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {upload, texts}


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0.csv", "/".join(["deep"] * 3000)])
def test_a_name_that_no_file_can_have_is_no_file(name: str) -> None:
    with pytest.raises(BadData, match="There is no file"):
        read_file(Path(name))
