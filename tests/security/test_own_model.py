"""A public server's own model: opened by a name, never by its path; when it is wrong, only its owner is told where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradiend_ui.engine.errors import BadBase, BadCheckpoint, Busy, NotFound
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import LOCAL, public_trust
from gradiend_ui.engine.worker.client import ASK_AGAIN, RUN_GOES_ON, WorkerClient, WorkerEnded, why_it_ended
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.server.checkpoints import CLOSED, OWN, OwnModel
from tests.support.page_client import functions_of
from tests.support.served import ROOT, ask, served

DEMO_GRADIEND = ROOT / "assets" / "demo" / "gradiend"


def test_visitors_ask_for_it_by_a_name() -> None:
    own = OwnModel("/srv/models/gender", public=True)
    assert own.name == OWN and own.is_meant(OWN) and not own.is_meant("/srv/models/gender")
    assert own.source == "/srv/models/gender"
    local = OwnModel("/srv/models/gender", public=False)
    assert local.name == "/srv/models/gender" and not local.is_meant(OWN), "a folder may be called so"
    for source in ("demo", "", " "):
        demo = OwnModel(source, public=True)
        assert demo.name == "demo" and demo.folders == () and demo.problem() is None and demo.source == "demo"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "it is a file"),
        (lambda path: path.mkdir(), "no GRADIEND"),
        (lambda path: shutil.copytree(DEMO_GRADIEND.parent / "base", path), "describes no GRADIEND"),
    ],
)
def test_the_start_says_what_is_wrong(tmp_path: Path, make: Callable[[Path], Any], said: str) -> None:
    path = tmp_path / "own"
    make(path)
    told = OwnModel(str(path), public=True).problem()
    assert told is not None and said in told and str(path) in told
    assert OwnModel(str(DEMO_GRADIEND), public=True).problem() is None


def test_what_is_wrong_is_the_owners_alone(caplog: pytest.LogCaptureFixture) -> None:
    own = OwnModel("/srv/models/gender", public=True)
    for error in (BadBase("no '/srv/base'"), NotFound("no"), BadCheckpoint("/srv/models holds none")):
        with pytest.raises(BadCheckpoint) as told, own.kept_from_visitors():
            raise error
        assert str(told.value) == CLOSED and "/srv" not in CLOSED
    assert [record.getMessage() for record in caplog.records][0].startswith("--checkpoint '/srv/models/gender' cannot")
    passing: tuple[Exception, ...] = (Busy("wait"), WorkerEnded("try again"))
    for error in passing:
        with pytest.raises(type(error)), own.kept_from_visitors():
            raise error


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("There is no folder '/srv/models/x': did you mean '/srv/y'?", "There is no folder 'x': did you mean 'y'?"),
        ("/srv/my models/gender holds none (/srv/b/c/).", "gender holds none (c)."),
        ("[Errno 2] No such file: '/a b/c d'", "[Errno 2] No such file: 'c d'"),
        ("C:\\Users\\me\\x.bin and '~/x' are bad", "x.bin and 'x' are bad"),
        ("/compare knows top_k; and/or owner/name https://x.org/a/b", "/compare knows top_k; and/or owner/name https://x.org/a/b"),
    ],
)  # fmt: skip
def test_strangers_read_the_last_part_of_a_path(sentence: str, told: str) -> None:
    assert public_trust(Path("/srv/my models/gender")).told(sentence) == told
    assert LOCAL.told(sentence) == sentence


def test_the_workers_refusals_tell_strangers_no_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = WorkerClient(tmp_path / "s", tmp_path, tmp_path, lambda why: None, public_trust())
    assert str(client._refusal("bad_base", "no '/srv/base'")) == "no 'base'"
    assert "'/srv/base'" in caplog.text
    local = WorkerClient(tmp_path / "s", tmp_path, tmp_path, lambda why: None)
    assert str(local._refusal("bad_base", "no '/srv/base'")) == "no '/srv/base'"


def test_only_a_run_is_resumed_after_the_workers_end() -> None:
    for code in (-9, -7, 1, None):
        assert "resume" in why_it_ended(code, RUN_GOES_ON)
        assert "try again" in why_it_ended(code, ASK_AGAIN) and "resume" not in why_it_ended(code, ASK_AGAIN)


def test_the_handle_does_not_give_the_path_away(tmp_path: Path) -> None:
    handles = set()
    for _ in range(2):
        store = Store(":memory:")
        worker = Worker(store, tmp_path / "data", ROOT / "assets" / "demo", public_trust(DEMO_GRADIEND))
        handles.add(worker.answer(Load(str(DEMO_GRADIEND), {}))["checkpoint"])
        store.close()
    assert len(handles) == 2, "another process, another handle"


def test_an_upload_below_the_owners_folder_is_not_the_owners(tmp_path: Path) -> None:
    from gradiend_ui.engine.worker.resources import Resources

    store = Store(":memory:")
    resources = Resources(store, tmp_path / "data", tmp_path / "none", public_trust(tmp_path))
    upload = tmp_path / "data" / "uploads" / "x"
    assert resources._trust_in(str(tmp_path), tmp_path) == LOCAL
    assert resources._trust_in(str(upload), upload).public
    store.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_neither_page_nor_api_tell_where_it_lies(tmp_path: Path) -> None:
    own = tmp_path / "secret-place" / "own"
    shutil.copytree(DEMO_GRADIEND, own)
    config = json.loads((own / "config.json").read_text())
    config["metadata"]["base_model"] = str(tmp_path / "secret-place" / "base")
    (own / "config.json").write_text(json.dumps(config))
    with served(tmp_path / "data", "--public", "--checkpoint", str(own)) as server:
        with httpx.Client(base_url=server.url, headers={"origin": server.url}, timeout=60) as http:
            page = http.get("/config").text
            call = {"data": [], "fn_index": functions_of(json.loads(page)).open, "session_hash": "visitor"}
            http.post("/gradio_api/queue/join", json=call)
            with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "visitor"}) as stream:
                page += "".join(stream.iter_lines())
        answers = []
        for source in (OWN, str(own), str(tmp_path / "secret-place" / "nothing")):
            with pytest.raises(RuntimeError) as told:
                ask(server, "load", source, {})
            answers.append(str(told.value))
        assert CLOSED in page and CLOSED in answers[0]
        assert answers[1] == answers[2] and "[not_allowed]" in answers[1], "who guesses the path learns nothing"
        assert ask(server, "load", "demo", {})["name"] == "demo"
        assert "secret-place" not in page + "".join(answers)
        log = server.log.read_text()
        assert f"--checkpoint '{own}' cannot be opened" in log and "Traceback" not in log
