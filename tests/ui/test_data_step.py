"""Step Data: the choice and its spec, the trees, the session's part with a scripted worker."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from gradiend_ui.engine.data.neutral_texts import check_neutral
from gradiend_ui.engine.data.rows import DROPPED
from gradiend_ui.engine.data.table_reading import from_records, read_bytes
from gradiend_ui.engine.data.uploaded_tables import upload_path
from gradiend_ui.engine.errors import BadData, Failed, NotAllowed, TooLarge
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.worker.requests import DescribeNeutral, DescribeRows, RejectedRows, ResolveTargets
from gradiend_ui.engine.worker.tables import report_table
from gradiend_ui.server.data import NEUTRAL_SECONDS, Data
from gradiend_ui.server.door.quotas import LOCAL, PUBLIC
from gradiend_ui.server.shared import Shared
from gradiend_ui.ui.data import chips, panel, report
from gradiend_ui.ui.data.choice import NONE, OWN, Choice, data_of, opened_choice, own_table, spec_of
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.listeners import data as wiring
from gradiend_ui.ui.listeners import data_rows, data_words

ROLE = ["data.reason_role_label", {}]
COUNTS = [["M", "F", "train", 4], ["F", "M", "train", 4], ["M", "F", "test", 2], ["F", "M", "test", 2]]
UPLOAD = {"upload": "0" * 64 + ".csv", "name": "mine.csv"}
ROWS_REPORT: dict[str, Any] = {
    "own": True,
    "kind": "csv",
    "encoding": "utf-16",
    "delimiter": ";",
    "table_rows": 5,
    "table_columns": ["satz", "wort"],
    "columns": {"masked": "satz", "label": "wort", "split": ""},
    "how": {"masked": "content", "label": "name"},
    "first": [{"satz": "<b>a</b> [MASK]", "wort": "he"}],
    "rows": 3,
    "rejected_count": 60,
    "rejected": [
        {"number": 4, "reason": "its label is empty", "reason_text": ["data.reason_empty", {"role": ROLE}]},
    ],
    "row_counts": [["M", "F", "dev", 3]],
    "classes": ["M", "F"],
    "target_words": {"M": ["he"], "F": ["she"]},
    "dropped": {"empty": 59, "unknown_class": 1},
    "notes": ["No column names the alternative."],
    "notes_text": [["data.other_word", {"words": "F: she, M: he"}]],
    "unknown_classes": [
        {"name": "male", "count": 1, "counts_as": None, "suggested": "M"},
        {"name": "x", "count": 2, "counts_as": "", "suggested": None},
    ],
    "known_classes": ["M", "F"],
    "samples": ["schön"],
    "problem": None,
}
WORD: dict[str, Any] = {
    "word": "he",
    "spellings": ["He", "he"],
    "ways": [{"ids": [404], "pieces": ["he"]}],
    "natural": None,
    "several_pieces": False,
    "first_piece_only": False,
    "unknown": False,
    "shared": [],
    "problem": None,
}
NEUTRAL: dict[str, Any] = {
    "name": "pronoun-free",
    "ratio": 0.99,
    "texts": 271,
    "tokens": 496,
    "rows": 144,
    "lms": 0.387,
    "scored_tokens": 496,
    "hits": 192,
    "width_tokens": 1.92,
    "may_lose": 1,
    "seconds_per_cell": 0.5,
    "warnings": [],
    "first": [],
    "encoding": None,
    "notes": [],
    "notes_text": [],
}
CHOICE = Choice(None, None, None, "pronoun-free", "test", None, None)


@pytest.fixture
def told(card: dict[str, Any]) -> dict[str, Any]:
    return {**card, "row_counts": COUNTS, "target_words": {"M": ["he"], "F": ["she", "her", "a", "b", "c"]}}


def changed(**values: Any) -> Choice:
    return Choice(**{**CHOICE.__dict__, **values})


def test_the_choice_becomes_the_data_part_of_a_spec() -> None:
    assert spec_of(CHOICE) == {"split": "test", "neutral_set": "pronoun-free"}
    own = own_table(UPLOAD, ROWS_REPORT)
    full = changed(own_rows=own, own_neutral={"neutral": UPLOAD, "count": 2}, targets="label", neutral_set=OWN)
    full = Choice(**{**full.__dict__, "max_rows": 20.0, "max_neutral": 5})
    assert spec_of(full) == {
        "split": "test",
        "rows": UPLOAD,
        "columns": ROWS_REPORT["columns"],
        "max_rows": 20,
        "max_neutral": 5,
        "targets": "label",
        "neutral": UPLOAD,
    }
    assert spec_of(changed(neutral_set=NONE))["neutral_set"] == "none"
    assert "max_rows" not in spec_of(changed(max_rows=0))


def test_the_time_of_a_cell_follows_rows_and_texts(told) -> None:
    usual = data_of(CHOICE, told)["seconds_per_cell"]
    assert usual == told["seconds_per_cell"]
    assert data_of(changed(neutral_set="gender-free"), told)["seconds_per_cell"] == pytest.approx(usual / 11 * 13)
    assert data_of(changed(split="all", max_neutral=1), told)["seconds_per_cell"] == pytest.approx(usual / 11 * 13)
    assert data_of(changed(max_rows=1), told)["seconds_per_cell"] == pytest.approx(usual / 11 * 9)


def test_the_panel_tells_rows_and_words(told, card, words) -> None:
    assert report.rows_text(CHOICE, told, words) == "test: 4 of 12 rows, M, F"
    assert report.words_text(CHOICE, told, words) == "M: he · F: she, her, a, b and 1 more"
    own = changed(own_rows=own_table(UPLOAD, ROWS_REPORT), split="all", targets={"M": ["he"], "F": ["her"]})
    lost = ROWS_REPORT["rejected_count"]
    assert report.rows_text(own, told, words) == f"own rows mine.csv: all splits 3 of 3, M, F · {lost} rows left out"
    for count, end in ((0, "3 of 3, M, F"), (1, "M, F · 1 row left out")):
        some = changed(own_rows=own_table(UPLOAD, {**ROWS_REPORT, "rejected_count": count}), split="all")
        assert report.rows_text(some, told, words).endswith(end)
    assert report.words_text(own, told, words) == "own words M: he · F: her"
    assert report.words_text(changed(targets="label"), told, words) == "each row by its own two words"
    assert "no evaluation rows" in report.rows_text(CHOICE, {**card, "row_counts": []}, words)


def test_a_page_opens_with_the_card_or_with_what_a_run_used(told, words) -> None:
    assert opened_choice(told, None) == CHOICE
    run = {"spec": {"rows": UPLOAD, "columns": {}, "split": "all", "neutral": UPLOAD, "targets": "label"}}
    again = opened_choice(told, {**run, "row_counts": COUNTS, "rows_left_out": 16, "target_words": {}})
    assert again.own_rows is not None and again.neutral_set == OWN and spec_of(again) == run["spec"]
    assert report.rows_text(again, told, words).endswith(" · 16 rows left out")
    gone = {"spec": {"neutral_set": "a set that is gone"}, "row_counts": [], "rows_left_out": 0, "target_words": {}}
    assert opened_choice(told, gone).neutral_set == NONE
    values = panel.opened_values(told, None, words)
    assert values[0]["spec"] == spec_of(CHOICE) and len(values) == 17 and values[4] == CHOICE.split


def test_a_table_is_told_as_it_was_read(words) -> None:
    text = text_of(report.build_reading(ROWS_REPORT, "mine.csv", words))
    assert "csv, text in UTF-16, separated by semicolons, 2 columns, 5 rows" in text
    assert "3 rows can be scored, 60 cannot." in text and "by their names: Word; by what the cells hold: Sen" in text
    assert "No column names the alternative" in text
    broken = report.build_reading({**ROWS_REPORT, "problem": "No column."}, "mine.csv", words)
    assert "cannot be used yet" in text_of(broken) and '"alert"' in json.dumps(broken)
    assert "<b>a</b> [MASK]" in text_of(report.build_first_rows(ROWS_REPORT, words))
    rejected = text_of(report.build_rejected(ROWS_REPORT, words))
    assert "4 its word is empty" in rejected and "and 59 more" in rejected
    assert text_of(report.build_rejected({**ROWS_REPORT, "rejected_count": 0}, words)) == ""


def test_what_was_dropped_and_odd_is_told_with_counts(words) -> None:
    text = text_of(report.build_reading(ROWS_REPORT, "mine.csv", words))
    assert "Left out: 59 rows with an empty word or class, 1 row of an unknown class." in text
    assert "Rows with special letters, as read: schön" in text
    odd = {**ROWS_REPORT, "notes": ["x"], "notes_text": [["data.encoding_guessed", {"encoding": "Mac Roman"}]]}
    assert report.notes_of(odd, words) == [(words("data.encoding_guessed", encoding="Mac Roman"), True)]
    assert report.notes_of(ROWS_REPORT, words)[0][1] is False
    for kind in DROPPED:
        assert words.counted(f"data.dropped_{kind}", 2).startswith("2 ")
        assert Words("de").counted(f"data.dropped_{kind}", 1).startswith("1 ")


def test_unknown_classes_are_named_and_settled_by_a_choice(words) -> None:
    unknown = ROWS_REPORT["unknown_classes"]
    text = text_of(report.build_unknown(unknown, 8, words))
    assert "does not know these classes: male (1 row)." in text and "nothing changes before" in text
    assert [report.chosen_class(one) for one in unknown] == ["M", report.LEFT_OUT]
    many = [{**unknown[0], "name": f"c{number}", "suggested": None} for number in range(10)]
    assert "c5 (1 row) and 4 more." in text_of(report.build_unknown(many, 10, words))
    assert "8 of them are offered at a time" in text_of(report.build_unknown(many, 8, words))
    assert "at a time" not in text_of(report.build_unknown(many, 10, words))
    assert report.offered(many, 10) == many
    settled = [{**one, "counts_as": ""} for one in many[:8]]
    offered = report.offered([*settled, *many[8:]], 8)
    assert [one["name"] for one in offered] == ["c8", "c9", "c0", "c1", "c2", "c3", "c4", "c5"]
    assert report.named_class({**unknown[0], "name": "x" * 99}, words) == f"{'x' * 39}… (1 row)"
    assert "by your choice" in text_of(report.build_unknown(unknown[1:], 8, words))
    assert report.build_unknown([], 8, words)["children"] == []
    chosen = report.counts_as(["male", "x", "y", "z"], ["M", report.LEFT_OUT, report.OPEN, "made up"], ["M", "F"])
    assert chosen == {"male": "M", "x": ""}


def test_a_table_that_cannot_be_used_is_told_once(told, words) -> None:
    own = own_table(UPLOAD, {**ROWS_REPORT, "problem": "No column."}, {"male": "M"})
    choice = changed(own_rows=own)
    assert report.rows_text(choice, told, words) == "mine.csv cannot be used yet."
    data = data_of(choice, told)
    assert data["unusable"] and data["seconds_per_cell"] is None and data["spec"]["count_as"] == {"male": "M"}
    assert text_of(report.build_time(data, 0, 7, words)) == ""
    page = SimpleNamespace(words=words)  # asks nobody
    waiting = wiring.words_shown(page, "ck", data)[0]  # type: ignore[arg-type]
    assert text_of(waiting) == "Told once the rows can be used."


def test_an_encoding_goes_with_the_upload(words) -> None:
    said = data_rows.with_encoding(UPLOAD, "mac_roman")
    assert said == {**UPLOAD, "encoding": "mac_roman"} and data_rows.with_encoding(said, "") == UPLOAD
    assert panel.encoding_update(said) == gr.update(visible=True, value="mac_roman")
    for given in (None, {"run": "x"}, {"upload": "0" * 64 + ".parquet"}):
        assert panel.encoding_update(given)["visible"] is False  # type: ignore[arg-type,index]
    assert DataChoice.of({"rows": said}).rows == said
    with pytest.raises(BadData, match="The encoding of rows must be one of utf-8"):
        DataChoice.of({"rows": {**UPLOAD, "encoding": "rot13"}})
    with pytest.raises(BadData, match="count_as must be an object"):
        DataChoice.of({"count_as": {"m": 1}})


def test_chips_tell_ids_pieces_and_overlaps(words) -> None:
    chip = chips.build_chip("M", {**WORD, "shared": ["F"], "natural": [{"ids": [7], "pieces": ["Ġhe"]}]}, False, words)
    whole = json.dumps(chip)
    assert "he: 404" in whole and "also He" in whole and "also in F" in text_of(chip)
    assert "boundary: Ġhe: 7" in json.dumps(chip, ensure_ascii=False) and "natural: Ġhe" in text_of(chip)
    nothing = {**WORD, "ways": [], "unknown": True, "problem": "The tokenizer has no token for the target 'he'."}
    assert "▲ ends in no token" in text_of(chips.build_chip("M", nothing, False, words))
    assert json.loads(chip["children"][-1]["attributes"]["data-pick"]) == ["remove", "M", ["He", "he"]]
    long = {**WORD, "ways": [{"ids": [1, 2, 3], "pieces": ["a", "b", "c"]}], "several_pieces": True}
    assert chips.marks_of(long, words) == ["3 pieces"]
    assert chips.marks_of({**long, "first_piece_only": True}, words) == ["3 pieces, first piece only"]
    assert chips.marks_of({**WORD, "unknown": True, "ways": []}, words) == ["not in the vocabulary"]
    shared = {"mode": "rows", "row_wise": True, "classes": [{"name": "M", "words": [WORD], "more": 3}]}
    assert "share a word" in text_of(chips.build_words(shared, words))
    assert "and 3 more" in text_of(chips.build_words(shared, words))


def test_words_are_put_in_and_taken_away(words) -> None:
    own = {"M": ["he", "He"], "F": ["she"]}
    data_words.put_in(own, "F", " her ", words)
    data_words.take_away(own, "M", ["He"], words)
    assert own == {"M": ["he"], "F": ["she", "her"]}
    for name, word, sentence in (("F", " ", "Type a word"), (None, "x", "Type a word"), ("F", "her", "already")):
        with pytest.raises(BadData, match=sentence):
            data_words.put_in(own, name, word, words)
    with pytest.raises(BadData, match="at least one word"):
        data_words.take_away(own, "M", ["he"], words)


def test_the_width_is_told_in_tokens_or_as_perplexity(words) -> None:
    text = text_of(report.build_measured(NEUTRAL, words))
    assert "0.99 is 1.92 tokens here" in text and "may lose 1 of 192 tokens" in text
    assert "0.387 (192 of 496 right)" in text
    part = text_of(report.build_measured({**NEUTRAL, "scored_tokens": 100}, words))
    assert "first 100 of 496 tokens" in part
    causal = {key: value for key, value in NEUTRAL.items() if key not in ("hits", "width_tokens", "may_lose")}
    text = text_of(report.build_measured({**causal, "perplexity": 54.6, "perplexity_limit": 57.4}, words))
    assert "rise from 54.6 to 57.4" in text and "no width in tokens" in text and "192" not in text


def test_sets_can_be_switched_and_the_fallback_is_told(told, words) -> None:
    sets = report.build_sets(CHOICE, told, words)
    assert "✓ in use" in text_of(sets) and "stand in, with" not in text_of(sets)
    picks = json.dumps(sets).split('"data-pick": "')[1:]
    assert [pick.split('"')[0] for pick in picks] == ["gender-free", NONE]
    assert "damage elsewhere can stay unseen" in text_of(report.build_sets(changed(neutral_set=NONE), told, words))
    own = changed(own_neutral={"neutral": UPLOAD, "count": 4}, neutral_set=OWN)
    assert ("own texts: mine.csv (4)", OWN) in report.neutral_choices(own, told, words)


class ScriptedWorker:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        return {}


@pytest.fixture
def worker() -> ScriptedWorker:
    return ScriptedWorker()


@pytest.fixture
def kept(tmp_path: Path, worker: ScriptedWorker) -> Data:
    store = Store(tmp_path / "runs.sqlite")
    return Data(Shared(store, worker, tmp_path, public=True))  # type: ignore[arg-type]


def test_uploads_are_kept_under_their_name_and_hash(kept: Data, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "mine.txt"
    file.write_text('{"masked": "a [MASK]"}\n')
    given = kept.keep_table(str(file))
    assert given["name"] == "mine.txt" and given["upload"].endswith(".jsonl")
    assert upload_path(tmp_path, given["upload"]).read_bytes() == file.read_bytes()
    assert kept.keep_texts(str(file))["upload"].endswith(".txt")
    assert kept.keep_pasted("a;b\n1;2", "pasted", is_table=True)["upload"].endswith(".csv")
    for path, kind in ((tmp_path / "gone.csv", Failed), (tmp_path / "empty.csv", BadData)):
        if kind is BadData:
            path.write_text(" ")
        with pytest.raises(kind):
            kept.keep_table(str(path))
    with pytest.raises(BadData, match="empty"):
        kept.keep_pasted("  ", "pasted", is_table=True)
    monkeypatch.setattr(Shared, "quotas", replace(LOCAL, table_bytes=3))
    with pytest.raises(TooLarge):
        kept.keep_table(str(file))


def test_the_worker_is_asked_with_plain_values(kept: Data, worker: ScriptedWorker) -> None:
    kept.rows("ck", {"split": "test"})
    kept.targets("ck", {})
    kept.neutral("ck", {}, 0.99)
    kept.rejected("ck", {})
    nothing = AskedSweep.of({})
    assert worker.asked == [
        DescribeRows("ck", DataChoice()),
        ResolveTargets("ck", nothing),
        DescribeNeutral("ck", nothing, 0.99, PUBLIC.sweep_size, NEUTRAL_SECONDS),
        RejectedRows("ck", DataChoice()),
    ]


def test_a_run_tells_its_data_without_tables_or_paths(kept: Data) -> None:
    request = {"rows": "/secret/rows.csv", "neutral": ["a"], "columns": {"label": "x"}, "goal": "both", "max_rows": 3}
    record = SimpleNamespace(id="run-1", request=request, info={"neutral_set": "own texts"})
    assert kept.of_run(record) == {  # type: ignore[arg-type]
        "spec": {"rows": {"run": "run-1"}, "neutral": {"run": "run-1"}, "columns": {"label": "x"}, "max_rows": 3},
        "row_counts": [],
        "rows_left_out": 0,
        "target_words": {},
    }
    uploaded = SimpleNamespace(id="run-1", request={"rows": UPLOAD}, info={"neutral_set": "pronoun-free"})
    assert kept.of_run(uploaded)["spec"] == {"rows": UPLOAD, "neutral_set": "pronoun-free"}  # type: ignore[arg-type]


def test_a_public_server_takes_uploads_and_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradiend_ui.server.session import Session

    cache = tmp_path / "downloads"
    cache.mkdir()
    for folder in (cache, tmp_path):
        (folder / "mine.csv").write_text("masked,label\n[MASK] is,he\n")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(cache))
    session = Session(tmp_path / "data", public=True, default_source="demo")
    try:
        for table in (UPLOAD, {"run": "x"}, [{"masked": "a"}], None):
            assert session.data.taken_in({"rows": table}, "") == {"rows": table}
        given = session.data.taken_in({"rows": {"path": str(cache / "mine.csv"), "encoding": "cp1252"}}, "")["rows"]
        assert given["encoding"] == "cp1252"
        assert upload_path(tmp_path / "data", given["upload"]).read_text().startswith("masked")
        for path in (str(tmp_path / "mine.csv"), str(cache / ".." / "mine.csv"), "/etc/passwd", "nul\0"):
            for table in ({"path": path}, {**UPLOAD, "path": path}, path, {}, {"path": 5}):
                with pytest.raises(NotAllowed, match="reads no paths"):
                    session.data.taken_in({"rows": table}, "")
    finally:
        session.close()


REASONS: list[tuple[dict[str, Any], str]] = [
    ({"masked": ""}, "sie enthält 0-mal [MASK] statt einmal"),
    ({"masked": "", "label": "", "label_class": "", "alternative": "", "alternative_class": ""}, "sie ist leer"),
    ({"masked": "[MASK]" + "x" * 20_000}, "der Satz ist länger als 20,000 Zeichen"),
    ({"label": " "}, "das Wort fehlt"),
    ({"alternative": "x" * 501}, "das andere Wort ist länger als 500 Zeichen"),
    ({"label": ["he"]}, "das Wort ist eine Liste oder ein Objekt und kein Text: \"['he']\""),
    ({"label": "\ud800"}, "sie enthält ein halbes Zeichen (ein einzelnes Surrogat)"),
    ({"label_class": "z"}, "die Klasse 'z' ist keine Klasse des Checkpoints (M, F)"),
    ({"alternative_class": "other"}, "die Klasse des anderen Wortes 'other' wird ausgelassen"),
]


@pytest.mark.parametrize(("change", "told"), REASONS)
def test_why_a_row_is_dropped_is_told_in_german(change: dict[str, Any], told: str) -> None:
    """Whatever the reason, and also where no row is left and where the rows come from a process of its own."""
    german, direction = Words("de"), {"M": 1.0, "F": -1.0}
    row = {"masked": "[MASK] slept.", "label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F"}
    read = from_records([row, {**row, **change}])
    found = report_table(read, None, direction, {}, {"other": ""})
    text = text_of(report.build_rejected(found, german))
    assert text == f"Zeilen, die sich nicht messen lassen Zeile Grund 2 {told}"
    assert found["rejected"] == json.loads(json.dumps(found["rejected"]))
    none_left = report_table(from_records([{**row, **change}]), None, direction, {}, {"other": ""})
    assert f"Zeile 1: {told}." in german.told(none_left["problem_text"]) or "z" in change.values()


def test_a_row_that_cannot_be_read_and_columns_that_are_missing_are_told_in_german() -> None:
    german, direction = Words("de"), {"M": 1.0, "F": -1.0}
    lines = ["masked;label;label_class;alternative;alternative_class", "[MASK] slept.;he;M;she;F", "a;b;c;d;e;f", ""]
    found = report_table(read_bytes("\n".join(lines).encode(), ".csv"), None, direction, {})
    assert "2 sie hat 6 Felder, die Kopfzeile hat 5" in text_of(report.build_rejected(found, german))
    assert found["unknown_classes"] == [], "what could not be read names no class"
    empty = report_table(read_bytes(lines[0].encode(), ".csv"), None, direction, {})
    assert german.told(empty["problem_text"]).startswith("Es gibt keine Zeile zu messen")
    broken = report_table(read_bytes(b'{"masked": "[MASK]"}\nnot json\n', ".jsonl"), None, direction, {})
    assert german.told(broken["problem_text"]).startswith("Keine Spalte sieht nach „Wort“ aus. Spalten: masked.")
    of_others = report_table(read_bytes("\n".join(lines[:2]).encode(), ".csv"), None, {"X": 1.0, "Y": -1.0}, {})
    assert german.told(of_others["problem_text"]).startswith("Die Zeilen haben die Klassen F, M, und der Checkpoint")
    texts = check_neutral(read_bytes(b'{"text": "Yes."}\nnot json\n', ".jsonl"))
    assert german.told(texts.notes[0].text).endswith("Erster Grund: Zeile 2: sie ist kein JSON-Objekt: 'not json'.")


def test_the_split_in_use_is_the_one_the_server_keeps() -> None:
    """A page that is still being drawn answers with the choice of the rows before, which the new ones may not have."""
    names = ("own_rows", "own_neutral", "targets", "neutral_set", "split", "max_rows", "max_neutral")
    kept = SimpleNamespace(**{name: f"kept {name}" for name in names})
    drawn = SimpleNamespace(rows=SimpleNamespace(**{name: f"drawn {name}" for name in names}))
    page = SimpleNamespace(data=kept, data_drawer=drawn)
    choice = Choice(*wiring.choice_inputs(page))  # type: ignore[arg-type]
    assert (choice.split, choice.max_rows) == ("kept split", "drawn max_rows")


def test_a_base_without_a_hit_is_not_told_to_lose_none_of_none(words) -> None:
    nothing: Any = {**NEUTRAL, "hits": 0, "may_lose": 0}
    assert "0 of 0" not in report.width_detail(nothing, words)
    assert "holds no cell back" in report.width_detail(nothing, words)
