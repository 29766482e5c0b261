"""Requests to the worker: each has one handler, and both say the same of what is asked and answered."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from gradiend_ui.engine.sweep.spec import AskedSweep, DataChoice
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker import requests
from gradiend_ui.engine.worker.requests import Request, Rewriting
from gradiend_ui.engine.worker.worker import HANDLERS

ASKED = AskedSweep.of({"goal": "both", "learning_rates": [0.1, 1], "rows": {"upload": "u.csv"}})
CELL = Cell(-1.0, 0.5, "decoder-bias")
EXAMPLES: tuple[Request[Any], ...] = (
    requests.Wake(),
    requests.Load("demo", {"chat_prompt": True}, "mine", kept=3),
    requests.Reload("ck", {"swap": True}),
    requests.OpenFinished("ck", "grid.json"),
    requests.DescribeRows("ck", DataChoice(rows=[{"masked": "a [MASK]"}], columns={"masked": "text"})),
    requests.RejectedRows("ck", DataChoice()),
    requests.ResolveTargets("ck", ASKED),
    requests.DescribeNeutral("ck", ASKED, 0.99, {"rows": 5}),
    requests.StartSweep("ck", ASKED, "anna", "hash", {"cells": 9}),
    requests.FinishCell("run", CELL),
    requests.DeleteRun("run"),
    requests.Compare("run", (CELL,), ("a [MASK]",), {"top_k": 5}),
    requests.CompareAhead("run", None, ["a [MASK]"]),
    requests.CompareBase("ck", ("a [MASK]",)),
    requests.DescribeExport("run", Rewriting(CELL, "float16"), "she"),
    requests.Export("run", Rewriting(CELL), "/folder"),
    requests.Pack("/folder", "/folder.zip"),
)


def kinds() -> set[type[Request[Any]]]:
    """Every request that there is."""
    named = [thing for thing in vars(requests).values() if inspect.isclass(thing)]
    return {thing for thing in named if issubclass(thing, Request)} - {Request}


def test_every_request_has_one_handler_of_its_own() -> None:
    assert set(HANDLERS) == kinds() and len(kinds()) > 10
    assert len(set(HANDLERS.values())) == len(HANDLERS)


@pytest.mark.parametrize("kind", HANDLERS, ids=lambda kind: kind.__name__)
def test_a_handler_takes_its_request_and_gives_its_answer(kind: type[Request[Any]]) -> None:
    answers = [get_args(base) for base in kind.__orig_bases__ if get_origin(base) is Request]  # type: ignore[attr-defined]
    hints = get_type_hints(HANDLERS[kind])
    assert [hints["return"]] == [answer for (answer,) in answers]
    _, request = inspect.signature(HANDLERS[kind]).parameters
    assert hints[request] is kind


@pytest.mark.parametrize("request_", EXAMPLES, ids=lambda request: type(request).__name__)
def test_a_request_crosses_the_pipe_and_does_not_change(request_: Request[Any]) -> None:
    assert pickle.loads(pickle.dumps(request_)) == request_
    for item in fields(request_):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(request_, item.name, None)


def test_the_examples_are_of_every_kind() -> None:
    assert {type(example) for example in EXAMPLES} == kinds()
