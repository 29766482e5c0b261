"""The tables of `tests/cases` that once gave wrong numbers, each with its right answer; and the guards around them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from gradiend_ui.engine.data import encodings
from gradiend_ui.engine.data.columns import counted_as, in_own_spelling, known_classes_only, unknown_classes
from gradiend_ui.engine.data.encodings import CHOICES, Decoded, decode
from gradiend_ui.engine.data.forms.form import DataForm
from gradiend_ui.engine.data.forms.unified import unify
from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import EvalData, check_rows
from gradiend_ui.engine.data.spelling import class_name, suggested_class, word
from gradiend_ui.engine.data.table_reading import read_bytes, read_file
from gradiend_ui.engine.errors import BadData, BadGrid
from gradiend_ui.engine.sweep.axes import read_axis
from gradiend_ui.engine.sweep.data_report import first_texts, samples
from gradiend_ui.engine.worker.tables import report_table
from gradiend_ui.ui.kit.words import Words
from tests.support.cases import case

DIRECTION = {"M": 1.0, "F": -1.0}
WORDS = {"M": ["he"], "F": ["she"]}
HEADER = "masked,label,label_class,alternative,alternative_class\n"


def rows_of(name: str) -> EvalData:
    return check_rows(read_file(case(name)))


def keys(data: EvalData) -> list[str]:
    return [note.text[0] for note in data.notes]


@pytest.mark.parametrize(
    ("name", "rows", "first", "notes"),
    [
        ("open_quote_midfile.csv", 18, "my aunt said that [MASK] was late.", ["data.quote_literal_one"]),
        ("class_space.csv", 32, "my aunt said that [MASK] was late.", ["data.classes_tidied_many"]),
        ("utf8_one_bad_byte.csv", 17, "my Müller said that [MASK] was late.", ["data.bytes_replaced_one"]),
        ("macroman.csv", 16, "my Müller said that [MASK] was late.", ["data.encoding_guessed"]),
        ("backslash_only.csv", 1, 'he said "no" when [MASK] came', ["data.quote_escaped_one"]),
        ("sep_line.csv", 16, "my aunt said that [MASK] was late.", ["data.sep_line"]),
        ("quotes_space_comma.csv", 16, "my aunt said that [MASK] was late, of course.", []),
    ],
)
def test_every_row_is_read_and_what_was_odd_is_told(name: str, rows: int, first: str, notes: list[str]) -> None:
    data = rows_of(name)
    assert (len(data.rows), data.rejected, data.rows[0].masked, keys(data)) == (rows, (), first, notes)
    assert data.classes == ("F", "M") and {row.label for row in data.rows} <= {"he", "she", "schön"}


def test_a_stray_mark_takes_no_line_and_no_separator_with_it() -> None:
    assert rows_of("open_quote_midfile.csv").rows[3].masked == "my aunt, said that [MASK] slept."
    texts = check_neutral(read_file(case("neutral_open_quote.csv")))
    assert len(texts.texts) == 40 and texts.texts[4] == '"So it goes, they wrote.'
    assert "In 2 lines (6, 32) a quotation mark" in str(texts.notes[0])


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('my aunt [MASK],"she,F,he,M', ["my aunt [MASK]", "she", "F", "he", "M"]),
        ('"my aunt [MASK],she,F,he,"M', ['"my aunt [MASK]', "she", "F", "he", "M"]),
        ('"Yes, sir" said [MASK],she,F,he,M', ['"Yes, sir" said [MASK]', "she", "F", "he", "M"]),
        ('"a \\"b, c\\" [MASK]", she ,F,he,M', ['a "b, c" [MASK]', " she ", "F", "he", "M"]),
        ('"C:\\ [MASK] \\",she,F,he,M', ["C:\\ [MASK] \\", "she", "F", "he", "M"]),
    ],
)
def test_one_odd_line_among_good_ones(line: str, row: list[str]) -> None:
    good = "the king [MASK] sat,he,M,she,F\n"
    read = read_bytes(f"{HEADER}{good}{line}\n{good}{good}".encode(), ".csv")
    assert len(read.frame) == 4 and read.frame.iloc[1].tolist() == row and not read.damaged


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;;;", "\ufeffsep=;", "sep=,"])
def test_a_line_that_names_the_separator_is_no_row_even_where_it_is_wrong(first: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        content = f"{first}\r\n{HEADER}a [MASK],he,M,she,F\n".replace(",", ";")
        content = content.replace("sep=;", "sep=,") if first == "sep=," else content
        read = read_bytes(content.encode(encoding), ".csv")
        assert read.delimiter == ";" and len(check_rows(read).rows) == 1, first


def test_texts_of_several_lines_stay_whole() -> None:
    read = read_bytes((HEADER + '"first, line\nand [MASK]",he,M,she,F\n"a\rb [MASK]",he,M,she,F\n').encode(), ".csv")
    assert read.frame["masked"].tolist() == ["first, line\nand [MASK]", "a\rb [MASK]"] and not read.notes
    texts = read_bytes(b'text\n"one\n\ntext"\ntwo\n', ".csv")
    assert texts.frame["text"].tolist() == ["one\n\ntext", "two"] and "from line 2 to line 4" in str(texts.notes[0])


def test_a_column_is_found_in_any_case_and_objects_are_refused_with_their_row() -> None:
    assert check_neutral(read_file(case("neutral_Text_caps.csv"))).texts == ("the sun is up.",)
    data = rows_of("nested.jsonl")
    assert data.rows == () and data.dropped == {"nested": 1}
    assert data.rejected[0].number == 0 and "its label is a list or an object" in data.rejected[0].reason
    with pytest.raises(BadData, match="Neutral text 2 is a list or an object"):
        check_neutral(read_bytes(b'[{"text": "a"}, {"text": {"t": 1}}]', ".json"))


def test_what_was_typed_is_read_in_one_way_or_asked_about() -> None:
    kept: dict[str, tuple[float, ...]] = {}
    for line in case("typed_rates.txt").read_text().splitlines():
        try:
            kept[line] = read_axis(line, "learning rates").values
        except BadGrid as error:
            assert line in str(error) and "Write " in str(error)
    assert kept == {"0,01; 0,05; 0,1": (0.01, 0.05, 0.1)}
    with pytest.raises(BadGrid, match=r"Write 0\.05 with a point, or 0; 5 with semicolons"):
        read_axis("0,05", "learning rates")


# --- classes ---------------------------------------------------------------------------------------------------------


def test_classes_that_differ_are_named_counted_and_mapped() -> None:
    read = read_file(case("class_case.csv"))
    report = report_table(read, None, DIRECTION, WORDS)
    assert (report["rows"], report["rejected_count"], report["dropped"]) == (16, 16, {"unknown_class": 16})
    told = [(one["name"], one["count"], one["suggested"], one["counts_as"]) for one in report["unknown_classes"]]
    assert sorted(told) == [("f", 16, "F", None), ("m", 16, "M", None)]
    mapped = report_table(read, None, DIRECTION, WORDS, {"m": "M", "f": "F"})
    assert (mapped["rows"], mapped["rejected_count"], mapped["classes"]) == (32, 0, ["M", "F"])
    some = report_table(read, None, DIRECTION, WORDS, {"m": "", "f": "F"})
    assert (some["rows"], some["dropped"]) == (16, {"left_out": 16})
    with pytest.raises(BadData, match="count_as says that 'm' counts as 'N', which the checkpoint does not know"):
        counted_as(DIRECTION, {"m": "N"})


def test_where_no_class_is_known_that_is_told_once_and_every_row_counts_as_unknown() -> None:
    table = HEADER + "a [MASK],he,herren,she,damen\n"
    report = report_table(read_bytes(table.encode(), ".csv"), None, DIRECTION, WORDS)
    assert (report["rows"], report["rejected_count"]) == (0, 1) and "the checkpoint knows M, F" in str(
        report["problem"]
    )


def test_a_checkpoints_own_spelling_is_kept() -> None:
    odd = {"M ": 1.0, "e\u0301t": -1.0}
    frame = pd.DataFrame([("a [MASK]", "he", "M\u00a0", "she", "\u00e9t")], columns=HEADER.strip().split(","))
    data = check_rows(frame, classes=counted_as(odd, None))
    assert data.classes == ("M ", "e\u0301t") == in_own_spelling(odd, check_rows(frame)).classes
    assert known_classes_only(odd, data) == data
    assert not unknown_classes(frame, {"label_class": "label_class"}, odd, None, {})


def test_names_and_words_lose_what_is_not_seen_and_nothing_else() -> None:
    assert [class_name(text) for text in ("\ufeffM\u00a0", "M\u200b", "e\u0301", "a \t b")] == ["M", "M", "é", "a b"]
    assert [word(text) for text in (" he\u00ad", "\u200bshe", "می\u200cروم", "\U0001f9d1\u200d\U0001f680")] == [
        "he", "she", "می\u200cروم", "\U0001f9d1\u200d\U0001f680",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("m", "M"), ("male", "M"), ("Female", "F"), ("he", "M"), ("SHE", "F"), ("x", None), ("neutral", None)],
)
def test_a_class_is_suggested_where_it_is_clear(name: str, suggested: str | None) -> None:
    assert suggested_class(name, ["M", "F"], WORDS) == suggested
    assert suggested_class("ma", ["male", "masc"], {}) is None


def test_training_data_is_read_in_one_spelling() -> None:
    rows = [("a [MASK]", "he", "M ", "she", "F"), ("b [MASK]", "she", "F\u200b", "he", "M")]
    frame = pd.DataFrame(rows, columns=["Masked", " label", "Label_Class", "alternative", "alternative_class"])
    unified = unify(frame, DataForm(split_col=None))
    assert unified.all_classes == ("F", "M") and len(unified.rows) == 2


# --- encodings -------------------------------------------------------------------------------------------------------

SENTENCES = {
    "cp1251": "Моя тётя сказала, что [MASK] опоздала.",
    "koi8_r": "Моя тётя сказала, что [MASK] опоздала. Врач уже дома.",
    "gb18030": "我的阿姨说[MASK]迟到了。医生知道[MASK]今天不会来。",
    "cp932": "私の叔母は[MASK]が遅れたと言った。医者は[MASK]がもう家にいると知っていた。",
    "cp949": "우리 이모는 [MASK]가 늦었다고 말했다.",
    "cp1250": "Moja ciocia powiedziała, że [MASK] się spóźniła.",
    "cp1253": "Η θεία μου είπε ότι [MASK] άργησε.",
    "cp1252": "Die Müllerin „weiß“, dass [MASK] schläft – ¿nicht?",
    "mac_roman": "Die Müllerin weiß, dass [MASK] schläft.",
}


@pytest.mark.parametrize("encoding", SENTENCES)
def test_a_code_page_is_found_and_said(encoding: str) -> None:
    text = "masked\n" + f"{SENTENCES[encoding]}\n" * 4
    found = decode(text.encode(encoding))
    assert found.text == text and found.notes[0].text[0] == "data.encoding_guessed"
    assert decode(text.encode(encoding), encoding) == Decoded(text, encoding)


def test_only_a_sample_of_a_large_file_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    likely: Callable[[bytes], list[str]] = encodings._likely
    monkeypatch.setattr(encodings, "_likely", lambda sample: seen.append(len(sample)) or likely(sample))
    content = b"plain words\n" * 200_000 + "".join(f"schön {n}\n" for n in range(100_000)).encode("mac_roman")
    for one in (content, b"x" * 3_000_000 + " die Müllerin, schön".encode("mac_roman") * 50_000):
        assert decode(one).text.endswith(("schön 99999\n", "schön"))
    assert max(seen) <= encodings.SAMPLE_BYTES


def test_a_person_may_say_the_encoding_and_sees_what_it_makes_of_the_letters() -> None:
    content = case("macroman.csv").read_bytes()
    assert samples(read_bytes(content, ".csv")) == ["my Müller said that [MASK] was late. · schön", "schön"]
    other = read_bytes(content, ".csv", "cp1252")
    assert other.encoding == "cp1252" and samples(other)[1] == "schšn" and not other.notes
    with pytest.raises(BadData, match="encoding must be one of utf-8, cp1252"):
        read_bytes(content, ".csv", "rot13")
    assert first_texts(["plain", "schön", "Straße", "x"]) == ["schön", "Straße"]
    for name in CHOICES:
        assert decode("a".encode(name), name).text == "a"


def test_replaced_bytes_are_told_with_their_lines_and_shown_first() -> None:
    read = read_file(case("utf8_one_bad_byte.csv"))
    assert str(read.notes[0]).startswith("One byte is no UTF-8: line 18 (0xE9). \ufffd stands there instead.")
    assert "\ufffd" in samples(read)[0]
    many = decode("ä\n".encode() * 9 + b"\xff\n" * 4).notes[0]
    assert str(many).startswith("4 bytes are no UTF-8: lines 10 (0xFF), 11 (0xFF), 12 (0xFF), ….")


def test_a_byte_order_mark_decides_only_where_the_bytes_agree() -> None:
    mark, text = "\ufeff".encode(), "masked\nDie Müllerin weiß, dass [MASK] schläft.\n"
    found = decode(mark + text.encode("cp1252"))
    assert (found.text, found.encoding, found.notes[0].text[0]) == (text, "cp1252", "data.encoding_guessed")
    few = decode(mark + text.encode() + b"caf\xe9 [MASK]\n")
    assert few.encoding == "utf-8-sig" and str(few.notes[0]).startswith("One byte is no UTF-8: line 3 (0xE9).")
    assert decode(mark * 2 + text.encode()) == Decoded(text, "utf-8-sig")
    assert decode(f"{text}\ufeff{text}\r\ufeffa\ufeffb".encode()).text == f"{text}{text}\ra\ufeffb"


def test_japanese_in_seven_bits_is_no_ascii() -> None:
    text = f"masked\n{SENTENCES['cp932']}\n"
    found = decode(text.encode("iso2022_jp"))
    assert found.text == text and "ISO-2022-JP fits best" in str(found.notes[0])
    assert decode(b"a\x1b$ [MASK]").encoding == "utf-8"


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_note_has_its_words(language: str) -> None:
    words, notes = Words(language), []
    for name in ("open_quote_midfile.csv", "class_space.csv", "macroman.csv", "backslash_only.csv", "sep_line.csv"):
        notes += rows_of(name).notes
    notes += check_neutral(read_file(case("neutral_open_quote.csv"))).notes
    notes += check_neutral(read_bytes(b'{"text": "a"}\n{"text": ""}\nno\n', ".jsonl")).notes
    notes += read_bytes(b'text\n"one\n\ntext"\n"two\nlines"\nthree\n', ".csv").notes
    notes += decode("ä\n".encode() * 9 + b"\xff\n" * 4).notes
    for note in notes:
        told = str(words.told(note.to_json()[1:]))
        assert (told == note.sentence) is (language == "en"), told
