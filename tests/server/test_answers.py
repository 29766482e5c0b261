"""The shapes of `engine.answers` against what the session really tells of the demo: a key on one side only fails."""

from __future__ import annotations

import inspect
import time
from typing import Any, is_typeddict

import pytest

from gradiend_ui.engine.answers import checkpoint, data, model, run
from gradiend_ui.server.answers import SELECT_OPTIONS, of_no_direction
from gradiend_ui.server.data import DATA_KEYS
from gradiend_ui.server.session import Session
from tests.support.answer_shapes import Seen, misfits, required_keys

SMALL = {"learning_rates": [0.2, 0.05, 20.0], "max_rows": 10, "max_neutral": 20, "winner_only": True, "goal": "both"}
TABLE = (
    "masked,label,label_class,alternative,alternative_class\nthe cook said that [MASK] ate.,he,M,she,F\n,he,M,she,F\n"
)
NOT_OF_THE_DEMO = {
    "Assumed", "Continuations", "FoundSweep", "Imported", "OpenedSweep", "RewriteAnswer", "RunLabel", "Said",
    "SaidToken", "Seed", "TableRead", "Unpacked",
}  # fmt: skip
FROM_A_PAGE = {"ChosenData", "DataSpec", "GivenData", "SelectOptions"}
NOT_IN_THE_DEMO = {
    "NeutralReport": {"perplexity", "perplexity_limit"},
    "ComparedText": {"continuation"},
    "CompareAnswer": {"note", "behind_padding"},
}

OF_OTHER_PARTS = {"part"}
"""A cell tells its part only where it is not the sweep's own."""


def test_a_card_of_before_with_one_sign_for_every_class_tells_no_direction(session: Session) -> None:
    card = session.card(session.load("demo")["checkpoint"])
    assert of_no_direction(card) == card
    given = {"what": "direction_from_training", "sentence": "", "values": {}}
    presets = {**card["presets"], "default": {"feature_factors": [1.0], "learning_rates": [0.1]}}
    same = {"M": 1.0, "F": 1.0}
    older = {**card, "strengthening_feature_factor": same, "assumed": [given], "presets": presets}
    shown = of_no_direction(older)
    assert shown["strengthening_feature_factor"] == {} and shown["missing"][0] == "direction"
    assert shown["presets"]["default"] == {"feature_factors": [-1.0, 1.0], "learning_rates": [0.1]}
    assert [item["what"] for item in shown["assumed"]] == ["undirected_older"]


@pytest.fixture(scope="module")
def told(session: Session) -> list[tuple[Any, object]]:
    """(shape, answer) of everything that is told of the demo, with a small sweep."""
    loaded = session.load("demo")
    handle = loaded["checkpoint"]
    started = session.start_sweep(handle, SMALL)
    sweep = started["run"]
    while session.revision(sweep)[1] in ("queued", "running"):
        time.sleep(0.02)
    assert session.run_info(sweep)["data"]["spec"]["split"] == "test"  # kept, though it is the default
    best = session.select(sweep)
    cell = {"feature_factor": best["feature_factor"], "learning_rate": best["learning_rate"]}
    own = session.data.keep_pasted(TABLE, "mine.csv", is_table=True)
    odd = session.data.keep_pasted("a,b\n1,2\n", "odd.csv", is_table=True)
    unknown = session.data.keep_pasted(f"{TABLE}an [MASK],he,male,she,F\n", "unknown.csv", is_table=True)
    texts = ["john was [MASK] .", "no gap"]
    return [
        (checkpoint.About, session.about()),
        (checkpoint.LoadAnswer, loaded),
        (checkpoint.Card, session.card(handle)),
        (data.RowsReport, session.data.rows(handle, {})),
        (data.RowsReport, session.data.rows(handle, {"rows": own})),
        (data.RowsReport, session.data.rows(handle, {"rows": odd})),
        (data.RowsReport, session.data.rows(handle, {"rows": unknown})),
        (data.TargetsReport, session.data.targets(handle, {})),
        (data.NeutralReport, session.data.neutral(handle, {"max_rows": 10, "max_neutral": 20}, 0.99)),
        (run.StartedRun, started),
        (run.StateAnswer, session.pause(sweep)),
        (run.RunInfo, session.run_info(sweep)),
        (run.CellsAnswer, session.cells(sweep)),
        (run.SelectionAnswer, best),
        (run.SelectionAnswer, session.select(sweep, {"policy": "lms_times_metric", "any_feature_factor": True})),
        (run.Picture, session.picture(sweep)),
        (run.RunList, session.runs.newest()),
        (model.CompareAnswer, session.compare(sweep, [cell], texts, {"skip_bad": True})),
        (model.ExportAnswer, session.exports.describe(sweep, cell)),
        *((model.ExportStep, step) for step in session.exports.write(sweep, cell)),
    ]


def test_what_is_told_of_the_demo_has_the_keys_of_its_shapes(told: list[tuple[Any, object]]) -> None:
    seen: Seen = {}
    assert [line for shape, answer in told for line in misfits(shape, answer, seen)] == []
    for shape in shapes():
        absent = NOT_IN_THE_DEMO.get(shape.__name__, set()) | OF_OTHER_PARTS
        unseen = set(shape.__annotations__) - seen.get(shape, set()) - absent
        is_told = shape.__name__ not in NOT_OF_THE_DEMO | FROM_A_PAGE and not is_base(shape)
        assert not (is_told and unseen), f"{shape.__name__}: nothing tells {sorted(unseen)}"


def test_a_key_on_one_side_is_noticed(told: list[tuple[Any, object]]) -> None:
    for shape, answer in told:
        if is_typeddict(shape):
            assert isinstance(answer, dict)
            assert misfits(shape, {**answer, "new": 1}, {}), shape.__name__
            some = next(iter(required_keys(shape)))
            assert misfits(shape, {key: value for key, value in answer.items() if key != some}, {}), shape.__name__


def test_what_comes_from_a_page_has_the_keys_that_the_server_takes() -> None:
    assert set(run.SelectOptions.__annotations__) == SELECT_OPTIONS
    assert set(data.DataSpec.__annotations__) == set(DATA_KEYS)


def is_base(shape: Any) -> bool:
    """Whether another shape has all of its keys and more."""
    own = shape.__annotations__.items()
    return any(own < other.__annotations__.items() for other in shapes())


def shapes() -> list[Any]:
    modules = (checkpoint, data, model, run)
    return [one for module in modules for _, one in inspect.getmembers(module, is_typeddict)]
