"""What a stranger's table costs who asks for it: text is counted before it is unpacked, and the answer is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.data import parquet_text, table_reading
from gradiend_ui.engine.data.parquet_text import check_parquet_text, text_bytes
from gradiend_ui.engine.data.table_reading import MAX_ROWS, read_bytes, read_file
from gradiend_ui.engine.data.uploaded_tables import read_file_confined, read_upload, read_upload_confined
from gradiend_ui.engine.errors import TooLarge
from gradiend_ui.engine.files import confined
from gradiend_ui.engine.files.confined import OWN_TABLES, TABLES, TooLong, heard, run_confined, told
from gradiend_ui.engine.files.text_limit import STRANGERS_BYTES, check_text, text_at_most
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import LOCAL, Trust
from gradiend_ui.engine.worker import tables as table_tasks
from gradiend_ui.engine.worker.resources import Resources

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
GROWTH = 300
REST = {"label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F", "split": "test"}
REFUSED = r"The table has [\d,.]+ MB of text.*; at most 40.0 MB are read: leave rows or columns out."


def repeated(text: str, rows: int = MAX_ROWS) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


# --- counting ---------------------------------------------------------------------------------------------------------

ARRAYS: dict[str, tuple[Callable[[], Any], int]] = {
    "texts": (lambda: pa.array(["abc", None, "ü"]), 5),
    "large texts": (lambda: pa.array(["abc", None], pa.large_string()), 3),
    "views": (lambda: pa.array(["abc", "a text of more than twelve"], pa.string_view()), 29),
    "bytes": (lambda: pa.array([b"abc", b"d"]), 4),
    "bytes of one length": (lambda: pa.array([b"abc", None, b"def"], pa.binary(3)), 6),
    "a dictionary": (lambda: repeated("abcd", 1000), 4000),
    "a dictionary with gaps": (lambda: pa.array(["abcd", None, "ef", "abcd"]).dictionary_encode(), 10),
    "a part of a dictionary": (lambda: repeated("abcd", 1000).slice(10, 5), 20),
    "runs": (lambda: pa.RunEndEncodedArray.from_arrays(pa.array([7, 9], pa.int32()), pa.array(["abcd", "e"])), 30),
    "lists": (lambda: pa.array([["abc", "de"], None, []]), 8),
    "a part of lists": (lambda: pa.array([["abc"]] * 50).slice(10, 2), 8),
    "lists of a dictionary": (lambda: pa.ListArray.from_arrays(pa.array([0, 3], pa.int32()), repeated("abcd", 3)), 13),
    "lists of one length": (lambda: pa.array([["ab", "cd"]] * 3, pa.list_(pa.string(), 2)), 15),
    "lists of numbers": (lambda: pa.array([[1, 2, 3]]), 4),
    "objects": (lambda: pa.array([{"a": "abc", "b": "d"}, None]), 4),
    "objects in lists in objects": (lambda: pa.array([{"a": [{"b": "abc"}, {"b": "de"}]}]), 6),
    "maps": (lambda: pa.array([[("k", "abc"), ("l", "d")]], pa.map_(pa.string(), pa.string())), 7),
    "a part of maps": (lambda: pa.array([[("k", "abc")]] * 9, pa.map_(pa.string(), pa.string())).slice(3, 2), 10),
    "an extension": (lambda: pa.array(['"abc"'], pa.json_()), 5),
    "numbers": (lambda: pa.array([1.5, 2.5]), 2),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_text_is_counted_however_it_is_packed(kind: str) -> None:
    make, size = ARRAYS[kind]
    assert text_bytes(make()) == size


BOMBS: dict[str, Callable[[], Any]] = {
    "a long text, 200,000 times": lambda: {"masked": repeated("x" * 1400)},
    "25 columns": lambda: {f"c{number}": repeated("y" * 50) for number in range(25)},
    "a name with a dot": lambda: {"a.b": repeated("x" * 1400)},
    "a text of 30 MB": lambda: {"masked": repeated("x" * 30_000_000, 100)},
    "lists": lambda: {"masked": pa.array([["x" * 5000]] * 20_000)},
    "objects": lambda: {"masked": pa.array([{"a": {"b": "x" * 5000}}] * 20_000)},
    "maps": lambda: {"masked": pa.array([[("k", "v" * 5000)]] * 20_000, pa.map_(pa.string(), pa.string()))},
    "bytes": lambda: {"masked": pa.array([b"x" * 5000] * 20_000)},
    "views": lambda: {"masked": pa.array(["x" * 5000] * 20_000, pa.string_view())},
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_table_with_more_text_is_refused_before_it_is_unpacked(
    bomb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.write_table(pa.table(BOMBS[bomb]()), tmp_path / "t.parquet")
    monkeypatch.setattr(table_reading.pd, "read_parquet", None)
    with text_at_most(STRANGERS_BYTES), pytest.raises(TooLarge, match=f"^{REFUSED}$"):
        read_file(tmp_path / "t.parquet")


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "dictionary", "both"])
def test_a_table_that_may_be_read_is_the_same_with_a_bound(encoding: str, tmp_path: Path) -> None:
    """In several groups of rows, each with words of its own; a dictionary may end within a group."""
    texts = [None if number % 7 == 0 else f"{number} text" for number in range(9000)]
    options = {"use_dictionary": False, "column_encoding": {"a": encoding}} if encoding.isupper() else {}
    options |= {"dictionary_pagesize_limit": 1000} if encoding == "both" else {}
    parquet.write_table(pa.table({"a": texts, "n": range(9000)}), tmp_path / "t.parquet", row_group_size=700, **options)
    free = read_file(tmp_path / "t.parquet").frame
    with text_at_most(STRANGERS_BYTES):
        bound = read_file(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(free, bound.frame)
    assert bound.text_bytes == sum(len(text) for text in texts if text)


def test_texts_that_stand_often_are_not_unpacked_to_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(pa.table({"a.b": repeated("abc", 10), "c": ["d"] * 10}), tmp_path / "t.parquet")
    seen: list[Any] = []
    monkeypatch.setattr(parquet_text, "text_bytes", lambda array: seen.append(array.type) or 0)
    check_parquet_text(tmp_path / "t.parquet")
    assert len(seen) == 2 and all(map(pa.types.is_dictionary, seen))


def test_text_is_counted_a_part_of_the_rows_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(pa.table({"masked": pa.array([f"{n:04}" for n in range(5000)])}), tmp_path / "t.parquet")
    counts: list[int] = []
    monkeypatch.setattr(parquet_text, "check_text", lambda count, _: counts.append(count))
    check_parquet_text(tmp_path / "t.parquet")
    assert counts == [4096, 8192, 12_288, 16_384, 20_000]


def test_what_is_text_only_in_the_cells_is_counted_there(tmp_path: Path) -> None:
    """A number in a list is counted as one; told in words it is longer."""
    parquet.write_table(pa.table({"masked": pa.array([[1.123456789012345] * 4] * 100)}), tmp_path / "t.parquet")
    with text_at_most(1000):
        check_parquet_text(tmp_path / "t.parquet")
        with pytest.raises(TooLarge, match="of text"):
            read_file(tmp_path / "t.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".txt"])
def test_text_of_other_tables_is_bounded_likewise(suffix: str, tmp_path: Path) -> None:
    content = {".jsonl": '{"text": "a b"}\n' * 200, ".json": json.dumps([{"text": "a b"}] * 200)}
    path = tmp_path / f"t{suffix}"
    path.write_text(content.get(suffix, "text\n" + "a b\n" * 800))
    size = path.stat().st_size
    with text_at_most(size - 1), pytest.raises(TooLarge, match="leave rows or columns out"):
        read_upload(path)
    with text_at_most(size):
        assert len(read_upload(path).frame) in (200, 800, 801)
    with pytest.raises(TooLarge), text_at_most(size - 1):
        read_bytes(path.read_bytes(), suffix if suffix != ".txt" else ".csv")


def test_the_tables_beside_a_checkpoint_are_bounded_together(tmp_path: Path) -> None:
    rows = {"masked": ["a [MASK]"] * 10, **{name: [cell] * 10 for name, cell in REST.items()}}
    pd.DataFrame(rows).to_csv(tmp_path / "eval.csv", index=False)
    for number in range(4):
        pd.DataFrame({"text": ["a text of ten"] * 10}).to_csv(tmp_path / f"neutral{number}.csv", index=False)
    size = (tmp_path / "eval.csv").stat().st_size + 2 * (tmp_path / "neutral0.csv").stat().st_size
    with text_at_most(size):
        found = table_tasks.companions(tmp_path, None, [str(tmp_path)])
    assert len(found["rows"]["rows"]) == 10 and list(found["neutral"]) == ["neutral0", "neutral1"]
    assert [told.split(":")[0] for told in found["warnings"]] == [
        "neutral2.csv was not read", "neutral3.csv was not read",
    ]  # fmt: skip
    assert "and the tables before it" in found["warnings"][0] and "of all together" in found["warnings"][0]


def test_tables_of_encoded_values_are_counted_each_alone(tmp_path: Path) -> None:
    head = "type,template,factual_token,alternative_token,source_id,target_id,source_token,data_split\n"
    for number in (1, 2, 3):
        row = "training,a [MASK],he,she,M,F,he,test\n"
        (tmp_path / f"encoded_values{number}.csv").write_text(head + row * 10 * number)
    (tmp_path / "eval.csv").write_text("no columns of ours\n")  # read before them
    with text_at_most((tmp_path / "encoded_values3.csv").stat().st_size):
        found = table_tasks.companions(tmp_path, None, [str(tmp_path)])
    assert found["recovered"] and len(found["rows"]["rows"]) == 30
    assert [told for told in found["warnings"] if "MB of text" in told] == []


def test_without_a_bound_any_amount_is_read(tmp_path: Path) -> None:
    check_text(10**15)
    parquet.write_table(pa.table({"masked": repeated("x" * 1400, 40_000)}), tmp_path / "t.parquet")
    assert read_file(tmp_path / "t.parquet").frame.shape == (40_000, 1)
    with text_at_most(10), text_at_most(None):
        check_text(10**15)


# --- handing on -------------------------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "nothing": None,
    "a text": 'a\n"text"\u2028\x00ü\U0001f600',
    "half a character": ["\ud800", *["x\udc00"] * 300],
    "short lists": {"a": [1, 2.5, None, True, "x"], "b": {"c": []}},
    "a long list": list(range(1234)),
    "long lists within others": {"rows": {"rows": [[n, "x", f"{n}"] for n in range(777)]}, "e": [[], ["y"] * 101, {}]},
    "a list in a list in a list": [[[["a"] * 200] * 3] * 2],
    "objects in a long list": [{"a": {"b": [n]}} for n in range(250)],
    "large numbers": [2**70, -1.5e300] * 100,
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_comes_in_pieces_and_whole(kind: str) -> None:
    answer = {"value": ANSWERS[kind]}
    lines = told(answer, 2**30)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert heard(b"".join(lines)) == answer


def test_no_line_holds_more_than_some_items() -> None:
    lines = told({"value": {"columns": [["a"] * 1000, ["b"] * 1000]}}, 2**20)
    assert len(lines) == 1 + 2 * 1000 // confined.PART
    assert max(map(len, lines)) < 10 * confined.PART


def test_equal_texts_are_one() -> None:
    texts = heard(b"".join(told({"value": [["the same text", n] for n in range(500)]}, 2**20)))["value"]
    assert len({id(text) for text, _ in texts}) == 1


@pytest.mark.parametrize(
    ("value", "least"),
    [
        (["x" * 1000] * 1000, 2_000_000),
        ([f"{n:0100}" for n in range(1000)], 400_000),
        (["\U0001f600" * 1000 + str(n) for n in range(100)], 1_200_000),
        (["\x01" * 1000 + str(n) for n in range(100)], 1_300_000),
        (["a" * 999 + "\U0001f600" + str(n) for n in range(100)], 600_000),
        ("x" * 1_000_000, 5_000_000),
        ([[[]] * 50] * 1000, 1_500_000),
        ([0.1 + n for n in range(10_000)], 500_000),
        ({str(n): n for n in range(10_000)}, 1_000_000),
    ],
)
def test_an_answer_that_takes_more_memory_is_not_sent(value: Any, least: int) -> None:
    with pytest.raises(TooLong):
        told({"value": value}, least)
    assert heard(b"".join(told({"value": value}, 4 * least))) == {"value": value}


@pytest.mark.parametrize("content", [b"", b"x", b'{"value": []}\nx', b"\xff"])
def test_half_an_answer_is_none(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|decode"):
        heard(content)


# --- who asks ---------------------------------------------------------------------------------------------------------


def test_strangers_tables_are_bounded_and_ones_own_only_by_their_formats(tmp_path: Path) -> None:
    store = Store(":memory:")
    for trust, limits in ((LOCAL, OWN_TABLES), (Trust(public=True), TABLES)):
        assert Resources(store, tmp_path, tmp_path, trust).beside._run.keywords == {"limits": limits}  # type: ignore[attr-defined]
    store.close()
    assert TABLES.text_bytes == STRANGERS_BYTES and OWN_TABLES.text_bytes is None
    parquet.write_table(pa.table({"text": repeated("x" * 1400, 40_000)}), tmp_path / "t.parquet")
    for task in ("neutral_texts", "read_table"):
        with pytest.raises(TooLarge, match=REFUSED):
            run_confined(task, tmp_path / "t.parquet")
    assert len(run_confined("neutral_texts", tmp_path / "t.parquet", OWN_TABLES)["texts"]) == 40_000
    for read in (read_upload_confined, read_file_confined):
        with pytest.raises(TooLarge, match=REFUSED):
            read(tmp_path / "t.parquet")


MEASURED = """
import json, sys
from pathlib import Path
from gradiend_ui.engine.files.confined import run_confined
from gradiend_ui.engine.data.uploaded_tables import read_upload_confined
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.worker.tables import rows_from

def memory(kind):
    return int(next(line for line in open("/proc/self/status") if line.startswith(kind)).split()[1]) / 1024

told = {}
for path in map(Path, sys.argv[1:]):
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    try:
        task = path.stem.split("-")[0]
        if task == "read_table":
            kept = read_upload_confined(path)
        else:
            known = {"direction": {"M": 1.0, "F": -1.0}} if task == "rejected_rows" else {}
            kept = run_confined(task, path, options={"given": {}, **known} if task != "neutral_texts" else {})
            kept = rows_from(kept) if task == "checked_rows" else kept
        end = "ok"
    except GradiendUIError as error:
        end = str(error)
    told[path.name] = [memory("VmHWM") - before, end]
    kept = None
print(json.dumps(told))
"""


def _sentences(length: int, pad: str) -> Any:
    return pa.array([f"{number} [MASK] ".ljust(length, pad) for number in range(MAX_ROWS)])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured by /proc")
def test_what_the_asking_process_pays(tmp_path: Path) -> None:
    """Twice what a table may be, and as much as it may be, in the widest and the most numerous texts."""
    rest = {name: repeated(cell) for name, cell in REST.items()}
    tables = {
        "read_table-long": pa.table({"masked": repeated("x" * 1400)}),
        "read_table-wide": pa.table({f"c{number}": repeated("y" * 50) for number in range(25)}),
        "checked_rows-most": pa.table({"masked": _sentences(190, "x"), **rest}),
        "checked_rows-characters": pa.table({"masked": _sentences(47, "\U0001f600"), **rest}),
        "checked_rows-marks": pa.table({"masked": _sentences(190, "\x01"), **rest}),
        "rejected_rows-most": pa.table({"masked": repeated("x" * 150), **rest}),
        "neutral_texts-most": pa.table({"text": _sentences(200, "x")}),
    }
    for name, table in tables.items():
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    files = [str(tmp_path / f"{name}.parquet") for name in tables]
    ran = subprocess.run([sys.executable, "-c", MEASURED, *files], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    told = {name.removesuffix(".parquet"): pair for name, pair in json.loads(ran.stdout).items()}
    assert {name: end for name, (_, end) in told.items() if end == "ok"}.keys() == {
        "checked_rows-most", "checked_rows-characters", "rejected_rows-most", "neutral_texts-most",
    }  # fmt: skip
    assert "at most 40.0 MB are read" in told["read_table-long"][1] and "MB of text" in told["read_table-wide"][1]
    assert "224 MB of text and values" in told["checked_rows-marks"][1]
    assert {name: grown for name, (grown, _) in told.items() if grown > GROWTH} == {}
