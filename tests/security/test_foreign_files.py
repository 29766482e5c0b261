"""Nothing is deleted that the app did not make: a server works in folders that are full of somebody else's things."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.server.home import MARKER, SUB_FOLDER
from gradiend_ui.server.leftovers import CACHE_SECONDS, DAY
from gradiend_ui.server.session import Session
from tests.server.test_home import OLDER, contents
from tests.support.served import ROOT, free_port, started, wait_until_ready

SHA = "0123456789abcdef" * 4
NAMES = (
    "downloads/thesis.pdf", "downloads/abc/table.csv", "downloads/tmp1/x", "exports/paper.txt", "exports/xyz/she.zip",
    "exports/xyz/she/model.safetensors", "exported/she/model.safetensors", "exported/she/manifest.json",
    "exported/she/.x.partial-0/y", "exported/.she.partial-0123abcd/x", "exported/.they.old-0123abcd/x",
    f"uploads/{SHA}.csv", f"uploads/{SHA}/config.json", f"uploads/{SHA}.0123abcd.part/x", "uploads/.0123456789abcdef",
    "uploads/mine.txt", ".x.partial-0/x", ".x.old-1/x", ".rows.csv.partial-0123abcd", f"{SHA}/x", f"{SHA}.csv",
    "runs.damaged-20260101/x", "thesis.pdf",
)  # fmt: skip
CELL = {"feature_factor": -1.0, "learning_rate": 0.1}
ROWS = "masked,label,label_class,alternative,alternative_class,split\n" + "".join(
    f"Then [MASK] walked {where} again.,{word},{name},{other},{against},test\n"
    for where, word, name, other, against in (("home", "he", "M", "she", "F"), ("away", "she", "F", "he", "M"))
)


def filled(folder: Path) -> dict[str, Any]:
    """Somebody else's things under all the names that the app knows, and links that lead out; gives what is there."""
    outside = folder.parent / f"outside-{folder.name}"
    outside.mkdir()
    (outside / "canary").write_text("mine")
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"mine: {name}".encode())
    for name in ("downloads/link", "exports/link", "exported/.l.partial-0123abcd", f"uploads/{'b' * 64}", ".l.old-1"):
        (folder / name).symlink_to(outside)
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (10**9, 10**9), follow_symlinks=False)
    return {**contents(folder), "": contents(outside)}


def unchanged(folder: Path, before: dict[str, Any]) -> None:
    found = {**contents(folder), "": contents(folder.parent / f"outside-{folder.name}")}
    assert {name: found.get(name, "is gone") for name in before} == before


def worked(session: Session, *, exports: bool = True) -> str:
    """A sweep over uploaded rows, exports of it as a zip and as a folder, a second sweep; gives the first one's run."""
    table = session.downloads_dir / "abc" / "own.csv"
    table.parent.mkdir()
    table.write_text(ROWS)
    rows = session.data.keep_table(str(table))
    checkpoint = session.load("demo")["checkpoint"]
    spec = {"feature_factors": [-1.0], "learning_rates": [0.1], "rows": rows, "neutral_set": "none"}
    run = str(session.start_sweep(checkpoint, spec)["run"])
    while session.revision(run)[1] in ("queued", "running"):
        time.sleep(0.05)
    assert session.cells(run)["state"] == "finished", session.cells(run)["error"]
    if exports:
        assert Path(session.export(run, {**CELL, "name": "sent"})).is_file()
        *_, told = session.exports.write(run, {**CELL, "name": "kept"}, keep=True)
        assert Path(told["path"]).name == "kept"
    return run


def tidied_for_years(session: Session) -> None:
    for later in (3601.0, CACHE_SECONDS + 60, 8 * DAY, 400 * DAY):
        session._housekeeping.tidy(time.time() + later)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "in-use").mkdir()
    yield tmp_path / "in-use"


def test_a_folder_in_use_is_as_it_was_after_all_that_a_server_does(folder: Path, tmp_path: Path) -> None:
    before, kept_before = filled(folder), filled(_made(tmp_path / "kept"))
    session = Session.open(folder, start_worker=False, export_dir=tmp_path / "kept")
    try:
        run = worked(session)
        tidied_for_years(session)
        session.runs.delete(run)
        tidied_for_years(session)
    finally:
        session.close()
    Session.open(folder, start_worker=False, export_dir=tmp_path / "kept").close()
    unchanged(folder, before)
    unchanged(tmp_path / "kept", kept_before)
    assert set(os.listdir(folder)) == {name.split("/")[0] for name in before if name} | {SUB_FOLDER}
    assert (tmp_path / "kept" / "kept" / "model.safetensors").is_file()
    home = folder / SUB_FOLDER
    left = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert left == {MARKER, "runs.sqlite", "lock"} | {name for name in left if name.startswith("runs.sqlite-")}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_what_a_user_puts_into_the_apps_own_folder_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Session.open(home, start_worker=False).close()
    (home / "exported").mkdir()
    before = filled(home)
    before = {name: held for name, held in before.items() if not name.startswith(("runs.sqlite", "lock"))}
    session = Session.open(home, start_worker=False)
    try:
        run = worked(session)
        zipped = Path(session.export(run, {**CELL, "name": "sent"}))
        (home / "exported" / "kept" / "mine.txt").write_text("mine")
        (zipped.parent / "mine.txt").write_text("mine")
        tidied_for_years(session)
        session.runs.delete(run)
        tidied_for_years(session)
        assert not zipped.exists()
    finally:
        session.close()
    Session.open(home, start_worker=False).close()
    unchanged(home, before)
    assert (home / "exported" / "kept" / "mine.txt").read_text() == "mine"
    assert (zipped.parent / "mine.txt").read_text() == "mine"


def test_of_an_older_folder_only_what_is_certainly_ours_is_cleared(tmp_path: Path) -> None:
    home = Path(shutil.copytree(OLDER, tmp_path / "home"))
    shutil.rmtree(home / "exported")
    before = filled(home)
    ours = {path.name for path in (OLDER / "uploads").iterdir()}
    before = {name: held for name, held in before.items() if not name.startswith(("runs.sqlite", "lock"))}
    stay = {name: held for name, held in before.items() if Path(name).name not in ours}
    assert len(ours) == 2 and len(before) == len(stay) + 2
    session = Session.open(home)
    try:
        tidied_for_years(session)
        unchanged(home, before)
        states = [run["state"] for run in session.runs.newest()["runs"]]
        assert sorted(states) == ["finished", "stopped"], "what was swept is there, with its tables"
        for run in session.runs.newest()["runs"]:
            session.runs.delete(run["run"])
        (home / "runs.damaged-20260101").rename(home / "elsewhere")  # such a store may refer to uploads
        tidied_for_years(session)
        (home / "elsewhere").rename(home / "runs.damaged-20260101")
    finally:
        session.close()
    unchanged(home, stay)
    assert not any((home / "uploads" / name).exists() for name in ours)


def test_what_a_killed_server_leaves_is_cleared_and_nothing_else(folder: Path) -> None:
    """kill -9 while files pass through; the next start clears what the first one made, by the list alone."""
    before = filled(folder)
    log = folder.with_suffix(".log")
    log.write_text("")
    process = started(free_port(), folder, log)
    try:
        wait_until_ready(process, log)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    home = folder / SUB_FOLDER
    (cache,) = (home / "downloads").iterdir()
    (cache / "abc").mkdir()
    (cache / "abc" / "table.csv").write_text("left over")
    (home / "downloads" / "mine.txt").write_text("mine")
    session = Session.open(folder, start_worker=False)
    session.close()
    assert sorted(path.name for path in (home / "downloads").iterdir()) == ["mine.txt"]
    unchanged(folder, before)
    told = [line for line in log.read_text().splitlines() if SUB_FOLDER in line]
    assert len(told) == 1 and "holds other files, which stay as they are" in told[0]


def test_a_table_that_a_user_put_under_our_name_is_not_written_over(tmp_path: Path) -> None:
    session = Session.open(tmp_path / "home", start_worker=False)
    try:
        upload = session.data.keep_pasted("a;b\n1;2", "pasted", is_table=True)["upload"]
        path = tmp_path / "home" / "uploads" / upload
        path.unlink()
        path.write_text("mine, and as long"[: len("a;b\n1;2")])
        assert hashlib.sha256(path.read_bytes()).hexdigest() != upload[:64]
        tidied_for_years(session)
        assert path.read_text() == "mine, a"
    finally:
        session.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data-dir", ""], "--data-dir is empty"),
        (["--data-dir", "   "], "--data-dir is empty"),
        (["--data-dir", "{file}"], "it is a file"),
        (["--data-dir", "{file}/below"], "cannot be used"),
        (["--data-dir", "{broken}"], "a link to nothing"),
        (["--data-dir", "{home}", "--export-dir", ""], "--export-dir is empty"),
        (["--data-dir", "{home}", "--export-dir", "{file}"], "it is a file"),
        (["--data-dir", "{home}", "--export-dir", "/proc"], "cannot be used"),
    ],
)
def test_a_start_without_a_usable_folder_says_so_and_ends(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    places = {name: str(tmp_path / name) for name in ("file", "broken", "home")}
    command = [sys.executable, "app.py", "--port", str(free_port()), *(part.format(**places) for part in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""
    assert (tmp_path / "file").read_text() == "mine" and not (tmp_path / "nowhere").exists()
