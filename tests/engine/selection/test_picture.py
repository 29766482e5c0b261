"""Pictures are kept until a cell changes, and then only what changed is read again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gradiend_ui.engine.errors import NotFound
from gradiend_ui.engine.selection.picture import MOST_RUNS, Pictures, picture_of
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, LMSTimesMetricPolicy
from gradiend_ui.engine.selection.winner import Question
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import BASE_LMS, Cell, CellScore, Grid
from gradiend_ui.engine.worker.health_card import export_facts

GRID = Grid((-1.0, 1.0), (0.1, 0.2))
QUESTION = Question("F", ("M", "F"), {"M": 1.0, "F": -1.0})


class CountingStore(Store):
    """Writes down how many scores each read brought."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.read: list[int] = []

    def cells(self, run: str, after_rev: int = 0) -> tuple[int, list[CellScore]]:
        rev, scores = super().cells(run, after_rev)
        self.read.append(len(scores))
        return rev, scores


def score(cell: Cell | None, value: float) -> CellScore:
    probabilities = {dataset: {"M": 1 - value, "F": value} for dataset in ("M", "F")}
    lms = {"lms": 0.4, "hits": 40.0, "total": 100.0}
    return CellScore(cell, "final", probabilities, lms, rows_done=4, rows_total=4)


@pytest.fixture
def store() -> Any:
    opened = CountingStore()
    yield opened
    opened.close()


def new_run(store: Store) -> str:
    scores = [score(None, 0.1), *(score(cell, 0.2 + place / 10) for place, cell in enumerate(GRID.cells))]
    return store.create_finished_run("ck", {}, {}, scores)


def test_the_same_picture_is_given_until_a_cell_changes(store: CountingStore) -> None:
    run, pictures = new_run(store), Pictures(store)
    rev, first = pictures.of(run, GRID, QUESTION)
    assert first == picture_of(QUESTION, GRID, store.cells(run)[1][0], store.cells(run)[1][1:])
    assert pictures.of(run, GRID, QUESTION)[1] is first
    store.commit(run, 1, score(GRID.cells[0], 0.9))
    later, changed = pictures.of(run, GRID, QUESTION)
    assert later > rev and changed["metric"][0] == [0.9, pytest.approx(0.3)]
    assert changed == picture_of(QUESTION, GRID, store.cells(run)[1][0], store.cells(run)[1][1:])


def test_only_what_changed_is_read_again(store: CountingStore) -> None:
    run, pictures = new_run(store), Pictures(store)
    pictures.of(run, GRID, QUESTION)
    pictures.of(run, GRID, QUESTION)
    store.commit(run, 0, score(None, 0.5))
    assert pictures.of(run, GRID, QUESTION)[1]["base"]["metric"] == 0.5
    assert store.read == [5, 0, 1]


def test_every_question_has_its_own_answer(store: CountingStore) -> None:
    run, pictures = new_run(store), Pictures(store)
    other = Question("M", QUESTION.classes, QUESTION.strengthening)
    assert pictures.of(run, GRID, QUESTION)[1]["metric"][0] == [0.2, pytest.approx(0.3)]
    assert pictures.of(run, GRID, other)[1]["metric"][0] == [0.8, pytest.approx(0.7)]
    assert pictures.of(run, GRID, QUESTION)[1]["other"] == "M"
    assert pictures.of(run, GRID, other)[1]["other"] == "F"


@pytest.mark.parametrize("any_feature_factor", [True, False])
@pytest.mark.parametrize("goal", ["strengthen", "weaken"])
@pytest.mark.parametrize("policy", [LMSThresholdPolicy(0.5), LMSThresholdPolicy(1.5), LMSTimesMetricPolicy()])
def test_a_picture_is_the_same_whatever_was_asked_before(
    store: CountingStore, policy: Any, goal: str, any_feature_factor: bool
) -> None:
    run, pictures = new_run(store), Pictures(store)
    store.commit(run, 1, CellScore(GRID.cells[2], "provisional", rows_done=1, rows_total=4, errors={"lms": 0.1}))
    base, *scores = store.cells(run)[1]
    for name in QUESTION.classes:
        pictures.of(run, GRID, Question(name, QUESTION.classes, QUESTION.strengthening))
        asked = Question(name, QUESTION.classes, QUESTION.strengthening, goal, policy, any_feature_factor)
        assert pictures.of(run, GRID, asked)[1] == picture_of(asked, GRID, base, scores)


def test_another_threshold_reads_no_score_again(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run, pictures = new_run(store), Pictures(store)
    first = pictures.of(run, GRID, QUESTION)[1]
    monkeypatch.setattr(Question, "metric", only_of_the_base(Question.metric))
    second = pictures.of(run, GRID, replace(QUESTION, policy=LMSThresholdPolicy(1.01)))[1]
    assert all(second[key] is first[key] for key in ("metric", "lms", "lms_ratio", "status", "by_dataset"))
    assert first["passes"] == [[True, True], [True, True]] and second["passes"] == [[False, False], [False, False]]
    assert not first["selection"]["fallback"] and second["selection"]["fallback"]
    monkeypatch.undo()
    store.commit(run, 1, score(GRID.cells[0], 0.9))
    assert pictures.of(run, GRID, QUESTION)[1]["by_dataset"]["M"]["F"][0][0] == 0.9


def only_of_the_base(metric: Any) -> Any:
    def read(question: Question, of: CellScore) -> float | None:
        assert of.cell is None, "a cell was read again"
        return metric(question, of)

    return read


def test_a_run_that_was_forgotten_is_read_again_and_an_unknown_one_refused(store: CountingStore) -> None:
    pictures = Pictures(store)
    runs = [new_run(store) for _ in range(MOST_RUNS + 1)]
    for run in (*runs, runs[0]):
        assert pictures.of(run, GRID, QUESTION)[1]["metric"][0][0] == 0.2
    assert store.read == [5] * (MOST_RUNS + 2)
    with pytest.raises(NotFound):
        pictures.of("nonsense", GRID, QUESTION)


def test_before_the_base_is_final_its_lms_on_the_same_texts_is_compared_with() -> None:
    cells = list(GRID.cells)
    look = CellScore(cells[0], "provisional", {"M": {"F": 0.3}}, {"lms": 0.45, BASE_LMS: 0.5}, 2, 4)
    part = CellScore(None, "provisional", {"M": {"F": 0.1}}, {"lms": 0.8}, 3, 4)
    early = picture_of(QUESTION, GRID, part, [look])
    assert early["lms_ratio"][0] == [pytest.approx(0.9), None] and early["passes"][0] == [None, None]
    whole = picture_of(QUESTION, GRID, score(None, 0.1), [look, score(cells[1], 0.2)])
    assert whole["lms_ratio"][0] == [pytest.approx(0.9), 1.0]
    assert whole["passes"][0] == [None, True], "another part of the texts says nothing of the threshold"


def test_a_picture_counts_skipped_cells_and_tells_of_rounding() -> None:
    cells = list(GRID.cells)
    skipped = replace(score(cells[0], 0.2), status="skipped", reason="Cannot win.")
    rounded = replace(score(None, 0.1), precision="bfloat16", errors={"M|F": 0.002, "F|F": 0.001, "lms": 0.003})
    picture = picture_of(QUESTION, GRID, rounded, [skipped])
    assert picture["skipped"] == 1 and picture["precision_error"] == {"probability": 0.002, "lms": 0.003}
    assert picture["base"]["precision"] == "bfloat16" and picture["precisions"][0] == ["float32", "float32"]
    exact = replace(rounded, precision="float32")
    assert picture_of(QUESTION, GRID, exact, [])["precision_error"] is None, "of a first look in bfloat16"


def test_an_export_names_the_precision_of_its_scores() -> None:
    cell = GRID.cells[0]
    info: dict[str, Any] = {"rows": 4, "spec": {"split": "test"}, "neutral_set": "n", "fingerprint": "f"}
    off = {"M|F": 0.0015, "lms": 0.001}
    rounded = [
        replace(score(None, 0.1), precision="bfloat16", errors=off),
        replace(score(cell, 0.2), precision="bfloat16"),
    ]
    told = "bfloat16: on the base model at most 0.0015 in a probability, 0.001 in the LMS off float32"
    assert export_facts(info, rounded, cell)["precision"] == told
    assert "precision" not in export_facts(info, [score(None, 0.1), score(cell, 0.2)], cell)
    assert "precision" not in export_facts(info, rounded, None), "no scores are shown, so nothing is to be told of them"
