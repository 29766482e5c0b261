"""The door of the server: who may ask, by which name, what, and how much of it. Plain ASGI, in front of Gradio.

Refused are: a host name that is not this server's (a page elsewhere that had its name point here), posts from another
site's page, paths that the page does not need, private functions by their name, bodies over the limit or too slow, and
more connections than the quotas allow. Every refusal is a sentence. Knows no session; what a function does with its
values is checked by the function.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import shutil
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from gradiend_ui.engine.errors import Busy
from gradiend_ui.ui.quotas import Quotas, Slots
from gradiend_ui.ui.visitors import Visitors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})
READ = re.compile(
    r"/(?:|de/?|config/?|favicon\.ico|manifest\.json|robots\.txt|theme\.css|(?:static|assets|svelte|app-static)/.*"
    r"|gradio_api/(?:info/?|app_id/?|startup-events|theme\.css|upload_progress|queue/data|heartbeat/[^/]+"
    r"|call/[^/]+/[^/]+|file=.*|openapi\.json|custom_component/.*))"
)
"""What may be fetched; whatever else Gradio serves is not part of this app."""
WRITTEN = re.compile(r"/gradio_api/(?:queue/join|upload|cancel/?|reset/?|(?:run|api|call|call/v2)/(?P<name>[^/]+)/?)")
"""What may be posted."""
UPLOAD = "/gradio_api/upload"
BY_NUMBER = "predict"
"""The name under which a page calls a function by its number."""
BODY_SECONDS, UPLOAD_SECONDS = 30.0, 1800.0
SPARE_BYTES = 512 * 2**20
PAGE_SECONDS, MOST_VISITORS, LONGEST_PAGE_NAME, MOST_DEPTH = 3600.0, 10_000, 64, 60
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Doors:
    """What the gate knows of its server.

    host: the address it listens on. functions: numbers of the functions that scripts may call; names: the same by name.
    uploads_dir: on the disk that uploads go to.
    """

    public: bool
    host: str
    quotas: Quotas
    names: frozenset[str]
    functions: frozenset[int]
    uploads_dir: str = "."


@dataclass(frozen=True)
class Refusal:
    status: int
    sentence: str


class Gate:
    """ASGI middleware around the whole app."""

    def __init__(self, app: App, doors: Doors, visitors: Visitors) -> None:
        self.app = app
        self._doors = doors
        self._visitors = visitors
        self._streams = Slots("connections", doors.quotas.streams, doors.quotas.streams_each)
        self._uploads = Slots("uploads", doors.quotas.uploads, doors.quotas.uploads_each)
        self._pages = Pages(doors.quotas.pages_each)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] != "websocket":  # Gradio has none
                await self.app(scope, receive, send)
            return
        headers = Headers(raw=list(scope["headers"]))
        refusal = refused(scope["method"], scope["path"], headers, self._doors)
        visitor = self._visitors.named((scope.get("client") or ("?",))[0], headers)
        if refusal is None:
            try:
                self._streams.take(visitor)
            except Busy as error:
                refusal = Refusal(429, str(error))
        if refusal is not None:
            await _answer(refusal)(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send, headers, visitor)
        finally:
            self._streams.give_back(visitor)

    async def _let_in(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        """Hand on; what is posted and is no file is read here first, up to the limit."""
        if scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
        elif scope["path"].rstrip("/") == UPLOAD:
            await self._take_file(scope, receive, send, headers, visitor)
        else:
            await self._take_call(scope, receive, send, headers, visitor)

    async def _take_call(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        body = await read_body(receive, self._doors.quotas.body_bytes)
        if isinstance(body, Refusal):
            await _answer(body)(scope, receive, send)
            return
        call = parsed(body) if self._doors.public else {}
        refusal = refused_call(scope["path"], call, headers, self._doors)
        if refusal is None and self._doors.public:
            refusal = self._pages.refused(visitor, call)
        if refusal is not None:
            await _answer(refusal)(scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)

    async def _take_file(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        """An upload, where there is a place and room for it; it breaks off when it takes too long."""
        needed = int(headers.get("content-length", "0"))
        if shutil.disk_usage(self._doors.uploads_dir).free < 2 * needed + SPARE_BYTES:
            await _answer(Refusal(507, "This server's disk has no room for the file."))(scope, receive, send)
            return
        try:
            with self._uploads.held(visitor):
                await self.app(scope, within(receive, UPLOAD_SECONDS), send)
        except Busy as error:
            await _answer(Refusal(429, str(error)))(scope, receive, send)


def refused(method: str, path: str, headers: Headers, doors: Doors) -> Refusal | None:
    """What is wrong with a request before its body is read; None for nothing."""
    name = host_name(headers.get("host", ""))
    if not doors.public and not is_own_name(name, doors.host):
        return Refusal(403, f"This server does not answer by the name {name[:80]!r}: open it as http://127.0.0.1.")
    if method in SAFE_METHODS:
        return None if READ.fullmatch(path) or method == "OPTIONS" else Refusal(404, "There is no such page.")
    if method != "POST" or not WRITTEN.fullmatch(path):
        return Refusal(404, "There is no such function.")
    if not is_same_site(headers):
        return Refusal(403, "Requests from another site's page are not taken: open this server's own page.")
    return _refused_size(path, headers, doors.quotas)


def _refused_size(path: str, headers: Headers, quotas: Quotas) -> Refusal | None:
    most = quotas.upload_bytes if path.rstrip("/") == UPLOAD else quotas.body_bytes
    given = headers.get("content-length")
    if given is None:
        return Refusal(411, "Send the length of the content with it (Content-Length).")
    if not given.isdecimal() or len(given) > 15:
        return Refusal(400, "Content-Length is no number.")
    if int(given) > most:
        return Refusal(413, f"That is {int(given) / 2**20:,.1f} MB; this server takes at most {most / 2**20:,.0f} MB.")
    return None


class Pages:
    """The pages that each visitor has opened lately: one that opens thousands would push everybody else's out."""

    def __init__(self, most_each: int) -> None:
        self._most = most_each
        self._opened: dict[str, OrderedDict[str, float]] = {}

    def refused(self, visitor: str, call: Mapping[str, Any]) -> Refusal | None:
        """Whether the page that a call comes from is one too many."""
        page = call.get("session_hash")
        if not isinstance(page, str):
            return None
        if len(page) > LONGEST_PAGE_NAME:
            return Refusal(400, "session_hash is a short text.")
        now = time.monotonic()
        opened = self._opened.setdefault(visitor, OrderedDict())
        while opened and now - next(iter(opened.values())) > PAGE_SECONDS:
            opened.popitem(last=False)
        if page not in opened and len(opened) >= self._most:
            return Refusal(429, f"{len(opened)} pages were opened from your address within the hour: close some, wait.")
        opened.setdefault(page, now)
        if len(self._opened) > MOST_VISITORS:
            ended = [
                name for name, pages in self._opened.items() if now - next(reversed(pages.values())) > PAGE_SECONDS
            ]
            for name in ended:
                del self._opened[name]
        return None


def refused_call(path: str, call: Mapping[str, Any], headers: Headers, doors: Doors) -> Refusal | None:
    """Whether a call is of a function that this caller may use. Scripts get the public ones, pages of this site all."""
    match = WRITTEN.fullmatch(path)
    name = match["name"] if match else None
    by_number = name == BY_NUMBER or name is None
    if names_an_address(call.get("data")):
        return Refusal(403, "Files are uploaded; this server fetches none from elsewhere.")
    if not by_number:
        return None if name in doors.names else Refusal(404, f"There is no public function {str(name)[:80]!r}.")
    if not doors.public or not path.rstrip("/").endswith(("/join", f"/{BY_NUMBER}")):
        return None
    if headers.get("origin") is not None:
        return None  # a page of this server: another site's was refused before
    number = call.get("fn_index")
    return (
        None
        if isinstance(number, int) and not isinstance(number, bool) and number in doors.functions
        else Refusal(403, "This function is the page's own: see the API's list.")
    )


def parsed(body: bytes) -> dict[str, Any]:
    """The call as an object; an empty one for anything else, which Gradio refuses."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def names_an_address(data: object, depth: int = 0) -> bool:
    """Whether a file among the values is named by an address, which Gradio would fetch."""
    if depth > MOST_DEPTH:
        return True
    if isinstance(data, dict):
        path = data.get("path")
        return (isinstance(path, str) and "://" in path) or any(names_an_address(x, depth + 1) for x in data.values())
    return isinstance(data, list) and any(names_an_address(item, depth + 1) for item in data)


def host_name(host: str) -> str:
    """The name in a Host header or an origin, in lower case, without its port and brackets."""
    bare = host.strip().lower()
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    return bare.partition(":")[0] if bare.count(":") <= 1 else bare


def is_own_name(name: str, host: str) -> bool:
    """Whether a server that listens on `host` may be called by `name`.

    One on a single address answers to it, and to the loopback names where it is one of them. One on every address
    answers to any plain address and to the machine's name: other names could be anybody's.
    """
    if name == host_name(host) or name in LOOPBACK:
        return True
    if host not in EVERYWHERE:
        return False
    if name in (socket.gethostname().lower(), socket.getfqdn().lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_same_site(headers: Headers) -> bool:
    """Whether a post comes from this server's own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    asked = {headers.get("host", "").lower(), headers.get("x-forwarded-host", "").lower()}
    return origin.partition("://")[2].lower() in asked - {""}


def within(receive: Receive, seconds: float) -> Receive:
    """The same messages until so many seconds have passed, then none any more."""
    until = time.monotonic() + seconds

    async def receive_in_time() -> Message:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                return await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}

    return receive_in_time


async def read_body(receive: Receive, most: int, seconds: float = BODY_SECONDS) -> bytes | Refusal:
    """The whole body, or why not: too large, too slow, broken off."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return Refusal(400, "The request broke off.")
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > most:
                    return Refusal(413, f"The request is larger than {most / 2**20:,.0f} MB.")
                if not message.get("more_body"):
                    return b"".join(pieces)
    except TimeoutError:
        return Refusal(408, f"The request did not arrive within {seconds:.0f} s: send it again.")


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read, once more, then whatever comes after it."""
    left = [body]

    async def receive_again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_again


def _answer(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"detail": refusal.sentence}, status_code=refusal.status, headers={"Connection": "close"})
