"""Checkpoints as hostile files: whatever comes, it is read with finite numbers or refused in one typed sentence.

Hundreds of generated variants per run; each without a file opened elsewhere.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradiend_ui.engine.errors import BadCheckpoint, GradiendUIError
from gradiend_ui.engine.files.safetensors_header import read_header
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.worker.requests import Load, OpenFinished
from gradiend_ui.engine.worker.worker import Worker
from tests.support import checkpoints_hostile as hostile
from tests.support.costs import timed

"""Twice what is promised: the machine may be busy."""
MEMORY = 300 * 2**20
QUIET = settings(
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
"""Without shrinking and explaining: the first failure says which file, place and value."""
OPENED: list[str] = []
_watching: list[bool] = []


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "open" and isinstance(arguments[0], (str, bytes)):
        OPENED.append(arguments[0] if isinstance(arguments[0], str) else arguments[0].decode(errors="replace"))


sys.addaudithook(_record)


@pytest.fixture(scope="module")
def runs(tiny_bert: Path, tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid run per kind of mapping, and one of a causal model."""
    home = tmp_path_factory.mktemp("valid")
    found = {kind: hostile.save_run(home / kind, tiny_bert, kind) for kind in ("mixed", "indices", "mask", "all")}
    return found | {"causal": hostile.save_run(home / "causal", tiny_gpt2)}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    store, home = Store(":memory:"), tmp_path_factory.mktemp("worker")
    yield Worker(store, home / "data", home / "none")
    store.close()


class Opener:
    """Opens damaged copies of a run, one at a time, and says what came of each."""

    def __init__(self, worker: Worker, home: Path) -> None:
        self._worker, self._home, self._number = worker, home, 0

    def outcome(self, run: Path, damage: hostile.Damage, given: str = "", **options: Any) -> str:
        """ "ok", or the sentence; asserts everything that holds for both."""
        self._number += 1
        folder = hostile.copy_of(run, self._home / f"v{self._number}")
        try:
            damage(folder)
            before = _memory()
            with timed("a damaged checkpoint, opened"):
                told = self._open(folder / given, options)
            assert _memory() - before < MEMORY, told[:200]
            return told
        finally:
            shutil.rmtree(folder)

    def _open(self, folder: Path, options: dict[str, Any]) -> str:
        OPENED.clear()
        _watching.append(True)
        try:
            card = self._worker.answer(Load(str(folder), options))
            if card["finished_sweeps"]:
                self._worker.answer(OpenFinished(card["checkpoint"]))
        except GradiendUIError as error:
            sentence = str(error)
            assert sentence and "\n" not in sentence and len(sentence) < 900, sentence[:300]
            assert "Traceback" not in sentence
            sentence.encode("utf-8")
            return sentence
        finally:
            _watching.clear()
        json.dumps(card, allow_nan=False).encode("utf-8")
        assert card["seconds_per_cell"] is None or card["seconds_per_cell"] > 0
        return "ok"


def _memory() -> int:
    """The most memory that this process ever had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.fixture(scope="module")
def opener(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Opener:
    return Opener(worker, tmp_path_factory.mktemp("damaged"))


def places_of(run: Path) -> list[tuple[str, tuple[Any, ...]]]:
    """Every place of every JSON file of a run."""
    return [
        (name, place) for name in hostile.JSON_FILES for place in hostile.places(json.loads((run / name).read_text()))
    ]


@pytest.mark.parametrize("kind", ["mixed", "indices", "mask", "all", "causal"])
def test_the_valid_run_is_read(opener: Opener, runs: dict[str, Path], kind: str) -> None:
    assert opener.outcome(runs[kind], lambda run: None) == "ok"


@settings(QUIET, max_examples=260)
@given(data=st.data())
def test_every_field_takes_no_value_badly(opener: Opener, runs: dict[str, Path], data: st.DataObject) -> None:
    run = runs["mixed"]
    name, place = data.draw(st.sampled_from(places_of(run)))
    raw = ("", *hostile.HOSTILE_VALUES)[data.draw(st.integers(0 if place else 1, len(hostile.HOSTILE_VALUES)))]
    content = hostile.with_value((run / name).read_text(), place, raw)
    told = opener.outcome(run, lambda folder: hostile.put(folder / name, content))
    if told != "ok" and raw not in ("null", "{}", "", "[]"):
        named = Path(name).name in told or "base model" in told or "tokenizer" in told or "mapping" in told
        assert named, f"{name} {place} {raw[:60]}: {told}"


def test_a_name_twice_is_refused(opener: Opener, runs: dict[str, Path]) -> None:
    content = hostile.with_twice((runs["mixed"] / "model/config.json").read_text(), "architecture")
    told = opener.outcome(runs["mixed"], lambda folder: hostile.put(folder / "model/config.json", content))
    assert "'architecture' occurs twice" in told


MAY_BE_READ = ("masks twos", "indices unsorted", "indices two dimensions", "as torch.float16")
"""Damages that leave a checkpoint that can be read."""


@pytest.mark.parametrize("name", sorted(hostile.weight_damages() | hostile.mapping_damages()))
def test_weights_and_maps_are_whole_or_refused(opener: Opener, runs: dict[str, Path], name: str) -> None:
    told = opener.outcome(runs["mixed"], (hostile.weight_damages() | hostile.mapping_damages())[name])
    assert told == "ok" if name in MAY_BE_READ else told != "ok", name
    if told != "ok":
        files = (hostile.WEIGHTS, hostile.INDICES, hostile.MASKS, "weights")
        assert any(file in told for file in files), told


@pytest.mark.parametrize("name", sorted(hostile.config_damages()))
def test_whole_json_files_and_special_files(opener: Opener, runs: dict[str, Path], name: str) -> None:
    told = opener.outcome(runs["mixed"], hostile.config_damages()[name])
    if "config.json" in name and "byte order mark" not in name:
        assert told != "ok"
    assert not [path for path in OPENED if path.startswith(("/etc/passwd", "/dev/zero"))]


@pytest.mark.parametrize(
    ("name", "change", "more", "fragment"),
    [
        ("overlap", lambda h: h[hostile.DECODER_WEIGHT].update(data_offsets=[0, 4 * 563]), b"", "overlaps|gap"),
        ("gap at the end", lambda h: None, b"0000", "belong to no tensor"),
    ],
)
def test_the_header_alone_tells_where_tensors_lie(
    runs: dict[str, Path], tmp_path: Path, name: str, change: Any, more: bytes, fragment: str
) -> None:
    folder = hostile.copy_of(runs["mixed"], tmp_path / "run")
    hostile.changed_header(hostile.WEIGHTS, change, more)(folder)
    with pytest.raises(BadCheckpoint, match=fragment):
        read_header(folder / "model" / hostile.WEIGHTS)
