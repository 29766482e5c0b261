"""Earlier sweeps: the list, names and notes, deleting, two side by side."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gradiend_ui.engine.errors import NotAllowed, NotFound, TooLarge
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell, CellScore
from gradiend_ui.engine.worker.requests import DeleteRun
from gradiend_ui.server.door.roles import hashed
from gradiend_ui.server.door.visitors import Asker
from gradiend_ui.server.runs import Runs
from gradiend_ui.server.shared import Shared
from gradiend_ui.ui.kit.tree import text_of
from gradiend_ui.ui.listeners.runs import Drawer, common_question
from gradiend_ui.ui.runs import listing, pair
from gradiend_ui.ui.runs.panel import FIRST

CELLS = (Cell(-1.0, 0.1), Cell(-1.0, 0.2))
SPEC = {"goal": "both", "part": "decoder", "token_boundary": "reference", "split": "test", "target_classes": ["M", "F"]}
INFO: dict[str, Any] = {
    "classes": ["M", "F"],
    "feature_factors": [-1.0],
    "learning_rates": [0.1, 0.2],
    "neutral_set": "pronoun-free",
    "rows": 20,
    "neutral_tokens": 80,
    "fingerprint": "f",
    "spec": SPEC,
}
WINNER = {
    "feature_factor": -1.0,
    "learning_rate": 0.2,
    "probability": 0.71,
    "base_probability": 0.11,
    "lms": 0.39,
    "base_lms": 0.39,
    "fallback": False,
}


class Worker:
    """Deletes as the worker process does."""

    def __init__(self, store: Store) -> None:
        self.store, self.asked = store, []

    def ask(self, request: DeleteRun) -> None:
        self.asked.append(request)
        self.store.delete_run(request.run)


class Listed:
    """As much of a session as the drawer needs, on a real store."""

    def __init__(self, store: Store, shared: Shared, pictures: dict[str, Any]) -> None:
        self.store, self.shared, self.pictures = store, shared, pictures
        self.runs = Runs(shared, self.select)
        self.questions: list[dict[str, Any]] = []

    def select(self, run: str, options: dict[str, Any]) -> dict[str, Any]:
        if self.store.run(run).done == 0:
            raise NotFound("nothing yet")
        return WINNER

    def about(self) -> dict[str, Any]:
        return {"public": self.shared.public}

    def run_info(self, run: str) -> dict[str, Any]:
        return {"checkpoint": self.store.run(run).checkpoint}

    def picture(self, run: str, question: dict[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        return self.pictures[run]


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "runs.sqlite")
    store.save_checkpoint("ck", "demo", {}, {"name": "demo"})
    return store


@pytest.fixture
def listed(store: Store, tmp_path, make_picture: Callable[..., dict[str, Any]]) -> Listed:
    """Two runs, the second newer, finished, with another neutral set and other columns."""
    first = store.create_run("ck", {}, INFO, CELLS)
    scores = [CellScore(None, "final"), *(CellScore(cell, "final") for cell in CELLS)]
    second = store.create_finished_run("ck", {}, {**INFO, "neutral_set": "gender-free"}, scores)
    full = make_picture()
    part = {
        key: [row[1:] for row in full[key]] for key in ("metric", "lms", "lms_ratio", "status", "passes", "rows_done")
    }
    values = [[0.5, 0.5], [None, 0.25]]
    narrow = make_picture(**part, learning_rates=[0.2, 0.5], by_dataset={d: {"M": values, "F": values} for d in "MF"})
    session = Listed(store, Shared(store, Worker(store), tmp_path, False), {first: full, second: narrow})  # type: ignore[arg-type]
    session.first, session.second = first, second
    return session


@pytest.fixture
def drawer(listed: Listed, words, options) -> Drawer:
    return Drawer(listed, words, listed.second, FIRST, options)  # type: ignore[arg-type]


def test_the_list_tells_what_was_swept_and_what_won(drawer: Drawer, listed: Listed) -> None:
    listed.runs.label(listed.first, "  my\t<b>run</b> ", "line one\nline two\x07")
    _, tree, status, *_ = drawer.shown()
    text = text_of(tree)
    for part in ("my <b>run</b>", "line one\nline two", "2/2", "0/2", "M / F", "neutral set gender-free", "(−1, 0.2)",
                 "P 0.710", "base 0.110", "LMS 1.00", "no winner yet", "on the page"):  # fmt: skip
        assert part in text, part
    assert text_of(status) == "2 sweeps"
    assert text.count("Scored by an earlier version") == 2, "they note no scorer"
    assert text.index("gender-free") < text.index("pronoun-free"), "newest first"


def test_names_are_short_and_only_who_may_gives_them(listed: Listed) -> None:
    with pytest.raises(TooLarge, match="81 characters; at most 80"):
        listed.runs.label(listed.first, "x" * 81, "")
    with pytest.raises(NotFound):
        listed.runs.label("nobody", "x", "")
    public = Runs(Shared(listed.store, None, listed.shared.data_dir, True), listed.select)  # type: ignore[arg-type]
    assert public.newest() == {"runs": [], "count": 0}
    for action in (
        lambda: public.label(listed.first, "x", ""),
        lambda: public.delete(listed.first),
        lambda: public.entry(listed.first),
    ):
        with pytest.raises(NotAllowed, match="has no key"):
            action()
    assert listed.store.run(listed.first).name == ""


def test_a_visitors_drawer_has_the_runs_whose_keys_their_browser_keeps(drawer: Drawer, listed: Listed) -> None:
    kept = listed.store.create_run("ck", {}, {**INFO, "neutral_set": "mine"}, CELLS, key_hash=hashed("k"))
    listed.shared = Shared(listed.store, Worker(listed.store), listed.shared.data_dir, True)  # type: ignore[arg-type]
    listed.runs = Runs(listed.shared, listed.select)
    stranger, holder = replace(drawer, asker=Asker("anna")), replace(drawer, asker=Asker("anna", ring={kept: "k"}))
    assert "has started no sweep here yet" in text_of(stranger.shown()[1])
    shown = text_of(holder.shown()[1])
    assert "neutral set mine" in shown and "gender-free" not in shown and "reached by their link only" in shown
    for press in ("edit", "pair"):
        with pytest.raises(NotAllowed):
            stranger.press(f"{press}:{kept}").shown()
        with pytest.raises(NotAllowed):
            holder.press(f"{press}:{listed.first}").shown()
    with pytest.raises(NotAllowed):
        stranger.press(f"sure:{kept}")
    assert listed.store.count_runs() == 3
    holder.press(f"edit:{kept}").labelled("named", "")
    assert listed.store.run(kept).name == "named"
    assert holder.press(f"sure:{kept}").said == "named was deleted." and listed.store.count_runs() == 2


def test_the_empty_list_says_what_would_be_there(words) -> None:
    assert "No earlier sweeps" in text_of(listing.build_list([], 0, listing.Marks(), words))


def test_deleting_asks_once_and_leaves_the_page_without_the_run(drawer: Drawer, listed: Listed) -> None:
    asked = drawer.press(f"delete:{listed.second}")
    assert "Delete this sweep" in text_of(asked.shown()[1]) and listed.store.count_runs() == 2
    assert "Delete this sweep" not in text_of(asked.press("keep:").shown()[1])
    gone = asked.press(f"sure:{listed.second}")
    assert listed.shared.worker.asked == [DeleteRun(listed.second)]
    assert [run.id for run in listed.store.runs()] == [listed.first]
    assert gone.wanted == "card:ck", "the run was on the page"
    assert text_of(gone.shown()[2]) == "demo was deleted."
    other = drawer.press(f"sure:{listed.first}")
    assert other.wanted == ""


def test_the_form_is_filled_and_saved(drawer: Drawer, listed: Listed) -> None:
    listed.runs.label(listed.first, "old", "note")
    editing = drawer.press(f"edit:{listed.first}")
    form, name, note = editing.shown()[5:8]
    assert (form["visible"], name, note, editing.wanted) == (True, "old", "note", "form")
    saved = editing.labelled("new", "")
    assert saved.shown()[5]["visible"] is False and listed.store.run(listed.first).name == "new"


def test_two_runs_stand_side_by_side_under_one_question(drawer: Drawer, listed: Listed) -> None:
    half = drawer.press(f"pair:{listed.first}")
    assert "is chosen" in text_of(half.shown()[3]) and half.shown()[4]["visible"] is False
    both = half.press(f"pair:{listed.second}")
    tree = both.shown()[3]
    assert both.shown()[4]["visible"] is True
    assert len({str(question) for question in listed.questions}) == 1
    text = text_of(tree)
    assert "pronoun-free" in text and "gender-free" in text and "The same in both: model" in text
    assert "B − A: P(F) on M rows" in text, "the page asks for F"
    assert "B − A: LMS / base" in text_of(both.press("number:2").shown()[3])
    third = both.press("pair:third")
    assert third.hand["pair"] == [listed.first, "third"], "a third run takes the second one's place"
    assert both.press("apart:").hand["pair"] == []


def sides(listed: Listed) -> tuple[pair.Side, pair.Side]:
    runs = (("A", listed.first), ("B", listed.second))
    first, second = (pair.Side(letter, listed.runs.entry(run), listed.pictures[run]) for letter, run in runs)
    return first, second


def test_colours_mean_the_same_in_both_grids(listed: Listed) -> None:
    first, second = sides(listed)
    number = pair.Number("M", "F")
    assert pair.scale(number, first, second) == (0.0, 0.76)
    low, high = pair.scale(pair.Number(), first, second)
    assert (low, high) == (0.958, 1.016)


def test_the_difference_is_b_minus_a_where_both_have_the_cell(listed: Listed) -> None:
    first, second = sides(listed)
    number = pair.Number("M", "F")
    factors, rates, table = pair.difference(first, second, number)
    assert (factors, rates) == ([-1.0, 1.0], [0.2, 0.5])
    assert table[0] == pytest.approx([0.5 - 0.71, 0.5 - 0.76]) and table[1] == [None, None]
    lines = list(csv.DictReader(pair.csv_of(first, second, number).splitlines()))
    assert len(lines) == 6
    assert lines[0] == {"feature_factor": "-1.0", "learning_rate": "0.1", "a": "0.47", "b": "", "difference": ""}
    assert float(lines[1]["difference"]) == pytest.approx(-0.21)


def test_settings_that_differ_are_found(listed: Listed) -> None:
    first, second = sides(listed)
    assert pair.differing(first.entry, second.entry) == ["neutral_set"]


def test_a_class_that_one_run_lacks_is_not_asked_for(options) -> None:
    one, other = {"all_classes": ["M", "F"]}, {"all_classes": ["N", "M"]}
    assert common_question([one, other], options)["target_class"] == "M"
    assert "target_class" not in common_question([one, {"all_classes": ["N"]}], options)


@pytest.mark.parametrize(
    ("value", "narrow", "change", "text"),
    [
        (0.71249, False, False, "0.712"),
        (0.71249, True, False, "0.71"),
        (-0.0314, False, True, "−0.031"),
        (0.0314, False, True, "+0.031"),
        (0.0001, True, True, "0"),
        (None, True, False, "–"),
    ],
)
def test_numbers_fit_their_cells(value: float | None, narrow: bool, change: bool, text: str) -> None:
    assert pair.short(value, narrow, change) == text
