"""What the fence of the system keeps from a process behind it: what others share in memory, private keys, sockets."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.files import confined
from gradiend_ui.engine.files.confined import Confinement, run_confined
from gradiend_ui.engine.files.fence import CERTIFICATES, devices, fence_version, system_places

ROOT = Path(__file__).parents[2]
SHARED = Path("/dev/shm")
needs_fence = pytest.mark.skipif(not fence_version(), reason="this system has no Landlock")
needs_filter = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"),
    reason="no filter of system calls is known for this system",
)
TASKS = """
import ctypes, os, socket
from pathlib import Path

def outcome(what):
    try:
        what()
    except OSError as error:
        return error.errno
    return "done"

def send(path, port, ring):
    def datagram():
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
    kinds = [(socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM),
             (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM)]
    libc = ctypes.CDLL(None, use_errno=True)
    around = libc.syscall(ctypes.c_long(ring), 1, None), ctypes.get_errno()
    told = [outcome(lambda: socket.socket(*kind)) for kind in kinds]
    return {"datagram": outcome(datagram), "kinds": told, "around": list(around)}

def shared(path, place):
    place = Path(place)
    return [outcome(place.read_bytes), outcome(lambda: place.write_bytes(b"changed")),
            outcome(lambda: os.listdir(place.parent)), outcome(lambda: Path(f"{place}-new").write_bytes(b"x"))]
"""
IO_URING_SETUP, EACCES = 425, 13


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confined processes that do what TASKS say."""
    (tmp_path / "hostile_tasks.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    start = (
        "import sys, gradiend_ui.engine.files.confined as c; "
        "c.TASKS = {n: 'hostile_tasks:' + n for n in ('send', 'shared')}; "
        "sys.exit(c.main(sys.argv[1]))"
    )
    run = subprocess.run

    def started(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-c", start, command[-1]], **options)

    monkeypatch.setattr(confined.subprocess, "run", started)


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Path]:
    """A file that another program shares with its own processes."""
    if not SHARED.is_dir():
        pytest.skip("this system shares no memory by files")
    path = SHARED / f"{tmp_path.name}-others"
    path.write_text("canary")
    yield path
    path.unlink()
    Path(f"{path}-new").unlink(missing_ok=True)


@needs_filter
def test_a_builder_opens_no_socket(hostile: None, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        options = {"port": listening.getsockname()[1], "ring": IO_URING_SETUP}
        told = run_confined("send", tmp_path, options=options)
        free = run_confined("send", tmp_path, Confinement(network=True), options=options)
        assert told == {"datagram": EACCES, "kinds": [EACCES] * 4, "around": [-1, EACCES]}, "nor past the filter"
        assert free["datagram"] == "done" and listening.recv(10) == b"x", "one that may reach others is told apart"


@needs_fence
@pytest.mark.parametrize("network", [False, True])
def test_what_others_share_in_memory_is_theirs(hostile: None, tmp_path: Path, others: Path, network: bool) -> None:
    told = run_confined("shared", tmp_path, Confinement(network=network), options={"place": str(others)})
    assert told == [EACCES] * 4
    assert others.read_text() == "canary"


@needs_fence
def test_the_worker_needs_no_shared_memory_either(others: Path, tmp_path: Path) -> None:
    """Behind its fence PyTorch is imported, computes on several threads, and has its temporary files and locks."""
    script = """
import json, os, sys
from pathlib import Path
from gradiend_ui.engine.files.fence import put_up
from gradiend_ui.engine.uploads.trust import fence_around
data = Path(sys.argv[1])
assert put_up(fence_around(data, data / "none", ()))
os.environ["TMPDIR"] = str(data)
import tempfile, torch, tqdm
torch.set_num_threads(2)
a = torch.ones(600, 600)
list(tqdm.tqdm([1], disable=True))
with tempfile.TemporaryFile() as file:
    file.write(b"x")
try:
    read = Path(sys.argv[2]).read_text()
except OSError as error:
    read = error.errno
print(json.dumps([float((a @ a).sum()), read]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(others)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [600.0**3, EACCES]


@pytest.mark.parametrize(
    "private",
    ["/etc/ssl/private/key.pem", "/etc/pki/tls/private/localhost.key", "/etc/pki/nssdb/key4.db",
     "/etc/ca-certificates/private.key", "/dev/shm/x", "/dev/sda", "/dev/kfd", "/etc/passwd"],
)  # fmt: skip
def test_private_keys_lie_outside(private: str) -> None:
    places = (*system_places(False), *devices(False))
    assert not [place for place in places if Path(private).is_relative_to(place)]


def test_certificates_lie_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(map(Path, CERTIFICATES)) <= set(system_places(False))
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/company.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    assert Path("/etc/ssl/company.pem") in system_places(True) and Path("/etc/ssl/company.pem") not in system_places(
        False
    )
    assert Path() not in system_places(True), "an empty variable names nothing"
