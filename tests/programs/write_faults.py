"""Writing that fails: every workload with a fault at its n-th change of the disk, for every n; nothing may be half.

    python -m tests.programs.write_faults [--quick] [--sizes] [--only NAME] [--json OUT]

Faults: an I/O error once, a disk that is full from then on, a kill, a kill in the middle of a write (by
failing_writes.c, which needs a C compiler and Linux); with --sizes: files that may not grow beyond a size, which needs
no compiler. After each: what was said to be done is there, nothing is half, what was refused was refused in a
sentence, and tidying leaves nothing over. Ends with 1 where that does not hold.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("failing_writes.c")
BELOW, SHIM = "FAILING_WRITES_BELOW", "FAILING_WRITES_SHIM"
NEVER = 10**9
PATIENCE_SECONDS = 60
QUICK_TURNS = 4
KILLED, FEW = 2, 30
"""Kills at one change after the other (all, where there are few) find the gap between two steps that samples miss."""
KINDS = {
    "I/O error once": (0, errno.EIO),
    "disk full from then on": (1, errno.ENOSPC),
    "killed": (2, 0),
    "killed within a write": (3, 0),
}
SIZES = (0, 1, 100, 512, 1000, 4096, 5000, 8192, 20_000, 32_768, 65_536, 100_000, 200_000, 400_000)


@dataclass(frozen=True)
class Case:
    """One fault. once: it passes, so that the work must end well. arm: called in the process that works."""

    workload: str
    kind: str
    at: int
    once: bool
    arm: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """said: what the process told. ended: its exit code, negative for a signal."""

    said: tuple[str, ...]
    ended: int


def compile_shim(folder: Path) -> Path | None:
    """The library that fails; None where there is no compiler or no Linux."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    target = folder / "failing_writes.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE)]
    return target if subprocess.run(command, check=False).returncode == 0 else None


def run_all(*, quick: bool, sizes: bool, only: str | None) -> dict[str, object]:
    """Start the process in which writing fails and give its report. Raises RuntimeError where it breaks."""
    with tempfile.TemporaryDirectory(prefix="write-faults-") as place:
        folder = Path(place).resolve()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", BELOW: str(folder / "cases")}
        if not sizes:
            shim = compile_shim(folder)
            if shim is None:
                raise RuntimeError("There is no C compiler (or no Linux) for failing writes: use --sizes.")
            environment |= {"LD_PRELOAD": str(shim), SHIM: str(shim)}
        command = [sys.executable, "-m", "tests.programs.write_faults", "--inside", str(folder)]
        command += ["--quick"] * quick + ["--sizes"] * sizes + (["--only", only] if only else [])
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise RuntimeError(f"The process in which writing fails ended with {done.returncode}.")
        report: dict[str, object] = json.loads(done.stdout)
        return report


# --- inside the process -----------------------------------------------------------------------------------------------


def inside(folder: Path, *, quick: bool, sizes: bool, only: str | None) -> dict[str, object]:
    """Every case, each in a fork; {"table": ..., "problems": [...]}."""
    from tests.programs.write_workloads import build_materials, workloads

    began = time.monotonic()
    (folder / "cases").mkdir()
    shim = None if sizes else ctypes.CDLL(os.environ[SHIM])
    table: dict[str, Counter[str]] = {}
    problems: list[str] = []
    changes: dict[str, int] = {}
    for workload in workloads(build_materials(folder / "materials")):
        if only and only not in workload.name:
            continue
        place = folder / "cases" / "case"
        calm = _forked(workload.work, _prepared(workload.prepare, place), _arming(shim, NEVER, 0, 0), shim)
        if "finished" not in calm.said or (wrong := workload.problems(place, calm.said)):
            raise RuntimeError(f"{workload.name} does not work without a fault: {calm} {wrong}")
        changes[workload.name] = next((int(line.split()[1]) for line in calm.said if line.startswith("seen ")), 0)
        for case in _cases(workload.name, changes[workload.name], shim, quick):
            outcome = _forked(workload.work, _prepared(workload.prepare, place), case.arm, shim)
            found = _judged(workload.problems, place, case, outcome)
            problems += [f"{case.workload}, {case.kind} at {case.at}: {problem}" for problem in found]
            counted = table.setdefault(f"{case.workload}: {case.kind}", Counter())
            counted[_ending(outcome)] += 1
            counted["broken"] += bool(found)
    return {
        "table": {name: dict(counted) for name, counted in table.items()},
        "changes": changes,
        "cases": sum(sum(counted.values()) - counted["broken"] for counted in table.values()),
        "seconds": round(time.monotonic() - began, 1),
        "problems": problems,
    }


def _cases(workload: str, changes: int, shim: ctypes.CDLL | None, quick: bool) -> Iterator[Case]:
    if shim is None:
        for size in SIZES[:: 3 if quick else 1]:
            yield Case(workload, "no file may grow beyond", size, False, _limiting(size))
        return
    turns = range(1, changes + 1)
    for number, (kind, (how, error)) in enumerate(KINDS.items()):
        for turn in _sample(turns, number, how == KILLED) if quick else turns:
            yield Case(workload, kind, turn, how == 0, _arming(shim, turn, how, error))


def _sample(turns: range, offset: int, in_a_row: bool) -> range:
    """Some of the turns: spread over all of them, or one after the other around the middle."""
    if in_a_row:
        count = len(turns) if len(turns) <= FEW else len(turns) // 8
        return turns[(start := (len(turns) - count) // 2) : start + count]
    step = max(1, len(turns) // QUICK_TURNS)
    return turns[offset % step :: step]


def _arming(shim: ctypes.CDLL | None, turn: int, how: int, error: int) -> Callable[[], None]:
    def arm() -> None:
        if shim is not None:
            shim.faults_arm(ctypes.c_long(turn), how, error)

    return arm


def _limiting(size: int) -> Callable[[], None]:
    """Python ignores the signal, so that a file that grows beyond `size` bytes gives EFBIG."""

    def arm() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return arm


def _prepared(prepare: Callable[[Path], None], place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    prepare(place)
    return place


def _forked(
    work: Callable[[Path, Callable[[str], None]], None], place: Path, arm: Callable[[], None], shim: ctypes.CDLL | None
) -> Outcome:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(PATIENCE_SECONDS)
        _work(work, place, arm, shim, lambda line: os.write(writing, f"{line}\0".encode()))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Outcome(tuple(said.split("\0")[:-1]), status)


def _work(
    work: Callable[[Path, Callable[[str], None]], None],
    place: Path,
    arm: Callable[[], None],
    shim: ctypes.CDLL | None,
    say: Callable[[str], object],
) -> None:
    from gradiend_ui.engine.errors import GradiendUIError

    arm()
    try:
        work(place, lambda line: None if say(line) else None)
        say("finished")
    except GradiendUIError as error:
        say(f"refused {error.code}: {error}")
    except BaseException as error:
        say(f"bare {type(error).__module__}.{type(error).__name__}: {error}")
    if shim is not None:
        shim.faults_seen.restype = ctypes.c_long
        say(f"seen {shim.faults_seen()}")


def _judged(
    problems_of: Callable[[Path, tuple[str, ...]], list[str]], place: Path, case: Case, outcome: Outcome
) -> list[str]:
    from gradiend_ui.engine.store.inventory import Inventory
    from gradiend_ui.engine.store.store import Store
    from gradiend_ui.server.leftovers import tidy

    problems = [line for line in outcome.said if line.startswith("bare ")]
    problems += [f"no sentence: {line}" for line in outcome.said if _is_bad_sentence(line)]
    if outcome.ended not in (0, -signal.SIGKILL):
        problems.append(f"ended with {outcome.ended}")
    if case.once and "finished" not in outcome.said:
        problems.append(f"did not get over it: {[line for line in outcome.said if line.startswith('refused')]}")
    problems += problems_of(place, outcome.said)
    store = Store(place / "runs.sqlite")
    made = Inventory(store, place)
    tidy(made, time.time(), (), at_start=True)
    problems += [f"after tidying: {problem}" for problem in problems_of(place, outcome.said)]
    problems += [f"still listed: {noted.place}" for noted in made.lines() if noted.kind != "upload"]
    store.close()
    names = [path.relative_to(place).as_posix() for path in place.rglob("*")]
    problems += [f"left over: {name}" for name in names if _is_left_over(name)]
    return problems


def _is_bad_sentence(line: str) -> bool:
    if not line.startswith("refused "):
        return False
    sentence = line.partition(": ")[2]
    return (
        not line.startswith("refused failed: ") or "\n" in sentence or not sentence.endswith(".") or len(sentence) < 20
    )


def _is_left_over(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.startswith(".") or last.endswith(".part") or ".partial-" in last or name.startswith("exports/")


def _ending(outcome: Outcome) -> str:
    if outcome.ended < 0:
        return "killed"
    refused = any(line.startswith("refused") for line in outcome.said)
    return ("refused, then finished" if refused else "finished") if "finished" in outcome.said else "refused"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few of the changes only")
    parser.add_argument("--sizes", action="store_true", help="files that may not grow, instead of failing calls")
    parser.add_argument("--only", metavar="NAME", help="workloads whose name holds this")
    parser.add_argument("--json", metavar="OUT", type=Path)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(inside(given.inside, quick=given.quick, sizes=given.sizes, only=given.only)))
        return 0
    report = run_all(quick=given.quick, sizes=given.sizes, only=given.only)
    text = json.dumps(report, indent=2)
    if given.json:
        given.json.write_text(text, encoding="utf-8")
    print(text)
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
