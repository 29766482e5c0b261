"""Links that lead in a ring, wherever a path comes from outside: a sentence, and nothing lies there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.uploaded import home_of
from gradiend_ui.engine.checkpoint.run_folder import leads_out
from gradiend_ui.engine.checkpoint.writing import checked_place
from gradiend_ui.engine.data.table_reading import read_file
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid, BadName, Failed, GradiendUIError, NotAllowed
from gradiend_ui.engine.files.file_names import RING, followed, is_ring, lies_in
from gradiend_ui.engine.files.model_files import UPLOADS
from gradiend_ui.engine.store.inventory import Inventory
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import LOCAL, named_by, public_trust
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.resources import Resources
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.server.checkpoints import OwnModel, absolute, was_uploaded
from gradiend_ui.server.home import find_home, usable_folder
from gradiend_ui.server.leftovers import used_uploads
from gradiend_ui.server.session import Session
from tests.support import checkpoints_hostile as hostile
from tests.support.served import ROOT


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    return tmp_path / "ring"


@pytest.fixture
def run(tmp_path: Path, tiny_bert: Path) -> Path:
    return hostile.save_run(tmp_path / "run", tiny_bert)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    store = Store(":memory:")
    yield Worker(store, tmp_path / "data", tmp_path / "none", LOCAL)
    store.close()


def stating(run: Path, **fields: Any) -> Path:
    config = json.loads((run / "model/config.json").read_text())
    config["metadata"] |= fields
    (run / "model/config.json").write_text(json.dumps(config))
    return run


def test_a_ring_is_one_in_every_version_of_python(ring: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/out").symlink_to("/etc")
    (tmp_path / "home/loop").symlink_to("loop")
    for place in (ring, ring / "x", tmp_path / "there", tmp_path / "home/loop/../out"):
        with pytest.raises(OSError, match=RING):
            followed(place)
        assert not lies_in(place, tmp_path) and not lies_in(tmp_path, place)
    assert is_ring(ring) and is_ring(ring / "x") and not is_ring(tmp_path / "none") and not is_ring("a\0b")
    assert followed(tmp_path / "none/x") == tmp_path.resolve() / "none/x"
    assert lies_in(tmp_path / "home", ring, tmp_path) and not lies_in(tmp_path / "home/out", tmp_path)


def test_no_path_is_resolved_another_way() -> None:
    """`Path.resolve` breaks off at a ring, or gives it back, as the version of Python has it."""
    own = re.compile(r"Path\(__file__\)\.resolve\(")
    for part in ("engine", "ui", "trainer"):
        for path in (ROOT / "gradiend_ui" / part).rglob("*.py"):
            assert ".resolve(" not in own.sub("", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("behind", ["", "/x"])
def test_a_base_that_is_a_ring_is_refused(worker: Worker, run: Path, ring: Path, behind: str) -> None:
    for options in ({"base_model": f"{ring}{behind}"}, {}):
        if not options:
            stating(run, base_model=f"{ring}{behind}")
        with pytest.raises(BadBase, match=RING):
            worker.answer(Load(str(run), options))
    stating(run, base_model="../ring")
    (run / "ring").symlink_to("ring")
    with pytest.raises(BadBase, match=RING):
        worker.answer(Load(str(run), {}))


def test_a_home_of_nobody_is_refused(worker: Worker, run: Path) -> None:
    with pytest.raises(BadBase, match="home of nobody"):
        worker.answer(Load(str(run), {"base_model": "~nobody-here/x"}))
    own = OwnModel("~nobody-here/x", public=True)
    assert "no such folder" in str(own.problem()) and own.folders


def test_a_tokenizer_and_a_mask_head_that_lead_in_a_ring_are_refused(
    worker: Worker, run: Path, ring: Path, tmp_path: Path, tiny_gpt2: Path
) -> None:
    (run / "ring").symlink_to("ring")
    for stated in ("../ring", str(ring)):
        with pytest.raises(BadBase, match=RING):
            worker.answer(Load(str(stating(run, tokenizer=stated)), {}))
    head = tmp_path / "around" / "head"
    shutil.copytree(tiny_gpt2, head)
    (head / "ring").symlink_to("ring")
    (head / "config_mlm_head.json").write_text(json.dumps({"base_model": "ring"}))
    with pytest.raises(BadBase, match=RING):
        load_base_model(str(head))
    (head.parent / "base").symlink_to("base")
    (head / "config_mlm_head.json").write_text(json.dumps({"base_model": "/srv/models/x"}))
    with pytest.raises((BadBase, NotAllowed)):
        load_base_model(str(head), trust=LOCAL.within(head.parent))


def test_tables_and_folders_that_are_rings(ring: Path, tmp_path: Path) -> None:
    for place in (ring, ring / "rows.csv"):
        with pytest.raises(BadData, match=RING):
            read_file(place)
        with pytest.raises(BadName, match=RING):
            checked_place(place)
        with pytest.raises(BadGrid, match=RING):
            absolute(str(place))
        with pytest.raises(Failed, match="leads back to itself"):
            usable_folder(place, "--data-dir")
        assert RING in str(OwnModel(str(place), public=True).problem())
        with pytest.raises(GradiendUIError):
            _ = OwnModel(str(place), public=True).source
        assert leads_out(place, tmp_path) and home_of(place, tmp_path) is None and home_of(tmp_path, place) is None
        assert not public_trust(tmp_path).owns(place) and not public_trust(place).owns(tmp_path)
        assert public_trust(place).told("nothing") == "nothing"


def test_what_the_owner_opens_may_state_a_ring(run: Path, ring: Path) -> None:
    assert not {ring, ring / "x"} & set(named_by(stating(run, base_model=str(ring), tokenizer=f"{ring}/x")))


def test_no_upload_lies_in_a_ring(ring: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert not was_uploaded(str(ring)) and was_uploaded(str(tmp_path / "x"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(ring))
    assert not was_uploaded(str(tmp_path / "x")) and not was_uploaded(str(ring / "x"))


PARTS: dict[str, Callable[[Session, Path], object]] = {
    "uploads": lambda session, path: session.uploads.load(str(path / "x"), "x"),
    "exports": lambda session, path: None,
    "exported": lambda session, path: None,
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_data_folder_that_is_a_ring_stops_nothing(name: str, tmp_path: Path) -> None:
    folder = find_home(tmp_path / "home").folder
    (folder / name).symlink_to(name)
    session = Session.open(folder, start_worker=False)
    try:
        session._store.save_checkpoint("ck", str(folder / UPLOADS / ("a" * 64) / "model"), {}, {})
        assert used_uploads(session._store, folder) == (frozenset() if name == UPLOADS else {"a" * 64})
        assert Inventory(session._store, folder).line_at(folder / "exports" / "x") is None or name == "exports"
        with pytest.raises(GradiendUIError):
            Resources(session._store, folder, tmp_path, public_trust()).is_strangers(str(folder / name))
        with pytest.raises(GradiendUIError):
            session.uploads.load(str(folder / UPLOADS), "x")
    except Failed as error:
        assert name == "exports" and RING in str(error)
    finally:
        session.close()
    assert (folder / name).is_symlink()


def test_the_cache_that_is_a_ring_is_told(tmp_path: Path) -> None:
    folder = find_home(tmp_path / "home").folder
    (folder / "downloads").symlink_to("downloads")
    with pytest.raises(Failed, match="downloads"):
        Session.open(folder, start_worker=False)
