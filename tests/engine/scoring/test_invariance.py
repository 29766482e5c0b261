"""A number is the same whatever the batches, the padding, the threads and the order; twice the same run, to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import EvalData, read_rows
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.plan import PreparedSweep, prepare
from gradiend_ui.engine.sweep.provenance import lines_of, provenance
from gradiend_ui.engine.sweep.run import run
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import SCORER_VERSION, BatchLimits, Cell, CellScore
from gradiend_ui.engine.worker.handlers.sweeping import planned_info
from tests.support.checkpoints import random_gradiend
from tests.support.sweeps import finals

ROOT = Path(__file__).parents[3]
CLOSE = 1e-5
GRID = SweepSpec(feature_factors=(-1.0, 1.0), learning_rates=(0.01, 0.5))
LIMITS = (BatchLimits(1, 64, 16), BatchLimits(3, 200, 64), BatchLimits(7, 4096, 1024))
Scores = dict[Cell | None, CellScore]


@pytest.fixture(scope="module")
def causal_folder(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GRADIEND of the tiny GPT-2."""
    name = "transformer.h.1.mlp.c_fc.weight"
    shape = tuple(dict(AutoModelForCausalLM.from_pretrained(tiny_gpt2).named_parameters())[name].shape)
    folder = tmp_path_factory.mktemp("causal") / "gradiend"
    random_gradiend(folder, name, shape, base_model=str(tiny_gpt2))
    return folder


@pytest.fixture(scope="module", params=["masked", "causal", "causal, natural"])
def kind(request: pytest.FixtureRequest, checkpoint_folder: Path, causal_folder: Path) -> tuple[Path, SweepSpec]:
    """(checkpoint, spec)."""
    if request.param == "masked":
        return checkpoint_folder, GRID
    return causal_folder, replace(GRID, token_boundary="natural") if "natural" in request.param else GRID


@pytest.fixture(scope="module")
def data(rows: pd.DataFrame) -> EvalData:
    return read_rows(rows)


@pytest.fixture(scope="module")
def texts(neutral_texts: list[str]) -> tuple[str, ...]:
    """Of very different lengths, so that a batch is padded."""
    joined = (" ".join(neutral_texts[k : k + 1 + k % 5]) for k in range(24))
    return read_neutral(list(joined))


@pytest.fixture(scope="module")
def whole(kind: tuple[Path, SweepSpec], data: EvalData, texts: tuple[str, ...]) -> tuple[PreparedSweep, Scores]:
    """The plan with the default batches, and its scores."""
    folder, spec = kind
    plan = prepare(ModelWithGradiend.from_pretrained(folder), spec, data, texts)
    return plan, finals(plan)


def numbers(scores: Scores) -> dict[str, float]:
    """Every probability and every LMS by a name."""
    found = {}
    for cell, score in scores.items():
        assert score.status == "final"
        found[f"{cell} lms"] = score.lms["lms"]
        for dataset, by_class in score.probs_by_dataset.items():
            found |= {f"{cell} P({name}) on {dataset}": value for name, value in by_class.items()}
    return found


def assert_close(scores: Scores, expected: Scores) -> None:
    assert numbers(scores) == pytest.approx(numbers(expected), abs=CLOSE, rel=0)
    assert len({round(value, 6) for value in numbers(expected).values()}) > 6, "the numbers differ among themselves"


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: f"{limits.rows} rows")
def test_batches_and_their_padding_move_nothing(
    whole: tuple[PreparedSweep, Scores], data: EvalData, texts: tuple[str, ...], limits: BatchLimits
) -> None:
    plan, expected = whole
    other = prepare(plan.model, plan.spec, data, texts, limits=limits)
    assert other.block_sizes != plan.block_sizes and other.fingerprint != plan.fingerprint
    assert_close(finals(other), expected)


def test_the_order_of_the_rows_moves_nothing(
    whole: tuple[PreparedSweep, Scores], data: EvalData, texts: tuple[str, ...]
) -> None:
    """But under the reference's rule for causal models: it reads a row at the end of its padded chunk of 16 rows, so
    the rows' neighbours are part of the number. The natural boundary is free of that."""
    plan, expected = whole
    turned = list(data.rows)
    random.Random(3).shuffle(turned)
    scores = finals(prepare(plan.model, plan.spec, replace(data, rows=tuple(turned)), texts))
    if plan.model.base.facts.token_boundary and plan.spec.token_boundary == "reference":
        assert {cell: score.lms for cell, score in scores.items()} == {c: s.lms for c, s in expected.items()}
    else:
        assert_close(scores, expected)


def test_the_order_of_the_cells_moves_nothing(whole: tuple[PreparedSweep, Scores]) -> None:
    """Cells one by one, last first, each in a workspace that has held others: the same bits."""
    plan, expected = whole
    workspace = plan.model.workspace()
    for cell in reversed(plan.grid.cells):
        update = plan.model.update_vector(plan.spec.part, cell.feature_factor)
        weights = workspace.rewritten(update, cell.learning_rate)
        results = {block: plan.score_block(weights, block) for block in reversed(range(len(plan.block_sizes)))}
        assert numbers({cell: plan.summarise(cell, results)}) == numbers({cell: expected[cell]})


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_threads_move_nothing(whole: tuple[PreparedSweep, Scores]) -> None:
    plan, _ = whole
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(finals(plan))
    assert_close(*found)


SCRIPT = """
import hashlib, sys
from pathlib import Path
from tests.engine.scoring.test_invariance import GRID, digest_of
print(digest_of(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
"""


def digest_of(folder: Path, table: str, texts: Path) -> str:
    """sha256 of every raw result of the sweep, block by block."""
    plan = prepare(ModelWithGradiend.from_pretrained(folder), GRID, read_rows(Path(table)), read_neutral(texts))
    digest, workspace = hashlib.sha256(plan.fingerprint.encode()), plan.model.workspace()
    for cell in plan.grid.cells:
        update = plan.model.update_vector("decoder", cell.feature_factor)
        weights = workspace.rewritten(update, cell.learning_rate)
        for block in range(len(plan.block_sizes)):
            digest.update(plan.score_block(weights, block).tobytes())
    return digest.hexdigest()


@pytest.mark.usefixtures("threads")
def test_the_same_run_in_two_processes_is_the_same_to_the_bit(
    checkpoint_folder: Path, rows: pd.DataFrame, texts: tuple[str, ...], tmp_path: Path
) -> None:
    """Here, and in another process whose strings have other hashes."""
    rows.to_csv(tmp_path / "rows.csv", index=False)
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "texts.csv", index=False)
    command = [sys.executable, "-c", SCRIPT, str(checkpoint_folder), str(tmp_path / "rows.csv")]
    command += [str(tmp_path / "texts.csv")]
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    surroundings = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=surroundings, check=False)
    assert done.returncode == 0, done.stderr
    torch.set_num_threads(1)
    here = digest_of(checkpoint_folder, str(tmp_path / "rows.csv"), tmp_path / "texts.csv")
    assert done.stdout.strip().splitlines()[-1] == here and len(here) == 64


def test_a_run_notes_how_its_numbers_were_made(whole: tuple[PreparedSweep, Scores], data: EvalData) -> None:
    plan, _ = whole
    made = provenance(plan)
    assert made == json.loads(json.dumps(made))
    assert set(made["versions"]) == {"gradiend_ui", "torch", "transformers", "python"}
    assert (made["scorer"], made["precision"], made["weights_dtype"]) == (SCORER_VERSION, "float32", "float32")
    assert made["device"].startswith("cpu") and made["threads"] == torch.get_num_threads()
    assert made["sha256"]["everything"] == plan.fingerprint
    assert sum((made["blocks"]["rows"], made["blocks"]["texts"])) == len(plan.block_sizes)
    told = dict(lines_of(made))
    assert told["rows, sha256"] == made["sha256"]["rows"] and lines_of(None) == []
    fewer = provenance(prepare(plan.model, replace(plan.spec, max_rows=4), data, plan_texts(plan)))
    for name in ("rows", "everything"):
        assert fewer["sha256"][name] != made["sha256"][name]
    for name in ("base", "base_and_gradiend"):
        assert fewer["sha256"][name] == made["sha256"][name]


def plan_texts(plan: PreparedSweep) -> tuple[str, ...]:
    return tuple(f"the book number {k} is old ." for k in range(sum(plan.lms.block_texts)))


# --- names of results -------------------------------------------------------------------------------------------------


def test_a_base_model_is_called_the_same_wherever_it_lies(tiny_bert: Path, tmp_path: Path) -> None:
    here, there = load_base_model(str(tiny_bert)), load_base_model(str(shutil.copytree(tiny_bert, tmp_path / "other")))
    assert here.fingerprint() == there.fingerprint() != here.fingerprints()[1]
    assert here.fingerprints()[1] != there.fingerprints()[1], "as versions before spelled it"
    before = there.fingerprint()
    for length in (None, 5, 7):
        there.encode(["the small wooden box"], max_length=length)
        assert there.fingerprint() == before, "what was tokenized last is no part of a model"
    there.model.config.layer_norm_eps = 0.5
    assert there.fingerprint() != here.fingerprint()


def former(store: Store, plan: PreparedSweep) -> None:
    """Turn what a store holds of the plan into what versions before kept."""
    with store._writing() as db:
        for old, new in plan.former_names.items():
            called = "UPDATE results SET fingerprint = replace(fingerprint, ?, ?) WHERE instr(fingerprint, ?)"
            db.execute(called, (new, old, new))
            db.execute("UPDATE runs SET info = replace(info, ?, ?) WHERE instr(info, ?)", (new, old, new))
        db.execute("UPDATE runs SET info = replace(info, ?, ?)", ('"spelling": 2, ', ""))


def everything_in(store: Store) -> tuple[list[Any], list[Any]]:
    results = store._all("SELECT fingerprint, cell, block, result FROM results ORDER BY 1, 2, 3")
    return results, [(run.id, run.info, run.state) for run in store.runs()]


def test_what_versions_before_kept_is_called_by_todays_names(whole: tuple[PreparedSweep, Scores]) -> None:
    plan, _ = whole
    store = Store(":memory:")
    other = replace(plan, ingredients={**plan.ingredients, "classes": ["x"]})
    for swept, again in ((plan, False), (plan, True), (other, False)):
        name = store.create_run("ck", {}, dict(planned_info(swept)), plan.grid.cells)
        for _ in run(swept, plan.model.workspace(), store, name, reuse=not again):
            pass
    kept = everything_in(store)
    assert len({row[0] for row in kept[0]}) == 3
    former(store, plan)
    changed = everything_in(store)
    assert changed != kept and not store.block_counts(plan.fingerprint)
    store.take_over_results(other)
    assert everything_in(store) == changed, "results of others are left alone"
    assert plan.is_called(changed[1][-1][1]["fingerprint"]) and not other.is_called(plan.fingerprint)
    store.take_over_results(plan)
    assert everything_in(store)[0] == kept[0]
    assert [one[1]["fingerprint"] for one in everything_in(store)[1]] == [one[1]["fingerprint"] for one in kept[1]]
    store.take_over_results(plan)
    assert everything_in(store)[0] == kept[0]
    store.close()


def test_a_damaged_record_is_no_trouble_to_those_that_are_taken_over(whole: tuple[PreparedSweep, Scores]) -> None:
    plan, _ = whole
    store = Store(":memory:")
    broken, whole_one = (store.create_run("ck", {}, dict(planned_info(plan)), plan.grid.cells) for _ in range(2))
    for _ in run(plan, plan.model.workspace(), store, whole_one):
        pass
    former(store, plan)
    with store._writing() as db:
        db.execute("UPDATE runs SET info = ? WHERE id = ?", ('{"fingerprint": [[', broken))
    store.take_over_results(plan)
    assert store.run(whole_one).info["fingerprint"] == plan.fingerprint and store.block_counts(plan.fingerprint)
    store.close()
