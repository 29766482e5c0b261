"""Hostile uploads with the real processes, under strace: what was read outside of them, and what each takes.

    python -m tests.programs.hostile_uploads --examples 400

Uploads are drawn at random (see `tests/support/hostile_uploads.py`). Each is built by the confined process and opened
by a worker for strangers in a process behind the worker's fence. strace (Debian's package) notes every file that any of
these processes opened; one outside that was opened, or a canary in what came out, ends the program with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OPENED = re.compile(r'open(?:at|at2)?\((?:AT_FDCWD, )?"([^"]+)"[^=]*\) = (\d+)')
FOREIGN = ("/etc/passwd", "/etc/shadow", str(Path.home() / ".ssh"), "/dev/zero")
"""Beside the folder with the canary: what the drawn uploads name."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside is not None:
        return judge_all(options.inside, options.examples, options.seed)
    strace = shutil.which("strace")
    if strace is None:
        print("strace is not installed: apt-get install strace", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)
        log = place / "strace.log"
        own = [sys.executable, "-m", "tests.programs.hostile_uploads", "--inside", str(place)]
        own += ["--examples", str(options.examples), "--seed", str(options.seed)]
        trace = [strace, "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,openat2", "-o", str(log)]
        done = subprocess.run([*trace, *own], cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False)
        read = foreign_files(log, place / "outside") if log.exists() else ["nothing was traced"]
    print(f"files outside that were opened: {len(read)} {read[:5] if read else ''}")
    return done.returncode or bool(read)


def prepare(place: Path) -> None:
    """A tiny base, a valid upload, and the canary."""
    from tests.support.hostile_uploads import save_canary, save_upload
    from tests.support.tiny_models import save_tiny_bert

    base = save_tiny_bert(place / "bert", steps=5)
    save_upload(place / "data/valid", base)
    save_canary(place / "outside", base)


def judge_all(place: Path, examples: int, seed: int) -> int:
    """Inside the fence: draw, damage, take in, open; tell the outcomes with their time and memory."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    from gradiend_ui.engine.files.fence import put_up
    from gradiend_ui.engine.store.store import Store
    from gradiend_ui.engine.uploads.trust import fence_around, public_trust
    from gradiend_ui.engine.worker.worker import Worker
    from tests.support import checkpoints_hostile as hostile
    from tests.support.hostile_uploads import do, harms, judged

    data, valid, drawn = place / "data", place / "data/valid", place / "data/drawn"
    (data / "uploads").mkdir(parents=True)
    worker = Worker(Store(":memory:"), data, place / "none", public_trust())
    ends: Counter[str] = Counter()
    took: list[tuple[float, int, str]] = []
    wrong: list[str] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seeded(seed)
    @given(st.data())
    def each(data_of: st.DataObject) -> None:
        damages, as_zip = data_of.draw(strategy)
        work = drawn / str(len(took))
        work.mkdir(parents=True)
        run = hostile.copy_of(valid, work / "run")
        for harm in damages:
            do(harm, run, place / "outside")
        before, began = resident(), time.perf_counter()
        try:
            end = judged(worker, run, data / "uploads", work, as_zip=as_zip)
        except Exception as error:  # to be told with its damage
            end = "wrong"
            wrong.append(f"{type(error).__name__}: {error} for {[harm.told for harm in damages]}")
        ends[end] += 1
        took.append((time.perf_counter() - began, resident() - before, "; ".join(harm.told for harm in damages)))
        shutil.rmtree(work, ignore_errors=True)

    drawn.mkdir()
    strategy = harms(valid)
    put_up(fence_around(data, place / "none", ()))
    each()
    tell(ends, took, wrong)
    return 1 if wrong else 0


def tell(ends: Counter[str], took: list[tuple[float, int, str]], wrong: list[str]) -> None:
    seconds = sorted(one[0] for one in took)
    print(f"{len(took)} uploads: {json.dumps(dict(ends))}")
    print(
        f"seconds under strace: median {statistics.median(seconds):.2f}, 95th percentile "
        f"{seconds[int(0.95 * len(seconds))]:.2f}, most {seconds[-1]:.2f}"
    )
    slowest = max(took)
    print(f"slowest: {slowest[2]}")
    grown = max(took, key=lambda one: one[1])
    print(f"memory: the opening process grew by at most {grown[1] / 2**20:.0f} MB ({grown[2]})")
    for sentence in wrong[:10]:
        print(f"WRONG {sentence}")


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def foreign_files(log: Path, outside: Path) -> list[str]:
    """Paths that any traced process opened and should not have."""
    found: list[Any] = []
    with log.open(errors="replace") as lines:
        for line in lines:
            match = OPENED.search(line)
            if match and (match[1].startswith(str(outside)) or match[1].startswith(FOREIGN)):
                found.append(match[1])
    return found


if __name__ == "__main__":
    sys.exit(main())
