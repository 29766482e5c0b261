"""Winners of `evaluate_decoder` that are broken models: told with the choice, in a warning, and in what is saved."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy
from gradiend_ui.engine.values import Cell, CellScore, MostSaid
from gradiend_ui.trainer.decoder_summary import Inquiry, results_of
from gradiend_ui.trainer.rewriting import RewriteRequest, rewrite
from tests.support.checkpoints import save_random_gradiend

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelWithGradiend:
    folder = save_random_gradiend(tmp_path_factory.mktemp("checkpoint") / "gradiend", base_model=tiny_bert)
    return ModelWithGradiend.from_pretrained(folder)


FACTS = {"token": "[CLS]", "share": 0.97, "base_share": 0.12}


def score(cell: Cell | None, p: float, lms: float, said: MostSaid) -> CellScore:
    return CellScore(cell, "final", {name: {"M": 1 - p, "F": p} for name in "MF"}, {"lms": lms}, most_said=said)


SCORES = (
    score(None, 0.1, 0.4, MostSaid("the", 0.12)),
    score(Cell(-1.0, 0.5), 0.4, 0.3, MostSaid("the", 0.11)),
    score(Cell(-1.0, 20.0), 0.9, 0.41, MostSaid("[CLS]", 0.97)),
)


def inquiry(metrics: tuple[str, ...] | None = None, ratio: float = 0.99) -> Inquiry:
    return Inquiry("strengthen", ("F",), ("M", "F"), {"M": 1.0, "F": -1.0}, LMSThresholdPolicy(ratio), metrics=metrics)


@pytest.mark.parametrize("metrics", [None, ("F",), ("F_factual",)])
def test_every_choice_tells_whether_its_model_is_broken(metrics: tuple[str, ...] | None) -> None:
    key = "F" if metrics is None else metrics[0]
    chosen = results_of(inquiry(metrics), SCORES)[key]
    assert (chosen["learning_rate"], chosen["degenerate"]) == (20.0, FACTS)
    assert chosen["why"].count("The model is broken there") == 1
    sane = results_of(inquiry(metrics, 0.5), SCORES[:2])[key]
    assert sane["degenerate"] is None and "broken" not in sane["why"]


def test_a_weakened_class_that_no_cell_weakens_is_the_base_and_not_broken() -> None:
    weaken = Inquiry("weaken", ("M",), ("M", "F"), {"M": -1.0, "F": 1.0})
    assert results_of(weaken, SCORES)["M_weaken"]["degenerate"] is None


@pytest.mark.parametrize("broken", [True, False])
def test_rewriting_it_warns_and_its_card_says_it(
    model: ModelWithGradiend, tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    results = results_of(inquiry(ratio=0.99 if broken else 0.5), SCORES if broken else SCORES[:2])
    folder = tmp_path / "out"
    with caplog.at_level(logging.WARNING):
        rewrite(model, results, RewriteRequest(("F",), "decoder", folder, None))
    assert ("The model rewritten for 'F' is broken. It says '[CLS]' at 97%" in caplog.text) is broken
    assert json.loads((folder / "rewrite.json").read_text(encoding="utf-8"))["degenerate"] == (
        FACTS if broken else None
    )
    assert ("**This model is broken.**" in (folder / "README.md").read_text(encoding="utf-8")) is broken


def test_results_of_before_tell_nothing_and_are_rewritten(model: ModelWithGradiend) -> None:
    results = {"F": {"feature_factor": -1.0, "learning_rate": 0.5}}
    assert len(rewrite(model, results, RewriteRequest(("F",), "decoder", None, None))) == 1
