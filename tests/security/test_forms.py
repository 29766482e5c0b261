"""Uploaded forms while they come in: what is no file, too many parts, forms that break off, lengths that lie.

First the form alone and the gate before Gradio's own parser, then a real server, by its memory and its folder.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.formparsers import MultiPartException

from gradiend_ui.server.door.forms import MOST_BESIDE, MOST_HEADERS, MOST_PARTS, NO_FORM, Form, Upload, is_file_name
from gradiend_ui.server.door.gate import refused
from gradiend_ui.server.door.raw_calls import Refusal
from tests.support.served import Served, served

UPLOAD = "/gradio_api/upload"
KIND = {"content-type": "multipart/form-data; boundary=x"}
FILE = b'Content-Disposition: form-data; name="files"; filename="a.csv"'
FIELD = b'Content-Disposition: form-data; name="other"'
MEGABYTE = 2**20


def part(headers: bytes, content: bytes = b"") -> bytes:
    return b"--x\r\n" + headers + b"\r\n\r\n" + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def refusal_of(body: bytes, piece: int = 1000, **options: bool) -> Refusal | None:
    """What becomes of a form that comes in such pieces."""
    form = Form(KIND["content-type"], **options)
    for start in range(0, len(body), piece):
        form.look_at(body[start : start + piece], is_last=start + piece >= len(body))
    return form.refusal


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_files_of_any_size_are_let_through(piece: int) -> None:
    content = b"\r\n--y\r\n\r--" * (100 if piece < 100 else 300_000)
    assert refusal_of(whole(part(FILE, content), part(FILE.replace(b"a.csv", b""), content)), piece) is None
    assert refusal_of(whole(part(FILE, content), part(FIELD, b"a little")), piece) is None


@pytest.mark.parametrize(
    "body",
    [
        whole(part(FIELD, b"z" * (MOST_BESIDE + 1))),
        whole(part(FILE, b"a"), part(FIELD, b"z" * (MOST_BESIDE + 1))),
        whole(*[part(FIELD, b"z" * (MOST_BESIDE // 10))] * 11),
        whole(part(FILE + b"\r\n" + FIELD, b"z" * (MOST_BESIDE + 1))),
        whole(part(FIELD.replace(b'"other"', b"\"other\"; filename*=utf-8''a"), b"z" * (MOST_BESIDE + 1))),
        whole(part(b"Content-Type: text/csv\r\n" + FIELD, b"\r\n" * MOST_BESIDE)),
    ],
)
def test_what_is_no_file_is_bounded_together(body: bytes) -> None:
    told = refusal_of(body)
    assert told is not None and told.status == 413 and "beside its files" in told.sentence


def test_parts_and_their_headers_are_bounded() -> None:
    assert refusal_of(whole(*[part(FILE, b"a")] * MOST_PARTS)) is None
    for kind in (FILE, FIELD):
        told = refusal_of(whole(*[part(kind, b"a")] * (MOST_PARTS + 1)))
        assert told is not None and "parts" in told.sentence
    for headers in (b"A: " + b"b" * 4_000_000, b"\r\n".join([b"A: b"] * 5000), b"a" * (MOST_HEADERS + 1) + b": b"):
        assert refusal_of(b"--x\r\n" + headers) is not None


def test_files_stand_under_the_name_that_is_read() -> None:
    other = part(FILE.replace(b'"files"', b'"other"'), b"x")
    told = refusal_of(whole(other))
    assert told is not None and "'other'" in told.sentence and "'files'" in told.sentence
    assert refusal_of(whole(part(FIELD.replace(b"other", b"files"), b"x"))) is not None
    assert refusal_of(whole(part(b"Content-Disposition: form-data", b"x"))) == Refusal(400, NO_FORM)
    followed = whole(part(FILE, b"a"), part(FIELD, b"b"))
    assert refusal_of(followed) is None and refusal_of(followed, files_only=True) is not None


@pytest.mark.parametrize("name", ["..", ".", "/", "a/..", "a/", "???", "\u202e", " "])
def test_names_under_which_nothing_can_be_kept(name: str) -> None:
    assert is_file_name(name) is (name == "a/")
    assert all(map(is_file_name, ("", "a.zip", "../../x.csv", ".csv", "größe.csv", "表.csv")))


@pytest.mark.parametrize(
    "body", [b"", b"x", b"--x--\r\n", part(FILE, b"abc"), whole(part(FILE))[:-5], b"--y\r\n", b"--x\r\nno header"]
)
def test_forms_that_are_not_whole(body: bytes) -> None:
    form = Form(KIND["content-type"])
    form.look_at(body, is_last=True)
    assert form.refusal == Refusal(400, NO_FORM)


def messages(*pieces: bytes, ends: bool = True) -> Any:
    left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    left.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


@pytest.mark.parametrize(
    ("receive", "announced", "told"),
    [
        (messages(b"12345", b"6"), 5, "Content-Length"),
        (messages(b"12345", ends=False), 100, "broke off"),
        (messages(whole(part(FIELD, b"z" * 2 * MEGABYTE))), 3 * MEGABYTE, "beside its files"),
    ],
)
def test_what_is_refused_reaches_no_app_and_its_answer_nobody(receive: Any, announced: int, told: str) -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            try:
                message = await receive()
            except MultiPartException:
                await send({"type": "http.response.start", "status": 200})
                raise
            assert message["more_body"], "all of it came"

    async def send(message: Any) -> None:
        sent.append(message)

    upload = Upload(receive, announced, Form(KIND["content-type"]) if "files" in told else None)
    asyncio.run(upload.handed_to(app, {}, send))
    assert upload.refusal is not None and told in upload.refusal.sentence and not sent


def test_an_apps_own_error_is_not_kept_back() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise MultiPartException("its own")

    with pytest.raises(MultiPartException, match="its own"):
        asyncio.run(Upload(messages(), 0, None).handed_to(app, {}, messages()))


# --- real servers ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("forms") / "data", "--public") as server:
        yield server
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[-2000:]


def memory_of(pid: int) -> int:
    """The most that the process has held so far, in bytes (Linux)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def left_over(server: Served) -> list[Path]:
    """Files that Gradio has begun and nobody was told of."""
    return [path for path in server.data.rglob("tmp*") if path.is_file()]


def send_raw(server: Served, headers: Sequence[bytes], pieces: Iterator[bytes]) -> bytes:
    """What is answered to a request that is written as it stands, as far as the server reads it."""
    place = urlsplit(server.url)
    assert place.hostname and place.port
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        first = (f"POST {UPLOAD} HTTP/1.1".encode(), b"Host: " + place.netloc.encode())
        connection.sendall(b"\r\n".join([*first, b"Content-Type: multipart/form-data; boundary=x", *headers, b"", b""]))
        answer = b""
        with suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
            answer = connection.recv(4000)
        return answer


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the memory is read from /proc")
def test_a_field_is_not_kept_in_the_memory(server: Served) -> None:
    before, count = memory_of(server.pid), 200
    head, piece, tail = part(FIELD)[:-2], b"z" * MEGABYTE, b"\r\n--x--\r\n"
    length = len(head) + count * MEGABYTE + len(tail)
    send_raw(server, [b"Content-Length: %d" % length], iter([head, *[piece] * count, tail]))

    def chunks() -> Iterator[bytes]:
        for part_of_it in (head, *[piece] * count, tail, b""):
            yield b"%x\r\n%s\r\n" % (len(part_of_it), part_of_it)

    for header in (b"Content-Length: 4", b"X: y"):
        send_raw(server, [header, b"Transfer-Encoding: chunked"], chunks())
    assert memory_of(server.pid) - before < count * MEGABYTE // 2
    assert not left_over(server)


def test_a_length_beside_chunks_is_refused(server: Served) -> None:
    for coding in (b"chunked", b"Chunked"):
        headers = [b"Content-Length: 4", b"Transfer-Encoding: " + coding]
        answer = send_raw(server, headers, iter([b"0\r\n\r\n"]))
        assert answer.startswith(b"HTTP/1.1 411"), answer


def test_whole_uploads_are_taken_and_others_leave_nothing(server: Served) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as http:
        large = os.urandom(MEGABYTE) * 5
        answer = http.post(UPLOAD, files=[("files", ("a.zip", large)), ("files", ('b "ü".csv', b"a,b\n"))])
        assert answer.status_code == 200, answer.text
        assert Path(answer.json()[0]).read_bytes() == large and len(answer.json()) == 2
        assert http.post(UPLOAD, files=[("files", ("a.csv", b"a")), ("extra", (None, b"b"))]).status_code == 200
        assert http.post(f"{UPLOAD}?upload_id=u", files=[("files", ("a.csv", b"a"))]).status_code == 200
        for path, body, status in (
            (UPLOAD, part(FILE, large), 400),
            (UPLOAD, whole(part(FILE, large), part(FIELD, b"z" * 2 * MEGABYTE)), 413),
            (UPLOAD, whole(part(FILE, large), part(FIELD.replace(b"other", b"files"), b"z")), 400),
            (UPLOAD, whole(part(FILE, large), part(FILE.replace(b"a.csv", b".."), b"z")), 400),
            (f"{UPLOAD}?upload_id=v", whole(part(FILE, large), part(FIELD, b"z")), 400),
            (UPLOAD, whole(*[part(FILE, b"a")] * (MOST_PARTS + 1)), 413),
        ):
            answer = http.post(path, content=body, headers=KIND)
            assert answer.status_code == status and answer.json()["detail"].endswith("."), answer.text
    assert not left_over(server)


def test_gradios_own_client_uploads(server: Served, tmp_path: Path) -> None:
    from gradio_client import Client

    path = tmp_path / "a table.csv"
    path.write_bytes(b"a,b\n" * 1000)
    client = Client(server.url, verbose=False)
    kept = client.endpoints[0]._upload_file({"path": str(path)}, 0)
    assert Path(kept["path"]).read_bytes() == path.read_bytes()
    client.close()


def test_a_transfer_encoding_has_no_length() -> None:
    from starlette.datastructures import Headers

    from gradiend_ui.server.door.gate import Doors
    from gradiend_ui.server.door.quotas import PUBLIC

    doors = Doors(True, "127.0.0.1", PUBLIC, frozenset({"load"}), frozenset())
    for path in (UPLOAD, "/gradio_api/call/load", "/gradio_api/queue/join"):
        for coding in ("chunked", "identity", "gzip, chunked", ""):
            headers = Headers({"content-length": "4", "transfer-encoding": coding})
            told = refused("POST", path, headers, doors)
            assert told is not None and told.status == 411
        assert refused("POST", path, Headers({"content-length": "4"}), doors) is None
