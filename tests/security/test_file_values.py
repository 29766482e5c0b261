"""Files as values of public functions, the statuses of direct calls, and a log that strangers cannot fill.

A value that Gradio takes for a file is one that was uploaded here, or it is refused with a code, and whether there is
such a file on the server is not told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from starlette.responses import JSONResponse

from gradiend_ui.engine.errors import BadGrid, Failed
from gradiend_ui.engine.files.logs import HOUR, MOST_KINDS, OneOfAKind, Seldom, kind_of
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.worker.client import WorkerClient
from gradiend_ui.server.door.raw_calls import with_statuses
from gradiend_ui.ui.kit.refusals import last_resort
from gradiend_ui.ui.kit.words import Words
from tests.support.served import Served, served

JSON = {"content-type": "application/json"}
FILE = {"meta": {"_type": "gradio.FileData"}}
PATHS: list[Any] = [
    "/etc/passwd", "/etc/no-such-file", "/etc", "../../etc/passwd", "passwd", "~/x", "", " ", "a\0b", "x" * 5000, "/",
    "\ud800", "C:\\Windows\\win.ini", "/proc/self/environ", "/dev/zero", "\u202e", 5, None, [], {"path": "/etc/passwd"},
]  # fmt: skip


@pytest.fixture(scope="module", params=["local", "public"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("values") / "data"
    with served(data, *(["--public"] if request.param == "public" else [])) as server:
        yield server
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-2000:]


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        yield http


def told(http: httpx.Client, name: str, data: list[Any]) -> str:
    """The sentence that a call was refused with, whichever way it took."""
    answer = http.post(f"/gradio_api/call/{name}", content=json.dumps({"data": data}), headers=JSON)
    if answer.status_code != 200:
        return str(answer.json()["detail"])
    with http.stream("GET", f"/gradio_api/call/{name}/{answer.json()['event_id']}") as stream:
        lines = list(stream.iter_lines())
    assert "event: error" in lines, lines
    found = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    return str(found["error"] if isinstance(found, dict) else found)


def calls(value: Any) -> list[tuple[str, list[Any]]]:
    return [
        ("load", [value, {}]), ("load", ["demo", value]), ("load", ["demo", {"base_model": [value]}]),
        ("start_sweep", ["ck", {"rows": value}]), ("select", ["run", {"goal": value}]), ("cells", [value, 0]),
        ("compare", ["run", [value], ["a"], {}]), ("compare", ["run", [], [value], {}]), ("export", ["run", value]),
        ("label", ["run", value, "", ""]), ("pause", ["run", value]), ("finish_cell", ["run", value, ""]),
    ]  # fmt: skip


def test_a_file_that_was_not_uploaded_is_refused_with_a_code(http: httpx.Client, server: Served) -> None:
    before = len(server.log.read_text().splitlines())
    for path in PATHS:
        for name, data in calls({**FILE, "path": path}):
            sentence = told(http, name, data)
            if sentence.startswith("Files are uploaded;"):
                continue  # at the gate
            assert sentence.startswith("["), (name, path, sentence)
            assert sentence[1:].split("]")[0] in ("not_allowed", "bad_data", "bad_grid", "not_found"), (path, sentence)
            assert "reload the page" not in sentence and "/etc" not in sentence, sentence
    assert len(server.log.read_text().splitlines()) == before, server.log.read_text()[-2000:]


def test_whether_there_is_such_a_file_is_not_told(http: httpx.Client) -> None:
    here, gone = (told(http, "select", ["run", {**FILE, "path": f"/etc/{n}"}]) for n in ("passwd", "pasxyz"))
    assert here.startswith("[not_allowed] The file 'passwd' was not uploaded")
    assert here.replace("passwd", "pasxyz") == gone


@pytest.mark.parametrize("way", ["run", "api"])
def test_a_refused_direct_call_is_no_broken_server(http: httpx.Client, way: str) -> None:
    odd = {**FILE, "path": "/etc/passwd"}
    for name, data in (("load", ["demo", {"nonsense": 1}]), ("cells", ["none", 0]), ("select", ["none", odd])):
        answer = http.post(f"/gradio_api/{way}/{name}", json={"data": data})
        if answer.status_code == 404:
            assert "join the queue" in answer.text, "a public server takes no direct calls"
            return
        assert answer.status_code == 400 and answer.json()["error"].startswith("["), answer.text
    answer = http.post(f"/gradio_api/{way}/load", json={"data": ["demo", {}]})
    assert answer.status_code == 200 and answer.json()["data"][0]["checkpoint"]


@pytest.mark.parametrize(
    ("sent", "body", "seen"),
    [
        (500, {"error": "[bad_grid] no"}, 400),
        (500, {"error": "no"}, 400),
        (500, {"error": "[failed] ours"}, 500),
        (500, {"error": None}, 500),
        (500, ["x"], 500),
        (200, {"error": "[bad_grid] no"}, 200),
        (503, {"error": "[bad_grid] no"}, 503),
    ],
)
def test_only_a_refusal_becomes_the_callers_fault(sent: int, body: Any, seen: int) -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(JSONResponse(body, sent)({"type": "http"}, receive, with_statuses(send)))
    assert [message["type"] for message in messages] == ["http.response.start", "http.response.body"]
    assert messages[0]["status"] == seen and json.loads(messages[1]["body"]) == body


def test_scripts_read_a_code_and_people_a_sentence_in_their_language() -> None:
    with pytest.raises(gr.Error) as script, last_resort(Words("en"), codes=True):
        raise ValueError("internals")
    assert str(script.value.message).startswith("[failed] ") and "internals" not in str(script.value.message)
    with pytest.raises(gr.Error) as person, last_resort(Words("de")):
        raise ValueError("internals")
    assert person.value.message == Words("de")("page.not_understood")
    assert person.value.title == Words("de")("page.not_possible")
    with pytest.raises(gr.Error) as person, last_resort(Words("de")):
        raise BadGrid("plain").known_as("sweep.no_model")
    assert person.value.message == Words("de")("sweep.no_model")


# --- the log ----------------------------------------------------------------------------------------------------------


def test_one_line_of_each_kind_within_an_hour() -> None:
    now = [0.0]
    is_news = Seldom(lambda: now[0])
    assert is_news("a") and not is_news("a") and is_news("b")
    assert sum(is_news(f"kind {n}") for n in range(10 * MOST_KINDS)) == MOST_KINDS - 2
    now[0] = HOUR - 1
    assert not is_news("a")
    now[0] = HOUR
    assert is_news("a") and is_news("kind 0")


@pytest.mark.parametrize("value", ["/etc/passwd", "it's", 'a "b"', "\\", "", "\x00nul", 5, 10**30, "'", "\\'"])
def test_sentences_of_one_kind_differ_in_their_values(value: Any) -> None:
    assert kind_of(f"goal must be one, not {value!r}, of 3.") == kind_of("goal must be one, not 'x', of 40.")


def test_what_visitors_are_not_told_is_logged_once_per_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = WorkerClient(tmp_path / "s", tmp_path, tmp_path, lambda why: None, public_trust())
    with caplog.at_level(logging.WARNING):
        for n in range(50):
            client._refusal("bad_grid", f"goal must be one of a, b, not '/etc/{n}/passwd'.")
    assert len(caplog.records) == 1 and "/etc/0/passwd" in caplog.text


def test_what_fails_again_and_again_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            with pytest.raises(gr.Error), last_resort(Words("en")):
                raise ArithmeticError
    assert len(caplog.records) <= 1


def test_of_the_libraries_lines_one_of_a_kind_is_written() -> None:
    """A kind is a place and an error, whatever a visitor put into the text."""
    short, library, own = (
        OneOfAKind(Seldom()),
        logging.getLogger("library"),
        logging.getLogger("gradiend_ui.server.door.gate"),
    )
    written: list[str] = []

    class Writes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record.getMessage())

    handler = Writes()
    handler.addFilter(short)
    for logger in (library, own):
        logger.addHandler(handler)
    try:
        for n in range(20):
            library.warning(f"a flood of {n * 'x'}")
            library.error("of %s", n)
            own.warning("ours %d", n)
            library.setLevel(logging.INFO)
            library.info("asked for")
            for kind in (KeyError, ValueError):
                try:
                    raise kind
                except LookupError:
                    library.exception("broke off")
                except ValueError:
                    library.exception("broke off")
    finally:
        for logger in (library, own):
            logger.removeHandler(handler)
    counts = {start: sum(line.startswith(start) for line in written) for start in ("a f", "of", "ours", "asked", "bro")}
    assert counts == {"a f": 1, "of": 1, "ours": 20, "asked": 20, "bro": 2}


UPGRADE = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
FLOODS = (
    b"FLOOD\r\n\r\n", b"GET /FLOOD HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nFLOOD\r\n\r\n", b"\x16\x03\x01FLOOD\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: FLOOD\r\nConnection: Upgrade\r\n\r\n", UPGRADE + b"\r\n",
    UPGRADE + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    b"GET /gradio_api/custom_component/5/client/FLOOD/y.js HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
    b"GET /gradio_api/custom_component/5/server/x/%%0AFLOOD HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\nConnection: close\r\n"
    b"Content-Type: multipart/form-data; boundary=B\r\n\r\n--BFLOOD\r",
)  # fmt: skip


def test_what_the_server_says_of_broken_requests_is_said_once(server: Served) -> None:
    place = urlsplit(server.url)
    before = len(server.log.read_text().splitlines())
    for sent in FLOODS:
        for _ in range(12):
            with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
                connection.sendall(sent.replace(b"%s", place.netloc.encode()).replace(b"%%", b"%"))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
    lines = server.log.read_text().splitlines()[before:]
    assert "FLOOD" not in "".join(lines) and len(lines) == len(set(lines)) <= len(FLOODS), lines


@pytest.mark.parametrize("value", ["\x00nul", "\ud800", "\u202e\u202ertl", "\nab", "\U000e0001x", "a\x00", "\t"])
def test_a_character_that_is_spelled_out_is_no_path(value: str) -> None:
    sentence = f"goal must be one of a, b, not {value!r}."
    assert public_trust().told(sentence) == sentence
    assert public_trust().told(f"not {(chr(0) + '/srv/x/y')!r}.") == "not 'y'."
    assert public_trust().told("not 'C:\\temp\\new'.") == "not 'new'."


def test_a_refusal_that_was_shortened_has_no_other_wording(tmp_path: Path) -> None:
    """The page's text would bring back what was taken out of the sentence."""
    client = WorkerClient(tmp_path / "s", tmp_path, tmp_path, lambda why: None, public_trust())
    hidden = client._refusal("failed", "no '/srv/x'", ("export.exists", {"name": "x", "folder": "/srv/y"}))
    assert hidden.text is None and isinstance(hidden, Failed)
    told = client._refusal("busy", "wait", ("sweep.turns_all", {"count": 3}))
    assert "3" in Words("de").of(told) and Words("de").of(told) != "wait"
