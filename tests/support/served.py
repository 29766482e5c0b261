"""The real server in a process of its own, with an empty data folder and a free port; its memory and its files.

Every server that a test or a program starts is started here. Knows the command line, the line that says that the server
is ready, and how a public function is called.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS, END_SECONDS, ANSWER_SECONDS = 180.0, 60.0, 120.0
"""How long something is waited for: none of it says how fast it should be."""


@dataclass(frozen=True)
class Served:
    """url: where it answers. pid: of the server. data: its data folder. log: what it prints."""

    url: str
    pid: int
    data: Path
    log: Path

    @property
    def worker(self) -> int | None:
        """The process that owns the model; None while it is not there."""
        return next((pid for pid in children_of(self.pid) if "spawn_main" in command_of(pid)), None)


@contextmanager
def served(data: Path, *arguments: str, log: Path | None = None) -> Iterator[Served]:
    """Start `python app.py` and wait until it answers; afterwards it must end cleanly. Raises RuntimeError."""
    port = free_port()
    log = log or data.with_name(f"{data.name}.log")
    process = started(port, data, log, arguments)
    try:
        wait_until_ready(process, log)
        yield Served(f"http://127.0.0.1:{port}", process.pid, data, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            ended = process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"The server did not end within {END_SECONDS:.0f} s of SIGTERM.") from None
    if ended != 0:
        raise RuntimeError(f"The server ended with {ended}: {log.read_text()[-2000:]}")


def started(port: int, data: Path, log: Path, arguments: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(data), *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment)


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while "is ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"The server did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(server: Served, name: str, *data: Any) -> Any:
    """A public function's answer. Raises RuntimeError with its sentence, httpx.HTTPError where nobody answers."""
    with httpx.Client(base_url=server.url, timeout=ANSWER_SECONDS) as http:
        joined = http.post(f"/gradio_api/call/{name}", json={"data": list(data)})
        joined.raise_for_status()
        text = http.get(f"/gradio_api/call/{name}/{joined.json()['event_id']}").text
    event, _, rest = text.strip().split("\n\n")[-1].partition("\n")  # before it, a slow answer has heartbeats
    content = json.loads(rest.partition("data:")[2])
    if event.partition(":")[2].strip() != "complete":
        raise RuntimeError(f"{name}: {content}")
    return content[0]


def children_of(pid: int) -> list[int]:
    """Processes that `pid` has started (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def resident_bytes(pid: int | None) -> int:
    """Memory of the process that no file stands behind, with its share of what it shares; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")) * 1024


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below the folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
