"""A server for strangers, as it is started with --public: what it refuses, what it tells, and that its page works."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradiend_ui.server.door.quotas import PUBLIC
from tests.support.page_calls import assert_nothing_is_controlled
from tests.support.page_client import functions_of
from tests.support.served import ROOT, Served, ask, served

SECRET = "hf_secretsecretsecret"
CELL = {"feature_factor": -1.0, "learning_rate": 0.1}
SPEC = {"feature_factors": [-1.0], "learning_rates": [0.1, 0.5]}

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    os.environ["HF_TOKEN"] = SECRET
    try:
        with served(tmp_path_factory.mktemp("home") / "private-folder", "--public") as server:
            yield server
    finally:
        del os.environ["HF_TOKEN"]


@pytest.fixture(scope="module")
def checkpoint(server: Served) -> str:
    return str(ask(server, "load", "demo", {})["checkpoint"])


@pytest.fixture(scope="module")
def started(server: Served, checkpoint: str) -> dict[str, Any]:
    """A sweep of somebody, that only looks for the winners; it is finished, and skipped some cells."""
    import time

    spec = {"feature_factors": [-1.0], "learning_rates": [0.1, 0.5, 20.0], "winner_only": True}
    answer = ask(server, "start_sweep", checkpoint, spec)
    while ask(server, "cells", answer["run"], 0)["state"] != "finished":
        time.sleep(0.3)
    return dict(answer)


@pytest.fixture(scope="module")
def run(server: Served, checkpoint: str) -> str:
    """A finished sweep of somebody."""
    import time

    run = str(ask(server, "start_sweep", checkpoint, SPEC)["run"])
    while ask(server, "cells", run, 0)["state"] != "finished":
        time.sleep(0.3)
    return run


def refused(server: Served, name: str, *data: Any) -> str:
    with pytest.raises(RuntimeError) as told:
        ask(server, name, *data)
    sentence = str(told.value)
    assert str(server.data) not in sentence and str(ROOT) not in sentence
    return sentence


@pytest.mark.parametrize(
    "source", ["/etc", "assets/demo", "../..", "~", "demo/../..", "\\\\host\\share", "file:///etc"]
)
def test_no_path_of_the_server_is_opened(server: Served, source: str) -> None:
    assert "[not_allowed]" in refused(server, "load", source, {})


@pytest.mark.parametrize("base", ["/etc", "..", "somebody/model", ["x"], {"path": "/etc"}])
def test_no_other_base_model_is_opened(server: Served, base: Any) -> None:
    assert "[not_allowed]" in refused(server, "load", "demo", {"base_model": base}) or isinstance(base, (list, dict))


@pytest.mark.parametrize(
    "rows", ["/etc/passwd", "eval.csv", {"path": "/etc/passwd"}, {"upload": "x", "path": "/etc/passwd"}]
)
@pytest.mark.parametrize("key", ["rows", "neutral"])
def test_no_table_is_read_from_a_path(server: Served, checkpoint: str, key: str, rows: Any) -> None:
    assert "[not_allowed]" in refused(server, "start_sweep", checkpoint, {key: rows})


def test_a_file_of_the_server_is_not_taken_for_an_upload(server: Served) -> None:
    """The upload's own function, called by hand with a path of its own making."""
    with httpx.Client(base_url=server.url, headers={"origin": server.url}, timeout=60) as http:
        config = http.get("/config").json()
        names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
        uploads = [d for d in config["dependencies"] if any(t[1] == "upload" for t in d["targets"])]
        assert len(uploads) >= 3
        for path in ("/etc/passwd", str(ROOT / "app.py"), str(server.data / "runs.sqlite"), "../../etc/passwd"):
            for function in uploads:
                file = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.csv"}
                is_file = [
                    names.get(number) is None
                    or "upload" in str(names[number])
                    or "zip" in str(names[number])
                    or "file" in str(names[number])
                    for number in function["inputs"]
                ]
                data = [file if taken else None for taken in is_file]
                body = {"data": data, "fn_index": function["id"], "session_hash": "visitor1"}
                joined = http.post("/gradio_api/queue/join", json=body)
                assert joined.status_code < 500
                if joined.status_code == 200:
                    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "visitor1"}) as stream:
                        told = "".join(line for line in stream.iter_lines())
                    assert "root:" not in told and '"success":true' not in told.replace(" ", ""), told[:500]
                    assert str(server.data) not in told
        for path in ("/etc/passwd", str(ROOT / "app.py"), str(server.data / "runs.sqlite"), str(server.data / "lock")):
            assert http.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_the_page_tells_no_path(server: Served) -> None:
    page = (
        httpx.get(f"{server.url}/").text + httpx.get(f"{server.url}/config").text + httpx.get(f"{server.url}/de").text
    )
    page += httpx.get(f"{server.url}/gradio_api/info").text
    for secret in (str(server.data), str(ROOT), str(Path.home()), SECRET):
        assert secret not in page


def test_the_servers_token_is_not_the_workers(server: Served, checkpoint: str) -> None:
    assert server.worker is not None
    environment = Path(f"/proc/{server.worker}/environ").read_bytes().split(b"\0")
    assert not any(SECRET.encode() in entry for entry in environment)
    assert b"HF_HUB_DISABLE_IMPLICIT_TOKEN=1" in environment


def test_private_functions_are_refused(server: Served) -> None:
    with httpx.Client(base_url=server.url) as http:
        functions = functions_of(http.get("/config").json())
        for number in (functions.open, functions.select, functions.answers, functions.follow):
            body = {"data": [""], "fn_index": number, "session_hash": "visitor2"}
            for path in ("/gradio_api/run/predict", "/gradio_api/queue/join"):
                assert http.post(path, json=body).status_code == 403
        for name in ("start", "open_page", "save", "press_pick"):
            assert http.post(f"/gradio_api/call/{name}", json={"data": []}).status_code == 404


def test_a_run_is_reached_by_its_id_only(server: Served, checkpoint: str, run: str) -> None:
    assert ask(server, "cells", run, 0)["done"] == 2, "whoever has the link sees it"
    for guess in (run[:-1] + ("A" if run[-1] != "A" else "B"), "", "%", "*", run.swapcase(), None, ["x"]):
        assert "[not_found]" in refused(server, "cells", guess, 0)
        for name in ("pause", "resume", "stop"):
            assert "[not_found]" in refused(server, name, guess)


def test_equal_sweeps_are_two_runs_that_share_their_numbers(server: Served, checkpoint: str, run: str) -> None:
    import time

    other = str(ask(server, "start_sweep", checkpoint, SPEC)["run"])
    assert other != run
    while ask(server, "cells", other, 0)["state"] != "finished":
        time.sleep(0.2)
    first, second = (ask(server, "cells", name, 0) for name in (run, other))
    assert first["cells"] == second["cells"] and first["base"] == second["base"]


def test_large_sweeps_and_many_of_them_are_refused(server: Served, checkpoint: str) -> None:
    rates = [round(0.001 * 1.003**n, 9) for n in range(PUBLIC.cells)]
    spec = {"feature_factors": [-1.0, 1.0], "learning_rates": rates}
    assert f"at most {PUBLIC.cells:,}" in refused(server, "start_sweep", checkpoint, spec)
    assert "[bad_grid]" in refused(server, "start_sweep", checkpoint, {"learning_rates": []})
    runs: list[tuple[str, str]] = []
    try:
        for _ in range(PUBLIC.runs_each):
            again = {**SPEC, "learning_rates": [0.01 * n for n in range(1, 40)], "again": True}
            started = ask(server, "start_sweep", checkpoint, again)
            runs.append((started["run"], started["key"]))
        assert "[busy]" in refused(server, "start_sweep", checkpoint, SPEC)
        ask(server, "stop", *runs[-1])
        started = ask(server, "start_sweep", checkpoint, SPEC)
        runs.append((started["run"], started["key"]))
        assert "[busy]" in refused(server, "resume", *runs[-2])
    finally:
        for name, key in runs:
            ask(server, "stop", name, key)


def test_an_export_is_a_download(server: Served, run: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=server.url, timeout=120) as http:
        file = ask(server, "export", run, {**CELL, "name": "she"})
        assert str(server.data) not in str(file.get("url")) or "/downloads/" in str(file["path"])
        path = tmp_path / "she.zip"
        path.write_bytes(http.get(f"/gradio_api/file={file['path']}").content)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and "she/model.safetensors" in archive.namelist()
        assert str(server.data) not in archive.read("she/rewrite.json").decode()
    assert not (server.data / "exported").exists()
    for name in ("../x", "/tmp/x", "a/b", "..", "x" * 300, "con\0"):
        assert "[bad_name]" in refused(server, "export", run, {**CELL, "name": name})


def test_one_that_floods_is_told_so_and_others_are_served(server: Served) -> None:
    body = b'{"data": ["' + b"x" * PUBLIC.body_bytes + b'"]}'
    assert httpx.post(f"{server.url}/gradio_api/call/cells", content=body).status_code == 413
    assert ask(server, "load", "demo", {})["name"] == "demo"


def skipped_cell(server: Served, run: str) -> dict[str, float]:
    cells = ask(server, "cells", run, 0)["cells"]
    cell = next(cell for cell in cells if cell["status"] == "skipped")
    return {key: cell[key] for key in ("feature_factor", "learning_rate")}


def test_a_sweep_is_controlled_by_its_key_only(server: Served, checkpoint: str, started: dict[str, Any]) -> None:
    """By the documented functions, each in its own form."""
    run, key = str(started["run"]), str(started["key"])
    assert len(key) >= 16 and key not in run
    cell = skipped_cell(server, run)
    calls: dict[str, list[Any]] = {
        "pause": [], "resume": [], "stop": [], "finish_cell": [cell], "label": ["my sweep", "a note"], "delete": []
    }  # fmt: skip
    before = ask(server, "cells", run, 0)
    for name, data in calls.items():
        for wrong in (
            [],
            [""],
            [None],
            [key[:-1]],
            [key.swapcase()],
            [run],
            [5],
            [["x"]],
            [{"key": key}],
            ["x" * 10**6],
        ):
            sentence = refused(server, name, run, *data, *wrong)
            assert "[not_allowed]" in sentence and key not in sentence and len(sentence) < 400, sentence
    assert ask(server, "cells", run, 0) == before
    for name in ("pause", "resume", "stop"):
        assert ask(server, name, run, key) == {"state": "finished"}
    assert ask(server, "finish_cell", run, cell, key)["state"] in ("queued", "running", "finished")
    assert ask(server, "label", run, " my  sweep", "a note", key) == {"name": "my sweep", "note": "a note"}
    told = [ask(server, "cells", run, 0), ask(server, "select", run, {"target_class": "F"})]
    assert key not in str(told) and "my sweep" not in str(told)
    other = ask(server, "start_sweep", checkpoint, SPEC)
    assert "[not_allowed]" in refused(server, "delete", other["run"], key), "one sweep's key is not another's"
    assert ask(server, "delete", other["run"], other["key"]) == {"deleted": other["run"]}
    assert "[not_found]" in refused(server, "cells", other["run"], 0)
    assert key not in server.log.read_text()


def test_the_pages_own_functions_ask_for_the_key_too(server: Served, checkpoint: str) -> None:
    """A program that calls them as the page does, with another run's key or none."""
    mine, other = (ask(server, "start_sweep", checkpoint, {**SPEC, "again": True}) for _ in range(2))
    run = mine["run"]
    assert_nothing_is_controlled(server, run, ("", other["key"], json.dumps({run: other["key"]}), None, 5, ["x"]))
    for answer in (mine, other):
        assert ask(server, "stop", answer["run"], answer["key"])["state"] in ("stopped", "finished")
        ask(server, "delete", answer["run"], answer["key"])
