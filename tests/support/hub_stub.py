"""A Hub on loopback: the two kinds of requests with which a model's files are found and fetched, and who asked how.

Set `HF_ENDPOINT` to its address. Repositories are folders by name.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubStub:
    """url: what to set as HF_ENDPOINT. asked: (method, path) in order. tokens: the Authorization headers seen.

    lies: {repository: {file: bytes that it claims to have}}.
    """

    repositories: Mapping[str, Path]
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    lies: dict[str, dict[str, int]] = field(default_factory=dict)


@contextmanager
def hub(repositories: Mapping[str, Path]) -> Iterator[HubStub]:
    """Serve the folders as repositories while the block runs."""
    stub = HubStub(repositories)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._serve(body=False)

        def do_GET(self) -> None:
            self._serve(body=True)

        def _serve(self, *, body: bool) -> None:
            path = unquote(urlparse(self.path).path)
            stub.asked.append((self.command, path))
            if self.headers.get("Authorization"):
                stub.tokens.append(self.headers["Authorization"])
            for name, folder in stub.repositories.items():
                if path == f"/api/models/{name}" or path.startswith(f"/api/models/{name}/"):
                    return self._answer(json.dumps(self._info(name, folder)).encode(), body, {})
                for revision in (COMMIT, "main"):
                    start = f"/{name}/resolve/{revision}/"
                    if path.startswith(start) and (folder / path.removeprefix(start)).is_file():
                        content = (folder / path.removeprefix(start)).read_bytes()
                        etag = f'"{hashlib.sha256(content).hexdigest()}"'
                        return self._answer(content, body, {"X-Repo-Commit": COMMIT, "ETag": etag})
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None

        def _info(self, name: str, folder: Path) -> dict[str, object]:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            claimed = stub.lies.get(name, {})
            siblings = [
                {
                    "rfilename": path.relative_to(folder).as_posix(),
                    "size": claimed.get(path.name, path.stat().st_size),
                }
                for path in files
            ]
            return {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}

        def _answer(self, content: bytes, body: bool, headers: Mapping[str, str]) -> None:
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *values: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
