"""Write the fixtures of `tests/frozen` anew: `python -m tests.frozen.write --because "why they may change"`.

Without a reason nothing is written: it tells what differs today. The reason is kept in written.json. With
`--folders`, also the data folder and the experiment folder, which should be of a version before: do that only with the
oldest version that must still be read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradiend_ui
from tests.frozen import observed
from tests.frozen.compared import differences
from tests.frozen.observed import (
    DATA_FOLDER,
    EXPERIMENT,
    FINISHED,
    FINISHED_SPEC,
    HERE,
    INTERRUPTED,
    INTERRUPTED_SPEC,
    PLACE,
)
from tests.frozen.served import ROOT, App, served

KEPT_OF_DATA = ("runs.sqlite", "gradiend-ui-folder.txt")
MOST_BYTES = 300_000
SOMEBODYS = re.compile(
    rb"(?<![\w.}/])/(?:home|root|tmp|work|Users|private|var|mnt|opt|srv|usr)/[\w.-]*|[A-Z]:\\\\?Users"
)
"""Where files lie that only one machine has."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the fixtures of tests/frozen anew.")
    parser.add_argument("--because", default="", help="why what was frozen may change; without it nothing is written")
    parser.add_argument("--folders", action="store_true", help="also the folders of the version before")
    options = parser.parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as work:
        if options.folders and options.because:
            write_folders(Path(work))
        seen = everything(Path(work))
    changed = 0
    for name, value in seen.items():
        path = HERE / name
        old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        lines = differences(old, value)
        changed += len(lines)
        print(f"{name}: {len(lines)} differences", *lines[:20], sep="\n    ")
        if lines and options.because:
            path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if not options.because:
        print('Nothing was written: give a reason, --because "...".')
        return 1 if changed else 0
    written = {"because": options.because, "version": gradiend_ui.__version__, "python": sys.version.split()[0]}
    (HERE / "written.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    check_portable(str(ROOT), str(Path.home()), socket.gethostname())
    return 0


def everything(work: Path) -> dict[str, Any]:
    """{fixture: what it would hold today}."""
    seen: dict[str, Any] = {"public.json": observed.public_names(), "help.json": observed.help_text().splitlines()}
    data = observed.own_copy(DATA_FOLDER, work / "data")
    finished, interrupted = (observed.run_named(data, name) for name in (FINISHED, INTERRUPTED))
    with served(data, work / "log") as app:
        seen["api.json"] = observed.api_listing(app)
        facts = {source: observed.demo_facts(app, source) for source in observed.BUNDLED}
        seen["demos.json"] = {source: told for source, (told, _) in facts.items()}
        kinds = observed.export_kinds({source: run for source, (_, run) in facts.items()})
        seen["exports.json"] = {
            kind: observed.export_facts(app, run, given, work / kind) for kind, (run, given) in kinds.items()
        }
        seen["data_folder.json"] = {
            "finished": observed.finished_facts(app, finished, work / "stored"),
            "interrupted": observed.interrupted_facts(app, interrupted, data),
        }
    seen["experiment.json"] = observed.experiment_facts(observed.own_copy(EXPERIMENT, work / "experiment"))
    return seen


def write_folders(work: Path) -> None:
    """A store with a finished sweep and one that the end of its server interrupted; an experiment."""
    data, experiment = work / "new_data", work / "new_experiment"
    with served(data, work / "new_log") as app:
        card = app.ask("load", "demo", {})
        finished = app.ask("start_sweep", card["checkpoint"], FINISHED_SPEC)["run"]
        app.finish(finished)
        app.ask("label", finished, FINISHED, "a note")
        broken = app.ask("start_sweep", card["checkpoint"], INTERRUPTED_SPEC)["run"]
        app.ask("label", broken, INTERRUPTED, "")
        _wait_until_begun(app, broken)
    _keep(data, DATA_FOLDER, KEPT_OF_DATA)
    trainer = observed.trainer_of(experiment)
    trainer.train()
    trainer.evaluate_decoder()
    del trainer
    _keep(experiment, EXPERIMENT, tuple(path.name for path in experiment.iterdir()))
    for path in EXPERIMENT.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        text = text.replace(str(experiment), "output").replace(str(ROOT), PLACE)
        path.write_text(text, encoding="utf-8")
    _settle(DATA_FOLDER / "runs.sqlite", "")
    _settle(EXPERIMENT / "gradiend_ui.sqlite", "UPDATE runs SET checkpoint = 'output/model'")
    if (size := sum(path.stat().st_size for path in _files(DATA_FOLDER, EXPERIMENT))) > MOST_BYTES:
        raise SystemExit(
            f"The folders have {size:,} bytes; {MOST_BYTES:,} are the most that belongs into a repository."
        )


def _wait_until_begun(app: App, run: str) -> None:
    while (told := app.ask("cells", run, 0))["done"] < 1:
        if told["state"] not in ("queued", "running"):
            raise SystemExit(f"The sweep was to be interrupted, but is {told['state']}.")
        time.sleep(0.01)


def _keep(folder: Path, target: Path, names: Sequence[str]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in names:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, target / name)
        elif not name.endswith("-shm"):
            shutil.copy(folder / name, target / name)


def _settle(path: Path, statement: str) -> None:
    """Everything in the one file, nothing of deleted lines left in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        if statement:
            store.execute(statement)
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.execute("VACUUM")
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def check_portable(*places: str) -> None:
    """No fixture names a place of somebody's machine, nor any of `places`. Raises SystemExit."""
    for path in _files(HERE):
        if "__pycache__" in path.parts or path.suffix == ".py":
            continue
        content = path.read_bytes()
        found = [place for place in places if place.encode() in content] + SOMEBODYS.findall(content)[:3]
        if found:
            raise SystemExit(f"{path.name} names {found}: that belongs to one machine.")


if __name__ == "__main__":
    sys.exit(main())
