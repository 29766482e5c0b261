"""The door: host names, other sites' pages, paths, private functions, sizes, slow and many requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gradiend_ui.server.door.addresses import host_name, is_own_name
from gradiend_ui.server.door.asgi import read_body, within
from gradiend_ui.server.door.gate import Doors, Gate, Pages, names_an_address
from gradiend_ui.server.door.quotas import LOCAL, PUBLIC
from gradiend_ui.server.door.raw_calls import Refusal
from gradiend_ui.server.door.visitors import Visitors, address_of

OWN = "http://127.0.0.1:7860"
CALL = "/gradio_api/call/load"
RUN = "/gradio_api/run/predict"
JOIN = "/gradio_api/queue/join"
PUBLIC_NUMBER, PRIVATE_NUMBER = 3, 8


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"in {len(await request.body())}")


def client_of(public: bool = False) -> TestClient:
    quotas = PUBLIC if public else LOCAL
    pages = frozenset({"/de"})
    doors = Doors(public, "127.0.0.1", quotas, frozenset({"load"}), frozenset({PUBLIC_NUMBER}), pages=pages)
    middleware = [Middleware(Gate, doors=doors, visitors=Visitors(public))]
    app = Starlette(
        routes=[Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE"])], middleware=middleware
    )
    return TestClient(app, base_url=OWN if not public else "https://someone-space.hf.space")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("LOCALHOST", 200),
        ("[::1]:7860", 200),
        ("evil.example:7860", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.168.0.7", 403),
        ("", 403),
    ],
)
def test_a_local_server_answers_to_its_own_names_only(host: str, status: int) -> None:
    assert client_of().get("/", headers={"host": host}).status_code == status


def test_a_server_on_every_address_answers_to_addresses_but_not_to_any_name() -> None:
    assert is_own_name("192.168.0.7", "0.0.0.0") and is_own_name("localhost", "0.0.0.0")
    assert not is_own_name("evil.example", "0.0.0.0")
    assert not is_own_name("192.168.0.7", "127.0.0.1")
    assert is_own_name("lab.example", "lab.example")
    assert host_name("[fe80::1]:80") == "fe80::1" and host_name("A.b:1") == "a.b"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1"])
def test_posts_from_another_page_are_refused(origin: str) -> None:
    client = client_of()
    assert client.post(CALL, json={}, headers={"origin": origin}).status_code == 403
    assert client.post(CALL, json={}, headers={"origin": OWN}).status_code == 200
    assert client.post(CALL, json={}).status_code == 200, "a script sends no origin"
    assert client.post(CALL, json={}, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("public", [False, True])
def test_a_page_is_open_while_it_holds_its_heartbeat_and_by_nothing_else(public: bool) -> None:
    visitors, open_meanwhile = Visitors(public), list[bool]()

    async def look(_: Request) -> PlainTextResponse:
        open_meanwhile.append("page" in visitors.open_pages)
        return PlainTextResponse("in")

    doors = Doors(public, "127.0.0.1", LOCAL, frozenset({"load"}), frozenset())
    middleware = [Middleware(Gate, doors=doors, visitors=visitors)]
    client = TestClient(Starlette(routes=[Route("/{path:path}", look)], middleware=middleware), base_url=OWN)
    for path in ("heartbeat/page", "heartbeat/other", "queue/data?session_hash=page"):
        client.get(f"/gradio_api/{path}")
    assert open_meanwhile == [True, False, False]
    assert "page" not in visitors.open_pages, "it has closed"


def test_a_page_behind_a_proxy_is_this_servers_own() -> None:
    headers = {"origin": "https://demo.example", "x-forwarded-host": "demo.example"}
    assert client_of(public=True).post(CALL, json={}, headers=headers).status_code == 200
    headers["origin"] = "https://evil.example"
    assert client_of(public=True).post(CALL, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring", "/monitoring/summary", "/gradio_api/runs", "/gradio_api/deep_link", "/gradio_api/dev/reload",
        "/gradio_api/proxy=http://evil.example", "/gradio_api/vibe-code/", "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/gradio_api/profiling/traces", "/docs", "/redoc", "/gradio_api/mcp/", "/pwa_icon", "//etc/passwd",
    ],
)  # fmt: skip
def test_what_the_page_does_not_need_is_not_there(path: str) -> None:
    for client in (client_of(), client_of(public=True)):
        assert client.get(path).status_code == 404
        assert client.post(path, json={}).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/de", "/config", "/gradio_api/info", "/assets/a.js", "/gradio_api/file=/a/b.zip"]
)
def test_what_the_page_needs_is_there(path: str) -> None:
    assert client_of().get(path).status_code == 200
    assert client_of().put(path).status_code == 404


def test_private_functions_are_refused_by_name() -> None:
    for client in (client_of(), client_of(public=True)):
        for how in ("call", "run", "api", "call/v2"):
            assert client.post(f"/gradio_api/{how}/start", json={"data": []}).status_code == 404
            assert client.post(f"/gradio_api/{how}/load", json={"data": []}).status_code == 200


@pytest.mark.parametrize("path", [RUN, JOIN, f"{RUN}/"])
def test_private_functions_are_the_pages_own_on_a_public_server(path: str) -> None:
    client = client_of(public=True)
    page = {"origin": "https://someone-space.hf.space"}
    assert client.post(path, json={"fn_index": PUBLIC_NUMBER}).status_code == 200
    assert client.post(path, json={"fn_index": PRIVATE_NUMBER}).status_code == 403
    assert client.post(path, json={"fn_index": PRIVATE_NUMBER}, headers=page).status_code == 200
    for body in (b"", b"[", b"[]", b'{"fn_index": true}', b'{"fn_index": "3"}', b"[" * 100_000):
        assert client.post(path, content=body).status_code == 403
    assert client_of().post(path, json={"fn_index": PRIVATE_NUMBER}).status_code == 200


def test_large_requests_are_refused_before_they_are_read() -> None:
    client = client_of(public=True)
    assert client.post(CALL, content=b"x" * (PUBLIC.body_bytes + 1)).status_code == 413
    assert client.post(CALL, content=b"x" * 1000).text == "in 1000"
    headers = {"content-length": str(PUBLIC.upload_bytes + 1)}
    assert client.post("/gradio_api/upload", headers=headers).status_code == 413
    assert client.post(CALL, headers={"content-length": "-1"}).status_code == 400
    assert client.post(CALL, headers={"content-length": "9" * 5000}).status_code == 400

    def pieces() -> Any:
        yield b"x"

    assert client.post(CALL, content=pieces()).status_code == 411


def body_of(*messages: dict[str, Any], most: int = 10, seconds: float = 600.0) -> bytes | Refusal:
    """What becomes of these messages; after the last one nothing comes any more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else await asyncio.Event().wait()

    return asyncio.run(read_body(receive, most, seconds=seconds))


def test_bodies_that_lie_or_take_too_long_are_refused() -> None:
    piece = {"type": "http.request", "body": b"12345", "more_body": True}
    last = {"type": "http.request", "body": b"6"}
    assert body_of(piece, last) == b"123456"
    for answer, status in (
        (body_of(piece, piece, piece, last), 413),
        (body_of(piece, {"type": "http.disconnect"}), 400),
        (body_of(piece, seconds=0.05), 408),
    ):
        assert isinstance(answer, Refusal) and answer.status == status


def test_one_visitor_cannot_take_all_connections() -> None:
    doors = Doors(True, "0.0.0.0", PUBLIC, frozenset({"load"}), frozenset())
    entered: list[str] = []
    hold = asyncio.Event()

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        entered.append(scope["client"][0])
        await hold.wait()
        await PlainTextResponse("ok")(scope, receive, send)

    async def ask(gate: Gate, address: str) -> int:
        status: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "client": (address, 1),
            "query_string": b"",
        }
        await gate(scope, None, send)  # type: ignore[arg-type]
        return status[0]

    async def drive() -> tuple[list[int], list[int]]:
        gate = Gate(wait, doors, Visitors(public=True))
        many = [asyncio.create_task(ask(gate, "1.1.1.1")) for _ in range(PUBLIC.streams_each + 3)]
        other = asyncio.create_task(ask(gate, "2.2.2.2"))
        await asyncio.sleep(0.05)
        hold.set()
        answers = await asyncio.gather(*many)
        again = await ask(gate, "1.1.1.1")
        return answers, [await other, again]

    answers, others = asyncio.run(drive())
    assert answers.count(200) == PUBLIC.streams_each and answers.count(429) == 3
    assert others == [200, 200], "others are let in, and so is the same visitor once there is room"


def test_a_visitor_is_known_by_what_the_proxy_saw() -> None:
    assert address_of("10.0.0.1", "6.6.6.6, 7.7.7.7", 0) == "10.0.0.1"
    assert address_of("10.0.0.1", "6.6.6.6, 7.7.7.7", 1) == "7.7.7.7", "what stands before it may be made up"
    assert address_of("10.0.0.1", "", 1) == "10.0.0.1"
    assert address_of("2001:db8:1:2:3:4:5:6", "", 0) == address_of("2001:db8:1:2:ffff::1", "", 0)
    assert address_of("2001:db8::1", "", 0) == address_of("2001:db8::2", "", 0) != address_of("2001:db8:0:1::1", "", 0)
    for spelled in ("1.2.3.4:5001", "1.2.3.4", "::ffff:1.2.3.4"):
        assert address_of("10.0.0.1", spelled, 1) == "1.2.3.4"
    assert address_of("10.0.0.1", "[2001:db8::1]:443", 1) == address_of("2001:db8::7", "", 0)
    assert address_of("10.0.0.1", "unknown", 1) == "unknown"
    visitors = Visitors(public=True, proxies=1)
    headers = Headers({"X-Forwarded-For": "7.7.7.7"})
    assert (
        visitors.named("10.0.0.1", headers)
        == visitors.named("10.0.0.2", headers)
        != visitors.named("7.7.7.8", Headers())
    )
    assert "7.7.7.7" not in visitors.named("10.0.0.1", headers)
    assert Visitors(public=False).named("1.1.1.1", headers) == ""


def test_one_visitor_cannot_push_out_everybody_elses_pages() -> None:
    client = client_of(public=True)
    page = {"origin": "https://someone-space.hf.space"}

    def opens(name: str, address: str = "testclient") -> int:
        return client.post(RUN, json={"fn_index": 1, "session_hash": name}, headers=page).status_code

    assert [opens(f"page{n}") for n in range(PUBLIC.pages_each)] == [200] * PUBLIC.pages_each
    assert opens("one more") == 429 and opens("page0") == 200
    pages = Pages(2)
    for name in ("a", "b"):
        assert pages.refused("anna", {"session_hash": name}) is None
    assert pages.refused("anna", {"session_hash": "c"}) is not None
    assert pages.refused("ben", {"session_hash": "c"}) is None
    assert pages.refused("ben", {"session_hash": "x" * 1000}) is not None
    assert pages.refused("ben", {}) is None


def test_no_file_is_fetched_from_elsewhere() -> None:
    client = client_of(public=True)
    for path in ("http://evil.example/x.csv", "https://a", "ftp://a/b", "file:///etc/passwd"):
        data = [None, [{"deep": {"path": path, "meta": {"_type": "gradio.FileData"}}}]]
        assert client.post(CALL, json={"data": data}).status_code == 403
        escaped = b'{"data": [{"path": "\\u0068ttp://evil.example"}]}'
        assert client.post(CALL, content=escaped).status_code == 403
    own = {"path": "/tmp/gradio/x.csv", "url": "http://127.0.0.1:7860/gradio_api/file=/tmp/gradio/x.csv"}
    assert client.post(CALL, json={"data": [own, "http://a text may name one"]}).status_code == 200
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    assert names_an_address(deep), "what nobody needs so deep is not looked through"


def test_uploads_have_places_and_time() -> None:
    async def receive() -> dict[str, Any]:
        return await asyncio.Event().wait()

    assert asyncio.run(within(receive, 0.05)()) == {"type": "http.disconnect"}
    assert client_of(public=True).post("/gradio_api/upload", content=b"x" * 100).text == "in 100"


def test_a_third_upload_at_once_waits_for_its_turn() -> None:
    doors = Doors(True, "0.0.0.0", PUBLIC, frozenset(), frozenset())
    hold = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await hold.wait()
        await PlainTextResponse("ok")(scope, receive, send)

    async def upload(gate: Gate) -> int:
        status: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        headers = [(b"content-length", b"10"), (b"host", b"x")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/gradio_api/upload",
            "headers": headers,
            "client": ("1.1.1.1", 1),
        }
        await gate(scope, None, send)  # type: ignore[arg-type]
        return status[0]

    async def drive() -> list[int]:
        gate = Gate(slow, doors, Visitors(public=True))
        tasks = [asyncio.create_task(upload(gate)) for _ in range(4)]
        await asyncio.sleep(0.05)
        hold.set()
        return sorted(await asyncio.gather(*tasks))

    assert asyncio.run(drive()) == [200] * PUBLIC.uploads_each + [429] * (4 - PUBLIC.uploads_each)
