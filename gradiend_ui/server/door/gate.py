"""The door of the server: who may ask, by which name, what, and how much of it. Plain ASGI, in front of Gradio.

Refused are: a host name that is not this server's (a page elsewhere that had its name point here), posts from another
site's page, paths that the page does not need, private functions by their name, calls that do not fit their function
(see `raw_calls`), bodies over the limit or too slow, and more connections than the quotas allow. Every refusal is a
sentence. Knows no session; what a function does with its values is checked by the function.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from gradiend_ui.engine.errors import Busy, shown
from gradiend_ui.engine.files.file_names import LONGEST_PATH, LONGEST_PIECE
from gradiend_ui.engine.files.logs import Seldom
from gradiend_ui.server.door.addresses import checked_host, host_name, is_own_name, is_this_machine
from gradiend_ui.server.door.asgi import (
    App,
    Message,
    Receive,
    Send,
    again,
    answer_with,
    read_body,
    while_connected,
    within,
)
from gradiend_ui.server.door.forms import NO_FORM, Form, Upload
from gradiend_ui.server.door.quotas import Quotas, Slots
from gradiend_ui.server.door.raw_calls import (
    BY_NUMBER,
    LONGEST_PAGE_NAME,
    MOST_DEPTH,
    NUMBERED,
    Functions,
    Refusal,
    is_by_number,
    is_json,
    is_page_name,
    misfit,
    parsed,
    with_statuses,
)
from gradiend_ui.server.door.visitors import Visitors

log = logging.getLogger(__name__)
IS_NEWS = Seldom()
READ = re.compile(
    r"/(?:|config/?|favicon\.ico|manifest\.json|robots\.txt|theme\.css|(?:static|assets|svelte|app-static)/.*"
    r"|gradio_api/(?:info/?|app_id/?|startup-events|theme\.css|upload_progress|queue/data|heartbeat/[^/]+"
    r"|call/[^/]+/[^/]+|file=.*|openapi\.json))"
)
"""What may be fetched; whatever else Gradio serves is not part of this app, such as parts of components that are none
of its own: of each request for one it prints a line with what was asked for."""
WRITTEN = re.compile(
    r"/gradio_api/(?:(?P<way>queue/join|upload)|(?P<event>cancel|reset)/?"
    r"|(?P<named>run|api|call|call/v2)/(?P<name>[^/]+)/?)"
)
"""What may be posted."""
UPLOAD = "/gradio_api/upload"
STREAM = re.compile(r"/gradio_api/(?:(?P<page>queue/data)|call/(?P<name>[^/]+)/(?P<event>[^/]+))")
"""Where a page, or a script, fetches what came of its calls."""
HEARTBEAT = re.compile(r"/gradio_api/heartbeat/(?P<page>[^/]+)")
FETCHED_ELSEWHERE = re.compile(r"/gradio_api/file=\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
UPLOAD_PROGRESS = "/gradio_api/upload_progress"
FORM = re.compile(r'multipart/form-data\s*;\s*boundary="?[^";]{1,70}"?', re.IGNORECASE)
LONGEST_LENGTH = 15
FORWARDING = ("x-forwarded-for", "forwarded", "via")
NOBODY = "There is nothing to tell: this page has asked for nothing, or the server was started anew. Reload the page."
ANSWERED = "There is no such call: its answer was fetched already, or it was never made."
UNEXPECTED = "The server could not answer this request: reload the page and try again."
UPLOAD_SECONDS = 1800.0
SPARE_BYTES = 512 * 2**20
PAGE_SECONDS, MOST_VISITORS = 3600.0, 10_000
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Doors:
    """What the gate knows of its server.

    host: the address it listens on. functions: numbers of the functions that scripts may call; names: the same by name.
    uploads_dir: on the disk that uploads go to. allowed: further names that a local server answers to.
    calls: how each function is called; None for a server whose functions look at that themselves. pages: the paths of
    the page in other languages, such as "/de".
    """

    public: bool
    host: str
    quotas: Quotas
    names: frozenset[str]
    functions: frozenset[int]
    uploads_dir: str = "."
    allowed: frozenset[str] = frozenset()
    calls: Functions | None = None
    pages: frozenset[str] = frozenset()


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
        send = while_connected(send)
        headers = Headers(raw=list(scope["headers"]))
        peer = (scope.get("client") or ("?",))[0]
        refusal = refused(scope["method"], scope["path"], headers, self._doors, peer)
        visitor = self._visitors.named(peer, headers)
        if refusal is None:
            try:
                self._streams.take(visitor)
            except Busy as error:
                refusal = Refusal(429, str(error))
        if refusal is not None:
            await answer_with(refusal)(scope, receive, send)
            return
        try:
            with_last_resort = LastResort(scope, send)
            try:
                await self._let_in(scope, receive, with_last_resort.send, headers, visitor)
            except Exception as error:  # the server's edge: Gradio may break on what nobody has thought of
                await with_last_resort.answer(error, receive)
        finally:
            self._streams.give_back(visitor)

    async def _let_in(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        """Hand on; what is posted and is no file is read here first, up to the limit."""
        if scope["method"] in SAFE_METHODS:
            query = QueryParams(scope.get("query_string", b""))
            instead = answered_here(scope["path"], query, self._doors.calls) if self._doors.calls else None
            beat = HEARTBEAT.fullmatch(scope["path"]) if instead is None else None
            with self._visitors.open_pages.held(beat["page"]) if beat else nullcontext():
                await (instead or self.app)(scope, receive, send)
        elif scope["path"].rstrip("/") == UPLOAD:
            await self._take_file(scope, receive, send, headers, visitor)
        else:
            await self._take_call(scope, receive, send, headers, visitor)

    async def _take_call(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        body = await read_body(receive, self._doors.quotas.body_bytes)
        if isinstance(body, Refusal):
            await answer_with(body)(scope, receive, send)
            return
        call, calls = parsed(body), self._doors.calls
        refusal: Refusal | None = None
        if isinstance(call, Refusal):
            refusal, call = call if calls is not None else None, {}
        refusal = refusal or refused_call(scope["path"], call if self._doors.public else {}, headers, self._doors)
        if refusal is None and calls is not None:
            refusal = _misfit(scope["path"], call, headers, calls)
        if refusal is None and self._doors.public:
            refusal = self._pages.refused(visitor, call)
        if refusal is not None:
            await answer_with(refusal)(scope, receive, send)
            return
        await self.app(scope, again(body, receive), with_statuses(send) if _is_told_at_once(scope["path"]) else send)

    async def _take_file(self, scope: Message, receive: Receive, send: Send, headers: Headers, visitor: str) -> None:
        """An upload, where there is a place and room for it; it breaks off when it takes too long."""
        if self._doors.calls is not None and not FORM.fullmatch(headers.get("content-type", "")):
            await answer_with(Refusal(415, NO_FORM))(scope, receive, send)
            return
        needed = int(headers.get("content-length", "0"))
        if shutil.disk_usage(self._doors.uploads_dir).free < 2 * needed + SPARE_BYTES:
            await answer_with(Refusal(507, "This server's disk has no room for the file."))(scope, receive, send)
            return
        form = None
        if self._doors.calls is not None:
            is_followed = "upload_id" in QueryParams(scope.get("query_string", b""))
            form = Form(headers.get("content-type", ""), files_only=is_followed)
        upload = Upload(within(receive, UPLOAD_SECONDS), needed, form)
        try:
            with self._uploads.held(visitor):
                await upload.handed_to(self.app, scope, send)
            if upload.refusal is not None:
                await answer_with(upload.refusal)(scope, receive, send)
        except Busy as error:
            await answer_with(Refusal(429, str(error)))(scope, receive, send)


class LastResort:
    """Sends on what the app answers; where that breaks off, a sentence instead, and one line for the log."""

    def __init__(self, scope: Message, send: Send) -> None:
        self._scope, self._send = scope, send
        self._begun = False

    async def send(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def answer(self, error: Exception, receive: Receive) -> None:
        kind, path = type(error).__name__, str(self._scope["path"])[:200]
        level = logging.WARNING if IS_NEWS(f"{self._scope['method']} {kind}") else logging.DEBUG
        log.log(level, "%s %r ended with %s", self._scope["method"], path, kind)
        log.debug("in full:", exc_info=error)
        is_form = path.rstrip("/") == UPLOAD and not isinstance(error, OSError)
        if not self._begun:
            refusal = Refusal(400, NO_FORM) if is_form else Refusal(500, UNEXPECTED)
            await answer_with(refusal)(self._scope, receive, self._send)


def refused(method: str, path: str, headers: Headers, doors: Doors, peer: str = "?") -> Refusal | None:
    """What is wrong with a request before its body is read; None for nothing. peer: the other end of the connection."""
    name = host_name(headers.get("host", ""))
    if not doors.public and not is_own_name(name, doors.host, doors.allowed):
        return Refusal(403, unknown_name(name, peer, headers))
    if method in SAFE_METHODS:
        there = path.removesuffix("/") in doors.pages or (READ.fullmatch(path) and not _leads_nowhere(path))
        return None if there or method == "OPTIONS" else Refusal(404, "There is no such page.")
    if method != "POST" or not WRITTEN.fullmatch(path):
        return Refusal(404, "There is no such function.")
    if not is_same_site(headers):
        return Refusal(403, "Requests from another site's page are not taken: open this server's own page.")
    return _refused_size(path, headers, doors.quotas)


def unknown_name(name: str, peer: str, headers: Headers) -> str:
    """What is told to who came by a name that is not this server's: its owner what to do, anybody else whom to ask.

    The owner sits at this machine; a request that a proxy forwards comes from somebody else.
    """
    if any(header in headers for header in FORWARDING) or not is_this_machine(peer):
        return "This server does not answer by this name: ask who runs this server how to open it."
    known = checked_host(name)
    if known is None:
        return f"This server does not answer by the name {name[:80]!r}: open the address that it printed at its start."
    return (
        f"This server does not answer by the name {known[:80]!r}: open the address that it printed at its start, or, "
        f"where people shall open it by this name, start it with --allow-host {known}."
    )


def _leads_nowhere(path: str) -> bool:
    """Whether no file and no page can be called so: what the disk, or a fetch elsewhere, would be asked for in vain."""
    if len(path.encode(errors="replace")) > LONGEST_PATH or not path.isprintable():
        return True
    too_long = any(len(piece.encode(errors="replace")) > LONGEST_PIECE for piece in path.split("/"))
    return too_long or FETCHED_ELSEWHERE.match(path) is not None


def answered_here(path: str, query: Mapping[str, str], calls: Functions) -> App | None:
    """The answer to a page, or a script, that waits for what will never come; None where Gradio has one."""
    stream, beat = STREAM.fullmatch(path), HEARTBEAT.fullmatch(path)
    page = query.get("session_hash", "") if stream and stream["page"] else beat["page"] if beat else "page"
    if not is_page_name(page):
        return answer_with(Refusal(400, f"session_hash must be a text of 1 to {LONGEST_PAGE_NAME} letters."))
    if path == UPLOAD_PROGRESS and not is_page_name(query.get("upload_id")):
        return answer_with(Refusal(400, f"upload_id must be a text of 1 to {LONGEST_PAGE_NAME} letters."))
    if stream and stream["page"] and not calls.page_waits(page):
        told = {"msg": "unexpected_error", "message": NOBODY, "success": False, "session_not_found": True}
        return Response(f"data: {json.dumps(told)}\n\n", media_type="text/event-stream")
    if stream and stream["event"] and not calls.event_waits(stream["event"]):
        return Response(f"event: error\ndata: {json.dumps(ANSWERED)}\n\n", media_type="text/event-stream")
    return None


def _is_told_at_once(path: str) -> bool:
    """Whether the answer to a call is what its function gave, and not the name of an event to wait for."""
    match = WRITTEN.fullmatch(path)
    return match is not None and match["named"] in NUMBERED


def _misfit(path: str, call: Mapping[str, Any], headers: Headers, calls: Functions) -> Refusal | None:
    match = WRITTEN.fullmatch(path)
    if match is None:
        return None
    if not is_json(headers.get("content-type", "")):
        return Refusal(415, "Send the call as JSON, with the header Content-Type: application/json.")
    return misfit(match["named"] or match["event"] or match["way"], match["name"], call, calls)


def _refused_size(path: str, headers: Headers, quotas: Quotas) -> Refusal | None:
    most = quotas.upload_bytes if path.rstrip("/") == UPLOAD else quotas.body_bytes
    given = headers.get("content-length")
    if given is None or "transfer-encoding" in headers:  # chunks have no length, whatever is said beside them
        return Refusal(411, "Send the length of the content with it (Content-Length).")
    if not (given.isascii() and given.isdecimal()):
        return Refusal(400, "Content-Length is no number.")
    if len(given) > LONGEST_LENGTH:
        return Refusal(400, f"Content-Length is {shown(given)}; this server takes at most {most / 2**20:,.0f} MB.")
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
    by_number = is_by_number(match["named"] if match else None, name)
    if names_an_address(call):
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


def names_an_address(data: object, depth: int = 0) -> bool:
    """Whether a file among the values is named by an address, which Gradio would fetch."""
    if depth > MOST_DEPTH:
        return True
    if isinstance(data, dict):
        path = data.get("path")
        return (isinstance(path, str) and "://" in path) or any(names_an_address(x, depth + 1) for x in data.values())
    return isinstance(data, list) and any(names_an_address(item, depth + 1) for item in data)


def is_same_site(headers: Headers) -> bool:
    """Whether a post comes from this server's own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    asked = {headers.get("host", "").lower(), headers.get("x-forwarded-host", "").lower()}
    return origin.partition("://")[2].lower() in asked - {""}
