"""Adding one thing touches one place: a toy objective and a toy policy from outside, nothing patched.

A toy language is in `tests/ui/test_words.py`.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradiend_ui.engine.base.objectives import OBJECTIVES, objective_named, objective_names
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import MASK, read_rows
from gradiend_ui.engine.errors import BadBase, BadGrid, BadName
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.registry import Registry, found_at, modules_from_outside
from gradiend_ui.engine.selection.policies import POLICIES, policy_named
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.training.losses import prepare_for
from gradiend_ui.server.exports import reason
from gradiend_ui.server.session import Session
from gradiend_ui.ui.compare.answers import choices_of
from gradiend_ui.ui.kit.words import Words, languages
from gradiend_ui.ui.load.health import build_health
from gradiend_ui.ui.sweep.panel import policy_choices

OBJECTIVE, POLICY, MODULE = "toy_left_of_the_mask", "toy_gentlest", "toy_extension"
SMALL = {"feature_factors": [-1.0], "learning_rates": [0.05, 0.2], "max_rows": 10, "max_neutral": 20}


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module of `toys/`, imported as anybody's; gone again afterwards."""
    monkeypatch.syspath_prepend(Path(__file__).with_name("toys"))
    importlib.import_module(MODULE)
    yield
    OBJECTIVES.remove(OBJECTIVE)
    POLICIES.remove(POLICY)
    del sys.modules[MODULE]


@pytest.mark.usefixtures("toys")
def test_an_objective_from_outside_scores_a_model(
    checkpoint_folder: Path, rows: pd.DataFrame, neutral_texts: list[str]
) -> None:
    toy = ModelWithGradiend.from_pretrained(checkpoint_folder, prediction_objective=OBJECTIVE)
    usual = ModelWithGradiend.from_pretrained(checkpoint_folder)
    whole, spec = read_rows(rows), SweepSpec(feature_factors=(-1.0,), learning_rates=(0.1,))
    left = replace(whole, rows=tuple(replace(row, masked=row.masked.split(MASK)[0] + MASK) for row in whole.rows))
    texts = read_neutral(neutral_texts[:20])
    plans = [prepare(toy, spec, whole, texts), prepare(usual, spec, left, texts), prepare(usual, spec, whole, texts)]
    mine, same, other = (plan.score_block(usual.base_model, 0) for plan in plans)
    assert np.array_equal(mine, same, equal_nan=True) and not np.array_equal(mine, other, equal_nan=True)
    assert plans[0].fingerprint != plans[1].fingerprint and toy.base.kind == "masked"
    with pytest.raises(BadBase, match=f"Training with '{OBJECTIVE}' is not supported; choose one of mlm_mask_token"):
        prepare_for(toy.base)
    with pytest.raises(BadBase, match=f"or one of: mlm_mask_token, {OBJECTIVE}, clm_next_token"):
        objective_named("nonsense")


@pytest.mark.usefixtures("toys")
def test_a_session_sweeps_with_both_and_its_page_offers_them(demo: Path, tmp_path: Path) -> None:
    """The worker is a process of its own: it is told where they came from."""
    for name in ("gradiend", "base"):
        shutil.copytree(demo / name, tmp_path / "mine" / name)
    for path in demo.glob("*.csv"):
        shutil.copy(path, tmp_path / "mine")
    config = tmp_path / "mine" / "gradiend" / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content["metadata"]["prediction_objective"] = OBJECTIVE
    config.write_text(json.dumps(content), encoding="utf-8")
    assert modules_from_outside() == (MODULE,)
    session = Session.open(tmp_path / "data")
    try:
        card = session.load(str(config.parent))
        run = session.start_sweep(card["checkpoint"], SMALL)["run"]
        while session.revision(run)[1] not in ("finished", "failed"):
            time.sleep(0.02)
        base = session.cells(run)["base"]
        gentle = session.select(run, {"target_class": "F", "policy": POLICY})
        strong = session.select(run, {"target_class": "F", "ratio": 0.0})
        picture = session.picture(run, {"target_class": "F", "policy": POLICY})
        facts = session.card(card["checkpoint"])
    finally:
        session.close()
    assert card["objective"] == OBJECTIVE and base["status"] == "final"
    assert (gentle["learning_rate"], strong["learning_rate"]) == (0.05, 0.2) and not gentle["fallback"]
    assert picture["selection"] == gentle and picture["passes"] == [[None, None]]
    assert reason("F", {"policy": POLICY}, gentle) == "strengthen F: the smallest step of all"
    shown = {language: policy_choices(Words(language)) for language in ("en", "de")}
    assert shown["en"][-1] == ("smallest step", POLICY) and shown["de"][-1] == ("kleinster Schritt", POLICY)
    health = json.dumps(build_health(facts | {"notes": []}, Words("en")))
    assert "fills in the last word" in health and "the text right of [MASK] is not read" in health
    assert "füllt das letzte Wort" in json.dumps(build_health(facts | {"notes": []}, Words("de")), ensure_ascii=False)
    assert len(choices_of(OBJECTIVE, Words("en"))) == 4


@pytest.mark.usefixtures("toys")
def test_a_name_that_is_taken_is_refused() -> None:
    assert OBJECTIVE in objective_names() and policy_named(POLICY)
    with pytest.raises(BadName, match=f"The name '{OBJECTIVE}' is taken by another objective: register the new one"):
        OBJECTIVES.add(OBJECTIVE, OBJECTIVES[OBJECTIVE])
    with pytest.raises(BadName, match="The name 'lms_threshold' is taken by another policy"):
        POLICIES.add("lms_threshold", POLICIES[POLICY])


def test_without_them_their_names_are_refused() -> None:
    assert modules_from_outside() == () and OBJECTIVE not in objective_names()
    with pytest.raises(BadGrid, match=f"policy must be one of lms_threshold, lms_times_metric, not '{POLICY}'"):
        policy_named(POLICY)
    assert [name for _, name in policy_choices(Words("de"))] == ["lms_threshold", "lms_times_metric"]
    with pytest.raises(BadName, match="'two words' is no name for a new thing"):
        Registry[int]("thing").add("two words", 1)


def test_everything_that_a_registration_names_is_there() -> None:
    for name in OBJECTIVES:
        facts = OBJECTIVES[name]
        assert callable(found_at(facts.scored_by)) and (
            facts.trained_by is None or callable(found_at(facts.trained_by))
        )
        assert facts.scored_as is None or facts.scored_as in OBJECTIVES
    usual = [name for name in OBJECTIVES if OBJECTIVES[name].usual]
    assert sorted(OBJECTIVES[name].kind for name in usual) == ["causal", "masked", "seq2seq"]
    for language in languages():
        texts = Words(language)
        for name in (*(f"sweep.policy_{name}" for name in POLICIES), *_texts_of_objectives()):
            assert texts(name)


def _texts_of_objectives() -> list[str]:
    keys = [f"load.objective_{name}" for name in OBJECTIVES if OBJECTIVES[name].scored_as is None]
    return [*keys, *(f"{key}_help" for key in keys)]
