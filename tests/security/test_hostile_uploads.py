"""Three hundred and more uploads drawn at random: each is opened, perhaps with a note, or refused in a sentence, and
nothing outside of it is read.

The quick form: builder and reader of tables run in this process, a canary and Python's own audit of opened files tell
what was read. `python -m tests.programs.hostile_uploads` is the long form, with the real processes under strace; it
tells what each takes.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradiend_ui.engine.base import hub, uploaded
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads import tokenizer as tokenizer_check
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.worker.handlers import loading
from gradiend_ui.engine.worker.worker import Worker
from tests.support import checkpoints_hostile as hostile
from tests.support.hostile_uploads import do, harms, in_this_process, judged, save_canary, save_upload

EXAMPLES = 200
QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
MOST_BYTES = 300 * 2**20
OPENED: list[str] = []
WATCHED: list[str] = []


def _note(event: str, values: tuple[Any, ...]) -> None:
    if event == "open" and WATCHED and isinstance(values[0], str) and values[0].startswith(WATCHED[0]):
        OPENED.append(values[0])


sys.addaudithook(_note)  # cannot be taken away again: it costs nothing while nothing is watched


@pytest.fixture(scope="module")
def valid(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_upload(tmp_path_factory.mktemp("valid") / "run", tiny_bert)


@pytest.fixture(scope="module")
def outside(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = save_canary(tmp_path_factory.mktemp("elsewhere") / "outside", tiny_bert)
    WATCHED.append(str(folder))
    yield folder
    WATCHED.clear()


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(uploaded, "run_confined", in_this_process)
    monkeypatch.setattr(hub, "run_confined", refuse_to_fetch)
    monkeypatch.setattr(tokenizer_check, "LONG_TEXTS", (2000,))  # how long it takes is the matter of other tests
    monkeypatch.setattr(loading, "probe", lambda *_: (0.0, ()))  # a trial sweep, which takes most of the time
    store = Store(":memory:")
    worker = Worker(store, tmp_path / "data", tmp_path / "none", public_trust())
    monkeypatch.setattr(worker._resources.beside, "_run", in_this_process)
    yield worker
    store.close()


def refuse_to_fetch(*_: Any, **__: Any) -> None:
    from gradiend_ui.engine.errors import BadBase

    raise BadBase("There is no Hub here.")


def test_the_valid_upload_is_opened(worker: Worker, valid: Path, tmp_path: Path) -> None:
    for as_zip in (True, False):
        assert judged(worker, valid, tmp_path / "data/uploads", made(tmp_path / str(as_zip)), as_zip=as_zip) == "ok"


def test_random_hostile_uploads_end_well(worker: Worker, valid: Path, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "data/uploads").mkdir(parents=True)
    ends: Counter[str] = Counter()
    numbers = itertools.count()
    before = peak_bytes(reset=True)

    @settings(QUICK)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        damages, as_zip = data.draw(harms(valid))
        place = made(tmp_path / str(next(numbers)))
        run = hostile.copy_of(valid, place / "run")
        for harm in damages:
            do(harm, run, outside)
        OPENED.clear()
        ends[judged(worker, run, tmp_path / "data/uploads", place, as_zip=as_zip)] += 1
        assert not OPENED, f"read: {OPENED[:3]}"

    gc.freeze()  # what is here already is not looked through again after each upload
    try:
        each()
    finally:
        gc.unfreeze()
    print(f"\n{ends.total()} hostile uploads: {dict(ends)}")
    assert ends.total() >= 190 and ends["ok"] + ends["ok with a note"] > 12 and len(ends) > 3
    assert peak_bytes() - before < MOST_BYTES


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def peak_bytes(reset: bool = False) -> int:
    """The most memory of this process since the last reset; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if reset and status.exists():
        Path("/proc/self/clear_refs").write_text("5")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
