"""Garbage at every event of the app, by raw requests: a sentence at once, no path, no traceback, nobody else affected.

The server is a public one on the bundled demo. What is sent is drawn from a fixed seed.
"""

from __future__ import annotations

import json
import random
import re
import site
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.costs import timed
from tests.support.served import served

ROOT = Path(__file__).parents[2]
PAYLOADS = 420
TRACES = re.compile(r"Traceback|File \\?\"|line \d+, in|\.py\b|site-packages|gradiend_ui[./]|\b[A-Z][a-z]+Error\b")
GARBAGE: list[Any] = [
    None, True, False, 0, -1, 10**400, -(10**400), 1e308, 5e-324, "NaN", "Infinity", "-0.0", "", " ", "0", "a" * 10_000,
    "\u0000", "\u202e", "\U0001f9ed" * 200, "../../etc/passwd", "/etc/passwd", "C:\\x", "file:///etc/passwd",
    "__proto__",
    "%s%n{0}{}{__class__}", "run:../x", "number:x", "delete:", "sure:" + "x" * 24, "[]", "{}", [], {}, [[]],
    [None] * 50,
    [1, "2", None], {"value": None}, {"index": [None, "a"], "value": {}}, {"path": "/etc/passwd"},
    {"__type__": "update"},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"url": "http://127.0.0.1/x", "path": None},
    {"spec": {}}, {"spec": None}, {"feature_factor": "x"}, {"rows": {"path": "/etc/passwd"}}, [{"a": [{"b": [0]}]}],
    "lms_threshold", "strengthen", "decoder", "typed", "M", "F", 0.99, [0.1, 0.1], "1e400, 0.1", "0.1:1:100000",
]  # fmt: skip
EVENT_DATA: list[Any] = [
    None, {}, [], "x", 3, {"index": None, "value": None, "selected": True}, {"index": ["a", {}], "value": []},
    {"index": [10**9, -5], "value": {"feature_factor": "nan", "learning_rate": None, "how": "x", "nth": "y"}},
    {"value": {"feature_factor": 1e308, "learning_rate": 1, "how": "pointer", "nth": 1}}, {"format": "exe"},
    {"shows": "__proto__"}, {"shows": {"a": 1}, "held": []}, {"value": "remove"}, {"value": json.dumps(["w", "M", 3])},
    {"value": json.dumps({"a": 1})}, {"value": "cell:x:y"}, {"_data": 3}, {"index": "a" * 1000, "value": "sure:" + "x"},
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address, data folder) of a public server."""
    with served(tmp_path_factory.mktemp("public") / "data", "--public", "--proxies", "1") as running:
        yield running.url, running.data


def functions_of(address: str) -> dict[int, int]:
    """{number: how many inputs it has} of both pages' functions."""
    found: dict[int, int] = {}
    for page in ("", "de"):
        text = httpx.get(f"{address}/{page}", follow_redirects=True, timeout=30).text
        config = json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", text, re.S)[1])
        found |= {function["id"]: len(function["inputs"]) for function in config["dependencies"]}
    return found


def drawn(random_: random.Random, number: int, inputs: int) -> dict[str, Any]:
    """One request of a page. Most have as many values as the function takes, so that they reach it."""
    count = inputs if random_.random() < 0.85 else random_.choice([0, 1, inputs + 1, 50])
    data: Any = [random_.choice(GARBAGE) for _ in range(count)]
    if random_.random() < 0.03:
        data = random_.choice([None, "x", 3, {}, {"a": 1}])
    return {
        "fn_index": number,
        "data": data,
        "event_data": random_.choice(EVENT_DATA),
        "session_hash": random_.choice(["fuzz1", "fuzz2", "fuzz3"]),
    }


def answered(client: httpx.Client, address: str, body: dict[str, Any]) -> tuple[str, int]:
    """(text, status) of a call: at once, or through the queue where the function needs that."""
    content = json.dumps(body)
    headers = {"content-type": "application/json", "origin": address, "sec-fetch-site": "same-origin"}
    answer = client.post(f"{address}/gradio_api/run/predict", content=content, headers=headers)
    return answer.text, answer.status_code


def queued(client: httpx.Client, address: str, body: dict[str, Any]) -> tuple[str, int]:
    """The same through the queue: everything that the page is told until the function has ended."""
    told = ""
    body = {**body, "session_hash": f"q{random.getrandbits(60):x}"}
    headers = {"content-type": "application/json", "origin": address, "sec-fetch-site": "same-origin"}
    joined = client.post(f"{address}/gradio_api/queue/join", content=json.dumps(body), headers=headers)
    if joined.status_code != 200:
        return joined.text, joined.status_code
    stream = client.stream("GET", f"{address}/gradio_api/queue/data?session_hash={body['session_hash']}", timeout=60)
    with stream as lines:
        for line in lines.iter_lines():
            told += line
            if "process_completed" in line or "close_stream" in line or "unexpected_error" in line:
                break
    return told, 200


def test_garbage_gets_a_sentence_and_hurts_nobody(server: tuple[str, Path]) -> None:
    address, data = server
    functions = functions_of(address)
    assert len(functions) > 80
    random_ = random.Random(7)
    secrets = [str(data), str(data.parent), str(ROOT), *site.getsitepackages(), str(Path.home())]
    numbers = [*functions, *functions]
    random_.shuffle(numbers)
    numbers += random_.choices([*functions, -1, 10**9], k=max(0, PAYLOADS - len(numbers)))
    leaks: list[tuple[int, str]] = []
    statuses: Counter[int] = Counter()
    with httpx.Client(timeout=60) as client:
        for nth, number in enumerate(numbers):
            client.headers["x-forwarded-for"] = f"10.0.0.{nth % 5}"  # several visitors: each may open so many pages
            body = drawn(random_, number, functions.get(number, 2))
            ask = queued if nth % 2 else answered
            with timed("a garbled request, answered"):
                text, status = ask(client, address, body)
            statuses[status] += 1
            sent = json.dumps(body)
            if TRACES.search(text) or any(secret in text and secret not in sent for secret in secrets):
                leaks.append((number, f"{body} -> {text[:400]}"))
    assert leaks == []
    assert statuses[200] > 0.2 * len(numbers) and not statuses[429], statuses


def test_another_visitor_is_served_as_before(server: tuple[str, Path]) -> None:
    """After all that; a whole small sweep, over the API."""
    from gradio_client import Client

    client = Client(server[0], verbose=False, headers={"x-forwarded-for": "10.0.1.1"})
    checkpoint = client.predict("demo", {}, api_name="/load")["checkpoint"]
    spec = {"feature_factors": [-1.0], "learning_rates": [0.1], "max_rows": 8, "max_neutral": 8}
    run = client.predict(checkpoint, spec, api_name="/start_sweep")["run"]
    until = time.monotonic() + 60
    while client.predict(run, 0, api_name="/cells")["state"] != "finished":
        assert time.monotonic() < until
        time.sleep(0.2)
