"""What is told of data before a sweep, on the bundled demo: reading, words, the width of the threshold."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.uploaded_tables import keep_upload
from gradiend_ui.engine.errors import BadData, BadGrid, NotFound
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep import data_report
from gradiend_ui.engine.sweep.data_report import measure_neutral, threshold_told
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.worker.lane import Lane
from gradiend_ui.ui.data.report import build_reading
from gradiend_ui.ui.kit.words import Words
from tests.support import demo_facts

Ask = Callable[..., Any]
ODD = "satz;wort;klasse;gegenwort;gegenklasse\n"
GOOD = "the nurse said that [MASK] slept.;she;F;he;M\nthe cook said that [MASK] ate.;he;M;she;F\n"
BAD = "=no mask here;he;M;she;F\nthe boy said that [MASK] ate.;;M;she;F\n"


@pytest.fixture(scope="module")
def lane(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Lane:
    folder = tmp_path_factory.mktemp("data")
    return Lane(Store(folder / "runs.sqlite"), folder, demo)


@pytest.fixture(scope="module")
def ask(lane: Lane) -> Ask:
    """ask(kind, spec, ...) about the demo."""
    card = lane.handle("load", {"source": "demo", "options": {}})

    def ask_about(kind: str, spec: dict[str, Any], **more: Any) -> Any:
        return lane.handle(kind, {"checkpoint": card["checkpoint"], "spec": spec, **more})

    return ask_about


def uploaded(lane: Lane, text: str, suffix: str = ".csv", encoding: str = "utf-8") -> dict[str, str]:
    return {"upload": keep_upload(lane._bench.data_dir, text.encode(encoding), suffix), "name": f"mine{suffix}"}


def test_the_card_tells_counts_and_words(lane: Lane) -> None:
    card = lane.handle("load", {"source": "demo", "options": {}})
    assert ["F", "M", "test", demo_facts.row_count("test", "F")] in card["row_counts"]
    assert card["target_words"] == {"M": ["he"], "F": ["she"]}


def test_rows_beside_the_checkpoint_are_described(ask: Ask) -> None:
    found = ask("describe_rows", {})
    assert found["rows"] == demo_facts.row_count() and found["problem"] is None and not found["own"]
    assert len(found["first"]) == 5 and "[MASK]" in found["first"][0]["masked"]


def test_an_odd_table_is_read_guessed_and_its_bad_rows_listed(lane: Lane, ask: Ask) -> None:
    rows = uploaded(lane, ODD + GOOD * 6 + BAD, encoding="utf-16")
    found = ask("describe_rows", {"rows": rows})
    assert (found["encoding"], found["delimiter"], found["table_rows"]) == ("utf-16", ";", 14)
    assert found["columns"]["masked"] == "satz" and found["how"]["label"] == "content" and found["problem"] is None
    assert found["rows"] == 12 and [row["number"] for row in found["rejected"]] == [13, 14]
    assert found["classes"] == ["M", "F"] and found["target_words"] == {"M": ["he"], "F": ["she"]}
    text = ask("rejected_rows", {"rows": rows, "columns": found["columns"]})
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first == {
        "row": "13", "reason": "it has 0 times [MASK] instead of once", "satz": "'=no mask here", "wort": "he",
        "klasse": "M", "gegenwort": "she", "gegenklasse": "F",
    }  # fmt: skip
    assert second["reason"] == "its label is empty"


def test_a_table_that_cannot_be_scored_says_why(lane: Lane, ask: Ask) -> None:
    nothing = ask("describe_rows", {"rows": uploaded(lane, "a;b\n1;2\n")})
    assert "'masked'" in nothing["problem"] and nothing["table_columns"] == ["a", "b"]
    bad = ask("describe_rows", {"rows": uploaded(lane, ODD + BAD * 3)})
    assert build_reading(nothing, "mine.csv", Words("de"))["children"][-1]["children"] == [
        "Keine Spalte sieht nach 'masked' aus. Spalten: a, b."
    ]
    assert bad["rows"] == 0 and bad["rejected_count"] == 6 and "None of the 6 rows" in bad["problem"]
    strange_rows = ODD + GOOD.replace(";F", ";X").replace(";M", ";Y") * 6
    strange = ask("describe_rows", {"rows": uploaded(lane, strange_rows)})
    assert "the classes X, Y, and the checkpoint knows M, F" in strange["problem"]
    with pytest.raises(BadData, match="the classes X, Y"):
        ask("start", {"rows": uploaded(lane, strange_rows), "feature_factors": [1.0], "columns": strange["columns"]})
    two = ask("describe_rows", {"rows": uploaded(lane, ODD + GOOD.replace(";F", ";X") * 6)})
    assert "two classes of the GRADIEND" in two["problem"]
    with pytest.raises(BadData, match="upload it again"):
        ask("describe_rows", {"rows": {"upload": "0" * 64 + ".csv"}})


def test_words_resolve_to_their_ids(ask: Ask) -> None:
    found = ask("resolve_targets", {})
    assert found["mode"] == "rows" and not found["row_wise"] and found["words"] == {"M": ["he"], "F": ["she"]}
    own = ask("resolve_targets", {"targets": {"M": ["he", "He", "unbelievably"], "F": ["she", "he"]}})
    first, second = (entry["words"] for entry in own["classes"])
    assert own["mode"] == "own" and first[0]["spellings"] == ["he", "He"] and first[0]["shared"] == ["F"]
    assert first[1]["several_pieces"] and len(first[1]["ways"][0]["ids"]) == len(first[1]["ways"][0]["pieces"]) > 1
    assert not second[0]["shared"] and second[1]["shared"] == ["M"]
    assert ask("resolve_targets", {"targets": "label"})["row_wise"]
    with pytest.raises(BadGrid, match="non-empty"):
        ask("resolve_targets", {"targets": {"M": [], "F": ["she"]}})


def test_the_width_of_the_threshold_in_tokens(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_report, "BUDGET_SECONDS", 600.0)  # a slow machine would estimate from a part
    found = ask("describe_neutral", {"neutral_set": "pronoun-free"}, ratio=0.99)
    told, rows = demo_facts.neutral(), demo_facts.row_count("test")
    assert (found["texts"], found["tokens"], found["hits"], found["rows"]) == (
        told["texts"],
        told["masked"],
        told["hits"],
        rows,
    )
    width = told["hits"] / 100
    assert found["width_tokens"] == pytest.approx(width) and found["may_lose"] == math.floor(width)
    assert found["seconds_per_cell"] > 0 and found["name"] == "pronoun-free"
    other = demo_facts.neutral(demo_facts.GENDER_FREE)["hits"] / 100
    assert ask("describe_neutral", {"neutral_set": "gender-free"}, ratio=0.99)["width_tokens"] == pytest.approx(other)
    assert ask("describe_neutral", {"neutral_set": "gender-free"}, ratio=1.0)["may_lose"] == 0
    fallback = ask("describe_neutral", {"neutral_set": "none"}, ratio=0.99)
    assert fallback["name"] is None and "No neutral texts" in fallback["warnings"][0] and fallback["texts"] == rows
    with pytest.raises(BadGrid, match="ratio"):
        ask("describe_neutral", {}, ratio=0)


def test_what_the_threshold_allows_is_what_it_passes() -> None:
    """may_lose is the last loss that `lms >= ratio * base` accepts, for every count of hits."""
    for hits in range(1, 400, 7):
        for ratio in (0.9, 0.95, 0.99, 1.0):
            lost = threshold_told({"lms": hits / 500, "hits": hits, "total": 500}, 500, ratio)["may_lose"]
            assert hits - lost >= ratio * hits - 1e-9 and hits - lost - 1 < ratio * hits


def test_the_base_is_scored_once_for_the_sweep(lane: Lane, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"max_rows": 4, "max_neutral": 9, "split": "validation", "targets": {"M": ["he"], "F": ["she"]}}
    ask("describe_neutral", spec, ratio=0.99)
    scored: list[int] = []
    honest = PreparedSweep.score_block

    def counting(self: PreparedSweep, weights: Any, block: int) -> Any:
        scored.append(block)
        return honest(self, weights, block)

    monkeypatch.setattr(PreparedSweep, "score_block", counting)
    run = ask("start", {**spec, "learning_rates": [0.1], "feature_factors": [1.0]})["run"]
    while lane._bench.store.revision(run)[1] != "finished":
        assert lane.step()
    plan = lane._bench.plan(run)
    rows, blocks = len(plan.objective.blocks), len(plan.block_sizes)
    times = [scored.count(block) for block in range(blocks)]
    assert times == [1, *[2] * (rows - 1), *[1] * (blocks - rows)], "the base's texts and its first rows were there"


def test_measuring_stops_within_its_budget(lane: Lane, ask: Ask) -> None:
    run = ask("start", {"max_rows": 2, "learning_rates": [0.1], "feature_factors": [1.0]})["run"]
    plan = lane._bench.plan(run)
    moments = iter(range(0, 1000, 4))
    found = measure_neutral(plan, plan.model.base_model, Store(":memory:"), 0.99, lambda: float(next(moments)))
    assert 0 < found["scored_tokens"] < found["tokens"] == demo_facts.neutral()["masked"]


def test_causal_models_have_no_width_in_tokens() -> None:
    loss = 2.0
    lms = {"lms": 1 / (1 + loss), "perplexity": math.exp(loss), "total_log_likelihood": 20.0, "total_tokens": 10.0}
    found = threshold_told(lms, 10, 0.99)
    assert "hits" not in found and math.log(found["perplexity_limit"]) == pytest.approx(3 / 0.99 - 1)
    assert 1 / (1 + math.log(found["perplexity_limit"])) == pytest.approx(0.99 * lms["lms"])


def test_a_run_with_an_upload_is_resumed_and_shown_again(lane: Lane, ask: Ask) -> None:
    rows, texts = uploaded(lane, ODD + GOOD * 3), uploaded(lane, "it rained.\nthe sun shone.\n", ".txt")
    columns = ask("describe_rows", {"rows": rows})["columns"]
    spec = {"rows": rows, "columns": columns, "neutral": texts, "learning_rates": [0.1], "feature_factors": [1.0]}
    run = ask("start", spec)["run"]
    lane._bench._plans.clear()
    lane._bench._data = Memory()
    assert len(lane._bench.plan(run).rows) == 6
    record = lane._bench.store.run(run)
    assert record.info["row_counts"] == [["F", "M", "test", 3], ["M", "F", "test", 3]]
    again = ask("start", {**spec, "rows": {"run": run}, "neutral": {"run": run}})["run"]
    assert lane._bench.store.run(again).request["rows"] == rows
    with pytest.raises(NotFound):
        ask("start", {**spec, "rows": {"run": "nowhere"}})


@pytest.mark.parametrize("size", [30, 3_000_000], ids=["read here", "read in a process of its own"])
@pytest.mark.parametrize("kind", ["describe_neutral", "start"])
def test_of_two_uploads_the_one_that_is_meant_is_named(lane: Lane, ask: Ask, kind: str, size: int) -> None:
    """Both are .csv files, whichever of them is refused."""
    good, wrong = uploaded(lane, ODD + GOOD * 3), {**uploaded(lane, "\0" * size), "name": "other.csv"}
    columns = ask("describe_rows", {"rows": good})["columns"]
    texts = {**uploaded(lane, "text\nit rained.\n"), "name": "texts.csv"}
    plain = {**uploaded(lane, "a,b\n1,2\n"), "name": "plain.csv"}
    more: dict[str, Any] = {"ratio": 0.99} if kind == "describe_neutral" else {}
    for spec, sentence in (
        ({"rows": good, "neutral": wrong}, "other.csv cannot be read: it holds zero bytes"),
        ({"rows": wrong, "neutral": texts}, "other.csv cannot be read: it holds zero bytes"),
        ({"rows": good, "neutral": plain}, "plain.csv: Neutral texts need a column 'text'"),
        ({"rows": plain, "neutral": texts}, "plain.csv: There is no column"),
    ):
        with pytest.raises(BadData) as told:
            ask(kind, {**spec, "columns": columns}, **more)
        assert str(told.value).startswith(sentence)
        german = Words("de").of(told.value)
        assert german.startswith(sentence.split(maxsplit=1)[0]) and german != str(told.value)


def test_pieces_of_a_causal_model(tiny_gpt2: Path) -> None:
    words = report_words(load_base_model(str(tiny_gpt2)), {"M": ["he"], "F": ["she"]})
    assert words["F"][0].natural and all(len(ids) == 1 for ids in words["F"][0].read)
