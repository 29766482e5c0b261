"""What a step of the build is: a function whose result is kept, done again only when what it rests on changes.

Knows the recipe, the build folder and the package's own source; knows no step.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets.demo.build.recipe import Recipe

HERE = Path(__file__).parent
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a build works and what it ships.

    out: the shipped demo; docs: its page and pictures; readme: the file whose figures are written anew, None: none.
    results: of the steps that are done. again: the step that is to start from nothing.
    """

    work: Path
    out: Path
    docs: Path
    recipe: Recipe
    readme: Path | None = None
    again: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        """A folder of the work folder, made if needed."""
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@dataclass(frozen=True)
class Step:
    """settings: the fields of the recipe that the step reads; modules: the files of this package that decide its
    result; after: the steps whose results it uses; made: the files that are there when it is done."""

    name: str
    run: Callable[[Place, Say], Mapping[str, Any]]
    settings: Sequence[str] = ()
    modules: Sequence[str] = ()
    after: Sequence[str] = ()
    made: Callable[[Place], Iterable[Path]] = lambda place: ()


def run_steps(steps: Sequence[Step], place: Place, last: str, say: Say = print) -> None:
    """Run the steps up to `last` that are not done; `place.again` and all that rest on it are done once more."""
    keys: dict[str, str] = {}
    for step in steps:
        key = _key(step, place, keys)
        marker = place.folder("done") / f"{step.name}.json"
        done = _read(marker)
        is_there = all(path.exists() for path in step.made(place))
        if done is not None and done["key"] == key and is_there and step.name != place.again:
            say(f"[{step.name}] done before, in {done['result']['seconds']:.0f} s")
        else:
            done = _run(step, place, key, marker, say)
        place.results[step.name] = done["result"]
        keys[step.name] = key + done["ran"]
        if step.name == last:
            return


def _run(step: Step, place: Place, key: str, marker: Path, say: Say) -> dict[str, Any]:
    """Without its marker until it is done: a step that was stopped is never taken for a finished one."""
    marker.unlink(missing_ok=True)
    began = time.perf_counter()
    say(f"[{step.name}] begins")
    result = dict(step.run(place, lambda text: say(f"[{step.name}] {time.perf_counter() - began:5.0f} s  {text}")))
    seconds = time.perf_counter() - began + result.pop("earlier_seconds", 0.0)
    ran = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:8]
    done = {"key": key, "ran": ran, "result": {**result, "seconds": round(seconds, 1)}}
    written = marker.with_suffix(".new")
    written.write_text(json.dumps(done, indent=1), encoding="utf-8")
    written.replace(marker)
    say(f"[{step.name}] done in {seconds:.0f} s")
    return done


def _key(step: Step, place: Place, keys: Mapping[str, str]) -> str:
    """Changes with the settings and the source a step uses, where it writes, and every new run of a step before it."""
    read = {name: getattr(place.recipe, name) for name in step.settings}
    source = [hashlib.sha256((HERE / f"{name}.py").read_bytes()).hexdigest() for name in step.modules]
    places = sorted(str(path) for path in step.made(place))
    told = [read, source, places, [keys[name] for name in step.after]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _read(marker: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_whole = isinstance(content, dict) and {"key", "ran", "result"} <= content.keys()
    return content if is_whole else None
