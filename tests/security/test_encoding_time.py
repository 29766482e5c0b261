"""A stranger's tokenizer may take a few seconds of a request, however many texts it is given, and the rest is refused.

The limit is set below what any text takes, or far above: nothing here depends on how quick the machine is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.errors import TooLarge
from gradiend_ui.engine.scoring.objectives.candidates import added_ids
from gradiend_ui.engine.scoring.targets import TargetVocabulary, ignored_ids
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.uploads import request_limits
from gradiend_ui.engine.uploads.request_limits import ENCODED_AT_ONCE, encoded_in_turn, encoding_limited
from gradiend_ui.engine.uploads.trust import LOCAL, Trust, public_trust
from gradiend_ui.engine.worker.requests import CompareBase, Load, Request, StartSweep
from gradiend_ui.engine.worker.worker import Worker

TEXTS = ["he went home.", "she " * 400, "x" * 7000, "", "y" * 19_000, "it rains"]
SMALL = {"learning_rates": [0.1], "feature_factors": [1.0], "max_rows": 4, "max_neutral": 4}


@pytest.fixture(scope="module")
def base(tiny_bert: Path) -> BaseModel:
    return load_base_model(str(tiny_bert))


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(request_limits, "ENCODING_SECONDS", -1.0)


def worker_of(trust: Trust, home: Path, demo: Path) -> Worker:
    return Worker(Store(home / "runs.sqlite"), home, demo, trust)


def test_in_turn_gives_the_same_tokens_and_looks_at_the_clock_in_between(base: BaseModel) -> None:
    parts: list[list[str]] = []

    def one_by_one(texts: Any) -> list[list[int]]:
        parts.append(list(texts))
        return [[len(text)] for text in texts]

    with encoding_limited():
        assert encoded_in_turn(TEXTS, one_by_one) == [[len(text)] for text in TEXTS]
        assert base.encode(TEXTS, 64) == base.encode(TEXTS * 2, 64)[: len(TEXTS)]
        limited = base.encode(TEXTS)
    assert limited == base.encode(TEXTS)
    assert [text for part in parts for text in part] == TEXTS and len(parts) > 1
    assert all(len(part) == 1 or sum(map(len, part)) <= ENCODED_AT_ONCE for part in parts)


TOKENIZED: dict[str, Callable[[BaseModel], object]] = {
    "texts": lambda base: base.encode(["he"]),
    "what a word adds": lambda base: added_ids(base.tokenizer, "then", ["he"]),
    "targets": lambda base: TargetVocabulary(base.tokenizer).pieces("unheardof"),
    "targets after a space": lambda base: TargetVocabulary(base.tokenizer).word_initial_pieces("unheardof"),
    "ignored words": lambda base: ignored_ids(base.tokenizer, ["he"]),
}


@pytest.mark.parametrize("what", TOKENIZED)
def test_every_way_to_tokens_counts(what: str, base: BaseModel, no_time: Callable[[], None]) -> None:
    no_time()
    TOKENIZED[what](base)
    with encoding_limited(), pytest.raises(TooLarge, match="takes too long here"):
        TOKENIZED[what](base)


def test_every_request_of_a_stranger_is_bounded(tmp_path: Path, demo: Path, no_time: Callable[[], None]) -> None:
    worker = worker_of(public_trust(), tmp_path, demo)
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    run = worker.answer(StartSweep(checkpoint, AskedSweep.of(SMALL)))["run"]
    no_time()
    card = worker.answer(Load("demo", {"direction": {"F": 1, "M": -1}}))
    assert card["seconds_per_cell"] is None and any("takes too long here" in told for told in card["warnings"])
    asked: tuple[Request[Any], ...] = (
        StartSweep(checkpoint, AskedSweep.of({**SMALL, "max_rows": 5})),
        CompareBase(checkpoint, ("[MASK] went home.",)),
    )
    for request in asked:
        with pytest.raises(TooLarge, match="takes too long here"):
            worker.answer(request)
    worker.rest()  # what was planned is forgotten, as after some time
    while worker._store.run(run).state in ("queued", "running"):
        worker.step()
    told = worker._store.run(run)
    assert told.state == "failed" and "takes too long here" in str(told.error)


def test_an_owner_has_all_the_time_there_is(tmp_path: Path, demo: Path, no_time: Callable[[], None]) -> None:
    no_time()
    worker = worker_of(LOCAL, tmp_path, demo)
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    assert worker.answer(StartSweep(checkpoint, AskedSweep.of(SMALL)))["run"]
