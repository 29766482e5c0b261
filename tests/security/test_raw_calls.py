"""Raw calls of every odd shape: each is answered in a sentence, at the gate, and leaves no traceback in the log.

First the gate alone, then real servers, a local and a public one, on everything that may be posted and fetched.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.server.checkpoints import checked_location
from gradiend_ui.server.door.gate import Doors, Gate
from gradiend_ui.server.door.quotas import LOCAL
from gradiend_ui.server.door.raw_calls import (
    MOST_DEPTH,
    Called,
    Functions,
    Refusal,
    is_json,
    is_page_name,
    misfit,
    parsed,
)
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.server.session import Session
from gradiend_ui.ui.api import as_object
from tests.support.served import Served, served

LOAD, PRIVATE, PAGES_OWN = 3, 8, 9
FUNCTIONS = Functions(
    by_number={
        LOAD: Called("load", 2, ("source", "options"), frozenset({"options"})),
        PRIVATE: Called("start", 4),
        PAGES_OWN: Called("9", 0, runs=False),
    },
    numbers={"load": LOAD},
    page_waits=lambda page: page == "known",
    event_waits=lambda event: event == "asked",
)
NAMES = ["", " \n", "x" * 65, "x" * 10_000, 5, True, [], {}, "a\nb", "\ud800", "\u202e", 1.5]
NUMBERS = [-1, 10**9, 10**40, True, False, "3", "x", None, 1.5, [], {}]
BODIES = [
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"true", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"data": null}',
    b'{"data": 5}', b'{"data": "x"}', b'{"data": {}}', b'{"data": []}', b'{"data": ["demo"]}',
    b'{"data": [1, 2, 3, 4, 5, 6]}', b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
]  # fmt: skip
JSON = {"content-type": "application/json"}


def sentence_of(answer: Refusal | None) -> str:
    assert answer is not None and answer.sentence[-1] in ".}" and "\n" not in answer.sentence
    return answer.sentence


def test_a_call_that_fits_is_let_through() -> None:
    good = {"data": ["demo", {}], "fn_index": LOAD, "session_hash": "abc", "event_data": None, "trigger_id": None}
    assert misfit("queue/join", None, good, FUNCTIONS) is None
    assert misfit("run", "predict", good, FUNCTIONS) is None
    assert (
        misfit("run", "load", good, FUNCTIONS) is None and misfit("call", "load", {"data": [1, 2]}, FUNCTIONS) is None
    )
    assert misfit("call/v2", "load", {"source": "demo"}, FUNCTIONS) is None
    assert misfit("cancel", None, {"session_hash": "a", "fn_index": 3, "event_id": "b"}, FUNCTIONS) is None
    assert misfit("reset", None, {"event_id": "b"}, FUNCTIONS) is None


@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_a_wrong_count_is_told_with_the_names(count: int) -> None:
    for way, name in (("call", "load"), ("run", "load"), ("api", "load"), ("queue/join", None), ("run", "predict")):
        call = {"data": [None] * count, "fn_index": LOAD, "session_hash": "a"}
        told = sentence_of(misfit(way, name, call, FUNCTIONS))
        assert "takes 2 values (source, options)" in told and f"{count} came" in told
    told = sentence_of(misfit("run", "predict", {"data": [], "fn_index": PRIVATE}, FUNCTIONS))
    assert "takes 4 values" in told


@pytest.mark.parametrize("number", [*NUMBERS, PAGES_OWN])
def test_functions_that_are_not_there(number: Any) -> None:
    for way, name in (("queue/join", None), ("run", "predict"), ("api", "predict")):
        call = {"data": [], "fn_index": number, "session_hash": "a"}
        assert "fn_index" in sentence_of(misfit(way, name, call, FUNCTIONS))
    if number is not None:
        call = {"data": [1, 2], "fn_index": number}
        assert "leave fn_index out" in sentence_of(misfit("run", "load", call, FUNCTIONS)), "the name says which"


def test_a_public_name_does_not_open_a_private_function() -> None:
    call = {"data": [1, 2, 3, 4], "fn_index": PRIVATE}
    assert "leave fn_index out" in sentence_of(misfit("run", "load", call, FUNCTIONS))
    assert misfit("run", "load", {"data": [1, 2], "fn_index": LOAD}, FUNCTIONS) is None
    for way in ("run", "call", "call/v2"):
        assert "no public function" in sentence_of(misfit(way, "start", {"data": []}, FUNCTIONS))


def test_under_call_functions_have_names_only(gate: TestClient) -> None:
    for number in (LOAD, PRIVATE, None):
        call = {"data": ["demo", {}], "fn_index": number, "source": "demo"}
        for way in ("call", "call/v2"):
            assert "no public function 'predict'" in sentence_of(misfit(way, "predict", call, FUNCTIONS))
            for end in ("", "/"):
                answer = gate.post(f"/gradio_api/{way}/predict{end}", json=call)
                assert answer.status_code == 404 and "no public function" in answer.json()["detail"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_pages_and_events(name: Any) -> None:
    assert not is_page_name(name)
    good = {"data": [1, 2], "fn_index": LOAD, "session_hash": "a"}
    for way, function in (("queue/join", None), ("run", "predict"), ("call", "load"), ("cancel", None)):
        call = {**good, "session_hash": name, "event_id": "e"}
        assert "session_hash" in sentence_of(misfit(way, function, call, FUNCTIONS))
    for way in ("reset", "cancel", "run"):
        call = {**good, "event_id": name}
        assert "event_id" in sentence_of(misfit(way, "predict" if way == "run" else None, call, FUNCTIONS))
    assert "session_hash" in sentence_of(misfit("queue/join", None, {**good, "session_hash": None}, FUNCTIONS))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("data", [None, 5, "x", {}, True]),
        ("trigger_id", ["x", True, [], {}, 1.5, 10**40]),
        ("batched", [True, "x", 5, []]),
        ("simple_format", [None, "x", 5]),
        ("oauth_token", [5, [], "y" * 10_000]),
    ],
)
def test_other_fields(field: str, values: list[Any]) -> None:
    for value in values:
        call = {"data": [1, 2], "fn_index": LOAD, "session_hash": "a", field: value}
        assert field in sentence_of(misfit("queue/join", None, call, FUNCTIONS))


def test_values_by_name() -> None:
    assert "source is missing" in sentence_of(misfit("call/v2", "load", {}, FUNCTIONS))
    assert "no 'colour'" in sentence_of(misfit("call/v2", "load", {"source": "x", "colour": 1}, FUNCTIONS))


def nested(depth: int, begin: str, end: str) -> bytes:
    """A call whose lists and objects are so many in one another."""
    return f'{{"data": {begin * (depth - 1)}"x"{end * (depth - 1)}}}'.encode()


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[{"path":', "}]")], ids="lod")
def test_what_is_nested_too_deep_is_told_as_that(begin: str, end: str) -> None:
    twice = 1 + (len(begin) > 1 and begin[0] == "[")
    assert not isinstance(parsed(nested(1 + (MOST_DEPTH - 1) // twice, begin, end)), Refusal)
    for depth in (MOST_DEPTH + 1, 200, 900, 980, 3000, 100_000):
        told = parsed(nested(depth, begin, end))
        assert isinstance(told, Refusal) and "in one another" in sentence_of(told)


@pytest.mark.parametrize("digits", [4301, 5000, 1_000_000])
@pytest.mark.parametrize("call", ['{"data": [%s]}', '{"data": ["demo", {"seed": -%s}]}', "%s", '{"fn_index": %s}'])
def test_numbers_that_are_not_read_are_told_as_that(call: str, digits: int) -> None:
    told = parsed((call % ("9" * digits)).encode())
    assert isinstance(told, Refusal) and "whole number of over 4,300 digits" in sentence_of(told)


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("way", ["call/load", "run/load", "call/v2/load"])
def test_a_gate_tells_it_on_either_server(way: str, public: bool) -> None:
    client = client_of(public)
    for body, told in ((nested(61, "[", "]"), "in one another"), (b'{"data": [%s]}' % (b"9" * 5000), "digits")):
        answer = client.post(f"/gradio_api/{way}", content=body, headers=JSON)
        assert answer.status_code == 400 and told in answer.json()["detail"], answer.text


def test_a_file_that_is_named_by_an_address_is_refused_by_name_too() -> None:
    call = {"source": {"path": "http://evil.example/x", "meta": {"_type": "gradio.FileData"}}}
    for body in (call, {"data": [call, {}]}):
        assert "fetches none" in client_of(True).post("/gradio_api/call/v2/load", json=body).json()["detail"]


def test_a_length_of_many_digits_is_a_number() -> None:
    headers = {**JSON, "content-length": "9" * 20}
    answer = client_of(False).post("/gradio_api/call/load", content=b"{}", headers=headers)
    assert answer.status_code == 400 and "takes at most" in answer.json()["detail"]


def test_bodies_that_are_no_call() -> None:
    for body in BODIES[:9]:
        assert isinstance(parsed(body), Refusal)
    assert parsed(b"\xef\xbb\xbf{}") == {}
    assert is_json("application/json; charset=utf-8") and is_json("application/x+json")
    assert not is_json("text/plain") and not is_json("") and not is_json("application/jsonp")


async def echo(request: Request) -> PlainTextResponse:
    if "breaks" in request.url.path:
        raise KeyError("internals")
    return PlainTextResponse("in")


@pytest.fixture
def gate() -> TestClient:
    return client_of(False)


def client_of(public: bool) -> TestClient:
    doors = Doors(public, "127.0.0.1", LOCAL, frozenset({"load"}), frozenset({LOAD}), calls=FUNCTIONS)
    routes = [Route("/{path:path}", echo, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Gate, doors=doors, visitors=Visitors(public))])
    return TestClient(app, base_url="http://127.0.0.1")


def test_the_gate_asks_for_json(gate: TestClient) -> None:
    body = b'{"data": ["demo", {}]}'
    assert gate.post("/gradio_api/call/load", content=body, headers=JSON).status_code == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = gate.post("/gradio_api/call/load", content=body, headers={"content-type": kind})
        assert answer.status_code == 415 and "Content-Type: application/json" in answer.json()["detail"]
    assert gate.post("/gradio_api/upload", content=b"x", headers={"content-type": "text/plain"}).status_code == 415


def test_who_waits_for_nothing_is_told(gate: TestClient) -> None:
    assert gate.get("/gradio_api/queue/data?session_hash=known").text == "in"
    assert "session_not_found" in gate.get("/gradio_api/queue/data?session_hash=other").text
    assert gate.get("/gradio_api/call/load/asked").text == "in"
    told = gate.get("/gradio_api/call/load/other").text
    assert told.startswith("event: error\ndata: ") and "no such call" in told
    for path in ("queue/data", "queue/data?session_hash=", "queue/data?session_hash=%0a", "upload_progress",
                 "upload_progress?upload_id=", f"heartbeat/{'x' * 65}"):  # fmt: skip
        assert gate.get(f"/gradio_api/{path}").status_code == 400, path


@pytest.mark.parametrize(
    "path", ["%00", "a%0ab", "a" * 300, "/" + "a/" * 3000, "http://127.0.0.1:1/", "HTTPS://x.invalid/", "ftp://a/b"]
)
def test_files_that_cannot_be_there(gate: TestClient, path: str) -> None:
    assert gate.get(f"/gradio_api/file={path}").status_code == 404
    assert gate.get("/gradio_api/file=/plain/name.zip").status_code == 200


def test_what_breaks_all_the_same_is_one_line(gate: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = gate.get("/assets/breaks")
    assert answer.status_code == 500 and "internals" not in answer.text and answer.json()["detail"].endswith(".")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "GET '/assets/breaks' ended with KeyError"
    ]


# --- values, each wall by itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", [5, [1], "x", True, False, [], "", 0, 1.5, [{}]])
def test_options_are_an_object_at_the_api_and_behind_it(odd: Any) -> None:
    session: Any = SimpleNamespace(_store=SimpleNamespace(revision=str, checkpoint=str), _public=False, _worker=None)
    with pytest.raises(BadGrid, match="options must be an object"):
        as_object(odd, "options")
    with pytest.raises(BadGrid, match="options of load must be an object"):
        Session.load(session, "demo", odd)
    with pytest.raises(BadGrid, match="options of compare must be an object"):
        Session.compare(session, "run", [], ["a"], odd)
    with pytest.raises(BadGrid, match="spec must be an object"):
        Session.start_sweep(session, "ck", odd)


def test_a_source_is_as_long_as_a_path_can_be() -> None:
    assert checked_location("a/" * 2048, "source must be a folder") == "a/" * 2048
    with pytest.raises(BadGrid, match=r"has 4,098 characters, and no path has over 4,096"):
        checked_location("a/" * 2049, "source must be a folder")
    with pytest.raises(BadGrid, match=r"no folder's name has over 255 bytes"):
        checked_location("a/" + "\u00e9" * 128, "source must be a folder")


# --- real servers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["local", "public"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("raw") / "data"
    with served(data, *(["--public"] if request.param == "public" else [])) as server:
        yield server
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-2000:]


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    """As a page of the server, and the log without a traceback afterwards."""
    with httpx.Client(base_url=server.url, timeout=30, headers={"origin": server.url}) as http:
        yield http
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-2000:]


def told(http: httpx.Client, path: str, content: bytes, kind: str | None = "application/json") -> str:
    """What came of a post: a refusal's sentence, or everything that its event told."""
    answer = http.post(path, content=content, headers={"content-type": kind} if kind else {})
    text = answer.text
    if answer.status_code == 200 and "event_id" in text:
        call, event = json.loads(content), json.loads(text)["event_id"]
        page = f"/gradio_api/queue/data?session_hash={call.get('session_hash')}"
        where = page if path.endswith("/join") else f"/gradio_api/call/load/{event}"
        with http.stream("GET", where) as stream:
            text = "".join(stream.iter_lines())
    assert answer.status_code != 422 and '"detail":[' not in text, f"{path} {content[:80]!r}: {text[:200]}"
    assert not re.search(r'\{"error": ?null', text) and "Internal Server Error" not in text, f"{path} {text[:200]}"
    if answer.status_code >= 400 and not text.startswith("Could not parse multipart request: "):
        assert re.search(r'"(?:detail|error)": ?"[^"]{10,}', text), f"{answer.status_code} {path}: {text[:200]}"
    return text


@pytest.mark.parametrize(
    "path",
    ["queue/join", "run/predict", "api/predict", "run/load", "api/load/", "call/load", "call/v2/load", "call/export",
     "call/predict", "call/v2/predict", "call/predict/", "call/nope", "cancel", "reset/", "run/%00", "upload"],
)  # fmt: skip
def test_bodies(http: httpx.Client, path: str) -> None:
    for body in BODIES:
        told(http, f"/gradio_api/{path}", body)
    for kind in (None, "text/plain", "multipart/form-data", "multipart/form-data; boundary=x"):
        told(http, f"/gradio_api/{path}", b'{"data": ["demo", {}]}', kind)


@pytest.mark.parametrize(
    "path", ["queue/join", "run/predict", "api/predict", "call/predict", "call/cells", "run/cells", "cancel"]
)
def test_fields(http: httpx.Client, path: str) -> None:
    cells = next(f for f in http.get("/config").json()["dependencies"] if f["api_name"] == "cells")["id"]
    good = {"data": ["x", 0], "fn_index": cells, "session_hash": "good", "event_id": "e"}
    odd: dict[str, list[Any]] = {
        "fn_index": NUMBERS, "session_hash": NAMES, "event_id": NAMES, "trigger_id": [-1, 10**9, "x", True, [], 1.5],
        "event_data": [{}, [], "x", 5, {"index": None}, {"value": {"a": [1]}}], "batched": [True, "x"],
        "data": [None, 5, "x", {}, [], [1], [1, 2, 3]],
    }  # fmt: skip
    for field, values in odd.items():
        for value in values:
            told(http, f"/gradio_api/{path}", json.dumps({**good, field: value}).encode())
        without = {name: value for name, value in good.items() if name != field}
        told(http, f"/gradio_api/{path}", json.dumps(without).encode())


def test_every_function_with_too_few_and_too_many_values(http: httpx.Client) -> None:
    functions = http.get("/config").json()["dependencies"]
    assert len(functions) > 40
    for function in functions:
        takes = len(function["inputs"])
        for count in {0, takes - 1, takes + 1, takes + 30} - {takes, -1}:
            call = {"data": [None] * count, "fn_index": function["id"], "session_hash": "page"}
            for path in ("run/predict", "queue/join"):
                text = told(http, f"/gradio_api/{path}", json.dumps(call).encode())
                assert ("takes" if function["backend_fn"] else "no function") in text


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n", b"5\r\nhelloXX", b"-1\r\n", b"f" * 20 + b"\r\n"])
@pytest.mark.parametrize("header", [b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"X: y"])
def test_a_request_that_is_no_http_leaves_no_traceback(server: Served, header: bytes, body: bytes) -> None:
    """What is wrong comes while its refusal is on the way; the log is looked at when the server has ended."""
    place = urlsplit(server.url)
    lines = (b"POST /gradio_api/queue/join HTTP/1.1", b"Host: " + place.netloc.encode(), header, b"", body)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join(lines))
        assert connection.recv(100).startswith(b"HTTP/1.1 4")


def test_fetched_paths(http: httpx.Client) -> None:
    for path in (
        "queue/data", "queue/data?session_hash=nobody", "queue/data?session_hash=%00", "call/load/nope",
        "call/load/%00", f"call/x/{'y' * 300}", "call/v2/load/nope", "upload_progress", "upload_progress?upload_id=%00",
        "file=", "file=/etc/passwd", "file=%00", f"file={'a' * 300}", "file=http://127.0.0.1:1/", "file=~", "file=.",
        "file=/dev/zero", "file=%ED%A0%80", "heartbeat/%00", "custom_component/a/b/c/d", "info?all_endpoints=x",
    ):  # fmt: skip
        answer = http.get(f"/gradio_api/{path}")
        assert answer.status_code not in (422, 500) and '"detail":[' not in answer.text, f"{path}: {answer.text[:200]}"
    for path in (f"/assets/{'a' * 300}", "/static/%00", "/?deep_link=%00", "/?run=%00", "/?__theme=x", "/de?run=%ff"):
        assert http.get(path).status_code < 500


OBJECTS: list[Any] = [5, [1], "x", True, False, [], "", 0, 1.5, [{}], None]


def test_values_of_every_public_function(http: httpx.Client, server: Served, tmp_path: Path) -> None:
    from tests.support.served import ask

    checkpoint = ask(server, "load", "demo", {})["checkpoint"]
    run = ask(server, "start_sweep", checkpoint, {"feature_factors": [-1.0], "learning_rates": [0.1]})["run"]
    calls: list[tuple[str, list[Any]]] = []
    for odd in OBJECTS:
        calls += [("load", ["demo", odd]), ("load", [odd, {}]), ("start_sweep", [checkpoint, odd])]
        calls += [("start_sweep", [odd, {}]), ("open_finished", [checkpoint, odd]), ("open_finished", [odd, {}])]
        calls += [
            ("select", [run, odd]),
            ("compare", [run, [], ["He [MASK]."], odd]),
            ("compare", [run, odd, ["a"], {}]),
        ]
        calls += [("compare", [run, [odd], ["a [MASK]"], {}]), ("compare", [run, [], odd, {}])]
        calls += [("compare", [run, [], [odd], {}]), ("export", [run, odd]), ("finish_cell", [run, odd])]
        calls += [("cells", [run, odd]), *((name, [odd]) for name in ("pause", "resume", "stop"))]
        calls += [("load", ["demo", {"base_model": odd}]), ("load", ["demo", {"encoding_direction": odd}])]
    calls += [("load", ["x" * 5_000_000, {}]), ("load", ["demo", {"base_model": "y" * 5_000_000}])]
    calls += [("load", [path, {}]) for path in ("a\0b", "~nobody/x", "a" * 300, "/" + "a/" * 3000, "\ud800", " ", "\n")]
    for name, data in calls:
        content = json.dumps({"data": data}).encode()
        if name == "start_sweep" and data == [checkpoint, None]:
            continue  # nothing is wrong with this one
        text = told(http, f"/gradio_api/call/{name}", content)
        assert "[failed]" not in text and "unexpected" not in text, f"{name} {str(data)[:80]}: {text[:300]}"
        assert len(text) < 5000 or "event: complete" in text, f"{name}: a sentence of {len(text)} characters"
