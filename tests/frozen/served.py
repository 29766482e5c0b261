"""The app as a visitor sees it: `python app.py` in a process of its own, asked by HTTP. Knows no module of the app."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
"""Seconds after which something hangs: no measure of how fast it should be."""


class Refused(Exception):
    """The app refused; its sentence."""


class App:
    """A server that has been started; the first question waits until it answers."""

    def __init__(self, data: Path, log: Path) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(data)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        self._http = httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=PATIENCE)
        self._ready = False

    def close(self) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE
        while not self._ready:
            log = self._log.read_text(encoding="utf-8")
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"The server did not start: {log[-2000:]}")
            self._ready = "is ready" in log
            time.sleep(0.05)

    def ask(self, name: str, *data: Any) -> Any:
        """Call a public function by name. Raises Refused with its sentence."""
        self.wait_until_ready()
        joined = self._http.post(f"/gradio_api/call/{name}", json={"data": list(data)})
        if joined.status_code != 200:
            raise Refused(f"{name}: {joined.status_code} {joined.text[:300]}")
        answer = self._http.get(f"/gradio_api/call/{name}/{joined.json()['event_id']}")
        event, _, told = answer.text.strip().rpartition("event:")[2].partition("\n")  # heartbeats come before it
        content = json.loads(told.partition("data:")[2])
        if event.strip() != "complete":
            raise Refused(f"{name}: {content}")
        return content[0]

    def finish(self, run: str) -> dict[str, Any]:
        """Everything that /cells tells of the run once it has ended."""
        until = time.monotonic() + PATIENCE
        while True:
            told: dict[str, Any] = self.ask("cells", run, 0)
            if told["state"] not in ("queued", "running"):
                return told
            if time.monotonic() > until:
                raise RuntimeError(f"The sweep does not end: {told}")
            time.sleep(0.1)

    def download(self, file: dict[str, Any], target: Path) -> Path:
        """Fetch a file that a function answered with."""
        with self._http.stream("GET", file["url"]) as answer, target.open("wb") as output:
            answer.raise_for_status()
            for part in answer.iter_bytes():
                output.write(part)
        return target

    def listed_runs(self) -> str:
        """What the page shows after a press of its button for earlier sweeps, as JSON text."""
        self.wait_until_ready()
        config = self._http.get("/config").json()
        names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
        function, inputs = next(
            (d["id"], d["inputs"])
            for d in config["dependencies"]
            if d["outputs"] and any((names.get(t[0]), t[1]) == ("open-runs", "click") for t in d["targets"])
        )
        body = {"data": ["", "", None][: len(inputs)], "fn_index": function, "session_hash": secrets.token_hex(5)}
        self._http.post("/gradio_api/queue/join", json=body).raise_for_status()
        params = {"session_hash": body["session_hash"]}
        with self._http.stream("GET", "/gradio_api/queue/data", params=params) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:") and '"process_completed"' in line:
                    return line
        return ""


@contextmanager
def served(data: Path, log: Path) -> Iterator[App]:
    """The app on this data folder, until the end of the block."""
    app = App(data, log)
    try:
        yield app
    finally:
        app.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
