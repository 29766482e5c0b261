"""Where a server listens and by which names people reach it: beyond this machine or not, its addresses, other names.

Asks the system only, and sends nothing. Knows no page, no visitor, no session; imported before anything is served.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gradiend_ui.engine.errors import SHOWN

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})
LONGEST_HOST, LONGEST_LABEL = 253, 63
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has (RFC 5737, RFC 3849): the system tells which of its own it would ask them from."""
IPV6_ADDRESSES = Path("/proc/net/if_inet6")
INTERFACE_ADDRESS = 0x8915
"""Linux's SIOCGIFADDR."""


def host_name(host: str) -> str:
    """The name in a Host header or an origin, in lower case, without its port and brackets, and without the one full
    stop that may stand behind a whole name (`localhost.` is `localhost`)."""
    bare = host.strip().lower()
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    return (bare.partition(":")[0] if bare.count(":") <= 1 else bare).removesuffix(".")


def listening_address(host: str) -> str:
    """`host` as the system reads it: without brackets, and a numeric address ("0", "127.1") in its usual form.

    An IPv4 address that is written as IPv6 (::ffff:127.0.0.1) is the IPv4 one: nothing listens on the other.
    """
    bare = host.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    if not bare:
        return ""
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return _unmapped(str(found[0][4][0]))
    return bare.lower()


def _unmapped(address: str) -> str:
    with suppress(ValueError):
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
    return address


def resolved(host: str) -> tuple[str, ...]:
    """The addresses that a server with this `--host` listens on; none where it is no name of this machine."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def listening_problem(host: str, *, public: bool, trust_network: bool) -> str | None:
    """Why a server may not listen on `host`, a sentence; None where it may.

    host: as `listening_address` gives it. Without quotas and the visitors' limits a server is for one machine.
    """
    addresses = resolved(host) if host else ()
    if not addresses:
        return f"--host {host[:SHOWN]!r} is no address of this machine: give one, for example --host 127.0.0.1."
    beyond = [address for address in addresses if not is_loopback(address)]
    if not beyond or public or trust_network:
        return None
    named = host if host == beyond[0] else f"{host} ({beyond[0]})"
    return (
        f"Listening on {named} lets others on the network open files of this machine: add --public to serve strangers "
        "safely, or --trust-network where you trust everybody who reaches it, or listen on --host 127.0.0.1."
    )


def checked_host(name: str) -> str | None:
    """A name or address that people can type, in lower case as browsers send it and without the full stop that may
    stand behind a whole name; None for anything else."""
    name = name.removesuffix(".")
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    if name != name.strip() or not name or len(name) > LONGEST_HOST:
        return None
    try:
        plain = name.lower() if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    labels = plain.split(".")
    whole = len(plain) <= LONGEST_HOST and all(LABEL.fullmatch(one) and len(one) <= LONGEST_LABEL for one in labels)
    return plain if whole else None


def naming_problem(names: Iterable[str]) -> str | None:
    """A sentence for the first of the `--allow-host` names that is none; None where all are."""
    wrong = next((name for name in names if checked_host(name) is None), None)
    if wrong is None:
        return None
    return (
        f"--allow-host {wrong[:SHOWN]!r} is no host name: give the bare name that people type, such as lab.example, "
        "without http://, port, path or spaces."
    )


def is_own_name(name: str, host: str, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether a server that listens on `host` may be called by `name`.

    One on a single address answers to it, and to the loopback names where it is one of them. One on every address
    answers to any plain address and to the machine's name: other names could be anybody's, but for those `allowed`.
    """
    if name == host_name(host) or name in LOOPBACK or name in allowed:
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


def typed(host: str, port: int) -> str:
    """What stands in a browser's address line for it."""
    return f"http://{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """The host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def ready_lines(host: str, port: int, allowed: Iterable[str] = ()) -> tuple[str, ...]:
    """What the start tells its owner: where to open the page here, and what others can type."""
    if host in EVERYWHERE:
        here = "127.0.0.1" if host == "0.0.0.0" else "::1"
        others = [*own_addresses(host), *allowed]
    else:
        here, beyond = host, [address for address in resolved(host) if not is_loopback(address)]
        others = [host, *beyond, *allowed] if beyond else []
    first = f"GRADIEND is ready: {typed(here, port)}"
    if not others:
        alone = host in EVERYWHERE
        return (first, "This machine has no address that others could type.") if alone else (first,)
    return first, f"Others open it as {', '.join(typed(name, port) for name in dict.fromkeys(others))}"


def own_addresses(everywhere: str) -> tuple[str, ...]:
    """The machine's addresses that others can type, of the family of `everywhere` ("0.0.0.0" or "::")."""
    found: list[str] = []
    for family, address in ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:  # no network of this family
            probe.connect((address, 9))
            found.append(str(probe.getsockname()[0]))
    with suppress(OSError, UnicodeError):
        found += (str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None))
    found += _of_interfaces()
    usable = (address.partition("%")[0] for address in found if _can_be_typed(address))
    return tuple(dict.fromkeys(address for address in usable if (":" in address) == (everywhere == "::")))


def is_this_machine(peer: str) -> bool:
    """Whether a connection from the address `peer` comes from this machine itself."""
    if is_loopback(peer):
        return True
    return peer in own_addresses("::" if ":" in peer else "0.0.0.0")


def _can_be_typed(address: str) -> bool:
    """Not a loopback address, and none that needs the name of an interface behind it (IPv6, link-local)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not (is_loopback(address) or parsed.is_unspecified or (parsed.version == 6 and parsed.is_link_local))


def _of_interfaces() -> Iterator[str]:
    """The addresses of the network interfaces, as Linux lists them; elsewhere none."""
    if sys.platform != "linux":
        return
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # an interface without such an address
                answer = fcntl.ioctl(asker.fileno(), INTERFACE_ADDRESS, struct.pack("256s", name.encode()[:15]))
                yield socket.inet_ntoa(answer[20:24])
    with suppress(OSError):
        for line in IPV6_ADDRESSES.read_text(encoding="ascii").splitlines():
            yield str(ipaddress.IPv6Address(int(line.split()[0], 16)))
