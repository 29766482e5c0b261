"""Who asks: a short name per visitor, so that everybody gets a turn and nobody takes all of the server.

On a public server it is a keyed hash of the visitor's address: nothing else is known of them, and after a restart the
same address has another name. On a local server there is one person, "". Knows requests, no session.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

FORWARDED = "x-forwarded-for"
UNKNOWN = "?"


class Visitors:
    """proxies: how many proxies stand in front of this server, each of which adds an address to the header."""

    def __init__(self, public: bool, proxies: int = 0) -> None:
        self._public, self._proxies = public, proxies
        self._key = secrets.token_bytes(16)

    def of(self, request: gr.Request | None) -> str:
        """The visitor's name, from the request of an event."""
        if request is None or not self._public:
            return ""
        client: Any = request.client
        return self.named(str(client.host) if client else UNKNOWN, request.headers)

    def named(self, peer: str, headers: Mapping[str, str]) -> str:
        """The same from the address of the other end of the connection and the request's headers."""
        if not self._public:
            return ""
        address = address_of(peer, headers.get(FORWARDED, ""), self._proxies)
        return hashlib.blake2b(address.encode(), key=self._key, digest_size=8).hexdigest()


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
