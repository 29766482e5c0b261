"""What the page itself puts together, and the scripted session of these tests, against the shapes of the answers."""

from __future__ import annotations

from typing import Any

from gradiend_ui.engine.answers import checkpoint, data, model, run
from gradiend_ui.figures.heatmap import empty_picture
from gradiend_ui.ui.data.choice import OwnRows, data_of, opened_choice, own_table
from gradiend_ui.ui.runs.panel import FIRST, Hand
from gradiend_ui.ui.sweep.form import Asked, first_options, read_options
from tests.support.answer_shapes import misfits


def test_the_scripted_session_tells_what_a_session_tells(session: Any) -> None:
    name = session.open_finished("ck-1")["run"]
    cell = {"feature_factor": -1.0, "learning_rate": 0.2}
    told = [
        (checkpoint.About, session.about()),
        (checkpoint.Card, session.card("ck-1")),
        (run.StartedRun, session.start_sweep("ck-1", {})),
        (run.OpenedSweep, session.open_finished("ck-1")),
        (run.RunInfo, session.run_info(name)),
        (run.CellsAnswer, session.cells(name, 0)),
        (run.StateAnswer, session.pause(name)),
        (run.SelectionAnswer, session.select(name, {})),
        (run.Picture, session.picture(name, {})),
        (model.CompareAnswer, session.compare(name, [cell], ["[MASK] slept."], {})),
    ]
    assert [line for shape, answer in told for line in misfits(shape, answer, {})] == []


def test_the_page_puts_together_what_its_shapes_say(session: Any) -> None:
    card, info = session.card("ck-1"), session.run_info("run-1")
    read = read_options(Asked("F", None, "weaken", "strengthen", "lms_threshold", 0.99, False))
    assert set(read) == set(first_options(card, info["spec"])) == set(run.SelectOptions.__annotations__)
    report: dict[str, Any] = {"row_counts": [], "classes": ["M", "F"], "target_words": {}, "rejected_count": 0}
    own = own_table({"upload": "a.csv", "name": "mine.csv"}, {**report, "columns": {}, "problem": None})
    chosen = data_of(opened_choice(card, info["data"]), card)
    told = [
        (run.SelectOptions, read),
        (data.ChosenData, chosen),
        (OwnRows, own),
        (Hand, FIRST),
        (run.Picture, empty_picture([1.0, -1.0], [0.2, 0.1])),
    ]
    assert [line for shape, answer in told for line in misfits(shape, answer, {})] == []
    assert set(FIRST) == set(Hand.__annotations__) and set(chosen) | {"unusable"} == set(
        data.ChosenData.__annotations__
    )
