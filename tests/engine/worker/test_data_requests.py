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
from gradiend_ui.engine.scoring.target_report import report_words
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep import data_report
from gradiend_ui.engine.sweep.data_report import measure_neutral, threshold_told
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.worker.requests import (
    DescribeNeutral,
    DescribeRows,
    Load,
    RejectedRows,
    Request,
    ResolveTargets,
    StartSweep,
)
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.ui.data.report import build_reading
from gradiend_ui.ui.kit.words import Words
from tests.support import demo_facts

Ask = Callable[..., Any]
ODD = "satz;wort;klasse;gegenwort;gegenklasse\n"
GOOD = "the nurse said that [MASK] slept.;she;F;he;M\nthe cook said that [MASK] ate.;he;M;she;F\n"
BAD = "=no mask here;he;M;she;F\nthe boy said that [MASK] ate.;;M;she;F\n"


@pytest.fixture(scope="module")
def worker(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    folder = tmp_path_factory.mktemp("data")
    return Worker(Store(folder / "runs.sqlite"), folder, demo)


@pytest.fixture(scope="module")
def ask(worker: Worker) -> Ask:
    """ask(a request's class, spec, what else it takes) about the demo."""
    card = worker.answer(Load("demo", {}))

    def ask_about(kind: type[Request[Any]], spec: dict[str, Any], *more: Any) -> Any:
        about = DataChoice.of(spec) if kind in (DescribeRows, RejectedRows) else AskedSweep.of(spec)
        return worker.answer(kind(card["checkpoint"], about, *more))

    return ask_about


def uploaded(worker: Worker, text: str, suffix: str = ".csv", encoding: str = "utf-8") -> dict[str, str]:
    return {"upload": keep_upload(worker._resources.data_dir, text.encode(encoding), suffix), "name": f"mine{suffix}"}


def test_the_card_tells_counts_and_words(worker: Worker) -> None:
    card = worker.answer(Load("demo", {}))
    assert ["F", "M", "test", demo_facts.row_count("test", "F")] in card["row_counts"]
    assert card["target_words"] == {"M": ["he"], "F": ["she"]}


def test_rows_beside_the_checkpoint_are_described(ask: Ask) -> None:
    found = ask(DescribeRows, {})
    assert found["rows"] == demo_facts.row_count() and found["problem"] is None and not found["own"]
    assert len(found["first"]) == 5 and "[MASK]" in found["first"][0]["masked"]


def test_an_odd_table_is_read_guessed_and_its_bad_rows_listed(worker: Worker, ask: Ask) -> None:
    rows = uploaded(worker, ODD + GOOD * 6 + BAD, encoding="utf-16")
    found = ask(DescribeRows, {"rows": rows})
    assert (found["encoding"], found["delimiter"], found["table_rows"]) == ("utf-16", ";", 14)
    assert found["columns"]["masked"] == "satz" and found["how"]["label"] == "content" and found["problem"] is None
    assert found["rows"] == 12 and [row["number"] for row in found["rejected"]] == [13, 14]
    assert found["classes"] == ["M", "F"] and found["target_words"] == {"M": ["he"], "F": ["she"]}
    text = ask(RejectedRows, {"rows": rows, "columns": found["columns"]})
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first == {
        "row": "13", "reason": "it has 0 times [MASK] instead of once", "satz": "'=no mask here", "wort": "he",
        "klasse": "M", "gegenwort": "she", "gegenklasse": "F",
    }  # fmt: skip
    assert second["reason"] == "its label is empty"


def test_a_table_that_cannot_be_scored_says_why(worker: Worker, ask: Ask) -> None:
    nothing = ask(DescribeRows, {"rows": uploaded(worker, "a;b\n1;2\n")})
    assert "'masked'" in nothing["problem"] and nothing["table_columns"] == ["a", "b"]
    bad = ask(DescribeRows, {"rows": uploaded(worker, ODD + BAD * 3)})
    assert build_reading(nothing, "mine.csv", Words("de"))["children"][-1]["children"] == [
        "Keine Spalte sieht nach „Satz mit [MASK]“ aus. Spalten: a, b."
    ]
    assert bad["rows"] == 0 and bad["rejected_count"] == 6 and "None of the 6 rows" in bad["problem"]
    strange_rows = ODD + GOOD.replace(";F", ";X").replace(";M", ";Y") * 6
    strange = ask(DescribeRows, {"rows": uploaded(worker, strange_rows)})
    assert "the classes X, Y, and the checkpoint knows M, F" in strange["problem"]
    with pytest.raises(BadData, match="the classes X, Y"):
        ask(
            StartSweep,
            {"rows": uploaded(worker, strange_rows), "feature_factors": [1.0], "columns": strange["columns"]},
        )
    two = ask(DescribeRows, {"rows": uploaded(worker, ODD + GOOD.replace(";F", ";X") * 6)})
    assert "its label_class 'X' is no class of the checkpoint" in two["problem"]
    with pytest.raises(BadData, match="upload it again"):
        ask(DescribeRows, {"rows": {"upload": "0" * 64 + ".csv"}})


def test_words_resolve_to_their_ids(ask: Ask) -> None:
    found = ask(ResolveTargets, {})
    assert found["mode"] == "rows" and not found["row_wise"] and found["words"] == {"M": ["he"], "F": ["she"]}
    own = ask(ResolveTargets, {"targets": {"M": ["he", "He", "unbelievably"], "F": ["she", "he"]}})
    first, second = (entry["words"] for entry in own["classes"])
    assert own["mode"] == "own" and first[0]["spellings"] == ["he", "He"] and first[0]["shared"] == ["F"]
    assert first[1]["several_pieces"] and len(first[1]["ways"][0]["ids"]) == len(first[1]["ways"][0]["pieces"]) > 1
    assert not second[0]["shared"] and second[1]["shared"] == ["M"]
    assert ask(ResolveTargets, {"targets": "label"})["row_wise"]
    with pytest.raises(BadGrid, match="non-empty"):
        ask(ResolveTargets, {"targets": {"M": [], "F": ["she"]}})


def test_the_width_of_the_threshold_in_tokens(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_report, "BUDGET_SECONDS", 600.0)  # a slow machine would estimate from a part
    found = ask(DescribeNeutral, {"neutral_set": "pronoun-free"}, 0.99)
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
    assert ask(DescribeNeutral, {"neutral_set": "gender-free"}, 0.99)["width_tokens"] == pytest.approx(other)
    assert ask(DescribeNeutral, {"neutral_set": "gender-free"}, 1.0)["may_lose"] == 0
    fallback = ask(DescribeNeutral, {"neutral_set": "none"}, 0.99)
    assert fallback["name"] is None and "No neutral texts" in fallback["warnings"][0] and fallback["texts"] == rows
    with pytest.raises(BadGrid, match="ratio"):
        ask(DescribeNeutral, {}, 0)


def test_what_the_threshold_allows_is_what_it_passes() -> None:
    """may_lose is the last loss that `lms >= ratio * base` accepts, for every count of hits."""
    for hits in range(1, 400, 7):
        for ratio in (0.9, 0.95, 0.99, 1.0):
            lost = threshold_told({"lms": hits / 500, "hits": hits, "total": 500}, 500, ratio)["may_lose"]
            assert hits - lost >= ratio * hits - 1e-9 and hits - lost - 1 < ratio * hits


def test_the_base_is_scored_once_for_the_sweep(worker: Worker, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"max_rows": 4, "max_neutral": 9, "split": "validation", "targets": {"M": ["he"], "F": ["she"]}}
    ask(DescribeNeutral, spec, 0.99)
    scored: list[int] = []
    honest = PreparedSweep.score_block

    def counting(self: PreparedSweep, weights: Any, block: int) -> Any:
        scored.append(block)
        return honest(self, weights, block)

    monkeypatch.setattr(PreparedSweep, "score_block", counting)
    run = ask(StartSweep, {**spec, "learning_rates": [0.1], "feature_factors": [1.0]})["run"]
    while worker._resources.store.revision(run)[1] != "finished":
        assert worker.step()
    plan = worker._resources.plan(run)
    rows, blocks = len(plan.objective.blocks), len(plan.block_sizes)
    times = [scored.count(block) for block in range(blocks)]
    assert times == [1, *[2] * (rows - 1), *[1] * (blocks - rows)], "the base's texts and its first rows were there"


def test_measuring_stops_within_its_budget(worker: Worker, ask: Ask) -> None:
    run = ask(StartSweep, {"max_rows": 2, "learning_rates": [0.1], "feature_factors": [1.0]})["run"]
    plan = worker._resources.plan(run)
    moments = iter(range(0, 1000, 4))
    found = measure_neutral(plan, plan.model.base_model, Store(":memory:"), 0.99, lambda: float(next(moments)))
    assert 0 < found["scored_tokens"] < found["tokens"] == demo_facts.neutral()["masked"]


def test_causal_models_have_no_width_in_tokens() -> None:
    loss = 2.0
    lms = {"lms": 1 / (1 + loss), "perplexity": math.exp(loss), "total_log_likelihood": 20.0, "total_tokens": 10.0}
    found = threshold_told(lms, 10, 0.99)
    assert "hits" not in found and math.log(found["perplexity_limit"]) == pytest.approx(3 / 0.99 - 1)
    assert 1 / (1 + math.log(found["perplexity_limit"])) == pytest.approx(0.99 * lms["lms"])


def test_a_run_with_an_upload_is_resumed_and_shown_again(worker: Worker, ask: Ask) -> None:
    rows, texts = uploaded(worker, ODD + GOOD * 3), uploaded(worker, "it rained.\nthe sun shone.\n", ".txt")
    columns = ask(DescribeRows, {"rows": rows})["columns"]
    spec = {"rows": rows, "columns": columns, "neutral": texts, "learning_rates": [0.1], "feature_factors": [1.0]}
    run = ask(StartSweep, spec)["run"]
    worker._resources._plans.clear()
    worker._resources.data.forget()
    assert len(worker._resources.plan(run).rows) == 6
    record = worker._resources.store.run(run)
    assert record.info["row_counts"] == [["F", "M", "test", 3], ["M", "F", "test", 3]]
    again = ask(StartSweep, {**spec, "rows": {"run": run}, "neutral": {"run": run}})["run"]
    assert worker._resources.store.run(again).request["rows"] == rows
    with pytest.raises(NotFound):
        ask(StartSweep, {**spec, "rows": {"run": "nowhere"}})


@pytest.mark.parametrize("size", [30, 3_000_000], ids=["read here", "read in a process of its own"])
@pytest.mark.parametrize("kind", [DescribeNeutral, StartSweep])
def test_of_two_uploads_the_one_that_is_meant_is_named(
    worker: Worker, ask: Ask, kind: type[Request[Any]], size: int
) -> None:
    """Both are .csv files, whichever of them is refused."""
    good, wrong = uploaded(worker, ODD + GOOD * 3), {**uploaded(worker, "\0" * size), "name": "other.csv"}
    columns = ask(DescribeRows, {"rows": good})["columns"]
    texts = {**uploaded(worker, "text\nit rained.\n"), "name": "texts.csv"}
    plain = {**uploaded(worker, "a,b\n1,2\n"), "name": "plain.csv"}
    more = (0.99,) if kind is DescribeNeutral else ()
    for spec, sentence in (
        ({"rows": good, "neutral": wrong}, "other.csv cannot be read: it holds zero bytes"),
        ({"rows": wrong, "neutral": texts}, "other.csv cannot be read: it holds zero bytes"),
        ({"rows": good, "neutral": plain}, "plain.csv: Neutral texts need a column 'text'"),
        ({"rows": plain, "neutral": texts}, "plain.csv: There is no column"),
    ):
        with pytest.raises(BadData) as told:
            ask(kind, {**spec, "columns": columns}, *more)
        assert str(told.value).startswith(sentence)
        german = Words("de").of(told.value)
        assert german.startswith(sentence.split(maxsplit=1)[0]) and german != str(told.value)


def test_pieces_of_a_causal_model(tiny_gpt2: Path) -> None:
    words = report_words(load_base_model(str(tiny_gpt2)), {"M": ["he"], "F": ["she"]})
    assert words["F"][0].natural and all(len(ids) == 1 for ids in words["F"][0].read)
