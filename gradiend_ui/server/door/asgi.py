"""The messages of a request, in ASGI: read up to a limit and in time, read again, and answered with a refusal.

Knows no path and no function.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from h11 import LocalProtocolError
from starlette.responses import JSONResponse

from gradiend_ui.server.door.raw_calls import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
log = logging.getLogger(__name__)
BODY_SECONDS = 30.0


def while_connected(send: Send) -> Send:
    """The same, and nothing for a connection that has ended: of a request that is no HTTP the server has already said
    so itself while its answer was made."""

    async def send_while_connected(message: Message) -> None:
        try:
            await send(message)
        except LocalProtocolError as error:
            log.debug("nobody there any more: %s", error)

    return send_while_connected


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


def again(body: bytes, receive: Receive) -> Receive:
    """What was read, once more, then whatever comes after it."""
    left = [body]

    async def receive_again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_again


def answer_with(refusal: Refusal) -> JSONResponse:
    return JSONResponse({"detail": refusal.sentence}, status_code=refusal.status, headers={"Connection": "close"})
