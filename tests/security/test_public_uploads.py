"""An upload on a public server, from the zip to the exported weights, with the real worker behind its fence: the same
numbers as the owner gets from the folder, and nothing of the machine is read."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.files.fence import fence_version
from gradiend_ui.server.door.visitors import Asker
from gradiend_ui.server.session import Session
from tests.support import checkpoints_hostile as hostile

SPEC = {"feature_factors": [-1.0, 1.0], "learning_rates": [0.1, 0.5], "first_look": "off"}
CELL = {"feature_factor": -1.0, "learning_rate": 0.5}


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose base lies beside it and is named by a path of another machine."""
    base = request.getfixturevalue(f"tiny_{request.param}")
    folder = hostile.save_run(tmp_path_factory.mktemp("run") / "pronouns", base)
    shutil.copytree(base, folder / "base")
    config = json.loads((folder / "model/config.json").read_text())
    config["metadata"] = {"base_model": "/home/somebody/base", "prediction_objective": "auto"}
    (folder / "model/config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        session = Session.open(tmp_path_factory.mktemp("server") / "data", public=True)
        patch.setenv("GRADIO_TEMP_DIR", str(session.downloads_dir))
        yield session
        session.close()


def results(session: Session, checkpoint: str) -> tuple[dict[str, Any], Path]:
    """The scores of a sweep, and the zip of one rewrite."""
    run = session.start_sweep(checkpoint, dict(SPEC))["run"]
    while (answer := session.cells(run))["state"] in ("queued", "running"):
        time.sleep(0.05)
    assert answer["state"] == "finished", answer["error"]
    scores = {"base": answer["base"], "cells": answer["cells"]}
    return scores, Path(session.export(run, dict(CELL)))


def tensors(path: Path, place: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    return load_file(next(place.rglob("model.safetensors")))


def test_an_upload_gives_the_numbers_of_the_folder(public: Session, run: Path, tmp_path: Path) -> None:
    zipped = public.downloads_dir / "somebodys" / "pronouns.zip"
    zipped.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(shutil.make_archive(str(tmp_path / "pronouns"), "zip", run.parent), zipped)
    unpacked = public.uploads.unpack(str(zipped))
    checkpoint = public.uploads.load(unpacked["source"], unpacked["name"])
    scores, export = results(public, checkpoint)

    own = Session.open(tmp_path / "own")
    try:
        expected, other = results(own, own.load(str(run), {"base_model": str(run / "base")})["checkpoint"])
    finally:
        own.close()
    assert scores == expected
    ours, theirs = tensors(export, tmp_path / "a"), tensors(other, tmp_path / "b")
    assert ours.keys() == theirs.keys() and all((ours[name] == theirs[name]).all() for name in ours)
    with zipfile.ZipFile(export) as archive:
        told = [
            archive.read(name).decode(errors="replace") for name in archive.namelist() if not name.endswith("tensors")
        ]
    assert not any(str(public.downloads_dir.parent.parent) in text or "/home/somebody" in text for text in told)


@pytest.mark.skipif(not fence_version(), reason="this system has no Landlock")
def test_the_worker_of_a_public_server_is_confined(public: Session, tmp_path: Path) -> None:
    public.load("demo")
    status = Path(f"/proc/{public._worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    own = Session.open(tmp_path / "own")
    try:
        own.load("demo")
        assert "NoNewPrivs:\t0" in Path(f"/proc/{own._worker.pid}/status").read_text()
    finally:
        own.close()


def test_a_table_is_read_behind_the_fence(public: Session, tmp_path: Path) -> None:
    """The worker starts a process of its own for it, which must find the package without looking through its folder."""
    checkpoint = public.load("demo")["checkpoint"]
    rows = [
        {"masked": f"{n} said [MASK] sings", "split": "test", "label": "he", "label_class": "M", "alternative": "she"}
        | {"alternative_class": "F"}
        for n in range(20_000)
    ]
    path = public.downloads_dir / "rows.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)))
    assert path.stat().st_size > 2**20
    upload = public.data.keep_table(str(path))["upload"]
    assert public.data.rows(checkpoint, {"rows": {"upload": upload}})["table_rows"] == 20_000


def test_what_is_not_there_any_more_is_told_without_a_path(public: Session) -> None:
    home = public.downloads_dir.parent.parent / "uploads"
    with pytest.raises(GradiendUIError) as told:
        public.uploads.load(str(home / ("0" * 64)), "x")
    assert "upload it again" in str(told.value) and str(home) not in str(told.value)
    with pytest.raises(GradiendUIError):
        public.stop("nothing", Asker("somebody", owner=False))
