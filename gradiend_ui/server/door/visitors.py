"""Who asks: a short name per visitor, whether it is this machine's owner, the key that was sent; which pages are open.

On a public server the name is a keyed hash of the visitor's address: nothing else is known of them, and after a restart
the same address has another name, so that everybody gets a turn and nobody takes all of the server. On a local server
there is one name, "", and the owner is who asks from this machine itself. Knows requests, no session.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

FORWARDED = "x-forwarded-for"
UNKNOWN = "?"


class Request(Protocol):
    """Gradio's request, as far as it tells who asks: `client.host`, header fields, and Starlette's request below it."""

    client: Any
    headers: Mapping[str, str]
    request: Any


@dataclass(frozen=True)
class Asker:
    """Who wants something of a run.

    visitor: their name. owner: the person at the machine of a local server. key: what was sent with this one request.
    ring: {run: key} of all that their browser keeps.
    """

    visitor: str = ""
    owner: bool = False
    key: str = ""
    ring: Mapping[str, str] = field(default_factory=dict)

    def key_of(self, run: str) -> str:
        return self.key or self.ring.get(run, "")


THIS_MACHINE = Asker(owner=True)
"""Python code in the server's own process. It is no visitor, and on a public server it needs keys like one."""


class OpenPages:
    """The pages that are open in a browser, by Gradio's session hash: each holds a connection (the heartbeat) for as
    long as it is open. Who only calls functions has no page. Safe to use from several threads."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, page: str) -> Iterator[None]:
        """The page is open while the block runs."""
        with self._lock:
            self._held[page] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[page] -= 1
                if not self._held[page]:
                    del self._held[page]

    def __contains__(self, page: object) -> bool:
        with self._lock:
            return page in self._held


class Visitors:
    """proxies: how many proxies stand in front of this server, each of which adds an address to the header.
    open_pages: of all visitors."""

    def __init__(self, public: bool, proxies: int = 0) -> None:
        self.open_pages = OpenPages()
        self._public, self._proxies = public, proxies
        self._key = secrets.token_bytes(16)

    def of(self, request: Request | None) -> str:
        """The visitor's name, from the request of an event."""
        if request is None or not self._public:
            return ""
        client: Any = request.client
        return self.named(str(client.host) if client else UNKNOWN, request.headers)

    def asker(self, request: Request | None, key: Any = "", ring: Mapping[str, str] | None = None) -> Asker:
        """The same with what was sent to control a run by; the key may still be anything."""
        return Asker(self.of(request), self.is_owner(request), "" if key is None else key, ring or {})

    def is_owner(self, request: Request | None) -> bool:
        """Whether a request comes from the machine that this server runs on; nobody owns a public one."""
        if self._public:
            return False
        if request is None:
            return True
        client: Any = request.client
        scope: Mapping[str, Any] = request.request.scope if request.request else {}
        here = scope.get("server") or ("",)
        return is_from_here(
            str(client.host) if client else UNKNOWN, str(here[0]), request.headers.get(FORWARDED, ""), self._proxies
        )

    def named(self, peer: str, headers: Mapping[str, str]) -> str:
        """The same from the address of the other end of the connection and the request's headers."""
        if not self._public:
            return ""
        address = address_of(peer, headers.get(FORWARDED, ""), self._proxies)
        return hashlib.blake2b(address.encode(), key=self._key, digest_size=8).hexdigest()


def is_from_here(peer: str, here: str, forwarded: str, proxies: int) -> bool:
    """Whether a request was made on this machine: the other end of the connection is a loopback address, or the very
    address that it reached the server by (`here`), and so is whoever the proxies in front say that they speak for.

    A header can only take this away. Where no proxy is known, whoever wrote one speaks for somebody else.
    """
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    spoken_for = hops[-proxies:] if proxies > 0 else hops
    own = _plain(here)
    return all(_is_loopback(address) or (own != "" and _plain(address) == own) for address in (peer, *spoken_for))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(_plain(address)).is_loopback
    except ValueError:
        return False


def _plain(address: str) -> str:
    """The address without brackets, port and zone, an IPv4 one in its own form; "" for what is none."""
    bare = address[1:].partition("]")[0] if address.startswith("[") else address
    for spelled in (bare, bare.rpartition(":")[0]):
        try:
            found = ipaddress.ip_address(spelled.partition("%")[0])
        except ValueError:
            continue
        return str(found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else str(found)
    return ""


def address_of(peer: str, forwarded: str, proxies: int) -> str:
    """The visitor's address: what the outermost of our proxies saw. What visitors write there themselves is not read.

    An IPv6 visitor owns a whole network of addresses: its /64 stands for them. A port that a proxy notes is left out.
    """
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    given = hops[-proxies] if 0 < proxies <= len(hops) else peer
    bare = given[1:].partition("]")[0] if given.startswith("[") else given
    for spelled in (bare, bare.rpartition(":")[0]):
        try:
            address = ipaddress.ip_address(spelled)
        except ValueError:
            continue
        if address.version == 4:
            return str(address)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return given
