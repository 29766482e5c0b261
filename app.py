"""Start the app: `python app.py [--host 127.0.0.1] [--port 7860] [--data-dir DIR] [--checkpoint PATH] [--public]`.

Importing this file does no work. torch lives in a worker process that the session spawns, so the guard at the end is
essential.
With --public, visitors are strangers: no server paths, no pickled files, quotas (see SECURITY.md). On a Hugging Face
Space (SPACE_ID is set) that is the default, and it listens on all interfaces. Without it a server listens on this
machine only, unless --trust-network says that everybody who reaches it may do what its owner may.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

    from gradiend_ui.server.session import Session

HOST, SPACE_HOST, PORT = "127.0.0.1", "0.0.0.0", 7860
DEMO = "demo"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LAST_PORT, MOST_PROXIES = 65535, 10
OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
"""Why an address cannot be used that another port helps against."""
NO_TOKEN = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
"""For visitors nothing is read with the server's own rights."""
QUIET_SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
TRUE_PEERS = {"FORWARDED_ALLOW_IPS": ""}
"""uvicorn changes nobody's address: what a proxy says is read in one place, as far as --proxies goes."""


class CannotListen(Exception):
    """The page is not served: the address was free when it was looked at, and could not be used all the same."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"The page cannot be served on --host {host[:80]!r}, --port {port}: choose another port, or an address of "
            f"this machine such as {HOST}."
        )


def number_between(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number of an option, and says which ones there are."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from {least} to {most}")
        return int(text)

    return number


def named(text: str) -> str:
    """Reads the name of something: never nothing, as an empty variable of a shell gives."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name a folder or a demo, or leave the option out")
    return text


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    on_space = bool(os.environ.get("SPACE_ID"))
    parser = argparse.ArgumentParser(description="Find the best rewrite of a language model with a trained GRADIEND.")
    parser.add_argument("--host", default=SPACE_HOST if on_space else HOST, help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=number_between(1, LAST_PORT), default=PORT, help="port to listen on (%(default)s)"
    )
    parser.add_argument("--data-dir", default=None, help="where sweeps are kept (the user's data directory)")
    parser.add_argument(
        "--checkpoint", type=named, default=DEMO, help="a trained GRADIEND to open first (the bundled demo)"
    )
    parser.add_argument("--export-dir", default=None, help="where kept checkpoints go (the data directory)")
    parser.add_argument(
        "--public", action=argparse.BooleanOptionalAction, default=on_space, help="serve strangers (%(default)s)"
    )
    parser.add_argument(
        "--trust-network", action="store_true", help="listen beyond this machine without --public: trust who reaches it"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a further name it answers to (repeatable)"
    )
    parser.add_argument(
        "--proxies",
        type=number_between(0, MOST_PROXIES),
        default=int(on_space),
        help="proxies in front, which tell who asks (%(default)s)",
    )
    return parser.parse_args(arguments)


def port_problem(host: str, port: int) -> str | None:
    """A sentence where the address cannot be used, else None.

    host: as `listening_address` gives it, or a name. It is asked for as the server will ask, which needs one of a
    name's addresses, and as Gradio does first, which is always on this machine's own.
    """
    errors = {place: _bind_error(family, place) for family, place in [*_places(HOST, port), *_places(host, port)]}
    taken = next((place for place, error in errors.items() if error and error.errno in OF_THE_PORT), None)
    if taken is not None:
        other = port + 1 if port < LAST_PORT else port - 1
        where = f"Port {port} on {taken[0]} cannot be used ({errors[taken]})"
        return f"{where}. Choose another one, for example: --port {other}"
    own = [errors[place] for _, place in _places(host, port)]
    wrong = [error for error in own if error is not None]
    if any(error.errno != errno.EADDRNOTAVAIL for error in wrong) or len(wrong) == len(own):
        return not_listening(host, wrong[0] if wrong else "it has no address")
    return None


def _places(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Family and socket address of all that a server with this host listens on."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys((int(entry[0]), tuple(entry[4])) for entry in found))


def _bind_error(family: int, place: tuple[Any, ...]) -> OSError | None:
    """Why nothing can listen there; None where something can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error
    return None


def not_listening(host: str, why: object) -> str:
    return f"No server can listen on --host {host[:80]!r} ({why}): give an address of this machine, such as {HOST}."


def network_problem(options: argparse.Namespace) -> str | None:
    """A sentence where others would reach a server that is not for them, or a name is none; else None.

    Puts the address and the names into the form that the rest of the server compares.
    """
    from gradiend_ui.server.door.addresses import checked_host, listening_address, listening_problem, naming_problem

    options.host = listening_address(options.host)
    problem = listening_problem(options.host, public=options.public, trust_network=options.trust_network)
    problem = problem or naming_problem(options.allow_host)
    if problem is None:
        options.allow_host = list(dict.fromkeys(filter(None, map(checked_host, options.allow_host))))
    return problem


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_arguments(arguments)
    os.environ.update(QUIET_SETTINGS | TRUE_PEERS)
    if options.public:
        os.environ.update(NO_TOKEN)
        for name in TOKENS:
            os.environ.pop(name, None)
    problem = network_problem(options) or port_problem(options.host, options.port)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    return serve(options)


def serve(options: argparse.Namespace) -> int:
    """Open the session and the page, and stay until Ctrl-C or SIGTERM."""
    from gradiend_ui.engine.errors import GradiendUIError
    from gradiend_ui.server.door.addresses import ready_lines
    from gradiend_ui.server.session import Session

    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, frame: end(done, number, frame))
    try:
        session = Session.open(
            data_dir=options.data_dir,
            public=options.public,
            default_source=options.checkpoint,
            start_worker=False,
            export_dir=options.export_dir,
        )
    except GradiendUIError as error:
        print(error, file=sys.stderr)
        return 2
    for notice in session.notices:
        print(notice, file=sys.stderr, flush=True)
    try:
        try:
            blocks = open_page(session, options)
        except CannotListen as error:
            print(error, file=sys.stderr)
            return 2
        session.start_worker()  # only now: loading torch would take the page's share of the cores
        for line in ready_lines(options.host, options.port, options.allow_host):
            print(line, flush=True)
        done.wait()
        blocks.close(verbose=False)
    finally:
        session.close()
    return 0


def open_page(session: Session, options: argparse.Namespace) -> gr.Blocks:
    """Build the page and serve it; returns as soon as it answers."""
    from gradiend_ui.engine.files.logs import keep_log_short
    from gradiend_ui.ui.start_up import quick_start, share_arenas

    share_arenas()
    os.environ["GRADIO_TEMP_DIR"] = str(session.downloads_dir)  # never one where others' files lie
    with quick_start():
        from gradiend_ui.server.door.visitors import Visitors
        from gradiend_ui.ui.kit.lean_sessions import keep_sessions_lean
        from gradiend_ui.ui.layout import build_app, launch_options

        visitors = Visitors(options.public, options.proxies)
        blocks = build_app(session, visitors)
        served = launch_options(session, blocks, options.host, visitors, frozenset(options.allow_host))
        try:
            blocks.launch(server_port=options.port, prevent_thread_lock=True, **served)
        except Exception as error:  # the start's edge: Gradio has many kinds of errors for an address
            logging.getLogger(__name__).debug("in full:", exc_info=error)
            raise CannotListen(options.host, options.port) from error
        keep_sessions_lean(blocks)
        keep_log_short()
    return blocks


def end(done: threading.Event, number: int, frame: FrameType | None) -> None:
    """First signal: close cleanly; a second one ends at once."""
    if done.is_set():
        sys.exit(128 + number)
    done.set()


if __name__ == "__main__":
    sys.exit(main())
