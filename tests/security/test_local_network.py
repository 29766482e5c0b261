"""A local server that others reach by the network: they control what they started and watch the rest; the person at the
machine needs no key. Others are told apart by what the proxy in front of the server says of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.page_calls import assert_nothing_is_controlled
from tests.support.served import Served, served

SPEC = {"feature_factors": [-1.0], "learning_rates": [0.1, 0.5]}
PHONE = {"X-Forwarded-For": "192.168.1.20"}
FORGED = ({"X-Forwarded-For": "127.0.0.1, 192.168.1.20"}, {"X-Forwarded-For": "::1,192.168.1.20:5000"})
CELL = {"feature_factor": -1.0, "learning_rate": 0.5}
CALLS: dict[str, list[Any]] = {
    "pause": [],
    "resume": [],
    "stop": [],
    "finish_cell": [CELL],
    "label": ["theirs", "note"],
    "delete": [],
}


@pytest.fixture(scope="module", params=[("--proxies", "1"), ()], ids=["known proxy", "unknown proxy"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Without --proxies nobody vouches for the header: whoever wrote it, they speak for somebody else."""
    with served(tmp_path_factory.mktemp("home") / "data", *request.param) as server:
        yield server


def ask(server: Served, headers: dict[str, str], name: str, *data: Any) -> Any:
    """A public function's answer, asked from another place. Raises RuntimeError with its sentence."""
    with httpx.Client(base_url=server.url, timeout=120, headers=headers) as http:
        joined = http.post(f"/gradio_api/call/{name}", json={"data": list(data)})
        joined.raise_for_status()
        text = http.get(f"/gradio_api/call/{name}/{joined.json()['event_id']}").text
    event, _, rest = text.partition("\n")
    content = json.loads(rest.partition("data:")[2])
    if event.partition(":")[2].strip() != "complete":
        raise RuntimeError(f"{name}: {content}")
    return content[0]


def test_a_phone_in_the_network_stops_nothing_that_the_machine_started(server: Served) -> None:
    checkpoint = ask(server, {}, "load", "demo", {})["checkpoint"]
    teachers = ask(server, {}, "start_sweep", checkpoint, {**SPEC, "again": True})
    pupils = ask(server, PHONE, "start_sweep", checkpoint, {**SPEC, "again": True})
    run = teachers["run"]
    for headers in (PHONE, *FORGED):
        for name, data in CALLS.items():
            for key in ("", pupils["key"]):
                with pytest.raises(RuntimeError, match="not_allowed"):
                    ask(server, headers, name, run, *data, key)
    assert ask(server, PHONE, "cells", run, 0)["state"] in ("queued", "running", "finished"), "they may watch"
    assert ask(server, PHONE, "stop", pupils["run"], pupils["key"])["state"] in ("stopped", "finished")
    assert ask(server, PHONE, "stop", run, teachers["key"])["state"] in ("stopped", "finished"), "with a control link"
    assert ask(server, {}, "label", pupils["run"], "seen", "", "") == {"name": "seen", "note": ""}
    for answer in (pupils, teachers):
        assert ask(server, {}, "delete", answer["run"], "") == {"deleted": answer["run"]}, (
            "the machine's owner needs no key"
        )


def test_nor_by_the_pages_own_functions(server: Served) -> None:
    checkpoint = ask(server, {}, "load", "demo", {})["checkpoint"]
    teachers = ask(server, {}, "start_sweep", checkpoint, {**SPEC, "again": True})
    run = teachers["run"]
    assert_nothing_is_controlled(server, run, ("", "nonsense", None, 5, json.dumps({run: "nonsense"})), PHONE)
    assert ask(server, {}, "stop", run, "")["state"] in ("stopped", "finished")
    assert ask(server, {}, "delete", run, "") == {"deleted": run}
