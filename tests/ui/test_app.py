"""The built page: names and order of the public functions, refusals, headers, the start script."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from gradio.blocks import postprocess_update_dict

import app
from gradiend_ui.engine.errors import BadData, BadGrid, TooLarge
from gradiend_ui.server.comparing import check_compared
from gradiend_ui.server.door.gate import Doors
from gradiend_ui.server.door.quotas import LOCAL
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui import api
from gradiend_ui.ui.grid.heatmap import Heatmap
from gradiend_ui.ui.kit import routes

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "load": ["source", "options"],
    "start_sweep": ["checkpoint", "spec"],
    "cells": ["run", "rev"],
    "pause": ["run", "key"],
    "resume": ["run", "key"],
    "finish_cell": ["run", "cell", "key"],
    "stop": ["run", "key"],
    "label": ["run", "name", "note", "key"],
    "delete": ["run", "key"],
    "select": ["run", "options"],
    "open_finished": ["checkpoint", "options"],
    "compare": ["run", "cells", "texts", "options"],
    "export": ["run", "options"],
}
DOORS = Doors(public=False, host="testserver", quotas=LOCAL, names=frozenset(PUBLIC), functions=frozenset())

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")


@pytest.fixture
def blocks(session):
    """Built inside a running event loop: outside of one, Gradio makes loops that nobody closes."""
    from gradiend_ui.ui.layout import build_app

    async def build():
        return build_app(session)

    return asyncio.run(build())


def test_the_public_functions_are_exactly_those_of_the_readme(blocks) -> None:
    endpoints = blocks.get_api_info()["named_endpoints"]
    found = {
        name.removeprefix("/"): [item["parameter_name"] for item in endpoint["parameters"]]
        for name, endpoint in endpoints.items()
    }
    assert found == PUBLIC


def test_every_listener_of_the_page_is_private(blocks) -> None:
    public = {function.api_name for function in blocks.fns.values() if function.api_visibility == "public"}
    assert public == set(PUBLIC)


def test_no_listener_waits_for_other_visitors(blocks) -> None:
    limited = [
        function.name
        for function in blocks.fns.values()
        if function.fn is not None and function.queue and function.concurrency_limit is not None
    ]
    assert set(limited) <= {"leave"}


def test_the_page_is_told_values_and_no_printed_objects(blocks) -> None:
    """Gradio takes any name that a component's script has in quotes for an event, and prints what it makes of it."""
    assert "functools.partial" not in json.dumps([block.get_config() for block in blocks.blocks.values()], default=str)
    maps = next(block for block in blocks.blocks.values() if isinstance(block, Heatmap))
    moved = postprocess_update_dict(type(maps)(goto=[0, 1]), {"goto": [0, 1]})
    assert moved == {"goto": [0, 1], "props": {"goto": [0, 1]}, "__type__": "update"}


def test_refusals_carry_their_code(blocks) -> None:
    import gradio as gr

    load = next(function.fn for function in blocks.fns.values() if function.api_name == "load")
    with pytest.raises(gr.Error, match=r"\[bad_checkpoint\] There is no folder"):
        load("/nowhere", {})


def test_numbers_that_are_not_finite_leave_as_null_with_a_reason() -> None:
    assert api.sendable({"lms": math.nan, "p": 0.5}) == {"lms": None, "p": 0.5, "reason": api.NOT_FINITE}
    assert api.sendable([1, (2.0, math.inf)]) == [1, [2.0, None]]


def test_wrong_shapes_are_refused_in_a_sentence() -> None:
    with pytest.raises(TooLarge, match="at most 4"):
        check_compared([{}] * 5, ["a"])
    with pytest.raises(TooLarge, match="at most 20"):
        check_compared([], ["a"] * 21)
    with pytest.raises(BadData, match="at least one"):
        check_compared([], "a")
    with pytest.raises(BadGrid, match="list of"):
        check_compared("ab", ["a"])


def test_plotly_and_the_style_sheet_come_from_here() -> None:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    kwargs = routes.app_kwargs(DOORS, Visitors(public=False))
    client = TestClient(Starlette(**kwargs))
    answer = client.get(routes.PLOTLY_URL)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert client.get(routes.style_url()).headers["content-type"].startswith("text/css")


def test_importing_app_does_no_work() -> None:
    code = "import sys, app; print(sorted({'torch', 'gradio', 'transformers'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_port_in_use_gives_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = app.port_problem("127.0.0.1", port)
        assert sentence is not None
        assert f"--port {port + 1}" in sentence
        assert app.main(["--port", str(port)]) == 2
    assert app.port_problem("127.0.0.1", port) is None


def test_a_space_listens_on_all_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.read_arguments([]).host == "127.0.0.1"
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert app.read_arguments([]).host == "0.0.0.0"


def test_an_idle_server_rests(blocks) -> None:
    """Gradio's queue looks for work a thousand times a second by default; the attribute that says so is its own."""
    import gradio as gr

    async def plain():
        with gr.Blocks() as made:
            pass
        return made

    assert asyncio.run(plain())._queue.sleep_when_free < blocks._queue.sleep_when_free <= 0.05


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (name, value)
        for name in ("--port", "--proxies")
        for value in ("-3", "99999", "1.5", "x", "", "²", "١", "７", "1" * 5000)
    ]
    + [(name, value) for name in ("--checkpoint",) for value in ("", "  ")],
)
def test_a_value_that_is_none_is_refused_with_those_there_are(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        app.read_arguments([f"{option}={value}"])
    told = capsys.readouterr().err
    assert f"argument {option}:" in told and ("whole number from" in told or "leave the option out" in told)


def test_a_port_that_is_taken_is_told_with_one_that_exists() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", app.LAST_PORT))
        taken.listen()
        assert f"--port {app.LAST_PORT - 1}" in str(app.port_problem("127.0.0.1", app.LAST_PORT))
