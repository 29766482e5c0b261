"""Where a server may listen, by which names it answers, what its start prints, and who is told how to open it."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

import app
from gradiend_ui.server.door import addresses
from gradiend_ui.server.door.addresses import (
    checked_host,
    is_loopback,
    is_own_name,
    is_this_machine,
    listening_address,
    listening_problem,
    naming_problem,
    own_addresses,
    ready_lines,
)
from gradiend_ui.server.door.gate import Doors, Gate, unknown_name
from gradiend_ui.server.door.quotas import LOCAL
from gradiend_ui.server.door.visitors import Visitors

BEYOND = ["0.0.0.0", "::", "0", "[::]", "192.0.2.7", "2001:db8::7", "fe80::1", "::ffff:0.0.0.0"]
HERE = ["127.0.0.1", "127.0.0.9", "127.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1", " 127.0.0.1 "]


@pytest.mark.parametrize("host", BEYOND)
def test_a_server_for_one_person_listens_here_only(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "serve", lambda options: pytest.fail("it was started"))
    assert app.main(["--host", host]) == 2
    told = capsys.readouterr().err.strip()
    assert "--public" in told and "--trust-network" in told and "\n" not in told
    bare = listening_address(host)
    assert listening_problem(bare, public=True, trust_network=False) is None
    assert listening_problem(bare, public=False, trust_network=True) is None


def test_trust_network_lets_it_listen_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(app, "serve", lambda options: served.append(options) or 0)
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port = probe.getsockname()[1]
    asked = ["--host", "0", "--port", str(port), "--trust-network", "--allow-host", "Lab.Example"]
    assert app.main([*asked, "--allow-host", "lab.example"]) == 0
    assert (served[0].host, served[0].allow_host) == ("0.0.0.0", ["lab.example"])


@pytest.mark.parametrize("host", HERE)
def test_loopback_is_refused_to_nobody(host: str) -> None:
    assert listening_problem(listening_address(host), public=False, trust_network=False) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("::ffff:127.0.0.1", "127.0.0.1"), ("[::FFFF:7f00:1]", "127.0.0.1"), ("::ffff:0.0.0.0", "0.0.0.0"),
     ("0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"), ("::1", "::1"), ("::7f00:1", "::127.0.0.1")],
)  # fmt: skip
def test_an_ipv4_address_in_ipv6s_writing_is_the_ipv4_one(written: str, meant: str) -> None:
    assert listening_address(written) == meant


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "2001:db8::7", "::ffff:192.0.2.1", "fe80::1", "ff02::1", "::7f00:1", "fe80::1%lo", "240.0.0.1"],
)
def test_what_nothing_can_listen_on_ends_in_a_sentence(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "serve", lambda options: pytest.fail("it was started"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert app.main(["--host", host, "--port", str(port), "--public"]) == 2
    told = capsys.readouterr().err.strip()
    assert "--host" in told and "\n" not in told and told.endswith(".")


def test_an_address_is_asked_for_as_the_server_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert "--host" in str(app.port_problem("::ffff:127.0.0.1", port)), "an IPv6 socket of the server is no IPv4 one"
    places = {"127.0.0.1": [(socket.AF_INET, ("127.0.0.1", port))]}
    monkeypatch.setattr(app, "_places", lambda host, port: places.get(host, [*places["127.0.0.1"], missing]))
    missing = (socket.AF_INET, ("192.0.2.1", port))
    assert app.port_problem("lab.example", port) is None, "of a name's addresses one is enough"
    missing = (socket.AF_INET6, ("fe80::1", port))
    assert "--host 'lab.example'" in str(app.port_problem("lab.example", port))


def test_a_port_that_gradio_wants_on_this_machine_too() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} on 127.0.0.1" in str(app.port_problem("127.0.0.2", port))


async def started(arguments: list[str]) -> int:
    """The app's start inside a running event loop: outside of one, Gradio makes loops that nobody closes."""
    return app.main(arguments)


def test_a_start_that_fails_all_the_same_ends_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import gradio as gr

    monkeypatch.setattr(app, "port_problem", lambda host, port: None)
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for error in (OSError("Cannot find empty port in range: 7860-7860."), ValueError("no URL"), Exception("startup")):

        def fail(*values: Any, error: Exception = error, **named: Any) -> None:
            raise error

        monkeypatch.setattr(gr.Blocks, "launch", fail)
        try:
            assert (
                asyncio.run(started(["--host", "127.0.0.1", "--port", "1", "--data-dir", str(tmp_path / "data")])) == 2
            )
        finally:
            for name, handler in handlers.items():
                signal.signal(name, handler)
        told = capsys.readouterr().err.strip().splitlines()[-1]
        assert told.startswith("The page cannot be served on --host '127.0.0.1', --port 1: ")


def test_a_name_that_leads_beyond_counts_as_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolved", lambda host: ("127.0.0.1", "192.0.2.7"))
    told = listening_problem("lab.example", public=False, trust_network=False)
    assert told is not None and "lab.example (192.0.2.7)" in told
    monkeypatch.setattr(addresses, "resolved", lambda host: ())
    told = listening_problem("lab.example", public=True, trust_network=True)
    assert told is not None and "no address of this machine" in told
    assert listening_problem("", public=True, trust_network=True) is not None


def test_a_space_is_public_and_says_no_to_no_public(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/space")
    monkeypatch.setattr(app, "serve", lambda options: pytest.fail("it was started"))
    assert app.read_arguments([]).public
    assert app.main(["--no-public"]) == 2
    assert "--public" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["http://lab.example", "lab.example:7860", "lab.example/x", "lab example", " lab", "", "*.lab.example", "-lab",
     "lab..example", "x" * 64, "a." * 200, "[::1]", "lab\n", "user@lab", "\ud800"],
)  # fmt: skip
def test_wrong_names_are_refused_in_a_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = naming_problem(["lab.example", name])
    assert told is not None and "--allow-host" in told and "no host name" in told
    if name.isprintable():
        assert app.main([f"--allow-host={name}"]) == 2
        assert capsys.readouterr().err.strip() == told


def test_names_are_compared_as_browsers_send_them() -> None:
    assert checked_host("Lab.Example") == "lab.example" and checked_host("größe.local") == "xn--grsse-kua.local"
    assert checked_host("192.0.2.7") == "192.0.2.7" and checked_host("2001:DB8::7") == "2001:db8::7"
    allowed = frozenset({"lab.example"})
    for host in ("0.0.0.0", "127.0.0.1"):
        assert is_own_name("lab.example", host, allowed) and not is_own_name("lab.example", host)
        assert not is_own_name("evil.lab.example", host, allowed)


def test_a_full_stop_behind_a_whole_name_changes_nothing() -> None:
    assert checked_host("lab.example.") == "lab.example" and checked_host("LAB.") == "lab"
    assert checked_host("lab.example..") is None and checked_host(".") is None and checked_host(".lab") is None
    client = client_of("127.0.0.1", frozenset({"lab.example"}))
    for host in ("localhost.", "LOCALHOST.:7860", "lab.example.", "lab.example.:1"):
        assert client.get("/", headers={"host": host}).status_code == 200, host
    for host in ("localhost..", "lab.example..", "evil.example.", "localhost.evil.example.", ".", ".localhost"):
        assert client.get("/", headers={"host": host}).status_code == 403, host


def client_of(host: str, allowed: frozenset[str] = frozenset(), peer: str = "127.0.0.1") -> TestClient:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import PlainTextResponse

        await PlainTextResponse("in")(scope, receive, send)

    doors = Doors(False, host, LOCAL, frozenset(), frozenset(), allowed=allowed)
    return TestClient(Gate(echo, doors, Visitors(False)), base_url="http://127.0.0.1", client=(peer, 5))


def test_an_allowed_name_is_answered_to() -> None:
    client = client_of("127.0.0.1", frozenset({"lab.example"}))
    assert client.get("/", headers={"host": "LAB.example:7860"}).status_code == 200
    assert client.get("/", headers={"host": "other.example"}).status_code == 403


def test_the_owner_is_told_what_to_do_and_a_visitor_whom_to_ask() -> None:
    headers = {"host": "lab.example:7860"}
    told = client_of("0.0.0.0").get("/", headers=headers).json()["detail"]
    assert "'lab.example'" in told and "--allow-host lab.example" in told
    told = client_of("0.0.0.0", peer="192.0.2.99").get("/", headers=headers).json()["detail"]
    assert "ask who runs this server" in told and "lab" not in told and "--" not in told
    forwarded = client_of("127.0.0.1").get("/", headers={**headers, "x-forwarded-for": "192.0.2.99"})
    assert "ask who runs this server" in forwarded.json()["detail"], "the proxy sits here, who asks does not"
    odd = unknown_name("a b", "127.0.0.1", Headers({}))
    assert "--allow-host" not in odd and "'a b'" in odd, "what is no name cannot be allowed"


def test_who_sits_at_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "own_addresses", lambda everywhere: ("192.0.2.7",))
    assert is_this_machine("127.0.0.1") and is_this_machine("::1") and is_this_machine("192.0.2.7")
    assert not is_this_machine("192.0.2.8") and not is_this_machine("?") and not is_this_machine("")


def test_the_start_prints_what_others_can_type(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready_lines("127.0.0.1", 7860, ["lab.example"]) == ("GRADIEND is ready: http://127.0.0.1:7860",)
    assert ready_lines("::1", 80) == ("GRADIEND is ready: http://[::1]:80",)
    own = {"0.0.0.0": ("192.0.2.7",), "::": ("2001:db8::7",)}
    monkeypatch.setattr(addresses, "own_addresses", lambda everywhere: own[everywhere])
    first, others = ready_lines("0.0.0.0", 80, ["lab.example"])
    assert first.endswith("http://127.0.0.1:80")
    assert "http://192.0.2.7:80, http://lab.example:80" in others
    assert ready_lines("::", 80)[1].endswith("http://[2001:db8::7]:80")
    monkeypatch.setattr(addresses, "own_addresses", lambda everywhere: ())
    assert "no address" in ready_lines("0.0.0.0", 80)[1]
    assert ready_lines("192.0.2.7", 80)[1].endswith("http://192.0.2.7:80")


def test_own_addresses_are_real_and_can_be_typed() -> None:
    for everywhere, family in (("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
        for address in own_addresses(everywhere):
            assert not is_loopback(address) and "%" not in address
            with socket.socket(family) as probe:
                probe.bind((address, 0))
