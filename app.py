"""Start the app: `python app.py [--host 127.0.0.1] [--port 7860] [--data-dir DIR] [--checkpoint PATH]`.

Importing this file does no work. torch lives in a worker process that the session spawns, so the guard at the end is
essential.
On a Hugging Face Space (SPACE_ID is set) it listens on all interfaces and takes no server paths.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from gradiend_ui.ui.session import Session

HOST, SPACE_HOST, PORT = "127.0.0.1", "0.0.0.0", 7860
DEMO = "demo"
QUIET_SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    on_space = bool(os.environ.get("SPACE_ID"))
    parser = argparse.ArgumentParser(description="Find the best rewrite of a language model with a trained GRADIEND.")
    parser.add_argument("--host", default=SPACE_HOST if on_space else HOST, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="port to listen on (%(default)s)")
    parser.add_argument("--data-dir", type=Path, default=None, help="where sweeps are kept (the user's data directory)")
    parser.add_argument("--checkpoint", default=DEMO, help="a trained GRADIEND to open first (the bundled demo)")
    return parser.parse_args(arguments)


def port_problem(host: str, port: int) -> str | None:
    """A sentence where the address cannot be used, else None."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            return f"Port {port} on {host} cannot be used ({error}). Choose another one, for example: --port {port + 1}"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_arguments(arguments)
    os.environ.update(QUIET_SETTINGS)
    problem = port_problem(options.host, options.port)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    return serve(options)


def serve(options: argparse.Namespace) -> int:
    """Open the session and the page, and stay until Ctrl-C or SIGTERM."""
    from gradiend_ui.engine.errors import GradiendUIError
    from gradiend_ui.ui.session import Session

    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, frame: end(done, number, frame))
    try:
        session = Session.open(
            data_dir=options.data_dir,
            public=bool(os.environ.get("SPACE_ID")),
            default_source=options.checkpoint,
            start_worker=False,
        )
    except GradiendUIError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        blocks = open_page(session, options)
        session.start_worker()  # only now: loading torch would take the page's share of the cores
        print(f"GRADIEND is ready: http://{options.host}:{options.port}", flush=True)
        done.wait()
        blocks.close(verbose=False)
    finally:
        session.close()
    return 0


def open_page(session: Session, options: argparse.Namespace) -> gr.Blocks:
    """Build the page and serve it; returns as soon as it answers."""
    from gradiend_ui.ui.start_up import quick_start

    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(session.about()["data_dir"]) / "downloads"))
    with quick_start():
        from gradiend_ui.ui.layout import build_app, launch_options

        blocks = build_app(session)
        blocks.launch(server_name=options.host, server_port=options.port, prevent_thread_lock=True, **launch_options())
    return blocks


def end(done: threading.Event, number: int, frame: FrameType | None) -> None:
    """First signal: close cleanly; a second one ends at once."""
    if done.is_set():
        sys.exit(128 + number)
    done.set()


if __name__ == "__main__":
    sys.exit(main())
