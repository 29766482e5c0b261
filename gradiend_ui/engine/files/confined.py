"""Work on strangers' bytes in a process of its own, with limits on memory, processor time and patience.

`run_confined` starts a Python that runs `main`, tells it by name what to do (see `TASKS`) and takes plain JSON
back: nothing that the child pickles is ever read. A worker process may not have children of multiprocessing, so
this is a plain subprocess. Memory and processor time are limited where the system can (Linux; macOS in part), time
everywhere. Where the system has a fence (see `fence`), the child reads its path and writes its folder and nothing else,
and reaches no network.

The answer comes in pieces, so that whoever asked needs little more memory than for the values: the first line has its
long lists left empty, each further one is a part of such a list, where it belongs and some of its items. Knows
processes and values; not what a task does.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, TooLarge, error_from
from gradiend_ui.engine.files.fence import Fence, put_up
from gradiend_ui.engine.files.text_limit import STRANGERS_BYTES, text_at_most

log = logging.getLogger(__name__)

PACKAGE = "gradiend_ui"
START = f"""
import importlib.util, pathlib, sys
place = pathlib.Path(sys.argv[1])
inside = [str(place)]
spec = importlib.util.spec_from_file_location({PACKAGE!r}, place / "__init__.py", submodule_search_locations=inside)
sys.modules[{PACKAGE!r}] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[{PACKAGE!r}])
from {PACKAGE}.engine.files.confined import main
sys.exit(main(sys.argv[2]))
"""
"""Finds this package by its place: behind a worker's fence the folder that it lies in cannot be looked through."""
TASKS: Mapping[str, str] = {
    "read_table": "gradiend_ui.engine.data.uploaded_tables:table_as_plain",
    "report_table": "gradiend_ui.engine.worker.tables:report_table_file",
    "rejected_rows": "gradiend_ui.engine.worker.tables:rejected_rows",
    "checked_rows": "gradiend_ui.engine.worker.tables:checked_rows",
    "neutral_texts": "gradiend_ui.engine.worker.tables:neutral_texts",
    "companions": "gradiend_ui.engine.worker.tables:companions",
    "take_in": "gradiend_ui.engine.base.rebuilding:build_from_zip",
    "clean": "gradiend_ui.engine.base.rebuilding:build_from_folder",
    "fetch_base": "gradiend_ui.engine.base.hub:fetch",
}
"""{name: module:function}; a function takes a path and options by name, and gives plain JSON-like data."""
NO_MEMORY, LONG_ANSWER = 86, 87
"""The child's exit codes when its memory was used up, and when what it read is more than it may send."""
LIMIT_SIGNALS = (-9, -24)
"""Killed from outside, or for its processor time."""
ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONWARNINGS": "ignore",
    "RUST_BACKTRACE": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
"""One thread and one arena: threads reserve memory that would count against the limit."""
KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
OF_NETWORK = (
    "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy",
    "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
"""Kept for one that may reach others; a token is never among them."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """memory_bytes: address space of the child. seconds: of waiting, start included; its processor time is half as
    much again at most. answer_bytes: memory that reading its answer may take (see `files.processes`). file_bytes: the
    largest file it may write. text_bytes: text in the tables that it reads, None for any amount. network: whether it
    may reach others."""

    memory_bytes: int = 3 * 1024**3
    seconds: float = 20.0
    answer_bytes: int = 224 * 1024**2
    file_bytes: int = 0
    text_bytes: int | None = None
    network: bool = False


TABLES = Confinement(text_bytes=STRANGERS_BYTES)
"""Of strangers."""
OWN_TABLES = Confinement(answer_bytes=1024**3)


def run_confined(
    task: str,
    path: Path,
    limits: Confinement = TABLES,
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
    options: Mapping[str, Any] | None = None,
) -> Any:
    """The plain data that a task makes of the file or folder at `path`; options: more of its arguments, plain values.

    reads, writes: what else it may read, and the folders that it may write in.
    Raises what the task raises, TooLarge where it goes beyond a limit, Failed when the process cannot be started or
    dies by itself.
    """
    order = json.dumps(
        {
            "task": task,
            "path": str(path),
            "options": dict(options or {}),
            "memory": limits.memory_bytes,
            "seconds": limits.seconds,
            "answer": limits.answer_bytes,
            "text": limits.text_bytes,
            "file": limits.file_bytes,
            "network": limits.network,
            "reads": [str(place) for place in (path, *reads)],
            "writes": [str(place) for place in writes],
        }
    )
    kept = KEPT + (OF_NETWORK if limits.network else ())
    environment = {name: os.environ[name] for name in kept if name in os.environ} | ENVIRONMENT
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", START, str(ROOT / PACKAGE), order],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limits.seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        slow = TooLarge(f"The file takes longer than {limits.seconds:.0f} s to read: split or simplify it.")
        raise slow.known_as("data.slow_file", most=f"{limits.seconds:.0f}") from error
    except OSError as error:
        raise Failed(f"No process to read the file in could be started ({error.strerror}): try again.") from error
    return _answer(done, limits)


def _answer(done: subprocess.CompletedProcess[bytes], limits: Confinement) -> Any:
    if done.returncode == NO_MEMORY:
        most = f"{limits.memory_bytes // 2**20:,}"
        told = TooLarge(f"The file needs more than {most} MB of memory to read: split or simplify it.")
        raise told.known_as("data.memory_file", most=most)
    if done.returncode == LONG_ANSWER:
        most = f"{limits.answer_bytes // 2**20:,}"
        told = TooLarge(
            f"The file holds more than {most} MB of text and values once it is unpacked: leave rows or columns out."
        )
        raise told.known_as("data.much_in_file", most=most)
    if done.returncode in LIMIT_SIGNALS:
        told = TooLarge("Reading the file went beyond the memory or time that is given to it: split or simplify it.")
        raise told.known_as("data.limit_file")
    if done.returncode < 0:
        bad = BadData(f"The file is damaged: reading it broke the reader (signal {-done.returncode}). Save it again.")
        raise bad.known_as("data.broke_reader", signal=-done.returncode)
    if done.returncode:
        log.error("reading %s failed: %s", done.args[-1], done.stderr.decode("utf-8", "replace")[-2000:])
        raise Failed("The process that reads files broke: see the log.")
    try:
        answer = heard(done.stdout)
    except ValueError as error:
        raise Failed("The process that read the file gave no answer: try again.") from error
    if "error" in answer:
        raise error_from(*answer["error"])
    return answer["value"]


# --- inside the child -------------------------------------------------------------------------------------------------


def _limit(memory_bytes: int, seconds: float, file_bytes: int) -> None:
    """Ask the system for the limits; one that does not know them has the parent's patience only."""
    if sys.platform == "win32":
        return
    import resource

    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(1.5 * seconds) + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
    ):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):  # macOS refuses a limit on the address space
            continue


def main(order: str) -> int:
    """Do what `order` says and print the answer in lines of JSON; gives the exit code."""
    asked = json.loads(order)
    put_up(Fence(tuple(map(Path, asked["reads"])), tuple(map(Path, asked["writes"])), asked["network"]))
    _limit(asked["memory"], asked["seconds"], asked["file"])
    module, _, function = TASKS[asked["task"]].partition(":")
    try:
        work = getattr(importlib.import_module(module), function)
        try:
            with text_at_most(asked["text"]):
                answer: dict[str, Any] = {"value": work(Path(asked["path"]), **asked["options"])}
        except GradiendUIError as error:
            answer = {"error": [error.code, str(error), error.text]}
        lines = told(answer, asked["answer"])
    except MemoryError:
        return NO_MEMORY
    except TooLong:
        return LONG_ANSWER
    sys.stdout.buffer.writelines(lines)
    sys.stdout.buffer.flush()
    return 0


PART = 100
"""Items of a line."""
OF_A_TEXT = 100
"""Bytes of the entry that finds an equal text again."""
OF_A_NUMBER = 32


class TooLong(Exception):
    """The answer needs more memory than it may."""


def told(answer: Any, most: int) -> list[bytes]:
    """The lines of an answer, an object. most: bytes of memory that reading it may take: what comes in, twice while it
    comes, the values, and the longest text once more as bytes and as a line. Raises TooLong."""
    weight = _Weight(most)
    lines: list[bytes] = []
    for piece in _pieces(answer):
        weight.add(piece)
        lines.append(json.dumps(piece, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        weight.add_bytes(2 * len(lines[-1]))
    return lines


def heard(content: bytes) -> Any:
    """The answer that the lines stand for; equal texts of its lists are one. Raises ValueError for anything else."""
    lines = io.BytesIO(content)
    answer = _parsed(lines.readline())
    known: dict[str, str] = {}
    for line in lines:
        place, items = _parsed(line)
        target = answer
        for step in place:
            target = target[step]
        target.extend(_shared(item, known) for item in items)
    return answer


def _parsed(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


def _pieces(answer: Any) -> Iterator[Any]:
    cut: list[tuple[list[str | int], list[Any]]] = []
    yield _without_long_lists(answer, [], cut)
    for place, items in cut:
        for begin in range(0, len(items), PART):
            yield [place, items[begin : begin + PART]]


def _without_long_lists(value: Any, place: list[str | int], cut: list[tuple[list[str | int], list[Any]]]) -> Any:
    """The value with `[]` for each list of more than PART items, which goes to `cut` with its place."""
    if isinstance(value, dict):
        return {name: _without_long_lists(item, [*place, str(name)], cut) for name, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    if len(value) > PART and place:
        cut.append((place, list(value)))
        return []
    return [_without_long_lists(item, [*place, number], cut) for number, item in enumerate(value)]


def _shared(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return known.setdefault(value, value)
    return [_shared(item, known) for item in value] if isinstance(value, list) else value


class _Weight:
    """Adds up what reading an answer takes."""

    def __init__(self, most: int) -> None:
        self._most, self._sum, self._longest = most, 0, 0
        self._seen: set[str] = set()

    def add(self, value: Any) -> None:
        """A value with all in it."""
        if isinstance(value, str):
            if value not in self._seen:
                self._seen.add(value)
                size = sys.getsizeof(value)
                self._longest = max(self._longest, size)
                self.add_bytes(size + OF_A_TEXT)
        elif isinstance(value, dict):
            self.add_bytes(sys.getsizeof(value))
            self._add_all([*value, *value.values()])
        elif isinstance(value, (list, tuple)):
            self.add_bytes(sys.getsizeof(value))
            self._add_all(value)
        elif value is not None and not isinstance(value, bool):
            self.add_bytes(OF_A_NUMBER)

    def _add_all(self, values: Sequence[Any]) -> None:
        for value in values:
            self.add(value)

    def add_bytes(self, count: int) -> None:
        self._sum += count
        if self._sum + 2 * self._longest > self._most:
            raise TooLong
