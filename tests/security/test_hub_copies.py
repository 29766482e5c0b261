"""What a stranger's checkpoint names on the Hub is a stranger's, too: fetched without a token, rebuilt, bounded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gradiend_ui.engine.base import hub as hub_base
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.uploaded import take_in, was_taken_in
from gradiend_ui.engine.errors import BadBase, GradiendUIError, TooLarge
from gradiend_ui.engine.files import confined
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.server.session import Session
from tests.support import checkpoints_hostile as hostile
from tests.support.hub_stub import HubStub, hub

ROOT = Path(__file__).parents[2]
NAME = "somebody/tiny-bert"


@pytest.fixture
def stub(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStub]:
    """The Hub with one model, and a machine that has never asked it anything."""
    repository = Path(shutil.copytree(tiny_bert, tmp_path / "repository"))
    with hub({NAME: repository}) as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache/hub"))
        monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
        yield stub


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    (tmp_path / "data/uploads").mkdir(parents=True)
    return tmp_path / "data/uploads"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    store = Store(":memory:")
    yield Worker(store, tmp_path / "data", tmp_path / "none", public_trust())
    store.close()


@pytest.fixture
def zipped(tiny_bert: Path, tmp_path: Path) -> Path:
    """A GRADIEND that says its base is on the Hub."""
    run = hostile.save_run(tmp_path / "run", tiny_bert)
    config = json.loads((run / "model/config.json").read_text())
    config["metadata"] = {"base_model": NAME, "tokenizer": NAME}
    (run / "model/config.json").write_text(json.dumps(config))
    return Path(shutil.make_archive(str(tmp_path / "run"), "zip", run))


def loaded(worker: Worker, source: Path) -> tuple[dict[str, Any], Any]:
    card = worker.answer(Load(str(source), {}))
    return card, worker._resources.checkpoint(card["checkpoint"]).model


def test_a_base_of_the_hub_is_fetched_before_the_worker_needs_it(
    stub: HubStub, zipped: Path, uploads: Path, worker: Worker, tiny_bert: Path
) -> None:
    source = take_in(zipped, uploads, strangers=True)
    hub_base.fetch_named(source, uploads)
    count = len(stub.asked)
    assert count and not stub.tokens, "the server's token is never sent"
    card, model = loaded(worker, source)
    assert len(stub.asked) == count, "nobody waits for the Hub any more"
    assert card["base_model"] == NAME and model.base.name == NAME
    weights = load_file(tiny_bert / "model.safetensors")
    assert all(torch.equal(tensor, model.base.model.state_dict()[name]) for name, tensor in weights.items())
    assert str(uploads) not in json.dumps({key: value for key, value in card.items() if key != "source"})


def test_the_worker_fetches_nothing_while_others_wait(
    stub: HubStub, zipped: Path, uploads: Path, worker: Worker
) -> None:
    source = take_in(zipped, uploads, strangers=True)
    assert not hub_base.is_fetched(source, uploads)
    with pytest.raises(BadBase, match="was not fetched from the Hub: upload the GRADIEND again"):
        loaded(worker, source)
    assert not stub.asked
    assert hub_base.fetch_named(source, uploads) == [] and hub_base.is_fetched(source, uploads)
    assert loaded(worker, source)[1].base.name == NAME


def test_what_a_mask_head_stands_on_is_fetched_too(
    stub: HubStub, zipped: Path, uploads: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    """Few models for an upload, whatever it names."""
    for number in range(30):
        stub.repositories[f"m/m{number}"] = Path(shutil.copytree(tiny_bert, tmp_path / f"m{number}"))
    with zipfile.ZipFile(zipped, "a") as archive:
        for number in range(20):
            archive.writestr(f"x/y{number}/config_mlm_head.json", json.dumps({"base_model": f"m/m{number}"}))
    source = take_in(zipped, uploads, strangers=True)
    assert hub_base.fetch_named(source, uploads) == []
    fetched = {path.split("/resolve/")[0].strip("/") for _, path in stub.asked if "/resolve/" in path}
    assert NAME in fetched and "m/m0" in fetched and len(fetched) == 4


def test_why_nothing_was_fetched_is_what_who_loads_it_is_told(
    stub: HubStub, zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.lies[NAME] = {"model.safetensors": 7 * 2**30}
    session = Session.open(data_dir=tmp_path / "data", public=True)
    try:
        monkeypatch.setattr("gradiend_ui.server.checkpoints.was_uploaded", lambda path: True)
        unpacked = session.uploads.unpack(str(zipped))
        with pytest.raises(TooLarge, match=r"7\.0 GB"):
            session.uploads.load(unpacked["source"], unpacked["name"])
        stub.lies.clear()
        assert session.card(session.uploads.load(unpacked["source"], unpacked["name"]))["base_model"] == NAME
    finally:
        session.close()


def test_a_model_of_the_hub_is_rebuilt_like_an_upload(
    stub: HubStub, uploads: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    repository = stub.repositories[NAME]
    names = load_file(repository / "model.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../../outside.safetensors")}
    (repository / "model.safetensors").rename(tmp_path / "outside.safetensors")
    (repository / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadBase, match="own folder"):
        hub_base.hub_copy(NAME, uploads)
    assert not list(uploads.iterdir())
    shutil.copy(tiny_bert / "model.safetensors", repository)
    (repository / "tokenizer_config.json").write_text(json.dumps({"vocab": "/etc/passwd", "auto_map": {"a": "b.C"}}))
    (repository / "modeling.py").write_text("raise SystemExit")
    folder = hub_base.hub_copy(NAME, uploads)
    assert folder.name == "tiny-bert" and was_taken_in(folder.parent, strangers=True)
    assert json.loads((folder / "tokenizer_config.json").read_text()) == {}
    assert not (folder / "modeling.py").exists()
    assert load_base_model(str(folder), trust=public_trust().within(folder)).kind == "masked"


def test_a_model_over_the_limit_is_not_fetched(stub: HubStub, uploads: Path) -> None:
    stub.lies[NAME] = {"model.safetensors": 7 * 2**30}
    with pytest.raises(TooLarge, match=r"7\.0 GB"):
        hub_base.hub_copy(NAME, uploads)
    assert not [path for method, path in stub.asked if "/resolve/" in path]


def test_what_the_hub_does_not_have_is_a_sentence(stub: HubStub, uploads: Path) -> None:
    with pytest.raises(BadBase, match="no such model on the Hub"):
        hub_base.hub_copy("somebody/absent", uploads)
    assert not list(uploads.iterdir())


def test_what_only_the_owner_may_read_is_never_taken_from_the_cache(
    stub: HubStub, uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bert: Path
) -> None:
    """A private model that the owner once fetched is as absent as one that does not exist; offline, too."""
    for name in ("acme--private", "somebody--tiny-bert"):
        snapshot = tmp_path / f"cache/hub/models--{name}"
        (snapshot / "refs").mkdir(parents=True)
        (snapshot / "refs/main").write_text("abc")
        shutil.copytree(tiny_bert, snapshot / "snapshots/abc")
    told = []
    for name in ("acme/private", "acme/absent"):
        with pytest.raises(BadBase, match="no such model on the Hub, or it is private") as refused:
            hub_base.hub_copy(name, uploads)
        told.append(str(refused.value).replace(name, "NAME"))
    assert told[0] == told[1]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(GradiendUIError, match="cannot be reached"):
        hub_base.hub_copy(NAME, uploads)
    assert not list(uploads.iterdir())


FETCH_UNFENCED = """
import sys
from pathlib import Path
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.base.hub import fetch
try:
    print(fetch(Path(sys.argv[1]), name=sys.argv[2])["files"])
except GradiendUIError as error:
    print(error)
"""


def test_without_fence_and_environment_it_still_asks_as_anybody(
    stub: HubStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bert: Path
) -> None:
    """The owner's token lies in the environment and in a file, and the owner's cache has what the Hub does not give."""
    snapshot = tmp_path / "cache/hub/models--acme--private"
    (snapshot / "refs").mkdir(parents=True)
    (snapshot / "refs/main").write_text("abc")
    shutil.copytree(tiny_bert, snapshot / "snapshots/abc")
    (tmp_path / "cache/token").write_text("hf_filefilefilefile")

    def fetched(name: str) -> str:
        folder = tmp_path / f"fetched-{name.replace('/', '-')}"
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", FETCH_UNFENCED, str(folder), name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return f"{len(list(folder.iterdir()))} {done.stdout.strip()}"

    for token in ("hf_secretsecretsecret", ""):  # without one in the environment, that of the file would be read
        monkeypatch.setenv("HF_TOKEN", token)
        assert fetched("acme/private").startswith("0 ") and "no such model on the Hub" in fetched("acme/private")
        assert int(fetched(NAME).split()[0]) > 3
    assert stub.asked and not stub.tokens
    assert [path.name for path in (tmp_path / "cache/hub").iterdir()] == ["models--acme--private"], "nothing is cached"


def test_the_process_that_fetches_is_given_neither_token_nor_cache(
    stub: HubStub, uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[dict[str, Any], dict[str, str]]] = []
    real = subprocess.run

    def start(command: list[str], *, env: dict[str, str], **options: Any) -> Any:
        started.append((json.loads(command[-1]), env))
        return real(command, env=env, **options)

    monkeypatch.setattr(confined.subprocess, "run", start)
    hub_base.hub_copy(NAME, uploads)
    (fetching, environment), (building, other) = started
    assert (fetching["task"], fetching["network"], building["network"]) == ("fetch_base", True, False)
    for given in (environment, other):
        assert not any("secret" in value or "TOKEN" in name for name, value in given.items())
    assert environment["HF_ENDPOINT"] == stub.url and "HF_ENDPOINT" not in other
    places = fetching["reads"] + fetching["writes"] + building["reads"] + building["writes"]
    assert places and all(Path(place).is_relative_to(uploads) for place in places)


def test_only_what_the_chosen_gradiend_names_is_fetched(stub: HubStub, zipped: Path, uploads: Path) -> None:
    with zipfile.ZipFile(zipped, "a") as archive:
        for number in range(20):
            metadata = {"base_model": f"a/m{number}", "tokenizer": f"b/m{number}"}
            archive.writestr(f"x/y{number}/config.json", json.dumps({"metadata": metadata}))
    hub_base.fetch_named(take_in(zipped, uploads, strangers=True), uploads)
    assert stub.asked and not [path for _, path in stub.asked if NAME not in path]
