"""What must stay equal while everything inside is moved: names, listings, numbers, files, folders of before.

    api.json                       `view_api` of the app: functions, parameters, types, defaults, answers, sentences
    help.json, public.json         `help(gradiend_ui)`; every public name with signature, docstring and members.
                                   Modules may change, so their names are taken out, with the list of sub-packages
    demos.json                     card, scores and winners of a small sweep of every bundled demo
    exports.json                   every file of an export of each kind: json and text as they are, of a large text its
                                   hash, of tensors names, dtypes, shapes and changes; the fingerprints are in it
    data_folder, data_folder.json  a data folder with a finished sweep and an interrupted one, and what it gives
    experiment, experiment.json    a trained experiment with its decoder results, and what it gives
    written.json                   by which version they were written, and why

Words and fingerprints are compared exactly, measured numbers as `compared` says. Only public names and the app's API
are used, so that the test never changes with the code. A difference here is a promise broken. Where one has to be, as
after a new version of the scorer: `python -m tests.frozen.write` tells what differs, and writes with `--because "why"`
only. The two folders stay as they are, of the version before; `--folders` makes new ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.frozen import observed, write
from tests.frozen.compared import differences
from tests.frozen.served import ROOT, App


def frozen(name: str) -> Any:
    return json.loads((observed.HERE / name).read_text(encoding="utf-8"))


def assert_same(expected: Any, seen: Any) -> None:
    found = differences(expected, seen)
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:20])


@dataclass
class Server:
    """The app on a copy of the data folder of before, and what it told of the demos, asked once."""

    app: App
    data: Path
    finished: str
    interrupted: str

    @cached_property
    def demos(self) -> dict[str, tuple[dict[str, Any], str]]:
        return {source: observed.demo_facts(self.app, source) for source in observed.BUNDLED}


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It starts while the first tests run in this process."""
    place = tmp_path_factory.mktemp("frozen")
    data = observed.own_copy(observed.DATA_FOLDER, place / "data")
    runs = [observed.run_named(data, name) for name in (observed.FINISHED, observed.INTERRUPTED)]
    app = App(data, place / "log")
    try:
        yield Server(app, data, *runs)
    finally:
        app.close()


def test_public_names() -> None:
    assert_same(frozen("public.json"), observed.public_names())


def test_help() -> None:
    if frozen("written.json")["python"].rpartition(".")[0] != "{}.{}".format(*sys.version_info):
        pytest.skip("pydoc words its text differently in other versions of Python: public.json is compared there.")
    seen = observed.help_text().splitlines()
    assert [line for line in frozen("help.json") if line not in seen] == []
    assert seen == frozen("help.json")


def test_experiment_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    seen = observed.experiment_facts(observed.own_copy(observed.EXPERIMENT, tmp_path / "experiment"))
    assert_same(frozen("experiment.json"), seen)


def test_api_listing(server: Server) -> None:
    assert_same(frozen("api.json"), observed.api_listing(server.app))


def test_every_demo_is_frozen() -> None:
    bundled = len(list(observed.DEMO.rglob("demo.json")))
    assert bundled == len(observed.BUNDLED) == len(frozen("demos.json"))


@pytest.mark.parametrize("source", observed.BUNDLED)
def test_demo(server: Server, source: str) -> None:
    assert_same(frozen("demos.json")[source], server.demos[source][0])


@pytest.mark.parametrize("kind", frozen("exports.json"))
def test_export(server: Server, tmp_path: Path, kind: str) -> None:
    runs = {source: run for source, (_, run) in server.demos.items()}
    run, options = observed.export_kinds(runs)[kind]
    assert_same(frozen("exports.json")[kind], observed.export_facts(server.app, run, options, tmp_path / "export"))


def test_finished_sweep_of_the_data_folder(server: Server, tmp_path: Path) -> None:
    seen = observed.finished_facts(server.app, server.finished, tmp_path / "export")
    assert_same(frozen("data_folder.json")["finished"], seen)


def test_interrupted_sweep_of_the_data_folder(server: Server) -> None:
    seen = observed.interrupted_facts(server.app, server.interrupted, server.data)
    assert_same(frozen("data_folder.json")["interrupted"], seen)


def test_fixtures_name_no_place_of_this_machine() -> None:
    write.check_portable()


def test_nothing_is_written_without_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(write, "everything", lambda work: {"api.json": "other"})
    monkeypatch.setattr(write, "HERE", tmp_path)
    assert write.main([]) == 1
    assert write.main(["--folders"]) == 1
    assert list(tmp_path.iterdir()) == []
