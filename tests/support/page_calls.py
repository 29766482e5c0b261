"""The page's own functions that change a run, called as a program would: each must refuse who has no key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.support.served import Served, ask

CELL = {"feature_factor": -1.0, "learning_rate": 0.1}
CONTROLLING: dict[tuple[str, str], list[Any]] = {
    ("pause", "click"): [],
    ("resume", "click"): [],
    ("stop", "click"): [],
    ("stop-question", "select"): [],
    ("maps", "apply"): [],
    ("runs", "select"): [{}],
    ("run-save", "click"): [{}, "taken", "over"],
}
"""The widget and its event, and what is sent after run and key."""
REFUSED = ("Only who started this sweep", "does not fit this sweep", "The key is text", "has no key")


def assert_nothing_is_controlled(
    server: Served, run: str, keys: Sequence[Any], headers: Mapping[str, str] | None = None
) -> None:
    """Every such function is called with each of these keys, none of which fits; the run goes on under its name."""
    with httpx.Client(base_url=server.url, headers={"origin": server.url, **(headers or {})}, timeout=60) as http:
        config = http.get("/config").json()
        names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
        found: dict[tuple[Any, str], int] = {}
        for dependency in config["dependencies"]:
            for target in dependency["targets"]:
                found.setdefault((names.get(target[0]), target[1]), dependency["id"])
        for (widget, event), rest in CONTROLLING.items():
            for sent in keys:
                body = {"data": [run, sent, *rest], "fn_index": found[widget, event], "event_data": _event(widget, run)}
                told = _answer(http, {**body, "session_hash": f"stranger{widget}"})
                if widget == "run-save":  # nothing is being named: there is nothing to save
                    assert '"success":false' in told, told[:500]
                else:
                    assert any(sentence in told for sentence in REFUSED), (widget, sent, told[:500])
    assert ask(server, "cells", run, 0)["state"] in ("queued", "running", "finished")


def _event(widget: str, run: str) -> dict[str, Any]:
    if widget == "maps":
        return CELL
    return {"index": 0, "value": {"stop-question": "stop", "runs": f"sure:{run}"}.get(widget, ""), "selected": True}


def _answer(http: httpx.Client, body: Mapping[str, Any]) -> str:
    """What the page is told of its call, without spaces between JSON's parts."""
    joined = http.post("/gradio_api/queue/join", json=body)
    assert joined.status_code < 500
    if joined.status_code != 200:
        return f'{joined.text} "success":false'
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": body["session_hash"]}) as stream:
        return "".join(stream.iter_lines()).replace('": ', '":')
