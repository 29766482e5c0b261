"""Kill -9 at random moments of a sweep, again and again: is everything that was finished kept, and nothing done twice?

    python -m tests.programs.kill_loop [--kills 100] [--seed 7] [--cells 200] [--json OUT]

One server sweeps the bundled demo without a fault. Then another one, in a folder of its own, is killed (server and
worker at once, the server alone, or the worker alone), started again and the sweep resumed, until the kills are used up
and the sweep is finished. A trigger in the store writes down every block that is committed, which is how a block that
is computed twice is found. Exit code 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.served import Served, ask, free_port, started, wait_until_ready

WAYS = ("both", "both", "both", "server", "worker")
"""What is killed, as often as it stands here."""
ORPHAN_SECONDS = 10.0
MOST_TIME = 1.5
AUDIT = """
CREATE TABLE IF NOT EXISTS audit (fingerprint TEXT, cell TEXT, block INTEGER, at REAL);
CREATE TRIGGER IF NOT EXISTS audit_results AFTER INSERT ON results BEGIN
    INSERT INTO audit VALUES (new.fingerprint, new.cell, new.block, (julianday('now') - 2440587.5) * 86400.0);
END;
"""


@dataclass
class Life:
    """One server from its start to its end."""

    data: Path
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)
    server: Served = field(init=False)

    def __post_init__(self) -> None:
        port = free_port()
        self.log.write_text("")
        self.process = started(port, self.data, self.log)
        self.server = Served(f"http://127.0.0.1:{port}", self.process.pid, self.data, self.log)

    def wait(self) -> None:
        wait_until_ready(self.process, self.log)

    def kill(self, way: str) -> list[str]:
        """Kill what `way` says; gives what did not go as promised."""
        worker = self.server.worker
        victims = {"both": [self.process.pid, worker], "server": [self.process.pid], "worker": [worker]}[way]
        for pid in victims:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        if way == "worker":
            return []
        self.process.wait(10)
        return [] if worker is None or gone(worker, ORPHAN_SECONDS) else [f"worker {worker} outlived its server"]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def gone(pid: int, seconds: float) -> bool:
    """Whether the process ends within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def begin(server: Served, cells: int) -> str:
    """Queue the sweep; gives its run."""
    checkpoint = ask(server, "load", "demo", {})["checkpoint"]
    rates = [round(0.01 * 1.05**n, 6) for n in range(cells // 2)]
    return str(ask(server, "start_sweep", checkpoint, {"feature_factors": [-1.0, 1.0], "learning_rates": rates})["run"])


def watch(data: Path) -> None:
    """Have the store write down each block that is committed."""
    with closing(sqlite3.connect(data / "runs.sqlite", timeout=30)) as db:
        db.executescript(AUDIT)


def read(data: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "runs.sqlite", timeout=30)) as db:
        return db.execute(query).fetchall()


def tables(data: Path) -> dict[str, Any]:
    """The finished sweep as it is stored: the scores' text by cell, the raw results by cell and block."""
    scores = dict(read(data, "SELECT place, score FROM run_cells"))
    results = {(cell, block): blob for cell, block, blob in read(data, "SELECT cell, block, result FROM results")}
    return {"scores": scores, "results": results}


def wait_for_end(server: Served, run: str) -> None:
    while (answer := ask(server, "cells", run, 10**9))["state"] in ("queued", "running"):
        time.sleep(0.5)
    if answer["state"] != "finished":
        raise RuntimeError(f"The sweep ended as {answer['state']}: {answer['error']}")


@dataclass
class Loop:
    """One sweep under fire. broken: promises that were not kept, a sentence each."""

    data: Path
    chance: random.Random
    cells: int
    pace: float
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("both", "server", "worker"), 0))
    early: int = 0
    computing: float = 0.0
    seen: dict[tuple[float, float], dict[str, Any]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    run: str = ""

    def go(self, kills: int) -> int:
        """Sweep until the end under at most so many kills; gives how many there were."""
        log = self.data.with_suffix(".log")
        life = Life(self.data, log)
        life.wait()
        self.run = begin(life.server, self.cells)
        watch(self.data)
        used = 0
        while used < kills and not self.is_finished():
            way = self.chance.choice(WAYS)
            self.wait_for_the_moment(life, kills - used)
            self.broken += life.kill(way)
            self.kills[way] += 1
            used += 1
            if way != "worker":
                life = Life(self.data, log)
                if self.chance.random() < 0.1 and used < kills:
                    used += self.kill_at_start(life)
                    life = Life(self.data, log)
                life.wait()
            self.resume(life)
        wait_for_end(life.server, self.run)
        self.check_kept(life)
        life.end()
        self.check_cleared()
        return used

    def wait_for_the_moment(self, life: Life, left: int) -> None:
        """A random time, so that the rest of the sweep lasts about as long as the kills; counts what was computed."""
        last = self.last_commit()
        still = self.cells - self.done()
        time.sleep(self.chance.uniform(0.0, 3.0))
        until = time.monotonic() + 60
        while self.last_commit() == last and not self.is_finished() and time.monotonic() < until:
            if self.chance.random() < 0.01:
                return  # before the first block of this life
            time.sleep(0.02)
        first = time.monotonic()
        time.sleep(self.chance.uniform(0.0, 2.0 * still * self.pace / max(left, 1)))
        self.computing += time.monotonic() - first

    def kill_at_start(self, life: Life) -> int:
        """Kill a server that is just starting."""
        time.sleep(self.chance.uniform(0.0, 4.0))
        self.broken += life.kill("both")
        self.kills["both"] += 1
        self.early += 1
        return 1

    def resume(self, life: Life) -> None:
        """The run must be interrupted, with everything that was finished; go on with it."""
        until = time.monotonic() + 30
        while (state := self.state_of(life)) not in ("interrupted", "finished") and time.monotonic() < until:
            time.sleep(0.1)
        if state not in ("interrupted", "finished"):
            self.broken.append(f"after a kill the run is {state}")
        self.check_kept(life)
        if state != "finished":
            ask(life.server, "resume", self.run, "")

    def state_of(self, life: Life) -> str:
        return str(ask(life.server, "cells", self.run, 10**9)["state"])

    def check_kept(self, life: Life) -> None:
        """Every cell that was once finished still is, with the same numbers."""
        answer = ask(life.server, "cells", self.run, 0)
        now = {(cell["feature_factor"], cell["learning_rate"]): cell for cell in answer["cells"]}
        for name, cell in self.seen.items():
            if now.get(name) != cell:
                self.broken.append(f"cell {name} was finished, and is not the same any more")
        self.seen = {name: cell for name, cell in now.items() if cell["status"] == "final"}

    def check_cleared(self) -> None:
        """What the killed servers were making is gone, and nothing is listed that is not there."""
        left = [str(path) for name in ("downloads", "exports", "uploads") for path in (self.data / name).glob("*")]
        listed = [os.fsdecode(place) for (place,) in read(self.data, "SELECT place FROM made")]
        if left or listed:
            self.broken.append(f"left over: {left}, still listed: {listed}")

    def is_finished(self) -> bool:
        return read(self.data, "SELECT state FROM runs")[0][0] == "finished"

    def done(self) -> int:
        return int(read(self.data, "SELECT done FROM runs")[0][0])

    def last_commit(self) -> float:
        return float(read(self.data, "SELECT COALESCE(MAX(at), 0) FROM audit")[0][0])

    def doubled(self) -> int:
        """Blocks that were committed more than once."""
        query = "SELECT COUNT(*) FROM (SELECT 1 FROM audit GROUP BY fingerprint, cell, block HAVING COUNT(*) > 1)"
        return int(read(self.data, query)[0][0])


def uninterrupted(data: Path, cells: int) -> tuple[dict[str, Any], float]:
    """(tables, seconds from the first to the last commit) of the same sweep without a fault."""
    life = Life(data, data.with_suffix(".log"))
    life.wait()
    run = begin(life.server, cells)
    watch(data)
    wait_for_end(life.server, run)
    life.end()
    first, last = read(data, "SELECT MIN(at), MAX(at) FROM audit")[0]
    return tables(data), float(last - first)


def loops(home: Path, kills: int, seed: int, cells: int) -> dict[str, Any]:
    expected, alone = uninterrupted(home / "alone", cells)
    chance, used, all_loops = random.Random(seed), 0, []
    while used < kills:
        loop = Loop(home / f"killed-{len(all_loops)}", chance, cells, alone / cells)
        used += loop.go(kills - used)
        found = tables(loop.data)
        for what in ("scores", "results"):
            if found[what] != expected[what]:
                loop.broken.append(f"the {what} of the finished sweep are not those of the uninterrupted one")
        if loop.doubled():
            loop.broken.append(f"{loop.doubled()} blocks were computed twice")
        all_loops.append(loop)
    computing = sum(loop.computing for loop in all_loops)
    return {
        "kills": used,
        "of": {way: sum(loop.kills[way] for loop in all_loops) for way in ("both", "server", "worker")},
        "during_start_up": sum(loop.early for loop in all_loops),
        "seed": seed,
        "cells": cells,
        "sweeps": len(all_loops),
        "blocks": len(expected["results"]),
        "doubled": sum(loop.doubled() for loop in all_loops),
        "uninterrupted_s": round(alone, 1),
        "computing_s": round(computing, 1),
        "broken": [sentence for loop in all_loops for sentence in loop.broken],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = loops(Path(folder), asked.kills, asked.seed, asked.cells)
    most = MOST_TIME * found["uninterrupted_s"] * found["sweeps"]
    if found["computing_s"] > most:
        found["broken"].append(f"computing took {found['computing_s']:.0f} s, at most {most:.0f} s were promised")
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
